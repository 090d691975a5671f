#include "engine/log/bulk.h"

#include "engine/base/canary.h"

void bulk_begin(struct bulk *b, const char *dir, uint32_t n, uint32_t min)
{
    *b = (struct bulk){.dir = -1};
    if (!min || n < min)
        return;
    b->dir = fio_open(dir, IO_RDONLY | IO_DIRECTORY, 0);
    b->on = b->dir >= 0 && io_can_syncfs(reactor_io(fiber_reactor(fiber_current())), b->dir);
    if (!b->on)
        bulk_drop(b);
}

int bulk_end(struct bulk *b)
{
    int rc = 0;
    if (!b->on)
        return 0;
    if (!SL_CANARY(BULK_NOT_SYNCED))
        rc = fio_syncfs(b->dir);
    // Names that syncfs handed to the drive may be in its cache still: a sync empties that.
    if (!rc)
        rc = fio_fsync(b->dir, false);
    bulk_drop(b);
    return rc;
}

void bulk_drop(struct bulk *b)
{
    if (b->dir >= 0)
        (void)fio_close(b->dir);
    *b = (struct bulk){.dir = -1};
}
