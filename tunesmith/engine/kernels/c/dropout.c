/* Dropout of a tensor: y = x / (1 - p) where it stays, else 0. In the backward pass x is the gradient. */

#include "dropout.h"

#define ROW 1024 /* numbers that share a key */

/* `count` is a multiple of LANES. */
void drop(const float *x, float *y, int64_t count, int64_t dropped, int64_t seed, int threads) {
    float gain = 65536.0f / (65536 - dropped);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long row = 0; row < count; row += ROW) {
        uint32_t key = row_key(seed, 0, row / ROW);
        for (long i = row; i < least(count, row + ROW); i += LANES) store(y + i, load(x + i) * kept(key, i - row, dropped, gain));
    }
}
