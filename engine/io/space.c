// See space.h.
#include "engine/io/space.h"

#include <errno.h>
#include <sys/statvfs.h>

int io_space(const char *path, uint64_t *total, uint64_t *usable)
{
    struct statvfs s;
    if (statvfs(path, &s))
        return -errno;
    *total = (uint64_t)s.f_blocks * s.f_frsize;
    *usable = (uint64_t)s.f_bavail * s.f_frsize;
    return 0;
}
