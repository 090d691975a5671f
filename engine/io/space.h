// How full a file system is. Beside io.h's table, since nothing is decided by it: it is only shown.
#ifndef SLUICE_ENGINE_IO_SPACE_H
#define SLUICE_ENGINE_IO_SPACE_H

#include <stdint.h>

// Bytes of the file system that holds `path`, and those that are left to us (statvfs(3)). At once, cold paths only, any
// thread. 0 or -errno; simulated directories have none.
int io_space(const char *path, uint64_t *total, uint64_t *usable);

#endif
