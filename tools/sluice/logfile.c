#include "tools/sluice/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/bytes.h"

#define SHARD_CHECKPOINT_MAGIC "SLUICECP"
enum { NAME_DIGITS = 20 };

int64_t logfile_number(const char *name, const char *suffix)
{
    int64_t v = 0;
    if (strlen(name) != NAME_DIGITS + strlen(suffix) || strcmp(name + NAME_DIGITS, suffix) != 0)
        return -1;
    for (int i = 0; i < NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || v > (INT64_MAX - 9) / 10)
            return -1;
        v = v * 10 + (name[i] - '0');
    }
    return v;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcmp(name + n - m, suffix) == 0;
}

static enum logfile_kind kind_of(const struct logfile *f, const char *name)
{
    static const struct {
        const char *suffix;
        enum logfile_kind kind;
    } kinds[] = {{".log", LOGFILE_SEGMENT},         {".index", LOGFILE_INDEX},
                 {".timeindex", LOGFILE_TIMEINDEX}, {".txnindex", LOGFILE_TXNINDEX},
                 {".snapshot", LOGFILE_PRODUCERS},  {".journal", LOGFILE_JOURNAL}};
    for (size_t i = 0; i < SL_ARRAY_LEN(kinds); i++) {
        if (ends_with(name, kinds[i].suffix))
            return kinds[i].kind;
    }
    if (ends_with(name, ".checkpoint")) /* a shard's or KRaft's: both exist */
        return f->len >= 8 && memcmp(f->data, SHARD_CHECKPOINT_MAGIC, 8) == 0 ? LOGFILE_SHARD
                                                                              : LOGFILE_SEGMENT;
    if (ends_with(name, "-checkpoint") || strcmp(name, "partition.metadata") == 0 ||
        strcmp(name, "meta.properties") == 0 || strcmp(name, ".kafka_cleanshutdown") == 0 ||
        strcmp(name, "quorum-state") == 0)
        return LOGFILE_TEXT;
    return LOGFILE_UNKNOWN;
}

static int map(struct logfile *f, int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    f->len = (size_t)st.st_size;
    if (!f->len)
        return 0;
    void *p = mmap(NULL, f->len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    f->data = p;
    return 0;
}

int logfile_open(struct logfile *f, const char *path)
{
    static const char *const numbered[] = {".log", ".index", ".timeindex", ".txnindex", ".snapshot"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    *f = (struct logfile){.base_offset = -1};
    if (strlen(path) >= sizeof(f->path))
        return -ENAMETOOLONG;
    snprintf(f->path, sizeof(f->path), "%s", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = map(f, fd);
    close(fd);
    if (rc)
        return rc;
    for (size_t i = 0; i < SL_ARRAY_LEN(numbered) && f->base_offset < 0; i++)
        f->base_offset = logfile_number(name, numbered[i]);
    f->kind = kind_of(f, name);
    return 0;
}

void logfile_close(struct logfile *f)
{
    if (f->data)
        munmap((void *)(uintptr_t)f->data, f->len);
    f->data = NULL;
    f->len = 0;
}
