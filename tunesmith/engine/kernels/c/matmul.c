/* Products of matrices. Each number of a result is summed in an order that depends on the depth alone: it is the same, to the bit, however many rows are
   multiplied together and whatever the number of threads.

   R rows    K depth    N columns

   A slice of a band of the right matrix stays in a core's own cache while all rows of the left one pass. Where its rows do not lie next to each other it is
   turned first, a panel of WIDE columns after the other.
   Source: Goto and van de Geijn (2008), "Anatomy of High-Performance Matrix Multiplication", https://doi.org/10.1145/1356052.1356053. */

#include "tile.h"

#define DEPTH 640         /* of a slice: with the columns below, a third of a megabyte */
#define BAND (128 / WIDE) /* panels */
#define TURN_COSTS 12     /* to turn a panel takes about as long as to multiply so many rows by it */
#define MANY_ROWS 256     /* for a thread */
#define PAGE 1024         /* numbers: rows so far apart take the same few places of a cache */
#define FEW_ROWS 64       /* up to here the left matrix is turned, not the right one */

typedef struct {
    const float *at;
    long row, step; /* strides, in numbers */
} Matrix;

/* C = start + A B as `tile` does, for any number of columns up to WIDE: what would reach beyond them is made beside. */
static void tile_of_any_width(int rows, long wide, float *c, long c_row, const float *start, long start_row, Matrix a, Matrix b, long depth) {
    if (wide % LANES == 0) {
        tile(rows, (int)(wide / LANES), c, c_row, start, start_row, a.at, a.row, a.step, b.at, b.row, depth);
        return;
    }
    float beside[ROWS * WIDE] = {0}, panel[DEPTH * WIDE];
    for (long i = 0; start && i < rows; i++) memcpy(beside + i * WIDE, start + i * start_row, wide * sizeof(float));
    for (long k = 0; k < depth; k++)
        for (long j = 0; j < WIDE; j++) panel[k * WIDE + j] = j < wide ? b.at[k * b.row + j] : 0;
    tile(rows, 2, beside, WIDE, beside, WIDE, a.at, a.row, a.step, panel, WIDE, depth);
    for (long i = 0; i < rows; i++) memcpy(c + i * c_row, beside + i * WIDE, wide * sizeof(float));
}

/* Rows of A, `depth` numbers of each, moved to `beside` where they would push each other out of the cache. */
INLINE Matrix rows_of(Matrix a, long rows, long depth, float *beside) {
    if (a.step != 1 || a.row % PAGE) return a;
    for (long i = 0; i < rows; i++) memcpy(beside + i * (depth + LANES), a.at + i * a.row, depth * sizeof(float));
    return (Matrix){beside, depth + LANES, 1};
}

/* Into how many parts the columns are cut; the rows then into threads / as many. Where there are rows enough only these are: threads that write to one
   page of new memory for the first time wait for each other. */
static int parts_of_columns(long rows, long panels, int threads) {
    int best = 1;
    if (rows >= MANY_ROWS * threads) return best;
    double least_work = 0;
    for (int parts = 1; parts <= threads; parts++) {
        double work = (double)((panels + parts - 1) / parts) * ((double)rows * parts / threads + TURN_COSTS);
        if (threads % parts == 0 && (parts == 1 || work < least_work)) best = parts, least_work = work;
    }
    return best;
}

