// The part of client.c that works with all archives of a store.
#include "client.h"

void locks(const wingback_store *store, const char *key) {
    const char *label = strrchr(source, '/') + 1;
    wingback_archive *archive;
    OK(wingback_archive_in_store(store, text(key), &archive, &error));
    for (int i = 0; i < 4; i++) {
        bool is_locked = i < 2, changed;
        wingback_task *task;
        if (is_locked) OK(wingback_archive_lock(archive, &task, &error));
        else OK(wingback_archive_unlock(archive, &task, &error));
        done(task);
        OK(wingback_task_lock(task, &changed, &error));
        CHECK(changed == (i % 2 == 0));
        wingback_task_free(task);

        const wingback_archives *archives;
        wingback_stored_archive stored = {.struct_size = sizeof stored};
        OK(wingback_store_archives(store, text(label), 1, &task, &error));
        done(task);
        OK(wingback_task_archives(task, &archives, &error));
        CHECK(wingback_archives_count(archives) == 1);
        OK(wingback_archives_get(archives, 0, &stored, &error));
        CHECK(equal(stored.key, key) && stored.size > 0 && stored.is_whole);
        CHECK(stored.is_locked == is_locked && !stored.has_content_change);
        CHECK(stored.is_made_known && stored.is_modified_known);
        CHECK(stored.made_ns <= stored.modified_ns);
        const wingback_info *info;
        wingback_info_summary summary = {.struct_size = sizeof summary};
        OK(wingback_archives_info(archives, 0, &info, &error));
        OK(wingback_info_get(info, &summary, &error));
        CHECK(equal(summary.label, label) && summary.size == stored.size);
        wingback_task_free(task);
    }
    wingback_archive_free(archive);
}

// Backs up only world. The report lists the path that the source does not have.
static void selects(const wingback_store *store) {
    wingback_backup *backup;
    wingback_task *task;
    const wingback_report *report;
    wingback_report_summary summary = {.struct_size = sizeof summary};
    wingback_note note = {.struct_size = sizeof note};
    wingback_bytes paths[] = {text("world"), text("none")};
    OK(wingback_backup_new(text(source), &backup, &error));
    OK(wingback_backup_select(backup, NULL, 0, &error));
    OK(wingback_backup_start(backup, store, text("none.tar.gz"), &task, &error));
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    OK(wingback_backup_select(backup, paths, 2, &error));
    OK(wingback_backup_start(backup, store, text("world.tar.gz"), &task, &error));
    done(task);
    OK(wingback_task_report(task, &report, &error));
    OK(wingback_report_get(report, &summary, &error));
    CHECK(summary.files == 1 && summary.directories == 1 && summary.is_partial);
    CHECK(wingback_notes_count(wingback_report_skipped(report)) == 1);
    OK(wingback_notes_get(wingback_report_skipped(report), 0, &note, &error));
    CHECK(equal(note.path, "none") && strcmp(note.code, "missing") == 0 && note.is_data_loss);
    wingback_task_free(task);
    wingback_backup_free(backup);
}

static void compares(const wingback_store *store) {
    wingback_archive *before, *after;
    wingback_task *task;
    const wingback_differences *differences;
    wingback_difference difference = {.struct_size = sizeof difference};
    wingback_compared compared = {.struct_size = sizeof compared};
    wingback_member member = {.struct_size = sizeof member};
    OK(wingback_archive_in_store(store, text("world.tar.gz"), &before, &error));
    OK(wingback_archive_in_store(store, text("all.tar.gz"), &after, &error));

    OK(wingback_archive_diff(before, after, NULL, &task, &error));
    done(task);
    OK(wingback_task_differences(task, &differences, &error));
    OK(wingback_differences_compared(differences, &compared, &error));
    CHECK(compared.added == 4 && compared.added_bytes == 16 && compared.unchanged == 2);
    CHECK(!compared.is_equal && !compared.is_partial && compared.has_other_read_method);
    size_t count = wingback_differences_count(differences);
    CHECK(count == 4);
    bool is_found = false;
    for (size_t i = 0; i < count; i++) {
        OK(wingback_differences_get(differences, i, &difference, &error));
        CHECK(difference.kind == WINGBACK_DIFFERENCE_KIND_ADDED && !difference.content_differs);
        FAILS(WINGBACK_STATUS_NOT_FOUND,
              wingback_differences_before(differences, i, &member, &error));
        OK(wingback_differences_after(differences, i, &member, &error));
        is_found |= equal(difference.path, "server.properties") && member.size == 8;
    }
    CHECK(is_found);
    FAILS(WINGBACK_STATUS_INVALID_INPUT,
          wingback_differences_get(differences, count, &difference, &error));
    wingback_task_free(task);

    wingback_bytes wanted[] = {text("world"), text("nothing")};
    wingback_diff_options options = {
        .struct_size = sizeof options,
        .selection = wanted,
        .selection_count = 2,
        .content = 1,
    };
    OK(wingback_archive_diff_directory(before, text(source), &options, &task, &error));
    done(task);
    OK(wingback_task_differences(task, &differences, &error));
    OK(wingback_differences_compared(differences, &compared, &error));
    CHECK(compared.is_equal && compared.unchanged == 2 && compared.read >= 3000000);
    CHECK(!compared.has_other_read_method);
    CHECK(wingback_notes_count(wingback_differences_skipped(differences)) == 0);
    CHECK(wingback_notes_count(wingback_differences_unmatched(differences)) == 1);
    wingback_task_free(task);

    OK(wingback_archive_diff_directory(before, text(join(work, "none")), NULL, &task, &error));
    FAILS(WINGBACK_STATUS_NOT_FOUND, wingback_task_wait(task, -1, &error));
    wingback_task_free(task);
    wingback_archive_free(before);
    wingback_archive_free(after);
}

