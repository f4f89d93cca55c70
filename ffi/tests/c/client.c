// A complete client: makes a backup with progress, cancels one, lists, reads one file in three ways,
// extracts, verifies an undamaged and a damaged archive, restores, uploads. client_archives.c is a part.
//
// client SOURCE WORK [ENDPOINT BUCKET ACCESS_KEY SECRET_KEY PART_URL...]
//
// SOURCE has server.properties ("motd=hi\n"), logs/latest.log, world/region.mca of 3,000,000 bytes
// and a file whose name is not UTF-8.
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

const char *source, *work;

static void log_message(wingback_log_level level, const char *message, void *user_data) {
    CHECK(level <= WINGBACK_LOG_LEVEL_INFO && message[0] != 0);
    __atomic_add_fetch((int *)user_data, 1, __ATOMIC_SEQ_CST);
}

struct signal {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    int times;
};

static void signal_done(void *user_data) {
    struct signal *signal = user_data;
    pthread_mutex_lock(&signal->mutex);
    signal->times++;
    pthread_cond_signal(&signal->done);
    pthread_mutex_unlock(&signal->mutex);
}

static void wait_for(struct signal *signal) {
    pthread_mutex_lock(&signal->mutex);
    while (signal->times == 0) pthread_cond_wait(&signal->done, &signal->mutex);
    pthread_mutex_unlock(&signal->mutex);
}

static void has_report(wingback_task *task, const char *left_out) {
    const wingback_report *report;
    wingback_report_summary summary = {.struct_size = sizeof summary};
    OK(wingback_task_report(task, &report, &error));
    OK(wingback_report_get(report, &summary, &error));
    CHECK(summary.size > 0 && strlen(summary.sha1_hex) == 40 && !summary.is_partial);
    CHECK(summary.files == (left_out ? 3 : 4) && summary.excluded == (left_out ? 1 : 0));
    CHECK(wingback_notes_count(wingback_report_changed(report)) == 0);
    const wingback_notes *skipped = wingback_report_skipped(report);
    CHECK(wingback_notes_count(skipped) == 1);
    wingback_note note = {.struct_size = sizeof note};
    OK(wingback_notes_get(skipped, 0, &note, &error));
    CHECK(equal(note.path, "fifo") && strcmp(note.code, "fifo") == 0 && !note.is_data_loss);
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_notes_get(skipped, 1, &note, &error));
    // Suspicious patterns are warnings.
    CHECK(wingback_notes_count(wingback_report_warnings(report)) == (left_out ? 1 : 0));
}

static void backs_up(const wingback_store *store) {
    wingback_backup *backup;
    wingback_task *task;
    wingback_limiter *limiter;
    wingback_progress progress = {.struct_size = sizeof progress};
    struct signal signal = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_exclude(backup, text("*.log\n[unclosed"), &error));
    OK(wingback_backup_level(backup, WINGBACK_LEVEL_BEST, &error));
    OK(wingback_backup_threads(backup, 2, &error));
    OK(wingback_backup_background(backup, true, &error));
    // Slow enough for the progress to be seen, until the limit is removed.
    OK(wingback_limiter_new(100000, &limiter, &error));
    OK(wingback_backup_read_limit(backup, limiter, &error));
    OK(wingback_backup_write_limit(backup, limiter, &error));
    OK(wingback_backup_start(backup, store, text("first.tar.gz"), &task, &error));
    OK(wingback_task_on_done(task, signal_done, &signal, &error));
    CHECK(wingback_task_wait(task, 0, NULL) == WINGBACK_STATUS_NOT_YET);
    const wingback_report *report = NULL;
    CHECK(wingback_task_report(task, &report, NULL) == WINGBACK_STATUS_NOT_YET && report == NULL);
    do {
        CHECK(wingback_task_wait(task, 5, NULL) == WINGBACK_STATUS_NOT_YET);
        OK(wingback_task_progress(task, &progress, &error));
    } while (progress.bytes == 0 || !progress.is_expected_known);
    CHECK(progress.phase == WINGBACK_PHASE_READING && progress.expected_files == 3);
    CHECK(threads_named("wingback") >= 4);
    CHECK(progress.bytes < progress.expected_bytes && signal.times == 0);
    CHECK(progress.rate > 0 && progress.is_time_left_known && progress.time_left_ns > 0);
    CHECK(wingback_limiter_rate(limiter) == 100000);
    OK(wingback_limiter_set_rate(limiter, 0, &error));
    wingback_limiter_free(limiter);
    done(task);
    wait_for(&signal);
    OK(wingback_task_progress(task, &progress, &error));
    CHECK(progress.phase == WINGBACK_PHASE_DONE && progress.bytes == progress.expected_bytes);
    CHECK(progress.written > 0 && progress.uploaded == 0);
    CHECK(progress.rate == 0 && !progress.is_time_left_known && progress.time_left_ns == 0);
    has_report(task, "logs");
    char path[4096];
    size_t len;
    OK(wingback_store_location(store, text("first.tar.gz"), path, sizeof path, &len, &error));
    OK(wingback_task_report(task, &report, &error));
    CHECK(equal(wingback_report_location(report), path));
    wingback_task_free(task);
    CHECK(signal.times == 1);

    OK(wingback_backup_count_first(backup, false, &error));
    OK(wingback_backup_start(backup, store, text("first.tar.gz"), &task, &error));
    FAILS(WINGBACK_STATUS_ALREADY_EXISTS, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_backup_free(backup);
}

