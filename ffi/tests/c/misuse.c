// Mistakes of a program, and the errors for them: NULL everywhere, calls in the wrong order, invalid
// values and lengths, text that is not UTF-8, objects of the wrong kind.
//
// misuse SOURCE WORK
#include <pthread.h>
#include <unistd.h>

#include "check.h"

#define INVALID(call) FAILS(WINGBACK_STATUS_INVALID_INPUT, call)

static const char *source, *work;

static void nothing_given(void) {
    const wingback_bytes none = {NULL, 0};
    const wingback_bytes x = text("x");
    wingback_task *task = NULL;
    wingback_store *store = NULL;
    wingback_archive *archive = NULL;
    size_t len = 7;

    // Each argument that must not be NULL.
    INVALID(wingback_store_local(none, none, 0, false, &store, &error));
    INVALID(wingback_store_local(x, none, 0, false, NULL, &error));
    INVALID(wingback_store_s3(NULL, &store, &error));
    INVALID(wingback_store_key(NULL, none, none, NULL, 0, &len, &error));
    INVALID(wingback_store_location(NULL, x, NULL, 0, &len, &error));
    INVALID(wingback_store_list(NULL, &task, &error));
    INVALID(wingback_store_archives(NULL, none, 0, &task, &error));
    INVALID(wingback_store_delete(NULL, x, &task, &error));
    INVALID(wingback_store_sweep(NULL, &task, &error));
    INVALID(wingback_archive_file(none, &archive, &error));
    INVALID(wingback_archive_file(x, NULL, &error));
    INVALID(wingback_archive_in_store(NULL, x, &archive, &error));
    INVALID(wingback_archive_link(none, NULL, &archive, &error));
    INVALID(wingback_archive_stream(-1, &archive, &error));
    FAILS(WINGBACK_STATUS_IO, wingback_archive_stream(1000, &archive, &error));
    INVALID(wingback_archive_info(NULL, &task, &error));
    INVALID(wingback_archive_lock(NULL, &task, &error));
    INVALID(wingback_archive_unlock(NULL, &task, &error));
    INVALID(wingback_archive_remove(NULL, &task, &error));
    INVALID(wingback_archive_diff(NULL, NULL, NULL, &task, &error));
    INVALID(wingback_archive_diff_directory(NULL, x, NULL, &task, &error));
    INVALID(wingback_store_plan(NULL, NULL, &task, &error));
    INVALID(wingback_store_find(NULL, NULL, &task, &error));
    INVALID(wingback_store_verify(NULL, NULL, &task, &error));
    INVALID(wingback_archive_list(NULL, NULL, 0, &task, &error));
    INVALID(wingback_archive_read_file(NULL, x, 1, &task, &error));
    INVALID(wingback_archive_copy_file(NULL, x, 1, &task, &error));
    INVALID(wingback_archive_verify(NULL, NULL, &task, &error));
    INVALID(wingback_entries_open(NULL, NULL, &error));
    INVALID(wingback_entries_next(NULL, NULL, &error));
    INVALID(wingback_entries_read(NULL, NULL, 0, &len, &error));
    INVALID(wingback_limiter_new(1, NULL, &error));
    INVALID(wingback_limiter_set_rate(NULL, 1, &error));
    INVALID(wingback_backup_new(x, NULL, &error));
    INVALID(wingback_backup_select(NULL, &x, 1, &error));
    INVALID(wingback_backup_exclude(NULL, x, &error));
    INVALID(wingback_backup_rules(NULL, WINGBACK_RULES_GIT, &error));
    INVALID(wingback_backup_ignore_file(NULL, WINGBACK_IGNORE_FILE_NONE, none, &error));
    INVALID(wingback_backup_strict_patterns(NULL, true, &error));
    INVALID(wingback_backup_one_file_system(NULL, true, &error));
    INVALID(wingback_backup_count_first(NULL, true, &error));
    INVALID(wingback_backup_on_source_read(NULL, NULL, NULL, &error));
    INVALID(wingback_backup_profile(NULL, WINGBACK_PROFILE_FULL, &error));
    INVALID(wingback_backup_level(NULL, WINGBACK_LEVEL_NONE, &error));
    INVALID(wingback_backup_encoder(NULL, WINGBACK_ENCODER_WINGBACK, &error));
    INVALID(wingback_backup_threads(NULL, 1, &error));
    INVALID(wingback_backup_background(NULL, true, &error));
    INVALID(wingback_backup_read_limit(NULL, NULL, &error));
    INVALID(wingback_backup_write_limit(NULL, NULL, &error));
    INVALID(wingback_archive_read_limit(NULL, NULL, &error));
    INVALID(wingback_archive_write_limit(NULL, NULL, &error));
    INVALID(wingback_backup_max_len(NULL, x, 1, &error));
    INVALID(wingback_backup_reproducible(NULL, true, &error));
    INVALID(wingback_backup_include_archives(NULL, true, &error));
    INVALID(wingback_backup_allow_empty(NULL, true, &error));
    INVALID(wingback_backup_align(NULL, true, &error));
    INVALID(wingback_backup_label(NULL, x, &error));
    INVALID(wingback_backup_tag(NULL, x, x, &error));
    INVALID(wingback_backup_previous_file(NULL, x, &error));
    INVALID(wingback_backup_previous_key(NULL, x, &error));
    INVALID(wingback_backup_previous_latest(NULL, &error));
    INVALID(wingback_backup_trust_mtime(NULL, true, &error));
    INVALID(wingback_backup_reuse_any(NULL, true, &error));
    INVALID(wingback_backup_cache(NULL, x, 1, &error));
    INVALID(wingback_backup_estimate(NULL, &task, &error));
    INVALID(wingback_backup_preview(NULL, NULL, &error));
    INVALID(wingback_preview_next(NULL, NULL, &error));
    INVALID(wingback_preview_summarize(NULL, NULL, &error));
    INVALID(wingback_backup_start(NULL, NULL, x, &task, &error));
    INVALID(wingback_backup_send_to(NULL, NULL, &task, &error));
    INVALID(wingback_backup_write_to(NULL, 1, &task, &error));
    wingback_restore *restore = NULL;
    wingback_extract *extract = NULL;
    INVALID(wingback_restore_new(none, &restore, &error));
    INVALID(wingback_restore_new(x, NULL, &error));
    INVALID(wingback_restore_delete(NULL, true, &error));
    INVALID(wingback_restore_delete_excluded(NULL, true, &error));
    INVALID(wingback_restore_select(NULL, x, &error));
    INVALID(wingback_restore_dry_run(NULL, true, &error));
    INVALID(wingback_restore_keep(NULL, x, &error));
    INVALID(wingback_restore_in_place(NULL, true, &error));
    INVALID(wingback_restore_staging(NULL, x, &error));
    INVALID(wingback_restore_state_dir(NULL, x, &error));
    INVALID(wingback_backup_state_dir(NULL, x, &error));
    INVALID(wingback_restore_sha1(NULL, NULL, &error));
    INVALID(wingback_restore_options(NULL, NULL, &error));
    INVALID(wingback_restore_start(NULL, NULL, &task, &error));
    INVALID(wingback_restore_recover(NULL, &task, &error));
    INVALID(wingback_extract_new(none, &extract, &error));
    INVALID(wingback_extract_new(x, NULL, &error));
    INVALID(wingback_extract_select(NULL, x, &error));
    INVALID(wingback_extract_overwrite(NULL, true, &error));
    INVALID(wingback_extract_salvage(NULL, true, &error));
    INVALID(wingback_extract_sha1(NULL, NULL, &error));
    INVALID(wingback_extract_options(NULL, NULL, &error));
    INVALID(wingback_extract_start(NULL, NULL, &task, &error));
    wingback_part_urls *part_urls = NULL;
    INVALID(wingback_part_urls_new(NULL, 1, 1, NULL, none, &part_urls, &error));
    INVALID(wingback_part_urls_new(NULL, 0, 1, NULL, none, NULL, &error));
    INVALID(wingback_part_urls_upload_file(NULL, x, &task, &error));
    INVALID(wingback_task_wait(NULL, -1, &error));
    INVALID(wingback_task_progress(NULL, NULL, &error));
    INVALID(wingback_task_on_done(NULL, NULL, NULL, &error));
    INVALID(wingback_task_report(NULL, NULL, &error));
    INVALID(wingback_task_restored(NULL, NULL, &error));
    INVALID(wingback_task_extracted(NULL, NULL, &error));
    INVALID(wingback_task_verified(NULL, NULL, &error));
    INVALID(wingback_task_listing(NULL, NULL, &error));
    INVALID(wingback_task_info(NULL, NULL, &error));
    INVALID(wingback_task_estimate(NULL, NULL, &error));
    INVALID(wingback_task_file(NULL, NULL, NULL, &error));
    INVALID(wingback_task_parts(NULL, NULL, &error));
    INVALID(wingback_task_objects(NULL, NULL, &error));
    INVALID(wingback_task_removed(NULL, NULL, &error));
    INVALID(wingback_task_plan(NULL, NULL, &error));
    INVALID(wingback_task_found(NULL, NULL, &error));
    INVALID(wingback_task_differences(NULL, NULL, &error));
    INVALID(wingback_task_verified_all(NULL, NULL, &error));
    INVALID(wingback_task_swept(NULL, NULL, &error));
    INVALID(wingback_task_recovered(NULL, NULL, &error));
    INVALID(wingback_report_get(NULL, NULL, &error));
    INVALID(wingback_restored_get(NULL, NULL, &error));
    INVALID(wingback_extracted_get(NULL, NULL, &error));
    INVALID(wingback_verified_get(NULL, NULL, &error));
    INVALID(wingback_listing_get(NULL, 0, NULL, &error));
    INVALID(wingback_info_get(NULL, NULL, &error));
    INVALID(wingback_info_tag(NULL, 0, NULL, NULL, &error));
    INVALID(wingback_notes_get(NULL, 0, NULL, &error));
    INVALID(wingback_objects_get(NULL, 0, NULL, &error));
    INVALID(wingback_parts_get(NULL, 0, NULL, &error));
    INVALID(wingback_build(NULL, &error));

    // The error argument may be NULL.
    CHECK(wingback_task_wait(NULL, -1, NULL) == WINGBACK_STATUS_INVALID_INPUT);

    // Functions that cannot fail.
    CHECK(wingback_report_location(NULL).len == 0);
    CHECK(wingback_report_skipped(NULL) == NULL && wingback_report_changed(NULL) == NULL);
    CHECK(wingback_report_warnings(NULL) == NULL && wingback_listing_unmatched(NULL) == NULL);
    CHECK(wingback_restored_skipped(NULL) == NULL && wingback_restored_warnings(NULL) == NULL);
    CHECK(wingback_extracted_skipped(NULL) == NULL && wingback_extracted_damage(NULL) == NULL);
    CHECK(wingback_extracted_warnings(NULL) == NULL);
    CHECK(wingback_extracted_unmatched(NULL) == NULL && wingback_verified_damage(NULL) == NULL);
    CHECK(wingback_verified_whole_files(NULL) == NULL && wingback_notes_count(NULL) == 0);
    CHECK(wingback_listing_count(NULL) == 0 && wingback_listing_read_method(NULL) == WINGBACK_READ_METHOD_INDEXED);
    CHECK(wingback_objects_count(NULL) == 0 && wingback_parts_count(NULL) == 0);
    CHECK(wingback_info_tag_count(NULL) == 0 && wingback_plan_count(NULL) == 0);
    CHECK(wingback_found_count(NULL) == 0 && wingback_differences_count(NULL) == 0);
    CHECK(wingback_verified_all_count(NULL) == 0 && wingback_verified_all_damaged(NULL) == NULL);
    CHECK(wingback_found_unsearched(NULL) == NULL && wingback_differences_skipped(NULL) == NULL);
    CHECK(wingback_limiter_rate(NULL) == 0 && wingback_bytes_of(NULL).len == 0);
    CHECK(wingback_error_status(NULL) == WINGBACK_STATUS_OK && !wingback_error_is_retryable(NULL));
    CHECK(wingback_error_message(NULL)[0] == 0 && wingback_error_path(NULL).len == 0);
    CHECK(strcmp(wingback_status_name(12345), "unknown") == 0);
    wingback_task_cancel(NULL);
    wingback_entries_cancel(NULL);
    wingback_preview_cancel(NULL);
    CHECK(wingback_preview_skipped(NULL) == NULL && wingback_preview_warnings(NULL) == NULL);
    wingback_archive_free(NULL);
    wingback_backup_free(NULL);
    wingback_entries_free(NULL);
    wingback_error_free(NULL);
    wingback_extract_free(NULL);
    wingback_limiter_free(NULL);
    wingback_part_urls_free(NULL);
    wingback_preview_free(NULL);
    wingback_restore_free(NULL);
    wingback_store_free(NULL);
    wingback_task_free(NULL);

    // Outputs are written on success only.
    CHECK(task == NULL && store == NULL && archive == NULL && restore == NULL && extract == NULL);
    CHECK(part_urls == NULL && len == 7);
}

