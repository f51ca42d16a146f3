//! The counter's own account: who wrote which number when. It judges the cluster: no number twice, none lost, never two writers.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use reactor_sim::counter::{Entry, parse};

/// One line of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// When.
    pub(crate) at: Timestamp,
    /// Index of the node.
    pub(crate) node: usize,
    /// What.
    pub(crate) entry: Entry,
}

/// The files of all counters, as far as they were read.
pub(crate) struct Accounts {
    files: Vec<(PathBuf, u64)>,
}

impl Accounts {
    /// Nothing is read yet; the files need not exist.
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        Self { files: files.into_iter().map(|file| (file, 0)).collect() }
    }

    /// New lines of all nodes, in the order of time.
    pub(crate) fn take(&mut self) -> Vec<Written> {
        let mut all = Vec::new();
        for (node, (path, read)) in self.files.iter_mut().enumerate() {
            let Some(text) = tail(path, *read) else { continue };
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            *read += whole as u64;
            let lines = text[..whole].lines().filter_map(parse);
            all.extend(lines.filter_map(|(micros, entry)| {
                let at = Timestamp::from_microsecond(micros).ok()?;
                Some(Written { at, node, entry })
            }));
        }
        all.sort_by_key(|written| written.at);
        all
    }
}

fn tail(path: &PathBuf, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    // A counter that was killed within a line leaves half of it; the rest is plain ASCII.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What all writes together say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Writes that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Writes that DRBD refused: none of them counts as done.
    pub(crate) refused: u64,
    /// Acknowledged writes that a later reader did not find.
    pub(crate) lost: u64,
    /// Numbers that were acknowledged twice: two writers at once.
    pub(crate) twice: u64,
    /// The last number.
    pub(crate) last: u64,
}

impl Judgement {
    /// Takes a line in; in the order of time.
    pub(crate) fn add(&mut self, entry: &Entry) {
        match entry {
            // A write whose acknowledgement nobody saw may be there: the next one goes on behind it.
            Entry::Opened(number) => self.lost += self.last.saturating_sub(*number),
            Entry::Acknowledged(number) => {
                self.acknowledged += 1;
                self.twice += u64::from(*number <= self.last);
                self.last = self.last.max(*number);
            }
            Entry::Refused(_) => self.refused += 1,
            Entry::NotOpened(_) => {}
        }
    }
}

/// The longest time without an acknowledged write in `[from, to]`, with the writes on either side of it.
pub(crate) fn longest_gap(writes: &[Written], from: Timestamp, to: Timestamp) -> Option<(Written, Written)> {
    let done: Vec<&Written> = writes.iter().filter(|written| matches!(written.entry, Entry::Acknowledged(_))).collect();
    let pairs = done.windows(2).filter(|pair| pair[1].at >= from && pair[0].at <= to);
    let longest = pairs.max_by_key(|pair| length(pair[0], pair[1]))?;
    Some((longest[0].clone(), longest[1].clone()))
}

/// From one write to the next.
pub(crate) fn length(one: &Written, next: &Written) -> SignedDuration {
    next.at.duration_since(one.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(entries: &[Entry]) -> Judgement {
        let mut judgement = Judgement::default();
        entries.iter().for_each(|entry| judgement.add(entry));
        judgement
    }

    #[test]
    fn a_number_that_nobody_was_told_of_is_not_lost_and_one_that_somebody_was_told_of_is() {
        use Entry::{Acknowledged, Opened, Refused};
        let good = [Opened(0), Acknowledged(1), Acknowledged(2), Refused("EIO".to_owned()), Opened(3), Acknowledged(4)];
        assert_eq!(judge(&good), Judgement { acknowledged: 3, refused: 1, lost: 0, twice: 0, last: 4 });
        let bad = [Opened(0), Acknowledged(1), Acknowledged(2), Opened(1), Acknowledged(2)];
        let Judgement { lost, twice, .. } = judge(&bad);
        assert_eq!((lost, twice), (1, 1));
    }

    #[test]
    fn the_longest_gap_is_the_one_within_the_scene() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let write = |ms, number| Written { at: at(ms), node: 0, entry: Entry::Acknowledged(number) };
        let writes = [write(0, 1), write(500, 2), write(520, 3), write(600, 4), write(620, 5)];
        let (one, next) = longest_gap(&writes, at(510), at(610)).unwrap();
        assert_eq!((one.at, next.at), (at(520), at(600)));
        assert_eq!(longest_gap(&writes, at(700), at(800)), None);
    }
}