/* `matmul` where a has few rows and b's columns are in one piece: b' takes the left matrix' place and is read once, as it lies; a is turned instead. */
static int times_few(float *c, Matrix a, const float *b_at, long b_step, const float *bias, long adds, long rows, long depth, long columns,
                     int threads) {
    long width = rounded_up(rows, LANES), one = ROWS * (depth + LANES), tiles = (columns + ROWS - 1) / ROWS;
    float *turned = scratch(depth * width + threads * one);
    if (!turned) return 1;
    if (a.step == 1) turn(turned, width, a.at, a.row, rows, depth);
    else
        for (long k = 0; k < depth; k++)
            for (long i = 0; i < width; i++) turned[k * width + i] = i < rows ? a.at[i * a.row + k * a.step] : 0;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++) {
        float *beside = turned + depth * width + part * one, sums[ROWS * WIDE] = {0};
        for (long t = tiles * part / threads; t < tiles * (part + 1) / threads; t++) {
            long from = t * ROWS, high = least(ROWS, columns - from);
            Matrix left = rows_of((Matrix){b_at + from * b_step, b_step, 1}, high, depth, beside);
            long ahead = ((intptr_t)(b_at + (from + ROWS) * b_step) - (intptr_t)left.at) / (long)sizeof(float); /* of rows that were moved, too */
            for (long i = 0; i < rows; i += WIDE) {
                long some = least(WIDE, rows - i);
                for (long j = 0; (bias || adds) && j < high; j++)
                    for (long r = 0; r < some; r++)
                        sums[j * WIDE + r] = adds ? c[(i + r) * columns + from + j] : bias ? bias[from + j] : 0;
                const float *start = bias || adds ? sums : NULL;
                if (high < ROWS) tile((int)high, some > LANES ? 2 : 1, sums, WIDE, start, WIDE, left.at, left.row, 1, turned + i, width, depth);
                else if (some > LANES) tile_of(ROWS, 2, sums, WIDE, start, WIDE, left.at, left.row, 1, turned + i, width, depth, ahead);
                else tile_of(ROWS, 1, sums, WIDE, start, WIDE, left.at, left.row, 1, turned + i, width, depth, ahead);
                for (long r = 0; r < some; r++)
                    for (long j = 0; j < high; j++) c[(i + r) * columns + from + j] = sums[j * WIDE + r];
            }
        }
    }
    return 0;
}

/* c = a b + bias, (R, N), in rows, or with `adds` c += a b; bias: (N,), or NULL. Where b's rows, not its columns, lie next to each other, K is a multiple
   of LANES. Returns: 0, or 1 where memory ran out. */
int matmul(float *c, const float *a_at, int64_t a_row, int64_t a_step, const float *b_at, int64_t b_row, int64_t b_step, const float *bias,
           int64_t adds, int64_t rows, int64_t depth, int64_t columns, int threads) {
    if (b_step != 1 && rows <= FEW_ROWS) return times_few(c, (Matrix){a_at, a_row, a_step}, b_at, b_step, bias, adds, rows, depth, columns, threads);
    long panels = (columns + WIDE - 1) / WIDE, slices = (depth + DEPTH - 1) / DEPTH, vecs = (depth + LANES - 1) / LANES;
    int across = parts_of_columns(rows, panels, threads), down = threads / across, failed = 0, turns = b_step != 1;
#pragma omp parallel for schedule(static, 1) num_threads(threads) reduction(| : failed)
    for (int part = 0; part < threads; part++) {
        long first = panels * (part % across) / across, last = panels * (part % across + 1) / across, bands = (last - first + BAND - 1) / BAND;
        long top = rows * (part / across) / down, height = rows * (part / across + 1) / down - top, tiles = (height + ROWS - 1) / ROWS;
        float *turned = scratch(BAND * WIDE * DEPTH), beside[ROWS * (DEPTH + LANES)];
        failed |= !turned;
        for (long work = 0; turned && height && work < bands * slices; work++) { /* a slice of a band */
            long band = work / slices, slice = work % slices, k = vecs * slice / slices * LANES;
            long some = least(depth, vecs * (slice + 1) / slices * LANES) - k;
            long left = (first + (last - first) * band / bands) * WIDE, right = least(columns, (first + (last - first) * (band + 1) / bands) * WIDE);
            for (long j = left; turns && j < right; j += WIDE)
                turn(turned + (j - left) * some, WIDE, b_at + k * b_row + j * b_step, b_step, least(WIDE, right - j), some);
            for (long t = 0; t < tiles; t++) {
                long from = top + height * t / tiles, high = top + height * (t + 1) / tiles - from;
                Matrix a = rows_of((Matrix){a_at + from * a_row + k * a_step, a_row, a_step}, high, some, beside);
                for (long j = left; j < right; j += WIDE) {
                    Matrix b = turns ? (Matrix){turned + (j - left) * some, WIDE, 1} : (Matrix){b_at + k * b_row + j, b_row, 1};
                    float *at = c + from * columns + j;
                    const float *start = adds || slice ? at : bias ? bias + j : NULL;
                    tile_of_any_width((int)high, least(WIDE, right - j), at, columns, start, start == at ? columns : 0, a, b, some);
                }
            }
        }
    }
    return failed;
}
