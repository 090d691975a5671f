// See stray.h.
#include "tests/sim/stray.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_DIR "/data/sluice.journal.d"

enum { KEPT = 6, PREFIX = 8 };

static struct kept {
    char name[80];
    uint8_t *data;
    uint64_t size;
} kept[KEPT]; // one run per process

struct choice {
    struct run *r;
    uint32_t seen;
    char name[80];
    uint64_t size;
};

static void choose(void *arg, const char *path, uint64_t size)
{
    struct choice *c = arg;
    const char *name = strrchr(path, '/') + 1;
    size_t n = strlen(name);
    if (n < 16 || n >= sizeof(c->name) || strcmp(name + n - 8, ".journal") || run_below(c->r, ++c->seen))
        return;
    snprintf(c->name, sizeof(c->name), "%s", name);
    c->size = size;
}

void stray_keep(struct run *r)
{
    struct choice c = {.r = r};
    char path[160];
    if (!run_chance(r, 1, 2))
        return;
    sim_disk_walk(r->host, JOURNAL_DIR, choose, &c);
    if (!c.seen || !c.size)
        return;
    struct kept *k = &kept[run_below(r, KEPT)];
    free(k->data);
    *k = (struct kept){.data = malloc(c.size), .size = c.size};
    SL_ASSERT(k->data);
    memcpy(k->name, c.name, sizeof(k->name));
    snprintf(path, sizeof(path), JOURNAL_DIR "/%s", c.name);
    if (sim_disk_read(r->host, path, 0, k->data, c.size) != (int64_t)c.size) { // a torn sector
        free(k->data);
        *k = (struct kept){0};
    }
}

// A name that the life in force could have for this file, of a number that it does not use.
static bool disguise(struct run *r, char name[80])
{
    uint8_t life[4];
    if (sim_disk_read(r->host, JOURNAL_DIR "/current", 16, life, sizeof(life)) != sizeof(life))
        return false;
    char rest[80], *f;
    memcpy(rest, name + PREFIX, 80 - PREFIX);
    f = strstr(rest, "-f");
    if (!f || f - rest > 16)
        return false;
    *f = 0;
    snprintf(name, 80, "%02x%02x%02x%02x%.16s-f%u.journal", life[0], life[1], life[2], life[3], rest,
             40 + run_below(r, 4));
    return true;
}

void stray_plant(struct run *r)
{
    char path[160], name[80];
    const struct kept *k = &kept[run_below(r, KEPT)];
    for (uint32_t i = 0; i < KEPT && !k->data; i++)
        k = &kept[i];
    if (!k->data || run_chance(r, 1, 2) || sim_disk_size(r->host, JOURNAL_DIR) < 0)
        return;
    memcpy(name, k->name, sizeof(name));
    if (run_chance(r, 1, 2) && !disguise(r, name))
        return;
    snprintf(path, sizeof(path), JOURNAL_DIR "/%s", name);
    if (sim_disk_size(r->host, path) >= 0 || sim_disk_create(r->host, path))
        return;
    (void)sim_disk_poke(r->host, path, 0, k->data, k->size);
    r->sum->strays++;
    sim_trace(r->w, "stray", k->size, 0, 0);
    run_say(r, "  an earlier life's %s is back as %s", k->name, name);
}
