//! Times as dates in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time in UTC, in the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Utc {
    pub(crate) year: i64,
    /// From 1 to 12.
    pub(crate) month: i64,
    /// From 1 to 31.
    pub(crate) day: i64,
    /// Seconds since the start of the day.
    pub(crate) seconds: i64,
    /// Days since 1970.
    pub(crate) days: i64,
}

impl Utc {
    pub(crate) fn of(time: SystemTime) -> Self {
        let seconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_secs().cast_signed(),
            Err(before) => {
                let before = before.duration();
                -before.as_secs().cast_signed() - i64::from(before.subsec_nanos() > 0)
            }
        };
        let days = seconds.div_euclid(86_400);
        // Years that begin on 1 March, in eras of 400 years. The leap day is then the last day of a year.
        let from_march = days + 719_468;
        let (era, of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Utc {
            year: year + 400 * era + i64::from(month <= 2),
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            seconds: seconds.rem_euclid(86_400),
            days,
        }
    }

    /// Returns the date as `2026-11-30`.
    pub(crate) fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// Returns the time of the day as `042512`.
    pub(crate) fn time(self) -> String {
        let (hours, minutes) = (self.seconds / 3600, self.seconds / 60 % 60);
        format!("{hours:02}{minutes:02}{:02}", self.seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date, time) in [
            (0, "1970-01-01", "000000"),
            (951_782_399, "2000-02-28", "235959"),
            (951_782_400, "2000-02-29", "000000"),
            (1_796_012_712, "2026-11-30", "042512"),
            (4_107_542_400, "2100-03-01", "000000"),
        ] {
            let utc = Utc::of(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!((&*utc.date(), &*utc.time()), (date, time));
        }
        let before = |time| Utc::of(UNIX_EPOCH - time);
        let last = before(Duration::from_nanos(1));
        assert_eq!((&*last.date(), &*last.time(), last.days), ("1969-12-31", "235959", -1));
        assert_eq!(before(Duration::from_secs(2_203_891_200)).date(), "1900-03-01");
    }
}
