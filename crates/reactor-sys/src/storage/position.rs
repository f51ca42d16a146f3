//! How far the logs have been read, so that a restart goes on exactly behind it: nothing lost, nothing twice.
//!
//! ```text
//!   the journal     ─ ─ ──┬──────────────── gap ────────────────┬── ─ ─
//!   (all boots)           │ what the ring has lost meanwhile    │
//!   /dev/kmsg             ┴ last message that was read          ┴ first that is still there ── ... ── live
//!   (this boot)
//! ```
//!
//! A message of the kernel has a number in /dev/kmsg, and none in the journal. There it is known by its boot, its stamp and its text; and since
//! stamps of several processors are not in order, and many messages can have the same one, those near either end of a gap are compared one by
//! one.
//!
//! Nothing here does I/O: what is saved comes in, what to read goes out.

use serde::{Deserialize, Serialize};

/// Messages whose stamps are this near to the end of what was read are remembered one by one. A tick of a coarse clock is 10 ms.
const WINDOW_US: u64 = 20_000;

/// So many of them at most.
const MAX_RECENT: usize = 512;

/// A message of the kernel as both logs know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since boot.
    pub boot_us: u64,
    /// CRC-32 of the text without blanks at its end, which the journal does not keep.
    pub text: u32,
}

impl Line {
    /// Of a message.
    pub fn new(boot_us: u64, text: &str) -> Self {
        Self { boot_us, text: crc32fast::hash(text.trim_ascii_end().as_bytes()) }
    }
}

/// How far the messages of one boot have been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kernel {
    /// The boot.
    pub boot: String,
    /// The number of the last message.
    pub sequence: u64,
    /// The messages with the latest stamps.
    pub recent: Vec<Line>,
    /// So many behind that number were read from the journal, because /dev/kmsg could not be: there they have no numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_journal: Option<u64>,
    /// Messages that nobody had when they were looked for, and the stamp of the one behind them: the journal may have them later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<(u64, u64)>,
}

impl Kernel {
    /// Nothing of this boot has been read.
    pub fn of(boot: &str) -> Self {
        Self { boot: boot.to_owned(), ..Self::default() }
    }

    /// A message was read.
    pub fn read(&mut self, sequence: u64, line: Line) {
        self.sequence = sequence;
        self.remember(line);
    }

    /// So many messages were read from the journal, of which these are the last.
    pub fn read_in_journal(&mut self, count: u64, last: impl IntoIterator<Item = Line>) {
        *self.by_journal.get_or_insert(0) += count;
        last.into_iter().for_each(|line| self.remember(line));
    }

    /// How many messages there are between the last that was read and this number; as far as it is known, and never too few.
    fn missing(&self, first: u64) -> u64 {
        // Of a boot that /dev/kmsg told nothing of it is 0, too.
        let next = if self.by_journal.is_some() && self.sequence == 0 { 0 } else { self.sequence.saturating_add(1) };
        first.saturating_sub(next).saturating_sub(self.by_journal.unwrap_or(0))
    }

    fn remember(&mut self, line: Line) {
        self.recent.push(line);
        // Not each time: this is done for every message.
        if self.recent.len() >= 2 * MAX_RECENT {
            self.forget_old();
        }
    }

    /// So many messages before one with this stamp are lost.
    pub fn lose(&mut self, count: u64, before_us: u64) {
        if count > 0 {
            let known = self.lost.filter(|(_, at)| at + WINDOW_US >= before_us).map_or(0, |(known, _)| known);
            self.lost = Some((known.saturating_add(count), before_us));
        }
    }

    /// Leaves what a gap is compared with.
    pub fn forget_old(&mut self) {
        let latest = self.recent.iter().map(|line| line.boot_us).max().unwrap_or(0);
        self.recent.retain(|line| line.boot_us + WINDOW_US >= latest);
        if self.recent.len() > MAX_RECENT {
            self.recent.sort_unstable();
            self.recent.drain(..self.recent.len() - MAX_RECENT);
        }
    }
}

