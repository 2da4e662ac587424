#ifndef TUNESMITH_DROPOUT_H
#define TUNESMITH_DROPOUT_H

#include "tile.h"

/* What is dropped: a hash of the call's seed and of a number's place decides, so that the backward pass finds the same again without keeping it.
   Mixing: the finalizer of MurmurHash3 (Appleby, 2008). */
INLINE uint32_t mixed(uint32_t x) {
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

INLINE uint32_t row_key(int64_t seed, long head, long token) {
    return mixed(mixed(mixed((uint32_t)seed) ^ (uint32_t)(seed >> 32)) + (uint32_t)head * 0x9e3779b9u) ^ mixed((uint32_t)token + 0x7f4a7c15u);
}

/* 1 / (1 - p) for those of LANES numbers of a row, from the one at `key` on, that stay, else 0; p in steps of 2^-16. */
INLINE vec kept(uint32_t row, long key, uint32_t dropped, float gain) {
    typedef uint32_t words __attribute__((vector_size(4 * LANES)));
    words x;
    for (int i = 0; i < LANES; i++) x[i] = (uint32_t)(key + i);
    x = x * 0x9e3779b9u + row;
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    x = x ^ x >> 16;
    return (vec)((ints)all(gain) & (ints)((x >> 16) >= dropped));
}

#endif