struct server {
    int calls;
    const char *answer;
};

static const char *save_again(void *user_data) {
    struct server *server = user_data;
    server->calls++;
    return server->answer;
}

static void calls_a_function_after_the_read(const wingback_store *store) {
    wingback_backup *backup;
    wingback_task *task;
    const wingback_report *report;
    struct server server = {0, NULL};

    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_on_source_read(backup, save_again, &server, &error));
    for (int calls = 1; calls <= 2; calls++) {
        OK(wingback_backup_start(backup, store, text("saves.tar.gz"), &task, &error));
        done(task);
        CHECK(server.calls == calls);
        OK(wingback_task_report(task, &report, &error));
        // The second call fails, and the archive is complete.
        const wingback_notes *warnings = wingback_report_warnings(report);
        CHECK(wingback_notes_count(warnings) == (server.answer ? 1 : 0));
        if (server.answer) {
            wingback_note note = {.struct_size = sizeof note};
            OK(wingback_notes_get(warnings, 0, &note, &error));
            CHECK(strcmp(note.code, "hook") == 0 && strcmp(note.text, server.answer) == 0);
        }
        wingback_task_free(task);
        OK(wingback_store_delete(store, text("saves.tar.gz"), &task, &error));
        done(task);
        wingback_task_free(task);
        server.answer = "the server does not answer";
    }
    wingback_backup_free(backup);
}

static wingback_report_summary copies(wingback_backup *backup, const wingback_store *store,
                                      const char *name, size_t warnings) {
    wingback_task *task;
    const wingback_report *report;
    wingback_report_summary summary = {.struct_size = sizeof summary};
    OK(wingback_backup_start(backup, store, text(name), &task, &error));
    done(task);
    OK(wingback_task_report(task, &report, &error));
    OK(wingback_report_get(report, &summary, &error));
    CHECK(wingback_notes_count(wingback_report_warnings(report)) == warnings);
    wingback_task_free(task);
    OK(wingback_store_delete(store, text(name), &task, &error));
    done(task);
    wingback_task_free(task);
    return summary;
}

static void backs_up_what_changed(const wingback_store *store, const char *key, const char *path) {
    wingback_backup *backup;
    wingback_report_summary full, next;

    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_trust_mtime(backup, true, &error));
    full = copies(backup, store, "full.tar.gz", 0);
    CHECK(full.copied == 0 && full.compressed > 3000000);
    OK(wingback_backup_previous_file(backup, text(path), &error));
    next = copies(backup, store, "file.tar.gz", 0);
    CHECK(next.copied > 0 && next.segments == full.segments && next.content == full.content);
    OK(wingback_backup_previous_key(backup, text(key), &error));
    CHECK(copies(backup, store, "key.tar.gz", 0).copied == next.copied);
    OK(wingback_backup_previous_latest(backup, &error));
    CHECK(copies(backup, store, "latest.tar.gz", 0).copied == next.copied);
    OK(wingback_backup_level(backup, WINGBACK_LEVEL_BEST, &error));
    CHECK(copies(backup, store, "unused.tar.gz", 1).copied == 0);
    OK(wingback_backup_reuse_any(backup, true, &error));
    CHECK(copies(backup, store, "mixed.tar.gz", 0).copied == next.copied);
    wingback_backup_free(backup);

    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_cache(backup, text(join(work, "cache")), 1 << 30, &error));
    CHECK(copies(backup, store, "kept.tar.gz", 0).copied == 0);
    next = copies(backup, store, "copied.tar.gz", 0);
    CHECK(next.copied > 0 && next.segments == full.segments && next.content == full.content);
    wingback_backup_free(backup);
}

