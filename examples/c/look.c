// Lists an archive, or writes one file of it to standard output.
//
//     cc examples/c/look.c $(pkg-config --cflags --libs wingback) -o look
//     ./look /backups/backup-0d9444a5-350d-4f30-8350-79a69d12af1c.tar.gz
//     ./look /backups/backup-0d9444a5-350d-4f30-8350-79a69d12af1c.tar.gz server.properties
#include <stdio.h>
#include <unistd.h>

#include <wingback.h>

// Waits for a task. `started` is the status of its start.
static wingback_status finish(wingback_status started, const wingback_task *task,
                              wingback_error **error) {
    return started == WINGBACK_STATUS_OK ? wingback_task_wait(task, -1, error) : started;
}

static wingback_status list(const wingback_archive *archive, wingback_error **error) {
    wingback_task *task = NULL;
    const wingback_listing *listing;
    wingback_status status = wingback_archive_list(archive, NULL, 0, &task, error);
    status = finish(status, task, error);
    if (status == WINGBACK_STATUS_OK) status = wingback_task_listing(task, &listing, error);
    if (status == WINGBACK_STATUS_OK) {
        for (size_t i = 0; i < wingback_listing_count(listing); i++) {
            wingback_member member = {.struct_size = sizeof member};
            status = wingback_listing_get(listing, i, &member, error);
            if (status != WINGBACK_STATUS_OK) break;
            printf("%04o %12llu  %.*s%s\n", (unsigned)member.mode, (unsigned long long)member.size,
                   (int)member.path.len, member.path.data,
                   member.kind == WINGBACK_MEMBER_KIND_DIRECTORY ? "/" : "");
        }
    }
    wingback_task_free(task);
    return status;
}

static wingback_status print_file(const wingback_archive *archive, const char *path,
                                  wingback_error **error) {
    wingback_task *task = NULL;
    wingback_status status =
        wingback_archive_copy_file(archive, wingback_bytes_of(path), STDOUT_FILENO, &task, error);
    status = finish(status, task, error);
    wingback_task_free(task);
    return status;
}

int main(int count, char **args) {
    if (count != 2 && count != 3) {
        fprintf(stderr, "usage: %s ARCHIVE [FILE]\n", args[0]);
        return 2;
    }
    wingback_error *error = NULL;
    wingback_archive *archive = NULL;
    wingback_status status =
        wingback_archive_file(wingback_bytes_of(args[1]), &archive, &error);
    if (status == WINGBACK_STATUS_OK)
        status = count == 2 ? list(archive, &error) : print_file(archive, args[2], &error);
    if (status != WINGBACK_STATUS_OK)
        fprintf(stderr, "%s: %s\n", wingback_status_name(status), wingback_error_message(error));
    wingback_error_free(error);
    wingback_archive_free(archive);
    return status == WINGBACK_STATUS_OK ? 0 : 1;
}
