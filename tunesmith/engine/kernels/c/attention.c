/* Attention inside the segments of a packed stream, forward and backward, in float32: softmax(scale Q K') V.

   L tokens of a segment    d head size, a multiple of LANES

   Where `dropped` is not 0, so many of 65536 probabilities are dropped (after the softmax), and the others grow by what that takes away.

   One task is one segment and one key head with all query heads that share it, so that no two tasks write to the same place. K (and V, for the
   backward pass) is turned once a task, keys side by side, so that all of a tile's scores come from broadcast times load.
   Source of the backward pass: Dao et al. (2022), "FlashAttention", https://arxiv.org/abs/2205.14135, appendix B. */

#include <math.h>

#include "dropout.h"
#include "tile.h"

/* exp(x) for x <= 0, below -87 exp(-87); 2 ulp. x = n log 2 + r, |r| <= log 2 / 2: a polynomial in r, times 2^n. Cody and Waite (1980). */
INLINE vec exp_of(vec x) {
    x = larger(x, all(-87.0f));
    vec shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: the sum's last bits are the rounded integer */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = all(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (vec)((ints)p + ((ints)shifted << 23));
}

typedef struct {
    const float *at;
    long head, token; /* strides, in numbers */
} Place;

INLINE const float *of(Place x, long head, long token) { return x.at + head * x.head + token * x.token; }

/* Returns: 0, or 1 where memory ran out. out: (T, heads, d). norms: (T, heads), logarithms of the softmax's denominators. */
int attention_forward(const float *q, const float *k, const float *v, const int64_t *strides, const int64_t *bounds, int64_t num_segments,
                      int64_t heads, int64_t key_heads, int64_t size, int64_t is_causal, float scale,
                      int64_t dropped, int64_t seed, float *out, float *norms, int threads) {
    Place qs = {q, strides[0], strides[1]}, ks = {k, strides[2], strides[3]}, vs = {v, strides[4], strides[5]};
    long group = heads / key_heads;
    float gain = 65536.0f / (65536 - dropped);
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) reduction(| : failed)
    for (long task = 0; task < num_segments * key_heads; task++) {
        long start = bounds[task / key_heads], length = bounds[task / key_heads + 1] - start, key_head = task % key_heads;
        long width = rounded_up(length, WIDE);
        float *turned = scratch((size_t)(size + ROWS) * width), *scores = turned + size * width;
        if (!turned) {
            failed = 1;
            continue;
        }
        turn(turned, width, of(ks, key_head, start), ks.token, length, size);
        for (long head = key_head * group; head < (key_head + 1) * group; head++)
            for (long i = 0; i < length; i += ROWS) {
                long rows = least(ROWS, length - i), end = is_causal ? least(length, i + rows) : length;
                product(rows, rounded_up(end, WIDE), scores, width, of(qs, head, start + i), qs.token, 1, turned, width, size, 0);
                float denominators[ROWS];
                for (long row = 0; row < rows; row++) {
                    float *s = scores + row * width;
                    long seen = is_causal ? i + row + 1 : length, whole = rounded_up(seen, LANES);
                    for (long j = seen; j < whole; j++) s[j] = -INFINITY;
                    vec m = load(s);
                    for (long j = LANES; j < whole; j += LANES) m = larger(m, load(s + j));
                    float most = largest_of(m) * scale;
                    vec total = {};
                    for (long j = 0; j < whole; j += LANES) {
                        vec e = exp_of(load(s + j) * scale - most);
                        store(s + j, e);
                        total += e;
                    }
                    if (dropped) {
                        uint32_t key = row_key(seed, head, start + i + row);
                        for (long j = 0; j < whole; j += LANES) store(s + j, load(s + j) * kept(key, j, dropped, gain));
                    }
                    for (long j = seen; j < end; j++) s[j] = 0;
                    denominators[row] = sum_of(total);
                    norms[(start + i + row) * heads + head] = most + logf(denominators[row]);
                }
                float *o = out + ((start + i) * heads + head) * size;
                product(rows, size, o, heads * size, scores, width, 1, of(vs, key_head, start), vs.token, end, 0);
                for (long row = 0; row < rows; row++)
                    for (long c = 0; c < size; c += LANES)
                        store(o + row * heads * size + c, load(o + row * heads * size + c) * (1.0f / denominators[row]));
            }
    }
    return failed;
}

