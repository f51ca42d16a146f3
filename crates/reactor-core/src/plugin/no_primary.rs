//! `[[no-primary]]`: says which resources this node could promote, but which have been Primary nowhere for too long.
//!
//! ```text
//!  burst over ─▶ the resources that it touched ─┬─ so ──────▶ a wait begins ─ deadline, still so ─▶ said, once
//!                                               └─ not so ──▶ the wait is over; what was said is said to be over, once
//!  source ends ─▶ what is not said yet is forgotten: nobody knows how it is. It begins anew with the next dump
//! ```
//!
//! It is judged by the state alone, and for all resources that the condition names, whether a promoter of ours has them or not.

use std::collections::{BTreeMap, BTreeSet};

use crate::action::{Effect, Reason};
use crate::drbd::types::Role;
use crate::ids::{Mono, ResourceName};
use crate::input::SourceId;
use crate::model::objects::Resource;
use crate::model::reports::NoteLevel;
use crate::model::{Node, SourceState};
use crate::settings::{Detail, NoPrimarySettings, PluginKind, PluginSettings};

use super::umh::accepts_name;
use super::{Context, Counter, Handled, Interest, Plugin, PluginInput, Report};

/// So many names are in the status.
const SHOWN: usize = 8;

/// One `[[no-primary]]` table.
pub struct NoPrimary {
    settings: NoPrimarySettings,
    /// Resources that this node could promote and that are Primary nowhere.
    waits: BTreeMap<ResourceName, Wait>,
    /// When one of them is said.
    deadlines: BTreeSet<(Mono, ResourceName)>,
    /// To be looked at when the burst is over.
    touched: BTreeSet<ResourceName>,
    /// The snapshot is the present.
    live: bool,
    /// How often it was said of each resource that is there.
    said: BTreeMap<ResourceName, u64>,
}

/// How long it has been so, and whether that was said.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Wait {
    since: Mono,
    said: bool,
}

/// This node could promote it, and it is Primary nowhere.
fn has_no_primary(resource: &Resource) -> bool {
    resource.state.may_promote
        && resource.state.role != Role::Primary
        && resource.connections.values().all(|connection| connection.state.peer_role != Role::Primary)
}

/// Why it is not so any more.
fn over(node: &Node, name: &ResourceName) -> &'static str {
    match node.resource(name.as_str()) {
        None => "it is no longer there",
        Some(resource) if resource.state.role == Role::Primary => "it is Primary here",
        Some(resource) if resource.state.may_promote => "a peer is Primary",
        Some(_) => "it may not be promoted here any more",
    }
}

impl NoPrimary {
    /// One that has seen nothing yet.
    pub fn new(settings: NoPrimarySettings) -> Self {
        Self {
            settings,
            waits: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            touched: BTreeSet::new(),
            live: false,
            said: BTreeMap::new(),
        }
    }

    /// Whether it is so of a resource that this table is about.
    fn is_so(&self, node: &Node, name: &ResourceName) -> bool {
        let named = self.settings.resource.as_ref().is_none_or(|matcher| accepts_name(matcher, name.as_str()));
        named && node.resource(name.as_str()).is_some_and(has_no_primary)
    }

    /// Looks at what was touched; at everything, if the snapshot has become the present.
    fn look(&mut self, cx: &mut Context<'_>) {
        let live = cx.node.source() == SourceState::Live;
        if !live || !cx.settled {
            return;
        }
        if !std::mem::replace(&mut self.live, true) {
            self.touch_all(cx.node);
        }
        for name in std::mem::take(&mut self.touched) {
            self.look_at(cx, &name);
        }
    }

    fn touch_all(&mut self, node: &Node) {
        self.touched =
            node.resources().map(|resource| resource.name.clone()).chain(self.waits.keys().cloned()).collect();
    }

