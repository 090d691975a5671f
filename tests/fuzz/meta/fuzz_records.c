/* Any bytes as records of the metadata log or of a snapshot, as a directory that upstream wrote may hold them. Each piece
 * begins with its length (two bytes, the highest bit: an image is made behind it) and is one record's value. A start ends
 * at the first record that cannot be applied; whatever came before makes an image, in which every topic is found by its
 * name and by its id, and has its partitions. */
#include "engine/base/bytes.h"
#include "tests/unit/meta/bare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PUBLISH = 0x8000, IMAGES_MAX = 8 };

static struct config *cfg;

static void silent(void *ctx, enum sl_log_level level, const char *line, size_t len)
{
    (void)ctx, (void)level, (void)line, (void)len;
}

static const struct config *configuration(void)
{
    char err[256];
    if (cfg)
        return cfg;
    sl_log_set_sink(silent, NULL);
    cfg = config_new();
    SL_ASSERT(cfg && config_set(cfg, "log.dirs", "/nowhere", CFG_FROM_FILE, err, sizeof(err)) == 0);
    SL_ASSERT(config_finish(cfg, err, sizeof(err)) == 0);
    return cfg;
}

static void check(const struct meta_image *img)
{
    for (uint32_t i = 0; i < img->topics_n; i++) {
        const struct meta_topic *t = img->topics[i];
        SL_ASSERT(meta_find_topic(img, t->name, t->name_len) == t);
        SL_ASSERT(meta_find_topic_id(img, &t->id) == t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meta *m = bare_meta(configuration());
    char err[512];
    uint32_t images = 0;
    int rc = 0;
    while (size >= 2 && !rc) {
        uint32_t head = be16_load(data);
        size_t n = SL_MIN((size_t)(head & (PUBLISH - 1)), size - 2);
        rc = bare_apply(m, data + 2, n, err, sizeof(err));
        data += 2 + n;
        size -= 2 + n;
        if (!rc && (head & PUBLISH) && images++ < IMAGES_MAX)
            check(bare_publish(m));
    }
    if (!rc)
        check(bare_publish(m));
    meta_destroy(m);
    return 0;
}
