/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * wingback: a backup engine for game servers. docs/c-api.md has an example program.
 *
 * cbindgen generates this file from ffi/src; `WINGBACK_BLESS=1 cargo test -p wingback-ffi --test header`
 * updates it.
 *
 * The following holds for every function whose comment does not say otherwise.
 *
 * Errors. A call that can fail returns a status. On failure it writes an error object to its last
 * argument, unless that is NULL; the caller frees the object. Outputs are written on success only. The
 * statuses NOT_YET and END are not failures: they write neither an output nor an error.
 *
 * Blocking. A function does not block. A long operation is started as a task, and the caller waits for
 * the task.
 *
 * Threads. A function may be called on any thread, and several threads may use one object at once. Only
 * a function that frees an object needs it alone: no other thread may be using the object. No
 * initialization is necessary.
 *
 * Ownership. If a call writes an object to a pointer to a pointer, the caller owns the object and frees
 * it with the function of its name. A pointer to const belongs to the object that returned it, and is
 * valid as long as that object. Arguments are copied: they must be valid only until the call returns.
 * The library does not detect an object that is freed twice or used after it was freed.
 *
 * Bytes. Paths and names are bytes with a length, and need not be UTF-8. The comment says where text is
 * required.
 *
 * Parameters. The first one is the object that the function belongs to. A pointer to a pointer gets the
 * new or lent object. The comment names every other parameter.
 *
 * Enumerations. Each has the size of an int; the compiler option -fshort-enums would break that. Later
 * versions may add enumerators.
 *
 * Structs. A struct that begins with struct_size may get new fields at its end in later versions. The
 * caller sets struct_size to the size of the struct, and all fields that it does not use to zero.
 *
 * Results. "Result: f" in a comment means: when the task has succeeded, f gives its result. Before that,
 * f returns NOT_YET or the status of the failure; for another kind of task it returns INVALID_INPUT.
 *
 * The process. A panic in the library becomes the status INTERNAL. The library installs no signal
 * handler and no exit handler. Its threads block signals, so that handlers run on the program's own
 * threads, and a write to a pipe or connection without a reader is an error and not a SIGPIPE. When the
 * last object is freed, the library's threads end; that call waits for them, for at most five seconds
 * (see wingback_task_free). Two dependencies keep threads longer: the `blocking` crate has a pool in
 * which an idle thread lives for half a second, and `tokio` has threads that look up host names, each
 * until its lookup ends.
 */


#ifndef WINGBACK_H
#define WINGBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of the ABI that this header describes. It is the number in the library's soname, and
// it grows with every change that would break a program built before.
#define WINGBACK_ABI_VERSION 1

// The status of a call or a task. A number never changes its meaning, and a retired number is not
// used again. Later versions may add numbers.
typedef enum wingback_status {
    // Success.
    WINGBACK_STATUS_OK = 0,
    // The task is not done yet.
    WINGBACK_STATUS_NOT_YET = 1,
    // There are no more entries.
    WINGBACK_STATUS_END = 2,
    // The source or the archive does not exist.
    WINGBACK_STATUS_NOT_FOUND = 10,
    // An archive of that name exists, or another backup is making it now.
    WINGBACK_STATUS_ALREADY_EXISTS = 11,
    // The system refused access.
    WINGBACK_STATUS_PERMISSION_DENIED = 12,
    // An argument is NULL or cannot be used, or a call came at a wrong time.
    WINGBACK_STATUS_INVALID_INPUT = 13,
    // The destination is full, over its quota, or below the reserve.
    WINGBACK_STATUS_NO_SPACE = 14,
    // The task was cancelled.
    WINGBACK_STATUS_CANCELLED = 15,
    // The source directory was replaced or removed while it was read.
    WINGBACK_STATUS_SOURCE_GONE = 16,
    // The archive does not match its checksums, or is not in a known format.
    WINGBACK_STATUS_CORRUPT = 17,
    // Another operation is using the directory, or an interrupted one must be recovered first.
    WINGBACK_STATUS_BUSY = 18,
    // A presigned URL has expired.
    WINGBACK_STATUS_URL_EXPIRED = 19,
    // Any other failure of the system, the disk, the network or the store.
    WINGBACK_STATUS_IO = 20,
    // A fault of the library, such as a panic.
    WINGBACK_STATUS_INTERNAL = 21,
    // This build of the library does not have the function.
    WINGBACK_STATUS_UNSUPPORTED = 22,
    // The archive has another SHA-1 than the caller expects.
    WINGBACK_STATUS_MISMATCH = 23,
} wingback_status;

// The phases of a task, in their order.
typedef enum wingback_phase {
    // Opening the source and the destination.
    WINGBACK_PHASE_STARTING = 0,
    // Reading the source or the archive.
    WINGBACK_PHASE_READING = 1,
    // The source has been read and is not needed any more; the archive is still being written.
    WINGBACK_PHASE_SOURCE_READ = 2,
    // Making the result durable and visible.
    WINGBACK_PHASE_COMMITTING = 3,
    // The task has ended, with or without success.
    WINGBACK_PHASE_DONE = 4,
} wingback_phase;

// What the archives of a group have in common.
typedef enum wingback_group_by {
    // The label and the host. The default.
    WINGBACK_GROUP_BY_LABEL_AND_HOST = 0,
    // The label.
    WINGBACK_GROUP_BY_LABEL = 1,
    // All archives are one group.
    WINGBACK_GROUP_BY_NONE = 2,
} wingback_group_by;

// Verdict on an archive.
typedef enum wingback_verdict {
    // Leave it alone, for a reason that this library does not know.
    WINGBACK_VERDICT_OTHER = 0,
    // Keep it.
    WINGBACK_VERDICT_KEEP = 1,
    // Remove it.
    WINGBACK_VERDICT_REMOVE = 2,
    // Leave it alone, because it is not whole: a restore cannot use it.
    WINGBACK_VERDICT_NOT_WHOLE = 3,
    // Leave it alone, because it has no label.
    WINGBACK_VERDICT_UNIDENTIFIED = 4,
    // Leave it alone, because its time is not known.
    WINGBACK_VERDICT_UNDATED = 5,
    // Leave it alone, because it is dated in the future.
    WINGBACK_VERDICT_IN_FUTURE = 6,
} wingback_verdict;

// Language of exclude patterns.
typedef enum wingback_rules {
    // The language of .gitignore, with the same matches as git. The default.
    WINGBACK_RULES_GIT = 0,
    // The language of .pteroignore, with the same matches as Wings.
    WINGBACK_RULES_WINGS = 1,
} wingback_rules;

// Use of the ignore file in the root of the source.
typedef enum wingback_ignore_file {
    // Its patterns come before those of the caller. The default.
    WINGBACK_IGNORE_FILE_MERGE = 0,
    // It is used only if the caller gave no patterns, as Wings does.
    WINGBACK_IGNORE_FILE_REPLACE = 1,
    // It is not used.
    WINGBACK_IGNORE_FILE_NONE = 2,
} wingback_ignore_file;

// Kinds of members that the tar gets.
typedef enum wingback_profile {
    // Files, symlinks and directories. The default.
    WINGBACK_PROFILE_FULL = 0,
    // Regular files only, for Wings' own restore. Symlinks and directories are only in the index.
    WINGBACK_PROFILE_WINGS = 1,
} wingback_profile;

// Compression level.
typedef enum wingback_level {
    // No compression.
    WINGBACK_LEVEL_NONE = 0,
    // Fast, with a good size. The default.
    WINGBACK_LEVEL_FAST = 1,
    // The smallest size that deflate reaches; several times slower.
    WINGBACK_LEVEL_BEST = 2,
} wingback_level;

// Code that compresses. wingback_build tells which encoders the library has.
typedef enum wingback_encoder {
    // In every library, for all levels. The same tree gives the same archive. The default.
    WINGBACK_ENCODER_WINGBACK = 0,
    // ISA-L of Intel, only for the level FAST. It needs less processor time. Its bytes differ between
    // processors.
    WINGBACK_ENCODER_ISA_L = 1,
} wingback_encoder;

// The text that has a pattern.
typedef enum wingback_pattern_origin {
    // There is no pattern.
    WINGBACK_PATTERN_ORIGIN_NONE = 0,
    // The ignore file in the root of the source.
    WINGBACK_PATTERN_ORIGIN_IGNORE_FILE = 1,
    // The texts of wingback_backup_exclude.
    WINGBACK_PATTERN_ORIGIN_CALLER = 2,
} wingback_pattern_origin;

// Kind of a member.
typedef enum wingback_member_kind {
    // A kind that this library does not know.
    WINGBACK_MEMBER_KIND_OTHER = 0,
    // A regular file.
    WINGBACK_MEMBER_KIND_FILE = 1,
    // A hard link to an earlier file.
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
} wingback_member_kind;

// How an archive was read.
typedef enum wingback_read_method {
    // By its index: in parallel, and only the parts that were needed.
    WINGBACK_READ_METHOD_INDEXED = 0,
    // In sequence: it has no index. Another program made it, or its end is missing.
    WINGBACK_READ_METHOD_NO_INDEX = 1,
    // In sequence: its index is damaged.
    WINGBACK_READ_METHOD_DAMAGED_INDEX = 2,
    // In sequence: its index and its content do not match.
    WINGBACK_READ_METHOD_MISMATCHED_INDEX = 3,
    // In sequence: it came as a stream.
    WINGBACK_READ_METHOD_STREAM = 4,
} wingback_read_method;

// Kind of a difference.
typedef enum wingback_difference_kind {
    // A kind that this library does not know.
    WINGBACK_DIFFERENCE_KIND_OTHER = 0,
    // Only the second side has the path.
    WINGBACK_DIFFERENCE_KIND_ADDED = 1,
    // Only the archive has the path.
    WINGBACK_DIFFERENCE_KIND_REMOVED = 2,
    // The kind, the content or the target differs. Metadata may differ too.
    WINGBACK_DIFFERENCE_KIND_CHANGED = 3,
    // Only mode, owner or time differ.
    WINGBACK_DIFFERENCE_KIND_METADATA = 4,
} wingback_difference_kind;

// Owner of written files.
typedef enum wingback_owner {
    // FROM_ARCHIVE for root, otherwise KEEP.
    WINGBACK_OWNER_DEFAULT = 0,
    // The given user and group.
    WINGBACK_OWNER_FIXED = 1,
    // The user and group in the archive.
    WINGBACK_OWNER_FROM_ARCHIVE = 2,
    // The user who runs the program.
    WINGBACK_OWNER_KEEP = 3,
} wingback_owner;

// What was done about an interrupted restore.
typedef enum wingback_recovered {
    // There was none.
    WINGBACK_RECOVERED_NOTHING = 0,
    // The exchange of the trees had begun and was finished: the tree is the new one.
    WINGBACK_RECOVERED_FINISHED = 1,
    // The exchange had begun and was undone: the tree is the old one.
    WINGBACK_RECOVERED_UNDONE = 2,
    // The exchange had not begun: the tree is the old one.
    WINGBACK_RECOVERED_DISCARDED = 3,
} wingback_recovered;

// Importance of a log message.
typedef enum wingback_log_level {
    // A fault of the library.
    WINGBACK_LOG_LEVEL_ERROR = 0,
    // A task failed, or could not be waited for.
    WINGBACK_LOG_LEVEL_WARNING = 1,
    // A task began, ended or was cancelled.
    WINGBACK_LOG_LEVEL_INFO = 2,
} wingback_log_level;

// An archive to read: a .tar.gz made by wingback or by another program. Several operations may
// read it at once, except a stream. It may be freed while they run.
typedef struct wingback_archive wingback_archive;

// Archives in a store, newest first. The list belongs to its task.
typedef struct wingback_archives wingback_archives;

