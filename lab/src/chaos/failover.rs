//! How long a fail-over takes, and which part of it takes how long.
//!
//! ```text
//!   the fault      detection       decision            promotion             start              a write
//!      |---------------|---------------|--------------------|-------------------|
//!   host's clock    DRBD's kernel   the daemon has      fence-peer is over,   mount, service,
//!                   log             decided             this node is Primary  first fsync
//! ```
//!
//! The nodes' clocks are the host's, so the times can be subtracted, unless the host is so short of CPU time that a node reads them
//! late at its boot. The journal's own times of the kernel's lines are
//! those of their arrival, which is late on a busy node: these lines are taken from the kernel, which has a clock of its own.

use std::time::Duration;

use super::ledger::Micros;

const DAY: Micros = 24 * 3600 * 1_000_000;
/// DRBD, or systemd for a mere service, has noticed.
const NOTICED: [&str; 4] = [
    "conn( Connected -> ",
    "peer( Primary -> Secondary )",
    "disk( UpToDate -> Failed )",
    "counter.service: Main process exited",
];
const DECIDED: &str = " decided action=";
/// These decisions start something.
const STARTS: [&str; 2] = ["what=start ", "what=restart "];
/// The last of these ends the promotion.
const PROMOTED: [&str; 2] = ["fence-peer data exit code", "role( Secondary -> Primary )"];

/// One fail-over, measured. Parts that there were not are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// From the fault until it is noticed.
    pub detection: Option<Duration>,
    /// From then until the daemon has decided.
    pub decision: Option<Duration>,
    /// From then until the peer is fenced and this node is Primary.
    pub promotion: Option<Duration>,
    /// From then until a write is acknowledged.
    pub start: Duration,
    /// From the fault until a write is acknowledged.
    pub total: Duration,
    /// The longest time without a write.
    pub silence: Duration,
}

/// Shows the kernel's lines of a node, with one that says how its clock relates to ours.
pub(super) const KERNEL: &str = "echo \"lab-clock $(date +%s%6N)\" >/dev/kmsg && dmesg";
const CLOCK: &str = "lab-clock ";

/// The kernel's lines, with the times at which they were written.
#[must_use]
pub fn kernel_lines(dmesg: &str) -> Vec<(Micros, String)> {
    let lines: Vec<(i128, &str)> = dmesg
        .lines()
        .filter_map(|line| {
            let (stamp, text) = line.strip_prefix('[')?.split_once("] ")?;
            let (seconds, micros) = stamp.trim().split_once('.')?;
            Some((seconds.parse::<i128>().ok()? * 1_000_000 + micros.parse::<i128>().ok()?, text))
        })
        .collect();
    let clock = lines.iter().rev().find_map(|(stamp, text)| {
        let at: i128 = text.strip_prefix(CLOCK)?.trim().parse().ok()?;
        Some(at - stamp)
    });
    let Some(offset) = clock else { return Vec::new() };
    let at = |stamp: i128| Micros::try_from(stamp + offset).unwrap_or_default();
    lines.into_iter().map(|(stamp, text)| (at(stamp), text.to_owned())).collect()
}

/// The lines of a node's journal that are not the kernel's, with the times that they have.
#[must_use]
pub fn journal_lines(lines: &[String], node: &str, fault: Micros) -> Vec<(Micros, String)> {
    let line = |line: &String| {
        let rest = line.get(22..)?.strip_prefix(' ')?.strip_prefix(node)?.strip_prefix(' ')?;
        // A time of day: so long after the fault.
        let after = (time_of_day(line)? + DAY - fault % DAY) % DAY;
        (!rest.starts_with("kernel:")).then(|| (fault + after, rest.to_owned()))
    };
    lines.iter().filter_map(line).collect()
}

/// Finds the parts in the lines of the node that runs the service afterwards.
#[must_use]
pub fn measure(mut lines: Vec<(Micros, String)>, fault: Micros, pause: (Micros, Micros)) -> Measured {
    let (silent, written) = pause;
    lines.retain(|(at, _)| (fault..=written).contains(at));
    lines.sort_by_key(|(at, _)| *at);
    let lines: Vec<(Micros, &str)> = lines.iter().map(|(at, line)| (at - fault, line.as_str())).collect();
    let total = written.saturating_sub(fault);
    let noticed = lines.iter().find(|(_, line)| has(line, &NOTICED)).map(|(after, _)| *after);
    let mut last = noticed.unwrap_or(0);
    let mut part = |found: Option<Micros>| {
        let found = found.filter(|after| *after >= last)?;
        let part = Duration::from_micros(found - last);
        last = found;
        Some(part)
    };
    let newest = |wanted: &dyn Fn(&str) -> bool| lines.iter().rev().find(|(_, line)| wanted(line)).map(|(at, _)| *at);
    let decision = part(newest(&|line| line.contains(DECIDED) && has(line, &STARTS)));
    let promotion = part(newest(&|line| has(line, &PROMOTED)));
    Measured {
        detection: noticed.map(Duration::from_micros),
        decision,
        promotion,
        start: Duration::from_micros(total.saturating_sub(last)),
        total: Duration::from_micros(total),
        silence: Duration::from_micros(written.saturating_sub(silent)),
    }
}

