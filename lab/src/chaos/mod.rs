//! Chaos: random faults on a pair whose service writes, and after each round the question whether anything was lost.
//!
//! ```text
//!   plan      what is broken when, from a seed
//!   inject    breaks it, and mends it
//!   writer    the service: fsync first, then an acknowledgement that outlives the node
//!   ledger    what it leaves
//!   check     nothing acknowledged is lost, never two writers
//!   story     what happened, for a round that failed
//!   failover  how long a single fault takes the service away, in parts
//! ```

pub mod check;
pub mod failover;
mod inject;
pub mod ledger;
pub mod plan;
pub mod story;
pub mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::check::{Checked, check, told};
use self::failover::{KERNEL, Measured, journal_lines, kernel_lines, measure};
use self::inject::Scene;
use self::ledger::{Event, Micros};
use self::plan::{Fault, Round, Target};
use self::story::Story;
use crate::cluster::{Cluster, ClusterError, Node};
use crate::pair::{COUNT, Pair, PairError, PairOptions};

/// The service that writes, in place of the counter.
const SERVICE: &str = "\
[Unit]
Description=Counts, and acknowledges each number when it is on the disks of both nodes

[Service]
ExecStart=/usr/local/sbin/lab-agent write /srv/data/count /lab/acks
";
/// Everything that the daemon hears is kept, for a round that fails.
const PREPARE: &str = "printf '\\n[recorder]\\n' >>/etc/storage-reactor.toml";
/// So long may the service be away after a fault that a pair survives.
pub const OUTAGE: Duration = Duration::from_secs(45);
/// So long may it take after everything is mended until the service writes, ...
pub const BACK: Duration = Duration::from_secs(90);
/// ... and until both nodes are whole again.
const WHOLE: Duration = Duration::from_secs(150);
/// What the journal may take to have a line.
const LATELY: Duration = Duration::from_millis(1500);
/// Before a fault that is measured.
const CALM: Duration = Duration::from_secs(3);
/// A fault after which the service stays where it is has stopped it by then, if it does.
const TAKES_EFFECT: Duration = Duration::from_secs(3);
/// Longest wait for the file.
const COPY: Duration = Duration::from_secs(30);

/// How a chaos run ends early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChaosError {
    /// The pair is not what it should be.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The cluster cannot do it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A file on this machine.
    #[error("cannot use {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A round has failed.
    #[error("{}", .0.join("\n"))]
    Failed(Vec<String>),
}

/// What a round that passed has seen.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Who ran the service before and after.
    pub moved: (String, String),
    /// The longest time without an acknowledgement.
    pub outage: Duration,
    /// From the moment when everything was mended until the pair was whole.
    pub whole: Duration,
    /// What the checker has counted.
    pub checked: Checked,
}

/// A pair with the writer.
#[derive(Debug)]
pub struct Chaos<'a> {
    cluster: &'a Cluster,
    pair: Pair,
}

impl<'a> Chaos<'a> {
    /// Sets the pair up on the first two nodes of a cluster that is up, and waits until it writes.
    pub async fn set_up(cluster: &'a Cluster, ping_int: u8) -> Result<Self, ChaosError> {
        let options = PairOptions {
            ping_int: Some(ping_int),
            files: vec![("counter.service".to_owned(), SERVICE.to_owned())],
            prepare: Some(PREPARE.to_owned()),
            ..PairOptions::default()
        };
        let pair = Pair::set_up(cluster, &options).await?;
        pair.settle(cluster, WHOLE).await?;
        Ok(Self { cluster, pair })
    }

    /// The pair.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// One round on a pair that is whole; it is whole again afterwards. A failure leaves its evidence in the cluster's folder.
    pub async fn round(&self, round: &Round) -> Result<Passed, ChaosError> {
        let mut story = Story::begin(&self.pair);
        let done = self.play(round, &mut story).await;
        if let Err(error) = &done {
            story.tell(format!("FAILED: {error}"));
            let path = self.cluster.folder();
            let kept = story::keep_evidence(&self.pair, &story, path).await;
            kept.map_err(|source| ChaosError::File { path: path.into(), source })?;
            let mut lines = story.brief();
            lines.push(error.to_string());
            return Err(ChaosError::Failed(lines));
        }
        done
    }

