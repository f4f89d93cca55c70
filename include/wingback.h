/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * wingback: a backup engine for game servers. docs/c-api.md has a page to copy from.
 *
 * Made by cbindgen from ffi/src; `WINGBACK_BLESS=1 cargo test -p wingback-ffi --test header` makes it
 * anew.
 *
 * Unless a function says otherwise:
 *
 * Errors. A fallible call returns a status. On failure it writes an error, which the caller frees,
 * to its last argument unless that is NULL. Outputs are written on success only; an error or a
 * status that is none (NOT_YET, END) leaves them as they were.
 *
 * Blocking. It does not block: what takes time is a task of its own, which is waited for.
 *
 * Threads. It may be called on any thread, also on several at once with one object, but for freeing:
 * by then nobody else may be using the object. Nothing is needed before the first call.
 *
 * Ownership. What a call hands out by a pointer to a pointer is the caller's, to be freed by the
 * function of its name. A pointer to const belongs to the object that it was asked of and lives as
 * long as that. What is given to a call is copied: it has to live until the call returns. To free
 * something twice, or to use it afterwards, is forbidden and not noticed.
 *
 * Bytes. Paths and names are bytes with a length, and not assumed to be UTF-8; where text must be, it
 * says so.
 *
 * Structs. One that begins with struct_size may grow at its end with later versions. The caller sets
 * that field to the size of the struct, and all it does not know to zeros.
 *
 * The process. A panic of the library is the status INTERNAL. It installs no signal handler and no
 * exit handler. Its threads take no signals: handlers run on the program's own, and nobody reading
 * from a pipe or connection is an error and no SIGPIPE. Once every handle is freed no thread of its
 * own is left: the last free waits for that, for five seconds at most (see wingback_task_free). Two
 * crates keep threads for the process: `blocking` a pool, in which an idle thread lives for half a
 * second, and `tokio` those for looking up names, for as long as a lookup takes.
 */


#ifndef WINGBACK_H
#define WINGBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The ABI that this header describes. It grows with a change that programs built before would
// notice, and is the number in the library's soname.
#define WINGBACK_ABI_VERSION 1

// How a call or a task ended. A number never changes its meaning, and one that is retired is not
// used again; there may be more of them one day.
enum wingback_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // All is well.
    WINGBACK_STATUS_OK = 0,
    // The task is not over yet.
    WINGBACK_STATUS_NOT_YET = 1,
    // There are no more entries.
    WINGBACK_STATUS_END = 2,
    // The source, or the archive asked for, does not exist.
    WINGBACK_STATUS_NOT_FOUND = 10,
    // An archive of that name exists, or another backup is making it right now.
    WINGBACK_STATUS_ALREADY_EXISTS = 11,
    // The system refused access.
    WINGBACK_STATUS_PERMISSION_DENIED = 12,
    // An argument is NULL that must not be, or not usable; or a call came out of its order.
    WINGBACK_STATUS_INVALID_INPUT = 13,
    // The destination is full, over its quota, or under the reserve that was asked for.
    WINGBACK_STATUS_NO_SPACE = 14,
    // The task was cancelled.
    WINGBACK_STATUS_CANCELLED = 15,
    // The source directory was replaced or went away while it was read.
    WINGBACK_STATUS_SOURCE_GONE = 16,
    // An archive is not what its checksums or its format promise.
    WINGBACK_STATUS_CORRUPT = 17,
    // Another operation is under way there, or one that was interrupted must be ended first.
    WINGBACK_STATUS_BUSY = 18,
    // A link with a signature that is not good any more.
    WINGBACK_STATUS_URL_EXPIRED = 19,
    // Any other failure of the system below: the disk, the network, the store.
    WINGBACK_STATUS_IO = 20,
    // A fault of the library, such as a panic.
    WINGBACK_STATUS_INTERNAL = 21,
    // This build of the library lacks what was asked for.
    WINGBACK_STATUS_UNSUPPORTED = 22,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_status wingback_status;
#else
typedef int32_t wingback_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The phases of a task, in their order.
enum wingback_phase
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Opening source and destination.
    WINGBACK_PHASE_STARTING = 0,
    // Reading the source, or the archive.
    WINGBACK_PHASE_READING = 1,
    // The source is read to its end and not needed any more; the archive is still being written.
    WINGBACK_PHASE_SOURCE_READ = 2,
    // What was made is being made durable and visible.
    WINGBACK_PHASE_COMMITTING = 3,
    // Over, well or not.
    WINGBACK_PHASE_DONE = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_phase wingback_phase;
#else
typedef int32_t wingback_phase;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Which language exclude patterns are written in.
enum wingback_rules
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // That of .gitignore, answering as git does. The default.
    WINGBACK_RULES_GIT = 0,
    // That of .pteroignore, answering as Wings does.
    WINGBACK_RULES_WINGS = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_rules wingback_rules;
#else
typedef int32_t wingback_rules;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the ignore file in the source's root is used for.
enum wingback_ignore_file
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Its patterns come first, the caller's after them. The default.
    WINGBACK_IGNORE_FILE_MERGE = 0,
    // It is used only if the caller gave no patterns, as Wings does.
    WINGBACK_IGNORE_FILE_REPLACE = 1,
    // It is not used.
    WINGBACK_IGNORE_FILE_NONE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_ignore_file wingback_ignore_file;
#else
typedef int32_t wingback_ignore_file;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Which entries get a place in the tar.
enum wingback_profile
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Files, symlinks and directories. The default.
    WINGBACK_PROFILE_FULL = 0,
    // Regular files only, for Wings' own restore; the others are in the index.
    WINGBACK_PROFILE_WINGS = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_profile wingback_profile;
#else
typedef int32_t wingback_profile;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How hard to compress.
enum wingback_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Not at all.
    WINGBACK_LEVEL_NONE = 0,
    // Fast, and small enough. The default.
    WINGBACK_LEVEL_FAST = 1,
    // As small as deflate gets, several times slower.
    WINGBACK_LEVEL_BEST = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_level wingback_level;
#else
typedef int32_t wingback_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a member of an archive is.
enum wingback_member_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Another kind than this library knows.
    WINGBACK_MEMBER_KIND_OTHER = 0,
    // A regular file.
    WINGBACK_MEMBER_KIND_FILE = 1,
    // Another name of a file that came before it.
    WINGBACK_MEMBER_KIND_HARD_LINK = 2,
    // A symbolic link.
    WINGBACK_MEMBER_KIND_SYMLINK = 3,
    // A directory.
    WINGBACK_MEMBER_KIND_DIRECTORY = 4,
    // A named pipe.
    WINGBACK_MEMBER_KIND_FIFO = 5,
    // A character device.
    WINGBACK_MEMBER_KIND_CHAR_DEVICE = 6,
    // A block device.
    WINGBACK_MEMBER_KIND_BLOCK_DEVICE = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_member_kind wingback_member_kind;
