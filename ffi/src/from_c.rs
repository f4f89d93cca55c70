//! Enumerations that C passes as arguments. C may pass any number in them, so each number is checked.

use std::mem::MaybeUninit;

use crate::{
    enums::{
        wingback_encoder, wingback_ignore_file, wingback_level, wingback_log_level, wingback_owner,
        wingback_profile, wingback_rules,
    },
    failure::{Failure, Result},
};

/// An enumeration that C may pass.
///
/// # Safety
///
/// The type is `repr(i32)`, and so has the size and the alignment of an `i32`.
pub(crate) unsafe trait FromC: Copy + 'static {
    /// All values of the enumeration.
    const ALL: &'static [Self];

    /// Returns the value for a number from C, or an error if there is none.
    fn read(argument: MaybeUninit<Self>, name: &str) -> Result<Self> {
        // SAFETY: the implementor promises `repr(i32)`. C passes an initialized `int32_t`, and every
        // bit pattern is an `i32`.
        let given = unsafe { argument.as_ptr().cast::<i32>().read() };
        // SAFETY: the implementor promises `repr(i32)`, so a value is an initialized `i32`.
        let number = |value: &Self| unsafe { (&raw const *value).cast::<i32>().read() };
        let found = Self::ALL.iter().find(|value| number(value) == given);
        found.copied().ok_or_else(|| Failure::invalid(format!("{name} has no value {given}")))
    }
}

// SAFETY: `wingback_level` is declared `repr(i32)`.
unsafe impl FromC for wingback_level {
    const ALL: &'static [Self] = &[Self::None, Self::Fast, Self::Best];
}

// SAFETY: `wingback_encoder` is declared `repr(i32)`.
unsafe impl FromC for wingback_encoder {
    const ALL: &'static [Self] = &[Self::Wingback, Self::IsaL];
}

// SAFETY: `wingback_rules` is declared `repr(i32)`.
unsafe impl FromC for wingback_rules {
    const ALL: &'static [Self] = &[Self::Git, Self::Wings];
}

// SAFETY: `wingback_ignore_file` is declared `repr(i32)`.
unsafe impl FromC for wingback_ignore_file {
    const ALL: &'static [Self] = &[Self::Merge, Self::Replace, Self::None];
}

// SAFETY: `wingback_profile` is declared `repr(i32)`.
unsafe impl FromC for wingback_profile {
    const ALL: &'static [Self] = &[Self::Full, Self::Wings];
}

// SAFETY: `wingback_owner` is declared `repr(i32)`.
unsafe impl FromC for wingback_owner {
    const ALL: &'static [Self] = &[Self::Keep, Self::Fixed, Self::FromArchive];
}

// SAFETY: `wingback_log_level` is declared `repr(i32)`.
unsafe impl FromC for wingback_log_level {
    const ALL: &'static [Self] = &[Self::Error, Self::Warning, Self::Info];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_from_c_is_a_value_or_an_error() {
        let read = |number: i32| {
            let mut argument = MaybeUninit::<wingback_level>::uninit();
            // SAFETY: `wingback_level` has the size of an `i32`, and the variable is the test's own.
            unsafe { argument.as_mut_ptr().cast::<i32>().write(number) };
            wingback_level::read(argument, "level").ok()
        };
        assert_eq!(read(2), Some(wingback_level::Best));
        assert_eq!((read(3), read(-1), read(i32::MAX)), (None, None, None));
    }
}
