/* Sampling a token from the logits of one lane: the filters and the choice that
 * charlm/inference/generation/filters.py makes, with the same result for the same uniform number.
 *
 * Arrays of V numbers are filled up to `padded`, a multiple of W, so that loops take whole vectors.
 * The padding's logits are minus infinity, which no threshold lets in: it is never sampled.
 */

/* Floats as integers in the same order, so that integer comparisons can search among them.
 * Negative floats order backwards by their bits: flip all of those but the sign.  Its own
 * inverse. */
INLINE ints NAME(ordered)(vec x) { return (ints)x ^ (((ints)x >> 31) & 0x7fffffff); }

INLINE float NAME(total)(vec v) {
    float sum = 0;
    for (int n = 0; n < VECTOR; n++)
        sum += v[n];
    return sum;
}

/* The largest threshold such that the numbers from it on have at least the weight `wanted`.
 * It is found bit by bit, from the sign down: 32 passes, without sorting the vocabulary. */
TARGET static float NAME(threshold)(const float *numbers, const float *weights, int64_t padded,
                                    double wanted) {
    int64_t threshold = INT32_MIN;
    for (int bit = 31; bit >= 0; bit--) {
        int64_t higher = threshold + ((int64_t)1 << bit);
        vec sum = {0};
        if (higher > INT32_MAX)
            continue;
        for (int64_t at = 0; at < padded; at += VECTOR) {
            ints above = NAME(ordered)(NAME(load)(numbers + at, VECTOR)) >= (int32_t)higher;
            sum += (vec)(above & (ints)NAME(load)(weights + at, VECTOR));
        }
        if (NAME(total)(sum) >= wanted)
            threshold = higher;
    }
    int32_t key = (int32_t)threshold, word = key ^ ((key >> 31) & 0x7fffffff);
    float found;
    memcpy(&found, &word, 4);
    return found;
}

/* The logits, with their bias, over the temperature; returns the largest, or NaN if one is NaN. */
TARGET static float NAME(scale_logits)(const Stack *stack, const float *logits, float *to,
                                       int64_t padded) {
    const float low = -__builtin_inff(), temperature = stack->rule.temperature;
    const float divisor = temperature > 0 ? temperature : 1.0f; /* 0 takes the largest as it is */
    float largest = low;
    for (int64_t at = 0; at < padded; at++) {
        to[at] = at < stack->vocab ? (logits[at] + stack->logit_bias[at]) / divisor : low;
        /* A NaN compares false with everything: once it is the largest, it stays. */
        largest = to[at] > largest || to[at] != to[at] ? to[at] : largest;
    }
    return largest;
}

/* Weights e^(number - largest) for the numbers from the threshold on, 0 for the others. */
TARGET static void NAME(weigh)(const float *numbers, float largest, float threshold, int64_t padded,
                               float *weights) {
    for (int64_t at = 0; at < padded; at += VECTOR) {
        vec x = NAME(load)(numbers + at, VECTOR), scale;
        vec rest = NAME(split_exp)(x - largest, &scale);
        vec weight = FMA(scale, rest, scale);
        NAME(store)(weights + at, (vec)((x >= threshold) & (ints)weight), VECTOR);
    }
}

/* The threshold below which the filters of the rule, one after the other, exclude tokens. */
TARGET static float NAME(filter)(const Stack *stack, const float *numbers, float largest,
                                 float *weights, int64_t padded) {
    const Rule *rule = &stack->rule;
    float threshold = -__FLT_MAX__, other; /* excludes minus infinity, which no filter lets in */
    if (rule->top_k > 0 && rule->top_k < stack->vocab) {
        for (int64_t at = 0; at < padded; at += VECTOR)
            NAME(store)(weights + at, NAME(splat)(1.0f), VECTOR);
        other = NAME(threshold)(numbers, weights, padded, rule->top_k);
        threshold = other > threshold ? other : threshold;
    }
    if (rule->top_p < 1) {
        vec sum = {0};
        NAME(weigh)(numbers, largest, threshold, padded, weights);
        for (int64_t at = 0; at < padded; at += VECTOR)
            sum += NAME(load)(weights + at, VECTOR);
        other = NAME(threshold)(numbers, weights, padded, rule->top_p * NAME(total)(sum));
        threshold = other > threshold ? other : threshold;
    }
    other = largest + rule->log_min_p;
    return other > threshold ? other : threshold;
}

/* The first token at which the running sum of weights exceeds the uniform number times their sum;
 * at temperature 0 the first of the likeliest.  -1 if logits are NaN or infinite. */
TARGET static int64_t NAME(sample)(const Stack *stack, const float *logits, double uniform,
                                   float *scratch) {
    const int64_t padded = (stack->vocab + VECTOR - 1) / VECTOR * VECTOR;
    float *numbers = scratch, *weights = scratch + padded;
    float largest = NAME(scale_logits)(stack, logits, numbers, padded);
    double sum = 0, sought;
    int64_t token = 0;
    if (stack->rule.temperature == 0) {
        while (token < stack->vocab && numbers[token] != largest)
            token++;
        return token < stack->vocab ? token : -1;
    }
    NAME(weigh)(numbers, largest, NAME(filter)(stack, numbers, largest, weights, padded), padded,
                weights);
    /* In double precision and in the order of the tokens, as the search below adds them up: it
     * must find a token for every uniform number below 1. */
    for (int64_t at = 0; at < stack->vocab; at++)
        sum += weights[at];
    if (!(sum > 0 && largest < __builtin_inff())) /* also where either is NaN */
        return -1;
    sought = uniform * sum;
    for (sum = weights[0]; !(sum > sought); sum += weights[++token])
        ;
    return token;
}

/* What the log-probability of a token is made of, by the logits as the model gives them: its logit
 * less the largest, and the sum of e^(logit - largest).  The caller takes the logarithm, for which
 * this library would need another one. */
TARGET static void NAME(share)(const Stack *stack, const float *logits, int64_t token,
                               float *scratch, float share[2]) {
    const int64_t padded = (stack->vocab + VECTOR - 1) / VECTOR * VECTOR;
    float largest = -__builtin_inff(), *weights = scratch + padded;
    double sum = 0;
    for (int64_t at = 0; at < padded; at++) {
        scratch[at] = at < stack->vocab ? logits[at] : -__builtin_inff();
        largest = scratch[at] > largest ? scratch[at] : largest;
    }
    NAME(weigh)(scratch, largest, -__FLT_MAX__, padded, weights);
    for (int64_t at = 0; at < stack->vocab; at++)
        sum += weights[at];
    share[0] = logits[readable(token)] - largest;
    share[1] = (float)sum;
}
