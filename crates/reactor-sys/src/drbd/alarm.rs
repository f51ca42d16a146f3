//! A timer that keeps fractions of a millisecond.
//!
//! The runtime's timers end at full milliseconds, rounded up twice (in its wheel and in `epoll_wait`). For the 1.5 ms of silence that end a burst
//! that is up to 2 ms more, at every decision. The kernel's own timer is on time; it costs a system call when it is set.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, Sleep, sleep_until};

/// Waits for one moment at a time.
pub(crate) trait Alarm {
    /// Ready when `deadline` has come. The deadline may be another one at each call.
    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()>;
}

/// The runtime's timer.
impl Alarm for Pin<Box<Sleep>> {
    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline() != deadline {
            self.as_mut().reset(deadline);
        }
        self.as_mut().poll(cx)
    }
}

/// A timer of the kernel; the runtime's where there is none.
pub(crate) enum Precise {
    /// The kernel's.
    Kernel {
        /// The timer. It is read as a pipe is: there is something to read when it has ended.
        timer: Receiver,
        /// When it will end. Never later than what is waited for: a deadline that only moves on costs no system call.
        set: Option<Instant>,
    },
    /// The runtime's.
    Runtime(Pin<Box<Sleep>>),
}

impl Precise {
    /// Needs a tokio runtime.
    pub(crate) fn new() -> Self {
        match timer() {
            Ok(timer) => Self::Kernel { timer, set: None },
            Err(error) => {
                tracing::debug!(%error, "no timer of the kernel: bursts end up to 2 ms later");
                Self::Runtime(Box::pin(sleep_until(Instant::now())))
            }
        }
    }
}

impl Alarm for Precise {
    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let (timer, set) = match self {
            Self::Runtime(sleep) => return sleep.poll_until(deadline, cx),
            Self::Kernel { timer, set } => (timer, set),
        };
        let broken = loop {
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(());
            }
            if set.is_none_or(|at| at <= now || at > deadline) {
                if let Err(error) = set_to(timer.as_fd(), deadline - now) {
                    break error;
                }
                *set = Some(deadline);
            }
            // What it says may be of a deadline before this one: the clock decides.
            if let Err(error) = ready!(Pin::new(&mut *timer).poll_read(cx, &mut ReadBuf::new(&mut [0; 8]))) {
                break error;
            }
        };
        tracing::warn!(error = %broken, "the kernel's timer fails: bursts end up to 2 ms later");
        *self = Self::Runtime(Box::pin(sleep_until(deadline)));
        self.poll_until(deadline, cx)
    }
}

fn timer() -> io::Result<Receiver> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    Receiver::from_owned_fd_unchecked(timer)
}

fn set_to(timer: BorrowedFd<'_>, after: Duration) -> io::Result<()> {
    // Nothing would stop it.
    let after = after.max(Duration::from_nanos(1));
    let tv_sec = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
    let it_value = Timespec { tv_sec, tv_nsec: after.subsec_nanos().into() };
    let set = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &set)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn wait(alarm: &mut Precise, after: Duration) -> Duration {
        let deadline = Instant::now() + after;
        poll_fn(|cx| alarm.poll_until(deadline, cx)).await;
        let now = Instant::now();
        assert!(now >= deadline, "{:?} early", deadline - now);
        now - deadline
    }

    #[tokio::test]
    async fn it_ends_each_time_and_never_early() {
        let mut alarm = Precise::new();
        assert!(matches!(alarm, Precise::Kernel { .. }));
        for micros in [500, 0, 1500, 1, 200, 2000, 30] {
            wait(&mut alarm, Duration::from_micros(micros)).await;
        }
    }

    #[tokio::test]
    async fn a_deadline_may_move_both_ways() {
        let mut alarm = Precise::new();
        let far = Instant::now() + Duration::from_secs(3600);
        poll_fn(|cx| {
            assert!(alarm.poll_until(far, cx).is_pending());
            Poll::Ready(())
        })
        .await;
        // Sooner: an hour would be noticed.
        wait(&mut alarm, Duration::from_millis(1)).await;
        let deadline = Instant::now() + Duration::from_millis(1);
        poll_fn(|cx| {
            let _ = alarm.poll_until(deadline, cx);
            Poll::Ready(())
        })
        .await;
        // Later, while it is set.
        wait(&mut alarm, Duration::from_millis(3)).await;
    }
}
