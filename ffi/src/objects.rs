//! `wingback_objects`: the objects in a store.

use wingback::Object;

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    error::wingback_error,
    failure::Failure,
    guard::guard,
    opaque::{self, Borrowed, Opaque},
    panics::infallible,
    record::{self, Record},
    task::{self, wingback_task},
};

/// The objects in a store, sorted by key. The list belongs to its task.
pub struct wingback_objects {
    _opaque: [u8; 0],
}

impl Opaque for wingback_objects {
    type Rust = Objects;
    type By = Borrowed;
}

pub(crate) struct Objects(Vec<Object>);

impl Objects {
    pub(crate) fn new(objects: Vec<Object>) -> Self {
        Objects(objects)
    }
}

/// An object in a store: an archive, or a file beside it such as a lock.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_object {
    /// sizeof(wingback_object).
    pub struct_size: usize,
    /// Its name. The bytes are valid as long as the list.
    pub key: wingback_bytes,
    /// Its size in bytes.
    pub size: u64,
    /// Time at which it became complete, in nanoseconds since 1970, if is_modified_known.
    pub modified_ns: i64,
    /// Whether the store knows that time.
    pub is_modified_known: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an integer or a boolean.
unsafe impl Record for wingback_object {}

/// Lends the result of wingback_store_list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_objects(
    task: *const wingback_task,
    objects: *mut *const wingback_objects,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `objects` and `error` are NULL
    // or writable.
    unsafe { task::lend_result(task, objects, "list of objects", error) }
}

/// Returns the number of objects; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_objects_count(objects: *const wingback_objects) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `objects` is NULL or alive.
        unsafe { opaque::get(objects, "objects") }.map_or(0, |objects| objects.0.len())
    })
}

/// Writes the object at `index`, counted from 0, to `object`. Its pointers are valid as long as
/// the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_objects_get(
    objects: *const wingback_objects,
    index: usize,
    object: *mut wingback_object,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `objects` is NULL or alive; `object` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let objects = &opaque::get(objects, "objects")?.0;
            let found =
                objects.get(index).ok_or_else(|| Failure::no_element(index, objects.len()))?;
            let key = wingback_bytes::lend(found.key.as_str().as_bytes());
            let modified_ns = found.modified_ns();
            let value = wingback_object {
                struct_size: 0,
                key,
                size: found.size,
                modified_ns: modified_ns.unwrap_or(0),
                is_modified_known: modified_ns.is_some(),
            };
            record::write(object, &value, "object")
        })
    }
}
