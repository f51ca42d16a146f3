//! The history: each promotion is in it once, and what it says of where a resource runs is what its node was told.
//!
//! The real [`Ledger`] makes the rows that a daemon would write; they are kept here as its file would keep them, from one life to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::history::{Before, Kind, Ledger, News, Row, Serving, State, Told};
use reactor_core::ids::{Mono, ResourceName};
use reactor_core::settings::promoter::OnServiceFailure;
use reactor_core::systemd::{ActiveState, FreezerState, UnitState};

use crate::drbd9::NodeIx;

use super::super::bugs::Bug;
use super::super::plan::NODES;
use super::super::run::World;

const ONCE: &str = "each promotion is in the history once";
const RESTART: &str = "a restart of the daemon is no downtime";
const WHERE: &str = "the history knows where it runs";

/// What is due of a machine that has panicked, in the promoter's words.
const RESTS: &str = "it rests after an internal error";

/// What runs is known as running after this time: the job of a start may be over before all units are.
const KNOWN: Duration = Duration::from_secs(30);

/// The file of one node.
#[derive(Debug, Default)]
pub(in super::super) struct Written {
    resources: BTreeMap<ResourceName, Line>,
}

/// What it says of one resource.
#[derive(Debug, Default)]
struct Line {
    /// The open span.
    open: Option<(u64, State)>,
    /// Whether this node is Primary, by the entries.
    primary: Option<bool>,
    /// Until when the last daemon watched that has written of it.
    until: u64,
    /// Nothing was written of it in this life.
    is_old: bool,
}

impl Written {
    /// For a daemon that starts.
    pub(in super::super) fn ledger(&mut self, bug: Option<Bug>) -> Ledger {
        let mut before = BTreeMap::new();
        for (name, line) in &mut self.resources {
            line.is_old = true;
            if let Some((_, state)) = line.open {
                before.insert(name.clone(), Before { state, primary: line.primary, until: line.until });
            }
        }
        match bug {
            Some(Bug::HistoryBeginsAnew) => before.clear(),
            Some(Bug::HistoryPromotesFound) => {
                for before in before.values_mut() {
                    before.primary = Some(false);
                }
            }
            _ => {}
        }
        Ledger::new(before)
    }

    /// A daemon ends, or is killed.
    pub(in super::super) fn ended(&mut self, now: Mono) {
        for line in self.resources.values_mut().filter(|line| !line.is_old) {
            line.until = ms(now);
        }
    }

    /// Writes rows; `Err` = the rule that they break, and how.
    fn write(&mut self, rows: Vec<Row>) -> Result<(), (&'static str, String)> {
        for row in rows {
            match row {
                Row::Entry { resource: Some(name), entry, .. } => {
                    let is = match entry.kind {
                        Kind::Promoted => true,
                        Kind::Demoted => false,
                        _ => continue,
                    };
                    let line = self.resources.entry(name.clone()).or_default();
                    if line.primary.replace(is) == Some(is) {
                        return Err((ONCE, format!("{name}: {}, once more", entry.what)));
                    }
                }
                Row::Span { resource, span } => {
                    let line = self.resources.entry(resource.clone()).or_default();
                    if let Some((since, _)) = line.open.filter(|(since, _)| *since > span.since) {
                        let what = format!("{resource}: a span from {since} ends at {}", span.since);
                        return Err((RESTART, what));
                    }
                    let watched = matches!(line.open, Some((_, State::Seen(_))));
                    if std::mem::take(&mut line.is_old) && watched && span.state != State::Unwatched {
                        return Err((RESTART, format!("{resource}: nothing says that no daemon watched")));
                    }
                    line.open = Some((span.since, span.state));
                    if let Some(primary) = span.primary
                        && *line.primary.get_or_insert(primary) != primary
                    {
                        return Err((ONCE, format!("{resource}: Primary is {primary}, and no entry says so")));
                    }
                }
                Row::Entry { .. } | Row::Outcome(_) | Row::Event { .. } | Row::Incident(_) => {}
            }
        }
        Ok(())
    }
}

fn ms(now: Mono) -> u64 {
    now.0 / 1_000_000
}

impl World {
    /// The core has told this for the history.
    pub(in super::super) fn write_history(&mut self, node: NodeIx, news: Vec<News>) {
        let mut news = news;
        if self.bug == Some(Bug::HistoryForgetsDead) {
            news.retain(|news| !matches!(&news.what, Told::Presence(it) if it.because.iter().any(|why| why.0.contains(" ended: "))));
        }
        if news.is_empty() {
            return;
        }
        let now = ms(self.now);
        let machine = &mut self.machines[node];
        let Some(daemon) = machine.daemon.as_deref_mut() else { return };
        let mut rows = Vec::new();
        for news in news {
            daemon.ledger.take(now, news, &mut rows);
        }
        if let Err((rule, what)) = machine.history.write(rows) {
            self.violated(rule, format!("{}: {what}", NODES[node]));
        }
    }

    /// A burst is over: what the history says is what the node was told.
    pub(in super::super) fn watch_history(&mut self, node: NodeIx, res: usize) {
        let now = self.now;
        let (Some(daemon), Some(view)) = (self.machines[node].daemon.as_deref(), self.view(node, res)) else { return };
        let name = ResourceName::new(view.name);
        let Some((_, told)) = daemon.ledger.present().find(|(told, _)| **told == name) else { return };
        let (serving, primary, mono) = (told.serving, told.primary, Mono(now.0.saturating_sub(daemon.started.0)));
        let is_frozen = |unit: &str| matches!(view.freezer(unit), FreezerState::Frozen | FreezerState::Freezing);
        let ended_badly = |unit: &UnitState| {
            unit.result.as_deref().is_some_and(|result| !matches!(result, "" | "success" | "exec-condition"))
        };
        let is_ignored = view.settings.on_service_failure == OnServiceFailure::Ignore;
        let died = |unit: UnitState| unit.active == ActiveState::Activating && ended_badly(&unit);
        let whole = !view.member_names().any(is_frozen) && (is_ignored || !view.needed().any(died));
        let runs = view.is_up() && view.is_primary() && whole;
        // One that has failed for good may have done so before it came into the list: then it runs, and otherwise not.
        let is_plain = is_ignored || !view.needed().any(|unit| ended_badly(&unit));
        let is_shell = self.is_shell(res);
        let wrong = if !view.knows_whether_it_is_primary() {
            None
        } else if primary != Some(view.is_primary()) {
            Some(format!("Primary is {primary:?}, and DRBD says {}", view.is_primary()))
        } else if serving == Serving::Here && !runs && !is_shell {
            Some("it says that it runs here".to_owned())
        } else {
            None
        };
        // While it rests after a panic nothing is looked at.
        let rests = || daemon.core.promoted_resource(mono, &name).is_none_or(|report| report.next_for == RESTS);
        let wrong = wrong.filter(|_| !rests());
        let known = runs && is_plain && !view.target().job && view.is_live() && !is_shell && serving != Serving::Here;
        let level = &mut self.watch.levels[node][res];
        level.unwritten_since = known.then(|| level.unwritten_since.unwrap_or(now));
        let late = level.unwritten_since.filter(|since| now.since(*since) > KNOWN);
        if let Some(what) = wrong {
            self.violated(WHERE, format!("{}: {name}: {what}", NODES[node]));
        } else if let Some(since) = late {
            self.violated(
                WHERE,
                format!("{}: {name} runs since {since}, and it says {}", NODES[node], serving.as_str()),
            );
        }
    }
}
