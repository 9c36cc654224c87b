/* How work is shared between threads.  They are torch's own OpenMP threads: a second pool would
 * compete with the first, whose idle threads keep spinning for a while.
 *
 * split(): rows (lanes) are split once for all the work, and no thread waits for another before
 * the end.  gather(): where there are too few rows, the units of a layer are split instead, and all
 * threads meet at a barrier after each step.
 *
 * Memory that both ways rely on: GOMP_parallel makes the job visible to the threads it starts, and
 * returns only when all of them have ended, with everything that they wrote visible to its caller.
 */

typedef void (*run_on_threads)(void (*)(void *), void *, unsigned, unsigned); /* GOMP_parallel */

typedef struct {
    run_on_threads run;
    int (*number)(void); /* omp_get_thread_num */
    int (*size)(void);   /* omp_get_num_threads */
    int64_t threads;     /* to start at most; OpenMP may give fewer */
    int64_t count;       /* rows to split */
    int64_t next;        /* split(): the first share that no thread has taken yet */
    int64_t arrived;     /* gather(): arrivals at the barrier since the start, over all meetings */
    int64_t last;        /* gather(): number of the last meeting; 0 while none is announced */
} Team;

/* A thread of gather(). */
typedef struct {
    Team *team;
    int64_t rank, ranks; /* number of this thread, and of the threads that meet */
    int64_t met;         /* meetings that this thread has arrived at */
    int64_t patience;    /* turns of waiting before this thread announces a last meeting */
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

/* Arithmetic with denormal numbers costs about a hundred cycles each and changes nothing that
 * matters here: treat them as zero while a job runs. */
static unsigned flush_denormals(void) {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush to zero, denormals are zero */
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
    /* Relaxed: the addition has to be atomic, so that each share is taken once, but it orders no
     * other memory.  Shares write to different rows and read only what GOMP_parallel published. */
    while ((share = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED)) < team->threads)
        work->part(team, share * team->count / team->threads,
                   (share + 1) * team->count / team->threads);
    restore_denormals(before);
}

static void run(Team *team, void (*function)(void *), Work *work) {
    /* Plain stores: no other thread works on this team before GOMP_parallel starts it. */
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
        team->threads = team->count; /* a thread without rows would only cost its start */
    run(team, work_on_shares, &work);
}

static void work_as_member(void *argument) {
    Work *work = argument;
    Member member = {work->team, 0, 1, 0, work->patience};
    unsigned before = flush_denormals();
    if (work->team->threads > 1) {
        member.rank = work->team->number();
        /* Asked of OpenMP: the barrier would wait for ever for a thread that was not started. */
        member.ranks = work->team->size();
    }
    work->task(work->team, &member);
    restore_denormals(before);
}

/* All threads take part in each step, which reads so many bytes. */
static void gather(Team *team, task task, int64_t bytes) {
    /* A thread that works meets the others within about the time of its reads. */
    Work work = {team, 0, task, 4096 + bytes / 2048};
    run(team, work_as_member, &work);
}

/* The barrier: wait until all members are here; returns whether this member goes on working.
 *
 * On a busy machine a thread may lose its processor, and all others would wait for it at every
 * meeting.  Therefore a member that has waited for too long announces that the next meeting is the
 * last one; after it the member of rank 0 does the rest of the work alone.  States of a job:
 *
 *   TOGETHER           last == 0.  Meeting m ends when arrived == m * ranks: arrivals are never
 *                      taken back, so the counter tells all meetings apart and nobody resets it.
 *                      -> ANNOUNCED when a member has waited `patience` turns at a meeting.
 *   ANNOUNCED          last == m + 1, set by a member that waits at meeting m.  Only one member can
 *                      set it, once.  Meetings up to m end as before.
 *                      -> ALONE at the end of meeting m + 1.
 *   ALONE              Rank 0 has ranks == 1: it takes all shares and meets nobody.  The others get
 *                      0 from meet() and return from their task.
 *
 * Why all members agree on the last meeting: whoever sets last = m + 1 does so before it arrives at
 * meeting m + 1, and nobody leaves that meeting before it has arrived.  So at the end of meeting
 * m + 1 everybody sees the value.  Members that leave meeting m see 0 or m + 1, and go on in both
 * cases.
 */
static int meet(Member *member) {
    Team *team = member->team;
    int64_t all = ++member->met * member->ranks, none = 0;
    if (member->ranks == 1)
        return 1;
    /* Release: what this member wrote before the meeting is visible to whoever sees its arrival.
     * Acquire: the additions form a chain, in which each passes on what the earlier ones
     * released. */
    __atomic_fetch_add(&team->arrived, 1, __ATOMIC_ACQ_REL);
    /* Acquire: with the last arrival, all that all members wrote before the meeting is visible. */
    for (int64_t turn = 0; __atomic_load_n(&team->arrived, __ATOMIC_ACQUIRE) < all; turn++) {
        if (turn == member->patience)
            /* Compare and exchange: of several impatient members one announces, and a second
             * announcement cannot change the first.  The release of this member's next arrival
             * publishes the value; its own order matters to nobody. */
            __atomic_compare_exchange_n(&team->last, &none, member->met + 1, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE);
        if (turn >= member->patience)
            sched_yield(); /* let the missing thread have this processor */
#if defined(__x86_64__)
        _mm_pause();
#endif
    }
    /* Acquire, atomic: a waiting member may be announcing a later meeting at this very moment. */
    int64_t last = __atomic_load_n(&team->last, __ATOMIC_ACQUIRE);
    if (last == 0 || last > member->met)
        return 1;
    member->ranks = 1;
    return member->rank == 0;
}

/* The share of a member in count things: from begin_of to end_of. */
static int64_t begin_of(const Member *member, int64_t count) {
    return member->ranks > 1 ? member->rank * count / member->ranks : 0;
}

static int64_t end_of(const Member *member, int64_t count) {
    return member->ranks > 1 ? (member->rank + 1) * count / member->ranks : count;
}
