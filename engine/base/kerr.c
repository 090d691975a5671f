#include "engine/base/kerr.h"

struct kerr_row {
    const char *name;
    const char *text;
    bool retriable;
};

static const struct kerr_row rows[KERR_MAX - KERR_MIN + 1] = {
#define KERR_ROW_(code, name, retriable, text) [(code)-KERR_MIN] = {#name, text, retriable},
    KERR_TABLE(KERR_ROW_)
#undef KERR_ROW_
};

static const struct kerr_row *kerr_find(int16_t code)
{
    static const struct kerr_row unknown = {"UNKNOWN_CODE", "not an error code of Kafka's", false};
    if (code < KERR_MIN || code > KERR_MAX)
        return &unknown;
    return &rows[code - KERR_MIN];
}

const char *kerr_name(int16_t code)
{
    return kerr_find(code)->name;
}

const char *kerr_text(int16_t code)
{
    return kerr_find(code)->text;
}

bool kerr_retriable(int16_t code)
{
    return kerr_find(code)->retriable;
}
