// Creates and frees every kind of object many times. Prints the growth of the allocated bytes, which must
// be below 16 KiB, and the growth of the process, which depends on the allocator.
//
// cycles SOURCE WORK OBJECTS TASKS
#include <malloc.h>
#include <unistd.h>

#include "check.h"

static const char *source, *work;

struct memory {
    long allocated, resident;
};

static struct memory measure(void) {
    engine_threads_end();
    struct mallinfo2 info = mallinfo2();
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return (struct memory){(long)(info.uordblks + info.hblkhd), pages * sysconf(_SC_PAGESIZE)};
}

static void must_not_grow(const char *what, struct memory before, long times) {
    struct memory now = measure();
    long grown = now.allocated - before.allocated;
    printf("%ld cycles of %s: %+ld bytes allocated, %+ld resident\n", times, what, grown,
           now.resident - before.resident);
    CHECK(grown < 16 << 10);
}

static void objects(void) {
    wingback_store *store, *s3;
    wingback_archive *archive;
    wingback_backup *backup;
    wingback_restore *restore;
    wingback_extract *extract;
    wingback_limiter *limiter;
    wingback_part_urls *part_urls;
    wingback_error *error = NULL;
    store = local(work);
    wingback_s3_config config = {
        .struct_size = sizeof config,
        .bucket = text("bucket"),
        .access_key = text("k"),
        .secret_key = text("s"),
    };
    OK(wingback_store_s3(&config, &s3, &error));
    OK(wingback_archive_in_store(store, text("none"), &archive, &error));
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_exclude(backup, text("*.log"), &error));
    OK(wingback_limiter_new(1, &limiter, &error));
    OK(wingback_backup_read_limit(backup, limiter, &error));
    OK(wingback_restore_new(text(work), &restore, &error));
    OK(wingback_restore_keep(restore, text("cache"), &error));
    OK(wingback_extract_new(text(work), &extract, &error));
    wingback_bytes url = text("https://example.com/1?secret");
    OK(wingback_part_urls_new(&url, 1, 1, NULL, text(""), &part_urls, &error));
    CHECK(wingback_archive_link(text("x"), NULL, &archive, &error) != WINGBACK_STATUS_OK);
    wingback_error_free(error);
    wingback_part_urls_free(part_urls);
    wingback_extract_free(extract);
    wingback_restore_free(restore);
    wingback_limiter_free(limiter);
    wingback_backup_free(backup);
    wingback_archive_free(archive);
    wingback_store_free(s3);
    wingback_store_free(store);
}

// One task that succeeds, one that fails, and a preview and entries that are not read to their end.
static void tasks(const wingback_backup *backup, const wingback_archive *archive) {
    wingback_task *task;
    wingback_entries *entries;
    wingback_archive *none;
    OK(wingback_backup_estimate(backup, &task, &error));
    done(task);
    wingback_task_free(task);
    OK(wingback_archive_file(text("/nonexistent"), &none, &error));
    OK(wingback_archive_list(none, NULL, 0, &task, &error));
    CHECK(wingback_task_wait(task, -1, NULL) == WINGBACK_STATUS_NOT_FOUND);
    wingback_task_free(task);
    wingback_archive_free(none);
    wingback_member member = {.struct_size = sizeof member};
    OK(wingback_entries_open(archive, &entries, &error));
    OK(wingback_entries_next(entries, &member, &error));
    wingback_entries_free(entries);
    wingback_preview *preview;
    wingback_preview_entry entry = {.struct_size = sizeof entry};
    OK(wingback_backup_preview(backup, &preview, &error));
    OK(wingback_preview_next(preview, &entry, &error));
    wingback_preview_free(preview);
}

int main(int argc, char **args) {
    CHECK(argc == 5);
    source = args[1];
    work = args[2];
    long object_cycles = atol(args[3]), task_cycles = atol(args[4]);
    wingback_store *store = local(work);
    wingback_backup *backup;
    wingback_archive *archive;
    back_up(source, store, "cycles.tar.gz");
    OK(wingback_archive_in_store(store, text("cycles.tar.gz"), &archive, &error));
    OK(wingback_backup_new(text(source), &backup, &error));

    // Memory that is allocated once and kept has been allocated by now.
    for (int i = 0; i < 500; i++) objects();
    for (int i = 0; i < 200; i++) tasks(backup, archive);
    struct memory before = measure();
    for (long i = 0; i < object_cycles; i++) objects();
    must_not_grow("objects", before, object_cycles);
    before = measure();
    for (long i = 0; i < task_cycles; i++) tasks(backup, archive);
    must_not_grow("tasks", before, task_cycles);
    wingback_archive_free(archive);
    wingback_backup_free(backup);
    wingback_store_free(store);
    no_thread_is_left();
    return 0;
}