#define BLOCK (4 * ROWS) /* queries whose probabilities are held at a time */

/* Returns: 0, or 1 where memory ran out. grad, out, grad_q: (T, heads, d). grad_k, grad_v: (T, key heads, d). */
int attention_backward(const float *grad, const float *q, const float *k, const float *v, const float *out, const float *norms,
                       const int64_t *strides, const int64_t *bounds, int64_t num_segments, int64_t heads, int64_t key_heads, int64_t size,
                       int64_t is_causal, float scale, int64_t dropped, int64_t seed, float *grad_q, float *grad_k, float *grad_v,
                       int threads) {
    Place qs = {q, strides[0], strides[1]}, ks = {k, strides[2], strides[3]}, vs = {v, strides[4], strides[5]};
    Place gs = {grad, size, heads * size}, os = {out, size, heads * size};
    long group = heads / key_heads;
    float gain = 65536.0f / (65536 - dropped);
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) reduction(| : failed)
    for (long task = 0; task < num_segments * key_heads; task++) {
        long start = bounds[task / key_heads], length = bounds[task / key_heads + 1] - start, key_head = task % key_heads;
        long width = rounded_up(length, WIDE);
        float *turned_k = scratch((size_t)(2 * size + 2 * BLOCK) * width + 2 * size * length);
        if (!turned_k) {
            failed = 1;
            continue;
        }
        float *turned_v = turned_k + size * width, *p = turned_v + size * width, *ds = p + BLOCK * width;
        float *dk = ds + BLOCK * width, *dv = dk + size * length;
        memset(dk, 0, 2 * size * length * sizeof(float));
        turn(turned_k, width, of(ks, key_head, start), ks.token, length, size);
        turn(turned_v, width, of(vs, key_head, start), vs.token, length, size);
        for (long head = key_head * group; head < (key_head + 1) * group; head++)
            for (long block = 0; block < length; block += BLOCK) {
                long queries = least(BLOCK, length - block), all_seen = is_causal ? block + queries : length;
                for (long i = 0; i < queries; i += ROWS) {
                    long rows = least(ROWS, queries - i), end = is_causal ? block + i + rows : length, at = start + block + i;
                    product(rows, rounded_up(end, WIDE), p + i * width, width, of(qs, head, at), qs.token, 1, turned_k, width, size, 0);
                    product(rows, rounded_up(end, WIDE), ds + i * width, width, of(gs, head, at), gs.token, 1, turned_v, width, size, 0);
                    for (long row = 0; row < rows; row++) {
                        float *s = p + (i + row) * width, *d = ds + (i + row) * width, norm = norms[(at + row) * heads + head];
                        const float *g = of(gs, head, at + row), *o = of(os, head, at + row);
                        long seen = is_causal ? block + i + row + 1 : length;
                        vec dot = {};
                        for (long c = 0; c < size; c += LANES) dot += load(g + c) * load(o + c);
                        float mean = sum_of(dot);
                        uint32_t key = dropped ? row_key(seed, head, at + row) : 0;
                        for (long j = 0; j < seen; j += LANES) {
                            vec e = exp_of(load(s + j) * scale - norm), stays = dropped ? kept(key, j, dropped, gain) : all(1);
                            store(s + j, e * stays);
                            store(d + j, e * (load(d + j) * stays - mean) * scale);
                        }
                        for (long j = seen; j < all_seen; j++) s[j] = d[j] = 0;
                    }
                    product(rows, size, grad_q + (at * heads + head) * size, heads * size, ds + i * width, width, 1,
                            of(ks, key_head, start), ks.token, end, 0);
                }
                product(all_seen, size, dv, size, p, 1, width, of(gs, head, start + block), gs.token, queries, 1);
                product(all_seen, size, dk, size, ds, 1, width, of(qs, head, start + block), qs.token, queries, 1);
            }
        for (long j = 0; j < length; j++) {
            memcpy(grad_k + ((start + j) * key_heads + key_head) * size, dk + j * size, size * sizeof(float));
            memcpy(grad_v + ((start + j) * key_heads + key_head) * size, dv + j * size, size * sizeof(float));
        }
    }
    return failed;
}
