/* LSTM layers over time, forward and backward, and a stack of them one step after the other.
 *
 * Freestanding: called through ctypes (charlm/model/native/) on plain pointers.  The equations and
 * the order of the gates, i f g o, are those of charlm/model/cells.py; sums over all steps at once
 * (of the gradients of the weights) stay with the caller.
 *
 * Letters: T steps, B lanes, H hidden size, K depth of a product, V vocabulary, W floats in a
 * vector.  Every sum runs in one order whatever the number of lanes and threads, so the results do
 * not depend on them.
 *
 * variant.h and what it includes is compiled once for each kind of processor.
 */

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "threads.h"

/* A walk over all steps of a layer. */
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

/* How a token is chosen: see charlm/inference/generation/filters.py. */
typedef struct {
    float temperature;
    int32_t top_k;
    double top_p;
    float log_min_p;
} Rule;

/* A layer of a Stack, or its head.  Row of its inputs: what comes from below, then its own h. */
typedef struct {
    int64_t depth;       /* K: floats in a row of inputs */
    int64_t start_stride;/* 0: one start for all tokens */
    const void *weights; /* for every W units a panel (K, 4 gates, W); head: for every 4 W columns */
    const float *scales; /* (4H), head (V): of whole numbers; null: none */
    const float *start;  /* (4H), head (V): bias; or (V, 4H): a row for each token, bias in it */
    float *inputs;       /* (B, K) */
    float *cells;        /* (B, H) */
} Level;

/* A stack of layers and a head, read token by token. */
typedef struct {
    Team team;
    int64_t layers, lanes, hidden, vocab, steps;
    int64_t bits;           /* of a weight: 32, 16 (bfloat16) or 8 (whole numbers) */
    int64_t size;           /* of all weights, in bytes */
    int64_t writes;         /* 0: read the tokens; 1: choose them */
    const Level *levels;    /* layers, then the head */
    const float *embedding; /* (V, E), or null if the first layer starts from a row for each token */
    int64_t *tokens;        /* (B, T) in or out */
    float *logits;          /* (B, V) out; in where tokens are chosen */
    const double *chances;  /* (B, T) from 0 to 1, one for each choice */
    const float *banned;    /* (V) added to logits before a choice */
    float *scratch;         /* (B, 2, V + W) */
    Rule rule;
} Stack;

/* A measurement; its team counts one share a thread. */
typedef struct {
    Team team;
    int64_t count, repeats;
    const float *numbers; /* (count) */
    float *sums;          /* (shares) out */
} Probe;

/* Whether the threads share the units of each step: too few lanes to split, and so many bytes of
 * weights, in a step and in all, that meetings and waking up are small beside reading them. */
static int few_lanes(int64_t lanes, int64_t rows, int64_t steps, const Team *team, int64_t size) {
    return team->threads > 1 && lanes < rows * team->threads && size >= 1 << 20 &&
           size * steps >= 1 << 25;
}

/* A choice that failed is no token; what is computed from it is thrown away. */
static int64_t readable(int64_t token) { return token < 0 ? 0 : token; }

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
#include "variant.h"

#if defined(__x86_64__)

#define VECTOR 8
#define VARIANT avx2
#define TARGET __attribute__((target("avx2,fma")))
#define ROWS 3
#define FMA(a, b, c) ((vec_avx2)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#include "variant.h"

#define VECTOR 16
#define VARIANT avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")))
#define ROWS 6
#define FMA(a, b, c) ((vec_avx512)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#include "variant.h"

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
