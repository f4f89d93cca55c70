// The part of client.c that reads, verifies, extracts and restores archives.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

void lists(const wingback_archive *archive) {
    wingback_task *task;
    const wingback_listing *listing;
    wingback_member member = {.struct_size = sizeof member};
    wingback_bytes wanted[] = {text("*.properties"), text("nothing")};
    OK(wingback_archive_list(archive, wanted, 2, &task, &error));
    done(task);
    OK(wingback_task_listing(task, &listing, &error));
    CHECK(wingback_listing_read_method(listing) == WINGBACK_READ_METHOD_INDEXED);
    CHECK(wingback_listing_count(listing) == 1);
    OK(wingback_listing_get(listing, 0, &member, &error));
    CHECK(equal(member.path, "server.properties") && member.size == 8);
    CHECK(member.kind == WINGBACK_MEMBER_KIND_FILE && member.mtime_ns > 0);
    wingback_note note = {.struct_size = sizeof note};
    OK(wingback_notes_get(wingback_listing_unmatched(listing), 0, &note, &error));
    CHECK(equal(note.path, "nothing"));
    wingback_task_free(task);

    // Names are bytes.
    OK(wingback_archive_list(archive, NULL, 0, &task, &error));
    done(task);
    OK(wingback_task_listing(task, &listing, &error));
    int found = 0;
    for (size_t i = 0; i < wingback_listing_count(listing); i++) {
        OK(wingback_listing_get(listing, i, &member, &error));
        found += equal(member.path, "\xff\xfe");
    }
    CHECK(found == 1);
    wingback_task_free(task);
}

void reads(const wingback_archive *archive) {
    wingback_task *task;
    wingback_member member = {.struct_size = sizeof member};
    wingback_bytes content;
    OK(wingback_archive_read_file(archive, text("server.properties"), 100, &task, &error));
    done(task);
    OK(wingback_task_file(task, &member, &content, &error));
    CHECK(equal(member.path, "server.properties") && equal(content, "motd=hi\n"));
    OK(wingback_task_file(task, NULL, NULL, &error));
    wingback_task_free(task);

    OK(wingback_archive_read_file(archive, text("server.properties"), 7, &task, &error));
    FAILS(WINGBACK_STATUS_NO_SPACE, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);

    char path[4096];
    strcpy(path, join(work, "copy"));
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    OK(wingback_archive_copy_file(archive, text("world/region.mca"), fd, &task, &error));
    CHECK(close(fd) == 0);
    done(task);
    wingback_task_free(task);
    struct stat stat_;
    CHECK(stat(path, &stat_) == 0 && stat_.st_size == 3000000);

    OK(wingback_archive_copy_file(archive, text("none"), STDOUT_FILENO, &task, &error));
    wingback_error *why = NULL;
    CHECK(wingback_task_wait(task, -1, &why) == WINGBACK_STATUS_NOT_FOUND);
    CHECK(equal(wingback_error_path(why), "none") && !wingback_error_is_retryable(why));
    wingback_error_free(why);
    wingback_task_free(task);
}

size_t contents(const wingback_archive *archive) {
    wingback_entries *entries;
    wingback_member member = {.struct_size = sizeof member};
    wingback_status status;
    size_t total = 0;
    OK(wingback_entries_open(archive, &entries, &error));
    while ((status = wingback_entries_next(entries, &member, NULL)) == WINGBACK_STATUS_OK) {
        char buffer[10000];
        size_t size = 0, read;
        do {
            OK(wingback_entries_read(entries, buffer, sizeof buffer, &read, &error));
            size += read;
        } while (read > 0);
        CHECK(size == member.size);
        total += size;
    }
    CHECK(status == WINGBACK_STATUS_END);
    wingback_entries_free(entries);

    // Freed before the end.
    OK(wingback_entries_open(archive, &entries, &error));
    OK(wingback_entries_next(entries, &member, &error));
    char first[256];
    CHECK(member.path.len < sizeof first);
    size_t len = member.path.len;
    memcpy(first, member.path.data, len);
    wingback_entries_free(entries);

    // A member that could not be written is not lost.
    wingback_member nowhere = {.struct_size = 0};
    OK(wingback_entries_open(archive, &entries, &error));
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_entries_next(entries, &nowhere, &error));
    OK(wingback_entries_next(entries, &member, &error));
    CHECK(member.path.len == len && memcmp(member.path.data, first, len) == 0);
    wingback_entries_cancel(entries);
    wingback_entries_free(entries);
    return total;
}

