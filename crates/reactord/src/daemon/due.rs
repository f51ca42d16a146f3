//! What the loop does at its own times, those of the core aside. There is no tick: each thing has a deadline while there is something to do, and
//! without any the daemon sleeps until somebody wakes it.
//!
//! | deadline | when there is one |
//! |---|---|
//! | the watchdog is fed | systemd watches: at half of its limit, after a step of the core, so that a core that hangs is seen |
//! | the line for systemd, followers that have gone, what storage events are told of DRBD's volumes | a second after news of DRBD |
//! | what promoters remember is written again | the disk has refused it |
//! | unit files are removed, systemd reads its units again | that has failed |
//! | files are compared with what runs | `snippets-monitoring-interval` is set |
//! | a reload is said to hang; what came of one is answered | while one runs |
//! | local time is read again, and moves against UTC | once an hour, and at summer time |
//! | systemd is told again | it has not read what it was told |
//! | systemd is asked for more time; services are not waited for any longer | the daemon ends, and stops them first |

use std::time::{Duration, Instant};

use reactor_core::input::Input;

use super::Daemon;

/// So long after news the daemon looks after what follows from them.
const AFTER_NEWS: Duration = Duration::from_secs(1);

/// Two looks are never closer than this: a deadline that does not move must not turn the loop into a hot one.
const PAUSE: Duration = Duration::from_millis(10);

/// The deadlines that belong to nothing else.
#[derive(Debug, Default)]
pub(super) struct Due {
    news: Option<Instant>,
    looked: Option<Instant>,
}

impl Due {
    /// There are news of DRBD.
    pub(super) fn note_news(&mut self) {
        self.news.get_or_insert_with(|| Instant::now() + AFTER_NEWS);
    }
}

/// Takes a deadline that has come.
pub(super) fn has_come(deadline: &mut Option<Instant>, now: Instant) -> bool {
    deadline.take_if(|at| *at <= now).is_some()
}

impl Daemon {
    /// When [`do_what_is_due`](Self::do_what_is_due) must be called; `None` = there is nothing to wait for.
    pub(super) fn next_due(&mut self) -> Option<Instant> {
        let drift = self.configuration.drift_due().filter(|_| !self.is_ending());
        let all = [
            self.due.news,
            self.service.due(),
            self.memories.retry_due(),
            self.work.files_due(),
            drift,
            self.configuration.due(),
            self.wall.due(),
            self.phase.due(),
        ];
        let earliest = self.due.looked.map(|at| at + PAUSE);
        all.into_iter().flatten().min().map(|due| earliest.map_or(due, |earliest| due.max(earliest)))
    }

    pub(super) fn do_what_is_due(&mut self) {
        let now = Instant::now();
        self.due.looked = Some(now);
        if has_come(&mut self.due.news, now) {
            self.core.set_follow(Some(self.clients.wants()));
            self.tell_systemd();
            self.storage.tell_drbd(self.core.node());
        }
        self.look_for_drift();
        self.look_at_clock();
        self.memories.write();
        self.work.begin_files();
        self.look_at_reload(now);
        self.look_at_end(now);
        self.service.tell_again(now);
        if self.service.is_beat_due(now) {
            // A step that changes nothing: if the core hangs in it, so does the watchdog.
            self.step(&Input::Tick);
            self.service.beat(now);
            self.chronicle.alive(now);
        }
    }
}
