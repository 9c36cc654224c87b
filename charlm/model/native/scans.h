/* A layer over all steps, forward and backward. */

/* Activates the gates in place; c goes in before the step and comes out after it.  Returns h. */
INLINE vec NAME(cell)(vec gates[4], vec *c) {
    gates[0] = NAME(sigmoid)(gates[0]);
    gates[1] = NAME(sigmoid)(gates[1]);
    gates[2] = NAME(tanh)(gates[2]);
    gates[3] = NAME(sigmoid)(gates[3]);
    *c = gates[1] * *c + gates[0] * gates[2];
    return gates[3] * NAME(tanh)(*c);
}

/* Finishes a step of n units of one lane.  sum holds the recurrent share of the gates, gates in:
 * the inputs' share, out: activated; before and c point at the cell states, h at the hidden
 * state. */
INLINE void NAME(cell_step)(vec sum[4], float *gates, int64_t size, const float *before, float *c,
                            float *h, int n) {
    for (int q = 0; q < 4; q++)
        sum[q] += NAME(load)(gates + q * size, n);
    vec state = NAME(load)(before, n);
    NAME(store)(h, NAME(cell)(sum, &state), n);
    NAME(store)(c, state, n);
    for (int q = 0; q < 4; q++)
        NAME(store)(gates + q * size, sum[q], n);
}

/* A step of the lanes from first to last, W units from unit on.
 * weights: for every W units a panel (H, 4 gates, W). */
INLINE void NAME(step_forward)(const Layer *layer, int64_t t, int64_t unit, int64_t first,
                               int64_t last) {
    const int64_t size = layer->hidden, plane = layer->lanes * size;
    const float *h = t ? layer->hiddens + (t - 1) * plane : layer->h0;
    const float *c = t ? layer->cells + (t - 1) * plane : layer->c0;
    float *gates = layer->gates + 4 * t * plane;
    vec sums[ROWS][4];
    int n = NAME(width)(size - unit);
    for (int64_t row = first, count; row < last; row += count) {
        count = NAME(rows_of)(last - row);
        NAME(product)((int)count, size, h + row * size, size, 1, layer->weights + 4 * unit * size,
                      sums);
        for (int64_t r = 0, at = row * size + unit; r < count; r++, at += size)
            NAME(cell_step)(sums[r], gates + 4 * (row + r) * size + unit, size, c + at,
                            layer->cells + t * plane + at, layer->hiddens + t * plane + at, n);
    }
}

/* All steps of the lanes from first to last, without waiting for other threads. */
TARGET static void NAME(scan_forward_lanes)(const void *job, int64_t first, int64_t last) {
    const Layer *layer = job;
    const int64_t panels = (layer->hidden + VECTOR - 1) / VECTOR;
    for (int64_t t = 0; t < layer->steps; t++)
        for (int64_t panel = 0; panel < panels; panel++) {
            /* Every other step goes through the panels backwards: those that the step before read
             * last are still in the cache. */
            int64_t turned = t & 1 ? panels - 1 - panel : panel;
            NAME(step_forward)(layer, t, turned * VECTOR, first, last);
        }
}

/* All steps of all lanes, the units shared between the members. */
TARGET static void NAME(scan_forward)(const void *job, Member *member) {
    const Layer *layer = job;
    const int64_t panels = (layer->hidden + VECTOR - 1) / VECTOR;
    for (int64_t t = 0; t < layer->steps; t++) {
        int64_t from = begin_of(member, panels), to = end_of(member, panels);
        for (int64_t panel = from; panel < to; panel++) {
            int64_t turned = t & 1 ? from + to - 1 - panel : panel;
            NAME(step_forward)(layer, t, turned * VECTOR, 0, layer->lanes);
        }
        /* The next step multiplies all of h, of which each member has computed a part. */
        if (!meet(member))
            return;
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

/* The pointwise part of a step backwards, for the lanes from first to last: from the gradients of h
 * and c after the step to those of the gates' sums and of c before it. */
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

/* All steps backwards, for the lanes from first to last.
 * weights: for every 4 W units a panel (4H, 4, W), zeros beyond the last unit. */
TARGET static void NAME(scan_backward)(const void *job, int64_t first, int64_t last) {
    const Layer *layer = job;
    const int64_t size = layer->hidden;
    vec sums[ROWS][4];
    for (int64_t t = layer->steps - 1; t >= 0; t--) {
        const float *grad_gates = layer->grad_gates + 4 * t * layer->lanes * size;
        NAME(step_backward)(layer, t, first, last);
        for (int64_t block = 0; block < size; block += 4 * VECTOR)
            for (int64_t row = first, count; row < last; row += count) {
                count = NAME(rows_of)(last - row);
                NAME(product)((int)count, 4 * size, grad_gates + 4 * row * size, 4 * size, 1,
                              layer->weights + 4 * block * size, sums);
                for (int64_t r = 0; r < count; r++)
                    for (int64_t q = 0, unit = block; q < 4 && unit < size; q++, unit += VECTOR)
                        NAME(store)(layer->grad_h + (row + r) * size + unit, sums[r][q],
                                    NAME(width)(size - unit));
            }
    }
}
