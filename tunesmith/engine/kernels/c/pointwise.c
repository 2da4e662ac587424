/* What lies between the products of a transformer's layer, in one pass each: the gate of its feed-forward part, and root mean square normalization.

   Sources: Shazeer (2020), "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202 (SwiGLU); Zhang & Sennrich (2019), "Root Mean Square
   Layer Normalization", https://arxiv.org/abs/1910.07467. */

#include <math.h>

#include "exp.h"
#include "tile.h"

#define PIECE 4096 /* numbers of a thread's turn */

/* 1 / (1 + exp(-x)), from exp(-|x|), which cannot overflow; nothing where that is less than a number can be. */
INLINE vec sigmoid_of(vec x) {
    vec below = (vec)((ints)x | ((ints){} + (int32_t)0x80000000));
    ints sign = x < 0, is_some = below > -87.0f;
    vec e = (vec)((ints)exp_of(below) & is_some), s = 1.0f / (1.0f + e);
    return (vec)(((ints)(e * s) & sign) | ((ints)s & ~sign));
}

/* y = silu(g) u, silu(x) = x sigmoid(x). `count` is a multiple of LANES. */
void gated(const float *g, const float *u, float *y, int64_t count, int threads) {
#pragma omp parallel for schedule(static) num_threads(count > PIECE ? threads : 1)
    for (long piece = 0; piece < count; piece += PIECE)
        for (long i = piece; i < least(count, piece + PIECE); i += LANES) {
            vec x = load(g + i);
            store(y + i, x * sigmoid_of(x) * load(u + i));
        }
}

/* The gradients of g and u, from that of y: silu'(x) = s (1 + x (1 - s)), s = sigmoid(x). */
void gated_backward(const float *grad, const float *g, const float *u, float *grad_g, float *grad_u, int64_t count, int threads) {
#pragma omp parallel for schedule(static) num_threads(count > PIECE ? threads : 1)
    for (long piece = 0; piece < count; piece += PIECE)
        for (long i = piece; i < least(count, piece + PIECE); i += LANES) {
            vec x = load(g + i), s = sigmoid_of(x), from = load(grad + i);
            store(grad_u + i, from * x * s);
            store(grad_g + i, from * load(u + i) * s * (1.0f + x * (1.0f - s)));
        }
}

/* y = w x / rms(x), row by row, rms(x) = sqrt(mean(x x) + epsilon). Where `known`, `inverse` holds the rows' 1 / rms, else they are left in it.
   `columns` is a multiple of LANES. */
void rms_norm(const float *x, const float *w, float *y, float *inverse, int64_t rows, int64_t columns, float epsilon, int64_t known, int threads) {
#pragma omp parallel for schedule(static) num_threads(rows *columns > PIECE * 4 ? threads : 1)
    for (long i = 0; i < rows; i++) {
        const float *from = x + i * columns;
        if (!known) {
            vec sum = {};
            for (long j = 0; j < columns; j += LANES) sum += load(from + j) * load(from + j);
            inverse[i] = 1.0f / sqrtf(sum_of(sum) / columns + epsilon);
        }
        for (long j = 0; j < columns; j += LANES) store(y + i * columns + j, load(w + j) * (load(from + j) * inverse[i]));
    }
}

/* The gradient of x: with n = x / rms and h = w grad, (h - n mean(n h)) / rms. */
void rms_norm_backward(const float *grad, const float *x, const float *w, const float *inverse, float *grad_x, int64_t rows, int64_t columns,
                       int threads) {
#pragma omp parallel for schedule(static) num_threads(rows *columns > PIECE * 4 ? threads : 1)
    for (long i = 0; i < rows; i++) {
        const float *from = x + i * columns, *back = grad + i * columns;
        vec sum = {};
        for (long j = 0; j < columns; j += LANES) sum += load(back + j) * load(w + j) * load(from + j);
        float r = inverse[i], along = sum_of(sum) / columns * r * r;
        for (long j = 0; j < columns; j += LANES)
            store(grad_x + i * columns + j, (load(back + j) * load(w + j) - load(from + j) * along) * r);
    }
}
