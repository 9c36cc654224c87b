/* How work is shared between threads: torch's own, for a second pool would fight with the first.
 *
 * Rows are split once, for all the work: no thread waits for another before the end.  Where there
 * are too few rows, the units of a layer are split, and all threads meet after each step.
 */

typedef void (*run_on_threads)(void (*)(void *), void *, unsigned, unsigned); /* GOMP_parallel */

typedef struct {
    run_on_threads run;
    int (*number)(void); /* omp_get_thread_num */
    int (*size)(void);   /* omp_get_num_threads */
    int64_t threads, count;
    int64_t next;    /* the share that no thread has taken yet */
    int64_t arrived; /* at meetings, all together */
    int64_t last;    /* the meeting after which the first thread goes on alone; 0: none */
} Team;

/* One thread among those that meet. */
typedef struct {
    Team *team;
    int64_t rank, ranks, met;
    int64_t patience; /* turns of waiting until something must have gone wrong */
} Member;

typedef void (*part)(const void *job, int64_t first, int64_t last);
typedef void (*task)(const void *job, Member *member);

typedef struct {
    Team *team;
    part part;
    task task;
    int64_t patience;
} Work;

int sched_yield(void);

/* Denormals cost a hundred cycles each and carry nothing here: flush them while a job runs. */
static unsigned flush_denormals(void) {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
#else
    return 0;
#endif
}

static void restore_denormals(unsigned before) {
#if defined(__x86_64__)
    _mm_setcsr(before);
#else
    (void)before;
#endif
}

static void work_on_shares(void *argument) {
    Work *work = argument;
    Team *team = work->team;
    unsigned before = flush_denormals();
    int64_t share;
    while ((share = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED)) < team->threads)
        work->part(team, share * team->count / team->threads,
                   (share + 1) * team->count / team->threads);
    restore_denormals(before);
}

static void run(Team *team, void (*function)(void *), Work *work) {
    team->next = team->arrived = team->last = 0;
    if (team->threads > 1)
        team->run(function, work, (unsigned)team->threads, 0);
    else
        function(work);
}

/* Each thread takes some of the rows. A team is the first field of its job. */
static void split(Team *team, part part) {
    Work work = {team, part, 0, 0};
    if (team->threads > team->count)
        team->threads = team->count; /* one without anything to do would only cost its start */
    run(team, work_on_shares, &work);
}

static void work_as_member(void *argument) {
    Work *work = argument;
    Member member = {work->team, 0, 1, 0, work->patience};
    unsigned before = flush_denormals();
    if (work->team->threads > 1) {
        member.rank = work->team->number();
        member.ranks = work->team->size();
    }
    work->task(work->team, &member);
    restore_denormals(before);
}

/* All threads take part in each step; bytes are read in one. */
static void gather(Team *team, task task, int64_t bytes) {
    Work work = {team, 0, task, 4096 + bytes / 2048};
    run(team, work_as_member, &work);
}

/* Wait until all are here; returns whether this thread has anything more to do.
 *
 * On a busy machine a thread may lose its processor, and all would wait for it at every meeting.
 * So who has waited for too long calls the next meeting the last: then all know that it is.
 */
static int meet(Member *member) {
    Team *team = member->team;
    int64_t all = ++member->met * member->ranks, none = 0;
    if (member->ranks == 1)
        return 1;
    __atomic_fetch_add(&team->arrived, 1, __ATOMIC_ACQ_REL);
    for (int64_t turn = 0; __atomic_load_n(&team->arrived, __ATOMIC_ACQUIRE) < all; turn++) {
        if (turn == member->patience)
            __atomic_compare_exchange_n(&team->last, &none, member->met + 1, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE);
        if (turn >= member->patience)
            sched_yield();
#if defined(__x86_64__)
        _mm_pause();
#endif
    }
    int64_t last = __atomic_load_n(&team->last, __ATOMIC_ACQUIRE);
    if (last == 0 || last > member->met)
        return 1;
    member->ranks = 1;
    return member->rank == 0;
}

/* The share of a member in count things. */
static int64_t begin_of(const Member *member, int64_t count) {
    return member->ranks > 1 ? member->rank * count / member->ranks : 0;
}

static int64_t end_of(const Member *member, int64_t count) {
    return member->ranks > 1 ? (member->rank + 1) * count / member->ranks : count;
}
