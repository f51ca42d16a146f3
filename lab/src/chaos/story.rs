//! What happened, told in order: what was done, and what the nodes' journals say to that.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::{Node, quoted};
use crate::pair::Pair;

/// As in the journal's lines.
const TIME: &str = "%b %d %H:%M:%S%.6f";
/// How long that is.
const TIME_LENGTH: usize = 22;
/// Longest wait for a node's words after a failure.
const LOOK: Duration = Duration::from_secs(20);
/// Lines of the journal that belong to a story have one of these.
const TELLING: [&str; 9] =
    [" reactord[", "drbd data", "block drbd0", "drbd-", "srv-data", "counter", "EXT4-fs", "lab-", "systemd-shutdown"];
/// Lines that say it all in a few words.
const BRIEF: [&str; 8] = [
    " lab: ",
    " decided action=",
    " ended action=",
    "helper command",
    "conn( ",
    "role( ",
    "Started counter",
    "Stopped counter",
];

/// The story of a round.
#[derive(Debug)]
pub struct Story {
    told: Vec<String>,
    /// How long each node's journal was when the story began.
    journals: Vec<(Arc<Node>, u64)>,
}

impl Story {
    /// Begins now.
    #[must_use]
    pub fn begin(pair: &Pair) -> Self {
        let length = |node: &Arc<Node>| fs::metadata(journal(node)).map_or(0, |metadata| metadata.len());
        let journals = pair.nodes().iter().map(|node| (Arc::clone(node), length(node))).collect();
        Self { told: Vec::new(), journals }
    }

    /// Something was done or seen now.
    pub fn tell(&mut self, what: impl AsRef<str>) {
        let now = Timestamp::now().strftime(TIME);
        self.told.extend(what.as_ref().lines().map(|line| format!("{now} lab: {line}")));
    }

    /// Everything so far, by time.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let mut lines = self.told.clone();
        for (node, from) in &self.journals {
            let text = read_from(&journal(node), *from).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            lines.extend(text.lines().filter(|line| has(line, &TELLING)).map(str::to_owned));
        }
        // The sort is stable: lines of the same moment stay in their order.
        lines.sort_by(|a, b| a.get(..TIME_LENGTH).cmp(&b.get(..TIME_LENGTH)));
        lines
    }

    /// The lines that say it all in a few words.
    #[must_use]
    pub fn brief(&self) -> Vec<String> {
        self.all().into_iter().filter(|line| has(line, &BRIEF)).collect()
    }
}

fn has(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| line.contains(word))
}

fn journal(node: &Node) -> std::path::PathBuf {
    node.spec().share.join("journal.log")
}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Asks the nodes for everything that a person would look at, and leaves it in their shared folders; the story itself goes
/// into the cluster's folder. Journals, consoles and acknowledgements are there anyway.
pub(super) async fn keep_evidence(pair: &Pair, story: &Story, folder: &Path) -> io::Result<()> {
    fs::write(folder.join("story.txt"), story.all().join("\n") + "\n")?;
    for node in pair.nodes() {
        let steps = [
            (
                "state.txt",
                "cat /proc/drbd; drbdadm status; systemctl --no-pager list-units 'drbd*' counter srv-data.mount; cat /proc/mounts",
            ),
            ("why.txt", "reactorctl why data; reactorctl status; reactorctl changes"),
            ("recordings.log", "cp -rT /var/lib/storage-reactor/recordings /lab/recordings"),
            ("count", "cat /srv/data/count"),
        ];
        for (name, line) in steps {
            // A node that is off, or whose disk hangs, has said what it had to say.
            let line = format!("{{ timeout 5 sh -c {} ; }} >/lab/{name} 2>&1", quoted(line));
            let _silent = node.exec(&line, LOOK).await;
        }
    }
    Ok(())
}
