/* Products of matrices. Each number of a result is summed in an order that depends on the depth alone: it is the same, to the bit, however many rows are
   multiplied together and whatever the number of threads.

   R rows    K depth    N columns

   A band of columns of the right matrix is copied, a panel of WIDE columns after the other, so that it stays in a core's own cache while all rows pass.
   Source: Goto and van de Geijn (2008), "Anatomy of High-Performance Matrix Multiplication", https://doi.org/10.1145/1356052.1356053. */

#include "tile.h"

#define DEPTH 640         /* of a band: with the columns below, half of a megabyte */
#define BAND (192 / WIDE) /* panels */
#define COPY_COSTS 12     /* to copy a panel takes about as long as to multiply so many rows by it */

typedef struct {
    const float *at;
    long row, step; /* strides, in numbers, of which one is 1 */
} Matrix;

/* `depth` x WIDE numbers of `from`, from row k and column j on; zeros where it has no more columns. */
INLINE void copy_panel(float *panel, Matrix from, long k, long depth, long j, long columns) {
    const float *at = from.at + k * from.row + j * from.step;
    long some = least(WIDE, columns - j);
    if (from.step != 1) turn(panel, WIDE, at, from.step, some, depth);
    else if (some == WIDE)
        for (long i = 0; i < depth; i++) {
            store(panel + i * WIDE, load(at + i * from.row));
            store(panel + i * WIDE + LANES, load(at + i * from.row + LANES));
        }
    else
        for (long i = 0; i < depth; i++)
            for (long c = 0; c < WIDE; c++) panel[i * WIDE + c] = c < some ? at[i * from.row + c] : 0;
}

/* A tile of `wide` columns, however many: where the last register would reach beyond them it is made beside, and what there is of it goes home. */
static void tile_of_any_width(int rows, long wide, float *c, long c_row, const float *start, long start_row, const float *a, long a_row,
                              long a_step, const float *panel, long depth) {
    if (wide % LANES == 0) {
        tile(rows, (int)(wide / LANES), c, c_row, start, start_row, a, a_row, a_step, panel, WIDE, depth);
        return;
    }
    float beside[ROWS * WIDE] = {0};
    for (long i = 0; start && i < rows; i++) memcpy(beside + i * WIDE, start + i * start_row, wide * sizeof(float));
    tile(rows, 2, beside, WIDE, beside, WIDE, a, a_row, a_step, panel, WIDE, depth);
    for (long i = 0; i < rows; i++) memcpy(c + i * c_row, beside + i * WIDE, wide * sizeof(float));
}

/* Into how many parts the columns are cut; the rows then into threads / as many. */
static int parts_of_columns(long rows, long panels, int threads) {
    int best = 1;
    double least_work = 0;
    for (int parts = 1; parts <= threads; parts++) {
        double work = (double)((panels + parts - 1) / parts) * ((double)rows * parts / threads + COPY_COSTS);
        if (threads % parts == 0 && (parts == 1 || work < least_work)) best = parts, least_work = work;
    }
    return best;
}

/* c = a b + bias, (R, N), in rows, or with `adds` c += a b; bias: (N,), or NULL. Where b's rows, not its columns, lie next to each other, K is a multiple of LANES.
   Returns: 0, or 1 where memory ran out. */
int matmul(float *c, const float *a_at, int64_t a_row, int64_t a_step, const float *b_at, int64_t b_row, int64_t b_step, const float *bias,
           int64_t adds, int64_t rows, int64_t depth, int64_t columns, int threads) {
    Matrix b = {b_at, b_row, b_step};
    long panels = (columns + WIDE - 1) / WIDE, slices = (depth + DEPTH - 1) / DEPTH, vecs = (depth + LANES - 1) / LANES;
    int across = parts_of_columns(rows, panels, threads), down = threads / across, failed = 0;
#pragma omp parallel for schedule(static, 1) num_threads(threads) reduction(| : failed)
    for (int part = 0; part < threads; part++) {
        long first = panels * (part % across) / across, last = panels * (part % across + 1) / across;
        long top = rows * (part / across) / down, height = rows * (part / across + 1) / down - top;
        long tiles = (height + ROWS - 1) / ROWS;
        float *band = scratch(BAND * WIDE * DEPTH);
        failed |= !band;
        for (long p = first; band && p < last; p += BAND)
            for (long slice = 0; slice < slices; slice++) {
                long k = vecs * slice / slices * LANES, some = least(depth, vecs * (slice + 1) / slices * LANES) - k;
                long end = least(BAND, last - p);
                for (long i = 0; i < end; i++) copy_panel(band + i * some * WIDE, b, k, some, (p + i) * WIDE, columns);
                for (long t = 0; t < tiles; t++) {
                    long from = top + height * t / tiles, to = top + height * (t + 1) / tiles;
                    for (long i = 0; i < end; i++) {
                        long j = (p + i) * WIDE;
                        float *at = c + from * columns + j;
                        tile_of_any_width((int)(to - from), least(WIDE, columns - j), at, columns, adds || slice ? at : bias ? bias + j : NULL,
                                          adds || slice ? columns : 0, a_at + from * a_row + k * a_step, a_row, a_step, band + i * some * WIDE, some);
                    }
                }
            }
    }
    return failed;
}
