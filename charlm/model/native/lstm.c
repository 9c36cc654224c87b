/* One LSTM layer over time: forward scan and backward scan in float32, on any number of threads.
 *
 * Freestanding: called through ctypes (charlm/model/native/library.py) on plain pointers.  The
 * equations and the order of the gates, i f g o, are those of charlm/model/cells.py; products over
 * all steps at once (of the inputs, and of the gradients of the weights) stay with the caller.
 *
 * Letters: T steps, B lanes, H hidden size, W floats in a vector.  The lanes are split over the
 * threads once, for all steps, so no thread waits for another before the end; and every sum runs
 * in one order whatever the number of threads, so neither do the results depend on it.
 *
 * The file includes itself once for each kind of processor; the second half is the template.
 */

#ifndef VECTOR

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef void (*run_on_threads)(void (*)(void *), void *, unsigned, unsigned); /* GOMP_parallel */

/* Who works: the lanes or rows from 0 to count, split once. */
typedef struct {
    run_on_threads run;
    int64_t threads, count, next; /* next: the share that no thread has taken yet */
} Team;

typedef struct {
    Team team;
    int64_t steps, lanes, hidden;
    int64_t step_stride, lane_stride; /* of grad_hiddens, in floats */
    const float *weights;      /* packed in panels: see the scans */
    float *gates;              /* (T, B, 4H) in: inputs' share; out: activated. Backward: activated */
    const float *h0, *c0;      /* (B, H) */
    float *hiddens, *cells;    /* (T, B, H) out; backward reads cells */
    const float *grad_hiddens; /* (T, B, H) with the strides above */
    float *grad_gates;         /* (T, B, 4H) out; may be gates itself */
    float *grad_h, *grad_c;    /* (B, H) in: of the last state; out: of the first */
} Layer;

typedef struct {
    Team team;
    int64_t rows, depth, columns;
    const float *a, *b, *bias; /* bias (columns) or null */
    float *out;                /* (rows, columns) */
    float *scratch;            /* columns_times: room for DEPTH x (rows + 8) */
} Product;

/* One share of the work on a Layer or a Product. */
typedef void (*part)(const void *job, int64_t first, int64_t last);

typedef struct {
    Team *team;
    part part;
} Work;

/* Denormals cost a hundred cycles each and carry nothing here: flush them while a scan runs. */
static unsigned flush_denormals(void) {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
#else
    return 0;
#endif
}

static void restore_denormals(unsigned before) {
#if defined(__x86_64__)
    _mm_setcsr(before);
#else
    (void)before;
#endif
}

static void work_on_shares(void *argument) {
    Work *work = argument;
    Team *team = work->team;
    unsigned before = flush_denormals();
    int64_t share;
    while ((share = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED)) < team->threads)
        work->part(team, share * team->count / team->threads,
                   (share + 1) * team->count / team->threads);
    restore_denormals(before);
}

static void split(Team *team, part part) {
    Work work = {team, part};
    team->next = 0;
    if (team->threads > 1)
        team->run(work_on_shares, &work, (unsigned)team->threads, 0);
    else
        work_on_shares(&work);
}

#define DEPTH 128 /* rows of b for which a panel stays in the first-level cache */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(name) JOIN(name, VARIANT)
#define INLINE static inline __attribute__((always_inline)) TARGET

#define VECTOR 4
#define VARIANT portable
#define TARGET
#define ROWS 2
#define FMA(a, b, c) ((a) * (b) + (c))
#include "lstm.c"
#undef VECTOR
#undef VARIANT
#undef TARGET
#undef ROWS
#undef FMA

#if defined(__x86_64__)

#define VECTOR 8
#define VARIANT avx2
#define TARGET __attribute__((target("avx2,fma")))
#define ROWS 3
#define FMA(a, b, c) ((vec_avx2)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#include "lstm.c"
#undef VECTOR
#undef VARIANT
#undef TARGET
#undef ROWS
#undef FMA

#define VECTOR 16
#define VARIANT avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")))
#define ROWS 6
#define FMA(a, b, c) ((vec_avx512)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#include "lstm.c"
#undef VECTOR
#undef VARIANT
#undef TARGET
#undef ROWS
#undef FMA

#endif

