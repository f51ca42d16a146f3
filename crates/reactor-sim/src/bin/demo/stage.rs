//! Where the story happens: takes in what daemons and counters say, knows how things are, and tells it in the order in which it happened.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use reactor_api::change::{WireChange, WireWhat};
use reactor_sim::counter::Entry;

use crate::layout::Layout;
use crate::story;
use crate::watch::{Heard, News, Watch};
use crate::writes::{Accounts, Judgement, Written};

/// How often it is looked at what happened.
const GLANCE: Duration = Duration::from_millis(10);
/// Lines are held back for so long, so that those that are heard later can be told before them.
const SORT: SignedDuration = SignedDuration::from_millis(120);
/// Refused writes that are told in a scene; the rest is counted.
const REFUSED_TOLD: u32 = 1;

/// How a node is, as its daemon says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Role of the resource.
    pub(crate) role: String,
    /// State of its disk.
    pub(crate) disk: String,
    /// Whether it has quorum.
    pub(crate) quorum: bool,
    /// State of each connection, by the peer's node id.
    pub(crate) links: std::collections::BTreeMap<u32, String>,
    /// The promoter's word.
    pub(crate) state: String,
    /// Its reasons.
    pub(crate) because: Vec<String>,
    /// What it warns of.
    pub(crate) warnings: Vec<String>,
}

/// The moments of a take-over, on the node that did it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    /// Its DRBD noticed.
    pub(crate) noticed: Option<Timestamp>,
    /// Its DRBD would let it promote; the last time before it was promoted.
    pub(crate) may_promote: Option<Timestamp>,
    /// Its daemon decided.
    pub(crate) decided: Option<Timestamp>,
    /// It became Primary.
    pub(crate) primary: Option<Timestamp>,
}

/// Everything that is known.
pub(crate) struct Stage<'a> {
    layout: &'a Layout,
    watch: Watch,
    accounts: Accounts,
    /// Everything that counters did.
    pub(crate) writes: Vec<Written>,
    /// What it says.
    pub(crate) judgement: Judgement,
    /// By node.
    pub(crate) facts: Vec<Facts>,
    /// By node, since the scene began.
    pub(crate) moments: Vec<Moments>,
    /// The node that wrote last.
    pub(crate) writer: Option<usize>,
    lines: Vec<(Timestamp, String)>,
    /// When the scene began.
    pub(crate) mark: Timestamp,
    refused: u32,
    end: Instant,
}

impl<'a> Stage<'a> {
    /// Begins to listen. After `longest` nothing is waited for any more.
    pub(crate) fn new(layout: &'a Layout, longest: Duration) -> Self {
        let nodes = layout.nodes();
        let sockets: Vec<_> = nodes.iter().map(crate::layout::Node::socket).collect();
        Self {
            layout,
            watch: Watch::start(&sockets, layout.resource()),
            accounts: Accounts::new(nodes.iter().map(crate::layout::Node::account).collect()),
            writes: Vec::new(),
            judgement: Judgement::default(),
            facts: vec![Facts::default(); nodes.len()],
            moments: vec![Moments::default(); nodes.len()],
            writer: None,
            lines: Vec::new(),
            mark: Timestamp::now(),
            refused: 0,
            end: Instant::now() + longest,
        }
    }

    /// A new scene begins now.
    pub(crate) fn scene(&mut self, title: &str) -> Result<()> {
        self.catch_up()?;
        self.mark = Timestamp::now();
        self.moments.fill(Moments::default());
        self.refused = 0;
        say(&format!("\n== {title}"))
    }

    /// Something that we do, or have to say.
    pub(crate) fn tell(&mut self, text: &str) {
        self.lines.push((Timestamp::now(), format!("     {text}")));
    }

