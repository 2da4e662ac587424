/* The thin products of a low-rank adapter beside a frozen weight, and products in int8: what is bound by memory, in as few passes as there can be.

   T tokens    I inputs    O outputs, both multiples of LANES    r rank */

#include <float.h>

#include "tile.h"

int matmul(float *c, const float *a_at, int64_t a_row, int64_t a_step, const float *b_at, int64_t b_row, int64_t b_step, const float *bias,
           int64_t adds, int64_t rows, int64_t depth, int64_t columns, int threads); /* of matmul.c */

int64_t lanes(void) { return LANES; }

#define BLOCK (4 * ROWS) /* tokens that are worked on while they lie in a core's own cache */

INLINE vec distance(vec x) { return (vec)((ints)x & ((ints){} + 0x7fffffff)); }

/* Row by row: x / step rounded to the nearest integer (the even one of two), and step = the largest |x| / 127. Where `scale` is given, each column of x
   is multiplied by its number before. */
void quantize_rows(const float *x, const float *scale, int64_t rows, int64_t columns, int8_t *rounded, float *steps, int threads) {
    typedef int8_t bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long i = 0; i < rows; i++) {
        const float *from = x + i * columns;
        vec most = {}, nothing = {};
        for (long j = 0; j < columns; j += LANES) {
            vec one = scale ? load(from + j) * load(scale + j) : load(from + j);
            most = larger(most, distance(one));
            nothing += one * 0; /* but for what is not a finite number: the row is none then either */
        }
        float largest = largest_of(most);
        float step = (largest > FLT_MIN ? largest : FLT_MIN) / 127 + sum_of(nothing);
        steps[i] = step;
        for (long j = 0; j < columns; j += LANES) {
            vec one = (scale ? load(from + j) * load(scale + j) : load(from + j)) / step;
            one = (one + 12582912.0f) - 12582912.0f; /* 1.5 * 2^23: sums of this size are integers */
            *(bytes *)(rounded + i * columns + j) = __builtin_convertvector(__builtin_convertvector(one, ints), bytes);
        }
    }
}

/* Sums of an int8 product, int32, become y in place: times the row's step, times the column's scale where there is one, plus its bias. */
static void rescale(float *y, long rows, long columns, const float *steps, const float *scale, const float *bias) {
    typedef int32_t ints_in_memory __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j += LANES) {
            float *at = y + i * columns + j;
            vec one = __builtin_convertvector(*(const ints_in_memory *)at, vec) * steps[i];
            if (scale) one = one * load(scale + j);
            store(at, bias ? one + load(bias + j) : one);
        }
}

void rescale_rows(float *y, int64_t rows, int64_t columns, const float *steps, const float *scale, const float *bias, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long i = 0; i < rows; i += BLOCK)
        rescale(y + i * columns, least(BLOCK, rows - i), columns, steps + i, scale, bias);
}

/* y += alpha x A' B', in place; where `steps` is given, y holds the sums of an int8 product before (see above). xa: (T, r), becomes x A'.
   a: (r, I). b: (O, r). Returns: 0, or 1 where memory ran out. */
int adapter_forward(float *y, const float *x, const float *a, const float *b, float *xa, int64_t tokens, int64_t inputs, int64_t outputs,
                    int64_t rank, float alpha, const float *steps, const float *scale, const float *bias, int threads) {
    long width = rounded_up(rank, LANES);
    float *turned_a, *turned_b;
    if (posix_memalign((void **)&turned_a, 64, (inputs * width + rank * outputs) * sizeof(float))) return 1;
    turned_b = turned_a + inputs * width;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (long j = 0; j < inputs; j += LANES) turn(turned_a + j * width, width, a + j, inputs, rank, LANES);
#pragma omp for schedule(static)
        for (long j = 0; j < outputs; j++)
            for (long k = 0; k < rank; k++) turned_b[k * outputs + j] = b[j * rank + k] * alpha;
#pragma omp for schedule(static)
        for (long t = 0; t < tokens; t += BLOCK) {
            long some = least(BLOCK, tokens - t);
            float part[BLOCK * width];
            product(some, width, part, width, x + t * inputs, inputs, 1, turned_a, width, inputs, 0);
            for (long i = 0; i < some; i++) memcpy(xa + (t + i) * rank, part + i * width, rank * sizeof(float));
            if (steps) rescale(y + t * outputs, some, outputs, steps + t, scale, bias);
            product(some, outputs, y + t * outputs, outputs, part, width, 1, turned_b, outputs, rank, 1);
        }
    }
    free(turned_a);
    return 0;
}

