//! The types that C knows by name only. Each is tied once to the Rust type behind it and to its
//! owner, so that a pointer of one type cannot be used as a pointer of another.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use crate::failure::{Failure, Result};

/// A type that C knows by name only.
pub(crate) trait Opaque: Sized {
    /// The type that its pointers point to. C may share it between threads, and free it on any.
    type Rust: Send + Sync;
    /// [`Owned`] or [`Borrowed`].
    type By;
}

/// C owns the object: it gets it once, and frees it once.
pub(crate) struct Owned;

/// The object is a part of one that C owns, and is freed with it.
pub(crate) struct Borrowed;

/// Number of objects that C owns now.
static LIVE_OBJECTS: AtomicUsize = AtomicUsize::new(0);

/// How long the last free waits for threads.
pub(crate) const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Gives an object to C.
pub(crate) fn give<C: Opaque<By = Owned>>(object: C::Rust) -> *mut C {
    LIVE_OBJECTS.fetch_add(1, SeqCst);
    Box::into_raw(Box::new(object)).cast()
}

/// Takes an object back from C. Returns `None` for NULL.
///
/// # Safety
///
/// `object` is NULL, or alive; and nothing uses it during this call or afterwards.
pub(crate) unsafe fn reclaim<C: Opaque<By = Owned>>(object: *mut C) -> Option<Reclaimed<C>> {
    if object.is_null() {
        return None;
    }
    // SAFETY: the caller promises that the pointer came from `give` and was not freed. `give` is the
    // only source of pointers to owned types, and it made this one with `Box::into_raw` from a box of
    // `C::Rust`.
    let object = unsafe { Box::from_raw(object.cast::<C::Rust>()) };
    Some(Reclaimed { object: Some(object), patience: JOIN_TIMEOUT, of: PhantomData })
}

/// An object that C has freed. When the last one is dropped, the engine's threads are joined.
pub(crate) struct Reclaimed<C: Opaque> {
    object: Option<Box<C::Rust>>,
    /// How long to wait for the threads.
    pub(crate) patience: Duration,
    of: PhantomData<C>,
}

impl<C: Opaque> Reclaimed<C> {
    pub(crate) fn get(&self) -> Option<&C::Rust> {
        self.object.as_deref()
    }
}

impl<C: Opaque> Drop for Reclaimed<C> {
    fn drop(&mut self) {
        drop(self.object.take());
        if LIVE_OBJECTS.fetch_sub(1, SeqCst) == 1 {
            wingback::join_threads(self.patience);
        }
    }
}

/// Lends C a part of an object, for as long as the object lives.
pub(crate) fn lend<C: Opaque<By = Borrowed>>(part: &C::Rust) -> *const C {
    (&raw const *part).cast()
}

/// Returns the object behind an argument, or an error for NULL.
///
/// # Safety
///
/// `object` is NULL, or alive until the end of `'a`.
pub(crate) unsafe fn get<'a, C: Opaque>(object: *const C, name: &str) -> Result<&'a C::Rust>
where
    C::Rust: 'a,
{
    // SAFETY: the caller promises that the pointer came from `give` or `lend`, and that the object is
    // not freed within `'a`. Both functions make pointers of type `C` only from a `C::Rust`.
    unsafe { object.cast::<C::Rust>().as_ref() }.ok_or_else(|| null(name))
}

pub(crate) fn null(name: &str) -> Failure {
    Failure::invalid(format!("{name} is NULL"))
}

/// The place for an output of a call. It is written on success only.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks an output argument; NULL is an error.
    ///
    /// # Safety
    ///
    /// `place` is NULL, or writable for as long as the `Out` exists.
    pub(crate) unsafe fn new(place: *mut T, name: &str) -> Result<Self> {
        if place.is_null() { Err(null(name)) } else { Ok(Out(place)) }
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: the caller of `Out::new` promised that the place is writable, and `new` refused
        // NULL.
        unsafe { self.0.write(value) };
    }
}

impl<C: Opaque<By = Owned>> Out<*mut C> {
    /// Gives C a new object.
    pub(crate) fn give(self, object: C::Rust) {
        self.set(give(object));
    }
}