#else
typedef int32_t wingback_member_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How an archive was read.
enum wingback_read_method
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // By the index inside: side by side, and only what was needed.
    WINGBACK_READ_METHOD_INDEXED = 0,
    // In sequence: it has no index. Another program made it, or its end is missing.
    WINGBACK_READ_METHOD_NO_INDEX = 1,
    // In sequence: its index is damaged.
    WINGBACK_READ_METHOD_DAMAGED_INDEX = 2,
    // In sequence: its index says something else than the archive itself.
    WINGBACK_READ_METHOD_MISMATCHED_INDEX = 3,
    // In sequence: it came as a stream.
    WINGBACK_READ_METHOD_STREAM = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_read_method wingback_read_method;
#else
typedef int32_t wingback_read_method;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Whose the files that are written will be.
enum wingback_owner
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // The caller's. The default.
    WINGBACK_OWNER_KEEP = 0,
    // The user and group that are given.
    WINGBACK_OWNER_FIXED = 1,
    // Those that the archive says.
    WINGBACK_OWNER_FROM_ARCHIVE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_owner wingback_owner;
#else
typedef int32_t wingback_owner;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What became of a restore that was interrupted.
enum wingback_recovered
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // There was none.
    WINGBACK_RECOVERED_NOTHING = 0,
    // Its exchange had begun, and was finished: the tree is the new one.
    WINGBACK_RECOVERED_FINISHED = 1,
    // Its exchange had begun and was undone: the tree is the old one.
    WINGBACK_RECOVERED_UNDONE = 2,
    // Its exchange had not begun: the tree is the old one.
    WINGBACK_RECOVERED_DISCARDED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_recovered wingback_recovered;
#else
typedef int32_t wingback_recovered;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How much a message of the log matters.
enum wingback_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A fault of the library.
    WINGBACK_LOG_LEVEL_ERROR = 0,
    // Something failed, or could not be waited for.
    WINGBACK_LOG_LEVEL_WARNING = 1,
    // A task began or ended.
    WINGBACK_LOG_LEVEL_INFO = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wingback_log_level wingback_log_level;
#else
typedef int32_t wingback_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// An archive to be read, wherever it is: a .tar.gz of ours or of any other program. Any number of
// operations may read it at once, but for a stream, and it may be freed while they run.
typedef struct wingback_archive wingback_archive;

// What to back up, and how: options, and calls that start. It can be started more than once, and
// be changed or freed while what was started runs, which has its own copy.
typedef struct wingback_backup wingback_backup;

// The members of an archive in its order, each with its content: for programs that write files
// their own way. It is not read by two threads at once: one waits for the other.
typedef struct wingback_entries wingback_entries;

// Why a call or a task failed.
typedef struct wingback_error wingback_error;

// Takes members out of an archive, into a directory: options, and the call that starts. Files that
// are there already are an error unless they are to be overwritten.
typedef struct wingback_extract wingback_extract;

// What was extracted. It belongs to its task.
typedef struct wingback_extracted wingback_extracted;

// A limit in bytes a second. Given to many backups, they stay below it together; changed, it holds
// at once for all of them. It may be freed while they run.
typedef struct wingback_limiter wingback_limiter;

// What an archive holds. It belongs to its task.
typedef struct wingback_listing wingback_listing;

// A list of notes: what was skipped, what changed, what is damaged. It belongs to the result that
// it was asked of, and lives as long as that.
typedef struct wingback_notes wingback_notes;

// The archives in a store, in the order of their keys. It belongs to its task.
typedef struct wingback_objects wingback_objects;

// The URLs for the parts of one archive, in their order, as a panel hands them out.
typedef struct wingback_part_urls wingback_part_urls;

// The parts of an upload, in their order. It belongs to its task.
typedef struct wingback_parts wingback_parts;

// The result of a backup. It belongs to its task.
typedef struct wingback_report wingback_report;

// Brings a directory to an archive's state: options, and the call that starts. Nothing of the
// directory is touched before the archive is known to be good; whatever happens then, a kill or a
// power cut, the tree is the old one or the new one.
typedef struct wingback_restore wingback_restore;

// The result of a restore. It belongs to its task.
typedef struct wingback_restored wingback_restored;

// A place for archives: a directory, or a bucket of an S3 service. Any number of operations may
// use it at once, and it may be freed while they run.
typedef struct wingback_store wingback_store;

// A running operation, such as a backup. It runs whether or not anybody waits for it.
typedef struct wingback_task wingback_task;

// What a check found. It belongs to its task.
typedef struct wingback_verified wingback_verified;

// Facts about a build of the library. The texts are UTF-8, end in a zero byte, and are always good.
typedef struct wingback_build_info {
    // sizeof(wingback_build_info).
    size_t struct_size;
    // Version of the library.
    const char *version;
    // Commit that it was built from; empty where that is not known.
    const char *commit;
    // What it was built for, as Rust says it, such as "x86_64-unknown-linux-gnu".
    const char *target;
    // Encoder of the level FAST.
    const char *encoder;
    // Whether it has the network: stores in S3, links, part URLs.
    bool has_s3;
} wingback_build_info;

// Bytes, such as a path or a name: not assumed to be UTF-8, and without a zero byte at their end.
// Those that are given to a call need to live until it returns; those that a call gives live as
// long as the object that they were asked of.
typedef struct wingback_bytes {
    // May be NULL if there are none.
    const char *data;
    // How many there are.
    size_t len;
} wingback_bytes;

// How far a task is. No number ever becomes smaller.
typedef struct wingback_progress {
    // sizeof(wingback_progress).
    size_t struct_size;
    // What is being done.
    wingback_phase phase;
    // Whether the expected numbers are known.
    bool is_expected_known;
    // Files taken up so far.
    uint64_t files;
    // Bytes of content that are done: of a backup, those read or known to be holes; of what reads
    // an archive, those that came out of it.
    uint64_t bytes;
    // Bytes of the archive that the destination has taken; only a backup writes one.
    uint64_t written;
    // Bytes of the archive that a service has confirmed; 0 where the destination is no service.
    uint64_t uploaded;
    // What the files will come to.
    uint64_t expected_files;
    // What the bytes will come to.
    uint64_t expected_bytes;
} wingback_progress;

