//! `wingback_retention` and `wingback_plan`: which archives of a store to keep.

use std::{mem::MaybeUninit, time::SystemTime};

use wingback::{ArchiveGroup, Archives, PlannedArchive, Retention, Verdict};

use crate::{
    archive::wingback_archive,
    archives::{StoredArchives, wingback_archives},
    bytes::{slice, wingback_bytes},
    enums::{wingback_group_by, wingback_status, wingback_verdict},
    error::wingback_error,
    failure::{Failure, Result},
    from_c::FromC,
    guard::guard,
    opaque::{self, Borrowed, Opaque, Out, lend},
    panics::infallible,
    record::{self, Record},
    store::wingback_store,
    task::{self, wingback_task},
};

/// A tag, as wingback_backup_tag adds it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_tag {
    /// Its key, as UTF-8.
    pub key: wingback_bytes,
    /// Its value, as UTF-8.
    pub value: wingback_bytes,
}

/// Rules for which archives to keep. Zero in each field is its default. The archives are divided into
/// groups, and the rules apply to each group by itself. An archive is kept if one of them keeps it; without
/// rules all are kept. The newest good archive of each group and archives with a lock are always kept. An
/// archive is good if it is whole and not suspicious.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_retention {
    /// sizeof(wingback_retention).
    pub struct_size: usize,
    /// Keep the last so many archives.
    pub last: u32,
    /// Keep the newest archive of each of the last so many hours that have one. All periods are in UTC.
    pub hourly: u32,
    /// The same for days.
    pub daily: u32,
    /// The same for weeks, which begin on Monday.
    pub weekly: u32,
    /// The same for months.
    pub monthly: u32,
    /// The same for years.
    pub yearly: u32,
    /// Keep archives that are at most so many nanoseconds older than the newest good one of their group.
    pub within_ns: u64,
    /// Keep archives with one of these tags.
    pub keep_tags: *const wingback_tag,
    /// Their number.
    pub keep_tag_count: usize,
    /// Remove the oldest archives of all groups until the kept ones have at most so many bytes together; 0
    /// means no limit.
    pub max_bytes: u64,
    /// What the archives of one group have in common.
    pub group_by: MaybeUninit<wingback_group_by>,
    /// Not 0: the rules also apply to archives without a label, as one more group.
    pub unidentified: u32,
    /// Only archives with this label; empty for all archives.
    pub label: wingback_bytes,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer, a nullable pointer, a pointer with its length or a `MaybeUninit`.
unsafe impl Record for wingback_retention {}

impl wingback_retention {
    /// Reads the rules, and the label of the archives.
    ///
    /// # Safety
    ///
    /// `retention` is NULL, or readable for its `struct_size`. Its tags are readable.
    unsafe fn read(retention: *const Self) -> Result<(Retention, Archives)> {
        // SAFETY: the caller makes the promise that `read` asks for.
        let given = unsafe { record::read(retention, "retention") }?;
        let mut rules = Retention::new()
            .last(given.last as usize)
            .hourly(given.hourly as usize)
            .daily(given.daily as usize)
            .weekly(given.weekly as usize)
            .monthly(given.monthly as usize)
            .yearly(given.yearly as usize)
            .within(std::time::Duration::from_nanos(given.within_ns))
            .unidentified(given.unidentified != 0)
            .group_by(wingback_group_by::read(given.group_by, "retention->group_by")?.into());
        if given.max_bytes > 0 {
            rules = rules.max_bytes(given.max_bytes);
        }
        // SAFETY: the caller promises that the tags and the label are readable.
        unsafe {
            for tag in slice(given.keep_tags, given.keep_tag_count, "retention->keep_tags")? {
                rules = rules.keep_tag(tag.key.text("key")?, tag.value.text("value")?);
            }
            let archives = match given.label.get("retention->label")? {
                b"" => Archives::new(),
                label => Archives::new().label(label),
            };
            Ok((rules, archives))
        }
    }
}

/// The verdicts on the archives in a store, in groups. It belongs to its task.
pub struct wingback_plan {
    _opaque: [u8; 0],
}

impl Opaque for wingback_plan {
    type Rust = Plan;
    type By = Borrowed;
}

pub(crate) struct Plan(Vec<Group>);

struct Group {
    label: Vec<u8>,
    host: String,
    is_unidentified: bool,
    archives: StoredArchives,
    verdicts: Vec<(Verdict, bool)>,
}

impl From<ArchiveGroup> for Group {
    fn from(group: ArchiveGroup) -> Self {
        let verdict = |planned: &PlannedArchive| (planned.verdict, planned.is_suspicious);
        Group {
            label: group.label.unwrap_or_default(),
            host: group.host.unwrap_or_default(),
            is_unidentified: group.is_unidentified,
            verdicts: group.archives.iter().map(verdict).collect(),
            archives: group.archives.into_iter().map(|planned| planned.archive.into()).collect(),
        }
    }
}

impl Plan {
    fn get(&self, group: usize) -> Result<&Group> {
        self.0.get(group).ok_or_else(|| Failure::no_element(group, self.0.len()))
    }
}

