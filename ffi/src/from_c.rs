//! Enumerations that C passes as arguments. C may pass any number in them, so each number is checked.

use std::{ffi::c_int, mem::MaybeUninit};

use crate::{
    enums::{
        wingback_encoder, wingback_group_by, wingback_ignore_file, wingback_level,
        wingback_log_level, wingback_owner, wingback_profile, wingback_rules,
    },
    failure::{Failure, Result},
};

/// An enumeration that C may pass.
///
/// # Safety
///
/// The type is an enumeration with `repr(C)`. It then has the representation of an enumeration in C.
pub(crate) unsafe trait FromC: Copy + 'static {
    /// All values of the enumeration.
    const ALL: &'static [Self];

    /// Returns the value for a number from C, or an error if there is none.
    fn read(argument: MaybeUninit<Self>, name: &str) -> Result<Self> {
        const {
            assert!(
                size_of::<Self>() == size_of::<c_int>()
                    && align_of::<Self>() == align_of::<c_int>()
            )
        };
        // SAFETY: the type has the size and the alignment of a `c_int`. C passes an initialized
        // number, and every bit pattern is a `c_int`.
        let given = unsafe { argument.as_ptr().cast::<c_int>().read() };
        // SAFETY: the same. The implementor promises an enumeration, which has no padding.
        let number = |value: &Self| unsafe { (&raw const *value).cast::<c_int>().read() };
        let found = Self::ALL.iter().find(|value| number(value) == given);
        found.copied().ok_or_else(|| Failure::invalid(format!("{name} has no value {given}")))
    }
}

// SAFETY: `wingback_level` is declared `repr(C)`.
unsafe impl FromC for wingback_level {
    const ALL: &'static [Self] = &[Self::None, Self::Fast, Self::Best];
}

// SAFETY: `wingback_encoder` is declared `repr(C)`.
unsafe impl FromC for wingback_encoder {
    const ALL: &'static [Self] = &[Self::Wingback, Self::IsaL];
}

// SAFETY: `wingback_rules` is declared `repr(C)`.
unsafe impl FromC for wingback_rules {
    const ALL: &'static [Self] = &[Self::Git, Self::Wings];
}

// SAFETY: `wingback_ignore_file` is declared `repr(C)`.
unsafe impl FromC for wingback_ignore_file {
    const ALL: &'static [Self] = &[Self::Merge, Self::Replace, Self::None];
}

// SAFETY: `wingback_profile` is declared `repr(C)`.
unsafe impl FromC for wingback_profile {
    const ALL: &'static [Self] = &[Self::Full, Self::Wings];
}

// SAFETY: `wingback_owner` is declared `repr(C)`.
unsafe impl FromC for wingback_owner {
    const ALL: &'static [Self] = &[Self::Default, Self::Fixed, Self::FromArchive, Self::Keep];
}

// SAFETY: `wingback_group_by` is declared `repr(C)`.
unsafe impl FromC for wingback_group_by {
    const ALL: &'static [Self] = &[Self::LabelAndHost, Self::Label, Self::None];
}

// SAFETY: `wingback_log_level` is declared `repr(C)`.
unsafe impl FromC for wingback_log_level {
    const ALL: &'static [Self] = &[Self::Error, Self::Warning, Self::Info];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_from_c_is_a_value_or_an_error() {
        let read = |number: c_int| {
            let mut argument = MaybeUninit::<wingback_level>::uninit();
            // SAFETY: `wingback_level` has the size of a `c_int`, and the variable is the test's own.
            unsafe { argument.as_mut_ptr().cast::<c_int>().write(number) };
            wingback_level::read(argument, "level").ok()
        };
        assert_eq!(read(2), Some(wingback_level::Best));
        assert_eq!((read(3), read(-1), read(c_int::MAX)), (None, None, None));
    }
}
