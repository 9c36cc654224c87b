/* What the text so far changes in the next token of a lane: the penalties that
 * charlm/inference/generation/penalties.py computes, the pattern that the text has to match, a
 * temperature that changes along the text, and the surprise that mirostat aims at.
 */

#define BOUNDARY 0 /* never penalised: only the model ends a text */

/* The tokens that count at step t of the job stand from `begin` to `end` in a row of texts. */
INLINE int64_t NAME(end_at)(const Texts *texts, int64_t t) { return texts->end + t; }

INLINE int64_t NAME(begin_at)(const Texts *texts, int64_t t) {
    int64_t begin = NAME(end_at)(texts, t) - texts->window;
    return texts->window && begin > texts->begin ? begin : texts->begin;
}

TARGET static void NAME(penalize_counts)(const Rule *rule, const float *counts, int64_t vocab,
                                         float *log_probs) {
    for (int64_t at = 0; at < vocab; at++) {
        float seen = counts[at] > 0, x = log_probs[at] * (seen ? rule->repetition : 1);
        log_probs[at] = x - rule->presence * seen - rule->frequency * counts[at];
    }
}

/* Lowers each token by the longest repetition that it would go on. */
TARGET static void NAME(penalize_repetitions)(const Stack *stack, int64_t lane, int64_t t,
                                              float *numbers, int32_t *longest) {
    const Texts *texts = &stack->texts;
    const int64_t begin = NAME(begin_at)(texts, t), end = NAME(end_at)(texts, t);
    const int32_t *tokens = texts->tokens + lane * texts->capacity;
    const int32_t *lengths = texts->unbroken + lane * texts->capacity;
    int found = 0;
    for (int64_t at = begin; at < end; at++) {
        int64_t length = lengths[at];
        if (length < stack->rule.dry_allowed || at - begin < stack->rule.dry_allowed)
            continue;
        if (!found++)
            memset(longest, 0, (size_t)stack->vocab * 4);
        length = length < at - begin ? length : at - begin;
        length = length < LONGEST_MATCH ? length : LONGEST_MATCH;
        if (length > longest[tokens[at]])
            longest[tokens[at]] = (int32_t)length;
    }
    for (int64_t token = BOUNDARY + 1; found && token < stack->vocab; token++)
        if (longest[token])
            numbers[token] -= texts->dry[longest[token]];
}

/* Excludes tokens that would complete n tokens that the text has already, unless nothing would be
 * left.  `kept` is scratch. */
TARGET static void NAME(exclude_repeated)(const Stack *stack, int64_t lane, int64_t t,
                                          float *numbers, float *kept) {
    const Texts *texts = &stack->texts;
    const int64_t begin = NAME(begin_at)(texts, t), end = NAME(end_at)(texts, t);
    const int64_t needed = stack->rule.no_repeat_ngram - 1;
    const int32_t *tokens = texts->tokens + lane * texts->capacity;
    const int32_t *lengths = texts->matches + lane * texts->capacity;
    float largest = -__builtin_inff();
    int found = 0;
    for (int64_t at = begin + needed; at < end; at++)
        if (lengths[at] >= needed && tokens[at] != BOUNDARY) {
            if (!found++)
                memcpy(kept, numbers, (size_t)stack->vocab * 4);
            kept[tokens[at]] = -__builtin_inff();
        }
    for (int64_t token = 0; found && token < stack->vocab; token++)
        largest = kept[token] > largest ? kept[token] : largest;
    if (largest > -__builtin_inff())
        memcpy(numbers, kept, (size_t)stack->vocab * 4);
}

/* The counted penalties, then DRY, then the n-grams that must not be repeated. */
TARGET static void NAME(penalize)(const Stack *stack, int64_t lane, int64_t t,
                                  const NAME(Row) *row) {
    const Rule *rule = &stack->rule;
    if (rule->repetition != 1 || rule->presence != 0 || rule->frequency != 0)
        NAME(penalize_counts)(rule, stack->texts.counts + lane * stack->vocab, stack->vocab,
                              row->numbers);
    if (stack->texts.dry)
        NAME(penalize_repetitions)(stack, lane, t, row->numbers, (int32_t *)row->keys);
    if (rule->no_repeat_ngram > 0)
        NAME(exclude_repeated)(stack, lane, t, row->numbers, row->keys);
}

