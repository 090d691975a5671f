/* Hash tables: uthash (Troy Hanson; Debian package uthash-dev, BSD licence) with our hash function. Include
 * this instead of <uthash.h>, so that every table hashes alike. Running out of memory while a table grows
 * stops the process: tables are for cold paths and for sets whose limit the configuration gives. */
#ifndef SLUICE_BASE_TABLE_H
#define SLUICE_BASE_TABLE_H

#include "engine/base/hash.h"

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)sl_hash64((keyptr), (keylen), 0))
#define uthash_fatal(msg)                    sl_panic("hash table: %s", (msg))
#include <uthash.h>

#endif
