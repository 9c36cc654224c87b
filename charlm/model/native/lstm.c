/* LSTM layers over time, forward and backward, and a stack of them advanced step by step.
 *
 * Called through ctypes (charlm/model/native/) with plain pointers; needs libm alone.  The
 * equations and the order of the gates, i f g o, are those of charlm/model/cells.py.  Gradients of
 * weights, which are sums over all steps, are products of their own (columns_times).
 *
 * Letters: T steps, B lanes, H hidden size, K depth of a product, V vocabulary, E embedding size, W
 * floats in a vector.  Every sum is taken in one order, whatever the number of lanes and threads,
 * so that results do not depend on them.
 *
 * variant.h and what it includes is compiled once for each kind of processor.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "threads.h"

/* A layer over all steps of time. */
typedef struct {
    Team team;
    int64_t steps, lanes, hidden;
    int64_t step_stride, lane_stride; /* of grad_hiddens, in floats */
    const float *weights;      /* packed in panels, one way forward and another backward: scans.h */
    float *gates;              /* (T, B, 4H) in: inputs' share, out: activated; backward: in */
    const float *h0, *c0;      /* (B, H) */
    float *hiddens, *cells;    /* (T, B, H) out; backward reads cells */
    const float *grad_hiddens; /* (T, B, H) with the strides above */
    float *grad_gates;         /* (T, B, 4H) out; may be gates itself */
    float *grad_h, *grad_c;    /* (B, H) in: of the last state; out: of the first */
} Layer;

/* A matrix product, rows_times or columns_times in products.h. */
typedef struct {
    Team team;
    int64_t rows, depth, columns;
    const float *a, *b, *bias; /* bias (columns) or null */
    float *out;                /* (rows, columns) */
    float *scratch;            /* columns_times: DEPTH x (rows + 8) floats */
} Product;

#define LINEAR 0
#define COSINE 1
#define GEOMETRIC 2
#define LONGEST_MATCH 100 /* equals LONGEST_MATCH in sampling.py */

/* How a token is sampled: settings of charlm/config/generation.py with their neutral values. */
typedef struct {
    double temperature;     /* 0: take the likeliest token */
    double temperature_end; /* heeded where texts have `written` */
    double length;          /* of the whole text, in units of `widths` */
    double typical_p, top_p;                   /* 1 */
    double epsilon, eta;                       /* 0 */
    double xtc_probability, xtc_threshold;     /* 0, any */
    double mirostat_tau, mirostat_rate;        /* heeded where texts have a `limit` */
    float log_min_p;                           /* minus infinity */
    float top_n_sigma;                         /* 0 */
    float repetition, presence, frequency;     /* 1, 0, 0 */
    int32_t top_k, no_repeat_ngram;            /* 0 */
    int32_t dry_allowed;                       /* heeded where texts have `dry` */
    int32_t shape;                             /* LINEAR, COSINE or GEOMETRIC */
} Rule;

/* What sampling has to know of the texts so far.  Arrays are null where the rule needs none. */
typedef struct {
    int64_t begin, end;  /* where the tokens that count stand in a row, before the first step */
    int64_t capacity;    /* of a row, for the tokens to be sampled, too */
    int64_t window;      /* tokens that count at most; 0: all */
    int32_t *tokens;     /* (B, capacity) */
    int32_t *matches;    /* (B, capacity) tokens before each that equal the last ones of the text */
    int32_t *unbroken;   /* (B, capacity) likewise, up to a breaker */
    float *counts;       /* (B, V) how often each token occurs, the boundary never */
    const uint8_t *breakers; /* (V) which tokens interrupt repetitions */
    const float *dry;    /* (LONGEST_MATCH + 1) penalty of a token by the tokens that it repeats */
    const float *widths; /* (V) how far each token brings a text to its length */
    float *written;      /* (B) how far it has come */
    double *limit;       /* (B) surprise in bits that mirostat allows */
    /* A pattern that the text has to match, as an automaton over tokens with S states. */
    int64_t kinds;            /* of states, by which costs differ: that of a state is state % kinds */
    const int32_t *following; /* (S, V) the state after a token */
    const float *costs;       /* (kinds, V) units of the length that a token takes; infinite: banned */
    const float *distances;   /* (S) least cost from a state to one where the text may end: 0 there */
    int32_t *states;          /* (B) of each text */
    double *left;             /* (B) units of the length that are left to each text */
} Texts;

/* A layer of a Stack, or its head.  A row of inputs: what comes from below, then the layer's own
 * h. */
typedef struct {
    int64_t depth;       /* K: floats in a row of inputs */
    int64_t start_stride; /* floats between two rows of start; 0: one start for all tokens */
    const void *weights; /* a panel (K, 4 gates, W) for W units; head: for 4 W columns */
    const float *scales; /* (4H), head (V): factor of each row of 8-bit weights; null: none */
    const float *start;  /* what is added to the product: bias (4H), head (V); or (V, 4H), a row for
                          * each token that holds its input's share of the gates, bias included */
    float *inputs;       /* (B, K) */
    float *cells;        /* (B, H) */
} StackLevel;

/* A stack of layers and a head, read token by token. */
typedef struct {
    Team team;
    int64_t layers, lanes, hidden, vocab, steps;
    int64_t bits;           /* of a weight: 32, 16 (bfloat16) or 8 (whole numbers) */
    int64_t size;           /* of all weights, in bytes */
    int64_t writes;         /* 0: the tokens are given; 1: they are sampled */
    const StackLevel *levels; /* layers, then the head */
    const float *embedding; /* (V, E), or null if the first layer has a start for each token */
    int64_t *tokens;        /* (B, T) in or out */
    float *logits;          /* (B, V) out; in: for the first token that is sampled */
    const double *uniforms; /* (B, T) from 0 to below 1, one for each sampled token */
    const float *logit_bias;/* (V) added to logits before sampling */
    float *log_probs;       /* (B, T) out: of each sampled token, before bias and filters */
    float *scratch;         /* (B, 3, V + W) */
    Rule rule;
    Texts texts;
} Stack;

/* A measurement of the processor; its team counts one share for each thread. */
typedef struct {
    Team team;
    int64_t count, repeats;
    const float *numbers; /* (count) */
    float *sums;          /* (shares) out */
} ProbeJob;

/* Whether the threads share the units of each step: where there are too few lanes to split, and so
 * many bytes of weights that a meeting costs little beside reading them in one step (from 1 MiB
 * on), and waking the threads up little beside all steps (from 32 MiB on). */
static int few_lanes(int64_t lanes, int64_t rows, int64_t steps, const Team *team, int64_t size) {
    return team->threads > 1 && lanes < rows * team->threads && size >= 1 << 20 &&
           size * steps >= 1 << 25;
}

/* -1 stands for a token that could not be sampled: advance with any token, since the caller throws
 * the rest away. */
static int64_t readable(int64_t token) { return token < 0 ? 0 : token; }

#define DEPTH 128 /* rows of b in a panel of columns_times that stays in the first-level cache */

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
