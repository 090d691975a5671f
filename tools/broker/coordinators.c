// What coordinators see of the metadata image (engine/coord/topics.h).
#include "tools/broker/broker_private.h"

static bool fill(const struct meta_topic *t, struct coord_topic *out)
{
    if (!t)
        return false;
    *out = (struct coord_topic){.id = t->id,
                                .name = t->name,
                                .name_len = t->name_len,
                                .partitions = (int32_t)t->partitions_n,
                                .max_message_bytes = (uint32_t)t->config->max_message_bytes};
    return true;
}

static uint64_t version(struct reactor *r)
{
    const struct meta_image *img = meta_image_get(r);
    return img ? img->version : 0;
}

static bool by_name(struct reactor *r, const char *name, size_t len, struct coord_topic *out)
{
    const struct meta_image *img = meta_image_get(r);
    return img && fill(meta_find_topic(img, name, len), out);
}

static bool by_id(struct reactor *r, const struct sl_uuid *id, struct coord_topic *out)
{
    const struct meta_image *img = meta_image_get(r);
    return img && fill(meta_find_topic_id(img, id), out);
}

static bool at(struct reactor *r, uint32_t i, struct coord_topic *out)
{
    const struct meta_image *img = meta_image_get(r);
    return img && i < img->topics_n && fill(img->topics[i], out);
}

static bool leads(struct reactor *r, const struct sl_uuid *id, int32_t partition)
{
    const struct meta_image *img = meta_image_get(r);
    const struct meta_topic *t = img ? meta_find_topic_id(img, id) : NULL;
    return t && partition >= 0 && (uint32_t)partition < t->partitions_n &&
           t->partitions[partition].leader == img->node_id;
}

static const char *group_config(struct reactor *r, const char *group, const char *key)
{
    const struct meta_image *img = meta_image_get(r);
    return img ? meta_resource_config(meta_find_resource(img, META_RES_GROUP, group), key) : NULL;
}

static const struct config *config_in_force(struct reactor *r)
{
    const struct meta_image *img = meta_image_get(r);
    return img ? img->config : NULL;
}

const struct coord_topics broker_coord_topics = {.version = version,
                                                 .by_name = by_name,
                                                 .by_id = by_id,
                                                 .at = at,
                                                 .leads = leads,
                                                 .group_config = group_config,
                                                 .config = config_in_force};
