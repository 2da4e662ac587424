/* One tile of a matrix product, kept in registers, of which every product here is made.

   Everything is float32 and row-major. A "vec" is as many numbers as a register of this processor holds; compilers lower it where it is
   wider than that. */

#ifndef TUNESMITH_TILE_H
#define TUNESMITH_TILE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 12 /* 24 of 32 registers hold the tile */
#elif defined(__AVX__)
#define LANES 8
#define ROWS 6 /* 12 of 16 */
#else
#define LANES 4
#define ROWS 6
#endif
#define WIDE (2 * LANES)

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float vec_in_memory __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));

#define INLINE static inline __attribute__((always_inline))

INLINE long rounded_up(long n, long multiple) { return (n + multiple - 1) / multiple * multiple; }
INLINE long least(long a, long b) { return a < b ? a : b; }

INLINE vec load(const float *p) { return *(const vec_in_memory *)p; }
INLINE void store(float *p, vec x) { *(vec_in_memory *)p = x; }
INLINE vec all(float x) { return x - (vec){}; }

INLINE float sum_of(vec x) {
    float s = 0;
    for (int i = 0; i < LANES; i++) s += x[i];
    return s;
}

INLINE float largest_of(vec x) {
    float m = x[0];
    for (int i = 1; i < LANES; i++) m = x[i] > m ? x[i] : m;
    return m;
}

/* `a` where it is not a number. */
INLINE vec larger(vec a, vec b) {
    ints is = b > a;
    return (vec)(((ints)b & is) | ((ints)a & ~is));
}

/* C = start + A B for `rows` x `vecs` registers: A(i, k) = a[i * a_row + k * a_step], B(k, j) = b[k * b_row + j]. `start` can be C itself, one row for
   all (its stride 0), or NULL: nothing. `ahead`: numbers after those of A to those that the next tile reads from memory, which are fetched; 0: none. */
INLINE void tile_of(const int rows, const int vecs, float *c, long c_row, const float *start, long start_row, const float *a, long a_row,
                    long a_step, const float *b, long b_row, long depth, const long ahead) {
    vec sum[ROWS][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vecs; j++) sum[i][j] = start ? load(start + i * start_row + j * LANES) : (vec){};
#pragma GCC unroll 2
    for (long k = 0; k < depth; k++, a += a_step, b += b_row) {
        vec right[2];
#pragma GCC unroll 2
        for (int j = 0; j < vecs; j++) right[j] = load(b + j * LANES);
        if (ahead && k % LANES == 0)
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) __builtin_prefetch(a + i * a_row + ahead);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vec left = all(a[i * a_row]);
#pragma GCC unroll 2
            for (int j = 0; j < vecs; j++) sum[i][j] += left * right[j];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vecs; j++) store(c + i * c_row + j * LANES, sum[i][j]);
}

#define CASE(n)                                                                                             \
    case n:                                                                                                 \
        if (vecs == 2) tile_of(n, 2, c, c_row, start, start_row, a, a_row, a_step, b, b_row, depth, 0);     \
        else tile_of(n, 1, c, c_row, start, start_row, a, a_row, a_step, b, b_row, depth, 0);               \
        break;

static void tile(int rows, int vecs, float *c, long c_row, const float *start, long start_row, const float *a, long a_row, long a_step,
                 const float *b, long b_row, long depth) {
    switch (rows) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if ROWS > 6
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
    }
}

/* C = A B, or C += A B, for any number of rows, and of columns that is a multiple of LANES. */
static void product(long rows, long columns, float *c, long c_row, const float *a, long a_row, long a_step, const float *b, long b_row,
                    long depth, int adds) {
    for (long i = 0; i < rows; i += ROWS)
        for (long j = 0; j < columns; j += WIDE)
            tile((int)least(ROWS, rows - i), columns - j >= WIDE ? 2 : 1, c + i * c_row + j, c_row, adds ? c + i * c_row + j : NULL, c_row,
                 a + i * a_row, a_row, a_step, b + j, b_row, depth);
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shuffle)
#define SHUFFLES
#endif
#endif

/* A square of LANES x LANES numbers, its rows in registers, turned: first squares of 1 trade places across the diagonal, then of 2, 4, ... */
INLINE void turn_square(vec row[LANES]) {
#ifdef SHUFFLES
#pragma GCC unroll 4
    for (int side = 1; side < LANES; side *= 2) {
        ints low, high; /* lanes of the one row, and from LANES on of the other */
        for (int j = 0; j < LANES; j++) {
            low[j] = j & side ? LANES + j - side : j;
            high[j] = j & side ? LANES + j : j + side;
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            if (i & side) continue;
            vec one = row[i], other = row[i + side];
            row[i] = __builtin_shuffle(one, other, low);
            row[i + side] = __builtin_shuffle(one, other, high);
        }
    }
#else
    vec from[LANES];
    memcpy(from, row, sizeof from);
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++) row[i][j] = from[j][i];
#endif
}

/* turned[c * row_width + j] = x[j * x_row + c] for j < length, zeros from there to `width`. `width` and `size` are multiples of LANES. */
static void turn_into(float *turned, long row_width, long width, const float *x, long x_row, long length, long size) {
    for (long j = 0; j < width; j += LANES)
        for (long c = 0; c < size; c += LANES) {
            vec row[LANES];
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) row[i] = j + i < length ? load(x + (j + i) * x_row + c) : (vec){};
            turn_square(row);
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) store(turned + (c + i) * row_width + j, row[i]);
        }
}

static void turn(float *turned, long width, const float *x, long x_row, long length, long size) {
    turn_into(turned, width, width, x, x_row, length, size);
}

static pthread_key_t scratch_key;
static int has_scratch_key;

/* What a thread kept is given back when it ends, by the key's destructor; where there is no key it stays. */
__attribute__((constructor)) static void make_scratch_key(void) { has_scratch_key = !pthread_key_create(&scratch_key, free); }

/* Memory that a thread keeps from call to call, until it ends; its content does not. NULL where there is none left. */
static float *scratch(size_t count) {
    static _Thread_local float *kept;
    static _Thread_local size_t size;
    if (count > size) {
        free(kept);
        kept = NULL;
        size = 0;
        if (posix_memalign((void **)&kept, 64, count * sizeof(float))) kept = NULL;
        else size = count;
        if (has_scratch_key) pthread_setspecific(scratch_key, kept);
    }
    return kept;
}

#endif
