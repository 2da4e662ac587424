/* One token a sequence: its query and key are rotated to where it stands, its key and value kept, and it attends to all that its sequence keeps.

   R sequences    K keys of the fullest    d head size, a multiple of LANES */

#include <math.h>

#include "exp.h"
#include "tile.h"

#define FEW 16384 /* numbers that one thread has done before others have begun */

/* Rotary positions. With (a, b) the halves of a head: a' = a cos_a - b sin_a, b' = b cos_b + a sin_b; `back`: the gradient of (a, b) from that of
   (a', b'). x: a head's numbers side by side, heads and tokens as strides say. y: (T, heads, d). cos, sin: (T, d). d is a multiple of 2 LANES.
   Source: Su et al. (2021), "RoFormer: Enhanced Transformer with Rotary Position Embedding", https://arxiv.org/abs/2104.09864. */
void rotate(const float *x, int64_t head_stride, int64_t token_stride, const float *cos, const float *sin, float *y, int64_t tokens, int64_t heads,
            int64_t size, int64_t back, int threads) {
    long half = size / 2;
#pragma omp parallel for schedule(static) num_threads(tokens *heads *size > FEW ? threads : 1)
    for (long t = 0; t < tokens; t++)
        for (long head = 0; head < heads; head++) {
            const float *from = x + head * head_stride + t * token_stride, *c = cos + t * size, *s = sin + t * size;
            float *to = y + (t * heads + head) * size;
            for (long i = 0; i < half; i += LANES) {
                vec a = load(from + i), b = load(from + half + i), sin_a = load(s + i), sin_b = load(s + half + i);
                store(to + i, a * load(c + i) + b * (back ? sin_b : -sin_a));
                store(to + half + i, b * load(c + half + i) + a * (back ? -sin_a : sin_b));
            }
        }
}

/* q: heads and tokens as strides say, as those of k and v, which go to `places` in keys and values, (R, key heads, capacity, d). mask: (R, K), added
   to the scores. out: (R, heads, d). Returns: 0, or 1 where memory ran out. */
int attention_step(const float *q, const float *k, const float *v, const int64_t *strides, const int64_t *places, const float *mask, float *keys,
                   float *values, int64_t rows, int64_t longest, int64_t capacity, int64_t heads, int64_t key_heads, int64_t size, float scale,
                   float *out, int threads) {
    long group = heads / key_heads, width = rounded_up(longest, LANES);
    int failed = 0;
#pragma omp parallel for schedule(static) num_threads(rows *key_heads *longest *size > FEW ? threads : 1) reduction(| : failed)
    for (long task = 0; task < rows * key_heads; task++) {
        long row = task / key_heads, key_head = task % key_heads;
        float *own_keys = keys + task * capacity * size, *own_values = values + task * capacity * size;
        float *scores = scratch(group * width + LANES * size), *turned = scores + group * width;
        if (!scores) {
            failed = 1;
            continue;
        }
        memcpy(own_keys + places[row] * size, k + key_head * strides[2] + row * strides[3], size * sizeof(float));
        memcpy(own_values + places[row] * size, v + key_head * strides[4] + row * strides[5], size * sizeof(float));
        for (long j = 0; j < width; j += LANES) {
            turn(turned, LANES, own_keys + j * size, size, least(LANES, longest - j), size);
            product(group, LANES, scores + j, width, q + key_head * group * strides[0] + row * strides[1], strides[0], 1, turned, LANES, size, 0);
        }
        for (long one = 0; one < group; one++) {
            float *s = scores + one * width, *o = out + (row * heads + key_head * group + one) * size;
            for (long j = 0; j < longest; j++) s[j] = s[j] * scale + mask[row * longest + j];
            for (long j = longest; j < width; j++) s[j] = -INFINITY;
            vec m = load(s), total = {};
            for (long j = LANES; j < width; j += LANES) m = larger(m, load(s + j));
            float most = largest_of(m);
            for (long j = 0; j < width; j += LANES) {
                vec x = load(s + j) - most;
                ints is_seen = x > -87.0f; /* else nothing, as what is masked */
                vec e = (vec)((ints)exp_of(x) & is_seen);
                store(s + j, e);
                total += e;
            }
            float gain = 1.0f / sum_of(total);
            product(1, size, o, size, s, width, 1, own_values, size, longest, 0);
            for (long c = 0; c < size; c += LANES) store(o + c, load(o + c) * gain);
        }
    }
    return failed;
}
