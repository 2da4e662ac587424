/* Attention inside the segments of a packed stream, forward and backward, in float32: softmax(scale Q K') V.

   L tokens of a segment    d head size, a multiple of LANES

   Where `rooted`, every segment but the first continues the first, its root: its queries see the keys of the root too, which stand before its own.

   Where `dropped` is not 0, so many of 65536 probabilities are dropped (after the softmax), and the others grow by what that takes away.

   One task is one segment and one key head with all query heads that share it, so that no two tasks write to the same place. K (and V, for the
   backward pass) is turned once a task, keys side by side, so that all of a tile's scores come from broadcast times load.
   Source of the backward pass: Dao et al. (2022), "FlashAttention", https://arxiv.org/abs/2205.14135, appendix B. */

#include <math.h>

#include "dropout.h"
#include "exp.h"
#include "tile.h"

typedef struct {
    const float *at;
    long head, token; /* strides, in numbers */
} Place;

INLINE const float *of(Place x, long head, long token) { return x.at + head * x.head + token * x.token; }

/* Returns: 0, or 1 where memory ran out. out: (T, heads, d). norms: (T, heads), logarithms of the softmax's denominators. */
int attention_forward(const float *q, const float *k, const float *v, const int64_t *strides, const int64_t *bounds, int64_t num_segments,
                      int64_t heads, int64_t key_heads, int64_t size, int64_t is_causal, int64_t rooted, float scale,
                      int64_t dropped, int64_t seed, float *out, float *norms, int threads) {
    Place qs = {q, strides[0], strides[1]}, ks = {k, strides[2], strides[3]}, vs = {v, strides[4], strides[5]};
    long group = heads / key_heads;
    float gain = 65536.0f / (65536 - dropped);
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) reduction(| : failed)
    for (long task = 0; task < num_segments * key_heads; task++) {
        long start = bounds[task / key_heads], length = bounds[task / key_heads + 1] - start, key_head = task % key_heads;
        long root = rooted && start ? bounds[1] : 0, before = rounded_up(root, LANES), width = before + rounded_up(length, WIDE);
        float *turned = scratch((size_t)(size + ROWS) * width), *scores = turned + size * width;
        if (!turned) {
            failed = 1;
            continue;
        }
        turn_into(turned, width, before, of(ks, key_head, 0), ks.token, root, size);
        turn_into(turned + before, width, width - before, of(ks, key_head, start), ks.token, length, size);
        for (long head = key_head * group; head < (key_head + 1) * group; head++)
            for (long i = 0; i < length; i += ROWS) {
                long rows = least(ROWS, length - i), end = is_causal ? least(length, i + rows) : length;
                product(rows, before + rounded_up(end, WIDE), scores, width, of(qs, head, start + i), qs.token, 1, turned, width, size, 0);
                float denominators[ROWS];
                for (long row = 0; row < rows; row++) {
                    float *s = scores + row * width;
                    long seen = before + (is_causal ? i + row + 1 : length), whole = rounded_up(seen, LANES);
                    for (long j = root; j < before; j++) s[j] = -INFINITY;
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
                    for (long j = seen; j < before + end; j++) s[j] = 0;
                    denominators[row] = sum_of(total);
                    norms[(start + i + row) * heads + head] = most + logf(denominators[row]);
                }
                float *o = out + ((start + i) * heads + head) * size;
                product(rows, size, o, heads * size, scores + before, width, 1, of(vs, key_head, start), vs.token, end, 0);
                if (root) product(rows, size, o, heads * size, scores, width, 1, of(vs, key_head, 0), vs.token, root, 1);
                for (long row = 0; row < rows; row++)
                    for (long c = 0; c < size; c += LANES)
                        store(o + row * heads * size + c, load(o + row * heads * size + c) * (1.0f / denominators[row]));
            }
    }
    return failed;
}

#define BLOCK (4 * ROWS) /* queries whose probabilities are held at a time */

/* The backward pass of one segment and key head; what the root gets of it is added to root_k and root_v, (root, d). Returns: as below. */
typedef struct {
    Place q, k, v, grad, out;
    const float *norms;
    long heads, key_heads, size, is_causal, dropped, seed;
    float scale, *grad_q, *grad_k, *grad_v;
} Backward;

