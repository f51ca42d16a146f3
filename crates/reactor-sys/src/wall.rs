//! The wall clock and local time, for what is meant in times of day.

use std::fs::File;
use std::future::pending;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reactor_core::operator::WallClock;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;
use tracing::warn;

/// Where local time is.
const LOCALTIME: &str = "/etc/localtime";

/// What is read of it; the files have some KiB.
const MAX_ZONE: u64 = 1 << 20;

/// Local time of this machine. Reading it looks into files; asking it does not.
#[derive(Clone, Debug)]
pub struct LocalTime(TimeZone);

impl LocalTime {
    /// As `TZ` or `/etc/localtime` say; UTC if neither can be read. Blocks.
    pub fn read() -> Self {
        // The file itself is enough: to find out which zone it is, all zones there are would be looked at, at each start.
        let zone = match std::env::var_os("TZ") {
            Some(_) => TimeZone::try_system().ok(),
            None => in_file(Path::new(LOCALTIME)),
        };
        Self(zone.unwrap_or(TimeZone::UTC))
    }

    /// UTC, for where nothing can be read.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// What the wall clock shows now.
    pub fn now(&self) -> WallClock {
        self.at(now())
    }

    /// How long it is until local time moves against UTC; `None` = never.
    pub fn until_change(&self) -> Option<Duration> {
        self.change_after(now())
    }

    fn change_after(&self, now: Timestamp) -> Option<Duration> {
        let next = self.0.following(now).next()?;
        Duration::try_from(next.timestamp().duration_since(now)).ok()
    }

    fn at(&self, now: Timestamp) -> WallClock {
        WallClock {
            unix_ms: u64::try_from(now.as_millisecond()).unwrap_or_default(),
            utc_offset_s: self.0.to_offset(now).seconds(),
        }
    }
}

/// The zone that a file of the time zone database describes.
fn in_file(path: &Path) -> Option<TimeZone> {
    let mut data = Vec::new();
    File::open(path).ok()?.take(MAX_ZONE).read_to_end(&mut data).ok()?;
    TimeZone::tzif("local", &data).ok()
}

/// Hears when somebody sets the clock.
#[derive(Debug)]
pub struct Jumps(Option<Receiver>);

impl Jumps {
    /// Listens from now on. Needs a tokio runtime.
    pub fn listen() -> Self {
        // It is read as a pipe is: there is something to read, or not.
        match timer().and_then(Receiver::from_owned_fd_unchecked) {
            Ok(timer) => Self(Some(timer)),
            Err(error) => {
                warn!(%error, "the kernel does not tell when the clock is set: it is looked at now and then");
                Self(None)
            }
        }
    }

    /// Whether the kernel tells.
    pub fn are_told(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until the clock is set; for ever if the kernel does not tell. Cancel safe.
    pub async fn next(&mut self) {
        loop {
            let Some(timer) = &self.0 else { return pending().await };
            let told = match timer.readable().await {
                Ok(()) => timer.try_read(&mut [0; 8]),
                Err(error) => Err(error),
            };
            match told {
                Ok(_) => return,
                Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    warn!(%error, "the kernel does not tell any more when the clock is set");
                    self.0 = None;
                }
            }
        }
    }
}

/// A timer that ends in the year 2255, and when somebody sets the clock.
fn timer() -> io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let never = Timespec { tv_sec: 9_000_000_000, tv_nsec: 0 };
    let set = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: never };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &set)?;
    Ok(timer)
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
        let change = |time: &str| berlin.change_after(time.parse().unwrap());
        assert_eq!(change("2026-03-29T00:59:00Z"), Some(Duration::from_secs(60)));
        assert_eq!(LocalTime::utc().until_change(), None);
    }

    #[test]
    fn a_file_of_the_time_zone_database_is_enough() {
        let path = std::env::temp_dir().join(format!("reactor-zone-{}", std::process::id()));
        // One kind of local time, `CET`, an hour before UTC, and the rule for all years to come behind it.
        let part = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
            for count in [0_u32, 0, 0, 0, 1, 4] {
                out.extend_from_slice(&count.to_be_bytes());
            }
            out.extend_from_slice(&3600_i32.to_be_bytes());
            out.extend_from_slice(b"\0\0CET\0");
        };
        let mut file = Vec::new();
        part(&mut file);
        part(&mut file);
        file.extend_from_slice(b"\nCET-1CEST,M3.5.0,M10.5.0/3\n");
        std::fs::write(&path, &file).unwrap();
        let local = LocalTime(in_file(&path).unwrap());
        let offset = |time: &str| local.at(time.parse().unwrap()).utc_offset_s;
        assert_eq!((offset("2026-01-15T12:00:00Z"), offset("2026-07-15T12:00:00Z")), (3600, 7200));
        std::fs::write(&path, "no zone").unwrap();
        assert!(in_file(&path).is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(in_file(&path).is_none());
    }

    #[tokio::test]
    async fn the_kernel_tells_of_jumps_and_of_nothing_else() {
        let mut jumps = Jumps::listen();
        assert!(jumps.are_told());
        let told = tokio::time::timeout(Duration::from_millis(20), jumps.next()).await;
        assert!(told.is_err(), "nobody has set the clock");
    }
}
