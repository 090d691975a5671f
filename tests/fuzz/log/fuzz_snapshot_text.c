/* Text files: the first byte picks the parser. What parses is printed and must parse to the same again. */
#include <stdlib.h>

#include "engine/log/epoch.h"
#include "engine/log/textfiles.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct count {
    struct sbuf out;
    uint32_t lines;
};

static int print_line(void *arg, const struct offset_checkpoint *c)
{
    struct count *x = arg;
    x->lines++;
    return offset_checkpoint_print(&x->out, c->topic, c->partition, c->offset);
}

static void offsets(const char *p, size_t n)
{
    struct count a = {0}, b = {0};
    if (offset_checkpoint_parse(p, n, print_line, &a) == 0) {
        struct sbuf file = {0};
        offset_checkpoint_print_begin(&file, a.lines);
        sbuf_append(&file, a.out.data ? a.out.data : "", a.out.len);
        SL_ASSERT(offset_checkpoint_parse(file.data, file.len, print_line, &b) == 0);
        SL_ASSERT(a.lines == b.lines && a.out.len == b.out.len);
        sbuf_free(&file);
    }
    sbuf_free(&a.out);
    sbuf_free(&b.out);
}

static void epochs(const char *p, size_t n)
{
    struct epoch_cache a = {0}, b = {0};
    struct sbuf out = {0};
    if (epoch_cache_parse(&a, p, n) == 0) {
        SL_ASSERT(epoch_cache_print(&a, &out) == 0);
        SL_ASSERT(epoch_cache_parse(&b, out.data, out.len) == 0 && a.count == b.count);
    }
    epoch_cache_destroy(&a);
    epoch_cache_destroy(&b);
    sbuf_free(&out);
}

static void identity(const char *p, size_t n)
{
    struct meta_properties a, b;
    struct sbuf out = {0};
    if (meta_properties_parse(p, n, &a) == 0) {
        SL_ASSERT(meta_properties_print(&out, &a) == 0);
        SL_ASSERT(meta_properties_parse(out.data, out.len, &b) == 0);
        SL_ASSERT(a.node_id == b.node_id && strcmp(a.cluster_id, b.cluster_id) == 0);
    }
    sbuf_free(&out);
}

static void quorum(const char *p, size_t n)
{
    struct quorum_state a, b;
    struct sbuf out = {0};
    if (quorum_state_parse(p, n, &a) == 0) {
        SL_ASSERT(quorum_state_print(&out, &a) == 0);
        SL_ASSERT(quorum_state_parse(out.data, out.len, &b) == 0);
        SL_ASSERT(a.leader_id == b.leader_id && a.voted_id == b.voted_id &&
                  strcmp(a.cluster_id, b.cluster_id) == 0);
    }
    sbuf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct sl_uuid id;
    int64_t epoch;
    if (n == 0)
        return 0;
    /* Exactly as many bytes as there are: no parser may look for a NUL. */
    char *text = malloc(n - 1 + !(n - 1));
    memcpy(text, p + 1, n - 1);
    switch (p[0] % 6) {
    case 0:
        offsets(text, n - 1);
        break;
    case 1:
        epochs(text, n - 1);
        break;
    case 2:
        identity(text, n - 1);
        break;
    case 3:
        quorum(text, n - 1);
        break;
    case 4:
        (void)clean_shutdown_parse(text, n - 1, &epoch);
        break;
    default:
        (void)partition_metadata_parse(text, n - 1, &id);
    }
    free(text);
    return 0;
}