// Is called once, on a thread of the library, when a task is over. It may signal whoever waits, and
// free the task; it should do nothing that takes long.
typedef void (*wingback_done_function)(void *user_data);

// One of them.
typedef struct wingback_note {
    // sizeof(wingback_note).
    size_t struct_size;
    // What it is about, relative to the root; empty if it is about no path.
    struct wingback_bytes path;
    // A word for programs, such as "unreadable", stable across versions. It ends in a zero byte.
    const char *code;
    // What is the matter, for people: UTF-8 that ends in a zero byte.
    const char *text;
    // Whether something is missing that should be there.
    bool is_data_loss;
} wingback_note;

// How bytes travel over a network. All zeros are the defaults.
typedef struct wingback_transfer {
    // sizeof(wingback_transfer).
    size_t struct_size;
    // How many parts or ranges are on their way at once: 4 unless told otherwise.
    uint32_t parallel;
    // How long a request is tried again after failures that may pass, in milliseconds: three
    // minutes unless told otherwise.
    uint64_t retry_for_ms;
    // How long a connection may be silent, in milliseconds: one minute unless told otherwise.
    uint64_t stall_after_ms;
    // A PEM file with certificates to trust, too.
    struct wingback_bytes ca_file;
} wingback_transfer;

// Where and how archives are kept in S3. Texts are UTF-8; all but the bucket may be empty, and all
// zeros are the defaults.
typedef struct wingback_s3_config {
    // sizeof(wingback_s3_config).
    size_t struct_size;
    // The bucket.
    struct wingback_bytes bucket;
    // The service, such as "https://s3.example.com": Amazon's unless told otherwise.
    struct wingback_bytes endpoint;
    // The region: "us-east-1" unless told otherwise.
    struct wingback_bytes region;
    // What stands before the name of each archive, such as "servers/".
    struct wingback_bytes prefix;
    // How archives are named: "backup-{uuid}.tar.gz" unless told otherwise.
    struct wingback_bytes names;
    // The keys. Without them they are looked for as AWS' tools do: in the environment, then in the
    // credentials file.
    struct wingback_bytes access_key;
    // Likewise.
    struct wingback_bytes secret_key;
    // The token of a temporary session.
    struct wingback_bytes session_token;
    // Bytes of a part: 5 MiB unless told otherwise.
    uint64_t part_size;
    // The storage class of archives, such as "STANDARD_IA".
    struct wingback_bytes storage_class;
    // Has the service encrypt archives: "AES256" or "aws:kms".
    struct wingback_bytes encryption;
    // The key for that, of this id.
    struct wingback_bytes kms_key_id;
    // How old an unfinished upload must be for a sweep to abort it, in seconds: a day unless told
    // otherwise.
    uint64_t dead_after_s;
    // Whether the bucket stands in the path of URLs or before their host: with 0 as the service is
    // known to want it, with 1 in the path, with 2 before the host.
    uint32_t path_style;
    // How bytes travel; NULL for the defaults.
    const struct wingback_transfer *transfer;
} wingback_s3_config;

// An archive in a store.
typedef struct wingback_object {
    // sizeof(wingback_object).
    size_t struct_size;
    // Its name.
    struct wingback_bytes key;
    // Its bytes.
    uint64_t size;
} wingback_object;

// What a walk over the source counts. The source may change before it is backed up.
typedef struct wingback_estimate {
    // sizeof(wingback_estimate).
    size_t struct_size;
    // Regular files.
    uint64_t files;
    // Directories.
    uint64_t directories;
    // Symlinks.
    uint64_t symlinks;
    // Bytes of the files' content.
    uint64_t content;
    // The most bytes that the archive can have if the source stays as it is.
    uint64_t archive_max;
} wingback_estimate;

// What an archive is, in numbers.
typedef struct wingback_report_summary {
    // sizeof(wingback_report_summary).
    size_t struct_size;
    // Bytes of the archive.
    uint64_t size;
    // SHA-1 of the archive's bytes.
    uint8_t sha1[20];
    // Likewise in lower-case hexadecimal, with a zero byte at its end.
    char sha1_hex[41];
    // Whether something that should be in the archive could not be read; the skipped paths say
    // what.
    bool is_partial;
    // Regular files in the archive.
    uint64_t files;
    // Directories in the archive (in its index only, with profile WINGS).
    uint64_t directories;
    // Symlinks in the archive (likewise).
    uint64_t symlinks;
    // Groups of files that are hard links of one another; each is stored in full.
    uint64_t hard_links;
    // Bytes of file content in the archive, holes included.
    uint64_t content;
    // Bytes read from the source; less than the content where files have holes.
    uint64_t read;
    // Segments that the archive was cut into.
    uint64_t segments;
    // Files, symlinks and directories left out by a pattern; what lies in an excluded directory
    // that was not entered is not counted.
    uint64_t excluded;
    // From start to commit, in nanoseconds.
    uint64_t duration_ns;
    // Bytes of the archive that were copied from the previous one.
    uint64_t copied;
    // Bytes of the tar stream that were compressed: all of it but what was copied.
    uint64_t compressed;
} wingback_report_summary;

// A part that has arrived, as whoever completes the upload needs to name it.
typedef struct wingback_part {
    // sizeof(wingback_part).
    size_t struct_size;
    // Its place, from 1.
    uint32_t number;
    // What the service answered with, byte for byte; with quotes where it has some.
    struct wingback_bytes etag;
} wingback_part;

// A member of an archive.
typedef struct wingback_member {
    // sizeof(wingback_member).
    size_t struct_size;
    // Its path, relative to the root, without a "/" behind it; empty for the root.
    struct wingback_bytes path;
    // Where a symlink or hard link points. Empty of a symlink in a listing by the index.
    struct wingback_bytes target;
    // Bytes of content; 0 for all but files.
    uint64_t size;
    // Last change of the content, in nanoseconds since 1970. Of a time before 1677 or after 2262, the
    // nearest that 64 bits hold.
    int64_t mtime_ns;
    // Owner.
    uint64_t uid;
    // Group.
    uint64_t gid;
    // Permission bits.
    uint32_t mode;
    // What it is.
    wingback_member_kind kind;
} wingback_member;

// How an archive is checked. All zeros are the defaults.
typedef struct wingback_verify_options {
    // sizeof(wingback_verify_options).
    size_t struct_size;
    // The SHA-1 that the whole file should have, of 20 bytes; NULL if it is not known.
    const uint8_t *sha1;
    // How many threads decode: as many as there are processors with 0.
    uint32_t threads;
    // Whether it gives way to other work. Anything but 0 is yes.
    uint32_t background;
} wingback_verify_options;

