/* The highest speeds of the processor: of multiplying and adding in registers, and of reading. */

/* Each of the shares from first to last adds a product to 16 vectors, repeats times.  The vectors
 * do not depend on each other: a processor can start two such operations in a cycle, and each takes
 * about four cycles.  The sum is stored so that the compiler cannot leave the work out. */
TARGET static void NAME(probe_products)(const void *job, int64_t first, int64_t last) {
    const ProbeJob *probe = job;
    vec sum[16], x = NAME(splat)(probe->numbers[0]), y = NAME(splat)(probe->numbers[1]);
    _Pragma("GCC unroll 16") for (int n = 0; n < 16; n++) sum[n] = NAME(splat)(n);
    for (int64_t turn = 0; turn < (last - first) * probe->repeats; turn++)
        _Pragma("GCC unroll 16") for (int n = 0; n < 16; n++) sum[n] = FMA(x, y, sum[n]);
    for (int n = 1; n < 16; n++)
        sum[0] += sum[n];
    probe->sums[first] = sum[0][0];
}

/* Each share reads its part of the numbers, repeats times, into 8 sums that can be added in
 * parallel. */
TARGET static void NAME(probe_reads)(const void *job, int64_t first, int64_t last) {
    const ProbeJob *probe = job;
    const int64_t shares = probe->team.count, block = 8 * VECTOR;
    const int64_t begin = first * probe->count / shares / block * block;
    const int64_t end = last * probe->count / shares / block * block;
    vec sum[8];
    _Pragma("GCC unroll 8") for (int n = 0; n < 8; n++) sum[n] = (vec){0};
    for (int64_t turn = 0; turn < probe->repeats; turn++)
        for (int64_t at = begin; at < end; at += block)
            _Pragma("GCC unroll 8") for (int n = 0; n < 8; n++)
                sum[n] += NAME(load)(probe->numbers + at + n * VECTOR, VECTOR);
    for (int n = 1; n < 8; n++)
        sum[0] += sum[n];
    probe->sums[first] = sum[0][0];
}
