// DescribeLogDirs (key 35), versions 1-5: the log directories, their space, and the sizes of the partitions in them. Sizes
// come from the shards.
//
// Deviations from upstream 4.3: none known.
#include "net/api/common.h"

#include "engine/io/space.h"
#include "proto/gen/describe_log_dirs_request.h"
#include "proto/gen/describe_log_dirs_response.h"

typedef struct kp_describe_log_dirs_response_describe_log_dirs_topic out_topic;
typedef struct kp_describe_log_dirs_response_describe_log_dirs_result out_dir;

struct ask {
    struct shard_describe q;
    uint32_t *at; // of each of its parts: which of all
    struct call call;
};
struct state {
    struct kp_describe_log_dirs_request m;
    struct shard_describe_part *parts; // of all shards, in order of topics
    struct kp_str *names;              // of each part
    uint32_t n;
    uint32_t pending;
};

static void add_part(struct state *st, const struct meta_topic *t, struct kp_str name, int32_t p)
{
    if (p < 0 || (uint32_t)p >= t->partitions_n)
        return;
    st->names[st->n] = name;
    st->parts[st->n++] = (struct shard_describe_part){.topic_id = t->id, .partition = p};
}

static void plan_all(struct req *r, struct state *st, const struct meta_image *img)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < img->topics_n; i++)
        n += img->topics[i]->partitions_n;
    st->parts = req_alloc_array(r, n, sizeof(*st->parts));
    st->names = req_alloc_array(r, n, sizeof(*st->names));
    for (uint32_t i = 0; i < img->topics_n; i++) {
        struct kp_str name = api_copy(r, img->topics[i]->name);
        for (uint32_t p = 0; p < img->topics[i]->partitions_n; p++)
            add_part(st, img->topics[i], name, (int32_t)p);
    }
}

static void plan_named(struct req *r, struct state *st)
{
    uint32_t n = 0;
    struct api_set seen;
    for (int32_t i = 0; i < st->m.topics_n; i++)
        n += (uint32_t)SL_MAX(st->m.topics[i].partitions_n, 0);
    st->parts = req_alloc_array(r, n, sizeof(*st->parts));
    st->names = req_alloc_array(r, n, sizeof(*st->names));
    struct api_part_key *keys = req_alloc_array(r, n, sizeof(*keys));
    api_set_init(r, &seen, n);
    uint32_t k = 0;
    for (int32_t i = 0; i < st->m.topics_n; i++) {
        const struct meta_topic *t = api_topic(r, st->m.topics[i].topic);
        for (int32_t p = 0; t && p < st->m.topics[i].partitions_n; p++, k++) {
            keys[k] = (struct api_part_key){t->id, st->m.topics[i].partitions[p]};
            if (api_set_put(&seen, &keys[k], sizeof(keys[k]), k) == k)
                add_part(st, t, api_copy(r, t->name), keys[k].partition);
        }
    }
}

static void topics_fill(struct req *r, struct state *st, uint32_t dir, out_dir *d)
{
    d->topics = req_alloc_array(r, st->n, sizeof(*d->topics));
    for (uint32_t i = 0; i < st->n; i++) {
        if (st->parts[i].error)
            continue;
        if (st->parts[i].dir != dir)
            continue;
        out_topic *t = d->topics_n ? &d->topics[d->topics_n - 1] : NULL;
        if (!t || !kp_str_eq(t->name, st->names[i])) {
            t = &d->topics[d->topics_n++];
            *t = (out_topic){.name = st->names[i]};
            t->partitions = req_alloc_array(r, st->n - i, sizeof(*t->partitions));
        }
        t->partitions[t->partitions_n++] = (struct kp_describe_log_dirs_response_describe_log_dirs_partition){
            .partition_index = st->parts[i].partition, .partition_size = (int64_t)st->parts[i].size};
    }
}

static void respond(struct req *r, struct state *st)
{
    struct kp_describe_log_dirs_response out;
    const struct meta_image *img = net_image(r->net);
    kp_describe_log_dirs_response_init(&out);
    out.results = req_alloc_array(r, img->dirs_n, sizeof(*out.results));
    for (uint32_t i = 0; i < img->dirs_n; i++) {
        const struct meta_dir *md = &img->dirs[i];
        uint64_t total, usable;
        if (!md->data)
            continue;
        out_dir *d = &out.results[out.results_n++];
        kp_describe_log_dirs_response_describe_log_dirs_result_init(d);
        d->log_dir = api_path(r, md->path);
        if (!md->online) {
            d->error_code = KERR_KAFKA_STORAGE_ERROR;
            continue;
        }
        if (r->version >= 4 && !io_space(md->path, &total, &usable)) {
            d->total_bytes = (int64_t)total;
            d->usable_bytes = (int64_t)usable;
        }
        topics_fill(r, st, i, d);
    }
    REQ_RESPOND(r, &out, describe_log_dirs_response);
}

static void described(struct call *c)
{
    struct state *st = c->req->state;
    const struct ask *a = SL_CONTAINER_OF(c, struct ask, call);
    for (uint32_t i = 0; i < a->q.n; i++)
        st->parts[a->at[i]] = a->q.parts[i];
    if (--st->pending == 0)
        respond(c->req, st);
}

static void ask_shards(struct req *r, struct state *st)
{
    uint32_t shards = net_shards(r->net);
    uint32_t *counts = req_alloc_array(r, shards, sizeof(*counts));
    struct ask *asks = req_alloc_array(r, shards, sizeof(*asks));
    for (uint32_t i = 0; i < st->n; i++)
        counts[net_shard_of(r->net, &st->parts[i].topic_id, st->parts[i].partition)]++;
    for (uint32_t s = 0; s < shards; s++) {
        asks[s].q.parts = req_alloc_array(r, counts[s], sizeof(*asks[s].q.parts));
        asks[s].at = req_alloc_array(r, counts[s], sizeof(*asks[s].at));
    }
    for (uint32_t i = 0; i < st->n; i++) {
        struct ask *a = &asks[net_shard_of(r->net, &st->parts[i].topic_id, st->parts[i].partition)];
        a->at[a->q.n] = i;
        a->q.parts[a->q.n++] = st->parts[i];
    }
    st->pending = 1;
    for (uint32_t s = 0; s < shards; s++) {
        if (!asks[s].q.n)
            continue;
        st->pending++;
        call_send(&asks[s].call, r, net_shard_reactor(r->net, s), SHARD_DESCRIBE, &asks[s].q, described);
    }
    if (--st->pending == 0)
        respond(r, st);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, describe_log_dirs_request))
        return;
    const struct meta_image *img = net_image(r->net);
    if (!img) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    if (st->m.topics_n < 0)
        plan_all(r, st, img);
    else
        plan_named(r, st);
    if (st->n)
        ask_shards(r, st);
    else
        respond(r, st);
}

const struct api_handler api_describe_log_dirs = {
    .key = 35, .min = 1, .max = 5, .advertise_min = 1, .start = start};
