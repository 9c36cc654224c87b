/* A stack of layers and a head, advanced token by token.  Each step reads all weights once,
 * whatever the number of lanes, so it is reading that limits the speed of few lanes.
 *
 * A row of a level's inputs is [what comes from below, own h]: one product gives W_x x + W_h h.
 * The last part belongs to the step before until keep() replaces it.
 */

/* count rows of a level's inputs, from row on, times its panel that begins at a column. */
TARGET static void NAME(product_of)(const Stack *stack, const StackLevel *level, int count,
                                    int64_t row, int64_t column, vec out[][4]) {
    const int64_t depth = level->depth;
    const float *a = level->inputs + row * depth;
    const void *panel = (const char *)level->weights + column * depth * stack->bits / 8;
    if (stack->bits == 32)
        NAME(product)(count, depth, a, depth, 1, panel, out);
    else if (stack->bits == 16)
        NAME(product_16)(count, depth, a, depth, panel, out);
    else
        NAME(product_8)(count, depth, a, depth, panel, out);
}

/* Advances n units of one lane.  The new h goes only to the level above: the other units of this
 * level, in other threads too, still need the h before. */
INLINE void NAME(advance_units)(const StackLevel *level, vec sum[4], int64_t token, int64_t lane,
                                int64_t size, int64_t unit, int n) {
    const float *start = level->start + readable(token) * level->start_stride + unit;
    float *cells = level->cells + lane * size + unit;
    for (int q = 0; q < 4; q++) {
        if (level->scales)
            sum[q] *= NAME(load)(level->scales + q * size + unit, n);
        sum[q] += NAME(load)(start + q * size, n);
    }
    vec c = NAME(load)(cells, n);
    NAME(store)(level[1].inputs + lane * level[1].depth + unit, NAME(cell)(sum, &c), n);
    NAME(store)(cells, c, n);
}

/* Advances a layer by a step: the lanes from first to last, the panels from from to to. */
TARGET static void NAME(advance)(const Stack *stack, const StackLevel *level, int64_t t,
                                 int64_t first, int64_t last, int64_t from, int64_t to) {
    const int64_t size = stack->hidden;
    vec sums[ROWS][4];
    for (int64_t unit = from * VECTOR; unit < to * VECTOR; unit += VECTOR) {
        int n = NAME(width)(size - unit);
        for (int64_t row = first, count; row < last; row += count) {
            count = NAME(rows_of)(last - row);
            NAME(product_of)(stack, level, (int)count, row, 4 * unit, sums);
            for (int64_t r = 0; r < count; r++)
                NAME(advance_units)(level, sums[r], stack->tokens[(row + r) * stack->steps + t],
                                    row + r, size, unit, n);
        }
    }
}

/* Copies the new h from the level above into the level's own inputs, for the next step. */
TARGET static void NAME(keep)(const Stack *stack, const StackLevel *level, int64_t first,
                              int64_t last, int64_t from, int64_t to) {
    const int64_t size = stack->hidden, begin = from * VECTOR;
    const int64_t count = (to * VECTOR < size ? to * VECTOR : size) - begin;
    for (int64_t lane = first; lane < last && count > 0; lane++)
        memcpy(level->inputs + (lane + 1) * level->depth - size + begin,
               level[1].inputs + lane * level[1].depth + begin, (size_t)count * 4);
}

/* Logits of the lanes from first to last, the panels from from to to. */
TARGET static void NAME(read_head)(const Stack *stack, int64_t first, int64_t last, int64_t from,
                                   int64_t to) {
    const StackLevel *head = stack->levels + stack->layers;
    vec sums[ROWS][4];
    for (int64_t block = from * 4 * VECTOR; block < to * 4 * VECTOR; block += 4 * VECTOR)
        for (int64_t row = first, count; row < last; row += count) {
            count = NAME(rows_of)(last - row);
            NAME(product_of)(stack, head, (int)count, row, block, sums);
            for (int64_t r = 0; r < count; r++)
                for (int64_t q = 0, at = block; q < 4 && at < stack->vocab; q++, at += VECTOR) {
                    int n = NAME(width)(stack->vocab - at);
                    if (head->scales)
                        sums[r][q] *= NAME(load)(head->scales + at, n);
                    NAME(store)(stack->logits + (row + r) * stack->vocab + at,
                                sums[r][q] + NAME(load)(head->start + at, n), n);
                }
        }
}

/* Samples the tokens of a step where the job writes, and looks up their embeddings. */
TARGET static void NAME(take_tokens)(const Stack *stack, int64_t t, int64_t first, int64_t last) {
    const StackLevel *level = stack->levels;
    const int64_t inputs = level->depth - stack->hidden;
    for (int64_t lane = first; lane < last; lane++) {
        int64_t at = lane * stack->steps + t;
        if (stack->writes)
            stack->tokens[at] = NAME(sample)(stack, lane, t);
        if (stack->embedding)
            memcpy(level->inputs + lane * level->depth,
                   stack->embedding + readable(stack->tokens[at]) * inputs, (size_t)inputs * 4);
    }
}

/* All steps of the lanes from first to last, with the other members or alone.
 *
 * The members share the panels of each level.  A meeting stands wherever one member reads what
 * another has written, or writes what another may still be reading.
 */
TARGET static void NAME(decode_steps)(const Stack *stack, int64_t first, int64_t last,
                                      Member *member) {
    const int64_t panels = (stack->hidden + VECTOR - 1) / VECTOR;
    const int64_t blocks = (stack->vocab + 4 * VECTOR - 1) / (4 * VECTOR);
    for (int64_t t = 0; t < stack->steps; t++) {
        if (member->rank == 0)
            NAME(take_tokens)(stack, t, first, last);
        if (!meet(member)) /* all members need the tokens and the embeddings */
            return;
        for (int64_t n = 0; n < stack->layers; n++) {
            int64_t from = begin_of(member, panels), to = end_of(member, panels);
            NAME(advance)(stack, stack->levels + n, t, first, last, from, to);
            /* Nobody reads the old h of this level any more, and the level above has the whole new
             * one.  Keeping it needs no meeting of its own: the next one comes before its reading,
             * in the next step. */
            if (!meet(member))
                return;
            /* Shares anew: if that was the last meeting, rank 0 also keeps the others' units. */
            from = begin_of(member, panels), to = end_of(member, panels);
            NAME(keep)(stack, stack->levels + n, first, last, from, to);
        }
        if (stack->writes || t == stack->steps - 1)
            NAME(read_head)(stack, first, last, begin_of(member, blocks), end_of(member, blocks));
        if (!meet(member)) /* rank 0 samples from all logits; the next step overwrites h above */
            return;
    }
}

TARGET static void NAME(decode)(const void *job, Member *member) {
    const Stack *stack = job;
    NAME(decode_steps)(stack, 0, stack->lanes, member);
}

TARGET static void NAME(decode_lanes)(const void *job, int64_t first, int64_t last) {
    Member alone = {0, 0, 1, 0, 0};
    NAME(decode_steps)(job, first, last, &alone);
}
