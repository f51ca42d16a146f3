//! Does to the pair what the plan says, and mends it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::plan::{Fault, Target};
use super::story::Story;
use crate::cluster::{Cluster, ClusterError, Node, Power};
use crate::pair::Pair;
use crate::switch::PartsPerMillion;

/// Longest wait for a command that is to break something.
const AT_ONCE: Duration = Duration::from_secs(10);
/// Longest wait for something that takes a boot.
const BOOT: Duration = Duration::from_secs(120);
/// Longest wait for a disk's peer before the disk is mended.
const PEER: Duration = Duration::from_secs(20);

/// The pair in a round, with what is broken.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) pair: &'a Pair,
    /// The node that ran the service when the round began.
    active: Arc<Node>,
    later: Vec<(Instant, Later)>,
    /// Nodes in the order in which they were seen off.
    off: Vec<Arc<Node>>,
    broken_disk: Option<Arc<Node>>,
}

/// Something that mends itself.
#[derive(Debug)]
enum Later {
    Resume(Arc<Node>),
    Heal,
}

impl<'a> Scene<'a> {
    pub(super) fn new(cluster: &'a Cluster, pair: &'a Pair, active: Arc<Node>) -> Self {
        Self { cluster, pair, active, later: Vec::new(), off: Vec::new(), broken_disk: None }
    }

    fn node(&self, target: Target) -> Arc<Node> {
        match target {
            Target::Active => Arc::clone(&self.active),
            Target::Standby => Arc::clone(self.pair.other(self.active.name())),
        }
    }

    /// Does it. That a node is off already, or does not answer, is a part of the story.
    pub(super) async fn inject(&mut self, fault: Fault, story: &mut Story) {
        story.tell(format!("{fault} ({} was active)", self.active.name()));
        if let Err(error) = self.try_inject(fault).await {
            story.tell(format!("that did not work: {error}"));
        }
    }

    async fn try_inject(&mut self, fault: Fault) -> Result<(), ClusterError> {
        let (active, standby) = (self.node(Target::Active), self.node(Target::Standby));
        let (a, b) = (active.name(), standby.name());
        match fault {
            Fault::Kill(target) => self.node(target).kill().await?,
            Fault::Crash(target) => drop(self.node(target).crash().await?),
            Fault::Hang(target, time) => {
                let node = self.node(target);
                node.hang()?;
                self.later.push((Instant::now() + time, Later::Resume(node)));
            }
            Fault::Reboot(target) => {
                let node = self.node(target);
                tokio::spawn(async move { node.reboot(BOOT).await });
            }
            Fault::PowerOff(target) => {
                let node = self.node(target);
                tokio::spawn(async move { node.power_off(BOOT).await });
            }
            Fault::Cut => self.cluster.cut(a, b)?,
            Fault::CutFrom(Target::Active) => self.cluster.cut_one_way(a, b)?,
            Fault::CutFrom(Target::Standby) => self.cluster.cut_one_way(b, a)?,
            Fault::Flap { down, up } => self.cluster.flap(a, b, down, up)?,
            Fault::Blip(time) => {
                self.cluster.cut(a, b)?;
                self.later.push((Instant::now() + time, Later::Heal));
            }
            Fault::Bad { delay, percent } => {
                self.cluster.delay(a, b, delay, delay)?;
                self.cluster.loss(a, b, PartsPerMillion::from_percent(f64::from(percent)))?;
            }
            Fault::Disk(target) => {
                let node = self.node(target);
                self.broken_disk = Some(Arc::clone(&node));
                node.fail_disk(1).await?;
            }
            Fault::Daemon(target) => command(&self.node(target), "pkill -KILL -x reactord").await?,
            Fault::Events(target) => command(&self.node(target), "pkill -KILL -f 'drbdsetup events2'").await?,
            Fault::Service => {
                let kill = "systemctl -q is-active counter && systemctl kill -s KILL counter";
                let (one, other) = tokio::join!(command(&active, kill), command(&standby, kill));
                one.or(other)?;
            }
            Fault::Reload(target) => command(&self.node(target), "reactorctl reload").await?,
            Fault::Evict => command(&active, EVICT).await?,
            Fault::EvictWithOpener => {
                let open = format!("systemd-run -q --unit=opener sh -c 'exec sleep 1000 >/srv/data/opened' && {EVICT}");
                command(&active, &open).await?;
            }
        }
        Ok(())
    }

