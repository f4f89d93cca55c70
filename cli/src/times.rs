//! Parses times and ages.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, Utc};

/// Parses an age: `90s`, `30m`, `12h`, `7d`, `4w`.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text:?} is not an age such as 12h, 7d or 4w");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(invalid()),
    };
    let number: u64 = digits.parse().map_err(|_| invalid())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(invalid)
}

/// Parses a time in UTC, such as `2026-11-30` or `2026-11-30T04:25:12Z`, or an age before now.
pub fn parse_since(text: &str) -> Result<SystemTime, String> {
    let invalid = || {
        format!(
            "{text:?} is not a time such as 2026-11-30 or 2026-11-30T04:25:12, or an age such as 7d"
        )
    };
    if let Ok(age) = parse_age(text) {
        return SystemTime::now().checked_sub(age).ok_or_else(invalid);
    }
    date_and_time(text).map(SystemTime::from).ok_or_else(invalid)
}

fn date_and_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let date: Vec<_> = date.split('-').collect();
    let [year, month, day] = date[..] else { return None };
    let [year, month, day] = [year.parse().ok()?, month.parse().ok()?, day.parse().ok()?];
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let mut time = time.split(':').map(|part| part.parse().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0))?);
    let time = date.and_hms_opt(hour, minute, second).filter(|_| time.next().is_none())?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn times_and_ages_are_parsed() {
        for (text, seconds) in [
            ("2026-11-30", 1_795_996_800),
            ("2026-11-30T04:25", 1_796_012_700),
            ("2026-11-30 04:25:12", 1_796_012_712),
            ("2026-11-30T04:25:12Z", 1_796_012_712),
        ] {
            assert_eq!(parse_since(text), Ok(UNIX_EPOCH + Duration::from_secs(seconds)), "{text}");
        }
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("12h", 43_200), ("4w", 2_419_200)] {
            assert_eq!(parse_age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        let day = Duration::from_secs(86_400);
        let before = SystemTime::now() - day;
        let since = parse_since("1d").unwrap();
        assert!((before..=SystemTime::now() - day).contains(&since));
        for text in [
            "",
            "x",
            "7",
            "d",
            "-1d",
            "7y",
            "2026-13-01",
            "2026-02-30",
            "2026-11",
            "2026-11-30T25:00",
            "2026-11-30T04",
            "2026-11-30T04:25:12:01",
            "99999999999999999999d",
            "9999999999999999999w",
        ] {
            assert!(parse_since(text).is_err(), "{text}");
        }
    }
}
