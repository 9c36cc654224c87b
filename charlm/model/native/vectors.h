/* Vectors of W floats, and the functions of a cell's gates on them. */

/* Loads n floats, at most W, and zeros for the rest.  memcpy with a constant size becomes one
 * instruction, and may read from any address. */
INLINE vec NAME(load)(const float *from, int n) {
    vec v = {0};
    if (n == VECTOR)
        memcpy(&v, from, sizeof v);
    else
        memcpy(&v, from, (size_t)n * 4);
    return v;
}

INLINE void NAME(store)(float *to, vec v, int n) {
    if (n == VECTOR)
        memcpy(to, &v, sizeof v);
    else
        memcpy(to, &v, (size_t)n * 4);
}

INLINE vec NAME(splat)(float x) { return x - (vec){0}; }

/* where ? a : b, float by float.  A comparison with NaN is false: a NaN has to be in b to be
 * kept. */
INLINE vec NAME(choose)(ints where, vec a, vec b) {
    return (vec)((where & (ints)a) | (~where & (ints)b));
}

/* e^x = scale * (1 + rest), accurate to about a unit in the last place: the polynomial of Cephes'
 * expf.  x is limited to where scale = 2^n is a normal number. */
INLINE vec NAME(split_exp)(vec x, vec *scale) {
    const vec magic = NAME(splat)(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    x = NAME(choose)(x > 87.0f, NAME(splat)(87.0f), x);
    x = NAME(choose)(x < -87.0f, NAME(splat)(-87.0f), x);
    vec shifted = FMA(x, NAME(splat)(1.44269504f), magic);
    vec n = shifted - magic;
    /* r = x - n ln 2, with ln 2 in two parts: the first is short, so that its product is exact. */
    vec r = FMA(n, NAME(splat)(-0.693359375f), x);
    r = FMA(n, NAME(splat)(2.12194440e-4f), r);
    vec p = NAME(splat)(1.9875691500e-4f);
    p = FMA(p, r, NAME(splat)(1.3981999507e-3f));
    p = FMA(p, r, NAME(splat)(8.3334519073e-3f));
    p = FMA(p, r, NAME(splat)(4.1665795894e-2f));
    p = FMA(p, r, NAME(splat)(1.6666665459e-1f));
    p = FMA(p, r, NAME(splat)(5.0000001201e-1f));
    /* n stands in the lowest bits of shifted: move it into the exponent and add the exponent's
     * bias. */
    *scale = (vec)(((ints)shifted << 23) + 0x3f800000);
    return FMA(p, r * r, r);
}

INLINE vec NAME(sigmoid)(vec x) {
    vec scale, rest = NAME(split_exp)(-x, &scale);
    return 1.0f / (1.0f + FMA(scale, rest, scale));
}

/* (e^2x - 1) / (e^2x + 1), with e^2x - 1 computed from rest: no digits cancel near 0. */
INLINE vec NAME(tanh)(vec x) {
    vec scale, rest = NAME(split_exp)(NAME(choose)(x > 10.0f, NAME(splat)(10.0f), x) * 2.0f, &scale);
    vec less_one = FMA(scale, rest, scale - 1.0f);
    return less_one / (less_one + 2.0f);
}
