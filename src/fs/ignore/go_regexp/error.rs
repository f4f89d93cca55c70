//! The reasons why an expression is not translated.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fs::ignore) enum Untranslatable {
    /// Go does not compile it either.
    Invalid,
    /// Its meaning depends on the Unicode version of the Go release.
    UnicodeClass,
    /// It is nested too deeply.
    TooLarge,
}
