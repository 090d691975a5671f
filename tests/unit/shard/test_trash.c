// Deleted topics on their way off the disk, behind the answer (trash.h).
#include "tests/unit/shard/shard_test.h"

#include <unistd.h>

static void make(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 10, .value = 300, .timestamp = 1000};
    assert_int_equal(t_open(b, 0, "trash", 1, &c), 0);
    b->s->env.trash_step = 4096;
    for (int i = 0; i < 12; i++)
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    assert_int_equal(log_write_back(t_log(b, 0, 0), true), 0);
}

static int count_gone(void *arg, const struct io_dirent *e)
{
    *(int *)arg += strstr(e->name, "-delete") != NULL;
    return 0;
}

static int gone_dirs(struct broker *b)
{
    int n = 0;
    assert_int_equal(io_listdir(reactor_io(b->r), b->dir, count_gone, &n), 0);
    return n;
}

static void wait_for_none(struct broker *b)
{
    for (int i = 0; i < 1000 && gone_dirs(b); i++)
        fiber_sleep(10ull * 1000 * 1000);
    assert_int_equal(gone_dirs(b), 0);
}

// The answer does not wait for it.
static void topic_part(struct broker *b)
{
    make(b);
    assert_int_equal(t_delete(b, 0), 0);
    assert_int_equal(gone_dirs(b), 1);
    wait_for_none(b);
}

static void topics_go_behind_the_answer(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, topic_part);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(topics_go_behind_the_answer, 64)

static void leave_part(struct broker *b)
{
    make(b);
    assert_int_equal(t_delete(b, 0), 0);
    assert_int_equal(gone_dirs(b), 1);
}

static void none_gone(struct broker *b)
{
    assert_int_equal(gone_dirs(b), 0);
}

// A stop takes what is left with it.
static void stops_leave_nothing(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, leave_part);
    assert_int_equal(t_stop(b), 0);
    t_between_lives(b, none_gone);
}
T_SIM(stops_leave_nothing, 65)

// A start takes what a crash left.
static void starts_remove(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, leave_part);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, wait_for_none);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(starts_remove, 66)

// Removed segments that are long do not hold up a start: they go beside serving, as others do.
static int count_removed(void *arg, const struct io_dirent *e)
{
    *(int *)arg += strstr(e->name, ".log.deleted") != NULL;
    return 0;
}

static int removed_files(struct broker *b)
{
    char dir[600];
    int n = 0;
    snprintf(dir, sizeof(dir), "%s/long-0", b->dir);
    assert_int_equal(io_listdir(reactor_io(b->r), dir, count_removed, &n), 0);
    return n;
}

static void remove_long(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 500000, .timestamp = 1000};
    c.segment_bytes = 6 << 20;
    c.retention_ms = c.retention_bytes = -1;
    c.deletes = true;
    c.file_delete_delay_ms = 3600 * 1000;
    assert_int_equal(t_open(b, 0, "long", 1, &c), 0);
    for (int i = 0; i < 40; i++)
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    c.retention_bytes = 1 << 20;
    log_set_config(t_log(b, 0, 0), &c);
    b->topics[0].config = c;
    assert_true(log_retain(t_log(b, 0, 0)) > 1);
    assert_true(removed_files(b) > 1);
}

static void still_there_then_gone(struct broker *b)
{
    int n = removed_files(b);
    assert_true(n > 1);
    assert_true(shard_env(b->s)->trash_no >= (uint64_t)n); // those that are given now are other ones
    for (int i = 0; i < 1000 && removed_files(b); i++)
        fiber_sleep(100ull * 1000 * 1000);
    assert_int_equal(removed_files(b), 0);
    struct t_spec spec = {.records = 1, .value = 100, .timestamp = 1000};
    assert_int_equal(t_produce(b, 0, 0, &spec, NULL), 0);
}

static void starts_do_not_wait(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, remove_long);
    t_crash(b, false);
    t_boot_ok(b);
    t_run(b, still_there_then_gone);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(starts_do_not_wait, 70)

// A file that has a name elsewhere, as a copy by hard links has, keeps its bytes.
static char copy_path[700];

static int first_log(void *arg, const struct io_dirent *e)
{
    char *name = arg;
    if (!*name && strstr(e->name, ".log"))
        snprintf(name, 64, "%.60s", e->name);
    return 0;
}

static void linked_part(struct broker *b)
{
    char dir[600], name[64] = "", path[700];
    struct io_stat before, after;
    make(b);
    snprintf(dir, sizeof(dir), "%s/trash-0", b->dir);
    assert_int_equal(io_listdir(reactor_io(b->r), dir, first_log, name), 0);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(copy_path, sizeof(copy_path), "%s/copy", b->dir);
    assert_int_equal(link(path, copy_path), 0);
    assert_int_equal(fio_stat(copy_path, &before), 0);
    assert_int_equal(t_delete(b, 0), 0);
    wait_for_none(b);
    assert_int_equal(fio_stat(copy_path, &after), 0);
    assert_int_equal(after.size, before.size);
    assert_true(after.size > 2 * 4096 && after.links == 1);
    assert_int_equal(fio_unlink(copy_path, false), 0);
}

static void links_keep_their_bytes(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, linked_part);
    assert_int_equal(t_stop(b), 0);
}
T_KERNEL(links_keep_their_bytes, 67)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(topics_go_behind_the_answer),
        T_SIM_ENTRY(stops_leave_nothing),
        T_SIM_ENTRY(starts_remove),
        T_SIM_ENTRY(starts_do_not_wait),
        T_KERNEL_ENTRY(links_keep_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
