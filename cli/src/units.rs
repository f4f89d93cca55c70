//! Parses and formats sizes, numbers and times for people.

use std::time::Duration;

use chrono::DateTime;

/// Parses `20M`, `1.5GiB`, `300kB`, `4096`, with or without `/s`. As in GNU tools, `K` and `KiB` are
/// 1024, and `kB` is 1000.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let invalid = || format!("{text:?} is not a size such as 500k, 20MiB or 1.5G");
    let size = text.trim().trim_end_matches("/s");
    let split = size.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(size.len());
    let (number, unit) = size.split_at(split);
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let unit = unit.trim();
    let mut letters = unit.chars();
    let power = match letters.next().map(|c| c.to_ascii_lowercase()) {
        None | Some('b') => 0,
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some(_) => return Err(invalid()),
    };
    let base: f64 = match (power, letters.as_str()) {
        (0, "") => 1.0,
        (1.., "B" | "b") => 1000.0,
        (1.., "" | "iB" | "ib") => 1024.0,
        _ => return Err(invalid()),
    };
    let bytes = number * base.powi(power);
    if bytes > u64::MAX as f64 { Err(invalid()) } else { Ok(bytes.round() as u64) }
}

/// Parses `10%`, `2.5%` or `10`: more than 0, and at most 100.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let is_share = |percent: &f64| *percent > 0.0 && *percent <= 100.0;
    number.filter(is_share).ok_or_else(|| format!("{text:?} is not a share such as 10%"))
}

/// Formats a size: `512 B`, `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// Formats a number: `1 234 567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Formats a number and a noun: `1 file`, `2 directories`.
pub fn plural(n: u64, noun: &str) -> String {
    let noun = match (n, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) => format!("{noun}s"),
    };
    format!("{} {noun}", count(n))
}

/// Formats what an archive has: `2 files, 1 directory, 0 symlinks, 1.5 MiB`.
pub fn contents(files: u64, directories: u64, symlinks: u64, bytes: u64) -> String {
    let [files, directories, symlinks] =
        [(files, "file"), (directories, "directory"), (symlinks, "symlink")]
            .map(|(n, noun)| plural(n, noun));
    format!("{files}, {directories}, {symlinks}, {}", size(bytes))
}

/// Formats a duration in whole seconds: `0:07`, `12:34`, `1:02:03`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Formats nanoseconds since 1970 in UTC: `2026-11-23 08:26:31`.
pub fn timestamp(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Formats nanoseconds since 1970 in UTC by RFC 3339: `2026-11-23T08:26:31Z`.
pub fn rfc3339(ns: i64) -> String {
    format!("{}Z", timestamp(ns).replace(' ', "T"))
}

/// Quotes bytes for a shell, if they need it.
pub fn shell_word(bytes: &[u8]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) => {
            text.to_owned()
        }
        Ok(text) if !text.chars().any(char::is_control) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        // Bash, zsh, ksh and the newest POSIX have this form.
        _ => {
            let escaped = bytes.iter().map(|&byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(byte)),
                0x20..0x7f => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("$'{}'", escaped.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_as_gnu_tools_do() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1K", 1024),
            ("1kB", 1000),
            ("20M", 20 << 20),
            ("20 MiB/s", 20 << 20),
            ("1.5G", 3 << 29),
            ("7b", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-1", "1X", "1MM", "1 M B", "1e400", "99999999999999T", "."] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for bytes in [&b"world/level.dat"[..], b"a b", b"it's", b"", b"$HOME", b"-r", b"\xff\n\\'1"]
        {
            let script = format!("printf %s {}", shell_word(bytes));
            let ran = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            let found = if bytes == b"-r" { b"-r" } else { &*ran.stdout };
            assert_eq!(found, bytes, "{script}");
        }
        assert_eq!(shell_word(b"world/level.dat"), "world/level.dat");
    }

    #[test]
    fn a_share_is_a_percentage_over_zero() {
        assert_eq!([parse_percent("10%"), parse_percent("2.5")], [Ok(10.0), Ok(2.5)]);
        for text in ["", "%", "0%", "101%", "-1", "NaN", "x"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_formatted_for_people() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(3 << 19), "1.5 MiB");
        assert_eq!(clock(Duration::from_millis(6_900)), "0:07");
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(count(1), "1");
        assert_eq!(plural(1, "directory"), "1 directory");
        assert_eq!(plural(2, "directory"), "2 directories");
        assert_eq!(plural(1000, "file"), "1 000 files");
        assert_eq!(timestamp(1_763_886_391_999_999_999), "2025-11-23 08:26:31");
        assert_eq!(timestamp(-1), "1969-12-31 23:59:59");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(count(1_234_567), "1 234 567");
    }
}