static void odd_values(void) {
    const wingback_bytes none = {NULL, 0};
    const wingback_bytes huge = {"x", SIZE_MAX}, lost = {NULL, 5};
    const wingback_bytes latin = text("caf\xe9");
    wingback_store *store = NULL;
    wingback_backup *backup;
    wingback_archive *archive;
    wingback_task *task = NULL;
    char buffer[4];
    size_t len;

    INVALID(wingback_store_local(huge, none, 0, false, &store, &error));
    INVALID(wingback_store_local(lost, none, 0, false, &store, &error));
    INVALID(wingback_store_local(text("x"), latin, 0, false, &store, &error));
    INVALID(wingback_store_local(text("x"), text("no placeholder"), 0, false, &store, &error));
    store = local(join(work, "misused"));
    INVALID(wingback_store_key(store, text("none"), none, buffer, sizeof buffer, &len, &error));
    INVALID(wingback_store_key(store, none, none, buffer, sizeof buffer, &len, &error));
    INVALID(wingback_store_key(store, none, none, NULL, 4, &len, &error));
    INVALID(wingback_store_key(store, none, none, NULL, 0, NULL, &error));
    OK(wingback_store_key(store, none, none, NULL, 0, &len, &error));
    CHECK(len == strlen("backup-.tar.gz") + 36);
    INVALID(wingback_archive_in_store(store, latin, &archive, &error));
    INVALID(wingback_archive_in_store(store, text("../x"), &archive, &error));
    INVALID(wingback_archive_in_store(store, none, &archive, &error));

    OK(wingback_backup_new(text(source), &backup, &error));
    INVALID(wingback_backup_on_source_read(backup, NULL, NULL, &error));
    INVALID(wingback_backup_level(backup, (wingback_level)99, &error));
    INVALID(wingback_backup_encoder(backup, (wingback_encoder)2, &error));
    INVALID(wingback_backup_rules(backup, (wingback_rules)-1, &error));
    INVALID(wingback_backup_profile(backup, (wingback_profile)2, &error));
    INVALID(wingback_backup_ignore_file(backup, (wingback_ignore_file)3, none, &error));
    INVALID(wingback_backup_ignore_file(backup, WINGBACK_IGNORE_FILE_MERGE, latin, &error));
    INVALID(wingback_backup_exclude(backup, huge, &error));
    INVALID(wingback_backup_read_limit(backup, NULL, &error));
    INVALID(wingback_backup_start(backup, NULL, text("a"), &task, &error));
    INVALID(wingback_backup_start(backup, store, text("/a"), &task, &error));
    INVALID(wingback_backup_start(backup, store, text("a"), NULL, &error));
    INVALID(wingback_backup_send_to(backup, NULL, &task, &error));
    INVALID(wingback_backup_write_to(backup, -5, &task, &error));
    OK(wingback_backup_threads(backup, UINT32_MAX, &error));
    OK(wingback_backup_threads(backup, 0, &error));
    OK(wingback_backup_strict_patterns(backup, true, &error));
    OK(wingback_backup_exclude(backup, text("[unclosed"), &error));
    OK(wingback_backup_start(backup, store, text("a"), &task, &error));
    INVALID(wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_backup_free(backup);

    // The system refuses a zero byte in a path.
    const wingback_bytes zero = {"a\0b", 3};
    OK(wingback_backup_new(zero, &backup, &error));
    OK(wingback_backup_start(backup, store, text("a"), &task, &error));
    INVALID(wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_backup_free(backup);

    // ISA-L is in some libraries only, and does not serve the level BEST.
    wingback_build_info info = {.struct_size = sizeof info};
    OK(wingback_build(&info, &error));
    bool has_isal = strstr(info.encoders, "isa-l") != NULL;
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_encoder(backup, WINGBACK_ENCODER_ISA_L, &error));
    OK(wingback_backup_level(backup, WINGBACK_LEVEL_BEST, &error));
    OK(wingback_backup_start(backup, store, text("a"), &task, &error));
    FAILS(has_isal ? WINGBACK_STATUS_INVALID_INPUT : WINGBACK_STATUS_UNSUPPORTED,
          wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_backup_free(backup);

    INVALID(wingback_worker_run(-1, 1, 1, &error));
    wingback_log_set((wingback_log_level)9, NULL, NULL, NULL);
    INVALID(wingback_log_set((wingback_log_level)9, NULL, NULL, &error));
    INVALID(wingback_archive_link(text("ftp://x/y"), NULL, &archive, &error));
    wingback_bytes urls[] = {text("https://x/1"), latin};
    wingback_part_urls *part_urls;
    INVALID(wingback_part_urls_new(urls, 2, 1, NULL, none, &part_urls, &error));
    INVALID(wingback_part_urls_new(urls, SIZE_MAX / 2, 1, NULL, none, &part_urls, &error));
    INVALID(wingback_part_urls_new(urls, 1, 0, NULL, none, &part_urls, &error));
    wingback_store_free(store);
}

static void odd_structs(void) {
    wingback_build_info info = {.struct_size = 0};
    INVALID(wingback_build(&info, &error));
    info.struct_size = SIZE_MAX;
    INVALID(wingback_build(&info, &error));
    // An older header has fewer fields, a newer one more.
    info.struct_size = sizeof(size_t) + sizeof(char *);
    OK(wingback_build(&info, &error));
    CHECK(info.version != NULL && info.target == NULL);
    struct {
        wingback_build_info known;
        long more;
    } newer = {.known.struct_size = sizeof newer, .more = 7};
    OK(wingback_build(&newer.known, &error));
    CHECK(newer.known.target != NULL && newer.more == 0);

    wingback_store *store;
    wingback_s3_config config = {.struct_size = sizeof config, .access_key = text("a")};
    INVALID(wingback_store_s3(&config, &store, &error));
    config.bucket = text("bucket");
    INVALID(wingback_store_s3(&config, &store, &error));
    config.secret_key = text("c");
    config.path_style = 3;
    INVALID(wingback_store_s3(&config, &store, &error));
    config.path_style = 2;
    wingback_transfer transfer = {.struct_size = 1};
    config.transfer = &transfer;
    INVALID(wingback_store_s3(&config, &store, &error));
    transfer.struct_size = sizeof transfer;
    OK(wingback_store_s3(&config, &store, &error));
    wingback_store_free(store);
    struct {
        wingback_unpack_options known;
        long more;
    } options = {.known.struct_size = sizeof options, .more = 1};
    wingback_restore *restore;
    OK(wingback_restore_new(text("x"), &restore, &error));
    INVALID(wingback_restore_options(restore, &options.known, &error));
    options.more = 0;
    options.known.owner = (wingback_owner)7;
    INVALID(wingback_restore_options(restore, &options.known, &error));
    INVALID(wingback_restore_sha1(restore, NULL, &error));
    wingback_restore_free(restore);
}

static void wrong_order(void) {
    wingback_backup *backup;
    wingback_task *task;
    wingback_limiter *limiter;
    wingback_store *store = local(join(work, "ordered"));
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_limiter_new(1, &limiter, &error));
    OK(wingback_backup_read_limit(backup, limiter, &error));
    OK(wingback_backup_start(backup, store, text("a"), &task, &error));
    const wingback_report *report = NULL;
    const wingback_listing *listing = NULL;
    CHECK(wingback_task_report(task, &report, NULL) == WINGBACK_STATUS_NOT_YET && report == NULL);
    CHECK(wingback_task_listing(task, &listing, NULL) == WINGBACK_STATUS_NOT_YET);
    // From now on only the task is needed.
    wingback_backup_free(backup);
    wingback_store_free(store);
    OK(wingback_limiter_set_rate(limiter, 0, &error));
    wingback_limiter_free(limiter);
    done(task);
    INVALID(wingback_task_listing(task, &listing, &error));
    const wingback_parts *parts = NULL;
    INVALID(wingback_task_parts(task, &parts, &error));
    const wingback_info *info = NULL;
    INVALID(wingback_task_info(task, &info, &error));
    INVALID(wingback_task_report(task, NULL, &error));
    CHECK(listing == NULL && parts == NULL && info == NULL);
    OK(wingback_task_report(task, &report, &error));
    wingback_report_summary summary = {.struct_size = 3};
    INVALID(wingback_report_get(report, &summary, &error));
    wingback_task_cancel(task);
    done(task);
    wingback_task_free(task);

    // A store that cannot be made: there is a file at its path.
    store = local(join(source, "server.properties"));
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_start(backup, store, text("a"), &task, &error));
    CHECK(wingback_task_wait(task, -1, NULL) > WINGBACK_STATUS_END);
    wingback_task_free(task);
    wingback_backup_free(backup);
    // No source.
    OK(wingback_backup_new(text("/nonexistent"), &backup, &error));
    OK(wingback_backup_start(backup, store, text("a"), &task, &error));
    wingback_error *why = NULL;
    CHECK(wingback_task_wait(task, -1, &why) == WINGBACK_STATUS_NOT_FOUND);
    CHECK(equal(wingback_error_path(why), "/nonexistent"));
    wingback_error_free(why);
    wingback_task_free(task);
    OK(wingback_store_list(store, &task, &error));
    CHECK(wingback_task_wait(task, -1, NULL) > WINGBACK_STATUS_END);
    wingback_task_free(task);
    wingback_backup_free(backup);
    wingback_store_free(store);
}