static void finds(const wingback_store *store) {
    wingback_task *task;
    const wingback_found *found;
    const wingback_archives *archives;
    wingback_found_summary summary = {.struct_size = sizeof summary};
    wingback_member member = {.struct_size = sizeof member};
    wingback_stored_archive stored = {.struct_size = sizeof stored};
    wingback_bytes wanted[] = {text("world/*.mca"), text("nothing")};
    wingback_find_options options = {
        .struct_size = sizeof options,
        .selection = wanted,
        .selection_count = 2,
    };
    OK(wingback_store_find(store, &options, &task, &error));
    done(task);
    OK(wingback_task_found(task, &found, &error));
    OK(wingback_found_get(found, &summary, &error));
    CHECK(summary.paths == 1 && summary.searched == 2 && wingback_found_count(found) == 1);
    OK(wingback_found_version(found, 0, NULL, NULL, &error));
    OK(wingback_found_version(found, 0, &member, &archives, &error));
    CHECK(equal(member.path, "world/region.mca") && wingback_archives_count(archives) == 2);
    OK(wingback_archives_get(archives, 0, &stored, &error));
    CHECK(equal(stored.key, "all.tar.gz") && stored.is_whole);
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_found_version(found, 1, &member, NULL, &error));
    CHECK(wingback_notes_count(wingback_found_unsearched(found)) == 0);
    CHECK(wingback_notes_count(wingback_found_unmatched(found)) == 1);
    wingback_task_free(task);

    // A free cancels a search that waits for its limit.
    wingback_limiter *limiter;
    OK(wingback_limiter_new(1, &limiter, &error));
    options.read_limit = limiter;
    OK(wingback_store_find(store, &options, &task, &error));
    CHECK(wingback_task_wait(task, 300, NULL) == WINGBACK_STATUS_NOT_YET);
    wingback_task_free(task);
    wingback_limiter_free(limiter);
    options.read_limit = NULL;

    options.label = text("none");
    OK(wingback_store_find(store, &options, &task, &error));
    done(task);
    OK(wingback_task_found(task, &found, &error));
    OK(wingback_found_get(found, &summary, &error));
    CHECK(summary.searched == 0 && wingback_found_count(found) == 0);
    wingback_task_free(task);
}

static bool removes(const wingback_archive *archive) {
    wingback_task *task;
    bool removed;
    OK(wingback_archive_remove(archive, &task, &error));
    done(task);
    OK(wingback_task_removed(task, &removed, &error));
    wingback_task_free(task);
    return removed;
}

