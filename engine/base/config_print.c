/* The configuration as text: --print-config and docs/CONFIG.md. */
#include "engine/base/config_private.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(cfg_rows[*(const int *)a].spec.name, cfg_rows[*(const int *)b].spec.name);
}

/* A value as a properties file spells it: nothing that a reader would trim, join or unescape. */
static void print_escaped(FILE *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\' || (p == text && (*p == ' ' || *p == '\t')))
            fprintf(out, "\\%c", *p);
        else if (*p == '\n')
            fputs("\\n", out);
        else if (*p == '\r')
            fputs("\\r", out);
        else
            fputc(*p, out);
    }
    fputc('\n', out);
}

void config_print(const struct config *c, FILE *out)
{
    int order[CFG_KEY_COUNT];
    for (int i = 0; i < CFG_KEY_COUNT; i++)
        order[i] = i;
    qsort(order, CFG_KEY_COUNT, sizeof(order[0]), by_name);
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        const struct cfg_spec *s = &cfg_rows[order[i]].spec;
        const struct cfg_value *v = &c->values[order[i]];
        if (s->flags == CFG_FLAG_INTERNAL && v->from == CFG_FROM_DEFAULT)
            continue;
        if (s->type == CFG_PASSWORD && v->text) {
            fprintf(out, "#%s=[hidden]\n", s->name);
            continue;
        }
        fprintf(out, "%s%s=", v->from == CFG_FROM_DEFAULT ? "#" : "", s->name);
        print_escaped(out, v->text ? v->text : "");
    }
}

static const char *type_name(enum cfg_type t)
{
    static const char *const names[] = {"",     "boolean", "string", "int",   "short",
                                        "long", "double",  "list",   "class", "password"};
    return names[t];
}

/* A table cell: | would end it. */
static void print_cell(FILE *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '|')
            fputc('\\', out);
        fputc(*p, out);
    }
}

static void print_row(FILE *out, const struct cfg_spec *s)
{
    char allowed[256];
    if (s->flags == CFG_FLAG_INTERNAL)
        return;
    fprintf(out, "| `%s` | %s | ", s->name, type_name(s->type));
    if (!s->fallback)
        fputs("null", out);
    else if (*s->fallback == '\0')
        fputs("empty", out);
    else
        fprintf(out, "`%s`", s->fallback);
    fputs(" | ", out);
    /* The bounds of a mere type say nothing. */
    bool number = s->type == CFG_INT || s->type == CFG_SHORT || s->type == CFG_LONG || s->type == CFG_DOUBLE;
    if (!number || s->check.kind != CFG_CHECK_ANY)
        print_cell(out, config_allowed(s, allowed, sizeof(allowed)));
    fprintf(out, " | %s | ", s->meaning == CFG_USED ? "yes" : "no");
    print_cell(out, s->doc);
    fputs(" |\n", out);
}

static void print_head(FILE *out, const char *title)
{
    fprintf(out,
            "\n## %s\n\n| Key | Type | Default | Allowed | Effect | Meaning |\n|---|---|---|---|---|---|\n",
            title);
}

/* The sections, in the order of the table: one row counts itself, so that a section ends where the next
 * begins. */
static const struct {
    const char *title;
    int rows;
} sections[] = {
#define COUNT_ROW_(...) +1
    {"Broker, listeners and connections", 0 CFG_TABLE_SERVER(COUNT_ROW_)},
    {"Controller and metadata log", 0 CFG_TABLE_KRAFT(COUNT_ROW_)},
    {"Quotas", 0 CFG_TABLE_QUOTA(COUNT_ROW_)},
    {"Topics and replication", 0 CFG_TABLE_TOPICS(COUNT_ROW_)},
    {"Logs on disk", 0 CFG_TABLE_LOG(COUNT_ROW_)},
    {"Groups and offsets", 0 CFG_TABLE_GROUPS(COUNT_ROW_)},
    {"Transactions", 0 CFG_TABLE_TXN(COUNT_ROW_)},
    {"Security", 0 CFG_TABLE_SECURITY(COUNT_ROW_)},
    {"Tiered storage", 0 CFG_TABLE_REMOTE(COUNT_ROW_)},
    {"Keys of Sluice alone", 0 CFG_TABLE_OWN(COUNT_ROW_)},
#undef COUNT_ROW_
};

static const char docs_head[] =
    "# Configuration\n\n"
    "Printed from the tables in `engine/base/config_table*.h` by `build/sluice docs config`; do not edit.\n\n"
    "Every broker key of Kafka 4.3 is known. *Effect* says whether a key does anything here: the others are\n"
    "checked and shown to clients, and setting one logs a notice at start. Files are Java properties files;\n"
    "a value given with `--set key=value` wins over the file's. Keys that older brokers had, and keys of\n"
    "plugins (`listener.name.`, `confluent.`, `zookeeper.` and the like), are accepted with a notice; any "
    "other\n"
    "key that is not listed here is an error.\n";

void config_print_docs(FILE *out)
{
    int key = 0;
    fputs(docs_head, out);
    for (size_t i = 0; i < SL_ARRAY_LEN(sections); i++) {
        print_head(out, sections[i].title);
        for (int end = key + sections[i].rows; key < end; key++)
            print_row(out, &cfg_rows[key].spec);
    }
    SL_ASSERT(key == CFG_KEY_COUNT);
    print_head(out, "Topics' own keys");
    for (int i = 0; i < TOPIC_KEY_COUNT; i++)
        print_row(out, &topic_rows[i].spec);
}
