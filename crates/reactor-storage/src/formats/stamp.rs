//! Times as logs write them.

/// What makes a time of a log a moment: its year and its zone, where it has none. The default knows neither.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Microseconds since 1970: a stamp without a year is from the last year in which it is not later than this, and not a day later. `None` =
    /// such a stamp says nothing.
    pub latest_us: Option<u64>,
    /// Seconds since 1970 in UTC, of seconds since 1970 as the clocks on the wall there count them.
    pub to_utc: fn(i64) -> i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { latest_us: None, to_utc: |local| local }
    }
}

/// A day and a time of it. Each part is in its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: Option<i64>,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) seconds: u32,
    pub(super) micros: u32,
    /// Seconds that the clocks there are ahead of UTC; `None` = it does not say.
    pub(super) ahead: Option<i32>,
}

const DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

impl Clock {
    /// The moment, in microseconds since 1970.
    pub(super) fn moment(&self, civil: Civil) -> Option<u64> {
        let at = |year| {
            let days = days(year, civil.month, civil.day)?;
            let local = days * DAY + i64::from(civil.seconds);
            let utc = civil.ahead.map_or_else(|| (self.to_utc)(local), |ahead| local - i64::from(ahead));
            u64::try_from(utc.checked_mul(MICROS)?.checked_add(i64::from(civil.micros))?).ok()
        };
        if let Some(year) = civil.year {
            return at(year);
        }
        let latest = self.latest_us?;
        let (year, ..) = date(i64::try_from(latest).ok()? / MICROS / DAY);
        // A 29 February is in one year of eight at least.
        let years = (year - 8..=year + 1).rev();
        years.filter_map(at).find(|moment| *moment <= latest.saturating_add((DAY * MICROS) as u64))
    }
}

/// Days since 1970-01-01 of a day of the Gregorian calendar; `None` = there is no such day.
fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    // Years that begin in March: the leap day is their last.
    let (year, month) = if month > 2 { (year, i64::from(month) - 3) } else { (year - 1, i64::from(month) + 9) };
    let in_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    Some(year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468)
}

/// Year, month and day of days since 1970-01-01.
fn date(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let in_era = days.rem_euclid(146_097);
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let narrow = |part: i64| u8::try_from(part).unwrap_or(0);
    (year + era * 400 + next, narrow(month), narrow(day))
}

/// A moment as RFC 3339 writes it, in UTC with microseconds: `2026-11-29T20:00:01.000000Z`.
pub fn rfc3339(wall_us: u64) -> String {
    let (seconds, micros) = (wall_us / 1_000_000, wall_us % 1_000_000);
    let (year, month, day) = date((seconds / 86_400) as i64);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Seconds with a fraction, `12.345678`, in microseconds.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.trim().split_once('.')?;
    let whole: u64 = digits(whole)?;
    whole.checked_mul(1_000_000)?.checked_add(u64::from(micros(fraction)?))
}

/// The digits behind a decimal sign, of which six count.
pub(super) fn micros(fraction: &str) -> Option<u32> {
    digits::<u64>(fraction.get(..fraction.len().min(18))?)?;
    let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
    digits(&six)
}

/// A number of nothing but digits: no sign.
pub(super) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The number of a month of three letters.
pub(super) fn month(word: &str) -> Option<u8> {
    MONTHS.iter().position(|name| *name == word).and_then(|at| u8::try_from(at + 1).ok())
}

/// Whether it is a day of the week, of three letters.
pub(super) fn is_weekday(word: &str) -> bool {
    WEEKDAYS.contains(&word)
}

/// `20:00`, `20:00:01`, `20:00:01.123456`, with a comma for the point, too: seconds of the day, and microseconds.
pub(super) fn time(text: &str) -> Option<(u32, u32)> {
    let (text, micros) = match text.find(['.', ',']) {
        Some(at) => (&text[..at], micros(&text[at + 1..])?),
        None => (text, 0),
    };
    let mut parts = text.split(':');
    let mut part = |below| parts.next().and_then(digits::<u32>).filter(|part| *part < below);
    let (hour, minute) = (part(24)?, part(60)?);
    // A second 60 is a leap second.
    let second = if text.len() > 5 { part(61)? } else { 0 };
    parts.next().is_none().then_some((hour * 3600 + minute * 60 + second, micros))
}