void streams(const char *path, size_t expected) {
    wingback_archive *archive;
    wingback_entries *entries;
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    OK(wingback_archive_stream(fd, &archive, &error));
    CHECK(close(fd) == 0);
    wingback_task *task;
    // A call with a mistake does not consume the stream.
    wingback_bytes nothing = {.data = NULL, .len = 5};
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_archive_read_file(archive, nothing, 1, &task, &error));
    OK(wingback_archive_list(archive, NULL, 0, &task, &error));
    done(task);
    const wingback_listing *listing;
    OK(wingback_task_listing(task, &listing, &error));
    CHECK(wingback_listing_read_method(listing) == WINGBACK_READ_METHOD_STREAM);
    CHECK(wingback_listing_count(listing) == expected);
    wingback_task_free(task);
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_entries_open(archive, &entries, &error));
    wingback_archive_free(archive);
}

void verifies(const wingback_archive *archive, bool is_whole) {
    wingback_task *task;
    const wingback_verified *verified;
    const uint8_t sha1[20] = {0};
    wingback_verified_summary summary = {.struct_size = sizeof summary};
    OK(wingback_archive_verify(archive, NULL, &task, &error));
    done(task);
    OK(wingback_task_verified(task, &verified, &error));
    OK(wingback_verified_get(verified, &summary, &error));
    CHECK(summary.is_whole == is_whole && summary.files == 4 && !summary.is_sha1_known);
    size_t damage = wingback_notes_count(wingback_verified_damage(verified));
    CHECK((damage == 0) == is_whole);
    if (!is_whole) {
        wingback_note note = {.struct_size = sizeof note};
        OK(wingback_notes_get(wingback_verified_damage(verified), 0, &note, &error));
        CHECK(equal(note.path, "world/region.mca") && note.is_data_loss);
        CHECK(wingback_notes_count(wingback_verified_whole_files(verified)) == 3);
    }
    wingback_task_free(task);

    wingback_verify_options options = {.struct_size = sizeof options, .sha1 = sha1, .threads = 1};
    OK(wingback_archive_verify(archive, &options, &task, &error));
    done(task);
    OK(wingback_task_verified(task, &verified, &error));
    OK(wingback_verified_get(verified, &summary, &error));
    CHECK(!summary.is_whole && summary.is_sha1_known && !summary.sha1_matches);
    wingback_task_free(task);
}