// Removes the archive of world, which has a lock first.
static void prunes(const wingback_store *store) {
    wingback_task *task;
    const wingback_plan *plan;
    const char *label = strrchr(source, '/') + 1;
    wingback_archive_group group = {.struct_size = sizeof group};
    wingback_planned_archive planned = {.struct_size = sizeof planned};
    wingback_stored_archive stored = {.struct_size = sizeof stored};
    wingback_tag tag = {.key = text("plan"), .value = text("gold")};
    wingback_retention rules = {
        .struct_size = sizeof rules,
        .last = 1,
        .keep_tags = &tag,
        .keep_tag_count = 1,
        .label = text(label),
    };
    OK(wingback_store_plan(store, &rules, &task, &error));
    done(task);
    OK(wingback_task_plan(task, &plan, &error));
    CHECK(wingback_plan_count(plan) == 1);
    OK(wingback_plan_group(plan, 0, &group, &error));
    CHECK(equal(group.label, label) && group.host.len > 0 && !group.is_unidentified);
    CHECK(wingback_archives_count(group.archives) == 2);
    OK(wingback_plan_verdict(plan, 0, 0, &planned, &error));
    CHECK(planned.verdict == WINGBACK_VERDICT_KEEP && equal(planned.reason, "newest"));
    OK(wingback_plan_verdict(plan, 0, 1, &planned, &error));
    CHECK(planned.verdict == WINGBACK_VERDICT_REMOVE && planned.reason.len == 0);
    CHECK(!planned.is_suspicious);
    OK(wingback_archives_get(group.archives, 1, &stored, &error));
    CHECK(equal(stored.key, "world.tar.gz"));
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_plan_verdict(plan, 0, 2, &planned, &error));
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_plan_group(plan, 1, &group, &error));
    wingback_archive *archive;
    OK(wingback_archive_in_store(store, stored.key, &archive, &error));
    wingback_task_free(task);

    OK(wingback_archive_lock(archive, &task, &error));
    done(task);
    wingback_task_free(task);
    CHECK(!removes(archive));
    OK(wingback_archive_unlock(archive, &task, &error));
    done(task);
    wingback_task_free(task);
    CHECK(removes(archive) && removes(archive));
    wingback_archive_free(archive);

    rules.group_by = (wingback_group_by)9;
    FAILS(WINGBACK_STATUS_INVALID_INPUT, wingback_store_plan(store, &rules, &task, &error));
    rules.group_by = WINGBACK_GROUP_BY_NONE;
    rules.label = text("none");
    OK(wingback_store_plan(store, &rules, &task, &error));
    done(task);
    OK(wingback_task_plan(task, &plan, &error));
    CHECK(wingback_plan_count(plan) == 0);
    wingback_task_free(task);
}

static void verifies_all(const wingback_store *store) {
    char path[4096];
    size_t len;
    OK(wingback_store_location(store, text("all.tar.gz"), path, sizeof path, &len, &error));
    wingback_verify_all_options options = {
        .struct_size = sizeof options,
        .place = text("places"),
        .state_directory = text(join(work, "checks")),
        .threads = 1,
    };
    wingback_task *task;
    wingback_limiter *limiter;
    OK(wingback_limiter_new(1, &limiter, &error));
    options.read_limit = limiter;
    OK(wingback_store_verify(store, &options, &task, &error));
    CHECK(wingback_task_wait(task, 300, NULL) == WINGBACK_STATUS_NOT_YET);
    wingback_task_free(task);
    wingback_limiter_free(limiter);
    options.read_limit = NULL;

    for (int is_damaged = 0; is_damaged < 2; is_damaged++) {
        const wingback_verified_all *verified;
        wingback_verified_all_summary summary = {.struct_size = sizeof summary};
        wingback_archive_check check = {.struct_size = sizeof check};
        if (is_damaged) damages(path);
        OK(wingback_store_verify(store, &options, &task, &error));
        done(task);
        OK(wingback_task_verified_all(task, &verified, &error));
        OK(wingback_verified_all_get(verified, &summary, &error));
        CHECK(summary.archives == 1 && summary.verified == 1 && summary.never == 0);
        CHECK(summary.is_whole == !is_damaged && summary.is_oldest_known && !summary.is_resumed);
        CHECK(wingback_verified_all_count(verified) == 1);
        OK(wingback_verified_all_check(verified, 0, &check, &error));
        CHECK(equal(check.key, "all.tar.gz") && check.is_made_known);
        CHECK(check.is_whole == !is_damaged && check.status == WINGBACK_STATUS_OK);
        CHECK((wingback_notes_count(wingback_verified_damage(check.verified)) > 0) == is_damaged);
        const wingback_notes *damaged = wingback_verified_all_damaged(verified);
        CHECK(wingback_notes_count(damaged) == (size_t)is_damaged);
        if (is_damaged) {
            wingback_note note = {.struct_size = sizeof note};
            OK(wingback_notes_get(damaged, 0, &note, &error));
            CHECK(equal(note.path, "all.tar.gz"));
        }
        wingback_task_free(task);
    }
}

void uses_places(void) {
    wingback_store *store = local(join(work, "places"));
    selects(store);
    back_up(source, store, "all.tar.gz");
    compares(store);
    finds(store);
    prunes(store);
    verifies_all(store);
    wingback_store_free(store);
}
