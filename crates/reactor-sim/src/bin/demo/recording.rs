//! The recording that the demo plays, with its long silences shortened: two minutes of a cluster in some fifteen seconds.

use std::path::PathBuf;

use anyhow::{Context, Result};
use reactor_sim::daemon::TempDir;

/// What node n3 printed while n1, which ran the service, was switched off. It is part of the program, so that an installed demo works too.
const EVENTS: &str = include_str!("../../../../../tests/recordings/drbd9/r2-failover-node-killed/n3.events2");
/// When it was read.
const CHUNKS: &str = include_str!("../../../../../tests/recordings/drbd9/r2-failover-node-killed/n3.events2.chunks");
/// Longer silences are shortened to this, in seconds.
const LONGEST_SILENCE: f64 = 0.45;

/// A recording in a folder, and how its time was shortened.
pub(crate) struct Recording {
    /// The file for `--play`.
    pub(crate) file: PathBuf,
    /// Seconds since the beginning, as played and as it happened, of each read.
    points: Vec<(f64, f64)>,
}

impl Recording {
    /// Writes it to `dir`.
    pub(crate) fn write(dir: &TempDir) -> Result<Self> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut chunks = String::new();
        let mut first = None;
        for line in CHUNKS.lines() {
            let mut words = line.split(' ');
            let time: f64 = words.next().unwrap_or_default().parse().context("a time in the recording")?;
            let (Some(offset), Some(length)) = (words.next(), words.next()) else { continue };
            if offset.parse::<u64>().is_err() {
                continue;
            }
            let first = *first.get_or_insert(time);
            let real = time - first;
            let played = match points.last() {
                Some((played, before)) => played + (real - before).min(LONGEST_SILENCE),
                None => 0.0,
            };
            points.push((played, real));
            chunks += &format!("{:.6} {offset} {length}\n", first + played);
        }
        let file = dir.write("n3.events2", EVENTS)?;
        dir.write("n3.events2.chunks", &chunks)?;
        Ok(Self { file, points })
    }

    /// When that happened on the real cluster, in seconds since the beginning.
    pub(crate) fn real(&self, played: f64) -> f64 {
        let next = self.points.partition_point(|(at, _)| *at <= played);
        let Some((at, real)) = next.checked_sub(1).and_then(|last| self.points.get(last)) else { return 0.0 };
        real + (played - at).min(LONGEST_SILENCE)
    }
}