/* y = x W' + bias + alpha x A' B', as `matmul` and `adapter_forward` make it. w: (O, I), in rows. Returns: as they do. */
int adapted(float *y, const float *x, const float *w, const float *bias, const float *a, const float *b, float *xa, int64_t tokens, int64_t inputs,
            int64_t outputs, int64_t rank, float alpha, int threads) {
    return matmul(y, x, inputs, 1, w, 1, inputs, bias, 0, tokens, inputs, outputs, threads) ||
           adapter_forward(y, x, a, b, xa, tokens, inputs, outputs, rank, alpha, NULL, NULL, NULL, threads);
}

/* The gradients of all three, from grad, (T, O): grad_a, (r, I); grad_b, (O, r); and grad_x += alpha grad B A, in place, or NULL where it is not
   wanted. `steps`: as above, of grad_x. Returns: 0, or 1 where memory ran out. */
int adapter_backward(const float *grad, const float *x, const float *a, const float *b, const float *xa, float *grad_x, float *grad_a,
                     float *grad_b, int64_t tokens, int64_t inputs, int64_t outputs, int64_t rank, float alpha, const float *steps,
                     int threads) {
    long width = rounded_up(rank, LANES), own = rank * (inputs + outputs);
    float *filled_b, *sums; /* of each thread: the gradients of A, and of B turned */
    if (posix_memalign((void **)&filled_b, 64, (outputs * width + threads * own) * sizeof(float))) return 1;
    sums = filled_b + outputs * width;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (long j = 0; j < outputs; j++)
            for (long k = 0; k < width; k++) filled_b[j * width + k] = k < rank ? b[j * rank + k] : 0;
#pragma omp for schedule(static, 1)
        for (long part = 0; part < threads; part++) { /* parts, not threads: as many sums in the same order, whoever makes them */
            float *sum_a = sums + part * own, *sum_b = sum_a + rank * inputs, gb[BLOCK * width];
            memset(sum_a, 0, own * sizeof(float));
            long blocks = (tokens + BLOCK - 1) / BLOCK, end = least(tokens, blocks * (part + 1) / threads * BLOCK);
            for (long t = blocks * part / threads * BLOCK; t < end; t += BLOCK) {
                long some = least(BLOCK, tokens - t);
                product(some, width, gb, width, grad + t * outputs, outputs, 1, filled_b, width, outputs, 0);
                product(rank, outputs, sum_b, outputs, xa + t * rank, 1, rank, grad + t * outputs, outputs, some, 1);
                for (long i = 0; i < some * width; i++) gb[i] *= alpha;
                product(rank, inputs, sum_a, inputs, gb, 1, width, x + t * inputs, inputs, some, 1);
                if (!grad_x) continue;
                if (steps) rescale(grad_x + t * inputs, some, inputs, steps + t, NULL, NULL);
                product(some, inputs, grad_x + t * inputs, inputs, gb, width, 1, a, inputs, rank, 1);
            }
        }
#pragma omp for schedule(static)
        for (long i = 0; i < rank * inputs; i++) {
            float s = 0;
            for (long part = 0; part < threads; part++) s += sums[part * own + i];
            grad_a[i] = s;
        }
#pragma omp for schedule(static)
        for (long j = 0; j < outputs; j++)
            for (long k = 0; k < rank; k++) {
                float s = 0;
                for (long part = 0; part < threads; part++) s += sums[part * own + rank * inputs + k * outputs + j];
                grad_b[j * rank + k] = s * alpha;
            }
    }
    free(filled_b);
    return 0;
}