static void cancels(const wingback_store *store) {
    wingback_backup *backup;
    wingback_task *task;
    wingback_limiter *limiter;
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_limiter_new(100000, &limiter, &error));
    OK(wingback_backup_read_limit(backup, limiter, &error));
    OK(wingback_backup_start(backup, store, text("cancelled.tar.gz"), &task, &error));
    wingback_task_cancel(task);
    FAILS(WINGBACK_STATUS_CANCELLED, wingback_task_wait(task, -1, &error));
    FAILS(WINGBACK_STATUS_CANCELLED, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    // A free cancels as well, and leaves no files.
    OK(wingback_backup_start(backup, store, text("cancelled.tar.gz"), &task, &error));
    CHECK(wingback_task_wait(task, 20, NULL) == WINGBACK_STATUS_NOT_YET);
    wingback_task_free(task);
    wingback_limiter_free(limiter);
    wingback_backup_free(backup);

    const wingback_objects *objects;
    OK(wingback_store_list(store, &task, &error));
    done(task);
    OK(wingback_task_objects(task, &objects, &error));
    CHECK(wingback_objects_count(objects) == 0);
    wingback_task_free(task);
}

static void estimates(void) {
    wingback_backup *backup;
    wingback_task *task;
    wingback_estimate estimate = {.struct_size = sizeof estimate};
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_estimate(backup, &task, &error));
    done(task);
    OK(wingback_task_estimate(task, &estimate, &error));
    CHECK(estimate.files == 4 && estimate.directories == 2 && estimate.archive_max > 3000000);
    const wingback_report *report;
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_task_report(task, &report, &error));
    wingback_task_free(task);
    wingback_backup_free(backup);
}

static void previews(void) {
    wingback_backup *backup;
    wingback_preview *preview;
    wingback_preview_entry entry = {.struct_size = sizeof entry};
    wingback_preview_summary summary = {.struct_size = sizeof summary};
    wingback_status status;
    int found = 0;
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_exclude(backup, text("# logs\n*.log\nworld/"), &error));
    OK(wingback_backup_preview(backup, &preview, &error));
    wingback_backup_free(backup);
    CHECK(wingback_preview_summarize(preview, &summary, NULL) == WINGBACK_STATUS_NOT_YET);
    while ((status = wingback_preview_next(preview, &entry, NULL)) == WINGBACK_STATUS_OK) {
        found++;
        if (equal(entry.path, "fifo")) {
            CHECK(!entry.is_included && !entry.is_data_loss && entry.kind == WINGBACK_MEMBER_KIND_FIFO);
            CHECK(strcmp(entry.skip_code, "fifo") == 0 && strcmp(entry.skip_text, "is a named pipe") == 0);
            continue;
        }
        CHECK(entry.skip_code == NULL && entry.skip_text == NULL);
        if (equal(entry.path, "logs/latest.log") || equal(entry.path, "world")) {
            bool is_file = entry.kind == WINGBACK_MEMBER_KIND_FILE;
            CHECK(!entry.is_included && entry.pattern_origin == WINGBACK_PATTERN_ORIGIN_CALLER);
            CHECK(equal(entry.pattern, is_file ? "*.log" : "world/") && entry.pattern_line == (is_file ? 2 : 3));
        } else {
            CHECK(entry.is_included && entry.pattern.len == 0 && entry.pattern_line == 0);
            CHECK(entry.pattern_origin == WINGBACK_PATTERN_ORIGIN_NONE);
        }
    }
    CHECK(status == WINGBACK_STATUS_END && found == 6);
    OK(wingback_preview_summarize(preview, &summary, &error));
    CHECK(summary.files == 2 && summary.directories == 1 && summary.excluded == 2 && !summary.is_partial);
    CHECK(summary.archive_max > summary.content && summary.unselected == 0);
    CHECK(wingback_notes_count(wingback_preview_skipped(preview)) == 1);
    wingback_preview_cancel(preview);
    wingback_preview_free(preview);
    OK(wingback_backup_new(text("/nonexistent"), &backup, &error));
    OK(wingback_backup_preview(backup, &preview, &error));
    FAILS(WINGBACK_STATUS_NOT_FOUND, wingback_preview_next(preview, &entry, &error));
    FAILS(WINGBACK_STATUS_INTERNAL, wingback_preview_next(preview, &entry, &error));
    wingback_preview_free(preview);
    wingback_backup_free(backup);
}