    fn look_at(&mut self, cx: &mut Context<'_>, name: &ResourceName) {
        let wait = self.waits.get(name).copied();
        match (self.is_so(cx.node, name), wait) {
            (true, Some(Wait { said: true, .. })) | (false, None) => {}
            (true, wait) => {
                let since = wait.map_or(cx.now, |wait| wait.since);
                let due = since.after(self.settings.after);
                let said = due <= cx.now;
                if said {
                    self.deadlines.remove(&(due, name.clone()));
                    *self.said.entry(name.clone()).or_default() += 1;
                    let time = cx.now.since(since).as_secs();
                    let text = format!("{name} could be promoted here, and has been Primary nowhere for {time} s");
                    Self::note(cx, NoteLevel::Warn, &format!("{name} may be promoted and has no Primary"), text);
                } else {
                    self.deadlines.insert((due, name.clone()));
                }
                self.waits.insert(name.clone(), Wait { since, said });
            }
            (false, Some(Wait { since, said })) => {
                self.waits.remove(name);
                self.deadlines.remove(&(since.after(self.settings.after), name.clone()));
                let why = over(cx.node, name);
                if said {
                    let time = cx.now.since(since).as_secs();
                    let text = format!("{name} no longer waits for a Primary, after {time} s: {why}");
                    Self::note(cx, NoteLevel::Info, why, text);
                }
            }
        }
        if cx.node.resource(name.as_str()).is_none() {
            self.said.remove(name);
        }
    }

    fn note(cx: &mut Context<'_>, level: NoteLevel, because: &str, text: String) {
        cx.effect(vec![Reason(because.to_owned())], Effect::Note { level, text });
    }

    /// What is due is looked at now, or when the burst is over.
    fn due(&mut self, cx: &mut Context<'_>) {
        while let Some((at, name)) = self.deadlines.first().cloned() {
            if at > cx.now {
                break;
            }
            self.deadlines.remove(&(at, name.clone()));
            self.touched.insert(name);
        }
        self.look(cx);
    }

    /// Nobody knows how it is until the next dump. What was said stays said until it is known to be over.
    fn source(&mut self, node: &Node) {
        if node.source() != SourceState::Live {
            self.live = false;
            self.waits.retain(|_, wait| wait.said);
            self.deadlines.clear();
            self.touched.clear();
        }
    }

    fn reconfigure(&mut self, cx: &mut Context<'_>, settings: NoPrimarySettings) {
        self.settings = settings;
        self.deadlines.clear();
        if self.live {
            self.touch_all(cx.node);
        }
        self.look(cx);
    }

    fn status(&self) -> Vec<(&'static str, String)> {
        let names: Vec<&str> = self.waits.iter().filter(|(_, wait)| wait.said).map(|(name, _)| name.as_str()).collect();
        let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(" ");
        if names.len() > SHOWN {
            text += &format!(" and {} more", names.len() - SHOWN);
        }
        vec![
            ("resources", names.len().to_string()),
            ("without a Primary", if names.is_empty() { "none".to_owned() } else { text }),
        ]
    }
}

impl Plugin for NoPrimary {
    fn kind(&self) -> PluginKind {
        PluginKind::NoPrimary
    }

    fn interest(&self) -> Interest {
        Interest::in_changes(Some(Detail::State))
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Change(change) => drop(self.touched.insert(change.resource.clone())),
            PluginInput::BurstEnd => self.look(cx),
            PluginInput::Deadline => self.due(cx),
            PluginInput::Source(SourceId::Drbd) => self.source(cx.node),
            PluginInput::Settings(PluginSettings::NoPrimary(settings)) => self.reconfigure(cx, settings.clone()),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn report(&self, report: Report<'_>) {
        match report {
            Report::Status(lines) => lines.extend(self.status()),
            Report::Counters(counters) => counters.extend(self.said.iter().map(|(name, said)| Counter {
                name: "said",
                help: "Times that a resource was said to be Primary nowhere although this node could promote it.",
                labels: vec![("name", name.to_string())],
                value: *said,
            })),
            Report::Promoted(..) | Report::Likeness(..) | Report::Incidents(_) | Report::Unkept(_) => {}
        }
    }
}
