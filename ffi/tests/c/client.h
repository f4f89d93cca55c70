// Shared by client.c, client_archives.c and client_places.c.
#ifndef CLIENT_H
#define CLIENT_H

#include "check.h"

// The arguments SOURCE and WORK.
extern const char *source, *work;

// Each checks one operation on an archive of SOURCE.
void lists(const wingback_archive *archive);
void reads(const wingback_archive *archive);
// Reads all entries. Returns the number of bytes of content.
size_t contents(const wingback_archive *archive);
void streams(const char *path, size_t expected);
void verifies(const wingback_archive *archive, bool is_whole);
void extracts(const wingback_archive *archive);
void limits(const char *path);
void restores(const wingback_archive *archive);

// Labels an archive in the store, and reads what the archive says about itself.
void identifies(const wingback_store *store);

// Lists the archive `key`, the only one of the store, with and without a lock.
void locks(const wingback_store *store, const char *key);

// Makes archives in a store of its own, compares, searches and verifies them, and removes one by a plan.
void uses_places(void);

// Flips a bit in the content of world/region.mca.
void damages(const char *path);

#endif