/// `2026-11-29`.
pub(super) fn day(text: &str) -> Option<(i64, u8, u8)> {
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next()?)?, digits(parts.next()?)?, digits(parts.next()?)?);
    days(year, month, day).filter(|_| parts.next().is_none()).map(|_| (year, month, day))
}

/// `2026-11-29T20:00:01.123456+01:00`, also `Z`, `+0100` and a comma.
pub(super) fn iso(text: &str) -> Option<Civil> {
    let (date, rest) = text.split_once('T')?;
    let (year, month, of_month) = day(date)?;
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (seconds, micros) = time(&rest[..zone])?;
    let ahead = match &rest[zone..] {
        "" => None,
        zone => Some(ahead(zone)?),
    };
    Some(Civil { year: Some(year), month, day: of_month, seconds, micros, ahead })
}

fn ahead(zone: &str) -> Option<i32> {
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("Z", "") => return Some(0),
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    let zone: String = zone.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = zone.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { digits::<i32>(minutes)? };
    Some(sign * (digits::<i32>(hours)? * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stamp_without_a_year_is_the_last_that_is_not_in_the_future() {
        let december = Civil { year: None, month: 12, day: 31, seconds: 3600, micros: 7, ahead: None };
        let clock = |latest_us| Clock { latest_us, to_utc: |local| local - 3600 };
        let at = |latest: &str, civil| {
            let latest = iso(latest).and_then(|latest| Clock::default().moment(latest));
            clock(latest).moment(civil).map(rfc3339)
        };
        assert_eq!(clock(None).moment(december), None);
        assert_eq!(at("2026-01-02T00:00:00Z", december).as_deref(), Some("2025-12-31T00:00:00.000007Z"));
        assert_eq!(at("2026-12-31T02:00:00Z", december).as_deref(), Some("2026-12-31T00:00:00.000007Z"));
        // Clocks differ: a little in the future is now.
        assert_eq!(at("2026-12-30T12:00:00Z", december).as_deref(), Some("2026-12-31T00:00:00.000007Z"));
        let leap = Civil { month: 2, day: 29, ..december };
        assert_eq!(at("2027-05-01T00:00:00Z", leap).as_deref(), Some("2024-02-29T00:00:00.000007Z"));
    }

    #[test]
    fn stamps_are_read_with_their_zone_and_refused_when_there_is_no_such_day() {
        let moment = |text| iso(text).and_then(|civil| Clock::default().moment(civil)).map(rfc3339);
        for text in ["2026-11-29T20:00:01.5Z", "2026-11-29T21:00:01,500000+01:00", "2026-11-29T14:30:01.5-0530"] {
            assert_eq!(moment(text).as_deref(), Some("2026-11-29T20:00:01.500000Z"), "{text}");
        }
        for text in ["2026-02-30T20:00:01Z", "2026-11-29T24:00:01Z", "2026-11-29T20:00:01+", "T", "2026-11-29"] {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(seconds("    12.345678"), Some(12_345_678));
        assert_eq!((seconds("-1.0"), seconds("99999999999999999999.0"), seconds("1.x")), (None, None, None));
    }

    proptest! {
        #[test]
        fn days_go_there_and_back(day in -719_000_i64..2_900_000) {
            let (year, month, of_month) = date(day);
            prop_assert_eq!(days(year, month, of_month), Some(day));
        }

        #[test]
        fn any_text_is_a_stamp_or_none(text in "\\PC{0,40}", shape in "[0-9TZ:+., -]{0,40}") {
            for text in [text, shape] {
                let _ = (iso(&text), time(&text), day(&text), seconds(&text), micros(&text));
            }
        }
    }
}