// The options of a backup. It can be started several times. It may be changed or freed while its
// tasks run, because each task has its own copy.
typedef struct wingback_backup wingback_backup;

// The differences between an archive and another archive or a directory. They belong to their task.
typedef struct wingback_differences wingback_differences;

// Reads the members of an archive one after another, each with its content, for programs that
// write files themselves. If two threads call it at once, one waits for the other.
typedef struct wingback_entries wingback_entries;

// Why a call or a task failed.
typedef struct wingback_error wingback_error;

// The options of an extraction, which writes members of an archive to a directory. A file that
// exists already is an error unless overwriting is allowed.
typedef struct wingback_extract wingback_extract;

// The result of an extraction. It belongs to its task.
typedef struct wingback_extracted wingback_extracted;

// The versions of files that a search has found. A version is a file or symlink, and the archives that
// contain it. They belong to their task.
typedef struct wingback_found wingback_found;

// What an archive says about itself. Nobody has confirmed it. It belongs to its task.
typedef struct wingback_info wingback_info;

// A limit in bytes per second. Tasks that share it stay below it together. It may be freed while
// they run.
typedef struct wingback_limiter wingback_limiter;

// The members of an archive. The listing belongs to its task.
typedef struct wingback_listing wingback_listing;

// A list of notes about skipped, changed or damaged paths. It belongs to the object that returned
// it and is freed with that object.
typedef struct wingback_notes wingback_notes;

// The objects in a store, sorted by key. The list belongs to its task.
typedef struct wingback_objects wingback_objects;

// The URLs for the parts of one archive, in their order, as a panel issues them.
typedef struct wingback_part_urls wingback_part_urls;

// The parts of an upload, in their order. The list belongs to its task.
typedef struct wingback_parts wingback_parts;

// The verdicts on the archives in a store, in groups. It belongs to its task.
typedef struct wingback_plan wingback_plan;

// The entries of a source, and whether a backup would contain them. If two threads call it at once, one
// waits for the other.
typedef struct wingback_preview wingback_preview;

// The result of a backup. It belongs to its task.
typedef struct wingback_report wingback_report;

// The options of a restore. The files of the archive replace those of the directory. Files that the
// archive does not have stay, unless wingback_restore_delete is set. Nothing in the directory is
// changed before the archive is known to be undamaged. After a kill or a power cut, the tree is
// either the old one or the new one.
typedef struct wingback_restore wingback_restore;

// The result of a restore. It belongs to its task.
typedef struct wingback_restored wingback_restored;

// A place for archives: a directory, or a bucket of an S3 service. Several operations may use it
// at once, and it may be freed while they run.
typedef struct wingback_store wingback_store;

// A running operation, such as a backup. It runs whether or not a thread waits for it.
typedef struct wingback_task wingback_task;

// The result of a check. It belongs to its task.
typedef struct wingback_verified wingback_verified;

// The result of checking the archives of a store. It belongs to its task.
typedef struct wingback_verified_all wingback_verified_all;

// The build of the library. The texts are UTF-8, end in a zero byte, and are never freed.
typedef struct wingback_build_info {
    // sizeof(wingback_build_info).
    size_t struct_size;
    // Version of the library.
    const char *version;
    // Commit that the library was built from; empty if it is unknown.
    const char *commit;
    // Rust's name for the platform that it was built for, such as "x86_64-unknown-linux-gnu".
    const char *target;
    // Names of the encoders that a backup can choose, separated by spaces: "wingback" or
    // "wingback isa-l".
    const char *encoders;
    // Whether the library has the network: stores in S3, links, part URLs.
    bool has_s3;
} wingback_build_info;

// Bytes with a length, such as a path or a name. They need not be UTF-8, and no zero byte follows
// them. Bytes passed to a call must stay valid until it returns. Bytes from a call are valid as
// long as the object that returned them.
typedef struct wingback_bytes {
    // The first byte. It may be NULL if `len` is 0.
    const char *data;
    // The number of bytes.
    size_t len;
} wingback_bytes;

// How far a task is. The counts never become smaller.
typedef struct wingback_progress {
    // sizeof(wingback_progress).
    size_t struct_size;
    // What the task is doing.
    enum wingback_phase phase;
    // Whether the two expected numbers are known.
    bool is_expected_known;
    // Whether `time_left_ns` is known: the phase is READING, the expected bytes are known and not
    // reached, and the rate is not 0.
    bool is_time_left_known;
    // Files that the task has begun with or finished.
    uint64_t files;
    // Bytes of content that are done. A backup counts bytes that it has read or knows to be holes.
    // A task that reads an archive counts decoded bytes.
    uint64_t bytes;
    // Bytes of the archive that the destination has accepted. Only a backup writes an archive.
    uint64_t written;
    // Bytes of the archive that were sent to a service, and that it has confirmed; 0 if the
    // destination is not a service.
    uint64_t uploaded;
    // What `files` is expected to be at the end.
    uint64_t expected_files;
    // What `bytes` is expected to be at the end.
    uint64_t expected_bytes;
    // Current speed: bytes of `bytes` per second. It is the mean over the time since the task began
    // to read, in which the weight of a moment falls to 37 % in 5 seconds. 0 before the first byte
    // and after the end.
    uint64_t rate;
    // Estimated nanoseconds until `bytes` reaches `expected_bytes`, at this rate.
    uint64_t time_left_ns;
    // Bytes of the archive that a service has copied from the previous archive in the same store.
    uint64_t copied_in_store;
} wingback_progress;

// A function that is called once when a task is done, on a thread of the library. It may wake a
// waiting thread, and it may free the task. It should return quickly.
typedef void (*wingback_done_function)(void *user_data);

// A note about one path.
typedef struct wingback_note {
    // sizeof(wingback_note).
    size_t struct_size;
    // The path, relative to the root, or the name of an archive; empty if the note is not about one.
    struct wingback_bytes path;
    // A word for programs, such as "unreadable", that stays the same in later versions;
    // docs/command.md lists the words. It ends in a zero byte.
    const char *code;
    // An explanation for people, as UTF-8 that ends in a zero byte.
    const char *text;
    // Whether content is missing that should be there.
    bool is_data_loss;
} wingback_note;

// How bytes are sent over a network. Zero in each field is its default.
typedef struct wingback_transfer {
    // sizeof(wingback_transfer).
    size_t struct_size;
    // Number of parts or ranges that are sent or received at once, from 1 to 256; 0 means
    // 4.
    uint32_t parallel;
    // How long a request is retried after temporary failures, in milliseconds; 0 means three
    // minutes.
    uint64_t retry_for_ms;
    // How long a connection may be silent before it counts as failed, in milliseconds; 0 means one
    // minute.
    uint64_t stall_after_ms;
    // A PEM file with certificates to trust in addition to the system's.
    struct wingback_bytes ca_file;
    // Whether only public addresses are connected to, also after redirects and DNS, for URLs that
    // somebody else chose.
    bool public_only;
    // Hosts, addresses and networks that `public_only` allows as well, separated by commas.
    struct wingback_bytes public_except;
} wingback_transfer;

// A bucket in an S3 service, and how archives are stored there. Texts are UTF-8. Only the bucket
// is required; zero or empty in any other field is its default.
typedef struct wingback_s3_config {
    // sizeof(wingback_s3_config).
    size_t struct_size;
    // The bucket.
    struct wingback_bytes bucket;
    // URL of the service, such as "https://s3.example.com"; empty for Amazon's.
    struct wingback_bytes endpoint;
    // The region; empty for the one in an endpoint of Amazon, otherwise "us-east-1".
    struct wingback_bytes region;
    // Text before the name of each archive, such as "servers/".
    struct wingback_bytes prefix;
    // Template for the names of archives; empty for "backup-{uuid}.tar.gz".
    struct wingback_bytes names;
    // The access key. If both keys are empty, they are taken from where AWS' own tools find them:
    // the environment, then the credentials file.
    struct wingback_bytes access_key;
    // The secret key. Set both keys or neither.
    struct wingback_bytes secret_key;
    // The token of a temporary session. It needs both keys.
    struct wingback_bytes session_token;
    // Size of a part in bytes; 0 means 5 MiB.
    uint64_t part_size;
    // Storage class of archives, such as "STANDARD_IA".
    struct wingback_bytes storage_class;
    // Encryption of archives by the service: "AES256" or "aws:kms".
    struct wingback_bytes encryption;
    // Id of the key for "aws:kms".
    struct wingback_bytes kms_key_id;
    // How old an unfinished upload must be before a sweep aborts it, in seconds; 0 means one day.
    uint64_t dead_after_s;
    // Where URLs have the bucket: 1 for the path, 2 for the host name, 0 for the place that the
    // service is known to need.
    uint32_t path_style;
    // How bytes are sent; NULL for the defaults.
    const struct wingback_transfer *transfer;
} wingback_s3_config;

// An object in a store: an archive, or a file beside it such as a lock.
typedef struct wingback_object {
    // sizeof(wingback_object).
    size_t struct_size;
    // Its name. The bytes are valid as long as the list.
    struct wingback_bytes key;
    // Its size in bytes.
    uint64_t size;
    // Time at which it became complete, in nanoseconds since 1970, if is_modified_known.
    int64_t modified_ns;
    // Whether the store knows that time.
    bool is_modified_known;
} wingback_object;

// An archive in a store.
typedef struct wingback_stored_archive {
    // sizeof(wingback_stored_archive).
    size_t struct_size;
    // Its name. The bytes are valid as long as the list.
    struct wingback_bytes key;
    // Its size in bytes.
    uint64_t size;
    // Time at which it became complete, in nanoseconds since 1970, if is_modified_known.
    int64_t modified_ns;
    // Time when the backup began, in nanoseconds since 1970, if is_made_known. If the archive does not
    // have it, it is `modified_ns`.
    int64_t made_ns;
    // Bytes of content more or fewer than in the archive before it with the same label and host, if
    // has_content_change.
    int64_t content_change;
    // Whether `modified_ns` is set.
    bool is_modified_known;
    // Whether `made_ns` is set.
    bool is_made_known;
    // Whether `content_change` is set.
    bool has_content_change;
    // Whether the archive has its full length and an index. Only a verification finds other damage.
    bool is_whole;
    // Whether the archive has a lock: see wingback_archive_lock.
    bool is_locked;
} wingback_stored_archive;

// A tag, as wingback_backup_tag adds it.
typedef struct wingback_tag {
    // Its key, as UTF-8.
    struct wingback_bytes key;
    // Its value, as UTF-8.
    struct wingback_bytes value;
} wingback_tag;

// Rules for which archives to keep. Zero in each field is its default. The archives are divided into
// groups, and the rules apply to each group by itself. An archive is kept if one of them keeps it; without
// rules all are kept. The newest good archive of each group and archives with a lock are always kept. An
// archive is good if it is whole and not suspicious.
typedef struct wingback_retention {
    // sizeof(wingback_retention).
    size_t struct_size;
    // Keep the last so many archives.
    uint32_t last;
    // Keep the newest archive of each of the last so many hours that have one. All periods are in UTC.
    uint32_t hourly;
    // The same for days.
    uint32_t daily;
    // The same for weeks, which begin on Monday.
    uint32_t weekly;
    // The same for months.
    uint32_t monthly;
    // The same for years.
    uint32_t yearly;
    // Keep archives that are at most so many nanoseconds older than the newest good one of their group.
    uint64_t within_ns;
    // Keep archives with one of these tags.
    const struct wingback_tag *keep_tags;
    // Their number.
    size_t keep_tag_count;
    // Remove the oldest archives of all groups until the kept ones have at most so many bytes together; 0
    // means no limit.
    uint64_t max_bytes;
    // What the archives of one group have in common.
    enum wingback_group_by group_by;
    // Not 0: the rules also apply to archives without a label, as one more group.
    uint32_t unidentified;
    // Only archives with this label; empty for all archives.
    struct wingback_bytes label;
} wingback_retention;

