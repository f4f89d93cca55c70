//! Speed limits that the other side creates by number. Jobs share them.

use std::{collections::HashMap, sync::Mutex};

use wingback::{Error, ErrorKind, Limiter, Result};

use crate::lock::lock;

#[derive(Debug, Default)]
pub(crate) struct Limits(Mutex<HashMap<u64, Limiter>>);

impl Limits {
    /// Creates a limit, or changes it.
    pub(crate) fn set(&self, number: u64, bytes_per_second: u64) {
        lock(&self.0).entry(number).or_default().set_rate(bytes_per_second);
    }

    /// Forgets a limit. Jobs that use it keep it.
    pub(crate) fn remove(&self, number: u64) {
        lock(&self.0).remove(&number);
    }

    /// Returns the limit of a number. Without a number there is no limit.
    pub(crate) fn get(&self, number: Option<u64>) -> Result<Limiter> {
        let Some(number) = number else { return Ok(Limiter::default()) };
        lock(&self.0).get(&number).cloned().ok_or_else(|| {
            let error = Error::new(ErrorKind::InvalidInput, "use the limit");
            error.caused_by(format!("there is no limit with the number {number}"))
        })
    }
}