void extracts(const wingback_archive *archive) {
    wingback_extract *extract;
    wingback_task *task;
    const wingback_extracted *extracted;
    wingback_extracted_summary summary = {.struct_size = sizeof summary};
    wingback_unpack_options options = {.struct_size = sizeof options, .max_bytes = 7};
    OK(wingback_extract_new(text(join(work, "extracted")), &extract, &error));
    OK(wingback_extract_select(extract, text("server.properties"), &error));
    OK(wingback_extract_options(extract, &options, &error));
    const uint8_t sha1[20] = {1};
    OK(wingback_extract_sha1(extract, sha1, &error));
    OK(wingback_extract_start(extract, archive, &task, &error));
    FAILS(WINGBACK_STATUS_MISMATCH, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_extract_free(extract);

    OK(wingback_extract_new(text(join(work, "extracted")), &extract, &error));
    OK(wingback_extract_select(extract, text("server.properties"), &error));
    OK(wingback_extract_options(extract, &options, &error));
    OK(wingback_extract_start(extract, archive, &task, &error));
    CHECK(wingback_task_wait(task, -1, NULL) != WINGBACK_STATUS_OK);
    wingback_task_free(task);
    options.max_bytes = 0;
    OK(wingback_extract_options(extract, &options, &error));
    OK(wingback_extract_overwrite(extract, true, &error));
    OK(wingback_extract_salvage(extract, true, &error));
    OK(wingback_extract_start(extract, archive, &task, &error));
    done(task);
    OK(wingback_task_extracted(task, &extracted, &error));
    OK(wingback_extracted_get(extracted, &summary, &error));
    CHECK(summary.unpacked.files == 1 && summary.unpacked.content == 8);
    CHECK(wingback_notes_count(wingback_extracted_damage(extracted)) == 0);
    CHECK(wingback_notes_count(wingback_extracted_unmatched(extracted)) == 0);
    CHECK(wingback_notes_count(wingback_extracted_warnings(extracted)) == 0);
    CHECK(wingback_notes_count(wingback_extracted_skipped(extracted)) == 0);
    wingback_task_free(task);
    wingback_extract_free(extract);
}

// Reads and writes at limits that let each take a second.
void limits(const char *path) {
    wingback_archive *archive;
    wingback_limiter *read, *write;
    wingback_task *task;
    const wingback_verified *verified;
    wingback_verified_summary summary = {.struct_size = sizeof summary};
    OK(wingback_archive_file(text(path), &archive, &error));
    OK(wingback_limiter_new(0, &read, &error));
    OK(wingback_archive_read_limit(archive, read, &error));
    for (int i = 0; i < 2; i++) {
        OK(wingback_archive_verify(archive, NULL, &task, &error));
        done(task);
        OK(wingback_task_verified(task, &verified, &error));
        OK(wingback_verified_get(verified, &summary, &error));
        CHECK(summary.is_whole && (i == 0 || summary.duration_ns > 900000000));
        wingback_task_free(task);
        OK(wingback_limiter_set_rate(read, summary.size, &error));
    }
    // A free cancels a task that waits for its limit.
    OK(wingback_limiter_set_rate(read, 1, &error));
    OK(wingback_archive_verify(archive, NULL, &task, &error));
    CHECK(wingback_task_wait(task, 20, NULL) == WINGBACK_STATUS_NOT_YET);
    wingback_task_free(task);
    OK(wingback_limiter_set_rate(read, 0, &error));

    wingback_extract *extract;
    const wingback_extracted *extracted;
    wingback_extracted_summary written = {.struct_size = sizeof written};
    OK(wingback_limiter_new(8, &write, &error));
    OK(wingback_archive_write_limit(archive, write, &error));
    OK(wingback_extract_new(text(join(work, "limited")), &extract, &error));
    OK(wingback_extract_select(extract, text("server.properties"), &error));
    OK(wingback_extract_start(extract, archive, &task, &error));
    wingback_limiter_free(read);
    wingback_limiter_free(write);
    wingback_archive_free(archive);
    wingback_extract_free(extract);
    done(task);
    OK(wingback_task_extracted(task, &extracted, &error));
    OK(wingback_extracted_get(extracted, &written, &error));
    CHECK(written.unpacked.content == 8 && written.duration_ns > 900000000);
    wingback_task_free(task);
}

// Returns the path of the only note in a list.
static wingback_bytes only_path(const wingback_notes *notes) {
    wingback_note note = {.struct_size = sizeof note};
    CHECK(wingback_notes_count(notes) == 1);
    OK(wingback_notes_get(notes, 0, &note, &error));
    return note.path;
}

// Removes a file that the archive does not have, first in a dry run.
static void dry_run_and_delete(const wingback_archive *archive, const char *target) {
    wingback_restore *restore;
    struct stat stat_;
    CHECK(unlink(join(target, "world/region.mca")) == 0);
    FILE *extra = fopen(join(target, "world/extra"), "w");
    CHECK(extra != NULL && fclose(extra) == 0);
    OK(wingback_restore_new(text(target), &restore, &error));
    OK(wingback_restore_state_dir(restore, text(join(target, "../state")), &error));
    OK(wingback_restore_select(restore, text("world"), &error));
    OK(wingback_restore_delete(restore, true, &error));
    OK(wingback_restore_delete_excluded(restore, true, &error));
    for (int dry_run = 1; dry_run >= 0; dry_run--) {
        wingback_task *task;
        const wingback_restored *restored;
        OK(wingback_restore_dry_run(restore, dry_run != 0, &error));
        OK(wingback_restore_start(restore, archive, &task, &error));
        done(task);
        OK(wingback_task_restored(task, &restored, &error));
        CHECK(equal(only_path(wingback_restored_added(restored)), "world/region.mca"));
        CHECK(equal(only_path(wingback_restored_removed(restored)), "world/extra"));
        CHECK(wingback_notes_count(wingback_restored_replaced(restored)) == 0);
        wingback_task_free(task);
        CHECK((stat(join(target, "world/extra"), &stat_) == 0) == (dry_run != 0));
        CHECK((stat(join(target, "world/region.mca"), &stat_) == 0) == (dry_run == 0));
    }
    wingback_restore_free(restore);
}

void restores(const wingback_archive *archive) {
    wingback_restore *restore;
    wingback_task *task;
    const wingback_restored *restored;
    char target[4096];
    strcpy(target, join(work, "restored"));
    wingback_restored_summary summary = {.struct_size = sizeof summary};
    CHECK(mkdir(target, 0700) == 0 && mkdir(join(target, "cache"), 0700) == 0);
    OK(wingback_restore_new(text(target), &restore, &error));
    OK(wingback_restore_keep(restore, text("cahce"), &error));
    OK(wingback_restore_state_dir(restore, text(join(target, "../state")), &error));
    OK(wingback_restore_start(restore, archive, &task, &error));
    wingback_error *why = NULL;
    CHECK(wingback_task_wait(task, -1, &why) == WINGBACK_STATUS_INVALID_INPUT);
    CHECK(strstr(wingback_error_message(why), "\"cahce\"") != NULL);
    wingback_error_free(why);
    wingback_task_free(task);
    wingback_restore_free(restore);
    OK(wingback_restore_new(text(target), &restore, &error));
    OK(wingback_restore_keep(restore, text("cache"), &error));
    OK(wingback_restore_state_dir(restore, text(join(target, "../state")), &error));
    wingback_unpack_options options = {.struct_size = sizeof options, .threads = 1};
    OK(wingback_restore_options(restore, &options, &error));
    OK(wingback_restore_start(restore, archive, &task, &error));
    done(task);
    OK(wingback_task_restored(task, &restored, &error));
    OK(wingback_restored_get(restored, &summary, &error));
    CHECK(summary.unpacked.files == 4 && summary.recovered == WINGBACK_RECOVERED_NOTHING);
    CHECK(wingback_notes_count(wingback_restored_skipped(restored)) == 0);
    CHECK(wingback_notes_count(wingback_restored_warnings(restored)) == 0);
    wingback_task_free(task);
    struct stat stat_;
    CHECK(stat(join(target, "cache"), &stat_) == 0 && S_ISDIR(stat_.st_mode));
    CHECK(stat(join(target, "world/region.mca"), &stat_) == 0 && stat_.st_size == 3000000);

    CHECK(summary.unchanged == 0);
    dry_run_and_delete(archive, target);

    // Not the expected archive: nothing is changed.
    const uint8_t sha1[20] = {1};
    OK(wingback_restore_sha1(restore, sha1, &error));
    OK(wingback_restore_start(restore, archive, &task, &error));
    FAILS(WINGBACK_STATUS_MISMATCH, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    CHECK(stat(join(target, "world/region.mca"), &stat_) == 0 && stat_.st_size == 3000000);

    wingback_recovered recovered;
    OK(wingback_restore_recover(restore, &task, &error));
    done(task);
    OK(wingback_task_recovered(task, &recovered, &error));
    CHECK(recovered == WINGBACK_RECOVERED_NOTHING);
    wingback_task_free(task);
    wingback_restore_free(restore);
}

static void labels(const wingback_store *store) {
    wingback_backup *backup;
    wingback_task *task;
    char long_label[256];
    memset(long_label, 'l', sizeof long_label);
    wingback_bytes too_long = {long_label, sizeof long_label};
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_exclude(backup, text("*.log"), &error));
    OK(wingback_backup_tag(backup, text("plan"), text("gold=1"), &error));
    OK(wingback_backup_tag(backup, text("name"), text(""), &error));
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_backup_tag(backup, text("\xff"), text(""), &error));
    OK(wingback_backup_label(backup, too_long, &error));
    OK(wingback_backup_start(backup, store, text("labeled.tar.gz"), &task, &error));
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    OK(wingback_backup_label(backup, text("caf\xe9"), &error));
    OK(wingback_backup_start(backup, store, text("labeled.tar.gz"), &task, &error));
    done(task);
    wingback_task_free(task);
    wingback_backup_free(backup);
}