/* The widest variant that this processor can run: floats in a vector. */
int charlm_widest(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return 16;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 8;
#endif
    return 4;
}

#else /* ------------------------------------------------------------------ the template */

typedef float NAME(vec) __attribute__((vector_size(4 * VECTOR)));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * VECTOR)));
#define vec NAME(vec)
#define ints NAME(ints)

/* The first n of W floats; the rest is zero. */
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

/* where ? a : b, lane by lane. A comparison with NaN is false, so NaN must stand in b to survive. */
INLINE vec NAME(choose)(ints where, vec a, vec b) {
    return (vec)((where & (ints)a) | (~where & (ints)b));
}

/* e^x = scale * (1 + rest), accurate to a unit in the last place or so: Cephes' expf. */
INLINE vec NAME(split_exp)(vec x, vec *scale) {
    const vec magic = NAME(splat)(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    x = NAME(choose)(x > 87.0f, NAME(splat)(87.0f), x);
    x = NAME(choose)(x < -87.0f, NAME(splat)(-87.0f), x);
    vec shifted = FMA(x, NAME(splat)(1.44269504f), magic);
    vec n = shifted - magic;
    vec r = FMA(n, NAME(splat)(-0.693359375f), x);
    r = FMA(n, NAME(splat)(2.12194440e-4f), r);
    vec p = NAME(splat)(1.9875691500e-4f);
    p = FMA(p, r, NAME(splat)(1.3981999507e-3f));
    p = FMA(p, r, NAME(splat)(8.3334519073e-3f));
    p = FMA(p, r, NAME(splat)(4.1665795894e-2f));
    p = FMA(p, r, NAME(splat)(1.6666665459e-1f));
    p = FMA(p, r, NAME(splat)(5.0000001201e-1f));
    *scale = (vec)(((ints)shifted << 23) + 0x3f800000);
    return FMA(p, r * r, r);
}

INLINE vec NAME(sigmoid)(vec x) {
    vec scale, rest = NAME(split_exp)(-x, &scale);
    return 1.0f / (1.0f + FMA(scale, rest, scale));
}

/* (e^2x - 1) / (e^2x + 1), with e^2x - 1 free of cancellation near 0. */
INLINE vec NAME(tanh)(vec x) {
    vec scale, rest = NAME(split_exp)(NAME(choose)(x > 10.0f, NAME(splat)(10.0f), x) * 2.0f, &scale);
    vec less_one = FMA(scale, rest, scale - 1.0f);
    return less_one / (less_one + 2.0f);
}

/* out (count, 4, W) = rows of a (count, depth) times a panel (depth, 4, W); strides of a. */
INLINE void NAME(multiply)(const int count, int64_t depth, const float *a, int64_t row,
                           int64_t column, const float *panel, vec out[][4]) {
    vec sum[ROWS][4];
    _Pragma("GCC unroll 8") for (int r = 0; r < count; r++)
        _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++) sum[r][q] = (vec){0};
    for (int64_t k = 0; k < depth; k++, a += column, panel += 4 * VECTOR) {
        vec w0 = NAME(load)(panel, VECTOR), w1 = NAME(load)(panel + VECTOR, VECTOR);
        vec w2 = NAME(load)(panel + 2 * VECTOR, VECTOR), w3 = NAME(load)(panel + 3 * VECTOR, VECTOR);
        _Pragma("GCC unroll 8") for (int r = 0; r < count; r++) {
            vec x = NAME(splat)(a[r * row]);
            sum[r][0] = FMA(x, w0, sum[r][0]);
            sum[r][1] = FMA(x, w1, sum[r][1]);
            sum[r][2] = FMA(x, w2, sum[r][2]);
            sum[r][3] = FMA(x, w3, sum[r][3]);
        }
    }
    _Pragma("GCC unroll 8") for (int r = 0; r < count; r++)
        _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++) out[r][q] = sum[r][q];
}

