// Eight threads share stores, a limiter and a backup. Each makes, lists, reads, verifies and deletes its
// own archives, and cancels some, while other threads watch the same tasks.
//
// threads SOURCE WORK [ENDPOINT BUCKET ACCESS_KEY SECRET_KEY]
#include <pthread.h>
#include <unistd.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 3 };

static wingback_store *stores[2];
static int store_count = 1;
static wingback_limiter *limiter;
static wingback_backup *backup;

static void *observe(void *task) {
    wingback_progress progress = {.struct_size = sizeof progress};
    uint64_t before = 0;
    do {
        OK(wingback_task_progress(task, &progress, &error));
        CHECK(progress.bytes >= before);
        before = progress.bytes;
    } while (wingback_task_wait(task, 1, NULL) == WINGBACK_STATUS_NOT_YET);
    return NULL;
}

static void round_of(const wingback_store *store, int thread, int round) {
    char key[64];
    wingback_task *task;
    wingback_archive *archive;
    pthread_t observer;
    snprintf(key, sizeof key, "%d-%d.tar.gz", thread, round);
    // All threads change the same backup; its options must stay consistent.
    OK(wingback_backup_exclude(backup, text("*.bak"), &error));
    OK(wingback_backup_start(backup, store, text(key), &task, &error));
    CHECK(pthread_create(&observer, NULL, observe, task) == 0);
    OK(wingback_limiter_set_rate(limiter, 50000000 + 1000000 * thread, &error));
    done(task);
    CHECK(pthread_join(observer, NULL) == 0);
    wingback_task_free(task);

    OK(wingback_archive_in_store(store, text(key), &archive, &error));
    wingback_bytes content;
    OK(wingback_archive_read_file(archive, text("server.properties"), 100, &task, &error));
    done(task);
    OK(wingback_task_file(task, NULL, &content, &error));
    CHECK(equal(content, "motd=hi\n"));
    wingback_task_free(task);
    wingback_verified_summary summary = {.struct_size = sizeof summary};
    const wingback_verified *verified;
    OK(wingback_archive_verify(archive, NULL, &task, &error));
    wingback_archive_free(archive);
    done(task);
    OK(wingback_task_verified(task, &verified, &error));
    OK(wingback_verified_get(verified, &summary, &error));
    CHECK(summary.is_whole);
    wingback_task_free(task);

    char cancelled[64];
    snprintf(cancelled, sizeof cancelled, "%d-%d.cancelled.tar.gz", thread, round);
    OK(wingback_backup_start(backup, store, text(cancelled), &task, &error));
    // A different time in each thread and round.
    usleep(1000 * (unsigned)(thread + round));
    wingback_task_cancel(task);
    wingback_status status = wingback_task_wait(task, -1, NULL);
    CHECK(status == WINGBACK_STATUS_CANCELLED || status == WINGBACK_STATUS_OK);
    wingback_task_free(task);
    OK(wingback_store_delete(store, text(cancelled), &task, &error));
    CHECK(wingback_task_wait(task, -1, NULL) ==
          (status == WINGBACK_STATUS_OK ? WINGBACK_STATUS_OK : WINGBACK_STATUS_NOT_FOUND));
    wingback_task_free(task);
    if (round + 1 < ROUNDS) {
        OK(wingback_store_delete(store, text(key), &task, &error));
        done(task);
        wingback_task_free(task);
    }
}

static void *work_on(void *number) {
    int thread = *(int *)number;
    for (int round = 0; round < ROUNDS; round++)
        round_of(stores[thread % store_count], thread, round);
    return NULL;
}

int main(int argc, char **args) {
    CHECK(argc == 3 || argc == 7);
    stores[0] = local(join(args[2], "threads"));
    if (argc == 7) {
        wingback_s3_config config = {
            .struct_size = sizeof config,
            .endpoint = text(args[3]),
            .bucket = text(args[4]),
            .access_key = text(args[5]),
            .secret_key = text(args[6]),
            .prefix = text("threads/"),
        };
        OK(wingback_store_s3(&config, &stores[store_count++], &error));
    }
    OK(wingback_limiter_new(0, &limiter, &error));
    OK(wingback_backup_new(text(args[1]), &backup, &error));
    OK(wingback_backup_read_limit(backup, limiter, &error));

    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, work_on, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);

    // Only the last archive of each thread is left.
    for (int i = 0; i < store_count; i++) {
        wingback_task *task;
        const wingback_objects *objects;
        OK(wingback_store_list(stores[i], &task, &error));
        done(task);
        OK(wingback_task_objects(task, &objects, &error));
        CHECK(wingback_objects_count(objects) ==
              (size_t)((THREADS - i + store_count - 1) / store_count));
        wingback_task_free(task);
        for (int thread = i; thread < THREADS; thread += store_count) {
            char key[64];
            snprintf(key, sizeof key, "%d-%d.tar.gz", thread, ROUNDS - 1);
            OK(wingback_store_delete(stores[i], text(key), &task, &error));
            done(task);
            wingback_task_free(task);
        }
        wingback_store_free(stores[i]);
    }
    wingback_backup_free(backup);
    wingback_limiter_free(limiter);

    no_thread_is_left();
    return 0;
}