    /// DRBD's `ping-int` from now on, in seconds.
    pub async fn set_ping_int(&self, seconds: u8) -> Result<(), ChaosError> {
        let line = format!("sed -i 's/ping-int .*;/ping-int {seconds};/' /etc/drbd.d/data.res && drbdadm adjust data");
        for node in self.pair.nodes() {
            node.sh(&line, COPY).await?;
        }
        Ok(())
    }

    /// One fault on a pair that is whole, measured; it is whole again afterwards.
    pub async fn fail_over(&self, fault: Fault) -> Result<Measured, ChaosError> {
        let mut story = Story::begin(&self.pair);
        let before = self.pair.active(BACK).await?;
        let mut scene = Scene::new(self.cluster, &self.pair, Arc::clone(before));
        // Nothing of the last one is still going on.
        scene.pause(CALM, &mut story).await;
        let other = self.pair.other(before.name());
        let last = last_ack_of(other)?;
        let at = now();
        scene.inject(fault, &mut story).await;
        let writer = if moves(fault) {
            let began = Instant::now();
            while last_ack_of(other)? == last {
                if began.elapsed() > OUTAGE {
                    let what = format!("{} does not take over:\n{}", other.name(), self.pair.story().await);
                    return Err(ChaosError::Failed(vec![what]));
                }
                scene.pause(Duration::from_millis(100), &mut story).await;
            }
            other
        } else {
            scene.pause(TAKES_EFFECT, &mut story).await;
            self.writing("after the fault", OUTAGE, &mut scene, &mut story).await?;
            before
        };
        // The journal's lines of that are under way.
        scene.pause(LATELY, &mut story).await;
        let pause = longest_pause(&self.acks()?, at).unwrap_or((at, at));
        let mut lines = kernel_lines(&writer.sh(KERNEL, COPY).await?);
        lines.extend(journal_lines(&story.all(), writer.name(), at));
        let measured = measure(lines, at, pause);
        scene.mend(&mut story).await?;
        self.pair.settle(self.cluster, WHOLE).await?;
        Ok(measured)
    }

    async fn play(&self, round: &Round, story: &mut Story) -> Result<Passed, ChaosError> {
        let since = now();
        let before = self.pair.active(BACK).await?;
        let mut scene = Scene::new(self.cluster, &self.pair, Arc::clone(before));
        for step in &round.steps {
            scene.pause(step.after, story).await;
            scene.inject(step.fault, story).await;
        }
        scene.pause(round.linger, story).await;
        if round.is_survived() {
            self.writing("after the fault", OUTAGE, &mut scene, story).await?;
        }
        scene.mend(story).await?;
        let mended = Instant::now();
        self.writing("after everything was mended", BACK, &mut scene, story).await?;
        let after = self.pair.settle(self.cluster, WHOLE).await?;
        story.tell(format!("the pair is whole, {} runs the service", after.name()));
        let whole = mended.elapsed();
        let (checked, outage) = self.look(after, since).await?;
        if !checked.violations.is_empty() {
            return Err(ChaosError::Failed(told(&checked.violations)));
        }
        Ok(Passed { moved: (before.name().to_owned(), after.name().to_owned()), outage, whole, checked })
    }

    /// Waits for one more acknowledgement. A node's clock may be seconds late, so their times say nothing here.
    async fn writing(
        &self,
        when: &str,
        within: Duration,
        scene: &mut Scene<'_>,
        story: &mut Story,
    ) -> Result<(), ChaosError> {
        let began = Instant::now();
        let before = last_acks(&self.pair)?;
        while last_acks(&self.pair)? == before {
            if began.elapsed() > within {
                let found = self.pair.story().await;
                let what = format!("the service does not write {when}, for {} s:\n{found}", within.as_secs());
                return Err(ChaosError::Failed(vec![what]));
            }
            scene.pause(Duration::from_millis(100), story).await;
        }
        story.tell(format!("the service writes {when}"));
        Ok(())
    }