/* How many tokens before each position equal the last ones, once `token` follows: the length at a
 * position goes on at the next one.  From the end, so that it works in place. */
TARGET static void NAME(lengthen)(const int32_t *tokens, int32_t *lengths, int64_t begin,
                                  int64_t end, int32_t token) {
    for (int64_t at = end - 1; at >= begin; at--)
        lengths[at + 1] = tokens[at] == token ? lengths[at] + 1 : 0;
}

/* Takes a token into the text of a lane. */
TARGET static void NAME(take_in)(const Stack *stack, int64_t lane, int64_t t, int64_t token) {
    const Texts *texts = &stack->texts;
    const int64_t begin = NAME(begin_at)(texts, t), end = NAME(end_at)(texts, t);
    const int64_t row = lane * texts->capacity;
    if (texts->written)
        texts->written[lane] += texts->widths[token];
    if (texts->states && token != BOUNDARY) {
        int32_t *state = texts->states + lane;
        texts->left[lane] -= texts->costs[*state % texts->kinds * stack->vocab + token];
        *state = texts->following[*state * stack->vocab + token];
    }
    if (!texts->tokens)
        return;
    int32_t *tokens = texts->tokens + row, word = (int32_t)token;
    float *counts = texts->counts + lane * stack->vocab;
    if (texts->matches)
        NAME(lengthen)(tokens, texts->matches + row, begin, end, token == BOUNDARY ? -1 : word);
    if (texts->unbroken)
        NAME(lengthen)(tokens, texts->unbroken + row, begin, end, texts->breakers[token] ? -1 : word);
    tokens[end] = word;
    counts[token] += token != BOUNDARY;
    if (NAME(begin_at)(texts, t + 1) > begin && tokens[begin] != BOUNDARY)
        counts[tokens[begin]] -= 1;
}

/* The temperature of a lane at this point of its text: a number on which sampler.temperature() in
 * charlm/inference/generation/sampling.py agrees. */
static float NAME(temperature_of)(const Stack *stack, int64_t lane) {
    const Rule *rule = &stack->rule;
    const double first = rule->temperature, last = rule->temperature_end;
    if (!stack->texts.written)
        return (float)first;
    float done = stack->texts.written[lane] / (float)rule->length;
    done = done < 1 ? done : 1;
    if (rule->shape == GEOMETRIC)
        return (float)(first * exp(done * log(last / first)));
    if (rule->shape == COSINE)
        done = (float)((1 - cos(M_PI * done)) / 2);
    return (float)first + (float)(last - first) * done;
}

/* The logits of a lane less a number, plus a bias where there is one. */
TARGET static void NAME(fill)(NAME(Row) *row, const float *logits, float less, const float *bias,
                              int64_t vocab) {
    for (int64_t at = 0; at < vocab; at += VECTOR) {
        int n = NAME(width)(vocab - at);
        vec x = NAME(load)(logits + at, n) - less;
        NAME(store)(row->numbers + at, bias ? x + NAME(load)(bias + at, n) : x, VECTOR);
    }
    for (int64_t at = vocab; at < row->padded; at++)
        row->numbers[at] = -__builtin_inff();
}

/* The sum of e^(number - largest), in double precision. */
TARGET static double NAME(sum_exp)(const NAME(Row) *row) {
    NAME(doubles) sums = {0};
    double sum = 0;
    for (int64_t at = 0; at < row->padded; at += VECTOR) {
        vec scale, rest = NAME(split_exp)(NAME(load)(row->numbers + at, VECTOR) - row->largest, &scale);
        sums += __builtin_convertvector(FMA(scale, rest, scale), NAME(doubles));
    }
    for (int n = 0; n < VECTOR; n++)
        sum += sums[n];
    return sum;
}

/* Excludes the tokens after which the pattern cannot be completed in what is left of the length,
 * among them the boundary.  Where the text may end, their probability goes to the boundary. */
