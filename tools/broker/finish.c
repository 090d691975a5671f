// The end of a clean stop, after every shard closed its logs: upstream's offset checkpoint files, then the journal
// directory goes, and the clean-shutdown file comes last (storage rule S11).
#include "tools/broker/broker_private.h"

#include <errno.h>
#include <string.h>

static unsigned long long ms_of(const struct broker *b, enum service_kind kind)
{
    return reactor_group_stop_ns(b->group, kind) / 1000000;
}

void finish_fiber(void *arg)
{
    struct broker *b = arg;
    uint64_t begin = io_now_ns(reactor_io(reactor_current()));
    int rc = b->failed && !b->registered ? b->failed : dirs_end(b);
    if (!rc)
        rc = b->failed;
    if (rc) {
        b->rc = rc;
        sl_log(SL_WARN, "broker", "the stop was not clean (%s): the next start recovers", strerror(-rc));
    } else {
        sl_log(SL_INFO, "broker",
               "stopped cleanly dir=%s net.ms=%llu metadata.ms=%llu shards.ms=%llu files.ms=%llu",
               b->dirs[b->meta_dir].path, ms_of(b, SVC_NET), ms_of(b, SVC_META), ms_of(b, SVC_SHARD),
               (unsigned long long)(io_now_ns(reactor_io(reactor_current())) - begin) / 1000000);
    }
    b->finished = true;
}
