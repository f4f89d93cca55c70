//! Sizes in error messages.

use std::fmt;

/// A size in bytes. `Display` adds MiB: `1234567 bytes (1.2 MiB)`.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size(bytes) = *self;
        match bytes {
            0..0x10_0000 => write!(f, "{bytes} bytes"),
            _ => write!(f, "{bytes} bytes ({:.1} MiB)", bytes as f64 / f64::from(1 << 20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_bytes_and_mib() {
        assert_eq!(Size(1_048_575).to_string(), "1048575 bytes");
        assert_eq!(Size(3 << 19).to_string(), "1572864 bytes (1.5 MiB)");
    }
}