struct seen {
    wingback_task *task;
    pthread_t thread;
    int times;
    // From main to the callback, and back.
    int go[2], called[2];
};

static void tell(const int pipe[2]) {
    CHECK(write(pipe[1], "x", 1) == 1);
}

static void wait_for(const int pipe[2]) {
    char byte;
    CHECK(read(pipe[0], &byte, 1) == 1);
}

static void count(void *user_data) {
    struct seen *seen = user_data;
    seen->thread = pthread_self();
    seen->times++;
    tell(seen->called);
}

static void free_within(void *user_data) {
    struct seen *seen = user_data;
    wait_for(seen->go);
    wingback_task_free(seen->task);
    count(seen);
}

static void callbacks(void) {
    wingback_backup *backup;
    struct seen seen = {.times = 0};
    CHECK(pipe(seen.go) == 0 && pipe(seen.called) == 0);
    OK(wingback_backup_new(text(source), &backup, &error));
    // Set after the end: it is still called, on a thread of the library.
    OK(wingback_backup_estimate(backup, &seen.task, &error));
    done(seen.task);
    INVALID(wingback_task_on_done(seen.task, NULL, NULL, &error));
    OK(wingback_task_on_done(seen.task, count, &seen, &error));
    INVALID(wingback_task_on_done(seen.task, count, &seen, &error));
    wait_for(seen.called);
    CHECK(!pthread_equal(seen.thread, pthread_self()));
    wingback_task_free(seen.task);
    CHECK(seen.times == 1);

    // It is not called if the task is freed first.
    wingback_limiter *limiter;
    OK(wingback_limiter_new(1, &limiter, &error));
    OK(wingback_backup_read_limit(backup, limiter, &error));
    wingback_store *store = local(join(work, "called"));
    OK(wingback_backup_start(backup, store, text("a"), &seen.task, &error));
    OK(wingback_task_on_done(seen.task, count, &seen, &error));
    wingback_task_free(seen.task);
    CHECK(seen.times == 1);

    // The callback frees its own task.
    OK(wingback_backup_estimate(backup, &seen.task, &error));
    OK(wingback_task_on_done(seen.task, free_within, &seen, &error));
    tell(seen.go);
    wait_for(seen.called);
    CHECK(seen.times == 2);
    wingback_backup_free(backup);
    wingback_limiter_free(limiter);
    wingback_store_free(store);
    for (int i = 0; i < 2; i++) CHECK(close(seen.go[i]) == 0 && close(seen.called[i]) == 0);
}