void identifies(const wingback_store *store) {
    wingback_archive *archive;
    wingback_task *task;
    const wingback_info *info = NULL;
    wingback_info_summary summary = {.struct_size = sizeof summary};
    wingback_bytes key, value;
    char directory[4096];
    labels(store);
    OK(wingback_archive_in_store(store, text("labeled.tar.gz"), &archive, &error));
    OK(wingback_archive_info(archive, &task, &error));
    wingback_archive_free(archive);
    done(task);
    OK(wingback_task_info(task, &info, &error));
    OK(wingback_info_get(info, &summary, &error));
    CHECK(equal(summary.label, "caf\xe9") && equal(summary.excludes, "*.log\n"));
    CHECK(realpath(source, directory) != NULL && equal(summary.source, directory));
    CHECK(summary.host.len > 0 && strncmp(summary.tool.data, "wingback ", 9) == 0);
    CHECK(summary.is_made_known && time(NULL) - summary.made_ns / 1000000000 < 3600);
    CHECK(equal(summary.encoder, "wingback") && summary.encoder_level == 1);
    CHECK(summary.profile == WINGBACK_PROFILE_FULL && summary.rules == WINGBACK_RULES_GIT);
    CHECK(summary.files == 3 && summary.content > 3000000 && summary.skipped == 1);
    CHECK(!summary.omits_unnamed);
    CHECK(summary.size > 0 && summary.segments > 0 && summary.tar_len > summary.content);
    CHECK(wingback_info_tag_count(info) == 2);
    OK(wingback_info_tag(info, 0, &key, &value, &error));
    CHECK(equal(key, "plan") && equal(value, "gold=1"));
    OK(wingback_info_tag(info, 1, &key, &value, &error));
    CHECK(equal(key, "name") && value.len == 0);
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_info_tag(info, 2, &key, &value, &error));
    CHECK(equal(key, "name"));
    wingback_task_free(task);

    // A file without an index.
    OK(wingback_archive_file(text(join(source, "server.properties")), &archive, &error));
    OK(wingback_archive_info(archive, &task, &error));
    done(task);
    OK(wingback_task_info(task, &info, &error));
    CHECK(info == NULL);
    wingback_task_free(task);
    wingback_archive_free(archive);
}

void damages(const char *path) {
    char byte;
    int fd = open(path, O_RDWR);
    struct stat stat_;
    CHECK(fd >= 0 && fstat(fd, &stat_) == 0);
    // Most of the archive is the region file.
    CHECK(pread(fd, &byte, 1, stat_.st_size / 2) == 1);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, stat_.st_size / 2) == 1 && close(fd) == 0);
}
