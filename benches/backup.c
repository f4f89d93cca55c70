// The program that benches/c.py measures: one backup through the C library. backup TREE DIRECTORY THREADS
#include <stdio.h>
#include <stdlib.h>

#include <wingback.h>

int main(int count, char **args) {
    if (count != 4) return 2;
    wingback_error *error = NULL;
    wingback_store *store = NULL;
    wingback_backup *backup = NULL;
    wingback_task *task = NULL;
    wingback_bytes none = {NULL, 0};
    wingback_status status = wingback_store_local(wingback_bytes_of(args[2]), none, 0, true, &store, &error);
    if (!status) status = wingback_backup_new(wingback_bytes_of(args[1]), &backup, &error);
    if (!status) status = wingback_backup_threads(backup, (uint32_t)atoi(args[3]), &error);
    if (!status)
        status = wingback_backup_start(backup, store, wingback_bytes_of("c.tar.gz"), &task, &error);
    if (!status) status = wingback_task_wait(task, -1, &error);
    if (status) fprintf(stderr, "%s\n", wingback_error_message(error));
    wingback_error_free(error);
    wingback_task_free(task);
    wingback_backup_free(backup);
    wingback_store_free(store);
    return status ? 1 : 0;
}