TARGET static void NAME(constrain)(const Stack *stack, int64_t lane, const NAME(Row) *row) {
    const Texts *texts = &stack->texts;
    const int64_t vocab = stack->vocab, state = texts->states[lane];
    const int32_t *following = texts->following + state * vocab;
    const float *costs = texts->costs + state % texts->kinds * vocab;
    /* Finite, so that it is less than the infinite cost of what never completes the pattern. */
    const float left = texts->left[lane] < __FLT_MAX__ ? (float)texts->left[lane] : __FLT_MAX__;
    const float low = -__builtin_inff();
    for (int64_t token = 0; token < row->padded; token++) {
        int out = token < vocab && costs[token] + texts->distances[following[token]] > left;
        row->keys[token] = out ? row->numbers[token] : low;
        row->numbers[token] = out ? low : row->numbers[token];
    }
    NAME(Row) excluded = {row->padded, row->keys, NULL, NULL, 0, 0};
    excluded.largest = NAME(largest_of)(row->keys, row->padded);
    if (texts->distances[state] == 0 && excluded.largest != low)
        row->numbers[BOUNDARY] = excluded.largest + (float)log(NAME(sum_exp)(&excluded));
}

/* Filters, and samples by the uniform number; mirostat then corrects what it aims at. */
TARGET static int64_t NAME(sample_filtered)(const Stack *stack, int64_t lane, NAME(Row) *row,
                                            double uniform) {
    const Rule *rule = &stack->rule;
    double *limit = stack->texts.limit ? stack->texts.limit + lane : NULL, sum;
    const double xtc = rule->xtc_probability;
    NAME(filter)(rule, row, stack->vocab);
    if (xtc > 0 && uniform < xtc)
        NAME(exclude_top_choices)(row, rule->xtc_threshold);
    if (xtc > 0) /* what is left of the number is uniform again */
        uniform = uniform < xtc ? uniform / xtc : (uniform - xtc) / (1 - xtc);
    if (limit) {
        NAME(weigh)(row);
        double log_sum = log(NAME(sum_of)(row->weights, row->padded));
        NAME(raise_below)(row, (float)(row->largest + log_sum - *limit * M_LN2));
    }
    NAME(weigh)(row);
    int64_t token = NAME(choose_token)(row, uniform, &sum);
    if (limit && token >= 0) {
        double surprise = (log(sum) + row->largest - row->numbers[token]) / M_LN2;
        *limit -= rule->mirostat_rate * (surprise - rule->mirostat_tau);
    }
    return token;
}

/* Samples the token of step t of a lane; -1 if logits are NaN or infinite. */
TARGET static int64_t NAME(sample)(const Stack *stack, int64_t lane, int64_t t) {
    const int64_t vocab = stack->vocab, padded = (vocab + VECTOR - 1) / VECTOR * VECTOR;
    const float *logits = stack->logits + lane * vocab;
    const float temperature = NAME(temperature_of)(stack, lane);
    float *scratch = stack->scratch + lane * 3 * padded;
    NAME(Row) row = {padded, scratch, scratch + padded, scratch + 2 * padded, 0, -__FLT_MAX__};
    int64_t at = lane * stack->steps + t, token = 0;
    NAME(fill)(&row, logits, 0, NULL, vocab);
    const float largest = row.largest = NAME(largest_of)(row.numbers, padded);
    const float log_sum = (float)log(NAME(sum_exp)(&row));
    /* Only this factor needs the log-probabilities themselves. */
    float less = stack->rule.repetition == 1 ? 0 : largest + log_sum;
    NAME(fill)(&row, logits, less, stack->logit_bias, vocab);
    if (stack->texts.states)
        NAME(constrain)(stack, lane, &row);
    NAME(penalize)(stack, lane, t, &row);
    if (temperature > 0) /* 0 takes the largest as it is */
        for (int64_t n = 0; n < padded; n += VECTOR)
            NAME(store)(row.numbers + n, NAME(load)(row.numbers + n, VECTOR) / temperature, VECTOR);
    row.largest = NAME(largest_of)(row.numbers, padded);
    if (temperature > 0)
        token = NAME(sample_filtered)(stack, lane, &row, stack->uniforms[at]);
    else
        while (token < vocab && row.numbers[token] != row.largest)
            token++;
    token = token < vocab ? token : -1;
    stack->log_probs[at] = logits[readable(token)] - largest - log_sum;
    NAME(take_in)(stack, lane, t, readable(token));
    return token;
}
