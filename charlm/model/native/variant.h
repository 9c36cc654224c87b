/* All kernels for one kind of processor.  The including file defines VARIANT, the suffix of names;
 * VECTOR, the floats in a vector; ROWS, the rows of a that a product keeps in registers; TARGET,
 * the instructions to use; FMA(a, b, c), a * b + c.
 */

typedef float NAME(vec) __attribute__((vector_size(4 * VECTOR)));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * VECTOR)));
typedef double NAME(doubles) __attribute__((vector_size(8 * VECTOR)));

#define vec NAME(vec)
#define ints NAME(ints)

#include "vectors.h"

#include "products.h"

#include "scans.h"

#include "sampling.h"

#include "texts.h"

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

/* Returns 1, having done nothing, if a token to read is not in the vocabulary; else 0. */
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

void NAME(charlm_probe_products)(ProbeJob *probe) { split(&probe->team, NAME(probe_products)); }

void NAME(charlm_probe_reads)(ProbeJob *probe) { split(&probe->team, NAME(probe_reads)); }

#undef vec
#undef ints
#undef VECTOR
#undef VARIANT
#undef TARGET
#undef ROWS
#undef BATCH
#undef FMA
