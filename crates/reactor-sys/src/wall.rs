//! The wall clock and local time, for what is meant in times of day.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reactor_core::operator::WallClock;

/// Local time of this machine. Reading it looks into files; asking it does not.
#[derive(Clone, Debug)]
pub struct LocalTime(TimeZone);

impl LocalTime {
    /// As `TZ` or `/etc/localtime` say; UTC if neither can be read. Blocks.
    pub fn read() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// UTC, for where nothing can be read.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// What the wall clock shows now.
    pub fn now(&self) -> WallClock {
        self.at(now())
    }

    fn at(&self, now: Timestamp) -> WallClock {
        WallClock {
            unix_ms: u64::try_from(now.as_millisecond()).unwrap_or_default(),
            utc_offset_s: self.0.to_offset(now).seconds(),
        }
    }
}

/// What the clock shows. A clock beyond the year 9999 shows its last moment.
pub fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

fn timestamp(time: SystemTime) -> Timestamp {
    let end = if time < UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(time).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_beyond_the_year_9999_is_no_reason_to_panic() {
        let absurd = UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        assert_eq!(timestamp(absurd), Timestamp::MAX);
        let wall = LocalTime::utc().at(timestamp(absurd));
        assert!(wall.unix_ms > 253_000_000_000_000, "{wall:?}");
        let berlin = LocalTime(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        assert_eq!(berlin.at(timestamp(absurd)).utc_offset_s, 3600);
        assert!(format!("{:.6}", timestamp(absurd)).starts_with("9999-12-30T"));
        let unix = timestamp(UNIX_EPOCH + Duration::from_secs(7));
        assert_eq!(unix.as_second(), 7);
    }

    #[test]
    fn summer_time_changes_the_offset() {
        let berlin = LocalTime(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        let offset = |time: &str| berlin.at(time.parse().unwrap()).utc_offset_s;
        assert_eq!((offset("2026-01-15T12:00:00Z"), offset("2026-07-15T12:00:00Z")), (3600, 7200));
        assert!(LocalTime::read().now().unix_ms > 1_700_000_000_000);
    }
}