/// Archives to which the rules apply together.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_archive_group {
    /// sizeof(wingback_archive_group).
    pub struct_size: usize,
    /// Their label; empty if they are not grouped by it, or have none. The bytes are valid as long as the
    /// plan.
    pub label: wingback_bytes,
    /// Their host as UTF-8; empty if they are not grouped by it, or do not have it. The bytes are valid as
    /// long as the plan.
    pub host: wingback_bytes,
    /// The archives, newest first. The list is valid as long as the plan.
    pub archives: *const wingback_archives,
    /// Whether these are the archives without a label.
    pub is_unidentified: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, a nullable pointer or a bool.
unsafe impl Record for wingback_archive_group {}

/// The verdict on an archive.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_planned_archive {
    /// sizeof(wingback_planned_archive).
    pub struct_size: usize,
    /// The reason to keep the archive, as a word for programs such as "newest"; docs/command.md lists the
    /// words. It is empty if the verdict is not KEEP. The bytes are always valid.
    pub reason: wingback_bytes,
    /// The verdict.
    pub verdict: wingback_verdict,
    /// Whether the archive has no members, or less than a tenth of the content of the last archive before it
    /// that has any. The source may have been lost.
    pub is_suspicious: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an enumeration that has the value 0 or a bool.
unsafe impl Record for wingback_planned_archive {}

/// Starts to list the archives in the store, and to apply the rules to them. It removes nothing. Result:
/// wingback_task_plan. `retention` may be NULL for no rules. wingback_archive_remove removes an archive with
/// the verdict REMOVE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_plan(
    store: *const wingback_store,
    retention: *const wingback_retention,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `retention` is NULL or readable for
    // its `struct_size`, and its tags are readable; `task` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let store = opaque::get(store, "store")?.open();
            let (rules, archives) = wingback_retention::read(retention)?;
            let plan = move |archives| {
                let groups = rules.plan(archives, SystemTime::now());
                Plan(groups.into_iter().map(Group::from).collect())
            };
            task::start("plan a retention", archives.start(store), out, plan)
        })
    }
}

/// Lends the result of wingback_store_plan.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_plan(
    task: *const wingback_task,
    plan: *mut *const wingback_plan,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `plan` and `error` are NULL or
    // writable.
    unsafe { task::lend_result(task, plan, "plan", error) }
}

/// Returns the number of groups; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_plan_count(plan: *const wingback_plan) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `plan` is NULL or alive.
        unsafe { opaque::get(plan, "plan") }.map_or(0, |plan| plan.0.len())
    })
}

/// Writes the group at `index`, counted from 0, to `group`. The groups are in the order of their labels and
/// hosts, and the archives without a label come last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_plan_group(
    plan: *const wingback_plan,
    index: usize,
    group: *mut wingback_archive_group,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `plan` is NULL or alive; `group` is NULL or writable for its
    // `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let found = opaque::get(plan, "plan")?.get(index)?;
            let value = wingback_archive_group {
                struct_size: 0,
                label: wingback_bytes::lend(&found.label),
                host: wingback_bytes::lend(found.host.as_bytes()),
                archives: lend(&found.archives),
                is_unidentified: found.is_unidentified,
            };
            record::write(group, &value, "group")
        })
    }
}

/// Writes the verdict on the archive at `index` of the list of the group at `group` to `planned`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_plan_verdict(
    plan: *const wingback_plan,
    group: usize,
    index: usize,
    planned: *mut wingback_planned_archive,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `plan` is NULL or alive; `planned` is NULL or writable for its
    // `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let verdicts = &opaque::get(plan, "plan")?.get(group)?.verdicts;
            let found = verdicts.get(index);
            let (verdict, is_suspicious) =
                *found.ok_or_else(|| Failure::no_element(index, verdicts.len()))?;
            let reason = match verdict {
                Verdict::Keep(reason) => reason.code(),
                _ => "",
            };
            let value = wingback_planned_archive {
                struct_size: 0,
                reason: wingback_bytes::lend(reason.as_bytes()),
                verdict: verdict.into(),
                is_suspicious,
            };
            record::write(planned, &value, "planned")
        })
    }
}

/// Starts to remove the archive from its store, unless it has a lock. Result: wingback_task_removed. An
/// archive that does not exist counts as removed. The task fails with INVALID_INPUT if the archive is behind
/// a link or is a stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_remove(
    archive: *const wingback_archive,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive, and `task` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let archive = opaque::get(archive, "archive")?.open()?;
            task::start("remove an archive", archive.remove(), out, RemoveResult)
        })
    }
}

/// Writes the result of wingback_archive_remove to `removed`: false if the archive has a lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_removed(
    task: *const wingback_task,
    removed: *mut bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `removed` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(removed, "removed")?;
            let RemoveResult(removed) = task::result(task, "removal")?;
            out.set(*removed);
            Ok(())
        })
    }
}

/// The result of a task: whether the archive has been removed.
struct RemoveResult(bool);
