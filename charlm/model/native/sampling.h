/* Sampling a token from the logits of one lane: the filters and the choice that
 * charlm/inference/generation/filters.py makes, with the same result for the same uniform number.
 *
 * Arrays of V numbers are filled up to `padded`, a multiple of W, so that loops take whole vectors.
 * The padding's logits are minus infinity, which no threshold lets in: it is never sampled.
 */

/* The distribution of a lane on its way through the filters. */
typedef struct {
    int64_t padded;
    float *numbers; /* logits; minus infinity: excluded */
    float *weights; /* e^(number - largest), or what a filter needs for the moment */
    float *keys;    /* likewise */
    float largest;  /* of the numbers; NaN if one is NaN */
    float threshold; /* numbers below it are excluded, too */
} NAME(Row);

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

INLINE float NAME(sum_of)(const float *numbers, int64_t padded) {
    vec sum = {0};
    for (int64_t at = 0; at < padded; at += VECTOR)
        sum += NAME(load)(numbers + at, VECTOR);
    return NAME(total)(sum);
}

/* The largest number, or NaN if one is NaN. */
TARGET static float NAME(largest_of)(const float *numbers, int64_t padded) {
    vec largest = NAME(splat)(-__builtin_inff()), odd = {0};
    for (int64_t at = 0; at < padded; at += VECTOR) {
        vec x = NAME(load)(numbers + at, VECTOR);
        largest = NAME(choose)(x > largest, x, largest); /* false where x is NaN */
        odd = NAME(choose)(x == x, odd, x);
    }
    float found = largest[0];
    for (int n = 1; n < VECTOR; n++)
        found = largest[n] > found ? largest[n] : found;
    return found + 0 * NAME(total)(odd);
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

/* Weights e^(number - largest) for the numbers from the threshold on, 0 for the others. */
TARGET static void NAME(weigh)(const NAME(Row) *row) {
    for (int64_t at = 0; at < row->padded; at += VECTOR) {
        vec x = NAME(load)(row->numbers + at, VECTOR), scale;
        vec rest = NAME(split_exp)(x - row->largest, &scale);
        vec weight = FMA(scale, rest, scale);
        NAME(store)(row->weights + at, (vec)((x >= row->threshold) & (ints)weight), VECTOR);
    }
}

/* Excludes the numbers below a threshold, which may be NaN: then none. */
INLINE void NAME(raise_to)(NAME(Row) *row, float threshold) {
    row->threshold = threshold > row->threshold ? threshold : row->threshold;
}

/* Likewise, but keeps the largest in any case. */
INLINE void NAME(raise_below)(NAME(Row) *row, float threshold) {
    NAME(raise_to)(row, threshold < row->largest ? threshold : row->largest);
}

/* Excludes for good what is below the threshold, and where `keys` are below `border`. */
TARGET static void NAME(exclude)(NAME(Row) *row, float border) {
    const vec low = NAME(splat)(-__builtin_inff());
    for (int64_t at = 0; at < row->padded; at += VECTOR) {
        vec x = NAME(load)(row->numbers + at, VECTOR), key = NAME(load)(row->keys + at, VECTOR);
        ints kept = (x >= row->threshold) & ~(key < border);
        NAME(store)(row->numbers + at, NAME(choose)(kept, x, low), VECTOR);
    }
    row->largest = NAME(largest_of)(row->numbers, row->padded);
}

/* Keeps what is within n standard deviations of the largest: of the numbers not excluded. */
TARGET static void NAME(keep_top_n_sigma)(NAME(Row) *row, float n) {
    vec counts = {0}, sums = {0}, squares = {0};
    for (int64_t at = 0; at < row->padded; at += VECTOR) {
        vec x = NAME(load)(row->numbers + at, VECTOR);
        ints present = x >= row->threshold;
        vec below = (vec)(present & (ints)(x - row->largest));
        counts += (vec)(present & (ints)NAME(splat)(1.0f));
        sums += below;
        squares += below * below;
    }
    double count = NAME(total)(counts), mean = NAME(total)(sums) / count;
    double variance = NAME(total)(squares) / count - mean * mean;
    NAME(raise_below)(row, (float)(row->largest - n * sqrt(variance > 0 ? variance : 0)));
}

/* The expected number, and the logarithm of the sum of e^number, of what is not excluded. */
TARGET static double NAME(mean_of)(const NAME(Row) *row, double *log_sum) {
    vec sum = {0};
    NAME(weigh)(row);
    for (int64_t at = 0; at < row->padded; at += VECTOR) {
        vec x = NAME(load)(row->numbers + at, VECTOR), w = NAME(load)(row->weights + at, VECTOR);
        sum += (vec)((x >= row->threshold) & (ints)(w * (x - row->largest)));
    }
    double weight = NAME(sum_of)(row->weights, row->padded);
    *log_sum = row->largest + log(weight);
    return row->largest + NAME(total)(sum) / weight;
}

/* Keeps the set of probability p whose surprise is nearest to the entropy. */
TARGET static void NAME(keep_typical)(NAME(Row) *row, double p) {
    double log_sum;
    const vec mean = NAME(splat)((float)NAME(mean_of)(row, &log_sum));
    for (int64_t at = 0; at < row->padded; at += VECTOR) {
        vec distance = NAME(load)(row->numbers + at, VECTOR) - mean;
        NAME(store)(row->keys + at, (vec)((ints)distance | INT32_MIN), VECTOR); /* -|distance| */
    }
    double wanted = p * NAME(sum_of)(row->weights, row->padded);
    NAME(exclude)(row, NAME(threshold)(row->keys, row->weights, row->padded, wanted));
}

TARGET static void NAME(keep_epsilon)(NAME(Row) *row, double epsilon) {
    NAME(weigh)(row);
    double weight = NAME(sum_of)(row->weights, row->padded);
    NAME(raise_below)(row, (float)(row->largest + log(weight * epsilon)));
}

TARGET static void NAME(keep_eta)(NAME(Row) *row, double eta) {
    double log_sum, mean = NAME(mean_of)(row, &log_sum);
    double by_entropy = log(eta) / 2 + mean, border = log_sum + log(eta);
    NAME(raise_below)(row, (float)(by_entropy < border ? by_entropy : border));
}

/* XTC: excludes the good choices, those of at least a probability, but for the least of them. */
TARGET static void NAME(exclude_top_choices)(NAME(Row) *row, double probability) {
    vec low = NAME(splat)(__builtin_inff());
    NAME(weigh)(row);
    const float good = (float)(probability * NAME(sum_of)(row->weights, row->padded));
    for (int64_t at = 0; at < row->padded; at += VECTOR) {
        vec x = NAME(load)(row->numbers + at, VECTOR);
        low = NAME(choose)((NAME(load)(row->weights + at, VECTOR) >= good) & (x < low), x, low);
    }
    float least = low[0];
    for (int n = 1; n < VECTOR; n++)
        least = low[n] < least ? low[n] : least;
    for (int64_t at = 0; at < row->padded; at += VECTOR)
        NAME(store)(row->keys + at, -NAME(load)(row->numbers + at, VECTOR), VECTOR);
    NAME(exclude)(row, -least);
}

/* The filters of the rule, one after the other, in the order that filters.py states.  Those that
 * keep the most probable only raise the threshold. */
TARGET static void NAME(filter)(const Rule *rule, NAME(Row) *row, int64_t vocab) {
    if (rule->top_n_sigma > 0)
        NAME(keep_top_n_sigma)(row, rule->top_n_sigma);
    if (rule->top_k > 0 && rule->top_k < vocab) {
        for (int64_t at = 0; at < row->padded; at += VECTOR)
            NAME(store)(row->weights + at, NAME(splat)(1.0f), VECTOR);
        NAME(raise_to)(row, NAME(threshold)(row->numbers, row->weights, row->padded, rule->top_k));
    }
    if (rule->typical_p < 1)
        NAME(keep_typical)(row, rule->typical_p);
    if (rule->epsilon > 0)
        NAME(keep_epsilon)(row, rule->epsilon);
    if (rule->eta > 0)
        NAME(keep_eta)(row, rule->eta);
    if (rule->top_p < 1) {
        NAME(weigh)(row);
        double wanted = rule->top_p * NAME(sum_of)(row->weights, row->padded);
        NAME(raise_to)(row, NAME(threshold)(row->numbers, row->weights, row->padded, wanted));
    }
    NAME(raise_to)(row, row->largest + rule->log_min_p);
}

/* The sum of the weights from the first to before the last, in double precision and in the order of
 * the tokens, added to `sum`. */
INLINE double NAME(add_up)(const float *weights, int64_t first, int64_t last, double sum) {
    for (int64_t at = first; at < last; at++)
        sum += weights[at];
    return sum;
}

/* The first token at which the running sum of weights exceeds the uniform number times their sum;
 * -1 if logits are NaN or infinite.  The sum of all goes to `sum`. */
TARGET static int64_t NAME(choose_token)(const NAME(Row) *row, double uniform, double *sum) {
    double *sums = (double *)row->keys, running = 0; /* the running sum after each vector */
    for (int64_t at = 0; at < row->padded; at += VECTOR)
        sums[at / VECTOR] = running = NAME(add_up)(row->weights, at, at + VECTOR, running);
    *sum = running;
    if (!(running > 0 && row->largest < __builtin_inff())) /* also where either is NaN */
        return -1;
    /* Below the sum of all, since uniform < 1: each search ends at a token. */
    const double sought = uniform * running;
    int64_t block = 0;
    while (!(sums[block] > sought))
        block++;
    running = block ? sums[block - 1] : 0;
    for (int64_t token = block * VECTOR;; token++) {
        running += row->weights[token];
        if (running > sought)
            return token;
    }
}
