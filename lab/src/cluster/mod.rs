//! A cluster of nodes on this machine: switch, machines, agents, and every way to break them.
//!
//! ```no_run
//! # async fn example() -> Result<(), lab::cluster::ClusterError> {
//! use std::time::Duration;
//! # let image = lab::image::Image { kernel: "".into(), modules: "".into(), base: "".into(), runner: lab::image::Runner::Uml(Default::default()) };
//! let cluster = lab::cluster::Cluster::up(&lab::cluster::Options::new(3, image)).await?;
//! cluster.cut("n1", "n2")?;
//! cluster.node("n1")?.sh("drbdadm status", Duration::from_secs(10)).await?;
//! cluster.node("n2")?.kill().await?;
//! cluster.down().await?;
//! # Ok(()) }
//! ```
//!
//! Dropping a cluster kills its nodes and removes its folder, unless a test is failing or `LAB_KEEP` is set.

mod error;
mod host;
mod node;
mod power;
pub mod rundir;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::backend::{Backend, NodeSpec};
use crate::image::{Image, Runner};
use crate::keeper::Exit;
use crate::qemu::Qemu;
use crate::switch::{Counters, Link, Net, PartsPerMillion, Port, Switch};
use crate::uml::Uml;

pub use error::ClusterError;
pub use host::lab_program;
use node::Common;
pub use node::{Node, Power, quoted};
use rundir::RunDir;

/// The variable that lets run folders stay.
pub const KEEP_VARIABLE: &str = "LAB_KEEP";
/// Addresses and disks' letters allow for so many.
const MOST_NODES: u8 = 16;
const MOST_DISKS: u8 = 7;

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of its run folder.
    pub name: String,
    /// How many nodes: n1, n2, ...
    pub nodes: u8,
    /// How many data disks each node has.
    pub disks: u8,
    /// Their size.
    pub disk_mib: u64,
    /// The memory of a node.
    pub memory_mib: u32,
    /// For everything random in the network.
    pub seed: u64,
    /// What the nodes run.
    pub image: Image,
    /// The `lab` program, for the keepers; found beside the running program if not given.
    pub lab: Option<PathBuf>,
    /// How long all nodes together may take to come up.
    pub boot_within: Duration,
    /// More words for the kernels' command lines.
    pub words: Vec<String>,
}

impl Options {
    /// Nodes with one data disk of 256 MiB each, under a name of their own.
    #[must_use]
    pub fn new(nodes: u8, image: Image) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("p{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // An emulated processor takes its time, and more so where others use this machine's.
        let boot_within = Duration::from_secs(if image.emulator().is_some() { 600 } else { 180 });
        Self {
            name,
            nodes,
            disks: 1,
            disk_mib: 256,
            memory_mib: 384,
            seed: 0,
            image,
            lab: None,
            boot_within,
            words: Vec::new(),
        }
    }
}

/// Nodes that run, and the switch between them.
#[derive(Debug)]
pub struct Cluster {
    // In this order: machines end before the folder goes.
    nodes: Vec<Arc<Node>>,
    common: Arc<Common>,
    run: RunDir,
    boot_within: Duration,
    power: AbortHandle,
}

impl Cluster {
    /// Boots all nodes at once and waits until every agent answers.
    pub async fn up(options: &Options) -> Result<Self, ClusterError> {
        let cluster = Self::prepare(options)?;
        cluster.boot_all().await?;
        Ok(cluster)
    }

    /// Everything but the boot. Needs a tokio runtime around it.
    pub fn prepare(options: &Options) -> Result<Self, ClusterError> {
        host::check(options)?;
        let lab = match &options.lab {
            Some(lab) => lab.clone(),
            None => lab_program()?,
        };
        let run = RunDir::create(&RunDir::base(), &options.name)?;
        let backend = backend(options, run.path());
        let (power_calls, calls) = mpsc::unbounded_channel();
        let switch = Switch::start(options.seed)?;
        let common = Arc::new(Common { backend, switch, lab, power_calls });
        let nodes = (0..options.nodes).map(|number| spec(options, run.path(), number));
        let nodes: Vec<_> = nodes.map(|spec| Arc::new(Node::new(spec, Arc::clone(&common)))).collect();
        let weak = nodes.iter().map(Arc::downgrade).collect();
        let power = tokio::spawn(power::serve(weak, calls, options.boot_within)).abort_handle();
        Ok(Self { nodes, common, run, boot_within: options.boot_within, power })
    }

