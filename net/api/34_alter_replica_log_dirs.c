// AlterReplicaLogDirs (key 34), versions 1-2: moving partitions between log directories. A move to where the partition is
// already is done.
//
// Deviations from upstream 4.3: a move to another directory is refused with UNSUPPORTED_VERSION: there are no future replicas.
#include "net/api/common.h"

#include "proto/gen/alter_replica_log_dirs_request.h"
#include "proto/gen/alter_replica_log_dirs_response.h"

typedef struct kp_alter_replica_log_dirs_request_alter_replica_log_dir in_dir;
typedef struct kp_alter_replica_log_dirs_request_alter_replica_log_dir_topic in_topic;
typedef struct kp_alter_replica_log_dirs_response_alter_replica_log_dir_topic_result out_topic;

static const struct meta_dir *find_dir(struct req *r, struct kp_str path)
{
    const struct meta_image *img = net_image(r->net);
    for (uint32_t i = 0; i < img->dirs_n && path.n > 0 && path.p[0] == '/'; i++)
        if (img->dirs[i].data && (kp_str_eq(path, kp_str_of(img->dirs[i].path)) ||
                                  kp_str_eq(path, api_path(r, img->dirs[i].path))))
            return &img->dirs[i];
    return NULL;
}

static bool is_in(const struct meta_image *img, const struct meta_partition *p, const struct meta_dir *d)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < img->dirs_n; i++)
        n += img->dirs[i].data;
    return n == 1 || sl_uuid_eq(&p->directory, &d->id);
}

static int16_t answer_of(struct req *r, const in_dir *in, const in_topic *topic, int32_t partition)
{
    const struct meta_image *img = net_image(r->net);
    const struct meta_topic *t = api_topic(r, topic->name);
    const struct meta_dir *d = find_dir(r, in->path);
    if (!d)
        return KERR_LOG_DIR_NOT_FOUND;
    if (!d->online)
        return KERR_KAFKA_STORAGE_ERROR;
    if (!t || partition < 0 || (uint32_t)partition >= t->partitions_n)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (meta_offline_here(img, &t->partitions[partition]))
        return KERR_KAFKA_STORAGE_ERROR;
    return is_in(img, &t->partitions[partition], d) ? KERR_NONE : KERR_UNSUPPORTED_VERSION;
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
    if (!net_image(r->net)) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
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