    /// The name of a node.
    pub(crate) fn name(&self, node: usize) -> &'a str {
        &self.layout.nodes()[node].name
    }

    /// Lets things happen until `good`.
    pub(crate) fn until(&mut self, what: &str, good: impl Fn(&Self) -> bool) -> Result<()> {
        loop {
            self.take()?;
            self.flush(Timestamp::now() - SORT)?;
            if good(self) {
                return Ok(());
            }
            if Instant::now() > self.end {
                self.catch_up()?;
                bail!("waited too long for {what}\n{}", self.layout.complaints());
            }
            sleep(GLANCE);
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        self.until("time to pass", move |_| Instant::now() >= end)
    }

    /// Tells everything that has happened by now.
    pub(crate) fn catch_up(&mut self) -> Result<()> {
        let now = Timestamp::now();
        let end = Instant::now() + Duration::from_millis(150);
        while Instant::now() < end {
            self.take()?;
            sleep(GLANCE);
        }
        self.take()?;
        self.flush(now.max(Timestamp::now()))
    }

    /// Whether a node wrote after the scene began.
    pub(crate) fn wrote(&self, node: usize) -> bool {
        let written = self.writes.iter().rev().take_while(|written| written.at > self.mark);
        written.into_iter().any(|written| written.node == node && matches!(written.entry, Entry::Acknowledged(_)))
    }

    /// Whether a node is well: connected to everybody, with good data and quorum.
    pub(crate) fn is_well(&self, node: usize) -> bool {
        let facts = &self.facts[node];
        facts.disk == "UpToDate"
            && facts.quorum
            && facts.links.len() + 1 == self.facts.len()
            && facts.links.values().all(|state| state == "Connected")
    }

    /// What is known of a node is old: it was switched off, or its daemon killed.
    pub(crate) fn forget(&mut self, node: usize) {
        self.facts[node] = Facts::default();
    }

    fn take(&mut self) -> Result<()> {
        for heard in self.watch.take() {
            self.hear(heard);
        }
        for written in self.accounts.take() {
            self.written(written);
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard) {
        let Heard { at, node, news } = heard;
        let told = match &news {
            News::Change(change) => {
                self.changed(at, node, change);
                story::change(change)
            }
            News::Decision(past) => {
                if past.what.starts_with("start ") {
                    self.moments[node].decided = Some(at);
                }
                story::decision(past)
            }
            News::Outcome(past) => story::outcome(past, self.facts[node].role == "Primary"),
            News::State(report) => {
                let facts = &mut self.facts[node];
                let told = story::state(report, &facts.state, &facts.warnings);
                facts.state.clone_from(&report.state);
                facts.because.clone_from(&report.because);
                facts.warnings.clone_from(&report.warnings);
                told
            }
        };
        if let Some(text) = told.filter(|_| at >= self.mark) {
            self.lines.push((at, format!("{}   {text}", self.name(node))));
        }
    }

    fn changed(&mut self, at: Timestamp, node: usize, change: &WireChange) {
        let (facts, moments) = (&mut self.facts[node], &mut self.moments[node]);
        let fresh = at >= self.mark;
        match &change.what {
            WireWhat::Resource { old, new: Some(new) } => {
                facts.role.clone_from(&new.role);
                if fresh && new.role == "Primary" {
                    moments.primary.get_or_insert(at);
                }
                let rises = new.may_promote && old.as_ref().is_none_or(|old| !old.may_promote);
                if fresh && rises && moments.primary.is_none() {
                    moments.may_promote = Some(at);
                }
            }
            WireWhat::Device { new: Some(new), .. } => {
                facts.disk.clone_from(&new.disk_state);
                facts.quorum = new.quorum.unwrap_or(true);
            }
            WireWhat::Connection { peer_node_id, new: Some(new), .. } => {
                facts.links.insert(*peer_node_id, new.connection_state.clone());
                if fresh && matches!(new.connection_state.as_str(), "NetworkFailure" | "BrokenPipe" | "Timeout") {
                    moments.noticed.get_or_insert(at);
                }
            }
            WireWhat::Connection { peer_node_id, new: None, .. } => {
                facts.links.remove(peer_node_id);
            }
            _ => {}
        }
    }

    fn written(&mut self, written: Written) {
        self.judgement.add(&written.entry);
        let name = self.name(written.node);
        let text = match &written.entry {
            Entry::Opened(number) => Some(format!("counter.service opens the device and finds {number}")),
            Entry::Acknowledged(number) if self.writer != Some(written.node) => {
                self.writer = Some(written.node);
                Some(format!("counter.service goes on with {number}"))
            }
            Entry::Acknowledged(_) => None,
            Entry::NotOpened(why) => Some(format!("counter.service can't open the device: {why}")),
            Entry::Refused(why) => {
                self.refused += 1;
                let told = format!("DRBD refuses the counter's write: {why}");
                (self.refused <= REFUSED_TOLD).then_some(told)
            }
        };
        if let Some(text) = text {
            self.lines.push((written.at, format!("{name}   {text}")));
        }
        self.writes.push(written);
    }

    /// Prints what happened before `until`, in order.
    fn flush(&mut self, until: Timestamp) -> Result<()> {
        self.lines.sort_by_key(|(at, _)| *at);
        let ready = self.lines.partition_point(|(at, _)| *at <= until);
        for (at, text) in self.lines.drain(..ready) {
            let since = at.duration_since(self.mark).as_secs_f64().max(0.0);
            say(&format!("{since:>7.2}  {text}"))?;
        }
        Ok(())
    }
}

/// A line for people.
pub(crate) fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("writing to standard output")
}