/* The same for a count known only now: one unrolled loop for each. */
TARGET static void NAME(product)(int count, int64_t depth, const float *a, int64_t row,
                                 int64_t column, const float *panel, vec out[][4]) {
    switch (count) {
    case 1: NAME(multiply)(1, depth, a, row, column, panel, out); break;
    case 2: NAME(multiply)(2, depth, a, row, column, panel, out); break;
#if ROWS > 2
    case 3: NAME(multiply)(3, depth, a, row, column, panel, out); break;
#endif
#if ROWS > 3
    case 4: NAME(multiply)(4, depth, a, row, column, panel, out); break;
    case 5: NAME(multiply)(5, depth, a, row, column, panel, out); break;
    case 6: NAME(multiply)(6, depth, a, row, column, panel, out); break;
#endif
    }
}

/* Rows for the next product, so that a remainder is spread: 16 lanes are 6, 5, 5. */
INLINE int NAME(rows_of)(int64_t left) {
    int64_t blocks = (left + ROWS - 1) / ROWS;
    return (int)((left + blocks - 1) / blocks);
}

INLINE int NAME(width)(int64_t left) { return left < VECTOR ? (int)left : VECTOR; }

/* Gates and state of n units of one lane after a step; h and c point at those units. */
INLINE void NAME(cell)(const vec sum[4], float *gates, int64_t size, const float *before, float *c,
                       float *h, int n) {
    vec i = NAME(sigmoid)(sum[0] + NAME(load)(gates, n));
    vec f = NAME(sigmoid)(sum[1] + NAME(load)(gates + size, n));
    vec g = NAME(tanh)(sum[2] + NAME(load)(gates + 2 * size, n));
    vec o = NAME(sigmoid)(sum[3] + NAME(load)(gates + 3 * size, n));
    vec after = f * NAME(load)(before, n) + i * g;
    NAME(store)(gates, i, n);
    NAME(store)(gates + size, f, n);
    NAME(store)(gates + 2 * size, g, n);
    NAME(store)(gates + 3 * size, o, n);
    NAME(store)(c, after, n);
    NAME(store)(h, o * NAME(tanh)(after), n);
}

/* weights: for every W units a panel (H, 4 gates, W). */
TARGET static void NAME(scan_forward)(const void *job, int64_t first, int64_t last) {
    const Layer *layer = job;
    const int64_t size = layer->hidden, plane = layer->lanes * size;
    const float *h = layer->h0, *c = layer->c0;
    vec sums[ROWS][4];
    for (int64_t t = 0; t < layer->steps; t++) {
        float *gates = layer->gates + 4 * t * plane;
        float *next_h = layer->hiddens + t * plane, *next_c = layer->cells + t * plane;
        for (int64_t unit = 0; unit < size; unit += VECTOR) {
            const float *panel = layer->weights + 4 * unit * size;
            int n = NAME(width)(size - unit);
            for (int64_t row = first, count; row < last; row += count) {
                count = NAME(rows_of)(last - row);
                NAME(product)((int)count, size, h + row * size, size, 1, panel, sums);
                for (int64_t r = 0, at = row * size + unit; r < count; r++, at += size)
                    NAME(cell)(sums[r], gates + 4 * (row + r) * size + unit, size, c + at,
                               next_c + at, next_h + at, n);
            }
        }
        h = next_h;
        c = next_c;
    }
}

/* Gradients of the gates' sums of n units of one lane, and of the cell state before the step. */
INLINE void NAME(cell_gradient)(vec grad_h, const float *gates, int64_t size, const float *before,
                                const float *c, float *grad_c, float *grad_gates, int n) {
    vec i = NAME(load)(gates, n), f = NAME(load)(gates + size, n);
    vec g = NAME(load)(gates + 2 * size, n), o = NAME(load)(gates + 3 * size, n);
    vec squashed = NAME(tanh)(NAME(load)(c, n));
    vec grad = NAME(load)(grad_c, n) + grad_h * o * (1.0f - squashed * squashed);
    NAME(store)(grad_gates, grad * g * (i * (1.0f - i)), n);
    NAME(store)(grad_gates + size, grad * NAME(load)(before, n) * (f * (1.0f - f)), n);
    NAME(store)(grad_gates + 2 * size, grad * i * (1.0f - g * g), n);
    NAME(store)(grad_gates + 3 * size, grad_h * squashed * (o * (1.0f - o)), n);
    NAME(store)(grad_c, grad * f, n);
}

