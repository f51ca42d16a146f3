//! Whom a step calls: who has a resource, who follows a unit, whose deadline it is. So a step costs what it touches, however many tables there are.
//!
//! All of it follows from the plugins: it is made anew when they change, and deadlines are filed again after each call.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::Change;
use crate::ids::{InstanceId, Mono, ResourceName, UnitName};
use crate::plugin::Scope;
use crate::subject::Subject;

use super::instance::Instance;

/// See the module's head. Plugins are meant by where they stand in the configuration.
#[derive(Default)]
pub(super) struct Index {
    /// Those that hear everything.
    everything: Vec<usize>,
    /// Those that hear what is told for the history.
    news: Vec<usize>,
    resources: BTreeMap<ResourceName, Vec<usize>>,
    units: BTreeMap<UnitName, Vec<usize>>,
    ids: BTreeMap<InstanceId, usize>,
    deadlines: BTreeSet<(Mono, usize)>,
    /// Called since their deadlines were filed.
    called: Vec<usize>,
    /// Who is called at the end of the burst, besides those of `everything`.
    in_burst: BTreeSet<usize>,
}

/// What of some news a plugin is told.
pub(super) enum Heard {
    /// All.
    All,
    /// Those with these numbers.
    Some(Vec<usize>),
}

impl Heard {
    /// Calls `f` with each of it.
    pub(super) fn each<T>(&self, news: &[T], mut f: impl FnMut(&T)) {
        match self {
            Self::All => news.iter().for_each(f),
            Self::Some(numbers) => numbers.iter().filter_map(|number| news.get(*number)).for_each(&mut f),
        }
    }
}

impl Index {
    /// The index of these plugins. `walk` = as if all had to hear everything.
    pub(super) fn new(instances: &mut [Instance], walk: bool) -> Self {
        let mut index = Self::default();
        for (position, instance) in instances.iter_mut().enumerate() {
            instance.position = position;
            index.ids.insert(instance.id, position);
            instance.ask_interest();
            if instance.plugin.is_some() {
                if instance.interest.news {
                    index.news.push(position);
                }
                match &instance.interest.scope {
                    Scope::Resources(names) if !walk => {
                        for name in names {
                            index.resources.entry(name.clone()).or_default().push(position);
                        }
                        for unit in &instance.interest.units {
                            let users = index.units.entry(unit.clone()).or_default();
                            if users.last() != Some(&position) {
                                users.push(position);
                            }
                        }
                    }
                    Scope::Resources(_) | Scope::Everything => index.everything.push(position),
                }
            }
            // Who was called before has another place now: all count as called.
            index.called.push(position);
            index.in_burst.insert(position);
            instance.filed = None;
            index.file(instance);
        }
        index
    }

    /// Files when a plugin is due.
    pub(super) fn file(&mut self, instance: &mut Instance) {
        let due = instance.due();
        if instance.filed != due {
            if let Some(at) = instance.filed {
                self.deadlines.remove(&(at, instance.position));
            }
            self.deadlines.extend(due.map(|at| (at, instance.position)));
            instance.filed = due;
        }
    }

    /// When somebody is due.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Who is due by now, in order.
    pub(super) fn due(&self, now: Mono) -> BTreeSet<usize> {
        self.deadlines.range(..=(now, usize::MAX)).map(|(_, position)| *position).collect()
    }

    /// Where a plugin stands.
    pub(super) fn position(&self, id: InstanceId) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// Notes that a plugin is called.
    pub(super) fn called(&mut self, position: usize, settled: bool) {
        if self.called.last() != Some(&position) {
            self.called.push(position);
        }
        if !settled {
            self.in_burst.insert(position);
        }
    }

    /// Who was called since they were last taken, in order.
    pub(super) fn so_far_called(&mut self) -> Vec<usize> {
        self.called.sort_unstable();
        self.called.dedup();
        self.called.clone()
    }

    /// The same, once.
    pub(super) fn take_called(&mut self) -> Vec<usize> {
        let called = self.so_far_called();
        self.called.clear();
        called
    }

    /// Who may have, or may answer for, a resource.
    pub(super) fn of_resource(&self, name: &ResourceName) -> BTreeSet<usize> {
        self.everything.iter().chain(self.resources.get(name).into_iter().flatten()).copied().collect()
    }

    /// Who may answer for something.
    pub(super) fn of_subject(&self, subject: &Subject) -> BTreeSet<usize> {
        match subject {
            Subject::Resource(name) => self.of_resource(name),
            Subject::Device(_) | Subject::Unit(_) | Subject::Node => self.everything.iter().copied().collect(),
        }
    }

    /// Who hears everything.
    pub(super) fn of_everything(&self) -> Vec<usize> {
        self.everything.clone()
    }

    /// Who hears what is told for the history.
    pub(super) fn of_news(&self) -> Vec<usize> {
        self.news.clone()
    }

    /// Who is told which of these changes.
    pub(super) fn of_changes(&self, changes: &[Change]) -> BTreeMap<usize, Heard> {
        self.heard(changes.iter().map(|change| self.resources.get(&change.resource)))
    }

    /// Who is told which of these units.
    pub(super) fn of_units(&self, units: &[UnitName]) -> BTreeMap<usize, Heard> {
        self.heard(units.iter().map(|unit| self.units.get(unit)))
    }

    fn heard<'a>(&self, users: impl Iterator<Item = Option<&'a Vec<usize>>>) -> BTreeMap<usize, Heard> {
        let mut heard: BTreeMap<usize, Heard> =
            self.everything.iter().map(|position| (*position, Heard::All)).collect();
        for (number, users) in users.enumerate() {
            for position in users.into_iter().flatten() {
                match heard.entry(*position).or_insert_with(|| Heard::Some(Vec::new())) {
                    Heard::All => {}
                    Heard::Some(numbers) => numbers.push(number),
                }
            }
        }
        heard
    }

    /// These are called at the end of the burst.
    pub(super) fn wait_for_burst(&mut self, positions: impl Iterator<Item = usize>) {
        self.in_burst.extend(positions);
    }

    /// The same for those that have one of these resources.
    pub(super) fn wait_with(&mut self, names: &BTreeSet<ResourceName>) {
        for name in names {
            self.in_burst.extend(self.resources.get(name).into_iter().flatten());
        }
    }

    /// Who is called now that the burst is over, in order.
    pub(super) fn take_burst(&mut self) -> BTreeSet<usize> {
        let mut burst = std::mem::take(&mut self.in_burst);
        burst.extend(&self.everything);
        burst
    }
}
