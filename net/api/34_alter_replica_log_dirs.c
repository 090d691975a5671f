// AlterReplicaLogDirs (key 34), versions 1-2: moving partitions between log directories. There is one, so that a move is to
// where the partition is already, or refused.
//
// Deviations from upstream 4.3: none known.
#include "net/api/common.h"

#include "proto/gen/alter_replica_log_dirs_request.h"
#include "proto/gen/alter_replica_log_dirs_response.h"

typedef struct kp_alter_replica_log_dirs_request_alter_replica_log_dir in_dir;
typedef struct kp_alter_replica_log_dirs_request_alter_replica_log_dir_topic in_topic;
typedef struct kp_alter_replica_log_dirs_response_alter_replica_log_dir_topic_result out_topic;

static bool is_log_dir(struct req *r, struct kp_str path)
{
    const struct cfg_list *dirs = cfg_list(r->net->cfg.cfg, CFG_LOG_DIRS);
    for (size_t i = 0; i < dirs->count; i++)
        if (kp_str_eq(path, kp_str_of(dirs->items[i])) || kp_str_eq(path, api_path(r, dirs->items[i])))
            return path.n > 0 && path.p[0] == '/';
    return false;
}

static int16_t answer_of(struct req *r, const in_dir *d, const in_topic *in, int32_t partition)
{
    const struct meta_topic *t = api_topic(r, in->name);
    if (!is_log_dir(r, d->path))
        return KERR_LOG_DIR_NOT_FOUND;
    return t && partition >= 0 && (uint32_t)partition < t->partitions_n ? KERR_NONE
                                                                        : KERR_UNKNOWN_TOPIC_OR_PARTITION;
}

// Topics of several directories are answered once each.
static out_topic *topic_of(struct req *r, struct api_set *seen,
                           struct kp_alter_replica_log_dirs_response *out, struct kp_str name, uint32_t most)
{
    uint32_t at = api_set_put(seen, name.p, (size_t)SL_MAX(name.n, 0), (uint32_t)out->results_n);
    out_topic *o = &out->results[at];
    if (at == (uint32_t)out->results_n) {
        out->results_n++;
        *o = (out_topic){.topic_name = name};
        o->partitions = req_alloc_array(r, most, sizeof(*o->partitions));
    }
    return o;
}

static void start(struct req *r)
{
    struct kp_alter_replica_log_dirs_request m;
    struct kp_alter_replica_log_dirs_response out;
    struct api_set seen;
    uint32_t topics = 0, parts = 0;
    if (!REQ_DECODE(r, &m, alter_replica_log_dirs_request))
        return;
    kp_alter_replica_log_dirs_response_init(&out);
    for (int32_t d = 0; d < m.dirs_n; d++)
        for (int32_t t = 0; t < m.dirs[d].topics_n; t++, topics++)
            parts += (uint32_t)SL_MAX(m.dirs[d].topics[t].partitions_n, 0);
    if ((uint64_t)topics * parts > API_PAIRS_MAX) {
        req_close(r, "too many topics and partitions");
        return;
    }
    api_set_init(r, &seen, topics);
    out.results = req_alloc_array(r, topics, sizeof(*out.results));
    for (int32_t d = 0; d < m.dirs_n; d++)
        for (int32_t t = 0; t < m.dirs[d].topics_n; t++) {
            const in_topic *in = &m.dirs[d].topics[t];
            out_topic *o = topic_of(r, &seen, &out, in->name, parts);
            for (int32_t p = 0; p < in->partitions_n; p++) {
                o->partitions[o->partitions_n].partition_index = in->partitions[p];
                o->partitions[o->partitions_n++].error_code = answer_of(r, &m.dirs[d], in, in->partitions[p]);
            }
        }
    REQ_RESPOND(r, &out, alter_replica_log_dirs_response);
}

const struct api_handler api_alter_replica_log_dirs = {
    .key = 34, .min = 1, .max = 2, .advertise_min = 1, .start = start};
