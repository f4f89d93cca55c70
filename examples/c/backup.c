// Backs up a directory into another one, and shows the progress. Ctrl-C cancels the backup.
//
//     cc examples/c/backup.c $(pkg-config --cflags --libs wingback) -o backup
//     ./backup /srv/minecraft /backups
#include <signal.h>
#include <stdio.h>

#include <wingback.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

// Prints the error and frees it.
static int failed(const char *what, wingback_error *error) {
    fprintf(stderr, "\n%s: %s\n", what, wingback_error_message(error));
    wingback_error_free(error);
    return 1;
}

static void show_progress(const wingback_task *task) {
    wingback_progress progress = {.struct_size = sizeof progress};
    if (wingback_task_progress(task, &progress, NULL) != WINGBACK_STATUS_OK) return;
    double percent = 0;
    if (progress.is_expected_known && progress.expected_bytes > 0)
        percent = 100.0 * (double)progress.bytes / (double)progress.expected_bytes;
    fprintf(stderr, "\r%5.1f %%  %llu files, %llu bytes/s", percent,
            (unsigned long long)progress.files, (unsigned long long)progress.rate);
    if (progress.is_time_left_known)
        fprintf(stderr, ", %llu s left", (unsigned long long)(progress.time_left_ns / 1000000000));
    fprintf(stderr, "\x1b[K");
}

static int show_report(const wingback_task *task, wingback_error **error) {
    const wingback_report *report;
    wingback_report_summary summary = {.struct_size = sizeof summary};
    if (wingback_task_report(task, &report, error) != WINGBACK_STATUS_OK ||
        wingback_report_get(report, &summary, error) != WINGBACK_STATUS_OK)
        return 0;
    wingback_bytes location = wingback_report_location(report);
    printf("%.*s: %llu bytes, SHA-1 %s\n", (int)location.len, location.data,
           (unsigned long long)summary.size, summary.sha1_hex);
    const wingback_notes *skipped = wingback_report_skipped(report);
    for (size_t i = 0; i < wingback_notes_count(skipped); i++) {
        wingback_note note = {.struct_size = sizeof note};
        if (wingback_notes_get(skipped, i, &note, error) != WINGBACK_STATUS_OK) return 0;
        printf("skipped %.*s: %s\n", (int)note.path.len, note.path.data, note.text);
    }
    return 1;
}

int main(int count, char **args) {
    if (count != 3) {
        fprintf(stderr, "usage: %s DIRECTORY BACKUPS\n", args[0]);
        return 2;
    }
    wingback_error *error = NULL;
    wingback_store *store = NULL;
    wingback_backup *backup = NULL;
    wingback_task *task = NULL;
    char key[256];
    size_t len;
    int status = 1;

    wingback_bytes none = {NULL, 0};
    if (wingback_store_local(wingback_bytes_of(args[2]), none, 0, true, &store, &error) ||
        wingback_store_key(store, none, none, key, sizeof key, &len, &error) ||
        wingback_backup_new(wingback_bytes_of(args[1]), &backup, &error) ||
        wingback_backup_start(backup, store, wingback_bytes_of(key), &task, &error)) {
        failed("the backup cannot start", error);
        goto end;
    }
    signal(SIGINT, interrupt);
    wingback_status ended;
    while ((ended = wingback_task_wait(task, 100, &error)) == WINGBACK_STATUS_NOT_YET) {
        show_progress(task);
        if (interrupted) wingback_task_cancel(task);
    }
    if (ended != WINGBACK_STATUS_OK) {
        failed("the backup failed", error);
        goto end;
    }
    show_progress(task);
    fprintf(stderr, "\n");
    if (!show_report(task, &error)) {
        failed("the report cannot be read", error);
        goto end;
    }
    status = 0;

end:
    wingback_task_free(task);
    wingback_backup_free(backup);
    wingback_store_free(store);
    return status;
}