    /// Waits, does what is due meanwhile, and looks who is off.
    pub(super) async fn pause(&mut self, time: Duration, story: &mut Story) {
        let until = Instant::now() + time;
        loop {
            self.tick(story);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_millis(50))).await;
        }
    }

    /// Does what is due, and looks who is off.
    pub(super) fn tick(&mut self, story: &mut Story) {
        let now = Instant::now();
        let due: Vec<_> = self.later.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, later) in due {
            let done = match later {
                Later::Resume(node) if node.power() == Power::Hung => {
                    story.tell(format!("{} goes on", node.name()));
                    node.resume()
                }
                Later::Resume(_) => Ok(()),
                Later::Heal => {
                    story.tell("the network is healed");
                    self.cluster.heal_all()
                }
            };
            if let Err(error) = done {
                story.tell(format!("that did not work: {error}"));
            }
        }
        for node in self.pair.nodes() {
            let known = self.off.iter().any(|off| Arc::ptr_eq(off, node));
            match (matches!(node.power(), Power::Off(_)), known) {
                (true, false) => {
                    story.tell(format!("{} is off", node.name()));
                    self.off.push(Arc::clone(node));
                }
                (false, true) => {
                    story.tell(format!("{} is on", node.name()));
                    self.off.retain(|off| !Arc::ptr_eq(off, node));
                }
                _ => {}
            }
        }
    }

    /// Mends what was broken, as a careful person would: the node that died last has the newest data and boots first, and
    /// a disk that has failed is given back when the other node is there to say whether it is old.
    pub(super) async fn mend(&mut self, story: &mut Story) -> Result<(), ClusterError> {
        self.later.clear();
        self.cluster.heal_all()?;
        for node in self.pair.nodes() {
            if node.power() == Power::Hung {
                node.resume()?;
            }
        }
        self.tick(story);
        story.tell("everything is mended");
        self.calm().await;
        let mut order = std::mem::take(&mut self.off);
        order.reverse();
        if let Some(broken) = &self.broken_disk {
            order.sort_by_key(|node| Arc::ptr_eq(node, broken));
        }
        for node in order {
            match node.boot(BOOT).await {
                Ok(took) => story.tell(format!("{} is up after {:.1} s", node.name(), took.as_secs_f64())),
                // The other one has switched it off once more: it is booted again when all is settled.
                Err(error @ ClusterError::Killed { .. }) => story.tell(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        self.mend_disk(story).await?;
        self.calm().await;
        Ok(())
    }

    async fn mend_disk(&mut self, story: &mut Story) -> Result<(), ClusterError> {
        let Some(node) = self.broken_disk.take() else { return Ok(()) };
        // If the peer does not come, DRBD still knows on its own whether the disk has the data that it has shown last.
        if node.until("drbdadm cstate data | grep -qx Connected", PEER).await.is_err() {
            story.tell(format!("{} has its disk back without a peer", node.name()));
        }
        if !matches!(node.power(), Power::Off(_)) {
            node.repair_disk(1).await?;
        }
        Ok(())
    }

    /// What was forbidden by hand is allowed again.
    async fn calm(&self) {
        const CALM: &str =
            "systemctl -q stop opener; until reactorctl release data && reactorctl clear data; do sleep 0.5; done";
        let [first, second] = self.pair.nodes();
        // A node that is off forgets the opener, and is asked again when it is up.
        let _off = tokio::join!(command(first, CALM), command(second, CALM));
    }
}

/// A hold, so that it does not start here again, and a stop.
const EVICT: &str = "reactorctl hold data --why evicted && systemctl stop --no-block drbd-services@data.target";

async fn command(node: &Node, line: &str) -> Result<(), ClusterError> {
    node.sh(line, AT_ONCE).await.map(drop)
}
