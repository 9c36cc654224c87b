/* Stress test of the barrier in charlm/model/native/threads.h, by itself and on POSIX threads.
 *
 *     barrier THREADS PATIENCE TOGETHER SECONDS
 *
 * In each round of a job the members write the round's number into their share of the cells, meet,
 * add up all cells, and meet again.  A member that leaves a meeting too early finds an old number in
 * the sum; a wake-up that is missed leaves the program waiting for ever.  TOGETHER = 1 forbids to
 * announce a last meeting, so that all rounds are worked by all threads.  Prints the number of jobs,
 * of rounds, of wrong sums, of rounds that were left out, and of rounds worked by all threads.
 * With BROKEN the barrier does not wait.
 */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

int sched_yield(void);

/* Now and then a thread loses its processor before an atomic operation, as on a busy machine but
 * far more often, so that rare orders of events come up. */
static void hesitate(unsigned one_in) {
    static __thread unsigned dice;
    dice = dice * 1664525u + 1013904223u + (dice == 0) * (unsigned)(uintptr_t)&dice;
    if ((dice >> 16) % one_in == 0)
        sched_yield();
}

#define __atomic_fetch_add(...) (hesitate(4), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_load_n(...) (hesitate(64), __atomic_load_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (hesitate(1), __atomic_compare_exchange_n(__VA_ARGS__))
#include "threads.h"

#ifdef BROKEN
static int test_meet(Member *member) { return member != 0; }
#else
#define test_meet meet
#endif

#define MOST 64
#define CELLS 97
#define ROUNDS 200

static __thread int thread_number;
static int thread_count;

typedef struct {
    void (*function)(void *);
    void *argument;
    int number;
} Start;

static int number(void) { return thread_number; }
static int size(void) { return thread_count; }

static void *begin(void *given) {
    Start *start = given;
    thread_number = start->number;
    start->function(start->argument);
    return 0;
}

static void run_all(void (*function)(void *), void *argument, unsigned threads, unsigned flags) {
    pthread_t handles[MOST];
    Start starts[MOST];
    (void)flags;
    thread_count = (int)threads;
    for (int n = 0; n < (int)threads; n++) {
        starts[n] = (Start){function, argument, n};
        if (pthread_create(&handles[n], 0, begin, &starts[n]))
            exit(2);
    }
    for (int n = 0; n < (int)threads; n++)
        pthread_join(handles[n], 0);
}

typedef struct {
    Team team;
    int64_t together;
    /* Volatile only keeps the compiler from holding them in registers: it orders nothing. */
    volatile int64_t cells[CELLS];
    int64_t wrong[MOST], done[MOST], shared[MOST];
} Job;

static void rounds(const void *given, Member *member) {
    Job *job = (Job *)given;
    int64_t rank = member->rank;
    for (int64_t round = 1; round <= ROUNDS; round++) {
        int64_t sum = 0, to = end_of(member, CELLS);
        for (int64_t at = begin_of(member, CELLS); at < to; at++)
            job->cells[at] = round;
        if (!test_meet(member))
            return;
        for (int64_t at = 0; at < CELLS; at++)
            sum += job->cells[at];
        job->wrong[rank] += sum != CELLS * round;
        job->done[rank]++;
        job->shared[rank] += member->ranks > 1;
        if (!test_meet(member))
            return;
    }
}

int main(int count, char **given) {
    if (count != 5)
        return 2;
    int64_t threads = atoll(given[1]), jobs = 0, wrong = 0, missing = 0, shared = 0;
    double end = atof(given[4]);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        Job job;
        memset(&job, 0, sizeof job);
        job.team = (Team){run_all, number, size, threads, CELLS, 0, 0, 0};
        Work work = {&job.team, 0, rounds, atoll(given[2])};
        if (atoll(given[3])) {
            job.team.last = INT64_MAX; /* announced already, for the end of time */
            job.team.run(work_as_member, &work, (unsigned)threads, 0);
        } else {
            run(&job.team, work_as_member, &work);
        }
        missing += ROUNDS - job.done[0]; /* rank 0 works every round, with others or alone */
        for (int64_t n = 0; n < threads; n++)
            wrong += job.wrong[n], shared += n == 0 ? job.shared[n] : 0;
        jobs++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + 1e-9 * (double)(now.tv_nsec - start.tv_nsec) < end);
    printf("%lld %lld %lld %lld %lld\n", (long long)jobs, (long long)(jobs * ROUNDS),
           (long long)wrong, (long long)missing, (long long)shared);
    return 0;
}
