/* A preloaded library that makes system calls fail, as they do on kernels and file systems that lack
 * them or in containers that filter them: WITHOUT=CALL[:[!]FLAG]=ERRNO[,...]
 *
 * A library, because the loader has finished its own calls when the filter is installed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

/* A call, its older variants, and the argument with its flags. */
struct call {
    const char *name;
    long number;
    int flags;
};

static const struct call CALLS[] = {
#ifdef SYS_open
    {"openat", SYS_open, 1},
    {"newfstatat", SYS_stat, -1},
    {"newfstatat", SYS_lstat, -1},
    {"renameat", SYS_rename, -1},
    {"unlinkat", SYS_unlink, -1},
    {"unlinkat", SYS_rmdir, -1},
    {"mkdirat", SYS_mkdir, -1},
    {"linkat", SYS_link, -1},
    {"symlinkat", SYS_symlink, -1},
    {"readlinkat", SYS_readlink, -1},
    {"fchmodat", SYS_chmod, -1},
    {"fchownat", SYS_chown, -1},
    {"fchownat", SYS_lchown, -1},
#endif
#ifdef SYS_renameat
    {"renameat", SYS_renameat, -1},
#endif
#ifdef SYS_fchmodat2
    {"fchmodat2", SYS_fchmodat2, 3},
#endif
    {"copy_file_range", SYS_copy_file_range, -1},
    {"fadvise64", SYS_fadvise64, -1},
    {"fallocate", SYS_fallocate, -1},
    {"fchmod", SYS_fchmod, -1},
    {"fchmodat", SYS_fchmodat, -1},
    {"fchown", SYS_fchown, -1},
    {"fchownat", SYS_fchownat, -1},
    {"fcntl", SYS_fcntl, 1},
    {"fdatasync", SYS_fdatasync, -1},
    {"flock", SYS_flock, -1},
    {"fstat", SYS_fstat, -1},
    {"fstatfs", SYS_fstatfs, -1},
    {"fsync", SYS_fsync, -1},
    {"ftruncate", SYS_ftruncate, -1},
    {"getdents64", SYS_getdents64, -1},
    {"ioctl", SYS_ioctl, 1},
    {"linkat", SYS_linkat, -1},
    {"lseek", SYS_lseek, 2},
    {"madvise", SYS_madvise, -1},
    {"mincore", SYS_mincore, -1},
    {"mkdirat", SYS_mkdirat, -1},
    {"mlock", SYS_mlock, -1},
    {"mlockall", SYS_mlockall, -1},
    {"mknodat", SYS_mknodat, -1},
    {"newfstatat", SYS_newfstatat, 3},
    {"openat", SYS_openat, 2},
    {"openat2", SYS_openat2, -1},
    {"pread64", SYS_pread64, -1},
    {"preadv2", SYS_preadv2, 5},
    {"prlimit64", SYS_prlimit64, -1},
    {"pwrite64", SYS_pwrite64, -1},
    {"readlinkat", SYS_readlinkat, -1},
    {"renameat2", SYS_renameat2, 4},
    {"sched_getaffinity", SYS_sched_getaffinity, -1},
    {"sched_setaffinity", SYS_sched_setaffinity, -1},
    {"sched_setscheduler", SYS_sched_setscheduler, -1},
    {"sendfile", SYS_sendfile, -1},
    {"setpriority", SYS_setpriority, -1},
    {"splice", SYS_splice, -1},
    {"statfs", SYS_statfs, -1},
    {"statx", SYS_statx, 2},
    {"symlinkat", SYS_symlinkat, -1},
    {"sync_file_range", SYS_sync_file_range, -1},
    {"syncfs", SYS_syncfs, -1},
    {"unlinkat", SYS_unlinkat, 2},
    {"utimensat", SYS_utimensat, 3},
};

/* A flag of a call: tested as a bit mask where the argument is one, else for equality. */
static const struct flag {
    const char *name;
    unsigned value;
    int is_number;
} FLAGS[] = {
    {"AT_EMPTY_PATH", AT_EMPTY_PATH, 0},
    {"AT_REMOVEDIR", AT_REMOVEDIR, 0},
    {"AT_SYMLINK_NOFOLLOW", AT_SYMLINK_NOFOLLOW, 0},
    {"FICLONE", FICLONE, 1},
    {"O_CREAT", O_CREAT, 0},
    {"O_DIRECTORY", O_DIRECTORY, 0},
    {"O_NONBLOCK", O_NONBLOCK, 0},
    {"O_PATH", O_PATH, 0},
    {"RENAME_NOREPLACE", RENAME_NOREPLACE, 0},
    {"SEEK_DATA", SEEK_DATA, 1},
    {"SEEK_HOLE", SEEK_HOLE, 1},
};

static const struct {
    const char *name;
    int number;
} ERRNOS[] = {
    {"EACCES", EACCES}, {"EINVAL", EINVAL}, {"EIO", EIO},     {"ENOSYS", ENOSYS},
    {"EOPNOTSUPP", EOPNOTSUPP}, {"EPERM", EPERM}, {"EXDEV", EXDEV},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct sock_filter program[512];
static unsigned short length;

static void add(unsigned short code, unsigned char yes, unsigned char no, unsigned value) {
    if (length == COUNT(program)) {
        fputs("WITHOUT: too many rules\n", stderr);
        _exit(125);
    }
    program[length++] = (struct sock_filter){code, yes, no, value};
}

static void unknown(const char *word) {
    fprintf(stderr, "WITHOUT: %s is not known\n", word);
    _exit(125);
}

static void refuse(const struct call *call, const struct flag *flag, int is_without, int number) {
    add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, flag ? 3 : 1, call->number);
    if (flag) {
        unsigned short test = flag->is_number ? BPF_JEQ : BPF_JSET;
        /* The low half of the argument; the machine is little-endian. */
        add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args[call->flags]));
        add(BPF_JMP | test | BPF_K, is_without, !is_without, flag->value);
    }
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | number);
}

/* CALL[:[!]FLAG]=ERRNO */
static void rule(char *text) {
    char *error = strchr(text, '=');
    if (!error)
        unknown(text);
    *error++ = 0;
    char *word = strchr(text, ':');
    if (word)
        *word++ = 0;
    int is_without = word && *word == '!';
    word += is_without;
    const struct flag *flag = NULL;
    for (size_t i = 0; word && i < COUNT(FLAGS); i++)
        if (!strcmp(word, FLAGS[i].name))
            flag = &FLAGS[i];
    if (word && !flag)
        unknown(word);
    int number = 0;
    for (size_t i = 0; i < COUNT(ERRNOS); i++)
        if (!strcmp(error, ERRNOS[i].name))
            number = ERRNOS[i].number;
    if (!number)
        unknown(error);
    int is_known = 0;
    for (size_t i = 0; i < COUNT(CALLS); i++)
        if (!strcmp(text, CALLS[i].name)) {
            is_known = 1;
            if (!flag || CALLS[i].flags >= 0)
                refuse(&CALLS[i], flag, is_without, number);
        }
#ifndef SYS_fchmodat2
    is_known |= !strcmp(text, "fchmodat2");
#endif
    if (!is_known)
        unknown(text);
}

__attribute__((constructor)) static void start(void) {
    char *rules = getenv("WITHOUT");
    if (!rules)
        return;
    rules = strdup(rules);
    for (char *rest = rules, *text; (text = strsep(&rest, ","));)
        rule(text);
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {length, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
        perror("WITHOUT");
        _exit(125);
    }
}