    /// Boots every node that is off, all at once.
    pub async fn boot_all(&self) -> Result<(), ClusterError> {
        let within = self.boot_within;
        self.each(move |node| async move { node.boot(within).await.map(drop) }).await
    }

    /// Powers every node that is on off, all at once, and ends the cluster.
    pub async fn down(self) -> Result<Vec<(String, Exit)>, ClusterError> {
        self.power_off_all().await?;
        let exits = self.nodes.iter().filter_map(|node| match node.power() {
            Power::Off(Some(exit)) => Some((node.name().to_owned(), exit)),
            Power::Off(None) | Power::On { .. } | Power::Hung => None,
        });
        Ok(exits.collect())
    }

    /// Powers every node that is on off, all at once. Nodes that hang stay.
    pub async fn power_off_all(&self) -> Result<(), ClusterError> {
        let within = self.boot_within;
        self.each(move |node| async move {
            match node.power() {
                Power::On { .. } => node.power_off(within).await.map(drop),
                Power::Hung | Power::Off(_) => Ok(()),
            }
        })
        .await
    }

    /// Does the same with every node at once; the first error is the result, after all have ended.
    async fn each<F, D>(&self, mut what: F) -> Result<(), ClusterError>
    where
        F: FnMut(Arc<Node>) -> D,
        D: Future<Output = Result<(), ClusterError>> + Send + 'static,
    {
        let mut all: JoinSet<Result<(), ClusterError>> = self.nodes.iter().map(|node| what(Arc::clone(node))).collect();
        let mut result = Ok(());
        while let Some(done) = all.join_next().await {
            let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            result = result.and(done);
        }
        result
    }