// Pipes whose other end blocks or is closed.
static void descriptors(void) {
    wingback_backup *backup;
    wingback_archive *archive;
    wingback_task *task;
    int waits[2], gone[2];
    CHECK(pipe(waits) == 0 && pipe(gone) == 0 && close(gone[0]) == 0);
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_write_to(backup, gone[1], &task, &error));
    FAILS(WINGBACK_STATUS_IO, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    OK(wingback_backup_write_to(backup, waits[1], &task, &error));
    CHECK(wingback_task_wait(task, 100, NULL) == WINGBACK_STATUS_NOT_YET);
    wingback_task_cancel(task);
    FAILS(WINGBACK_STATUS_CANCELLED, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_backup_free(backup);
    CHECK(close(waits[0]) == 0 && close(waits[1]) == 0 && close(gone[1]) == 0);

    CHECK(pipe(waits) == 0);
    OK(wingback_archive_stream(waits[0], &archive, &error));
    OK(wingback_archive_list(archive, NULL, 0, &task, &error));
    CHECK(wingback_task_wait(task, 100, NULL) == WINGBACK_STATUS_NOT_YET);
    wingback_task_cancel(task);
    FAILS(WINGBACK_STATUS_CANCELLED, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_archive_free(archive);
    CHECK(close(waits[0]) == 0 && close(waits[1]) == 0);
}

int main(int argc, char **args) {
    CHECK(argc == 3);
    source = args[1];
    work = args[2];
    nothing_given();
    odd_values();
    odd_structs();
    wrong_order();
    callbacks();
    descriptors();
    no_thread_is_left();
    return 0;
}
