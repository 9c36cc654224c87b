/* Matrix products.  Every sum is taken in the order of the depth, whatever the number of rows and
 * threads: that makes results independent of how the work is split. */

/* The four vectors of row k of a panel.  Weights of fewer bits are interleaved in words of 32 bits,
 * the first vector in the lowest bits, so that a shift (and a mask) unpacks a vector at once. */
INLINE void NAME(unpack)(const int bits, const void *panel, int64_t k, vec w[4]) {
    if (bits == 32) {
        const float *from = (const float *)panel + 4 * k * VECTOR;
        _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++)
            w[q] = NAME(load)(from + q * VECTOR, VECTOR);
    } else if (bits == 16) {
        const float *from = (const float *)panel + 2 * k * VECTOR;
        _Pragma("GCC unroll 2") for (int q = 0; q < 2; q++) {
            ints words = (ints)NAME(load)(from + q * VECTOR, VECTOR);
            w[2 * q] = (vec)(words << 16);
            w[2 * q + 1] = (vec)(words & -65536);
        }
    } else {
        ints words = (ints)NAME(load)((const float *)panel + k * VECTOR, VECTOR);
        _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++)
            w[q] = __builtin_convertvector(words << (24 - 8 * q) >> 24, vec);
    }
}

/* out (count, 4, W) = rows of a (count, depth) times a panel (depth, 4, W); strides of a. */
INLINE void NAME(multiply)(const int count, const int bits, int64_t depth, const float *a,
                           int64_t row, int64_t column, const void *panel, vec out[][4]) {
    vec sum[ROWS][4], w[4];
    _Pragma("GCC unroll 8") for (int r = 0; r < count; r++)
        _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++) sum[r][q] = (vec){0};
    for (int64_t k = 0; k < depth; k++, a += column) {
        NAME(unpack)(bits, panel, k, w);
        _Pragma("GCC unroll 8") for (int r = 0; r < count; r++) {
            vec x = NAME(splat)(a[r * row]);
            _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++)
                sum[r][q] = FMA(x, w[q], sum[r][q]);
        }
    }
    _Pragma("GCC unroll 8") for (int r = 0; r < count; r++)
        _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++) out[r][q] = sum[r][q];
}

/* multiply() for a count known only now: it is compiled once for each count, with count rows of
 * sums in registers.  A loop over a variable count would keep them in memory. */
INLINE void NAME(multiply_rows)(int count, const int bits, int64_t depth, const float *a,
                                int64_t row, int64_t column, const void *panel, vec out[][4]) {
    switch (count) {
    case 1: NAME(multiply)(1, bits, depth, a, row, column, panel, out); break;
    case 2: NAME(multiply)(2, bits, depth, a, row, column, panel, out); break;
#if ROWS > 2
    case 3: NAME(multiply)(3, bits, depth, a, row, column, panel, out); break;
#endif
#if ROWS > 3
    case 4: NAME(multiply)(4, bits, depth, a, row, column, panel, out); break;
    case 5: NAME(multiply)(5, bits, depth, a, row, column, panel, out); break;
    case 6: NAME(multiply)(6, bits, depth, a, row, column, panel, out); break;
#endif
    }
}

TARGET static void NAME(product)(int count, int64_t depth, const float *a, int64_t row,
                                 int64_t column, const void *panel, vec out[][4]) {
    NAME(multiply_rows)(count, 32, depth, a, row, column, panel, out);
}

TARGET static void NAME(product_16)(int count, int64_t depth, const float *a, int64_t row,
                                    const void *panel, vec out[][4]) {
    NAME(multiply_rows)(count, 16, depth, a, row, 1, panel, out);
}

TARGET static void NAME(product_8)(int count, int64_t depth, const float *a, int64_t row,
                                   const void *panel, vec out[][4]) {
    NAME(multiply_rows)(count, 8, depth, a, row, 1, panel, out);
}

/* Rows for the next product, out of those left: 16 lanes are 6, 5, 5 rather than 6, 6, 4, since few
 * rows use each read of the weights less well. */
INLINE int NAME(rows_of)(int64_t left) {
    int64_t blocks = (left + ROWS - 1) / ROWS;
    return (int)((left + blocks - 1) / blocks);
}