// Archives to which the rules apply together.
typedef struct wingback_archive_group {
    // sizeof(wingback_archive_group).
    size_t struct_size;
    // Their label; empty if they are not grouped by it, or have none. The bytes are valid as long as the
    // plan.
    struct wingback_bytes label;
    // Their host as UTF-8; empty if they are not grouped by it, or do not have it. The bytes are valid as
    // long as the plan.
    struct wingback_bytes host;
    // The archives, newest first. The list is valid as long as the plan.
    const struct wingback_archives *archives;
    // Whether these are the archives without a label.
    bool is_unidentified;
} wingback_archive_group;

// The verdict on an archive.
typedef struct wingback_planned_archive {
    // sizeof(wingback_planned_archive).
    size_t struct_size;
    // The reason to keep the archive, as a word for programs such as "newest"; docs/command.md lists the
    // words. It is empty if the verdict is not KEEP. The bytes are always valid.
    struct wingback_bytes reason;
    // The verdict.
    enum wingback_verdict verdict;
    // Whether the archive has no members, or less than a tenth of the content of the last archive before it
    // that has any. The source may have been lost.
    bool is_suspicious;
} wingback_planned_archive;

// A function that is called when a backup has read its source. It returns NULL, or the reason of its
// failure: UTF-8 that ends in a zero byte. The library copies the reason at once.
typedef const char *(*wingback_source_read_function)(void *user_data);

// The size of a source. The source may change before it is backed up.
typedef struct wingback_estimate {
    // sizeof(wingback_estimate).
    size_t struct_size;
    // Number of regular files.
    uint64_t files;
    // Number of directories.
    uint64_t directories;
    // Number of symlinks.
    uint64_t symlinks;
    // Bytes of the files' content.
    uint64_t content;
    // Upper bound for the size of the archive in bytes, if the source does not change.
    uint64_t archive_max;
} wingback_estimate;

// An entry of a source, and whether a backup would contain it.
typedef struct wingback_preview_entry {
    // sizeof(wingback_preview_entry).
    size_t struct_size;
    // The path, relative to the root.
    struct wingback_bytes path;
    // Bytes of content that the backup would store.
    uint64_t size;
    // The line with the pattern that decides, without its line end: it excludes the entry or, if it begins
    // with "!", includes it again. Empty if there is none.
    struct wingback_bytes pattern;
    // Number of that line in its text, counted from 1. All texts of wingback_backup_exclude are one text.
    uint64_t pattern_line;
    // The text that has the pattern; NONE if no pattern decides.
    enum wingback_pattern_origin pattern_origin;
    // Kind of the entry; OTHER for a socket, and for a path that the source does not have. A hard link is
    // a file.
    enum wingback_member_kind kind;
    // A word for the reason why the backup would skip the entry, or the content of an included directory;
    // docs/command.md lists the words. NULL if nothing is skipped, or if a pattern excludes the entry.
    const char *skip_code;
    // An explanation of that reason for people, as UTF-8; or NULL.
    const char *skip_text;
    // Whether the archive would lack content that should be there.
    bool is_data_loss;
    // Whether the backup would contain the entry.
    bool is_included;
} wingback_preview_entry;

// What a backup would contain.
typedef struct wingback_preview_summary {
    // sizeof(wingback_preview_summary).
    size_t struct_size;
    // Number of regular files.
    uint64_t files;
    // Number of directories.
    uint64_t directories;
    // Number of symlinks.
    uint64_t symlinks;
    // Bytes of the files' content.
    uint64_t content;
    // Upper bound for the size of the archive in bytes, if the source does not change.
    uint64_t archive_max;
    // Number of entries that a pattern excludes. The content of a directory that was not entered is not
    // counted.
    uint64_t excluded;
    // Number of entries that are not selected. The content of such a directory is not counted.
    uint64_t unselected;
    // Whether the archive would lack something that could not be read.
    bool is_partial;
} wingback_preview_summary;

// The numbers of a backup.
typedef struct wingback_report_summary {
    // sizeof(wingback_report_summary).
    size_t struct_size;
    // Size of the archive in bytes.
    uint64_t size;
    // SHA-1 of the archive.
    uint8_t sha1[20];
    // The same SHA-1 in lower-case hexadecimal, followed by a zero byte.
    char sha1_hex[41];
    // Whether content is missing that should be in the archive. The list of skipped paths names
    // it.
    bool is_partial;
    // Regular files in the archive.
    uint64_t files;
    // Directories in the archive; with the profile WINGS only in its index.
    uint64_t directories;
    // Symlinks in the archive; with the profile WINGS only in its index.
    uint64_t symlinks;
    // Groups of files that are hard links of one another. Each file is stored in full.
    uint64_t hard_links;
    // Bytes of file content in the archive, holes included.
    uint64_t content;
    // Bytes read from the source; less than `content` if files have holes or were not read.
    uint64_t read;
    // Number of segments of the archive.
    uint64_t segments;
    // Files, symlinks and directories excluded by a pattern. The content of an excluded directory
    // is not counted if the directory was not read.
    uint64_t excluded;
    // Nanoseconds from the start to the commit.
    uint64_t duration_ns;
    // Bytes of the archive that were copied from the previous archive.
    uint64_t copied;
    // Bytes of the tar stream that were compressed: all except copied data.
    uint64_t compressed;
    // Bytes of the archive that were sent to a service; 0 if the destination is not a service.
    uint64_t uploaded;
    // Bytes of the archive that a service has copied from the previous archive in the same store. They
    // were not sent.
    uint64_t copied_in_store;
} wingback_report_summary;

// A part that the service has confirmed. The call that completes the upload needs both fields.
typedef struct wingback_part {
    // sizeof(wingback_part).
    size_t struct_size;
    // Its number, counted from 1.
    uint32_t number;
    // The ETag in the service's answer, unchanged, including any quotes. The bytes are valid as
    // long as the list.
    struct wingback_bytes etag;
} wingback_part;

// A member of an archive.
typedef struct wingback_member {
    // sizeof(wingback_member).
    size_t struct_size;
    // Its path, relative to the root, without a "/" at the end; empty for the root.
    struct wingback_bytes path;
    // Target of a symlink or hard link. A listing by the index has no targets of symlinks; they
    // are empty.
    struct wingback_bytes target;
    // Bytes of content; 0 for anything but a file.
    uint64_t size;
    // Time of the last change of the content, in nanoseconds since 1970. A time before 1677 or
    // after 2262 is replaced with the nearest that fits.
    int64_t mtime_ns;
    // User that owns it.
    uint64_t uid;
    // Group that owns it.
    uint64_t gid;
    // Permission bits.
    uint32_t mode;
    // Its kind.
    enum wingback_member_kind kind;
} wingback_member;

// What an archive says about itself, without its tags. Bytes are empty if the archive does not have
// them: a reproducible archive has no source, host and time.
typedef struct wingback_info_summary {
    // sizeof(wingback_info_summary).
    size_t struct_size;
    // The label that wingback_backup_label has set, otherwise the name of the source directory.
    struct wingback_bytes label;
    // Path of the source.
    struct wingback_bytes source;
    // Name of the host that made the archive, as UTF-8.
    struct wingback_bytes host;
    // Name and version of the program that made the archive, as UTF-8.
    struct wingback_bytes tool;
    // A word for the encoder; docs/command.md lists the words.
    struct wingback_bytes encoder;
    // The patterns that were in force, one per line: the ignore file, then those of the caller.
    struct wingback_bytes excludes;
    // Time when the backup began, in nanoseconds since 1970, if is_made_known.
    int64_t made_ns;
    // Regular files.
    uint64_t files;
    // Directories.
    uint64_t directories;
    // Symlinks.
    uint64_t symlinks;
    // Bytes of content of the files.
    uint64_t content;
    // Paths that the archive lacks because they could not be read.
    uint64_t skipped;
    // Bytes of the tar stream.
    uint64_t tar_len;
    // Segments of the tar stream.
    uint64_t segments;
    // Bytes of the archive.
    uint64_t size;
    // Level of the encoder.
    uint32_t encoder_level;
    // Kinds of members that the tar has.
    enum wingback_profile profile;
    // Language of the patterns.
    enum wingback_rules rules;
    // Whether `made_ns` is set.
    bool is_made_known;
    // Whether the archive lacks paths of the source that no pattern in `excludes` names.
    bool omits_unnamed;
} wingback_info_summary;

// How two sides are compared. Zero in each field is its default.
typedef struct wingback_diff_options {
    // sizeof(wingback_diff_options).
    size_t struct_size;
    // Paths or patterns: only these, and everything beneath them, are compared.
    const struct wingback_bytes *selection;
    // Their number; 0 means all paths.
    size_t selection_count;
    // Limit for the number of members of an archive without an index, which are kept in memory; 0 means
    // 5,000,000. Each 128 bytes of a member's path and target count as another member.
    uint64_t max_members;
    // Not 0: contents are compared even if the times say that they are equal.
    uint32_t content;
    // Not 0: the paths of a directory that the archive's own patterns exclude are compared as well.
    uint32_t excluded;
} wingback_diff_options;

// A path that differs.
typedef struct wingback_difference {
    // sizeof(wingback_difference).
    size_t struct_size;
    // The path, relative to the root. The bytes are valid as long as the differences.
    struct wingback_bytes path;
    // Whether the path was added, removed or changed.
    enum wingback_difference_kind kind;
    // Whether a file became a symlink, or the other way round. This and the following are only set for a
    // path that both sides have.
    bool kind_differs;
    // Whether the content of the file differs.
    bool content_differs;
    // Whether the target of the symlink differs.
    bool target_differs;
    // Whether the permission bits differ.
    bool mode_differs;
    // Whether the owner or the group differs.
    bool owner_differs;
    // Whether the time of the last change differs.
    bool mtime_differs;
} wingback_difference;

// The numbers of a comparison.
typedef struct wingback_compared {
    // sizeof(wingback_compared).
    size_t struct_size;
    // How the archive was read.
    enum wingback_read_method read_method;
    // How the other archive was read, if has_other_read_method.
    enum wingback_read_method other_read_method;
    // Whether the second side is an archive.
    bool has_other_read_method;
    // Whether there is no difference.
    bool is_equal;
    // Whether some paths could not be compared.
    bool is_partial;
    // Number of paths that only the second side has.
    uint64_t added;
    // Bytes of content of the added files.
    uint64_t added_bytes;
    // Number of paths that only the archive has.
    uint64_t removed;
    // Bytes of content of the removed files.
    uint64_t removed_bytes;
    // Number of paths whose kind, content or target differs.
    uint64_t changed;
    // Bytes of content of the changed files, on the second side.
    uint64_t changed_bytes;
    // Number of paths of which only mode, owner or time differ.
    uint64_t metadata;
    // Number of paths without a difference.
    uint64_t unchanged;
    // Bytes of content that were read to compare it.
    uint64_t read;
    // Number of paths of the directory that the archive's own patterns exclude.
    uint64_t excluded;
    // Nanoseconds from start to end.
    uint64_t duration_ns;
} wingback_compared;

// What is searched for. Zero in each field is its default.
typedef struct wingback_find_options {
    // sizeof(wingback_find_options).
    size_t struct_size;
    // Paths, with everything beneath them, or patterns.
    const struct wingback_bytes *selection;
    // Their number; 0 means all files.
    size_t selection_count;
    // Only archives with this label are searched; empty for all archives.
    struct wingback_bytes label;
    // Limit for the members of all archives together that match; 0 means 1,000,000. Each 128 bytes of a
    // member's path and target count as another member.
    uint64_t max_members;
    // Limit for the speed at which all archives together are read; NULL for none.
    const struct wingback_limiter *read_limit;
} wingback_find_options;