/// What is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Saved {
    /// `None` = nothing of the kernel has been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// The journal's cursor of the last entry of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Boots that are done with, the last ones: nothing of them is read again, whatever the clock said when they logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// Microseconds since 1970 when this was so.
    #[serde(default)]
    pub wall_us: u64,
}

/// Messages of one boot that can only come from the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The boot.
    pub boot: String,
    /// What was read before the gap and could be taken for a part of it; and the stamp before which everything was read.
    before: (u64, Vec<Line>),
    /// So many messages stand before the gap that were not read: they were lost. Nothing of them is news now.
    lost: (u64, u64),
    /// What is read after it; and the stamp behind which everything is.
    after: (u64, Vec<Line>),
    /// So many messages are in it, by their numbers. The journal has them in their order, and may have later ones that nobody has read yet.
    left: u64,
}

impl Gap {
    /// Everything that the journal has of this boot.
    pub fn whole(boot: &str) -> Self {
        Self {
            boot: boot.to_owned(),
            before: (0, Vec::new()),
            lost: (0, 0),
            after: (u64::MAX, Vec::new()),
            left: u64::MAX,
        }
    }

    /// What follows on the last message that was read.
    #[must_use]
    pub fn behind(mut self, kernel: &Kernel) -> Self {
        let mut kernel = kernel.clone();
        kernel.forget_old();
        let latest = kernel.recent.iter().map(|line| line.boot_us).max().unwrap_or(0);
        let earliest = kernel.recent.iter().map(|line| line.boot_us).min().unwrap_or(0);
        // Those that were too many to be remembered were read, too.
        let is_full = kernel.recent.len() >= MAX_RECENT;
        let floor = if is_full { earliest } else { latest.saturating_sub(WINDOW_US) };
        self.lost = kernel.lost.filter(|(_, at)| *at >= floor).unwrap_or_default();
        self.before = (floor, kernel.recent);
        self
    }

    /// So many messages before these, which are there in their order.
    #[must_use]
    pub fn before(mut self, missing: u64, there: impl IntoIterator<Item = Line>) -> Self {
        self.left = missing;
        let mut there = there.into_iter().peekable();
        let Some(first) = there.peek().map(|line| line.boot_us) else { return self };
        let near: Vec<Line> =
            there.take_while(|line| line.boot_us <= first.saturating_add(2 * WINDOW_US)).take(MAX_RECENT).collect();
        // What is later than all that could be compared is there.
        let is_full = near.len() >= MAX_RECENT;
        let latest = near.iter().map(|line| line.boot_us).max().unwrap_or(first);
        self.after = (if is_full { latest } else { first.saturating_add(WINDOW_US) }, near);
        self
    }

    /// Whether a message that the journal has of this boot is in the gap. Each is asked for once.
    pub fn takes(&mut self, line: Line) -> bool {
        let (floor, before) = &mut self.before;
        if line.boot_us < *floor || remove(before, line) {
            return false;
        }
        let (lost, until) = &mut self.lost;
        if *lost > 0 && line.boot_us <= *until {
            *lost -= 1;
            return false;
        }
        let (ceiling, after) = &mut self.after;
        if line.boot_us > *ceiling || remove(after, line) || self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

fn remove(lines: &mut Vec<Line>, line: Line) -> bool {
    let at = lines.iter().position(|known| *known == line);
    at.map(|at| lines.swap_remove(at)).is_some()
}

/// Which messages of /dev/kmsg were read from the journal already, when it can be read again.
#[derive(Clone, Debug)]
pub struct Again {
    gap: Gap,
    /// What has a later stamp was not read.
    until_us: u64,
}

impl Again {
    /// What was read.
    pub fn of(kernel: &Kernel) -> Self {
        let latest = kernel.recent.iter().map(|line| line.boot_us).max().unwrap_or(0);
        Self { gap: Gap::whole(&kernel.boot).behind(kernel), until_us: latest.saturating_add(WINDOW_US) }
    }

    /// Whether nothing more can come that was read.
    pub fn is_over(&self, line: Line) -> bool {
        line.boot_us > self.until_us
    }

    /// Whether a message was not read yet. Each is asked for once, in their order.
    pub fn is_new(&mut self, line: Line) -> bool {
        self.gap.takes(line)
    }
}

/// What to read at the start, in this order; then /dev/kmsg from its first message that was not read, and what programs say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Of one boot, what is in a gap.
    Gap(Gap),
    /// The kernel's messages of all boots but these, since then.
    OtherBoots(Since, Vec<String>),
}

/// From where on the journal is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// Behind this entry.
    Cursor(String),
    /// From this moment on, in microseconds since 1970.
    Wall(u64),
    /// This boot.
    ThisBoot,
}

