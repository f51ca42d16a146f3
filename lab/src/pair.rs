//! A pair of nodes that runs a counter on DRBD 8.4 with fencing: what `lab/pair` has, set up in a cluster that is up.
//!
//! ```no_run
//! # async fn example(cluster: &lab::cluster::Cluster) -> Result<(), lab::pair::PairError> {
//! use std::time::Duration;
//! use lab::pair::{Pair, PairOptions};
//! let within = Duration::from_secs(60);
//! let pair = Pair::set_up(cluster, &PairOptions::default()).await?;
//! let active = pair.active(within).await?;
//! active.kill().await?;
//! pair.active(within).await?;
//! pair.settle(cluster, within).await?;
//! # Ok(()) }
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, ClusterError, Node, Power};

/// The folder `lab/pair`, file by file.
pub const FILES: [(&str, &str); 5] = [
    ("setup.sh", include_str!("../pair/setup.sh")),
    ("data.res", include_str!("../pair/data.res")),
    (PROMOTER, include_str!("../pair/data.toml")),
    ("srv-data.mount", include_str!("../pair/srv-data.mount")),
    ("counter.service", include_str!("../pair/counter.service")),
];
/// The names of its nodes.
pub const NODES: [&str; 2] = ["n1", "n2"];
/// The name of its resource.
pub const RESOURCE: &str = "data";
/// What the service writes, where its file system is mounted.
pub const COUNT: &str = "/srv/data/count";

const PROMOTER: &str = "data.toml";
/// Longest wait for a step of the setup.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest wait for one look at a node. A look that hangs, as on a suspended device, is no look.
const LOOK: Duration = Duration::from_secs(10);
/// Succeeds where the service runs and has written something itself.
const WRITES: &str = "systemctl -q is-active counter && tail -n 1 /srv/data/count | grep -q \" $(uname -n) \"";
/// Succeeds where DRBD has both sides and all data.
const WHOLE: &str = "drbdadm cstate data | grep -qx Connected && drbdadm dstate data | grep -qx UpToDate/UpToDate";

/// What can be different in a pair.
#[derive(Debug, Clone, Default)]
pub struct PairOptions {
    /// DRBD's `ping-int` in seconds; 1 if not given.
    pub ping_int: Option<u8>,
    /// Another `data.toml` for the promoter.
    pub promoter: Option<String>,
    /// Files in place of those of `lab/pair`, or besides them, by name.
    pub files: Vec<(String, String)>,
    /// Shell lines for each node after its setup, before the promoter gets to know.
    pub prepare: Option<String>,
}

/// Why a pair is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// The cluster cannot do it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A file cannot be made for a node.
    #[error("cannot write {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The state did not come in time.
    #[error("the pair is not {wanted} after {} s:\n{found}", within.as_secs())]
    Not {
        /// What was waited for.
        wanted: &'static str,
        /// How long.
        within: Duration,
        /// What the nodes say.
        found: String,
    },
}

/// The first two nodes of a cluster, with DRBD's resource `data` and the service `counter` on it.
#[derive(Debug, Clone)]
pub struct Pair {
    nodes: [Arc<Node>; 2],
}