// The numbers of a search.
typedef struct wingback_found_summary {
    // sizeof(wingback_found_summary).
    size_t struct_size;
    // Number of paths that the versions have.
    uint64_t paths;
    // Number of archives that were searched.
    uint64_t searched;
    // Nanoseconds from start to end.
    uint64_t duration_ns;
} wingback_found_summary;

// How an archive is checked. Zero in each field is its default.
typedef struct wingback_verify_options {
    // sizeof(wingback_verify_options).
    size_t struct_size;
    // The expected SHA-1 of the whole file, 20 bytes; NULL if it is unknown.
    const uint8_t *sha1;
    // Number of threads that decode; 0 means one for each processor.
    uint32_t threads;
    // Not 0: run at the lowest priority.
    uint32_t background;
} wingback_verify_options;

// The numbers of a check.
typedef struct wingback_verified_summary {
    // sizeof(wingback_verified_summary).
    size_t struct_size;
    // How the archive was read.
    enum wingback_read_method read_method;
    // Whether the archive is undamaged, as far as its checksums can tell.
    bool is_whole;
    // Whether `sha1` is set: the options had a SHA-1, and the whole archive could be read.
    bool is_sha1_known;
    // Whether the SHA-1 is the expected one.
    bool sha1_matches;
    // The SHA-1 of the archive.
    uint8_t sha1[20];
    // Size of the archive in bytes; 0 for a stream.
    uint64_t size;
    // Number of checked segments; 0 without an index.
    uint64_t segments;
    // Files in the archive, as far as it could be read.
    uint64_t files;
    // Nanoseconds from start to end.
    uint64_t duration_ns;
} wingback_verified_summary;

// Which archives of a store are checked, and how. Zero in each field is its default.
typedef struct wingback_verify_all_options {
    // sizeof(wingback_verify_all_options).
    size_t struct_size;
    // Only archives with this label; empty for all archives.
    struct wingback_bytes label;
    // Name of the store in the record of checks, such as its path. If it is empty, no record is kept.
    struct wingback_bytes place;
    // Directory of the record; empty for the default state directory.
    struct wingback_bytes state_directory;
    // Check only archives that together have about this many percent of all bytes, and at least one: those
    // whose last check is the oldest. 0 means all archives.
    double sample;
    // Limit for the speed at which all archives together are read; NULL for none.
    const struct wingback_limiter *read_limit;
    // Not 0: begin a new pass over all archives even if one was interrupted.
    uint32_t restart;
    // Number of threads that decode; 0 means one for each processor.
    uint32_t threads;
    // Not 0: run at the lowest priority.
    uint32_t background;
} wingback_verify_all_options;

// The numbers of a check of all archives.
typedef struct wingback_verified_all_summary {
    // sizeof(wingback_verified_all_summary).
    size_t struct_size;
    // Number of archives.
    uint64_t archives;
    // Number of archives that were read now.
    uint64_t verified;
    // Bytes of these.
    uint64_t bytes;
    // Number of archives that were not read now because the interrupted pass had read them.
    uint64_t earlier;
    // Number of archives that could not be read now.
    uint64_t failed;
    // Number of archives without a check so far.
    uint64_t never;
    // Start of the interrupted pass that was continued, in nanoseconds since 1970, if is_resumed.
    int64_t resumed_ns;
    // Time of the oldest of the last checks of all archives, in nanoseconds since 1970, if is_oldest_known.
    int64_t oldest_ns;
    // Nanoseconds from start to end.
    uint64_t duration_ns;
    // Whether no damage is known, and every archive that was to be read could be.
    bool is_whole;
    // Whether an interrupted pass was continued.
    bool is_resumed;
    // Whether any archive has a check.
    bool is_oldest_known;
} wingback_verified_all_summary;

// The check of one archive.
typedef struct wingback_archive_check {
    // sizeof(wingback_archive_check).
    size_t struct_size;
    // Name of the archive. The bytes are valid as long as the result.
    struct wingback_bytes key;
    // Time when the backup began, in nanoseconds since 1970, if is_made_known.
    int64_t made_ns;
    // What was found out; NULL if the archive could not be read. It is valid as long as the result.
    const struct wingback_verified *verified;
    // Why the archive could not be read, as UTF-8; otherwise empty. The bytes are valid as long as the
    // result.
    struct wingback_bytes message;
    // The status of that failure, or OK.
    enum wingback_status status;
    // Whether `made_ns` is set.
    bool is_made_known;
    // Whether the archive was read and no damage was found.
    bool is_whole;
} wingback_archive_check;

// How members are written, and the limits for them. Zero in each field is its default.
typedef struct wingback_unpack_options {
    // sizeof(wingback_unpack_options).
    size_t struct_size;
    // Number of threads that decode and write; 0 means one for each processor.
    uint32_t threads;
    // Owner of the written files. An owner that cannot be set is a warning with the code "owner".
    enum wingback_owner owner;
    // The user, if `owner` is FIXED.
    uint32_t uid;
    // The group, if `owner` is FIXED.
    uint32_t gid;
    // Not 0: run at the lowest priority.
    uint32_t background;
    // Bytes of the file system that must stay free.
    uint64_t reserve;
    // Limit for the bytes of content, holes included; 0 means no limit.
    uint64_t max_bytes;
    // Limit for the number of members; 0 means 5,000,000. Each 128 bytes of a member's path and
    // target count as another member.
    uint64_t max_members;
    // Limit for the bytes of content, as a multiple of the archive's size; 0 means no limit.
    uint64_t max_ratio;
    // Not 0: members that cannot be used, such as a path that leads out of the directory, are
    // skipped and reported as skipped. 0: the first one is an error.
    uint32_t skip_refused;
} wingback_unpack_options;

// What was written. Each struct that has this struct has it as its last field, so that both can
// grow.
typedef struct wingback_unpacked {
    // Files of the archive, also unchanged ones; a hard link counts as a file.
    uint64_t files;
    // Directories made or found.
    uint64_t directories;
    // Symlinks made.
    uint64_t symlinks;
    // Files that became hard links to an earlier one.
    uint64_t hard_links;
    // Bytes of content.
    uint64_t content;
    // Members that were skipped because they cannot be used.
    uint64_t refused;
} wingback_unpacked;

// The numbers of a restore.
typedef struct wingback_restored_summary {
    // sizeof(wingback_restored_summary).
    size_t struct_size;
    // How the archive was read.
    enum wingback_read_method read_method;
    // What was done about an earlier, interrupted restore of the directory.
    enum wingback_recovered recovered;
    // Nanoseconds from start to end.
    uint64_t duration_ns;
    // Number of files and symlinks that are equal in the directory and the archive.
    uint64_t unchanged;
    // Counts of the members.
    struct wingback_unpacked unpacked;
} wingback_restored_summary;

// The numbers of an extraction.
typedef struct wingback_extracted_summary {
    // sizeof(wingback_extracted_summary).
    size_t struct_size;
    // How the archive was read.
    enum wingback_read_method read_method;
    // Nanoseconds from start to end.
    uint64_t duration_ns;
    // What was written.
    struct wingback_unpacked unpacked;
} wingback_extracted_summary;

