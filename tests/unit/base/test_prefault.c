/* prefault.h: the states of a job, in steps and beside a thread; who may touch what when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>

#include "engine/base/prefault.h"
#include "engine/base/rand.h"

enum { PAGE = 4096, PAGES = 16, LEN = PAGE * PAGES };

static struct prefault_job job_map(void)
{
    void *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    return (struct prefault_job){.addr = p, .len = LEN};
}

static void job_unmap(struct prefault_job *job)
{
    assert_true(prefault_is_done(job));
    assert_int_equal(munmap(job->addr, job->len), 0);
}

static int pages_in_memory(const struct prefault_job *job)
{
    unsigned char in[PAGES];
    int n = 0;
    assert_int_equal(mincore(job->addr, job->len, in), 0);
    for (int i = 0; i < PAGES; i++)
        n += in[i] & 1;
    return n;
}

static void test_steps(void **state)
{
    struct prefault *f = prefault_create();
    struct prefault_job a = job_map(), b = job_map();
    prefault_push(f, &a);
    prefault_push(f, &b);
    assert_false(prefault_is_done(&a) || prefault_take(&a));
    assert_int_equal(pages_in_memory(&a), 0);
    assert_true(prefault_cancel(&b));
    assert_false(prefault_cancel(&b));
    assert_false(prefault_is_done(&b)); /* it is still queued */
    prefault_step(f);
    assert_int_equal(pages_in_memory(&a), PAGES);
    assert_int_equal(pages_in_memory(&b), 0);
    assert_true(prefault_is_done(&a) && prefault_is_done(&b));
    assert_false(prefault_cancel(&a));
    assert_true(prefault_take(&a));
    assert_false(prefault_take(&a) || prefault_take(&b));
    prefault_push(f, &b); /* again */
    prefault_drain(f);
    assert_true(prefault_take(&b));
    assert_int_equal(pages_in_memory(&b), PAGES);
    job_unmap(&a);
    job_unmap(&b);
    prefault_destroy(f);
}

/* Jobs that wait longest come first: a drain pushed last has all others before it. */
static void test_order(void **state)
{
    struct prefault *f = prefault_create();
    struct prefault_job jobs[3];
    assert_int_equal(prefault_start(f), 0);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 3; i++) {
            jobs[i] = job_map();
            prefault_push(f, &jobs[i]);
        }
        bool cancelled = prefault_cancel(&jobs[2]);
        prefault_drain(f);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(prefault_take(&jobs[i]), !(cancelled && i == 2));
            job_unmap(&jobs[i]);
        }
    }
    prefault_destroy(f);
}

/* Its line of /proc for the thread of that name, "" if there is none. */
static void thread_status(const char *name, const char *key, char *out, size_t cap)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    *out = 0;
    while ((e = readdir(d))) {
        char path[300], line[200], want[64];
        bool it = false;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
        snprintf(want, sizeof(want), "Name:\t%s\n", name);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file)) {
            it |= !strcmp(line, want);
            if (it && !strncmp(line, key, strlen(key)))
                snprintf(out, cap, "%s", line);
        }
        if (file)
            fclose(file);
    }
    closedir(d);
}

static void test_thread(void **state)
{
    char line[200];
    unsigned long long blocked = 0;
    struct prefault *f = prefault_create();
    assert_int_equal(prefault_start(f), 0);
    prefault_drain(f); /* it has its name by now */
    thread_status("prefault", "SigBlk:", line, sizeof(line));
    assert_int_equal(sscanf(line, "SigBlk: %llx", &blocked), 1);
    assert_int_equal(blocked & 0x7fff, 0x7fff & ~((1ull << 8))); /* all that can be: SIGKILL not */
    prefault_destroy(f);
    thread_status("prefault", "SigBlk:", line, sizeof(line));
    assert_string_equal(line, "");
}

/* Threads that push, cancel and take as their dice fall, and write to what is theirs. */
struct owner {
    struct prefault *f;
    pthread_t t;
    uint64_t seed;
    uint32_t ready, cancelled, wrong;
};

enum { OWNERS = 3, JOBS = 4, ROUNDS = 3000 };

static void own(struct owner *o, struct prefault_job *job, bool ready)
{
    uint8_t *p = job->addr;
    for (size_t i = 0; i < job->len; i += PAGE) {
        o->wrong += ready && p[i] != 0;
        p[i] = 0xee;
    }
    o->ready += ready;
    o->cancelled += !ready;
}

static void *owner_run(void *arg)
{
    struct owner *o = arg;
    struct prefault_job jobs[JOBS];
    bool mine[JOBS] = {0};
    struct sl_rand rnd;
    sl_rand_seed(&rnd, o->seed);
    for (int i = 0; i < JOBS; i++)
        jobs[i] = job_map();
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t i = (uint32_t)sl_rand_below(&rnd, JOBS);
        if (mine[i] && prefault_take(&jobs[i])) {
            own(o, &jobs[i], true);
            mine[i] = false;
        } else if (mine[i] && sl_rand_below(&rnd, 4) == 0 && prefault_cancel(&jobs[i])) {
            own(o, &jobs[i], false);
            mine[i] = false;
        } else if (!mine[i] && prefault_is_done(&jobs[i])) {
            prefault_push(o->f, &jobs[i]);
            mine[i] = true;
        } else if (sl_rand_below(&rnd, 8) == 0) {
            prefault_drain(o->f);
        }
    }
    prefault_drain(o->f);
    for (int i = 0; i < JOBS; i++) {
        if (mine[i] && prefault_take(&jobs[i]))
            own(o, &jobs[i], true);
        munmap(jobs[i].addr, jobs[i].len);
    }
    return NULL;
}

static void test_owners(void **state)
{
    struct prefault *f = prefault_create();
    struct owner o[OWNERS];
    uint32_t ready = 0, cancelled = 0;
    assert_int_equal(prefault_start(f), 0);
    for (int i = 0; i < OWNERS; i++) {
        o[i] = (struct owner){.f = f, .seed = 5 + (uint64_t)i};
        assert_int_equal(pthread_create(&o[i].t, NULL, owner_run, &o[i]), 0);
    }
    for (int i = 0; i < OWNERS; i++) {
        pthread_join(o[i].t, NULL);
        assert_int_equal(o[i].wrong, 0);
        ready += o[i].ready;
        cancelled += o[i].cancelled;
    }
    assert_true(ready > 0 && cancelled > 0);
    prefault_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_thread),
        cmocka_unit_test(test_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
