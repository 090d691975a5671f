/* Configuration text: the first line is a topic's key=value (a client may send any), the rest a properties file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *defaults(void)
{
    static struct config *c;
    char err[256];
    if (!c) {
        c = config_new();
        SL_ASSERT(config_finish(c, err, sizeof(err)) == 0);
    }
    return c;
}

/* A value that was taken must be shown, as Kafka would write it, and what is shown must mean the same. */
static void try_topic(const char *key, const char *value)
{
    struct topic_config t, again;
    char err[64]; /* short: messages are cut */
    topic_config_init(&t, defaults());
    again = t;
    int rc = topic_config_set(&t, key, value, err, sizeof(err));
    if (rc) {
        SL_ASSERT(memcmp(&t, &again, sizeof(t)) == 0);
        SL_ASSERT(memchr(err, '\0', sizeof(err)));
        return;
    }
    struct cfg_view v;
    topic_config_view(defaults(), topic_key_find(key), value, &v);
    SL_ASSERT(v.value);
    SL_ASSERT(topic_config_set(&again, key, v.value, err, sizeof(err)) == 0);
    SL_ASSERT(memcmp(&t, &again, sizeof(t)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *eol = memchr(data, '\n', size);
    size_t first = eol ? (size_t)(eol - data) : size;
    char *line = calloc(first + 1, 1);
    SL_ASSERT(line);
    memcpy(line, data, first);
    char *eq = strchr(line, '=');
    if (eq) {
        *eq = '\0';
        try_topic(line, eq + 1);
    }
    free(line);
    if (!eol)
        return 0;
    char err[128];
    struct config *c = config_new();
    if (config_load_text(c, "f", (const char *)eol + 1, size - first - 1, err, sizeof(err)) == 0 &&
        config_finish(c, err, sizeof(err)) == 0) {
        struct cfg_view v;
        for (int i = 0; i < CFG_KEY_COUNT; i++)
            config_view(c, i, &v);
    }
    config_free(c);
    return 0;
}
