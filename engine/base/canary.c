// Names of the canaries. See canary.h.
#include "engine/base/canary.h"

#include <ctype.h>
#include <string.h>

enum sl_canary sl_canary_active = SL_CANARY_NONE;

static const struct {
    const char *name;
    const char *text;
} canaries[SL_CANARY_COUNT] = {[SL_CANARY_NONE] = {"none", "no rule is broken"},
#define CANARY_ROW_(n, t) [SL_CANARY_##n] = {#n, t},
                               SL_CANARY_TABLE(CANARY_ROW_)
#undef CANARY_ROW_
};

// The table's names are in upper case with underscores.
static bool name_matches(const char *row, const char *name)
{
    for (; *row && *name; row++, name++) {
        char want = *row == '_' ? '-' : (char)tolower((unsigned char)*row);
        char got = *name == '_' ? '-' : (char)tolower((unsigned char)*name);
        if (want != got)
            return false;
    }
    return *row == *name;
}

const char *sl_canary_name(enum sl_canary c)
{
    static char text[SL_CANARY_COUNT][32];
    if ((unsigned)c >= SL_CANARY_COUNT)
        return NULL;
    char *out = text[c];
    for (size_t i = 0; i < sizeof(text[c]) - 1 && canaries[c].name[i]; i++)
        out[i] = canaries[c].name[i] == '_' ? '-' : (char)tolower((unsigned char)canaries[c].name[i]);
    return out;
}

const char *sl_canary_text(enum sl_canary c)
{
    return (unsigned)c < SL_CANARY_COUNT ? canaries[c].text : NULL;
}

enum sl_canary sl_canary_find(const char *name)
{
    for (unsigned c = 1; c < SL_CANARY_COUNT; c++)
        if (name_matches(canaries[c].name, name))
            return (enum sl_canary)c;
    return SL_CANARY_NONE;
}