impl Pair {
    /// Sets the pair up on n1 and n2, which are on, and waits until the promoters have their configuration.
    pub async fn set_up(cluster: &Cluster, options: &PairOptions) -> Result<Self, PairError> {
        let pair = Self::of(cluster)?;
        let files = files(options);
        for node in &pair.nodes {
            for (name, text) in &files {
                put(node, name, text)?;
            }
        }
        let prepare = options.prepare.as_deref().unwrap_or(":");
        let set_up = |node: &Arc<Node>, last: &'static str| {
            let node = Arc::clone(node);
            let line = format!(
                "command -v reactorctl >/dev/null || {{ echo 'storage-reactor is not in the image: make deb'; exit 1; }}; \
                 cp -r /lab/pair /root/ && sh /root/pair/setup.sh {last} 2>&1 && {{ {prepare}\n}}"
            );
            async move { node.sh(&line, PATIENCE).await }
        };
        // The second one waits for the first one to connect.
        tokio::try_join!(set_up(&pair.nodes[0], ""), set_up(&pair.nodes[1], "last"))?;
        pair.reload_promoter(None).await?;
        Ok(pair)
    }

    /// A pair that was set up before.
    pub fn of(cluster: &Cluster) -> Result<Self, PairError> {
        let [first, second] = NODES;
        Ok(Self { nodes: [Arc::clone(cluster.node(first)?), Arc::clone(cluster.node(second)?)] })
    }

    /// Both nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Arc<Node>; 2] {
        &self.nodes
    }

    /// The other node.
    #[must_use]
    pub fn other(&self, name: &str) -> &Arc<Node> {
        if self.nodes[0].name() == name { &self.nodes[1] } else { &self.nodes[0] }
    }

    /// Gives the promoters of both nodes a new `data.toml`, or once more the one that the setup left, and reloads them.
    pub async fn reload_promoter(&self, toml: Option<&str>) -> Result<(), PairError> {
        for node in &self.nodes {
            if let Some(toml) = toml {
                put(node, PROMOTER, toml)?;
            }
            let line = "cp /lab/pair/data.toml /etc/storage-reactor.d/data.toml && sync && reactorctl reload";
            node.sh(line, PATIENCE).await?;
        }
        Ok(())
    }

    /// Waits until the service runs on a node and has written there, and returns the node.
    pub async fn active(&self, within: Duration) -> Result<&Arc<Node>, PairError> {
        let [first, second] = &self.nodes;
        let found = async {
            tokio::select! {
                () = succeeds(first, WRITES) => first,
                () = succeeds(second, WRITES) => second,
            }
        };
        match tokio::time::timeout(within, found).await {
            Ok(node) => Ok(node),
            Err(_) => Err(self.not("active", within).await),
        }
    }

    /// Mends everything that can be broken from outside (links, power, disks), and waits until the pair is whole: both
    /// nodes up, connected, all data on both, the service writing on one of them only. Returns that node.
    pub async fn settle(&self, cluster: &Cluster, within: Duration) -> Result<&Arc<Node>, PairError> {
        let until = Instant::now() + within;
        cluster.heal_all()?;
        tokio::try_join!(self.mend(&self.nodes[0], until), self.mend(&self.nodes[1], until))?;
        let left = || until.saturating_duration_since(Instant::now());
        let [first, second] = &self.nodes;
        let whole = async { tokio::join!(succeeds(first, WHOLE), succeeds(second, WHOLE)) };
        if tokio::time::timeout(left(), whole).await.is_err() {
            return Err(self.not("whole", within).await);
        }
        let active = match self.active(left()).await {
            Err(PairError::Not { found, .. }) => return Err(PairError::Not { wanted: "active", within, found }),
            active => active?,
        };
        let idle = "! systemctl -q is-active counter && ! mountpoint -q /srv/data";
        if tokio::time::timeout(left().max(LOOK), succeeds(self.other(active.name()), idle)).await.is_err() {
            return Err(self.not("active on one node only", within).await);
        }
        Ok(active)
    }

    /// One node: on, running, its disk attached. A node that another one switches off meanwhile is started again.
    async fn mend(&self, node: &Arc<Node>, until: Instant) -> Result<(), PairError> {
        const DISK: &str = "case $(dmsetup table disk1) in *error*) echo broken ;; esac; drbdadm dstate data";
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if node.power() == Power::Hung {
                node.resume()?;
            }
            let looked = match node.boot(left).await {
                Ok(_) => node.sh(DISK, LOOK).await,
                Err(error) => Err(error),
            };
            let mended = match looked {
                Ok(state) if state.starts_with("broken") => node.repair_disk(1).await,
                Ok(state) if state.starts_with("Diskless") => node.sh("drbdadm attach data", LOOK).await.map(drop),
                Ok(_) => return Ok(()),
                Err(error) => Err(error),
            };
            match mended {
                Err(error) if left.is_zero() => return Err(error.into()),
                // In the middle of a boot, or killed by the other one: it is looked at again.
                Ok(()) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Every decision of a node's daemon and what came of it, over all boots, as its journal has them. The node may be off.
    #[must_use]
    pub fn decisions(&self, name: &str) -> String {
        let node = self.other(self.other(name).name());
        let journal = std::fs::read(node.spec().share.join("journal.log")).unwrap_or_default();
        let decision = |line: &&str| line.contains(" decided action=") || line.contains(" ended action=");
        String::from_utf8_lossy(&journal).lines().filter(decision).map(|line| format!("{line}\n")).collect()
    }

    /// What both nodes say of themselves, for the text of an error.
    pub async fn story(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let line = "cat /proc/drbd | tail -n +3; systemctl --no-legend list-units counter srv-data.mount 'drbd-*'; reactorctl why data";
            let said = match node.exec(line, LOOK).await {
                Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
                Err(error) => error.to_string(),
            };
            text += &format!("--- {}\n{}\n", node.name(), said.trim_end());
        }
        text
    }

    async fn not(&self, wanted: &'static str, within: Duration) -> PairError {
        PairError::Not { wanted, within, found: self.story().await }
    }
}

/// The files of `lab/pair` with the options in them.
fn files(options: &PairOptions) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> =
        FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    if let Some(ping_int) = options.ping_int {
        for (_, text) in &mut files {
            *text = text.replace("ping-int 1;", &format!("ping-int {ping_int};"));
        }
    }
    let promoter = options.promoter.iter().map(|text| (PROMOTER.to_owned(), text.clone()));
    for (name, text) in promoter.chain(options.files.iter().cloned()) {
        files.retain(|(other, _)| *other != name);
        files.push((name, text));
    }
    files
}

/// Writes a file into the node's /lab/pair.
fn put(node: &Node, name: &str, text: &str) -> Result<(), PairError> {
    let folder = node.spec().share.join("pair");
    let path = folder.join(name);
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
    written.map_err(|source| PairError::File { path, source })
}

/// Ends when the command succeeds on the node, whatever happens to the node until then.
async fn succeeds(node: &Node, command: &str) {
    while !matches!(node.exec(command, LOOK).await, Ok(output) if output.code == 0) {
        // The node's own commands take a while: this is a pause for the others, not a measure.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(files: &'a [(String, String)], name: &str) -> &'a str {
        let mut found = files.iter().filter(|(other, _)| other == name);
        let text = &found.next().expect("the file").1;
        assert!(found.next().is_none(), "{name} is there twice");
        text
    }

    #[test]
    fn options_change_the_files() {
        let plain = files(&PairOptions::default());
        assert!(text(&plain, "data.res").contains("ping-int 1;"));
        let options = PairOptions {
            ping_int: Some(10),
            promoter: Some("# mine".to_owned()),
            files: vec![("counter.service".to_owned(), "other".to_owned()), ("more".to_owned(), "new".to_owned())],
            prepare: None,
        };
        let changed = files(&options);
        assert!(text(&changed, "data.res").contains("ping-int 10;"));
        assert_eq!(text(&changed, PROMOTER), "# mine");
        assert_eq!(text(&changed, "counter.service"), "other");
        assert_eq!(text(&changed, "more"), "new");
        assert_eq!(changed.len(), FILES.len() + 1);
    }
}