// A function that gets each log message. Threads of the library call it, several at once. The
// message is UTF-8, ends in a zero byte, and is valid until the function returns. The function
// must not call this library.
typedef void (*wingback_log_function)(enum wingback_log_level level,
                                      const char *message,
                                      void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the version of the ABI of the running library. A program that loads the library with
// dlopen(3) compares it with WINGBACK_ABI_VERSION.
uint32_t wingback_abi_version(void);

// Returns the version of the library, as text that ends in a zero byte. It is never freed.
const char *wingback_version(void);

// Writes how the running library was built to `info`.
enum wingback_status wingback_build(struct wingback_build_info *info,
                                    struct wingback_error **error);

// Returns a word for `status`, such as "not-found", or "unknown" for any other number. The text
// ends in a zero byte and is never freed.
const char *wingback_status_name(int32_t status);

// Returns the status of the failure; OK for NULL.
enum wingback_status wingback_error_status(const struct wingback_error *error);

// Returns one line that names the operation, its subject and the reason. The text is UTF-8 and
// ends in a zero byte. It is valid until the error is freed. Empty for NULL.
const char *wingback_error_message(const struct wingback_error *error);

// Returns the path that the failure is about, or empty bytes if there is none. The bytes are valid
// until the error is freed. Empty for NULL.
struct wingback_bytes wingback_error_path(const struct wingback_error *error);

// Returns whether the same call may succeed later without any change by the caller.
bool wingback_error_is_retryable(const struct wingback_error *error);

// Frees the error. NULL is allowed.
void wingback_error_free(struct wingback_error *error);

// Returns the bytes of `text`, which ends in a zero byte, without that byte. They are valid as long
// as the text. Empty for NULL.
struct wingback_bytes wingback_bytes_of(const char *text);

// Waits until the task is done, for at most `timeout_ms` milliseconds. 0 does not wait; a negative
// number waits without limit. Returns OK if the task succeeded, NOT_YET if it is not done,
// otherwise the status of its failure. Several threads may wait for one task, and each may ask
// again.
//
// Blocks for that time.
enum wingback_status wingback_task_wait(const struct wingback_task *task,
                                        int64_t timeout_ms,
                                        struct wingback_error **error);

// Writes how far the task is to `progress`.
enum wingback_status wingback_task_progress(const struct wingback_task *task,
                                            struct wingback_progress *progress,
                                            struct wingback_error **error);

// Asks the task to stop, and returns at once. The task ends with CANCELLED after it has removed
// what it had begun. If its commit has already begun, it ends as if this call had not been made.
// NULL is allowed.
void wingback_task_cancel(const struct wingback_task *task);

// Sets `function`, which is called with `user_data` when the task is done. It is called once, on a
// thread of the library; soon after this call if the task is done already. If the task is freed
// first, the function is not called. wingback_task_free waits for a call that has begun, but no
// longer than its time limit. INVALID_INPUT if the task already has such a function.
enum wingback_status wingback_task_on_done(const struct wingback_task *task,
                                           wingback_done_function function,
                                           void *user_data,
                                           struct wingback_error **error);

// Frees the task and its results. A running task is cancelled first. NULL is allowed.
//
// Blocks until the task's threads have ended, for at most five seconds. A thread that cannot be
// stopped, for example on a dead mount, goes on by itself. If the function set by
// wingback_task_on_done frees its own task, this call does not wait, and that thread ends when the
// function returns.
void wingback_task_free(struct wingback_task *task);

// Returns the number of notes; 0 for NULL.
size_t wingback_notes_count(const struct wingback_notes *notes);

// Returns how many notes were left out. Lists of skipped and changed paths, damage and undamaged
// files have at most 1,000 notes. 0 for NULL.
uint64_t wingback_notes_more(const struct wingback_notes *notes);

// Writes the note at `index`, counted from 0, to `note`. Its pointers are valid as long as the
// list.
enum wingback_status wingback_notes_get(const struct wingback_notes *notes,
                                        size_t index,
                                        struct wingback_note *note,
                                        struct wingback_error **error);

// Creates a limit of `bytes_per_second`. 0 means no limit.
enum wingback_status wingback_limiter_new(uint64_t bytes_per_second,
                                          struct wingback_limiter **limiter,
                                          struct wingback_error **error);

// Changes the limit to `bytes_per_second`, at once for all backups that share it. 0 means no
// limit.
enum wingback_status wingback_limiter_set_rate(const struct wingback_limiter *limiter,
                                               uint64_t bytes_per_second,
                                               struct wingback_error **error);

// Returns the limit in bytes per second; 0 if there is no limit, and for NULL.
uint64_t wingback_limiter_rate(const struct wingback_limiter *limiter);

// Frees the limiter. NULL is allowed.
void wingback_limiter_free(struct wingback_limiter *limiter);

// Creates a store in `directory` of the local file system. If the directory does not exist, a backup
// fails with NOT_FOUND, unless `mkdir` is true; then it makes the directory with mode 0700. `names` is
// the template for the names of new archives, such as "{uuid}.tar.gz"; if it is empty,
// "backup-{uuid}.tar.gz". `reserve` is the number of bytes of the file system that must stay free. A
// backup fails with NO_SPACE when less is left.
enum wingback_status wingback_store_local(struct wingback_bytes directory,
                                          struct wingback_bytes names,
                                          uint64_t reserve,
                                          bool mkdir,
                                          struct wingback_store **store,
                                          struct wingback_error **error);

// Writes the name of the archive for the backup `uuid` to `buffer`, followed by a zero byte, and
// its length without that byte to `len`. The store's template gives the name, with the current time,
// the name of the host, and `label`, which may be empty. An empty `uuid` means a new random one. With a `capacity` of 0, only `len` is written. INVALID_INPUT if the
// buffer is too small.
enum wingback_status wingback_store_key(const struct wingback_store *store,
                                        struct wingback_bytes uuid,
                                        struct wingback_bytes label,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *len,
                                        struct wingback_error **error);

// Writes the path or URL of the archive `key`, which need not exist. `buffer`, `capacity` and
// `len` are as in wingback_store_key.
enum wingback_status wingback_store_location(const struct wingback_store *store,
                                             struct wingback_bytes key,
                                             char *buffer,
                                             size_t capacity,
                                             size_t *len,
                                             struct wingback_error **error);

// Starts to list the archives in the store, newest first. Result: wingback_task_archives. An archive
// is recognized by its content, whatever its name is. The last 64 KiB of each are read. If `label` is
// not empty, only archives with this label are listed. Archives made before `since_ns`, in
// nanoseconds since 1970, are left out.
enum wingback_status wingback_store_archives(const struct wingback_store *store,
                                             struct wingback_bytes label,
                                             uint64_t since_ns,
                                             struct wingback_task **task,
                                             struct wingback_error **error);

// Starts to list all objects in the store: archives, and files beside them such as locks. Nothing is
// read. Result: wingback_task_objects.
enum wingback_status wingback_store_list(const struct wingback_store *store,
                                         struct wingback_task **task,
                                         struct wingback_error **error);

// Starts to delete the archive `key`, even if it has a lock. The task fails with NOT_FOUND if there is
// none.
enum wingback_status wingback_store_delete(const struct wingback_store *store,
                                           struct wingback_bytes key,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Starts to remove files and uploads that killed processes left unfinished. It never removes those
// that a process is still writing. Result: wingback_task_swept.
enum wingback_status wingback_store_sweep(const struct wingback_store *store,
                                          struct wingback_task **task,
                                          struct wingback_error **error);

// Frees the store. NULL is allowed.
//
// Blocks until the remains of dropped uploads are removed, for at most five seconds.
void wingback_store_free(struct wingback_store *store);

// Lends the result of wingback_store_sweep: one note for each removed file or upload, with its
// location as the path.
enum wingback_status wingback_task_swept(const struct wingback_task *task,
                                         const struct wingback_notes **notes,
                                         struct wingback_error **error);

// Sets to `bytes` the memory that the parts of all uploads of this process may take together; the
// default is 256 MiB. An upload without room for a part keeps it in a file without a name, in the
// directory `staging` of part URLs, or in `$TMPDIR` or `/var/tmp`. Parts that have begun stay where
// they are.
void wingback_set_memory_limit(uint64_t bytes);

// Creates a store in a bucket of an S3 service. It makes no request; the first operation does.
// INVALID_INPUT if an option cannot be used; the error names the option. UNSUPPORTED if the library
// has no network.
enum wingback_status wingback_store_s3(const struct wingback_s3_config *config,
                                       struct wingback_store **store,
                                       struct wingback_error **error);

// Lends the result of wingback_store_list.
enum wingback_status wingback_task_objects(const struct wingback_task *task,
                                           const struct wingback_objects **objects,
                                           struct wingback_error **error);

// Returns the number of objects; 0 for NULL.
size_t wingback_objects_count(const struct wingback_objects *objects);

// Writes the object at `index`, counted from 0, to `object`. Its pointers are valid as long as
// the list.
enum wingback_status wingback_objects_get(const struct wingback_objects *objects,
                                          size_t index,
                                          struct wingback_object *object,
                                          struct wingback_error **error);

// Lends the result of wingback_store_archives.
enum wingback_status wingback_task_archives(const struct wingback_task *task,
                                            const struct wingback_archives **archives,
                                            struct wingback_error **error);

// Returns the number of archives; 0 for NULL.
size_t wingback_archives_count(const struct wingback_archives *archives);

// Writes the archive at `index`, counted from 0, to `archive`. Its pointers are valid as long as the
// list.
enum wingback_status wingback_archives_get(const struct wingback_archives *archives,
                                           size_t index,
                                           struct wingback_stored_archive *archive,
                                           struct wingback_error **error);

// Lends what the archive at `index` says about itself, without its patterns. It is NULL if the archive
// is not whole. It is valid as long as the list.
enum wingback_status wingback_archives_info(const struct wingback_archives *archives,
                                            size_t index,
                                            const struct wingback_info **info,
                                            struct wingback_error **error);

// Starts to list the archives in the store, and to apply the rules to them. It removes nothing. Result:
// wingback_task_plan. `retention` may be NULL for no rules. wingback_archive_remove removes an archive with
// the verdict REMOVE.
enum wingback_status wingback_store_plan(const struct wingback_store *store,
                                         const struct wingback_retention *retention,
                                         struct wingback_task **task,
                                         struct wingback_error **error);

// Lends the result of wingback_store_plan.
enum wingback_status wingback_task_plan(const struct wingback_task *task,
                                        const struct wingback_plan **plan,
                                        struct wingback_error **error);

// Returns the number of groups; 0 for NULL.
size_t wingback_plan_count(const struct wingback_plan *plan);

// Writes the group at `index`, counted from 0, to `group`. The groups are in the order of their labels and
// hosts, and the archives without a label come last.
enum wingback_status wingback_plan_group(const struct wingback_plan *plan,
                                         size_t index,
                                         struct wingback_archive_group *group,
                                         struct wingback_error **error);

// Writes the verdict on the archive at `index` of the list of the group at `group` to `planned`.
enum wingback_status wingback_plan_verdict(const struct wingback_plan *plan,
                                           size_t group,
                                           size_t index,
                                           struct wingback_planned_archive *planned,
                                           struct wingback_error **error);

// Starts to remove the archive from its store, unless it has a lock. Result: wingback_task_removed. An
// archive that does not exist counts as removed. The task fails with INVALID_INPUT if the archive is behind
// a link or is a stream.
enum wingback_status wingback_archive_remove(const struct wingback_archive *archive,
                                             struct wingback_task **task,
                                             struct wingback_error **error);

// Writes the result of wingback_archive_remove to `removed`: false if the archive has a lock.
enum wingback_status wingback_task_removed(const struct wingback_task *task,
                                           bool *removed,
                                           struct wingback_error **error);

// Creates the options for a backup of the directory `source`. By default the archive gets
// everything except what an ignore file in the directory excludes.
enum wingback_status wingback_backup_new(struct wingback_bytes source,
                                         struct wingback_backup **backup,
                                         struct wingback_error **error);

// Backs up only these paths and everything beneath them, and the directories that lead to them. There are
// `count` of them at `paths`, relative to the source; they are not patterns. Calls add up. One with a `count` of 0
// selects nothing. Excludes apply to selected paths as well. A path that is absolute or has ".." makes the task
// fail with INVALID_INPUT before anything is written. The report lists a path that the source does not have as
// skipped with the reason "missing".
enum wingback_status wingback_backup_select(struct wingback_backup *backup,
                                            const struct wingback_bytes *paths,
                                            size_t count,
                                            struct wingback_error **error);

// Excludes what `patterns` match, one pattern per line. Calls add up. The last pattern that
// matches a path decides. If the list exceeds the limits in docs/command.md, the task fails with
// INVALID_INPUT before anything is written.
enum wingback_status wingback_backup_exclude(struct wingback_backup *backup,
                                             struct wingback_bytes patterns,
                                             struct wingback_error **error);

// Sets `rules`, the language of the patterns. The default is GIT.
enum wingback_status wingback_backup_rules(struct wingback_backup *backup,
                                           enum wingback_rules rules,
                                           struct wingback_error **error);

// Sets `mode`, the use of the ignore file in the root of the source. The default is MERGE.
// `name` is the name of the file; if it is empty, ".pteroignore".
enum wingback_status wingback_backup_ignore_file(struct wingback_backup *backup,
                                                 enum wingback_ignore_file mode,
                                                 struct wingback_bytes name,
                                                 struct wingback_error **error);

// If `strict` is true, a suspicious pattern makes the task fail before anything is written. By
// default it is a warning.
enum wingback_status wingback_backup_strict_patterns(struct wingback_backup *backup,
                                                     bool strict,
                                                     struct wingback_error **error);

// If `stay` is true, directories on other file systems than the source are left out. The default
// is false.
enum wingback_status wingback_backup_one_file_system(struct wingback_backup *backup,
                                                     bool stay,
                                                     struct wingback_error **error);

// Sets `directory` as the state directory in which the backup looks for an unfinished restore of
// the source; see wingback_restore_state_dir. If a restore was interrupted while it changed the
// source, the backup fails with BUSY.
enum wingback_status wingback_backup_state_dir(struct wingback_backup *backup,
                                               struct wingback_bytes directory,
                                               struct wingback_error **error);

// If `count` is true, the tree is counted while the backup begins, so that the progress has the
// expected numbers. The default is true.
enum wingback_status wingback_backup_count_first(struct wingback_backup *backup,
                                                 bool count,
                                                 struct wingback_error **error);

// Sets `profile`, the kinds of members that the tar gets. The default is FULL.
enum wingback_status wingback_backup_profile(struct wingback_backup *backup,
                                             enum wingback_profile profile,
                                             struct wingback_error **error);

// Sets `level`, the compression level. The default is FAST.
enum wingback_status wingback_backup_level(struct wingback_backup *backup,
                                           enum wingback_level level,
                                           struct wingback_error **error);

// Sets `encoder`, the code that compresses. The default is WINGBACK. If the library does not have
// the encoder, the task fails with UNSUPPORTED before anything is written. If the encoder does not
// serve the level, it fails with INVALID_INPUT.
enum wingback_status wingback_backup_encoder(struct wingback_backup *backup,
                                             enum wingback_encoder encoder,
                                             struct wingback_error **error);

// Sets `threads`, the number of threads that compress. 0, the default, means one for each
// processor. More threads read the source (four to eight) and hash. The number does not change the bytes
// of the archive.
enum wingback_status wingback_backup_threads(struct wingback_backup *backup,
                                             uint32_t threads,
                                             struct wingback_error **error);

// If `background` is true, the backup runs at the lowest priority for the processor and the disk.
// The default is false.
enum wingback_status wingback_backup_background(struct wingback_backup *backup,
                                                bool background,
                                                struct wingback_error **error);

// Sets `limiter` for the speed at which the source is read.
enum wingback_status wingback_backup_read_limit(struct wingback_backup *backup,
                                                const struct wingback_limiter *limiter,
                                                struct wingback_error **error);

// Sets `limiter` for the speed at which the archive is written.
enum wingback_status wingback_backup_write_limit(struct wingback_backup *backup,
                                                 const struct wingback_limiter *limiter,
                                                 struct wingback_error **error);

// Backs up only the first `len` bytes of the file at `path`, which is relative to the source. A
// running Bedrock server reports such lengths in reply to "save query".
enum wingback_status wingback_backup_max_len(struct wingback_backup *backup,
                                             struct wingback_bytes path,
                                             uint64_t len,
                                             struct wingback_error **error);

// If `include` is true, archives of wingback in the source are backed up as well. The default is false: the report
// lists them as skipped with the reason "own-backup".
enum wingback_status wingback_backup_include_archives(struct wingback_backup *backup,
                                                      bool include,
                                                      struct wingback_error **error);

// If `allow` is true, an archive without members is made, with the warning "empty". The default is false: the task
// then fails with INVALID_INPUT before it commits anything.
enum wingback_status wingback_backup_allow_empty(struct wingback_backup *backup,
                                                 bool allow,
                                                 struct wingback_error **error);

// If `reproducible` is true, the index leaves out ctimes, inode numbers, and the host, path and time
// of the backup, so that copies of a tree give the same bytes. The default is false.
enum wingback_status wingback_backup_reproducible(struct wingback_backup *backup,
                                                  bool reproducible,
                                                  struct wingback_error **error);

// If `align` is true, parts of the archive are aligned with the blocks of file systems, so that these can share
// the equal parts of two archives. The archive becomes about 0.3 % larger. The default is false.
enum wingback_status wingback_backup_align(struct wingback_backup *backup,
                                           bool align,
                                           struct wingback_error **error);

// Sets `label`, the label of the archive: a name of what it is a backup of, such as the UUID of a server. It
// may hold any bytes, at most 255. The default is the name of the source directory. A
// longer label makes the task fail with INVALID_INPUT before anything is written.
enum wingback_status wingback_backup_label(struct wingback_backup *backup,
                                           struct wingback_bytes label,
                                           struct wingback_error **error);

// Adds `key` with `value`, both UTF-8, to what the archive says about itself. Calls add up. More than
// 32 tags, a key that is empty, has "=" or more than 255 bytes, and a value of more than 512 bytes
// make the task fail with INVALID_INPUT before anything is written.
enum wingback_status wingback_backup_tag(struct wingback_backup *backup,
                                         struct wingback_bytes key,
                                         struct wingback_bytes value,
                                         struct wingback_error **error);

// Sets `file`, the archive of an earlier backup of the same source. The backup does not read
// unchanged files, and copies equal data from that archive. The new archive has the same bytes as
// without it, except for its recorded time. If the previous archive cannot be used, that is a warning. Nobody but the caller may
// be able to write to it.
enum wingback_status wingback_backup_previous_file(struct wingback_backup *backup,
                                                   struct wingback_bytes file,
                                                   struct wingback_error **error);

// Does the same as wingback_backup_previous_file with the archive `key` in the local store that
// the backup goes to.
enum wingback_status wingback_backup_previous_key(struct wingback_backup *backup,
                                                  struct wingback_bytes key,
                                                  struct wingback_error **error);

// Does the same as wingback_backup_previous_file with the newest archive in the local store that
// the backup goes to.
enum wingback_status wingback_backup_previous_latest(struct wingback_backup *backup,
                                                     struct wingback_error **error);

// If `trust` is true, a file with an unchanged mtime counts as unchanged even if its ctime is new.
// It matters only with a previous archive. The default is false.
enum wingback_status wingback_backup_trust_mtime(struct wingback_backup *backup,
                                                 bool trust,
                                                 struct wingback_error **error);

// If `any` is true, data that another encoder or level has compressed is copied as well. The
// archive then has other bytes. The default is false.
enum wingback_status wingback_backup_reuse_any(struct wingback_backup *backup,
                                               bool any,
                                               struct wingback_error **error);

// Keeps a copy of the archive in the directory `dir`, and uses the copy of the earlier backup
// there as the previous archive unless one is set. It is meant for archives that go to a remote
// store. At most `max_bytes` stay in the directory. If a copy cannot be kept, that is a warning.
enum wingback_status wingback_backup_cache(struct wingback_backup *backup,
                                           struct wingback_bytes dir,
                                           uint64_t max_bytes,
                                           struct wingback_error **error);

// Sets `function`, which each task of the backup calls once with `user_data`, as soon as it has read the
// source completely. It is for a server that does not save during a backup, and may save again now.
//
// A thread of the library calls it. The archive is not visible in the store before the function has
// returned. A failure of the function does not fail the backup: it is a warning with the code `hook` in
// the report. The function is not called for a task that fails or is cancelled before that. A cancelled
// task is done only after the function has returned.
//
// `user_data` must be usable until all tasks of the backup are freed. If wingback_task_free reaches its
// time limit, the function may still run.
enum wingback_status wingback_backup_on_source_read(struct wingback_backup *backup,
                                                    wingback_source_read_function function,
                                                    void *user_data,
                                                    struct wingback_error **error);

// Starts to count the source. No file is read. Result: wingback_task_estimate.
enum wingback_status wingback_backup_estimate(const struct wingback_backup *backup,
                                              struct wingback_task **task,
                                              struct wingback_error **error);

// Starts the backup into `store`, under the name `key`. Result: wingback_task_report. The archive
// becomes visible in the store when it is complete.
enum wingback_status wingback_backup_start(const struct wingback_backup *backup,
                                           const struct wingback_store *store,
                                           struct wingback_bytes key,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Starts the backup to `part_urls`. Nothing is written to a disk unless parts are over 256 MiB.
// Results: wingback_task_report and wingback_task_parts. The program that issued the URLs
// completes the upload, or aborts it if the task fails.
enum wingback_status wingback_backup_send_to(const struct wingback_backup *backup,
                                             const struct wingback_part_urls *part_urls,
                                             struct wingback_task **task,
                                             struct wingback_error **error);

// Starts the backup to the descriptor `fd`, such as that of a pipe or a socket. Result:
// wingback_task_report. The descriptor is duplicated: the caller keeps its own and may close it at
// once. Only the end of the task says whether the written bytes are complete. A write without a
// reader is an error. If the reader stops reading, the task can still be cancelled, but the thread
// that writes ends only after the reading end is closed.
enum wingback_status wingback_backup_write_to(const struct wingback_backup *backup,
                                              int fd,
                                              struct wingback_task **task,
                                              struct wingback_error **error);

// Frees the options; running tasks go on. NULL is allowed.
void wingback_backup_free(struct wingback_backup *backup);

// Writes the result of wingback_backup_estimate to `estimate`.
enum wingback_status wingback_task_estimate(const struct wingback_task *task,
                                            struct wingback_estimate *estimate,
                                            struct wingback_error **error);

// Begins a preview: which entries of the source the backup would contain, and what decides. Nothing is
// written, and no store is needed. Locks and unfinished archives in a store inside of the source are
// included.
enum wingback_status wingback_backup_preview(const struct wingback_backup *backup,
                                             struct wingback_preview **preview,
                                             struct wingback_error **error);

// Writes the next entry to `entry`, in the order of the archive, or returns END after the last one. A
// directory whose content is left out is one entry. The entry's pointers are valid until the next call.
// After an error, each further call fails. INVALID_INPUT after the last entry if the archive would be
// empty.
//
// Blocks until the entry has been looked at.
enum wingback_status wingback_preview_next(struct wingback_preview *preview,
                                           struct wingback_preview_entry *entry,
                                           struct wingback_error **error);

// Writes the counts to `summary`. NOT_YET before wingback_preview_next has returned END.
enum wingback_status wingback_preview_summarize(const struct wingback_preview *preview,
                                                struct wingback_preview_summary *summary,
                                                struct wingback_error **error);

// Returns the paths that the backup would skip, with reasons; at most 1,000. Empty before the last entry. NULL
// for NULL.
const struct wingback_notes *wingback_preview_skipped(const struct wingback_preview *preview);

// Returns the warnings. Empty before the last entry. NULL for NULL.
const struct wingback_notes *wingback_preview_warnings(const struct wingback_preview *preview);

// Asks the preview to stop. A call that blocks on another thread ends with CANCELLED. NULL is allowed.
void wingback_preview_cancel(const struct wingback_preview *preview);

// Frees the preview; it need not have ended. NULL is allowed.
void wingback_preview_free(struct wingback_preview *preview);

// Lends the result of wingback_backup_start, wingback_backup_send_to or wingback_backup_write_to.
enum wingback_status wingback_task_report(const struct wingback_task *task,
                                          const struct wingback_report **report,
                                          struct wingback_error **error);

// Writes the numbers of the report to `summary`.
enum wingback_status wingback_report_get(const struct wingback_report *report,
                                         struct wingback_report_summary *summary,
                                         struct wingback_error **error);

// Returns the path or URL of the archive. Empty for NULL, and if the archive went to part URLs or a
// descriptor.
struct wingback_bytes wingback_report_location(const struct wingback_report *report);

// Returns the paths that are missing from the archive or incomplete, with the reasons. NULL for
// NULL.
const struct wingback_notes *wingback_report_skipped(const struct wingback_report *report);

// Returns the files that changed while they were read. NULL for NULL.
const struct wingback_notes *wingback_report_changed(const struct wingback_report *report);

// Returns warnings: suspicious patterns, options that name a path that was not found, and the
// like. NULL for NULL.
const struct wingback_notes *wingback_report_warnings(const struct wingback_report *report);

// Creates an object from the `count` URLs in `urls`, for parts of `part_size` bytes each. The last
// part may be smaller, and URLs may stay unused. `transfer` may be NULL for the defaults. Parts
// without room in memory (wingback_set_memory_limit) are kept in the directory `staging`; if that is
// empty, in `$TMPDIR` or `/var/tmp`. UNSUPPORTED if the library has no network.
enum wingback_status wingback_part_urls_new(const struct wingback_bytes *urls,
                                            size_t count,
                                            uint64_t part_size,
                                            const struct wingback_transfer *transfer,
                                            struct wingback_bytes staging,
                                            struct wingback_part_urls **part_urls,
                                            struct wingback_error **error);

// Starts to upload the archive in the file at `path`, several parts at once. Result:
// wingback_task_parts. The file must not change until the task is done.
enum wingback_status wingback_part_urls_upload_file(const struct wingback_part_urls *part_urls,
                                                    struct wingback_bytes path,
                                                    struct wingback_task **task,
                                                    struct wingback_error **error);

// Frees the object; running tasks go on. NULL is allowed.
void wingback_part_urls_free(struct wingback_part_urls *part_urls);

// Lends the parts that wingback_part_urls_upload_file or wingback_backup_send_to has uploaded.
enum wingback_status wingback_task_parts(const struct wingback_task *task,
                                         const struct wingback_parts **parts,
                                         struct wingback_error **error);

// Returns the number of parts; 0 for NULL.
size_t wingback_parts_count(const struct wingback_parts *parts);

// Writes the part at `index`, counted from 0, to `part`. Its pointers are valid as long as the
// list.
enum wingback_status wingback_parts_get(const struct wingback_parts *parts,
                                        size_t index,
                                        struct wingback_part *part,
                                        struct wingback_error **error);

// Creates an archive that is the file at `path`.
enum wingback_status wingback_archive_file(struct wingback_bytes path,
                                           struct wingback_archive **archive,
                                           struct wingback_error **error);

// Creates an archive that is in `store`, under the name `key`.
enum wingback_status wingback_archive_in_store(const struct wingback_store *store,
                                               struct wingback_bytes key,
                                               struct wingback_archive **archive,
                                               struct wingback_error **error);

// Creates an archive behind `url`, an http or https link, such as a presigned URL of an object in
// S3. The query of the link never appears in errors or logs. `transfer` may be NULL for the
// defaults. UNSUPPORTED if the library has no network.
enum wingback_status wingback_archive_link(struct wingback_bytes url,
                                           const struct wingback_transfer *transfer,
                                           struct wingback_archive **archive,
                                           struct wingback_error **error);

// Creates an archive that comes from the descriptor `fd`, such as that of a pipe or a socket. The
// descriptor is duplicated: the caller keeps its own and may close it at once. The archive is read
// from its start to its end, and by one operation only. If the writer stops writing, the task can
// still be cancelled, but the thread that reads ends only after the writing end is closed.
enum wingback_status wingback_archive_stream(int fd,
                                             struct wingback_archive **archive,
                                             struct wingback_error **error);

// Sets `limiter` for the speed at which operations read the archive. It applies to tasks that start
// after this call.
enum wingback_status wingback_archive_read_limit(struct wingback_archive *archive,
                                                 const struct wingback_limiter *limiter,
                                                 struct wingback_error **error);

// Sets `limiter` for the speed at which operations write what they take out of the archive: the
// files of an extraction or a restore, and the content that wingback_archive_copy_file and
// wingback_archive_read_file pass on. It applies to tasks that start after this call.
enum wingback_status wingback_archive_write_limit(struct wingback_archive *archive,
                                                  const struct wingback_limiter *limiter,
                                                  struct wingback_error **error);

// Starts to read what the archive says about itself. Result: wingback_task_info. It reads the last 64
// KiB of the archive, and further parts only for many patterns.
enum wingback_status wingback_archive_info(const struct wingback_archive *archive,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Starts to lock the archive, so that a prune and the daemon do not remove it. Result:
// wingback_task_lock. The lock is an object beside the archive, with the name of the archive and
// ".lock". wingback_store_delete does not look at it. The task fails with NOT_FOUND if there is no such
// archive, and with INVALID_INPUT if it is behind a link or is a stream.
enum wingback_status wingback_archive_lock(const struct wingback_archive *archive,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Starts to remove the lock of the archive. Result: wingback_task_lock. The errors are those of
// wingback_archive_lock.
enum wingback_status wingback_archive_unlock(const struct wingback_archive *archive,
                                             struct wingback_task **task,
                                             struct wingback_error **error);

// Writes the result of wingback_archive_lock or wingback_archive_unlock to `changed`: whether the task
// has changed anything. It is false if the archive had the lock already, or had none.
enum wingback_status wingback_task_lock(const struct wingback_task *task,
                                        bool *changed,
                                        struct wingback_error **error);

// Starts to list the members of the archive. Result: wingback_task_listing. `selection` has
// `count` paths or patterns. The list has the members that they match, and all members below
// those. If `count` is 0, it has all members.
enum wingback_status wingback_archive_list(const struct wingback_archive *archive,
                                           const struct wingback_bytes *selection,
                                           size_t count,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Starts to read the file `path` of the archive into memory. Result: wingback_task_file. The task
// fails with NO_SPACE if the file has more than `max` bytes.
enum wingback_status wingback_archive_read_file(const struct wingback_archive *archive,
                                                struct wingback_bytes path,
                                                uint64_t max,
                                                struct wingback_task **task,
                                                struct wingback_error **error);

// Starts to copy the file `path` of the archive to the descriptor `fd`. Result:
// wingback_task_file. The descriptor is duplicated: the caller keeps its own and may close it at
// once. The written bytes are known to be correct only after the task has succeeded.
enum wingback_status wingback_archive_copy_file(const struct wingback_archive *archive,
                                                struct wingback_bytes path,
                                                int fd,
                                                struct wingback_task **task,
                                                struct wingback_error **error);

// Frees the archive; running tasks go on. NULL is allowed.
void wingback_archive_free(struct wingback_archive *archive);

// Writes the result of wingback_archive_read_file or wingback_archive_copy_file: the member, and
// its content if it was read into memory. Pointers in both are valid until the task is freed.
// `member` and `content` may each be NULL.
enum wingback_status wingback_task_file(const struct wingback_task *task,
                                        struct wingback_member *member,
                                        struct wingback_bytes *content,
                                        struct wingback_error **error);

// Lends the result of wingback_archive_info. It is NULL if the archive has no index to use: another
// program made it, its end is missing or damaged, or it is a stream.
enum wingback_status wingback_task_info(const struct wingback_task *task,
                                        const struct wingback_info **info,
                                        struct wingback_error **error);

// Writes the identity to `summary`. Its pointers are valid until the task is freed.
enum wingback_status wingback_info_get(const struct wingback_info *info,
                                       struct wingback_info_summary *summary,
                                       struct wingback_error **error);

// Returns the number of tags; 0 for NULL.
size_t wingback_info_tag_count(const struct wingback_info *info);

// Writes the `key` and the `value` of the tag at `index`, counted from 0, as UTF-8. The bytes are valid
// until the task is freed.
enum wingback_status wingback_info_tag(const struct wingback_info *info,
                                       size_t index,
                                       struct wingback_bytes *key,
                                       struct wingback_bytes *value,
                                       struct wingback_error **error);

// Lends the result of wingback_archive_list.
enum wingback_status wingback_task_listing(const struct wingback_task *task,
                                           const struct wingback_listing **listing,
                                           struct wingback_error **error);

// Returns how the archive was read; INDEXED for NULL.
enum wingback_read_method wingback_listing_read_method(const struct wingback_listing *listing);

// Returns the number of members; 0 for NULL.
size_t wingback_listing_count(const struct wingback_listing *listing);

// Writes the member at `index`, counted from 0, to `member`. With an index the members are sorted
// by path; otherwise they have the order of the archive. The pointers are valid as long as the
// listing.
enum wingback_status wingback_listing_get(const struct wingback_listing *listing,
                                          size_t index,
                                          struct wingback_member *member,
                                          struct wingback_error **error);

// Returns the paths and patterns that matched nothing in the archive. NULL for NULL.
const struct wingback_notes *wingback_listing_unmatched(const struct wingback_listing *listing);

// Starts to compare the archive with the archive `after`. Result: wingback_task_differences. All
// differences are kept in memory. `options` may be NULL for the defaults. Two archives with an index are
// compared by the hashes in it.
enum wingback_status wingback_archive_diff(const struct wingback_archive *archive,
                                           const struct wingback_archive *after,
                                           const struct wingback_diff_options *options,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Starts to compare the archive with the directory `directory`. Result: wingback_task_differences. All
// differences are kept in memory. `options` may be NULL for the defaults. A file with the size and time
// of the archive counts as unchanged, unless the options say otherwise.
enum wingback_status wingback_archive_diff_directory(const struct wingback_archive *archive,
                                                     struct wingback_bytes directory,
                                                     const struct wingback_diff_options *options,
                                                     struct wingback_task **task,
                                                     struct wingback_error **error);

// Lends the result of wingback_archive_diff or wingback_archive_diff_directory.
enum wingback_status wingback_task_differences(const struct wingback_task *task,
                                               const struct wingback_differences **differences,
                                               struct wingback_error **error);

// Returns the number of differences; 0 for NULL.
size_t wingback_differences_count(const struct wingback_differences *differences);

// Writes the difference at `index`, counted from 0, to `difference`. They are in the order of paths.
enum wingback_status wingback_differences_get(const struct wingback_differences *differences,
                                              size_t index,
                                              struct wingback_difference *difference,
                                              struct wingback_error **error);

// Writes the member of the archive at the path of the difference at `index` to `member`. Its pointers are
// valid as long as the differences. NOT_FOUND if the path was added.
enum wingback_status wingback_differences_before(const struct wingback_differences *differences,
                                                 size_t index,
                                                 struct wingback_member *member,
                                                 struct wingback_error **error);

// Writes the member of the other archive, or the entry of the directory, at the path of the difference at
// `index` to `member`. Its pointers are valid as long as the differences. NOT_FOUND if the path was
// removed.
enum wingback_status wingback_differences_after(const struct wingback_differences *differences,
                                                size_t index,
                                                struct wingback_member *member,
                                                struct wingback_error **error);

// Writes the numbers of the comparison to `compared`.
enum wingback_status wingback_differences_compared(const struct wingback_differences *differences,
                                                   struct wingback_compared *compared,
                                                   struct wingback_error **error);

// Returns the paths of the directory that could not be read, and were not compared. NULL for NULL.
const struct wingback_notes *wingback_differences_skipped(const struct wingback_differences *differences);

// Returns the selected paths and patterns that matched nothing on both sides. NULL for NULL.
const struct wingback_notes *wingback_differences_unmatched(const struct wingback_differences *differences);

// Starts to search all archives in the store for files. Result: wingback_task_found. Only the indexes of
// the archives are read. `options` may be NULL for the defaults. The task fails with NO_SPACE if more
// members match than the limit allows.
enum wingback_status wingback_store_find(const struct wingback_store *store,
                                         const struct wingback_find_options *options,
                                         struct wingback_task **task,
                                         struct wingback_error **error);

// Lends the result of wingback_store_find.
enum wingback_status wingback_task_found(const struct wingback_task *task,
                                         const struct wingback_found **found,
                                         struct wingback_error **error);

// Writes the numbers of the search to `summary`.
enum wingback_status wingback_found_get(const struct wingback_found *found,
                                        struct wingback_found_summary *summary,
                                        struct wingback_error **error);

// Returns the number of versions; 0 for NULL.
size_t wingback_found_count(const struct wingback_found *found);

// Writes the version at `index`, counted from 0: its member in the newest archive to `member`, and the list
// of the archives that contain it to `archives`. Each may be NULL. The versions are in the order of their
// paths; of one path, the version in the newest archive comes first. The pointers are valid as long as the
// result.
enum wingback_status wingback_found_version(const struct wingback_found *found,
                                            size_t index,
                                            struct wingback_member *member,
                                            const struct wingback_archives **archives,
                                            struct wingback_error **error);

// Returns the archives that could not be searched, such as those without an index: a note with the name of
// the archive as its path, and the name of the status as its code. NULL for NULL.
const struct wingback_notes *wingback_found_unsearched(const struct wingback_found *found);

// Returns the selected paths and patterns that matched nothing in any archive. NULL for NULL.
const struct wingback_notes *wingback_found_unmatched(const struct wingback_found *found);

// Starts to check every checksum of the archive. Result: wingback_task_verified. Damage does not
// make the task fail; the result reports it. `options` may be NULL for the defaults.
enum wingback_status wingback_archive_verify(const struct wingback_archive *archive,
                                             const struct wingback_verify_options *options,
                                             struct wingback_task **task,
                                             struct wingback_error **error);

// Lends the result of wingback_archive_verify.
enum wingback_status wingback_task_verified(const struct wingback_task *task,
                                            const struct wingback_verified **verified,
                                            struct wingback_error **error);

// Writes the numbers of the check to `summary`.
enum wingback_status wingback_verified_get(const struct wingback_verified *verified,
                                           struct wingback_verified_summary *summary,
                                           struct wingback_error **error);

// Returns the damage: one note for each member that is lost, and one without a path for damage
// that costs no member. NULL for NULL.
const struct wingback_notes *wingback_verified_damage(const struct wingback_verified *verified);

// Returns the undamaged files; empty if nothing is damaged. NULL for NULL.
const struct wingback_notes *wingback_verified_whole_files(const struct wingback_verified *verified);

// Starts to check every checksum of the archives in the store, one after another. Result:
// wingback_task_verified_all. Damage does not make the task fail, and neither does an archive that cannot be
// read; the result reports both. `options` may be NULL for the defaults.
enum wingback_status wingback_store_verify(const struct wingback_store *store,
                                           const struct wingback_verify_all_options *options,
                                           struct wingback_task **task,
                                           struct wingback_error **error);

// Lends the result of wingback_store_verify.
enum wingback_status wingback_task_verified_all(const struct wingback_task *task,
                                                const struct wingback_verified_all **verified,
                                                struct wingback_error **error);

// Writes the numbers of the check to `summary`.
enum wingback_status wingback_verified_all_get(const struct wingback_verified_all *verified,
                                               struct wingback_verified_all_summary *summary,
                                               struct wingback_error **error);

// Returns the number of archives that were read now, or could not be; 0 for NULL.
size_t wingback_verified_all_count(const struct wingback_verified_all *verified);

// Writes the check at `index`, counted from 0, to `check`.
enum wingback_status wingback_verified_all_check(const struct wingback_verified_all *verified,
                                                 size_t index,
                                                 struct wingback_archive_check *check,
                                                 struct wingback_error **error);

// Returns the archives whose last check found damage, now or earlier: notes with the name of the archive as
// the path. NULL for NULL.
const struct wingback_notes *wingback_verified_all_damaged(const struct wingback_verified_all *verified);

// Begins to read the members of an archive, in the order of the archive.
enum wingback_status wingback_entries_open(const struct wingback_archive *archive,
                                           struct wingback_entries **entries,
                                           struct wingback_error **error);

// Writes the next member to `member`, or returns END after the last member of an undamaged
// archive. Unread content of the member before is skipped. The member's pointers are valid until
// the next call. Content is known to be correct only after END, because a checksum may follow the
// last file. After an error, each further call fails.
//
// Blocks until the member has been read.
enum wingback_status wingback_entries_next(struct wingback_entries *entries,
                                           struct wingback_member *member,
                                           struct wingback_error **error);

// Reads at most `capacity` bytes of the member's content into `buffer`, and writes their number to
// `read`: 0 at the end of the content, and for anything but a file. The buffer may have been
// written to even if the call fails.
//
// Blocks until bytes have been read.
enum wingback_status wingback_entries_read(struct wingback_entries *entries,
                                           void *buffer,
                                           size_t capacity,
                                           size_t *read,
                                           struct wingback_error **error);

// Asks the reader to stop. A call that blocks on another thread ends with CANCELLED. NULL is
// allowed.
void wingback_entries_cancel(const struct wingback_entries *entries);

// Frees the reader; it need not be at the end of the archive. NULL is allowed.
void wingback_entries_free(struct wingback_entries *entries);

// Creates the options for a restore of all members into `directory`, which is made if it does not
// exist.
enum wingback_status wingback_restore_new(struct wingback_bytes directory,
                                          struct wingback_restore **restore,
                                          struct wingback_error **error);

// If `deletes` is true, files that the archive does not have are removed, and
// wingback_restored_removed lists them. Files that the patterns of the backup had excluded stay. If
// the archive does not record its patterns because it has no index, the task fails with
// INVALID_INPUT. The default is false.
enum wingback_status wingback_restore_delete(struct wingback_restore *restore,
                                             bool deletes,
                                             struct wingback_error **error);

// If `delete_excluded` is true, wingback_restore_delete also removes archives of wingback, and files
// that the patterns of the backup had excluded: the directory gets exactly the tree of the archive.
// Alone it has no effect. The default is false.
enum wingback_status wingback_restore_delete_excluded(struct wingback_restore *restore,
                                                      bool delete_excluded,
                                                      struct wingback_error **error);

// Restores only the path `path_or_pattern` with everything beneath it, or the members that it
// matches as a pattern. With wingback_restore_delete, only files that it matches are removed. Calls
// add up. Patterns have the syntax of .gitignore. If one matches nothing in the archive, the task
// fails with INVALID_INPUT and changes nothing.
enum wingback_status wingback_restore_select(struct wingback_restore *restore,
                                             struct wingback_bytes path_or_pattern,
                                             struct wingback_error **error);

// If `dry_run` is true, the task reads the archive and the directory, and changes nothing. The
// result is the one that a restore would have. The default is false.
enum wingback_status wingback_restore_dry_run(struct wingback_restore *restore,
                                              bool dry_run,
                                              struct wingback_error **error);

// Keeps what `path_or_pattern` matches as it is: it is neither replaced nor removed. Calls add up.
// Patterns have the syntax of .gitignore. If one matches nothing in the directory, the task fails
// with INVALID_INPUT before anything is changed; if the directory is empty, that is a warning.
enum wingback_status wingback_restore_keep(struct wingback_restore *restore,
                                           struct wingback_bytes path_or_pattern,
                                           struct wingback_error **error);

// If `in_place` is true, the restore needs no space for a second copy of the files that differ.
// After the archive is verified, files are removed if wingback_restore_delete is set, and the
// archive is unpacked over the others. A failure or a kill after that leaves a part of the tree. It
// cannot be used with a stream. The default is false.
enum wingback_status wingback_restore_in_place(struct wingback_restore *restore,
                                               bool in_place,
                                               struct wingback_error **error);

// Unpacks into a new directory inside `directory` instead of one inside the target. It must be on
// the same file system as the target.
enum wingback_status wingback_restore_staging(struct wingback_restore *restore,
                                              struct wingback_bytes directory,
                                              struct wingback_error **error);

// Keeps the restore's record in `directory`. It must not be inside the target, and nobody else may
// be able to write to it. The default is $WINGBACK_STATE_DIR; else /var/lib/wingback for root;
// else $XDG_STATE_HOME/wingback or ~/.local/state/wingback. wingback_restore_recover and backups
// must use the same directory.
enum wingback_status wingback_restore_state_dir(struct wingback_restore *restore,
                                                struct wingback_bytes directory,
                                                struct wingback_error **error);

// Sets `sha1`, the SHA-1 of the archive, 20 bytes. If the archive has another one, the task fails
// with MISMATCH before anything is changed.
enum wingback_status wingback_restore_sha1(struct wingback_restore *restore,
                                           const uint8_t *sha1,
                                           struct wingback_error **error);

// Sets `options`: how members are written, and the limits for them.
enum wingback_status wingback_restore_options(struct wingback_restore *restore,
                                              const struct wingback_unpack_options *options,
                                              struct wingback_error **error);

// Starts the restore of `archive`. Result: wingback_task_restored. A cancel leaves the directory
// as it was, until the exchange of the trees begins; from then on the restore is finished.
enum wingback_status wingback_restore_start(const struct wingback_restore *restore,
                                            const struct wingback_archive *archive,
                                            struct wingback_task **task,
                                            struct wingback_error **error);

// Frees the options; running tasks go on. NULL is allowed.
void wingback_restore_free(struct wingback_restore *restore);

// Starts to finish or undo an interrupted restore of the directory. Result:
// wingback_task_recovered. Of the options, only the state directory is used. A new restore of the
// directory does this by itself.
enum wingback_status wingback_restore_recover(const struct wingback_restore *restore,
                                              struct wingback_task **task,
                                              struct wingback_error **error);

// Writes the result of wingback_restore_recover to `recovered`.
enum wingback_status wingback_task_recovered(const struct wingback_task *task,
                                             enum wingback_recovered *recovered,
                                             struct wingback_error **error);

// Lends the result of wingback_restore_start.
enum wingback_status wingback_task_restored(const struct wingback_task *task,
                                            const struct wingback_restored **restored,
                                            struct wingback_error **error);

// Writes the numbers of the restore to `summary`.
enum wingback_status wingback_restored_get(const struct wingback_restored *restored,
                                           struct wingback_restored_summary *summary,
                                           struct wingback_error **error);

// Returns the members that were not written, such as devices, with the reasons. NULL for NULL.
const struct wingback_notes *wingback_restored_skipped(const struct wingback_restored *restored);

// Returns the paths that were not in the directory before, each directory before its content. NULL
// for NULL.
const struct wingback_notes *wingback_restored_added(const struct wingback_restored *restored);

// Returns the paths of files, symlinks and others that were replaced. NULL for NULL.
const struct wingback_notes *wingback_restored_replaced(const struct wingback_restored *restored);

// Returns the paths that were removed, each directory after its content; empty without
// wingback_restore_delete. NULL for NULL.
const struct wingback_notes *wingback_restored_removed(const struct wingback_restored *restored);

// Returns warnings. NULL for NULL.
const struct wingback_notes *wingback_restored_warnings(const struct wingback_restored *restored);

// Creates the options for an extraction of all members into `directory`, which is made if it does
// not exist.
enum wingback_status wingback_extract_new(struct wingback_bytes directory,
                                          struct wingback_extract **extract,
                                          struct wingback_error **error);

// Extracts only members that `path_or_pattern` matches, with all members below them. Calls add up.
enum wingback_status wingback_extract_select(struct wingback_extract *extract,
                                             struct wingback_bytes path_or_pattern,
                                             struct wingback_error **error);

// If `overwrite` is true, existing files and symlinks are replaced, each atomically. The default
// is false.
enum wingback_status wingback_extract_overwrite(struct wingback_extract *extract,
                                                bool overwrite,
                                                struct wingback_error **error);

// If `salvage` is true, a damaged archive is extracted as far as possible. By default damage is an
// error.
enum wingback_status wingback_extract_salvage(struct wingback_extract *extract,
                                              bool salvage,
                                              struct wingback_error **error);

// Sets `sha1`, the SHA-1 of the archive, 20 bytes. If the archive has another one, the task fails
// with MISMATCH before anything is written. A stream is compared at its end, and the written files
// stay. It cannot be combined with wingback_extract_salvage.
enum wingback_status wingback_extract_sha1(struct wingback_extract *extract,
                                           const uint8_t *sha1,
                                           struct wingback_error **error);

// Sets `options`: how members are written, and the limits for them.
enum wingback_status wingback_extract_options(struct wingback_extract *extract,
                                              const struct wingback_unpack_options *options,
                                              struct wingback_error **error);

// Starts to extract `archive`. Result: wingback_task_extracted. If the task fails or is cancelled,
// complete files stay.
enum wingback_status wingback_extract_start(const struct wingback_extract *extract,
                                            const struct wingback_archive *archive,
                                            struct wingback_task **task,
                                            struct wingback_error **error);

// Frees the options; running tasks go on. NULL is allowed.
void wingback_extract_free(struct wingback_extract *extract);

// Lends the result of wingback_extract_start.
enum wingback_status wingback_task_extracted(const struct wingback_task *task,
                                             const struct wingback_extracted **extracted,
                                             struct wingback_error **error);

// Writes the numbers of the extraction to `summary`.
enum wingback_status wingback_extracted_get(const struct wingback_extracted *extracted,
                                            struct wingback_extracted_summary *summary,
                                            struct wingback_error **error);

// Returns the members that were not written, with the reasons. NULL for NULL.
const struct wingback_notes *wingback_extracted_skipped(const struct wingback_extracted *extracted);

// Returns the damage: one note for each member that is lost, and one without a path for damage
// that costs no member. It is empty unless wingback_extract_salvage was set. NULL for NULL.
const struct wingback_notes *wingback_extracted_damage(const struct wingback_extracted *extracted);

// Returns the paths and patterns that matched nothing in a damaged archive. In an undamaged
// archive that is an error. NULL for NULL.
const struct wingback_notes *wingback_extracted_unmatched(const struct wingback_extracted *extracted);

// Returns warnings. NULL for NULL.
const struct wingback_notes *wingback_extracted_warnings(const struct wingback_extracted *extracted);

// Reads requests from the descriptor `requests` and writes events to `events`, as the command
// `wingback worker` does. `streams` is a Unix socket of type SEQPACKET. docs/worker.md describes
// the protocol. At the end of the requests, running jobs are cancelled, and the worker waits up to
// 30 seconds for their end. It uses duplicates of the descriptors.
//
// Blocks until then.
enum wingback_status wingback_worker_run(int requests,
                                         int events,
                                         int streams,
                                         struct wingback_error **error);

// Sets `function` as the log function of the process, for messages of `level` and more important
// ones: the start and end of tasks, and failures that no call returns. It is called with
// `user_data`. NULL removes the function. After this call has returned, the earlier function is
// not called any more.
enum wingback_status wingback_log_set(enum wingback_log_level level,
                                      wingback_log_function function,
                                      void *user_data,
                                      struct wingback_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WINGBACK_H */
