/* All kernels once for one kind of processor: VECTOR floats in a vector, ROWS rows in a block of a
 * product, TARGET the instructions, FMA how to multiply and add, VARIANT the name.
 */

typedef float NAME(vec) __attribute__((vector_size(4 * VECTOR)));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * VECTOR)));

#define vec NAME(vec)
#define ints NAME(ints)

#include "vectors.h"

#include "products.h"

#include "scans.h"

#include "draws.h"

#include "decoding.h"

#include "probes.h"

void NAME(charlm_forward)(Layer *layer) {
    int64_t size = 16 * layer->hidden * layer->hidden;
    if (few_lanes(layer->lanes, ROWS, layer->steps, &layer->team, size))
        gather(&layer->team, NAME(scan_forward), size);
    else
        split(&layer->team, NAME(scan_forward_lanes));
}

void NAME(charlm_backward)(Layer *layer) { split(&layer->team, NAME(scan_backward)); }

void NAME(charlm_rows_times)(Product *p) { split(&p->team, NAME(rows_times)); }

void NAME(charlm_columns_times)(Product *p) {
    p->team.count = (p->rows + ROWS - 1) / ROWS;
    split(&p->team, NAME(columns_times));
}

/* Returns whether a token to read is none. */
int NAME(charlm_decode)(Stack *stack) {
    for (int64_t at = 0; at < stack->lanes * stack->steps && !stack->writes; at++)
        if (stack->tokens[at] < 0 || stack->tokens[at] >= stack->vocab)
            return 1;
    if (few_lanes(stack->lanes, ROWS, stack->steps, &stack->team, stack->size))
        gather(&stack->team, NAME(decode), stack->size / stack->layers);
    else
        split(&stack->team, NAME(decode_lanes));
    return 0;
}

void NAME(charlm_probe_products)(Probe *probe) { split(&probe->team, NAME(probe_products)); }

void NAME(charlm_probe_reads)(Probe *probe) { split(&probe->team, NAME(probe_reads)); }

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
#undef VECTOR
#undef VARIANT
#undef TARGET
#undef ROWS
#undef BATCH
#undef FMA