static void writes_to_a_descriptor(void) {
    wingback_backup *backup;
    wingback_task *task;
    char path[4096];
    strcpy(path, join(work, "written.tar.gz"));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_write_to(backup, fd, &task, &error));
    CHECK(close(fd) == 0);
    wingback_backup_free(backup);
    done(task);
    has_report(task, NULL);
    const wingback_report *report;
    OK(wingback_task_report(task, &report, &error));
    CHECK(wingback_report_location(report).len == 0);
    wingback_task_free(task);
    streams(path, 6);
}

static void uses_s3(char **args, int urls) {
    wingback_store *store;
    wingback_archive *archive;
    wingback_task *task;
    wingback_transfer transfer = {.struct_size = sizeof transfer, .parallel = 2};
    wingback_s3_config config = {
        .struct_size = sizeof config,
        .endpoint = text(args[0]),
        .bucket = text(args[1]),
        .access_key = text(args[2]),
        .secret_key = text(args[3]),
        .prefix = text("c/"),
        .transfer = &transfer,
    };
    OK(wingback_store_s3(&config, &store, &error));
    back_up(source, store, "s3.tar.gz");
    CHECK(threads_named("wingback-net") == 1);
    OK(wingback_archive_in_store(store, text("s3.tar.gz"), &archive, &error));
    lists(archive);
    reads(archive);
    verifies(archive, true);
    CHECK(contents(archive) > 3000000);
    wingback_archive_free(archive);

    const wingback_notes *swept;
    OK(wingback_store_sweep(store, &task, &error));
    done(task);
    OK(wingback_task_swept(task, &swept, &error));
    CHECK(wingback_notes_count(swept) == 0);
    wingback_task_free(task);
    OK(wingback_store_delete(store, text("s3.tar.gz"), &task, &error));
    done(task);
    wingback_task_free(task);
    OK(wingback_store_delete(store, text("s3.tar.gz"), &task, &error));
    FAILS(WINGBACK_STATUS_NOT_FOUND, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_store_free(store);

    // Part URLs, as a panel issues them: the first half for a backup that is uploaded while it is made,
    // the second half for a file.
    wingback_part_urls *part_urls;
    wingback_bytes list[16];
    CHECK(urls >= 4 && urls <= 16);
    for (int i = 0; i < urls; i++) list[i] = text(args[4 + i]);
    const wingback_parts *parts;
    wingback_part part = {.struct_size = sizeof part};
    uint64_t part_size = 5 << 20;
    wingback_backup *backup;
    OK(wingback_backup_new(text(source), &backup, &error));
    // Without room in memory, a part needs a directory for its file.
    wingback_set_memory_limit(part_size - 1);
    OK(wingback_part_urls_new(list, 1, part_size, NULL, text("/none"), &part_urls, &error));
    OK(wingback_backup_send_to(backup, part_urls, &task, &error));
    wingback_part_urls_free(part_urls);
    FAILS(WINGBACK_STATUS_NOT_FOUND, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_set_memory_limit(256 << 20);

    OK(wingback_part_urls_new(list, urls / 2, part_size, &transfer, text(""), &part_urls, &error));
    OK(wingback_backup_send_to(backup, part_urls, &task, &error));
    wingback_backup_free(backup);
    wingback_part_urls_free(part_urls);
    done(task);
    has_report(task, NULL);
    OK(wingback_task_parts(task, &parts, &error));
    CHECK(wingback_parts_count(parts) == 1);
    OK(wingback_parts_get(parts, 0, &part, &error));
    CHECK(part.number == 1 && part.etag.len > 30);
    printf("%.*s\n", (int)part.etag.len, part.etag.data);
    wingback_task_free(task);

    OK(wingback_part_urls_new(list + urls / 2, urls / 2, part_size, NULL, text(work), &part_urls,
                              &error));
    OK(wingback_part_urls_upload_file(part_urls, text(join(work, "written.tar.gz")), &task,
                                      &error));
    wingback_part_urls_free(part_urls);
    done(task);
    OK(wingback_task_parts(task, &parts, &error));
    CHECK(wingback_parts_count(parts) == 1);
    OK(wingback_parts_get(parts, 0, &part, &error));
    printf("%.*s\n", (int)part.etag.len, part.etag.data);
    wingback_task_free(task);
}

// A worker without requests sends hello and ends.
static void serves(void) {
    int streams[2], events[2], requests = open("/dev/null", O_RDONLY);
    char hello[256] = {0};
    CHECK(requests >= 0 && pipe(events) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, streams) == 0);
    OK(wingback_worker_run(requests, events[1], streams[0], &error));
    CHECK(read(events[0], hello, sizeof hello - 1) > 0);
    CHECK(strstr(hello, "\"event\":\"hello\"") != NULL);
    int all[] = {requests, events[0], events[1], streams[0], streams[1]};
    for (int i = 0; i < 5; i++) CHECK(close(all[i]) == 0);
}

int main(int count, char **args) {
    CHECK(count == 3 || count > 10);
    source = args[1];
    work = args[2];
    int messages = 0;
    OK(wingback_log_set(WINGBACK_LOG_LEVEL_INFO, log_message, &messages, &error));

    wingback_build_info info = {.struct_size = sizeof info};
    OK(wingback_build(&info, &error));
    CHECK(wingback_abi_version() == WINGBACK_ABI_VERSION);
    CHECK(strcmp(info.version, wingback_version()) == 0 && info.target[0] != 0);
    CHECK(strncmp(info.encoders, "wingback", strlen("wingback")) == 0);

    wingback_store *store = local(join(work, "backups"));
    backs_up(store);
    calls_a_function_after_the_read(store);
    identifies(store);
    wingback_store *other = local(join(work, "named"));
    cancels(other);
    char key[64];
    size_t len;
    OK(wingback_store_key(other, text("00000000-0000-0000-0000-000000000001"), text("lobby"), key,
                          sizeof key, &len, &error));
    CHECK(len == strlen(key) && strcmp(key, "backup-00000000-0000-0000-0000-000000000001.tar.gz") == 0);
    back_up(source, other, key);
    wingback_task *task;
    const wingback_objects *objects;
    wingback_object object = {.struct_size = sizeof object};
    OK(wingback_store_list(other, &task, &error));
    done(task);
    OK(wingback_task_objects(task, &objects, &error));
    CHECK(wingback_objects_count(objects) == 1);
    OK(wingback_objects_get(objects, 0, &object, &error));
    CHECK(equal(object.key, key) && object.size > 0);
    CHECK(object.is_modified_known && time(NULL) - object.modified_ns / 1000000000 < 3600);
    wingback_task_free(task);
    locks(other, key);
    uses_places();
    estimates();
    previews();

    char path[4096];
    OK(wingback_store_location(other, text(key), path, sizeof path, &len, &error));
    backs_up_what_changed(other, key, path);
    wingback_archive *archive, *file;
    OK(wingback_archive_in_store(other, text(key), &archive, &error));
    OK(wingback_archive_file(text(path), &file, &error));
    lists(archive);
    reads(file);
    size_t total = contents(archive);
    CHECK(total > 3000000 && total == contents(file));
    streams(path, 6);
    writes_to_a_descriptor();
    verifies(file, true);
    extracts(file);
    limits(path);
    restores(archive);
    damages(path);
    verifies(file, false);
    wingback_archive_free(archive);
    wingback_archive_free(file);
    wingback_store_free(other);
    wingback_store_free(store);

    serves();
    if (count > 3) uses_s3(args + 3, count - 7);
    CHECK(messages > 10);
    OK(wingback_log_set(WINGBACK_LOG_LEVEL_ERROR, NULL, NULL, &error));
    no_thread_is_left();
    return 0;
}