    /// The run folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.run.path()
    }

    /// The nodes, in order.
    #[must_use]
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Result<&Arc<Node>, ClusterError> {
        self.nodes.iter().find(|node| node.name() == name).ok_or_else(|| {
            let known: Vec<&str> = self.nodes.iter().map(|node| node.name()).collect();
            ClusterError::UnknownNode { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// How long a node may take to come up or go down.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.boot_within
    }

    /// The switch, for what has no short form here.
    #[must_use]
    pub fn switch(&self) -> &Switch {
        &self.common.switch
    }

    /// Changes the data network's link from one node to another, in this direction only.
    pub fn link(&self, from: &str, to: &str, change: impl FnOnce(&mut Link)) -> Result<(), ClusterError> {
        let (from, to) = (self.port(from)?, self.port(to)?);
        Ok(self.common.switch.change(Net::DATA, from, to, change)?)
    }

    /// Changes both directions alike.
    pub fn both_ways(&self, a: &str, b: &str, change: impl Fn(&mut Link)) -> Result<(), ClusterError> {
        self.link(a, b, &change)?;
        self.link(b, a, &change)
    }

    /// Cuts the data network between two nodes.
    pub fn cut(&self, a: &str, b: &str) -> Result<(), ClusterError> {
        self.both_ways(a, b, |link| link.cut = true)
    }

    /// Cuts one direction.
    pub fn cut_one_way(&self, from: &str, to: &str) -> Result<(), ClusterError> {
        self.link(from, to, |link| link.cut = true)
    }

    /// Cuts a node off from all others.
    pub fn isolate(&self, name: &str) -> Result<(), ClusterError> {
        self.others(name)?.into_iter().try_for_each(|other| self.cut(name, &other))
    }

    /// Takes every fault from both directions.
    pub fn heal(&self, a: &str, b: &str) -> Result<(), ClusterError> {
        self.both_ways(a, b, |link| *link = Link::default())
    }

    /// Takes every fault from every link.
    pub fn heal_all(&self) -> Result<(), ClusterError> {
        for node in &self.nodes {
            for other in self.others(node.name())? {
                self.link(node.name(), &other, |link| *link = Link::default())?;
            }
        }
        Ok(())
    }

    /// Delays both directions.
    pub fn delay(&self, a: &str, b: &str, delay: Duration, jitter: Duration) -> Result<(), ClusterError> {
        self.both_ways(a, b, |link| (link.delay, link.jitter) = (delay, jitter))
    }

    /// Loses this share of the frames in both directions.
    pub fn loss(&self, a: &str, b: &str, share: PartsPerMillion) -> Result<(), ClusterError> {
        self.both_ways(a, b, |link| link.loss = share)
    }

    /// Lets both directions go down now, then up and down.
    pub fn flap(&self, a: &str, b: &str, down: Duration, up: Duration) -> Result<(), ClusterError> {
        let (a, b) = (self.port(a)?, self.port(b)?);
        self.common.switch.flap(Net::DATA, a, b, down, up)?;
        Ok(self.common.switch.flap(Net::DATA, b, a, down, up)?)
    }

    /// The data network's links by node names, with what happened on them.
    #[must_use]
    pub fn links(&self) -> Vec<(String, String, Link, Counters)> {
        let name = |port: Port| self.nodes.get(usize::from(port.0)).map(|node| node.name().to_owned());
        let links = self.common.switch.links().into_iter();
        links
            .filter(|(net, ..)| *net == Net::DATA)
            .filter_map(|(_, from, to, link, counters)| Some((name(from)?, name(to)?, link, counters)))
            .collect()
    }

    /// The folder stays when the cluster ends.
    pub fn keep(&mut self) {
        if let Err(error) = self.run.keep() {
            tracing::warn!(%error, "the run folder cannot be kept");
        }
    }

    fn port(&self, name: &str) -> Result<Port, ClusterError> {
        self.node(name).map(|node| node.spec().port)
    }

    fn others(&self, name: &str) -> Result<Vec<String>, ClusterError> {
        self.node(name)?;
        Ok(self.nodes.iter().map(|node| node.name().to_owned()).filter(|other| other != name).collect())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.power.abort();
        for node in &self.nodes {
            node.kill_now();
        }
        let wanted = std::env::var_os(KEEP_VARIABLE).is_some_and(|keep| !keep.is_empty() && keep != "0");
        if wanted || std::thread::panicking() {
            self.keep();
            #[expect(clippy::print_stderr, reason = "a failing test has no other way to say where to look")]
            {
                eprintln!(
                    "the lab's consoles, journals and disks stay in {} (`lab clean` removes them)",
                    self.run.path().display()
                );
            }
        }
    }
}

/// What runs the nodes: that for which the image's kernel is made.
fn backend(options: &Options, run: &Path) -> Arc<dyn Backend> {
    let Image { kernel, modules, base, runner } = options.image.clone();
    let (run, disk_mib) = (run.into(), options.disk_mib);
    match runner {
        Runner::Uml(start) => Arc::new(Uml { kernel, start, modules, base, run, disk_mib }),
        Runner::Qemu(emulator) => Arc::new(Qemu { emulator, kernel, modules, base, run, disk_mib }),
    }
}

fn spec(options: &Options, run: &Path, number: u8) -> NodeSpec {
    let name = format!("n{}", number + 1);
    let dir = run.join(&name);
    let mut words = options.words.clone();
    words.push(format!("lab.disks={}", options.disks));
    NodeSpec {
        port: Port(number),
        nets: vec![Net::DATA, Net::MGMT],
        share: dir.join("share"),
        disks: (1..=options.disks).map(|disk| dir.join(format!("disk{disk}"))).collect(),
        memory_mib: options.memory_mib,
        machine_id: format!("{:032x}", 0x001a_b000_0000_0000_u128 << 64 | u128::from(number + 1)),
        words,
        name,
        dir,
    }
}