static int segment_backward(const Backward *of_all, long start, long length, long root, long key_head, float *root_k, float *root_v) {
    const Backward a = *of_all;
    long group = a.heads / a.key_heads, size = a.size, before = rounded_up(root, LANES), width = before + rounded_up(length, WIDE);
    float gain = 65536.0f / (65536 - a.dropped);
    float *turned_k = scratch((size_t)(2 * size + 2 * BLOCK) * width + 2 * size * length);
    if (!turned_k) return 1;
    float *turned_v = turned_k + size * width, *p = turned_v + size * width, *ds = p + BLOCK * width;
    float *dk = ds + BLOCK * width, *dv = dk + size * length;
    memset(dk, 0, 2 * size * length * sizeof(float));
    turn_into(turned_k, width, before, of(a.k, key_head, 0), a.k.token, root, size);
    turn_into(turned_v, width, before, of(a.v, key_head, 0), a.v.token, root, size);
    turn_into(turned_k + before, width, width - before, of(a.k, key_head, start), a.k.token, length, size);
    turn_into(turned_v + before, width, width - before, of(a.v, key_head, start), a.v.token, length, size);
    for (long head = key_head * group; head < (key_head + 1) * group; head++)
        for (long block = 0; block < length; block += BLOCK) {
            long queries = least(BLOCK, length - block), all_seen = a.is_causal ? block + queries : length;
            for (long i = 0; i < queries; i += ROWS) {
                long rows = least(ROWS, queries - i), end = a.is_causal ? block + i + rows : length, at = start + block + i;
                long columns = before + rounded_up(end, WIDE);
                product(rows, columns, p + i * width, width, of(a.q, head, at), a.q.token, 1, turned_k, width, size, 0);
                product(rows, columns, ds + i * width, width, of(a.grad, head, at), a.grad.token, 1, turned_v, width, size, 0);
                for (long row = 0; row < rows; row++) {
                    float *s = p + (i + row) * width, *d = ds + (i + row) * width, norm = a.norms[(at + row) * a.heads + head];
                    const float *g = of(a.grad, head, at + row), *o = of(a.out, head, at + row);
                    long seen = before + (a.is_causal ? block + i + row + 1 : length);
                    vec dot = {};
                    for (long c = 0; c < size; c += LANES) dot += load(g + c) * load(o + c);
                    float mean = sum_of(dot);
                    uint32_t key = a.dropped ? row_key(a.seed, head, at + row) : 0;
                    for (long j = 0; j < seen; j += LANES) {
                        vec e = exp_of(load(s + j) * a.scale - norm), stays = a.dropped ? kept(key, j, a.dropped, gain) : all(1);
                        store(s + j, e * stays);
                        store(d + j, e * (load(d + j) * stays - mean) * a.scale);
                    }
                    for (long j = root; j < before; j++) s[j] = d[j] = 0;
                    for (long j = seen; j < before + all_seen; j++) s[j] = d[j] = 0;
                }
                float *dq = a.grad_q + (at * a.heads + head) * size, *of_scores = ds + i * width;
                product(rows, size, dq, a.heads * size, of_scores + before, width, 1, of(a.k, key_head, start), a.k.token, end, 0);
                if (root) product(rows, size, dq, a.heads * size, of_scores, width, 1, of(a.k, key_head, 0), a.k.token, root, 1);
            }
            const float *some_q = of(a.q, head, start + block), *some_grad = of(a.grad, head, start + block);
            product(all_seen, size, dv, size, p + before, 1, width, some_grad, a.grad.token, queries, 1);
            product(all_seen, size, dk, size, ds + before, 1, width, some_q, a.q.token, queries, 1);
            if (root) {
                product(root, size, root_v, size, p, 1, width, some_grad, a.grad.token, queries, 1);
                product(root, size, root_k, size, ds, 1, width, some_q, a.q.token, queries, 1);
            }
        }
    for (long j = 0; j < length; j++) {
        memcpy(a.grad_k + ((start + j) * a.key_heads + key_head) * size, dk + j * size, size * sizeof(float));
        memcpy(a.grad_v + ((start + j) * a.key_heads + key_head) * size, dv + j * size, size * sizeof(float));
    }
    return 0;
}

/* Returns: 0, or 1 where memory ran out. grad, out, grad_q: (T, heads, d). grad_k, grad_v: (T, key heads, d).

   Where there is a root, the segments are dealt to so many parts that every thread has work, and each part sums what its segments give the root: as
   many sums in the same order, whoever makes them. */
int attention_backward(const float *grad, const float *q, const float *k, const float *v, const float *out, const float *norms,
                       const int64_t *strides, const int64_t *bounds, int64_t num_segments, int64_t heads, int64_t key_heads, int64_t size,
                       int64_t is_causal, int64_t rooted, float scale, int64_t dropped, int64_t seed, float *grad_q, float *grad_k,
                       float *grad_v, int threads) {
    Backward all = {.q = {q, strides[0], strides[1]}, .k = {k, strides[2], strides[3]}, .v = {v, strides[4], strides[5]},
                    .grad = {grad, size, heads * size}, .out = {out, size, heads * size}, .norms = norms, .heads = heads,
                    .key_heads = key_heads, .size = size, .is_causal = is_causal, .dropped = dropped, .seed = seed, .scale = scale,
                    .grad_q = grad_q, .grad_k = grad_k, .grad_v = grad_v};
    long parts = rooted ? least(num_segments, 2 * ((threads + key_heads - 1) / key_heads)) : num_segments;
    long root = rooted ? bounds[1] : 0, share = 2 * root * size;
    float *sums = root ? calloc(parts * key_heads * share, sizeof(float)) : NULL; /* of each part and key head: for k, and for v */
    if (root && !sums) return 1;
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) reduction(| : failed)
    for (long task = 0; task < parts * key_heads; task++) {
        long part = task / key_heads, key_head = task % key_heads;
        float *own = root ? sums + task * share : NULL;
        for (long s = num_segments * part / parts; s < num_segments * (part + 1) / parts; s++)
            failed |= segment_backward(&all, bounds[s], bounds[s + 1] - bounds[s], s ? root : 0, key_head, own, own ? own + root * size : NULL);
    }
    for (long task = 0; task < (root ? parts * key_heads : 0); task++)
        for (long j = 0; j < root; j++) {
            long to = (j * key_heads + task % key_heads) * size;
            const float *from = sums + task * share + j * size;
            for (long c = 0; c < size; c += LANES) {
                store(grad_k + to + c, load(grad_k + to + c) + load(from + c));
                store(grad_v + to + c, load(grad_v + to + c) + load(from + root * size + c));
            }
        }
    free(sums);
    return failed;
}
