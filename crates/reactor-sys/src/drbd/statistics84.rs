//! The statistics poll of DRBD 8.4.
//!
//! Its drbdsetup knows no `--poll`: a second one, `events2 --now --statistics`, prints a picture of this moment. That picture
//! and the live stream are two pipes, so the picture may be older than a change that was already read. Taken as it is, it would
//! put a state back. So only the statistics of it are taken: every key that says a state is cut out, and what is left are lines
//! like `exists device name:r0 volume:0 minor:0 read:1 written:2`, which with 8.4 means "these keys, the others unchanged".

use std::path::Path;
use std::time::Duration;

use super::command::{self, CommandError};

/// The picture must be complete within this.
const DEADLINE: Duration = Duration::from_secs(10);

/// Some 600 bytes per resource: enough for 20,000 of them.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// Keys that only the live stream may change.
const STATE_KEYS: [&str; 7] =
    ["role:", "suspended:", "connection:", "disk:", "replication:", "peer-disk:", "resync-suspended:"];

/// Arguments for the picture.
pub(crate) const ARGS: [&str; 3] = ["events2", "--now", "--statistics"];

/// The statistics of this moment as `exists` lines that end with `exists -`, and how many lines they are.
pub(crate) async fn ask(drbdsetup: &Path) -> Result<(String, usize), CommandError> {
    let output = command::run(drbdsetup, &ARGS, DEADLINE, MAX_OUTPUT).await?;
    Ok(statistics_only(&output.stdout))
}

/// Cuts the states out; lines that are no `exists` lines, and a last line without an end, go too.
fn statistics_only(picture: &str) -> (String, usize) {
    let mut out = String::with_capacity(picture.len());
    let mut count = 0;
    for line in picture.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        if !line.starts_with("exists ") {
            continue;
        }
        let mut first = true;
        for word in line.split(' ').filter(|word| !STATE_KEYS.iter().any(|key| word.starts_with(key))) {
            if !std::mem::take(&mut first) {
                out.push(' ');
            }
            out.push_str(word);
        }
        out.push('\n');
        count += 1;
    }
    (out, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_picture_can_not_put_a_state_back() {
        let picture = "exists resource name:r0 role:Primary suspended:no write-ordering:flush\n\
            exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary congested:no\n\
            exists device name:r0 volume:0 minor:0 disk:UpToDate size:524236 read:1 written:0\n\
            exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate \
            resync-suspended:no received:0 sent:5\nexists -\nhalf a li";
        let (text, count) = statistics_only(picture);
        assert_eq!(
            text,
            "exists resource name:r0 write-ordering:flush\n\
            exists connection name:r0 peer-node-id:0 conn-name:peer congested:no\n\
            exists device name:r0 volume:0 minor:0 size:524236 read:1 written:0\n\
            exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 received:0 sent:5\nexists -\n"
        );
        assert_eq!(count, 5);
    }
}