/// Boots that are remembered as done with. A journal has no more of them that are younger than a minute.
const MAX_DONE: usize = 64;

impl Saved {
    /// All of these boots was read, or is not there any more.
    pub fn is_done(&mut self, boots: impl IntoIterator<Item = String>) {
        for boot in boots {
            if !self.done.contains(&boot) {
                self.done.push(boot);
            }
        }
        self.done.drain(..self.done.len().saturating_sub(MAX_DONE));
    }

    /// From where on programs are read.
    pub fn since(&self, boot: &str) -> Since {
        // The journal may have had entries then that had not been read.
        const MARGIN_US: u64 = 60_000_000;
        match (&self.cursor, &self.kernel) {
            (Some(cursor), _) => Since::Cursor(cursor.clone()),
            // None has said anything until then: so nothing can come twice.
            (None, Some(kernel)) if kernel.boot != boot => Since::Wall(self.wall_us.saturating_sub(MARGIN_US)),
            (None, _) => Since::ThisBoot,
        }
    }

    /// What to read before /dev/kmsg, of which these are the first messages, with the number of the first.
    pub fn steps(&self, boot: &str, first: u64, there: &[Line]) -> Vec<Step> {
        let lost = |gap: Gap, missing| Step::Gap(gap.before(missing, there.iter().copied()));
        match &self.kernel {
            Some(kernel) if kernel.boot == boot => {
                let missing = kernel.missing(first);
                (missing > 0).then(|| lost(Gap::whole(boot).behind(kernel), missing)).into_iter().collect()
            }
            Some(kernel) => {
                let rest = Step::Gap(Gap::whole(&kernel.boot).behind(kernel));
                let but = self.done.iter().chain([&kernel.boot]).cloned().chain([boot.to_owned()]);
                let others = Step::OtherBoots(self.since(boot), but.collect());
                [rest, others].into_iter().chain((first > 0).then(|| lost(Gap::whole(boot), first))).collect()
            }
            // The first start ever: of this boot everything, of earlier ones nothing.
            None => (first > 0).then(|| lost(Gap::whole(boot), first)).into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of a machine's whole life: which boot, its number there, its stamp and its text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Message {
        boot: usize,
        sequence: u64,
        line: Line,
    }

    fn name(boot: usize) -> String {
        format!("boot-{boot}")
    }

    /// What a daemon reads that starts in `boot` when the ring begins at `first`, and the journal has everything.
    fn start(saved: &Saved, all: &[Message], boot: usize, first: u64, piece: usize) -> Vec<Message> {
        let ring: Vec<&Message> = all.iter().filter(|one| one.boot == boot && one.sequence >= first).collect();
        // The rest has come since the first piece was read; the journal has it already.
        let there: Vec<Line> = ring.iter().take(piece).map(|one| one.line).collect();
        let mut read = Vec::new();
        for step in saved.steps(&name(boot), first, &there) {
            match step {
                Step::Gap(mut gap) => {
                    let of_boot = all.iter().filter(|one| name(one.boot) == gap.boot).cloned().collect::<Vec<_>>();
                    read.extend(of_boot.into_iter().filter(|one| gap.takes(one.line)));
                }
                Step::OtherBoots(_, but) => {
                    // Whatever the clock said: nothing of what was before is in it.
                    read.extend(all.iter().filter(|one| !but.contains(&name(one.boot))).cloned());
                }
            }
        }
        let known = saved.kernel.as_ref().filter(|kernel| kernel.boot == name(boot));
        let is_new = |one: &&Message| known.is_none_or(|kernel| one.sequence > kernel.sequence);
        read.extend(ring.into_iter().filter(is_new).cloned());
        read
    }

    /// Three boots. Stamps are coarse, come twice, and are not quite in order; the same text comes again.
    fn any_life() -> impl Strategy<Value = Vec<Message>> {
        let boot = proptest::collection::vec((0_u64..4, 0_u64..3, 0_u32..3), 1..60);
        proptest::collection::vec(boot, 3).prop_map(|boots| {
            let mut all = Vec::new();
            for (boot, messages) in boots.into_iter().enumerate() {
                let mut now = 100_000;
                for (sequence, (ticks, early, text)) in (0..).zip(messages) {
                    now += ticks * 10_000;
                    let line = Line { boot_us: now - early * 3, text };
                    all.push(Message { boot, sequence, line });
                }
            }
            all
        })
    }

    proptest! {
        /// Stopped anywhere, started anywhere later: exactly what was not read is read, each message once.
        #[test]
        fn nothing_is_lost_and_nothing_comes_twice(all in any_life(), stop in 0_usize..1000, boot in 0_usize..3, first in 0_u64..60, piece in 1_usize..60) {
            let stop = stop % (all.len() + 1);
            let mut saved = Saved { wall_us: 1, ..Saved::default() };
            for one in &all[..stop] {
                let kernel = saved.kernel.get_or_insert_default();
                if kernel.boot != name(one.boot) {
                    let old = std::mem::replace(kernel, Kernel { boot: name(one.boot), ..Kernel::default() });
                    saved.is_done([old.boot].into_iter().filter(|boot| !boot.is_empty()));
                }
                let kernel = saved.kernel.get_or_insert_default();
                kernel.read(one.sequence, one.line);
            }
            let last = all[..stop].last().map_or(0, |one| one.boot);
            let boot = boot.max(last);
            let newest = all.iter().filter(|one| one.boot == boot).map(|one| one.sequence).max().unwrap_or(0);
            // The ring always has the newest message; what was not yet said is not there.
            let all: Vec<Message> = all.iter().filter(|one| one.boot <= boot).cloned().collect();
            let mut read = start(&saved, &all, boot, first.min(newest), piece);
            let mut wanted = if stop == 0 {
                all.iter().filter(|one| one.boot == boot).cloned().collect()
            } else {
                all[stop..].to_vec()
            };
            // Two that are alike in everything are one or the other.
            let key = |one: &Message| (one.boot, one.line);
            read.sort_by_key(key);
            wanted.sort_by_key(key);
            let keys = |all: &[Message]| all.iter().map(key).collect::<Vec<_>>();
            prop_assert_eq!(keys(&read), keys(&wanted));
        }
    }

    proptest! {
        /// /dev/kmsg is read, then only the journal can be, from its begin or from the middle of a boot on, then /dev/kmsg again, whose ring has lost
        /// its beginning: what was not read is read, each message once.
        #[test]
        fn from_the_log_to_the_journal_and_back_nothing_is_lost_and_nothing_comes_twice(
            all in any_life(), log in 0_usize..60, journal in 0_usize..60, first in 0_u64..60, piece in 1_usize..60,
        ) {
            let all: Vec<Message> = all.into_iter().filter(|one| one.boot == 0).collect();
            let (log, end) = (log.min(all.len() - 1), (log + journal).min(all.len() - 1));
            let mut saved = Saved::default();
            for one in &all[..log] {
                saved.kernel.get_or_insert_with(|| Kernel::of(&name(0))).read(one.sequence, one.line);
            }
            let mut kernel = saved.kernel.take().unwrap_or_else(|| Kernel::of(&name(0)));
            // The journal is read from the beginning of the boot on.
            let mut gap = Gap::whole(&name(0)).behind(&kernel);
            let mut read: Vec<Message> = all[..end].iter().filter(|one| gap.takes(one.line)).cloned().collect();
            kernel.read_in_journal(read.len() as u64, read.iter().map(|one| one.line));
            kernel.forget_old();
            let mut again = Again::of(&kernel);
            saved.kernel = Some(kernel);
            let ring: Vec<&Message> = all.iter().filter(|one| one.sequence >= first.min(all.len() as u64 - 1)).collect();
            // Without a number from /dev/kmsg nobody knows how many are missing.
            let piece = if log < 2 { ring.len() } else { piece };
            let there: Vec<Line> = ring.iter().take(piece).map(|one| one.line).collect();
            for step in saved.steps(&name(0), ring[0].sequence, &there) {
                let Step::Gap(mut gap) = step else { panic!("it is one boot") };
                read.extend(all.iter().filter(|one| gap.takes(one.line)).cloned());
            }
            read.extend(ring.into_iter().filter(|one| again.is_over(one.line) || again.is_new(one.line)).cloned());
            let count = |all: &[Message], line| all.iter().filter(|one| one.line == line).count();
            for one in &all {
                let (wanted, found) = (count(&all[log..], one.line), count(&read, one.line));
                // Of two that are alike in everything nobody knows which one was read before.
                let is_alike = count(&all[..end], one.line) > 0;
                prop_assert!(found == wanted || is_alike && found < wanted, "{:?}: {} of {}", one, found, wanted);
            }
        }
    }

    #[test]
    fn more_messages_with_one_stamp_than_are_remembered_do_not_come_again() {
        let mut kernel = Kernel { boot: name(0), ..Kernel::default() };
        for sequence in 0..5000 {
            kernel.read(sequence, Line { boot_us: 7, text: 1 });
        }
        kernel.forget_old();
        assert_eq!(kernel.recent.len(), MAX_RECENT);
        let mut gap = Gap::whole(&name(0)).behind(&kernel);
        let again = (0..MAX_RECENT).filter(|_| gap.takes(Line { boot_us: 7, text: 1 })).count();
        assert_eq!(again, 0);
        assert!(gap.takes(Line { boot_us: 8, text: 1 }));
        assert!(!gap.takes(Line { boot_us: 6, text: 1 }));
    }

    /// The journal could not be read when the ring had lost some. It can be now: what was lost is in it, and stands before what was read last.
    #[test]
    fn what_was_lost_for_want_of_the_journal_takes_no_place_of_what_is_news() {
        let line = |text| Line { boot_us: 50_000, text };
        let mut kernel = Kernel { boot: name(0), ..Kernel::default() };
        kernel.lose(2, 50_000);
        kernel.read(7, line(7));
        let news = Line { boot_us: 90_000, text: 8 };
        let mut gap = Gap::whole(&name(0)).behind(&kernel).before(1, [Line { boot_us: 99_000_000, text: 9 }]);
        let taken = [line(5), line(6), line(7), news].map(|line| gap.takes(line));
        assert_eq!(taken, [false, false, false, true]);
    }

    #[test]
    fn the_first_start_reads_this_boot_from_its_beginning_and_no_other() {
        let first = Saved::default();
        assert_eq!(first.since("b"), Since::ThisBoot);
        assert_eq!(first.steps("b", 0, &[]), []);
        let lost = Line { boot_us: 50_000_000, text: 1 };
        let steps = first.steps("b", 9, &[lost]);
        let [Step::Gap(gap)] = &steps[..] else { panic!("{steps:?}") };
        let mut gap = gap.clone();
        assert!(gap.takes(Line { boot_us: 0, text: 1 }) && !gap.takes(lost));
        assert!(!gap.takes(Line { boot_us: 60_000_000, text: 1 }));
    }
}
