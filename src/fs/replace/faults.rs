//! Faults that a test plans for the changes of an exchange, on its own thread.

#[cfg(not(test))]
pub(super) fn check() -> Result<(), rustix::io::Errno> {
    Ok(())
}

#[cfg(test)]
pub(super) use planned::{Fault, check, count, plan};

#[cfg(test)]
mod planned {
    use std::cell::Cell;

    use rustix::io::Errno;

    /// The behavior of one change.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Fault {
        /// It fails.
        Fail(Errno),
        /// It does not happen, and neither does any later one, as if the process had been killed.
        Kill,
    }

    thread_local! {
        static PLAN: Cell<Option<(u32, Fault)>> = const { Cell::new(None) };
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }

    /// Starts to count the changes from 0, with a fault at the change of this number.
    pub(crate) fn plan(fault: Option<(u32, Fault)>) {
        PLAN.set(fault);
        COUNT.set(0);
    }

    /// Returns the number of changes since [`plan`].
    pub(crate) fn count() -> u32 {
        COUNT.get()
    }

    /// Counts a change. Fails if it must not happen.
    pub(crate) fn check() -> Result<(), Errno> {
        let n = COUNT.replace(COUNT.get() + 1);
        match PLAN.get() {
            Some((at, Fault::Fail(errno))) if n == at => Err(errno),
            Some((at, Fault::Kill)) if n >= at => Err(Errno::IO),
            _ => Ok(()),
        }
    }
}
