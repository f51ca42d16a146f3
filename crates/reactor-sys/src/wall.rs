//! The wall clock and local time, for what is meant in times of day.

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
        self.at(Timestamp::now())
    }

    fn at(&self, now: Timestamp) -> WallClock {
        WallClock {
            unix_ms: u64::try_from(now.as_millisecond()).unwrap_or_default(),
            utc_offset_s: self.0.to_offset(now).seconds(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_time_changes_the_offset() {
        let berlin = LocalTime(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        let offset = |time: &str| berlin.at(time.parse().unwrap()).utc_offset_s;
        assert_eq!((offset("2026-01-15T12:00:00Z"), offset("2026-07-15T12:00:00Z")), (3600, 7200));
        assert!(LocalTime::read().now().unix_ms > 1_700_000_000_000);
    }
}