    /// Checks the file and the acknowledgements, and finds the longest time without one.
    async fn look(&self, active: &Node, since: Micros) -> Result<(Checked, Duration), ChaosError> {
        // First the acknowledgements: all of them have to be in what is read then.
        let acks = self.acks()?;
        let path = active.spec().share.join("count");
        active.sh(&format!("cp {COUNT} /lab/count"), COPY).await?;
        let count = fs::read(&path).map_err(|source| ChaosError::File { path, source })?;
        let checked = check(&String::from_utf8_lossy(&count), &acks);
        let outage = longest_pause(&acks, since).map_or(0, |(from, to)| to - from);
        Ok((checked, Duration::from_micros(outage)))
    }

    fn acks(&self) -> Result<Vec<(String, Vec<Event>)>, ChaosError> {
        let mut acks = Vec::new();
        for node in self.pair.nodes() {
            let path = acks_of(node);
            let text = fs::read_to_string(&path).or_else(|source| match source.kind() {
                std::io::ErrorKind::NotFound => Ok(String::new()),
                _ => Err(ChaosError::File { path, source }),
            })?;
            let events = ledger::events(&text).map_err(|error| ChaosError::Failed(vec![error.to_string()]))?;
            acks.push((node.name().to_owned(), events));
        }
        Ok(acks)
    }
}

/// Does the other node have the service after this?
fn moves(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::Kill(Target::Active)
            | Fault::Crash(Target::Active)
            | Fault::Hang(Target::Active, _)
            | Fault::Reboot(Target::Active)
            | Fault::PowerOff(Target::Active)
            | Fault::Evict
    )
}

/// Begin and end of the longest time between two acknowledgements, the last one before `since` included.
fn longest_pause(acks: &[(String, Vec<Event>)], since: Micros) -> Option<(Micros, Micros)> {
    let mut times: Vec<Micros> = acks
        .iter()
        .flat_map(|(_, events)| events)
        .filter_map(|event| if let Event::Acked { done, .. } = event { Some(*done) } else { None })
        .collect();
    times.sort_unstable();
    let first = times.partition_point(|time| *time < since).saturating_sub(1);
    times[first..].windows(2).map(|pair| (pair[0], pair[1])).max_by_key(|(from, to)| to - from)
}

fn acks_of(node: &Node) -> PathBuf {
    node.spec().share.join("acks")
}

/// When the last number was acknowledged by each node.
fn last_acks(pair: &Pair) -> Result<[Micros; 2], ChaosError> {
    let [first, second] = pair.nodes();
    Ok([last_ack_of(first)?, last_ack_of(second)?])
}

/// When the last number was acknowledged by a node; 0 if none was.
fn last_ack_of(node: &Node) -> Result<Micros, ChaosError> {
    let path = acks_of(node);
    let tail = tail(&path).map_err(|source| ChaosError::File { path, source })?;
    let lines = tail.rfind('\n').map_or("", |end| &tail[..end]).lines();
    let done = lines.filter_map(|line| match line.parse() {
        Ok(Event::Acked { done, .. }) => Some(done),
        _ => None,
    });
    Ok(done.max().unwrap_or_default())
}

/// The end of a file; empty if there is none.
fn tail(path: &Path) -> std::io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = match fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub(300)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn now() -> Micros {
    micros(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_goes_over_all_nodes_and_begins_before_the_round() {
        let acked = |done| Event::Acked { number: 1, run: 1, begun: done, done };
        let acks = [("n1".to_owned(), vec![acked(10), acked(100), acked(110)]), ("n2".to_owned(), vec![acked(150)])];
        assert_eq!(longest_pause(&acks, 105), Some((110, 150)));
        assert_eq!(longest_pause(&acks, 99), Some((10, 100)));
        assert_eq!(longest_pause(&acks, 200), None);
        assert_eq!(longest_pause(&[], 0), None);
    }
}
