//! The types that C knows by name only: each tied once to the Rust type behind it and to who owns
//! that, so that a pointer cannot be taken for another's.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use crate::error::{Failure, Result};

/// A type that C knows by name only.
pub(crate) trait Opaque: Sized {
    /// What its pointers point to. C may share it between threads, and free it on any.
    type Rust: Send + Sync;
    /// [`Owned`] or [`Borrowed`].
    type By;
}

/// C owns it: it is handed out once, and freed once.
pub(crate) struct Owned;

/// It belongs to an object of C's, and goes with that.
pub(crate) struct Borrowed;

/// Objects that C owns now.
static OWNED: AtomicUsize = AtomicUsize::new(0);

/// How long the last free waits for threads.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Hands an object to C.
pub(crate) fn give<C: Opaque<By = Owned>>(object: C::Rust) -> *mut C {
    OWNED.fetch_add(1, SeqCst);
    Box::into_raw(Box::new(object)).cast()
}

/// Takes an object back from C. NULL is none.
///
/// # Safety
///
/// It is NULL, or came from [`give`] and was not taken back yet; nobody uses it any more.
pub(crate) unsafe fn take<C: Opaque<By = Owned>>(object: *mut C) -> Option<Taken<C>> {
    if object.is_null() {
        return None;
    }
    // SAFETY: it was made by `Box::into_raw` of this very type.
    let object = unsafe { Box::from_raw(object.cast::<C::Rust>()) };
    Some(Taken { object: Some(object), patience: PATIENCE, of: PhantomData })
}

/// An object that was taken back. With the last one go the engine's threads.
pub(crate) struct Taken<C: Opaque> {
    object: Option<Box<C::Rust>>,
    /// How long to wait for them.
    pub(crate) patience: Duration,
    of: PhantomData<C>,
}

impl<C: Opaque> Taken<C> {
    pub(crate) fn get(&self) -> Option<&C::Rust> {
        self.object.as_deref()
    }
}

impl<C: Opaque> Drop for Taken<C> {
    fn drop(&mut self) {
        drop(self.object.take());
        if OWNED.fetch_sub(1, SeqCst) == 1 {
            wingback::join_threads(self.patience);
        }
    }
}

/// Lends C a part of an object, for as long as that lives.
pub(crate) fn lend<C: Opaque<By = Borrowed>>(part: &C::Rust) -> *const C {
    (&raw const *part).cast()
}

/// What an argument points to; an error if it is NULL.
///
/// # Safety
///
/// It is NULL, or came from [`give`] or [`lend`] and was not freed, nor will be within `'a`.
pub(crate) unsafe fn get<'a, C: Opaque>(object: *const C, name: &str) -> Result<&'a C::Rust>
where
    C::Rust: 'a,
{
    // SAFETY: it points to this very type.
    unsafe { object.cast::<C::Rust>().as_ref() }.ok_or_else(|| null(name))
}

/// The place for a result; an error if it is NULL.
pub(crate) fn out<T>(place: *mut T, name: &str) -> Result<Out<T>> {
    if place.is_null() { Err(null(name)) } else { Ok(Out(place)) }
}

pub(crate) fn null(name: &str) -> Failure {
    Failure::invalid(format!("{name} is NULL"))
}

/// A place for a result, which is written on success only.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    ///
    /// It may be written to.
    pub(crate) unsafe fn set(self, value: T) {
        // SAFETY: the caller says so.
        unsafe { self.0.write(value) };
    }
}

impl<C: Opaque<By = Owned>> Out<*mut C> {
    /// Hands a new object over there.
    ///
    /// # Safety
    ///
    /// It may be written to.
    pub(crate) unsafe fn give(self, object: C::Rust) {
        // SAFETY: the caller says so.
        unsafe { self.set(give(object)) };
    }
}
