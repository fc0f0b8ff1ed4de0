//! Time is an argument: the core never asks a clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, for stamps that people and peers see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMs(pub u64);

/// What a caller knows about time when it hands an input to the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since an arbitrary start; only deadlines are made of it.
    pub mono: Duration,
    /// Wall clock; only stamps are made of it.
    pub wall: UnixMs,
}

impl UnixMs {
    /// This moment plus `by`, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixMs {
    /// XEP-0082 date-time in UTC, with milliseconds only when there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, in_day) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let (hour, minute, second, milli) =
            (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60, in_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if milli > 0 {
            write!(f, ".{milli:03}")?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day number counted from 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Count from 0000-03-01, so that the leap day is the last day of a "year".
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Day number since 1970-01-01 of a Gregorian date; `None` before 1970 or for a date that does not exist.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let y = year - u64::from(month <= 2);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let year_of_era = y % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (y / 400 * 146_097 + day_of_era).checked_sub(719_468)?;
    (civil(days) == (year, month, day)).then_some(days)
}

impl std::str::FromStr for UnixMs {
    type Err = InvalidStamp;

    /// XEP-0082 date-time (`2012-04-19T16:00:44.5+02:00`) or the older form of XEP-0091
    /// (`20120419T16:00:44`), which is taken as UTC.
    fn from_str(s: &str) -> Result<Self, InvalidStamp> {
        parse(s).ok_or(InvalidStamp)
    }
}

/// A stamp that is neither XEP-0082 nor XEP-0091.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidStamp;

impl fmt::Display for InvalidStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date-time of XEP-0082 or XEP-0091")
    }
}

impl std::error::Error for InvalidStamp {}

fn parse(s: &str) -> Option<UnixMs> {
    let (date, time) = s.split_once('T')?;
    let digits = |s: &str| -> Option<u64> { s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse().ok()).flatten() };
    let (year, month, day) = match date.len() {
        10 if date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-' => {
            (date.get(..4)?, date.get(5..7)?, date.get(8..)?)
        }
        8 => (date.get(..4)?, date.get(4..6)?, date.get(6..)?),
        _ => return None,
    };
    let days = days_from_civil(digits(year)?, digits(month)?, digits(day)?)?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    if whole.len() != 8 || whole.as_bytes()[2] != b':' || whole.as_bytes()[5] != b':' {
        return None;
    }
    let (h, m, sec) = (digits(whole.get(..2)?)?, digits(whole.get(3..5)?)?, digits(whole.get(6..)?)?);
    if h > 24 || m > 59 || sec > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, b| sum * 10 + u64::from(b - b'0'));
    let ms = ((days * 24 + h) * 60 + m) * 60_000 + sec * 1000 + millis;
    match zone {
        "" | "Z" => Some(UnixMs(ms)),
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let offset = (digits(hours)? * 60 + digits(minutes)?) * 60_000;
            if zone.starts_with('+') { ms.checked_sub(offset) } else { ms.checked_add(offset) }.map(UnixMs)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_round_trip_and_both_old_forms_are_read() {
        let stamp = UnixMs(1_334_851_244_000);
        assert_eq!(stamp.to_string(), "2012-04-19T16:00:44Z");
        assert_eq!("2012-04-19T16:00:44Z".parse(), Ok(stamp));
        assert_eq!("20120419T16:00:44".parse(), Ok(stamp), "XEP-0289 writes the form of XEP-0091");
        assert_eq!("2012-04-19T18:00:44.000+02:00".parse(), Ok(stamp));
        assert_eq!(UnixMs(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
        assert_eq!("2000-02-29T00:00:00.123Z".parse(), Ok(UnixMs(951_782_400_123)));
        for wrong in [
            "",
            "2001-02-29T00:00:00Z",
            "2012-04-19",
            "2012-13-01T00:00:00Z",
            "T",
            "é012-04-19T16:00:44Z",
            "2012-04-19T16:00:44+2",
        ] {
            assert_eq!(wrong.parse::<UnixMs>(), Err(InvalidStamp), "{wrong}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for day in 0..146_097 {
            let (y, m, d) = civil(day);
            assert_eq!(days_from_civil(y, m, d), Some(day));
        }
    }
}
