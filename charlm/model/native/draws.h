/* The choice of a token: the filters and the draw of charlm/inference/generation/filters.py, for one lane. */

/* Floats as whole numbers in the same order; its own inverse. */
INLINE ints NAME(ordered)(vec x) { return (ints)x ^ (((ints)x >> 31) & 0x7fffffff); }

INLINE float NAME(total)(vec v) {
    float sum = 0;
    for (int n = 0; n < VECTOR; n++)
        sum += v[n];
    return sum;
}

/* The largest border with at least so much weight in the numbers from it on; room is padded. */
TARGET static float NAME(border)(const float *numbers, const float *weights, int64_t room,
                                 double wanted) {
    int64_t border = INT32_MIN;
    for (int bit = 31; bit >= 0; bit--) {
        int64_t higher = border + ((int64_t)1 << bit);
        vec sum = {0};
        if (higher > INT32_MAX)
            continue;
        for (int64_t at = 0; at < room; at += VECTOR) {
            ints above = NAME(ordered)(NAME(load)(numbers + at, VECTOR)) >= (int32_t)higher;
            sum += (vec)(above & (ints)NAME(load)(weights + at, VECTOR));
        }
        if (NAME(total)(sum) >= wanted)
            border = higher;
    }
    int32_t key = (int32_t)border, word = key ^ ((key >> 31) & 0x7fffffff);
    float found;
    memcpy(&found, &word, 4);
    return found;
}

/* The logits over the temperature, with what is banned at minus infinity, and the largest. */
TARGET static float NAME(temper)(const Stack *stack, const float *logits, float *to, int64_t room) {
    const float low = -__builtin_inff();
    float heat = stack->rule.temperature > 0 ? stack->rule.temperature : 1.0f, most = low;
    for (int64_t at = 0; at < room; at++) {
        to[at] = at < stack->vocab ? (logits[at] + stack->banned[at]) / heat : low;
        most = to[at] > most || to[at] != to[at] ? to[at] : most; /* NaN, once there, stays */
    }
    return most;
}

/* e^(number - most) for those from the border on, 0 for the others. */
TARGET static void NAME(weigh)(const float *numbers, float most, float border, int64_t room,
                               float *weights) {
    for (int64_t at = 0; at < room; at += VECTOR) {
        vec x = NAME(load)(numbers + at, VECTOR), scale;
        vec rest = NAME(split_exp)(x - most, &scale);
        vec weight = FMA(scale, rest, scale);
        NAME(store)(weights + at, (vec)((x >= border) & (ints)weight), VECTOR);
    }
}

/* What the filters rule out lies below. */
TARGET static float NAME(filter)(const Stack *stack, const float *numbers, float most,
                                 float *weights, int64_t room) {
    const Rule *rule = &stack->rule;
    float border = -__FLT_MAX__, other;
    if (rule->top_k > 0 && rule->top_k < stack->vocab) {
        for (int64_t at = 0; at < room; at += VECTOR)
            NAME(store)(weights + at, NAME(splat)(1.0f), VECTOR);
        other = NAME(border)(numbers, weights, room, rule->top_k);
        border = other > border ? other : border;
    }
    if (rule->top_p < 1) {
        vec sum = {0};
        NAME(weigh)(numbers, most, border, room, weights);
        for (int64_t at = 0; at < room; at += VECTOR)
            sum += NAME(load)(weights + at, VECTOR);
        other = NAME(border)(numbers, weights, room, rule->top_p * NAME(total)(sum));
        border = other > border ? other : border;
    }
    other = most + rule->log_min_p;
    return other > border ? other : border;
}

/* The token where the sum of the weights so far passes its share; -1 if there are no numbers. */
TARGET static int64_t NAME(draw)(const Stack *stack, const float *logits, double chance,
                                 float *scratch) {
    const int64_t room = (stack->vocab + VECTOR - 1) / VECTOR * VECTOR;
    float *numbers = scratch, *weights = scratch + room;
    float most = NAME(temper)(stack, logits, numbers, room);
    double sum = 0, sought;
    int64_t token = 0;
    if (stack->rule.temperature == 0) {
        while (token < stack->vocab && numbers[token] != most)
            token++;
        return token < stack->vocab ? token : -1;
    }
    NAME(weigh)(numbers, most, NAME(filter)(stack, numbers, most, weights, room), room, weights);
    for (int64_t at = 0; at < stack->vocab; at++)
        sum += weights[at];
    if (!(sum > 0 && most < __builtin_inff()))
        return -1;
    sought = chance * sum;
    for (sum = weights[0]; !(sum > sought); sum += weights[++token])
        ;
    return token;
}