// What a check found, in numbers.
typedef struct wingback_verified_summary {
    // sizeof(wingback_verified_summary).
    size_t struct_size;
    // How the archive was read.
    wingback_read_method read_method;
    // Whether the archive is what it was when it was made, as far as its checksums tell.
    bool is_whole;
    // Whether the SHA-1 is known: one was given to compare with, and all of it could be read.
    bool is_sha1_known;
    // Whether it is the one that was given.
    bool sha1_matches;
    // The SHA-1.
    uint8_t sha1[20];
    // Bytes of the archive; 0 of a stream.
    uint64_t size;
    // Segments that were checked; 0 without an index.
    uint64_t segments;
    // Files in the archive, as far as it could be read.
    uint64_t files;
    // From start to end, in nanoseconds.
    uint64_t duration_ns;
} wingback_verified_summary;

// How members are written, and how much of them at most. All zeros are the defaults.
typedef struct wingback_unpack_options {
    // sizeof(wingback_unpack_options).
    size_t struct_size;
    // How many threads decode and write: as many as there are processors with 0.
    uint32_t threads;
    // Whose the files will be.
    wingback_owner owner;
    // The user, where that is FIXED.
    uint32_t uid;
    // The group, likewise.
    uint32_t gid;
    // Whether it gives way to other work. Anything but 0 is yes.
    uint32_t background;
    // Bytes of the file system that stay free.
    uint64_t reserve;
    // The most bytes of content, holes counted; 0 is without limit.
    uint64_t max_bytes;
    // The most members; 0 is 5,000,000. A member counts once more for each 128 bytes of its path and
    // target.
    uint64_t max_members;
    // How many times the bytes of the archive the content may have; 0 is without limit.
    uint64_t max_ratio;
    // Whether members that cannot be used, such as a path that leads outside, are left out and noted
    // as skipped. Anything but 0 is yes; otherwise the first one is an error.
    uint32_t skip_refused;
} wingback_unpack_options;

// What was written. It is the last field of each struct that has it, so that it may grow, too.
typedef struct wingback_unpacked {
    // Files written, other names of one file included.
    uint64_t files;
    // Directories made or found.
    uint64_t directories;
    // Symlinks made.
    uint64_t symlinks;
    // Files that became another name of one before.
    uint64_t hard_links;
    // Bytes of content.
    uint64_t content;
    // Members that were left out since they could not be used.
    uint64_t refused;
} wingback_unpacked;

// What a restore did, in numbers.
typedef struct wingback_restored_summary {
    // sizeof(wingback_restored_summary).
    size_t struct_size;
    // How the archive was read.
    wingback_read_method read_method;
    // What an interrupted restore before this one had left, and what became of it.
    wingback_recovered recovered;
    // From start to end, in nanoseconds.
    uint64_t duration_ns;
    // What was written.
    struct wingback_unpacked unpacked;
} wingback_restored_summary;

// What was extracted, in numbers.
typedef struct wingback_extracted_summary {
    // sizeof(wingback_extracted_summary).
    size_t struct_size;
    // How the archive was read.
    wingback_read_method read_method;
    // From start to end, in nanoseconds.
    uint64_t duration_ns;
    // What was written.
    struct wingback_unpacked unpacked;
} wingback_extracted_summary;

