//! The statistics poll of DRBD 8.4.
//!
//! Its drbdsetup knows no `--poll`: a second one, `events2 --now --statistics`, prints a snapshot of this moment. The core takes
//! `exists` lines outside a dump as statistics of objects that it knows, never as news of a state: the snapshot comes through
//! another pipe than the live stream and may be older than a change that was already read.

use std::path::Path;
use std::time::Duration;

use super::command::{self, CommandError};

/// The snapshot must be complete within this.
const DEADLINE: Duration = Duration::from_secs(10);

/// Some 600 bytes per resource: enough for 20,000 of them.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// Arguments for the snapshot.
pub(crate) const ARGS: [&str; 3] = ["events2", "--now", "--statistics"];

/// The snapshot of this moment: `exists` lines that end with `exists -`, and how many lines they are.
pub(crate) async fn ask(drbdsetup: &Path) -> Result<(String, usize), CommandError> {
    let output = command::run(drbdsetup, &ARGS, DEADLINE, MAX_OUTPUT).await?;
    Ok(whole_exists_lines(&output.stdout))
}

/// Leaves out what is no `exists` line, and a last line without an end.
fn whole_exists_lines(snapshot: &str) -> (String, usize) {
    let mut out = String::with_capacity(snapshot.len());
    let mut count = 0;
    for line in snapshot.split_inclusive('\n').filter(|line| line.starts_with("exists ") && line.ends_with('\n')) {
        out.push_str(line);
        count += 1;
    }
    (out, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_exists_lines_are_taken() {
        let (text, count) = whole_exists_lines("some banner\nexists resource name:r0\nexists -\nexists half");
        assert_eq!((text.as_str(), count), ("exists resource name:r0\nexists -\n", 2));
    }
}
