/* Checks of what keys say together. A key named here has no effect by that alone (a lint counts on it). */
#include "engine/base/config_private.h"

#include <stdlib.h>
#include <string.h>

/* Keys of which the first must not exceed the second. */
static const enum cfg_key ordered_keys[][2] = {
    {CFG_GROUP_MIN_SESSION_TIMEOUT_MS, CFG_GROUP_MAX_SESSION_TIMEOUT_MS},
    {CFG_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS, CFG_GROUP_CONSUMER_SESSION_TIMEOUT_MS},
    {CFG_GROUP_CONSUMER_SESSION_TIMEOUT_MS, CFG_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS},
    {CFG_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS, CFG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS},
    {CFG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, CFG_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS},
    {CFG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, CFG_GROUP_CONSUMER_SESSION_TIMEOUT_MS},
    {CFG_LOG_CLEANER_MIN_COMPACTION_LAG_MS, CFG_LOG_CLEANER_MAX_COMPACTION_LAG_MS},
};

/* Retention of nothing is refused, as upstream does: -1 keeps for ever. */
static const enum cfg_key not_zero_keys[] = {CFG_LOG_RETENTION_MS, CFG_LOG_RETENTION_MINUTES,
                                             CFG_LOG_RETENTION_HOURS};

static int check_numbers(const struct config *c, char *err, size_t err_len)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(ordered_keys); i++) {
        enum cfg_key a = ordered_keys[i][0], b = ordered_keys[i][1];
        if (c->values[a].number > c->values[b].number)
            return config_fail(err, err_len, "%s=%s: must not exceed %s=%s", cfg_rows[a].spec.name,
                               c->values[a].text, cfg_rows[b].spec.name, c->values[b].text);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(not_zero_keys); i++) {
        const struct cfg_value *v = &c->values[not_zero_keys[i]];
        if (v->text && v->number == 0)
            return config_fail(err, err_len, "%s=0: must be at least 1, or -1 for ever",
                               cfg_rows[not_zero_keys[i]].spec.name);
    }
    const struct cfg_value *file = &c->values[CFG_SLUICE_JOURNAL_FILE_BYTES];
    if (file->number % 4096 != 0)
        return config_fail(err, err_len, "sluice.journal.file.bytes=%s: must be a multiple of 4096",
                           file->text);
    return 0;
}

/* max.connections.per.ip.overrides: host:count,... */
static int check_overrides(const struct config *c, char *err, size_t err_len)
{
    const char *text = c->values[CFG_MAX_CONNECTIONS_PER_IP_OVERRIDES].text;
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ",");
        char *item = config_strndup(p, len);
        char *colon = strrchr(item, ':');
        bool ok = colon && colon != item && colon[1] && colon[1 + strspn(colon + 1, "0123456789")] == '\0';
        free(item);
        if (!ok)
            return config_fail(err, err_len, "max.connections.per.ip.overrides=%s: must be host:count,...",
                               text);
        p += len + (p[len] == ',');
    }
    return 0;
}

int config_finish_checks(const struct config *c, char *err, size_t err_len)
{
    int rc = check_numbers(c, err, err_len);
    return rc ? rc : check_overrides(c, err, err_len);
}