fn has(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| line.contains(word))
}

/// Microseconds since midnight of a line that begins `Nov 21 13:30:31.016682`.
fn time_of_day(line: &str) -> Option<Micros> {
    let (clock, micros) = line.get(7..22)?.split_once('.')?;
    let seconds = clock.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<Micros>().ok()?))?;
    Some(seconds * 1_000_000 + micros.parse::<Micros>().ok()?)
}

/// The middle one of several by its total, with the shortest and the longest total.
#[must_use]
pub fn middle(mut all: Vec<Measured>) -> Option<(Measured, Duration, Duration)> {
    all.sort_by_key(|measured| measured.total);
    let (least, most) = (all.first()?.total, all.last()?.total);
    let middle = all.swap_remove((all.len() - 1) / 2);
    Some((middle, least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 13:51:48.000000 UTC.
    const FAULT: Micros = 1_795_269_108_000_000;

    fn lines(text: &str, node: &str) -> Vec<(Micros, String)> {
        journal_lines(&text.lines().map(str::to_owned).collect::<Vec<_>>(), node, FAULT)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_take_over_has_all_parts() {
        let mut story = lines(
            "Nov 21 13:51:48.500000 n1 reactord[389]: decided action=15 unit=x what=start because=\"another node\"\n\
             Nov 21 13:51:54.500000 n2 reactord[389]: decided action=14 unit=x what=reset-failed because=\"y\"\n\
             Nov 21 13:51:54.600000 n2 reactord[389]: decided action=15 unit=x what=start because=\"y\"\n\
             Nov 21 13:51:57.000000 n2 kernel: block drbd0: role( Secondary -> Primary ) \n\
             Nov 21 13:52:30.000000 n2 reactord[389]: decided action=16 unit=x what=start because=\"later\"",
            "n2",
        );
        story.extend(kernel_lines(
            "[    1.000000] drbd: initialized\n\
             [  100.500000] drbd data: peer( Primary -> Unknown ) conn( Connected -> NetworkFailure ) \n\
             [  106.600000] drbd data: helper command: /sbin/drbdadm fence-peer data exit code 7 (0x700)\n\
             [  106.700000] block drbd0: role( Secondary -> Primary ) \n\
             [  109.000000] lab-clock 1795269118000000",
        ));
        let measured = measure(story, FAULT, (FAULT - 10_000, FAULT + 8_500_000));
        let expected = Measured {
            detection: Some(millis(1500)),
            decision: Some(millis(5100)),
            promotion: Some(millis(1100)),
            start: millis(800),
            total: millis(8500),
            silence: millis(8510),
        };
        assert_eq!(measured, expected);
    }

    #[test]
    fn a_service_that_is_restarted_needs_no_promotion() {
        let story = lines(
            "Nov 21 13:51:48.100000 n1 systemd[1]: counter.service: Main process exited, code=killed, status=9/KILL\n\
             Nov 21 13:51:49.100000 n1 reactord[389]: decided action=15 unit=counter.service what=start because=\"y\"",
            "n1",
        );
        let measured = measure(story, FAULT, (FAULT + 100_000, FAULT + 1_600_000));
        assert_eq!(measured.detection, Some(millis(100)));
        assert_eq!(measured.decision, Some(millis(1000)));
        assert_eq!(measured.promotion, None);
        assert_eq!((measured.start, measured.total, measured.silence), (millis(500), millis(1600), millis(1500)));
    }

    #[test]
    fn the_parts_add_up_whatever_is_there() {
        let measured = measure(Vec::new(), FAULT, (FAULT, FAULT + 900_000));
        assert_eq!((measured.detection, measured.start, measured.total), (None, millis(900), millis(900)));
        assert_eq!(kernel_lines("[    1.000000] no clock"), []);
    }

    #[test]
    fn midnight_is_no_special_time() {
        let before = FAULT - FAULT % DAY + DAY - 500_000;
        let line = "Nov 22 00:00:00.500000 n1 systemd[1]: counter.service: Main process exited".to_owned();
        let lines = journal_lines(&[line], "n1", before);
        assert_eq!(measure(lines, before, (before, before + 2_000_000)).detection, Some(millis(1000)));
    }

    #[test]
    fn the_middle_one_counts() {
        let one = |total| Measured {
            detection: None,
            decision: None,
            promotion: None,
            start: millis(total),
            total: millis(total),
            silence: millis(total),
        };
        assert_eq!(middle(vec![one(3), one(9), one(1)]), Some((one(3), millis(1), millis(9))));
        assert_eq!(middle(vec![]), None);
    }
}
