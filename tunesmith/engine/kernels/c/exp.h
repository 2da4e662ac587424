#ifndef TUNESMITH_EXP_H
#define TUNESMITH_EXP_H

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

#endif