/* The pointwise part of a step backwards, for the lanes from first to last. */
TARGET static void NAME(step_backward)(const Layer *layer, int64_t t, int64_t first, int64_t last) {
    const int64_t size = layer->hidden, plane = layer->lanes * size;
    const float *before = t ? layer->cells + (t - 1) * plane : layer->c0;
    const float *after = layer->cells + t * plane;
    for (int64_t row = first; row < last; row++) {
        const float *outer = layer->grad_hiddens + t * layer->step_stride + row * layer->lane_stride;
        int64_t gates = 4 * (t * plane + row * size);
        for (int64_t unit = 0, at = row * size; unit < size; unit += VECTOR, at += VECTOR) {
            int n = NAME(width)(size - unit);
            vec grad_h = NAME(load)(layer->grad_h + at, n) + NAME(load)(outer + unit, n);
            NAME(cell_gradient)(grad_h, layer->gates + gates + unit, size, before + at, after + at,
                                layer->grad_c + at, layer->grad_gates + gates + unit, n);
        }
    }
}

/* weights: for every 4 W units a panel (4H, 4, W), filled up with zeros. */
TARGET static void NAME(scan_backward)(const void *job, int64_t first, int64_t last) {
    const Layer *layer = job;
    const int64_t size = layer->hidden;
    vec sums[ROWS][4];
    for (int64_t t = layer->steps - 1; t >= 0; t--) {
        const float *grad_gates = layer->grad_gates + 4 * t * layer->lanes * size;
        NAME(step_backward)(layer, t, first, last);
        for (int64_t block = 0; block < size; block += 4 * VECTOR) {
            const float *panel = layer->weights + 4 * block * size;
            for (int64_t row = first, count; row < last; row += count) {
                count = NAME(rows_of)(last - row);
                NAME(product)((int)count, 4 * size, grad_gates + 4 * row * size, 4 * size, 1, panel,
                              sums);
                for (int64_t r = 0; r < count; r++)
                    for (int64_t q = 0, unit = block; q < 4 && unit < size; q++, unit += VECTOR)
                        NAME(store)(layer->grad_h + (row + r) * size + unit, sums[r][q],
                                    NAME(width)(size - unit));
            }
        }
    }
}

/* out = a (rows, depth) b + bias, with b in panels (depth, 4, W), for the rows from first to last. */
TARGET static void NAME(rows_times)(const void *job, int64_t first, int64_t last) {
    const Product *p = job;
    vec sums[ROWS][4];
    for (int64_t block = 0; block < p->columns; block += 4 * VECTOR)
        for (int64_t row = first, count; row < last; row += count) {
            count = NAME(rows_of)(last - row);
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

/* Columns of a, ROWS at a time, as blocks (depth, ROWS): the order of the product's reads. */
TARGET static void NAME(pack_columns)(const Product *p, int64_t from, int64_t depth, int64_t first,
                                      int64_t last, float *to) {
    for (int64_t row = first; row < last; row += ROWS, to += DEPTH * ROWS)
        for (int64_t k = 0; k < depth; k++)
            for (int64_t r = 0; r < ROWS; r++)
                to[k * ROWS + r] = row + r < last ? p->a[(from + k) * p->rows + row + r] : 0.0f;
}

/* A panel (depth, 4, W) of b's columns, zeros beyond the last. */
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

/* out += a^T b, with a (depth, rows) and b (depth, columns), for some blocks of ROWS rows. */
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

void NAME(charlm_forward)(Layer *layer) { split(&layer->team, NAME(scan_forward)); }

void NAME(charlm_backward)(Layer *layer) { split(&layer->team, NAME(scan_backward)); }

void NAME(charlm_rows_times)(Product *p) { split(&p->team, NAME(rows_times)); }

void NAME(charlm_columns_times)(Product *p) {
    p->team.count = (p->rows + ROWS - 1) / ROWS;
    split(&p->team, NAME(columns_times));
}

/* The two functions alone, for the tests: count is a multiple of W. */
TARGET void NAME(charlm_activations)(const float *x, float *sigmoids, float *tanhs, int64_t count) {
    for (int64_t at = 0; at < count; at += VECTOR) {
        vec v = NAME(load)(x + at, VECTOR);
        NAME(store)(sigmoids + at, NAME(sigmoid)(v), VECTOR);
        NAME(store)(tanhs + at, NAME(tanh)(v), VECTOR);
    }
}

#undef vec
#undef ints

#endif
