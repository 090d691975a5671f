// Client quotas (KIP-13, KIP-124, KIP-219, KIP-599): bytes produced and fetched, the time of requests, and changes of
// partitions, by user and client id.
//
// What a request used is recorded when it is answered. Where a rate is above its quota the answer names a throttle time and
// leaves at once; nothing more is read from the connection until that time has passed. A throttled Fetch is answered
// empty, and its bytes are not counted.
//
// A quota holds for the broker, not for a net service: each keeps the rates of the whole, of what its own connections used
// and what the others tell it by message, every SHARE_MS while anything was used. Rates are measured over
// quota.window.num windows of quota.window.size.seconds. Without any quota nothing of this costs anything.
//
// The quota on changes of partitions is a bucket of tokens at the controller (engine/meta/mutations.c), which all changes
// pass. Topics that are made because a client asked for them by Metadata are not counted.
#ifndef SLUICE_NET_QUOTA_H
#define SLUICE_NET_QUOTA_H

#include "engine/meta/meta.h"

struct net;
struct req;
struct spsc_msg;

// A rate over the quotas' windows; free() frees it. NULL on lack of memory.
struct sl_rate *quota_rate_new(const struct config *cfg);

// Records `v` (bytes; for META_QUOTA_REQUEST ns) of the request's client, and returns for how many ms it is to be throttled, 0:
// not at all.
uint32_t quota_record(struct req *r, enum meta_quota_key what, double v);
// Takes back what quota_record just counted.
void quota_unrecord(struct req *r, enum meta_quota_key what, double v);
// True if any quota is set at all.
bool quota_any(const struct net *n);
// The most that a quota allows in all its windows together; UINT32_MAX without one.
uint32_t quota_window_bytes(struct req *r, enum meta_quota_key what);

// Whom the change of partitions that this request asks for counts for, in `q`: meta's to count and to refuse (KIP-599). Who
// exceeds his rate is refused from version `since` of the request on. The key is the request's. Own thread.
void quota_mutations(struct req *r, int16_t since, struct meta_mutations *q);
// The answer names the throttle time that the controller told, and the connection is held up.
void quota_mutated(struct req *r, const struct meta_mutations *q);

// What another service used, or the reply to what this one told. From net_on_msg.
void quota_on_msg(struct net *n, uint32_t from, const struct spsc_msg *m);
bool quota_settled(const struct net *n); // nothing told is under way
void quota_destroy(struct net *n);

#endif
