// A controller's state without a log, a reactor or a file: for records, images and what follows from them.
#ifndef SLUICE_TESTS_UNIT_META_BARE_H
#define SLUICE_TESTS_UNIT_META_BARE_H

#include <stdlib.h>

#include "engine/meta/meta_private.h"

// `cfg` outlives it. meta_destroy frees it.
static inline struct meta *bare_meta(const struct config *cfg)
{
    struct meta *m = calloc(1, sizeof(*m));
    SL_ASSERT(m);
    m->cfg = cfg;
    m->id.node_id = 1;
    m->ids.by_id = true;
    m->kraft_version = -1;
    topic_config_init(&m->base, cfg);
    list_init(&m->changed);
    list_init(&m->jobs);
    arena_init(&m->drafts, 0);
    arena_init(&m->decode, 0);
    recs_init(&m->txn_recs);
    recs_init(&m->bootstrap);
    return m;
}

// The next record's value.
static inline int bare_apply(struct meta *m, const uint8_t *p, size_t n, char *err, size_t cap)
{
    return meta_apply(m, m->next_offset++, p, n, err, cap);
}

// Makes an image of the state, which becomes the present one.
static inline const struct meta_image *bare_publish(struct meta *m)
{
    struct image *img = meta_freeze(m), *old = m->image;
    SL_ASSERT(img);
    m->image = img;
    image_free(old);
    return &img->pub;
}

#endif
