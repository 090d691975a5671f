/* Our half of the exchange with upstream's codec.
 *
 *   proto-roundtrip write FILE SEED ROUNDS   random messages of every kind and version
 *   proto-roundtrip check FILE               decodes each image of FILE, encodes it again, compares the bytes
 *
 * The file, big-endian, repeated to the end: u16 length of name, name ("FetchRequest"), i16 version, u32
 * length, image. `check` prints 'check: N passed, N failed' and fails when something did.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/proto/fill.h"

static int put_image(FILE *f, const struct kp_message *m, int16_t version, const uint8_t *buf, size_t len)
{
    uint8_t head[2], mid[6];
    be16_store(head, (uint16_t)strlen(m->name));
    be16_store(mid, (uint16_t)version);
    be32_store(mid + 2, (uint32_t)len);
    bool ok = fwrite(head, sizeof(head), 1, f) == 1 && fputs(m->name, f) >= 0 &&
              fwrite(mid, sizeof(mid), 1, f) == 1 && fwrite(buf, 1, len, f) == len;
    return ok ? 0 : -EIO;
}

static int write_one(FILE *f, const struct kp_message *m, int16_t version, uint64_t seed)
{
    struct arena a;
    arena_init(&a, 0);
    void *msg = fill_message(m, version, seed, &a);
    int64_t n = m->size(msg, version);
    SL_ASSERT(n >= 0);
    struct kp_writer w = {.buf = arena_alloc(&a, (size_t)n + 1), .cap = (size_t)n};
    int rc = m->encode(msg, version, &w);
    SL_ASSERT(rc == 0 && w.len == (size_t)n);
    rc = put_image(f, m, version, w.buf, w.len);
    arena_free(&a);
    return rc;
}

static int write_file(const char *path, uint64_t seed, unsigned rounds)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return -errno;
    uint32_t n;
    int rc = 0;
    const struct kp_message *all = kp_message_all(&n);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        for (int16_t v = all[i].min; v <= all[i].max && rc == 0; v++) {
            for (unsigned k = 0; k < rounds && rc == 0; k++)
                rc = write_one(f, &all[i], v, seed++);
        }
    }
    return fclose(f) == 0 ? rc : -EIO;
}

static bool check_one(const char *name, int16_t version, const uint8_t *buf, size_t len)
{
    const struct kp_message *m = kp_message_named(name);
    if (!m)
        return false;
    struct arena a;
    arena_init(&a, 0);
    void *msg = arena_alloc(&a, m->struct_size);
    bool ok = m->decode(msg, buf, len, version, &a) == (int64_t)len && m->size(msg, version) == (int64_t)len;
    if (ok) {
        struct kp_writer w = {.buf = arena_alloc(&a, len + 1), .cap = len};
        ok = m->encode(msg, version, &w) == 0 && w.len == len && memcmp(w.buf, buf, len) == 0;
    }
    arena_free(&a);
    return ok;
}

/* One image of the file: 1, 0 at the end, negative when the file is cut. */
static int next_image(FILE *f, char name[256], int16_t *version, uint8_t **buf, uint32_t *len)
{
    uint8_t head[2], mid[6];
    if (fread(head, sizeof(head), 1, f) != 1)
        return feof(f) ? 0 : -EIO;
    size_t n = be16_load(head);
    if (n > 255 || fread(name, 1, n, f) != n || fread(mid, sizeof(mid), 1, f) != 1)
        return -EIO;
    name[n] = 0;
    *version = (int16_t)be16_load(mid);
    *len = be32_load(mid + 2);
    *buf = malloc(*len ? *len : 1);
    SL_ASSERT(*buf);
    return fread(*buf, 1, *len, f) == *len ? 1 : -EIO;
}

static int check_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    unsigned passed = 0, failed = 0;
    char name[256];
    int16_t version;
    uint8_t *buf = NULL;
    uint32_t len;
    int rc;
    if (!f)
        return -errno;
    while ((rc = next_image(f, name, &version, &buf, &len)) > 0) {
        if (check_one(name, version, buf, len)) {
            passed++;
        } else {
            failed++;
            printf("FAIL %s v%d:", name, version);
            for (uint32_t i = 0; i < len; i++)
                printf(" %02x", buf[i]);
            printf("\n");
        }
        free(buf);
        buf = NULL;
    }
    free(buf);
    fclose(f);
    printf("check: %u passed, %u failed\n", passed, failed);
    return rc < 0 ? rc : failed || !passed ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
    int rc = -EINVAL;
    if (argc == 5 && strcmp(argv[1], "write") == 0)
        rc = write_file(argv[2], strtoull(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
    else if (argc == 3 && strcmp(argv[1], "check") == 0)
        rc = check_file(argv[2]);
    else
        fprintf(stderr, "usage: proto-roundtrip write FILE SEED ROUNDS | check FILE\n");
    if (rc < 0)
        fprintf(stderr, "proto-roundtrip: %s\n", strerror(-rc));
    return rc < 0;
}
