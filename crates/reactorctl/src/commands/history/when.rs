//! Times as people type them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp};

/// Unix time in milliseconds of `2h` (ago), `11:30` (today), `2026-11-29`, `2026-11-29T10:00`, `2026-11-29T10:00:00Z`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    parse_at(text, Timestamp::now())
}

fn parse_at(text: &str, now: Timestamp) -> Result<u64, String> {
    let utc = |time: DateTime| time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let ago = |text: &str| {
        let span: jiff::Span = text.parse().ok()?;
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        now.checked_sub(length.abs()).ok()
    };
    // Without a colon it could be a year.
    let today = |text: &str| {
        let time: Time = text.contains(':').then(|| text.parse().ok())??;
        utc(now.to_zoned(TimeZone::UTC).date().to_datetime(time))
    };
    let time = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| text.parse::<Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0))))
        .or_else(|| today(text))
        .or_else(|| ago(text));
    let time =
        time.ok_or("neither a time ago (2h, 3d) nor a time in UTC (11:30 for today, 2026-11-29, 2026-11-29T10:00)")?;
    u64::try_from(time.as_millisecond()).map_err(|_| "before 1970".to_owned())
}

/// Unix time in milliseconds.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ago_and_times_in_utc() {
        let now: Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
        for (text, means) in [
            ("2h", "2026-11-29T08:00:00Z"),
            ("1d 30min", "2026-11-28T09:30:00Z"),
            ("90s", "2026-11-29T09:58:30Z"),
            ("09:30", "2026-11-29T09:30:00Z"),
            ("23:59:59", "2026-11-29T23:59:59Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T12:30", "2026-11-01T12:30:00Z"),
            ("2026-11-01T12:30:00+01:00", "2026-11-01T11:30:00Z"),
        ] {
            let means: Timestamp = means.parse().unwrap();
            assert_eq!(parse_at(text, now), Ok(u64::try_from(means.as_millisecond()).unwrap()), "{text}");
        }
        for wrong in ["", "yesterday evening", "2026-13-01", "1969-01-01", "24:30", "2026"] {
            assert!(parse_at(wrong, now).is_err(), "{wrong}");
        }
    }
}