// Is called with each message, on any thread, several at once. The message is UTF-8, ends in a zero
// byte, and is good until the function returns. It may call nothing of this library.
typedef void (*wingback_log_function)(wingback_log_level level, const char *message, void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The ABI of the library that is running, to compare with WINGBACK_ABI_VERSION where it was loaded
// by hand.
uint32_t wingback_abi_version(void);

// The version of the library: text that ends in a zero byte.
const char *wingback_version(void);

// The facts of the build that is running.
wingback_status wingback_build(struct wingback_build_info *info, struct wingback_error **error);

// A word for a status, such as "not-found": text that ends in a zero byte. "unknown" for a number
// that is none.
const char *wingback_status_name(int32_t status);

// What went wrong. OK for NULL.
wingback_status wingback_error_status(const struct wingback_error *error);

// One line that says what was being done, with what, and what is wrong: UTF-8 that ends in a zero
// byte, good until the error is freed. Empty for NULL.
const char *wingback_error_message(const struct wingback_error *error);

// The path that it was about, if there is one, good until the error is freed. Empty for NULL.
struct wingback_bytes wingback_error_path(const struct wingback_error *error);

// Whether the same call may succeed a little later without anybody changing anything.
bool wingback_error_is_retryable(const struct wingback_error *error);

// Frees it. NULL is fine.
void wingback_error_free(struct wingback_error *error);

// The bytes of a text that ends in a zero byte, without that. None for NULL.
struct wingback_bytes wingback_bytes_of(const char *text);

// Waits until the task is over: for so many milliseconds, for none at 0, without end if negative.
// OK if it ended well, NOT_YET if it is not over, else how it failed. Any number of threads may
// wait, and as often as they like.
//
// Blocks for as long as that.
wingback_status wingback_task_wait(const struct wingback_task *task,
                                   int64_t timeout_ms,
                                   struct wingback_error **error);

// How far the task is.
wingback_status wingback_task_progress(const struct wingback_task *task,
                                       struct wingback_progress *progress,
                                       struct wingback_error **error);

// Asks the task to stop. It is over with CANCELLED once what it had begun is removed; where its
// commit has begun it is too late, and it ends as if nobody had asked. NULL is fine.
void wingback_task_cancel(const struct wingback_task *task);

// Has `function` called with `user_data` when the task is over, or soon if it is already: once, on
// a thread of the library. It is not called if the task is freed before, and has returned when that
// does unless it takes longer than a free waits. INVALID_INPUT if the task has such a function.
wingback_status wingback_task_on_done(const struct wingback_task *task,
                                      wingback_done_function function,
                                      void *user_data,
                                      struct wingback_error **error);

// Frees the task and its results. One that runs is cancelled first. NULL is fine.
//
// Blocks until its threads have ended, for five seconds at most; one that cannot be stopped, such
// as on a dead mount, is left to itself. Within the function that `wingback_task_on_done` was given
// it does not wait, and that thread ends when the function returns.
void wingback_task_free(struct wingback_task *task);

// How many there are; none for NULL.
size_t wingback_notes_count(const struct wingback_notes *notes);

// How many more there would be: a list has 1,000 at most of what was skipped, what changed, damaged
// places and whole files. None for NULL.
uint64_t wingback_notes_more(const struct wingback_notes *notes);

// The note at `index`, counted from 0. What it points to lives as long as the list.
wingback_status wingback_notes_get(const struct wingback_notes *notes,
                                   size_t index,
                                   struct wingback_note *note,
                                   struct wingback_error **error);

// A limit of so many bytes a second; 0 is without limit.
wingback_status wingback_limiter_new(uint64_t bytes_per_second,
                                     struct wingback_limiter **limiter,
                                     struct wingback_error **error);

// Changes it, for all that share it; 0 is without limit.
wingback_status wingback_limiter_set_rate(const struct wingback_limiter *limiter,
                                          uint64_t bytes_per_second,
                                          struct wingback_error **error);

// What it is now; 0 is without limit, and for NULL.
uint64_t wingback_limiter_rate(const struct wingback_limiter *limiter);

// Frees it. NULL is fine.
void wingback_limiter_free(struct wingback_limiter *limiter);

// Archives in a directory of the local file system, which is made when it is first needed. They are
// named as `names` says, such as "{uuid}.tar.gz"; "backup-{uuid}.tar.gz" if that is empty. So many
// bytes of the file system stay free: a backup fails with NO_SPACE when less is left.
wingback_status wingback_store_local(struct wingback_bytes directory,
                                     struct wingback_bytes names,
                                     uint64_t reserve,
                                     struct wingback_store **store,
                                     struct wingback_error **error);

// Writes the key for the backup `uuid`, by the store's names, to a buffer with a zero byte behind
// it, and its length without that to `len`. An empty `uuid` stands for a new random one. With a
// capacity of 0 only the length is told; INVALID_INPUT if the buffer is too small.
wingback_status wingback_store_key(const struct wingback_store *store,
                                   struct wingback_bytes uuid,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *len,
                                   struct wingback_error **error);

// Writes where an archive is or would be, for people, to a buffer, in the same way.
wingback_status wingback_store_location(const struct wingback_store *store,
                                        struct wingback_bytes key,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *len,
                                        struct wingback_error **error);

// Starts a list of all archives in the store: `wingback_task_objects` has them.
wingback_status wingback_store_list(const struct wingback_store *store,
                                    struct wingback_task **task,
                                    struct wingback_error **error);

// Starts to remove an archive; it is over with NOT_FOUND if there is none.
wingback_status wingback_store_delete(const struct wingback_store *store,
                                      struct wingback_bytes key,
                                      struct wingback_task **task,
                                      struct wingback_error **error);

// Starts to remove what killed processes left unfinished, never what is being written:
// `wingback_task_swept` says what.
wingback_status wingback_store_sweep(const struct wingback_store *store,
                                     struct wingback_task **task,
                                     struct wingback_error **error);

// Frees it. What dropped uploads left there is removed first where that takes no more than five
// seconds. NULL is fine.
void wingback_store_free(struct wingback_store *store);

// What a sweep has removed: one note for each, with where it was as its path.
wingback_status wingback_task_swept(const struct wingback_task *task,
                                    const struct wingback_notes **notes,
                                    struct wingback_error **error);

// Archives in a bucket of an S3 service. The first request is made by the first operation.
// INVALID_INPUT for a bucket's name that cannot be, and for a prefix with an empty part or with a part
// that begins with a dot. UNSUPPORTED without the network.
wingback_status wingback_store_s3(const struct wingback_s3_config *config,
                                  struct wingback_store **store,
                                  struct wingback_error **error);

// The result of `wingback_store_list`.
wingback_status wingback_task_objects(const struct wingback_task *task,
                                      const struct wingback_objects **objects,
                                      struct wingback_error **error);

// How many there are; none for NULL.
size_t wingback_objects_count(const struct wingback_objects *objects);

// The archive at `index`, counted from 0. What it points to lives as long as the list.
wingback_status wingback_objects_get(const struct wingback_objects *objects,
                                     size_t index,
                                     struct wingback_object *object,
                                     struct wingback_error **error);

// A backup of a directory with all of its content, but for what an ignore file in it names.
wingback_status wingback_backup_new(struct wingback_bytes source,
                                    struct wingback_backup **backup,
                                    struct wingback_error **error);

// Leaves out what the patterns match, one a line. Calls add up, and of several patterns the last
// that matches decides. A list that is over the limits in docs/command.md fails the backup with
// INVALID_INPUT before anything is written.
wingback_status wingback_backup_exclude(struct wingback_backup *backup,
                                        struct wingback_bytes patterns,
                                        struct wingback_error **error);

// Which language patterns are written in: GIT unless told otherwise.
wingback_status wingback_backup_rules(struct wingback_backup *backup,
                                      wingback_rules rules,
                                      struct wingback_error **error);

// What the ignore file in the source's root is used for (MERGE unless told otherwise), and its
// name: ".pteroignore" if that is empty.
wingback_status wingback_backup_ignore_file(struct wingback_backup *backup,
                                            wingback_ignore_file mode,
                                            struct wingback_bytes name,
                                            struct wingback_error **error);

// Whether an odd pattern fails the backup before anything is written, where it would be a warning.
wingback_status wingback_backup_strict_patterns(struct wingback_backup *backup,
                                                bool strict,
                                                struct wingback_error **error);

// Whether directories on other file systems than the source's are left out.
wingback_status wingback_backup_one_file_system(struct wingback_backup *backup,
                                                bool stay,
                                                struct wingback_error **error);

// Looks in this state directory for a restore of the source that is under way, as
// `wingback_restore_state_dir` has it. A source whose restore was interrupted in the middle fails
// with BUSY.
wingback_status wingback_backup_state_dir(struct wingback_backup *backup,
                                          struct wingback_bytes directory,
                                          struct wingback_error **error);

// Whether the tree is counted first, beside the backup, so that the progress knows what to expect.
wingback_status wingback_backup_count_first(struct wingback_backup *backup,
                                            bool count,
                                            struct wingback_error **error);

// Which entries get a place in the tar: FULL unless told otherwise.
wingback_status wingback_backup_profile(struct wingback_backup *backup,
                                        wingback_profile profile,
                                        struct wingback_error **error);

// How hard to compress: FAST unless told otherwise.
wingback_status wingback_backup_level(struct wingback_backup *backup,
                                      wingback_level level,
                                      struct wingback_error **error);

// How many threads compress: as many as there are processors with 0, and unless told otherwise. Two
// more read and hash. The archive's bytes do not depend on it.
wingback_status wingback_backup_threads(struct wingback_backup *backup,
                                        uint32_t threads,
                                        struct wingback_error **error);

// Whether it gives way to other work: the lowest priority for the processor and the disk.
wingback_status wingback_backup_background(struct wingback_backup *backup,
                                           bool background,
                                           struct wingback_error **error);

// Limits how fast the source is read.
wingback_status wingback_backup_read_limit(struct wingback_backup *backup,
                                           const struct wingback_limiter *limiter,
                                           struct wingback_error **error);

// Limits how fast the archive is written.
wingback_status wingback_backup_write_limit(struct wingback_backup *backup,
                                            const struct wingback_limiter *limiter,
                                            struct wingback_error **error);

// Backs up only the first `len` bytes of the file at `path`, relative to the source, as a running
// Bedrock server's "save query" gives them.
wingback_status wingback_backup_max_len(struct wingback_backup *backup,
                                        struct wingback_bytes path,
                                        uint64_t len,
                                        struct wingback_error **error);

// Whether ctimes and inode numbers stay out of the index, so that copies of a tree give the same
// bytes.
wingback_status wingback_backup_reproducible(struct wingback_backup *backup,
                                             bool reproducible,
                                             struct wingback_error **error);

// Makes the archive from this one of an earlier backup of the same source: what is unchanged is not
// read, and what is equal is copied from there. The result has the bytes that it would have had
// anyway. A previous archive that cannot be used is a warning. It must be one that nobody else could
// have written.
wingback_status wingback_backup_previous_file(struct wingback_backup *backup,
                                              struct wingback_bytes file,
                                              struct wingback_error **error);

// Likewise, from the one of this name in the local store that the backup goes to.
wingback_status wingback_backup_previous_key(struct wingback_backup *backup,
                                             struct wingback_bytes key,
                                             struct wingback_error **error);

// Likewise, from the newest in that store.
wingback_status wingback_backup_previous_latest(struct wingback_backup *backup,
                                                struct wingback_error **error);

// Whether a file with its old mtime is unchanged whatever its ctime, where there is a previous archive.
wingback_status wingback_backup_trust_mtime(struct wingback_backup *backup,
                                            bool trust,
                                            struct wingback_error **error);

// Whether what another encoder or level has compressed is copied too; the archive has other bytes then.
wingback_status wingback_backup_reuse_any(struct wingback_backup *backup,
                                          bool any,
                                          struct wingback_error **error);

// Keeps a copy of the archive in the directory `dir`, and makes it from the one before there, unless a
// previous one is named: for archives that go far away. No more than `max_bytes` stay there; what
// cannot be kept is a warning.
wingback_status wingback_backup_cache(struct wingback_backup *backup,
                                      struct wingback_bytes dir,
                                      uint64_t max_bytes,
                                      struct wingback_error **error);

// Starts to count the source, without reading any file: `wingback_task_estimate` has the result.
wingback_status wingback_backup_estimate(const struct wingback_backup *backup,
                                         struct wingback_task **task,
                                         struct wingback_error **error);

// Starts the backup into a store, under a name: `wingback_task_report` has the result. The archive
// is visible there once the task has ended well, and never before it is whole.
wingback_status wingback_backup_start(const struct wingback_backup *backup,
                                      const struct wingback_store *store,
                                      struct wingback_bytes key,
                                      struct wingback_task **task,
                                      struct wingback_error **error);

// Starts the backup to part URLs that somebody handed out, with nothing staged on a disk unless
// parts are over 256 MiB: `wingback_task_report` and `wingback_task_parts` have the result. Whoever
// handed the URLs out completes the upload, or aborts it where the task fails.
wingback_status wingback_backup_send_to(const struct wingback_backup *backup,
                                        const struct wingback_part_urls *part_urls,
                                        struct wingback_task **task,
                                        struct wingback_error **error);

// Starts the backup to a descriptor, such as that of a pipe or a socket: `wingback_task_report` has
// the result. The descriptor is duplicated: it stays the caller's, who may close it at once. Only
// the end of the task says whether what was written is whole. Nobody reading is an error. A reader
// that only waits does not keep the task from being cancelled, but the thread that writes: it ends
// once the reading end is closed.
wingback_status wingback_backup_write_to(const struct wingback_backup *backup,
                                         int fd,
                                         struct wingback_task **task,
                                         struct wingback_error **error);

// Frees it. NULL is fine.
void wingback_backup_free(struct wingback_backup *backup);

// The result of `wingback_backup_estimate`.
wingback_status wingback_task_estimate(const struct wingback_task *task,
                                       struct wingback_estimate *estimate,
                                       struct wingback_error **error);

// The result of `wingback_backup_start`, `wingback_backup_send_to` and `wingback_backup_write_to`.
wingback_status wingback_task_report(const struct wingback_task *task,
                                     const struct wingback_report **report,
                                     struct wingback_error **error);

// The numbers of a report.
wingback_status wingback_report_get(const struct wingback_report *report,
                                    struct wingback_report_summary *summary,
                                    struct wingback_error **error);

// Paths that are not in the archive, or not wholly, and why. NULL for NULL.
const struct wingback_notes *wingback_report_skipped(const struct wingback_report *report);

// Files that changed while they were read. NULL for NULL.
const struct wingback_notes *wingback_report_changed(const struct wingback_report *report);

// Odd patterns, and options that named a path which was not met. NULL for NULL.
const struct wingback_notes *wingback_report_warnings(const struct wingback_report *report);

// URLs for parts of so many bytes each; the last may be smaller, and not all of them need be used.
// The transfer may be NULL. An archive whose parts are over 256 MiB waits in the directory
// `staging`: the system's for temporary files if that is empty. UNSUPPORTED without the network.
wingback_status wingback_part_urls_new(const struct wingback_bytes *urls,
                                       size_t count,
                                       uint64_t part_size,
                                       const struct wingback_transfer *transfer,
                                       struct wingback_bytes staging,
                                       struct wingback_part_urls **part_urls,
                                       struct wingback_error **error);

// Starts to upload an archive that is a file, its parts side by side: `wingback_task_parts` has the
// result. The file must stay as it is meanwhile.
wingback_status wingback_part_urls_upload_file(const struct wingback_part_urls *part_urls,
                                               struct wingback_bytes path,
                                               struct wingback_task **task,
                                               struct wingback_error **error);

// Frees it; what it was given to goes on. NULL is fine.
void wingback_part_urls_free(struct wingback_part_urls *part_urls);

// The result of `wingback_part_urls_upload_file`, and of `wingback_backup_send_to` beside its
// report.
wingback_status wingback_task_parts(const struct wingback_task *task,
                                    const struct wingback_parts **parts,
                                    struct wingback_error **error);

// How many there are; none for NULL.
size_t wingback_parts_count(const struct wingback_parts *parts);

// The part at `index`, counted from 0. What it points to lives as long as the list.
wingback_status wingback_parts_get(const struct wingback_parts *parts,
                                   size_t index,
                                   struct wingback_part *part,
                                   struct wingback_error **error);

// An archive that is a file.
wingback_status wingback_archive_file(struct wingback_bytes path,
                                      struct wingback_archive **archive,
                                      struct wingback_error **error);

// An archive in a store.
wingback_status wingback_archive_in_store(const struct wingback_store *store,
                                          struct wingback_bytes key,
                                          struct wingback_archive **archive,
                                          struct wingback_error **error);

// What an http or https link leads to, such as one that somebody signed for an object in S3. Its
// query is in no error and in no log. The transfer may be NULL. UNSUPPORTED without the network.
wingback_status wingback_archive_link(struct wingback_bytes url,
                                      const struct wingback_transfer *transfer,
                                      struct wingback_archive **archive,
                                      struct wingback_error **error);

// Bytes that come from an archive's start to its end, such as from a pipe or a socket. The
// descriptor is duplicated: it stays the caller's, who may close it at once. It is read in
// sequence, and by one operation only. A writer that only waits does not keep the task from being
// cancelled, but the thread that reads: it ends once the writing end is closed.
wingback_status wingback_archive_stream(int fd,
                                        struct wingback_archive **archive,
                                        struct wingback_error **error);

// Starts a list of what the archive holds: `wingback_task_listing` has it. With `count` paths or
// patterns in `selection` it has only those with all beneath them; with none it has everything.
wingback_status wingback_archive_list(const struct wingback_archive *archive,
                                      const struct wingback_bytes *selection,
                                      size_t count,
                                      struct wingback_task **task,
                                      struct wingback_error **error);

// Starts to read one file of the archive into memory: `wingback_task_file` has it. It fails with
// NO_SPACE if the file has more than `max` bytes.
wingback_status wingback_archive_read_file(const struct wingback_archive *archive,
                                           struct wingback_bytes path,
                                           uint64_t max,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Starts to copy one file of the archive to a descriptor, which is duplicated: it stays the
// caller's, who may close it at once. `wingback_task_file` says what the file is. Only once the
// task has ended well is what was written known to be right.
wingback_status wingback_archive_copy_file(const struct wingback_archive *archive,
                                           struct wingback_bytes path,
                                           int fd,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Frees it. NULL is fine.
void wingback_archive_free(struct wingback_archive *archive);

// The file that a task has read or copied, and its content where it was read into memory. Both
// belong to the task. Either place may be NULL.
wingback_status wingback_task_file(const struct wingback_task *task,
                                   struct wingback_member *member,
                                   struct wingback_bytes *content,
                                   struct wingback_error **error);

// The result of `wingback_archive_list`.
wingback_status wingback_task_listing(const struct wingback_task *task,
                                      const struct wingback_listing **listing,
                                      struct wingback_error **error);

// How the archive was read. INDEX for NULL.
wingback_read_method wingback_listing_read_method(const struct wingback_listing *listing);

// How many members there are; none for NULL.
size_t wingback_listing_count(const struct wingback_listing *listing);

// The member at `index`, counted from 0: with an index in the order of paths, else in that of the
// archive. What it points to lives as long as the listing.
wingback_status wingback_listing_get(const struct wingback_listing *listing,
                                     size_t index,
                                     struct wingback_member *member,
                                     struct wingback_error **error);

// The paths and patterns that nothing in the archive matched. NULL for NULL.
const struct wingback_notes *wingback_listing_unmatched(const struct wingback_listing *listing);

// Starts to check every checksum that the archive has: `wingback_task_verified` has the result.
// Damage does not fail the task; it is what the result says. The options may be NULL.
wingback_status wingback_archive_verify(const struct wingback_archive *archive,
                                        const struct wingback_verify_options *options,
                                        struct wingback_task **task,
                                        struct wingback_error **error);

// The result of `wingback_archive_verify`.
wingback_status wingback_task_verified(const struct wingback_task *task,
                                       const struct wingback_verified **verified,
                                       struct wingback_error **error);

// The numbers of a check.
wingback_status wingback_verified_get(const struct wingback_verified *verified,
                                      struct wingback_verified_summary *summary,
                                      struct wingback_error **error);

// What is damaged: one note for each member that this costs, and one without a path for what costs
// none. NULL for NULL.
const struct wingback_notes *wingback_verified_damage(const struct wingback_verified *verified);

// Only where something is damaged: the files that are whole. NULL for NULL.
const struct wingback_notes *wingback_verified_whole(const struct wingback_verified *verified);

// Begins to read the members of an archive.
wingback_status wingback_entries_open(const struct wingback_archive *archive,
                                      struct wingback_entries **entries,
                                      struct wingback_error **error);

// The next member, good until the next call; END behind the last one of an archive that is whole.
// What was not read of the one before is passed over. Only END says that all of what was read is
// right: a checksum may stand behind the last file.
//
// Blocks until it is there.
wingback_status wingback_entries_next(struct wingback_entries *entries,
                                      struct wingback_member *member,
                                      struct wingback_error **error);

// Reads some bytes of that member's content, at most so many, and says how many they are: 0 at its
// end, and of what is no file. On failure the buffer may have been written to.
//
// Blocks until some are there.
wingback_status wingback_entries_read(struct wingback_entries *entries,
                                      void *buffer,
                                      size_t capacity,
                                      size_t *read,
                                      struct wingback_error **error);

// Asks it to stop, so that a call that waits, on another thread, ends with CANCELLED. NULL is fine.
void wingback_entries_cancel(const struct wingback_entries *entries);

// Frees it, also before its end. NULL is fine.
void wingback_entries_free(struct wingback_entries *entries);

// A restore of a directory, which is made if it is not there, to exactly what the archive holds.
wingback_status wingback_restore_new(struct wingback_bytes directory,
                                     struct wingback_restore **restore,
                                     struct wingback_error **error);

// Whether the archive's files are put over what is there, each at once, and the rest is left alone.
wingback_status wingback_restore_merge(struct wingback_restore *restore,
                                       bool merge,
                                       struct wingback_error **error);

// Leaves what this path or pattern matches as it is, such as what the backup left out. Calls add
// up. Patterns are written as in gitignore. The task fails with INVALID_INPUT, with nothing touched,
// for one that matches nothing in the directory; if the directory is empty, that is a warning.
wingback_status wingback_restore_keep(struct wingback_restore *restore,
                                      struct wingback_bytes path_or_pattern,
                                      struct wingback_error **error);

// Whether it needs no room for both trees: once the archive is verified, what it replaces is
// removed and it is unpacked at once. A failure or kill on the way leaves a part of the tree. Not
// for a stream.
wingback_status wingback_restore_in_place(struct wingback_restore *restore,
                                          bool in_place,
                                          struct wingback_error **error);

// Unpacks into a directory inside this one, not inside the target. It must be on the same file
// system.
wingback_status wingback_restore_staging(struct wingback_restore *restore,
                                         struct wingback_bytes directory,
                                         struct wingback_error **error);

// Keeps the restore's record in this directory, which nobody else may write to: not in the target.
// By default it is what `wingback_restore_recover` and backups use as well: $WINGBACK_STATE_DIR,
// else /var/lib/wingback for root, else $XDG_STATE_HOME/wingback or ~/.local/state/wingback.
wingback_status wingback_restore_state_dir(struct wingback_restore *restore,
                                           struct wingback_bytes directory,
                                           struct wingback_error **error);

// Fails with CORRUPT, with nothing touched, unless the archive's SHA-1 is this one, of 20 bytes.
wingback_status wingback_restore_sha1(struct wingback_restore *restore,
                                      const uint8_t *sha1,
                                      struct wingback_error **error);

// Sets how members are written, and how much of them.
wingback_status wingback_restore_options(struct wingback_restore *restore,
                                         const struct wingback_unpack_options *options,
                                         struct wingback_error **error);

// Starts the restore: `wingback_task_restored` has the result. A cancel ends it in order until the
// exchange of the trees begins; from then on it is finished.
wingback_status wingback_restore_start(const struct wingback_restore *restore,
                                       const struct wingback_archive *archive,
                                       struct wingback_task **task,
                                       struct wingback_error **error);

// Frees it. NULL is fine.
void wingback_restore_free(struct wingback_restore *restore);

// Starts to finish or undo a restore of the directory that was interrupted:
// `wingback_task_recovered` says which. Of the options only the state directory counts. A restore
// of that directory does so by itself.
wingback_status wingback_restore_recover(const struct wingback_restore *restore,
                                         struct wingback_task **task,
                                         struct wingback_error **error);

// The result of `wingback_restore_recover`.
wingback_status wingback_task_recovered(const struct wingback_task *task,
                                        wingback_recovered *recovered,
                                        struct wingback_error **error);

// The result of `wingback_restore_start`.
wingback_status wingback_task_restored(const struct wingback_task *task,
                                       const struct wingback_restored **restored,
                                       struct wingback_error **error);

// The numbers of a restore.
wingback_status wingback_restored_get(const struct wingback_restored *restored,
                                      struct wingback_restored_summary *summary,
                                      struct wingback_error **error);

// Members that were not written, such as devices, and why. NULL for NULL.
const struct wingback_notes *wingback_restored_skipped(const struct wingback_restored *restored);

// What is no failure but worth knowing. NULL for NULL.
const struct wingback_notes *wingback_restored_warnings(const struct wingback_restored *restored);

// Extracts everything into a directory, which is made if it is not there.
wingback_status wingback_extract_new(struct wingback_bytes directory,
                                     struct wingback_extract **extract,
                                     struct wingback_error **error);

// Extracts only this path with all beneath it, or what this pattern matches. Calls add up.
wingback_status wingback_extract_select(struct wingback_extract *extract,
                                        struct wingback_bytes path_or_pattern,
                                        struct wingback_error **error);

// Whether files and symlinks that are there already are replaced, each at once.
wingback_status wingback_extract_overwrite(struct wingback_extract *extract,
                                           bool overwrite,
                                           struct wingback_error **error);

// Whether to take what can be had from a damaged archive, where damage would be an error.
wingback_status wingback_extract_salvage(struct wingback_extract *extract,
                                         bool salvage,
                                         struct wingback_error **error);

// Sets how members are written, and how much of them.
wingback_status wingback_extract_options(struct wingback_extract *extract,
                                         const struct wingback_unpack_options *options,
                                         struct wingback_error **error);

// Starts to extract: `wingback_task_extracted` has the result. When it fails or is cancelled, files
// that are whole stay.
wingback_status wingback_extract_start(const struct wingback_extract *extract,
                                       const struct wingback_archive *archive,
                                       struct wingback_task **task,
                                       struct wingback_error **error);

// Frees it. NULL is fine.
void wingback_extract_free(struct wingback_extract *extract);

// The result of `wingback_extract_start`.
wingback_status wingback_task_extracted(const struct wingback_task *task,
                                        const struct wingback_extracted **extracted,
                                        struct wingback_error **error);

// The numbers of what was extracted.
wingback_status wingback_extracted_get(const struct wingback_extracted *extracted,
                                       struct wingback_extracted_summary *summary,
                                       struct wingback_error **error);

// Members that were not written, and why. NULL for NULL.
const struct wingback_notes *wingback_extracted_skipped(const struct wingback_extracted *extracted);

// What is damaged: one note for each member that this costs, and one without a path for what costs
// none. Empty unless damage was to be tolerated. NULL for NULL.
const struct wingback_notes *wingback_extracted_damage(const struct wingback_extracted *extracted);

// The paths and patterns that nothing in a damaged archive matched, where that is no error. NULL for
// NULL.
const struct wingback_notes *wingback_extracted_unmatched(const struct wingback_extracted *extracted);

// What is no failure but worth knowing. NULL for NULL.
const struct wingback_notes *wingback_extracted_warnings(const struct wingback_extracted *extracted);

// Serves the requests that are read from one descriptor with events to another, as the command
// `wingback worker` does, until the first has no more; then cancels what still runs and waits up to
// half a minute for its end. `streams` is a Unix socket of type SEQPACKET. `docs/worker.md` has the
// protocol. It uses duplicates of the descriptors, and blocks the thread that calls it.
wingback_status wingback_worker_run(int requests,
                                    int events,
                                    int streams,
                                    struct wingback_error **error);

// Has `function` called with the messages of `level` and of those that matter more: the beginning
// and end of tasks, and what nobody could be told otherwise. One for the whole process; NULL for
// none. Once this returns, the function that was set before is not called any more.
wingback_status wingback_log_set(wingback_log_level level,
                                 wingback_log_function function,
                                 void *user_data,
                                 struct wingback_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WINGBACK_H */