INLINE int NAME(width)(int64_t left) { return left < VECTOR ? (int)left : VECTOR; }

#define BATCH 120 /* rows of a that stay in the cache while they meet all panels */

/* out = a b + bias for the rows of a (rows, depth) from first to last, with b (depth, columns) in
 * panels (depth, 4, W), zeros beyond the last column. */
TARGET static void NAME(rows_times)(const void *job, int64_t first, int64_t last) {
    const Product *p = job;
    vec sums[ROWS][4];
    for (int64_t batch = first; batch < last; batch += BATCH)
        for (int64_t block = 0; block < p->columns; block += 4 * VECTOR) {
            int64_t end = batch + BATCH < last ? batch + BATCH : last;
            for (int64_t row = batch, count; row < end; row += count) {
                count = NAME(rows_of)(end - row);
                NAME(product)((int)count, p->depth, p->a + row * p->depth, p->depth, 1,
                              p->b + block * p->depth, sums);
                for (int64_t r = 0; r < count; r++)
                    for (int64_t q = 0, at = block; q < 4 && at < p->columns; q++, at += VECTOR) {
                        int n = NAME(width)(p->columns - at);
                        vec bias = p->bias ? NAME(load)(p->bias + at, n) : (vec){0};
                        NAME(store)(p->out + (row + r) * p->columns + at, sums[r][q] + bias, n);
                    }
            }
        }
}

/* Copies columns of a, ROWS at a time, into blocks (depth, ROWS): the order in which the product
 * reads them, without strides that would use one float of each cache line. */
TARGET static void NAME(pack_columns)(const Product *p, int64_t from, int64_t depth, int64_t first,
                                      int64_t last, float *to) {
    for (int64_t row = first; row < last; row += ROWS, to += DEPTH * ROWS)
        for (int64_t k = 0; k < depth; k++)
            for (int64_t r = 0; r < ROWS; r++)
                to[k * ROWS + r] = row + r < last ? p->a[(from + k) * p->rows + row + r] : 0.0f;
}

/* Copies 4 W columns of b into a panel (depth, 4, W), with zeros beyond the last column. */
TARGET static void NAME(pack_panel)(const Product *p, int64_t from, int64_t depth, int64_t block,
                                    float *to) {
    for (int64_t k = 0; k < depth; k++)
        for (int64_t q = 0, at = block; q < 4; q++, at += VECTOR, to += VECTOR) {
            int64_t left = p->columns - at;
            vec v = {0};
            if (left > 0)
                v = NAME(load)(p->b + (from + k) * p->columns + at, NAME(width)(left));
            NAME(store)(to, v, VECTOR);
        }
}

/* out += a^T b, with a (depth, rows) and b (depth, columns), for the blocks of ROWS rows of out
 * from first to last.  DEPTH rows of a and b at a time: their panels then stay in the cache. */
TARGET static void NAME(columns_times)(const void *job, int64_t first, int64_t last) {
    const Product *p = job;
    first *= ROWS;
    last = last * ROWS < p->rows ? last * ROWS : p->rows;
    float panel[DEPTH * 4 * VECTOR] __attribute__((aligned(64)));
    float *packed = p->scratch + first * DEPTH;
    vec sums[ROWS][4];
    for (int64_t from = 0; from < p->depth; from += DEPTH) {
        int64_t depth = p->depth - from < DEPTH ? p->depth - from : DEPTH;
        NAME(pack_columns)(p, from, depth, first, last, packed);
        for (int64_t block = 0; block < p->columns; block += 4 * VECTOR) {
            NAME(pack_panel)(p, from, depth, block, panel);
            for (int64_t row = first; row < last; row += ROWS) {
                NAME(product)(ROWS, depth, packed + (row - first) * DEPTH, 1, ROWS, panel, sums);
                for (int64_t r = 0; r < ROWS && row + r < last; r++)
                    for (int64_t q = 0, at = block; q < 4 && at < p->columns; q++, at += VECTOR) {
                        float *to = p->out + (row + r) * p->columns + at;
                        int n = NAME(width)(p->columns - at);
                        NAME(store)(to, NAME(load)(to, n) + sums[r][q], n);
                    }
            }
        }
    }
}
