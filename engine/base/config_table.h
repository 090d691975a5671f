/* The table of broker keys, in parts:
 * X(id, name, type, default, allowed, importance, update, meaning, flags, prose).
 *
 * Names, types, defaults, allowed values, importance and update modes are facts of Kafka 4.3 (its
 * ConfigDef); the words are ours. Defaults that differ: listeners, process.roles, node.id, log.dir(s),
 * controller.listener.names, metric.reporters, group.coordinator.rebalance.protocols, and the
 * replication of internal topics, which defaults to what one node can hold.
 *
 * default: text, or NULL for null.
 * meaning: USED has an effect here; ACCEPTED is checked and shown, without effect. A lint holds USED to
 * the truth: the id must be read somewhere.
 * flags: INTERNAL keys are not shown to clients.
 * allowed:
 *   ANY                                         whatever the type can hold
 *   AT_LEAST(lo), RANGE(lo, hi), REALS(lo, hi)  numbers, both ends included
 *   ONE_OF("a|b"), NOCASE("a|b")                one of these words
 *   ITEMS("a|b"), SOME_ITEMS("a|b")             a list of these words; not an empty one
 *   SOME, NOT_EMPTY                             a list with an item; a string with a character
 *   GZIP_LEVEL                                  1 to 9, or -1
 *   THROTTLED                                   a list of partition:broker, or *
 */
#ifndef SLUICE_BASE_CONFIG_TABLE_H
#define SLUICE_BASE_CONFIG_TABLE_H

#include "engine/base/config_table_groups.h"
#include "engine/base/config_table_log.h"
#include "engine/base/config_table_own.h"
#include "engine/base/config_table_security.h"
#include "engine/base/config_table_server.h"
#include "engine/base/config_topic_table.h"

#define CFG_TABLE(X)                                                                                         \
    CFG_TABLE_SERVER(X)                                                                                      \
    CFG_TABLE_KRAFT(X)                                                                                       \
    CFG_TABLE_QUOTA(X)                                                                                       \
    CFG_TABLE_TOPICS(X)                                                                                      \
    CFG_TABLE_LOG(X)                                                                                         \
    CFG_TABLE_GROUPS(X)                                                                                      \
    CFG_TABLE_TXN(X)                                                                                         \
    CFG_TABLE_SECURITY(X)                                                                                    \
    CFG_TABLE_REMOTE(X)                                                                                      \
    CFG_TABLE_OWN(X)

#endif
