// Shared by the test programs: checks that report their line, and waiting.
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wingback.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

// The call must succeed. It can use `error`, a variable of this macro.
#define OK(call) \
    do { \
        wingback_error *error = NULL; \
        if ((call) != WINGBACK_STATUS_OK) { \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, \
                    wingback_error_message(error)); \
            exit(1); \
        } \
        CHECK(error == NULL); \
    } while (0)

// The call must fail with this status and a message. It can use `error`, too.
#define FAILS(expected, call) \
    do { \
        wingback_error *error = NULL; \
        wingback_status status_ = (call); \
        if (status_ != (expected)) { \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, \
                    wingback_status_name(status_)); \
            exit(1); \
        } \
        CHECK(error != NULL && wingback_error_status(error) == status_); \
        CHECK(wingback_error_message(error)[0] != 0); \
        wingback_error_free(error); \
    } while (0)

static inline wingback_bytes text(const char *s) {
    return wingback_bytes_of(s);
}

static inline int equal(wingback_bytes bytes, const char *s) {
    return bytes.len == strlen(s) && memcmp(bytes.data, s, bytes.len) == 0;
}

// Joins two paths. The result is valid until the fourth call after this one.
static inline const char *join(const char *a, const char *b) {
    static _Thread_local char ring[4][4096];
    static _Thread_local int next;
    next = (next + 1) % 4;
    CHECK((size_t)snprintf(ring[next], sizeof ring[next], "%s/%s", a, b) < sizeof ring[next]);
    return ring[next];
}

// Waits for a task that must succeed.
static inline void done(wingback_task *task) {
    OK(wingback_task_wait(task, -1, &error));
}

// Creates a store in the directory.
static inline wingback_store *local(const char *directory) {
    wingback_store *store;
    OK(wingback_store_local(text(directory), text(""), 0, true, &store, &error));
    return store;
}

// Backs the directory up into the store, and waits for the end.
static inline void back_up(const char *source, const wingback_store *store, const char *key) {
    wingback_backup *backup;
    wingback_task *task;
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_start(backup, store, text(key), &task, &error));
    wingback_backup_free(backup);
    done(task);
    wingback_task_free(task);
}

static inline void takes_no_signals(const char *thread) {
    char path[300], line[256];
    unsigned long long blocked = ~0ULL;
    int threads = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "SigBlk: %llx", &blocked);
        sscanf(line, "Threads: %d", &threads);
    }
    fclose(file);
    // For a thread that is ending, Linux prints zeros.
    if (threads == 0) return;
    CHECK((blocked >> (SIGPIPE - 1) & 1) && (blocked >> (SIGTERM - 1) & 1));
}

// Returns how many threads of the process have names with this prefix. Checks that no thread of the
// library takes a SIGTERM or a SIGPIPE.
static inline int threads_named(const char *prefix) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], name[64] = "";
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        if (fgets(name, sizeof name, file) && strncmp(name, prefix, strlen(prefix)) == 0) count++;
        fclose(file);
        if (strncmp(name, "wingback", 8) == 0) takes_no_signals(entry->d_name);
    }
    closedir(tasks);
    return count;
}

// Waits for the threads of tasks that were freed before their end; those end a little later.
static inline void engine_threads_end(void) {
    for (int i = 0; i < 10000 && threads_named("wingback") > 0; i++) usleep(1000);
    CHECK(threads_named("wingback") == 0);
}

// Checks that no thread is left after every object is freed. The library's threads have ended by then,
// but the system may show them for a moment. Threads of the shared pool end within a second.
static inline void no_thread_is_left(void) {
    for (int i = 0; i < 100 && threads_named("wingback") > 0; i++) usleep(1000);
    CHECK(threads_named("wingback") == 0);
    for (int i = 0; i < 300 && threads_named("") > 1; i++) usleep(10000);
    CHECK(threads_named("") == 1);
}

#endif
