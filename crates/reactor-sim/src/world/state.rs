//! The state folder of a node: what a daemon remembers across restarts, on a disk that may be slow, torn, or written by a newer program.
//!
//! What is read and written is the daemon's own ([`Known`]); only the disk is a model. What was held, and what may have been, is held
//! until a person says otherwise, and nothing that was not understood is overwritten.

use std::collections::BTreeMap;
use std::sync::Arc;

use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::operator::{Hold, Memory, OperatorVerb};
use reactor_core::settings::{PluginSettings, Settings};
use reactor_sys::memory::{self, Known, Remembered};

use crate::drbd9::NodeIx;

use super::bugs::Bug;
use super::faults::Heal;
use super::hard::lists;
use super::plan::{NODES, promoted};
use super::run::World;

/// A key that this program does not know.
const NEWER_KEY: &str = "\"colours\"";

/// The disk.
#[derive(Clone, Debug, Default)]
pub(super) struct StateDisk {
    file: Option<Vec<u8>>,
    /// Files under other names.
    kept: BTreeMap<String, Vec<u8>>,
    /// It does not answer.
    pub(super) is_slow: bool,
    /// Files that nobody understood: they have to be somewhere.
    torn: Vec<Vec<u8>>,
    /// A newer program wrote the file: what only that one knows has to be somewhere.
    is_newer: bool,
    /// The file says of all resources that it is known what holds.
    is_sure: bool,
    damage: Option<Damage>,
}

/// A unit that a daemon has frozen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Froze {
    pub(super) res: usize,
    /// The daemon, or its state file, says that we did it. A file that was torn since then does not.
    pub(super) is_known: bool,
}

/// What became of the file since the last daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Torn,
    Newer,
}

impl StateDisk {
    fn read(&self) -> Remembered {
        let gone = |name: &str| !self.kept.contains_key(name);
        self.file.as_ref().map(|text| memory::from_text(text, gone)).unwrap_or_default()
    }

    /// What was there and has gone.
    fn lost(&self) -> Option<&'static str> {
        let all = || self.kept.values().chain(&self.file);
        let newer = |text: &Vec<u8>| String::from_utf8_lossy(text).contains(NEWER_KEY);
        if !self.torn.iter().all(|torn| all().any(|text| text == torn)) {
            return Some("a file that was not understood");
        }
        (self.is_newer && !all().any(newer)).then_some("what a newer program wrote")
    }
}

impl World {
    /// A daemon starts and reads what there is.
    pub(super) fn open_state(&mut self, node: NodeIx) -> Known {
        for level in &mut self.watch.levels[node] {
            level.said = false;
        }
        self.watch.drains[node].new_life();
        self.expect_holds(node);
        let disk = &self.machines[node].disk;
        let mut known = Known::default();
        if disk.is_slow {
            known = Known::unread("the disk has not answered yet".to_owned());
        } else {
            known.read(disk.read());
        }
        if self.bug == Some(Bug::UnknownIsNothing) {
            known.doubt = None;
        }
        known
    }

    /// What has to be held from now on, whatever the daemon thinks of it. `said` counts: what people have said of a resource since the daemon
    /// started.
    fn expect_holds(&mut self, node: NodeIx) {
        let disk = &mut self.machines[node].disk;
        let slow = disk.is_slow;
        let all = match disk.damage.take_if(|_| !slow) {
            Some(Damage::Torn) => true,
            Some(Damage::Newer) => !disk.is_sure,
            None => false,
        };
        disk.is_sure |= all;
        // What a newer program wrote of a stop or a drain is understood.
        let is_torn = all && !disk.is_newer;
        self.watch.drains[node].new_file(slow, is_torn);
        if is_torn {
            self.forget_unlisted(node);
        }
        for level in &mut self.watch.levels[node] {
            if slow {
                level.before_slow.get_or_insert((level.held, level.blocked, level.wish.clone()));
                level.wish = None;
            }
            if is_torn && !level.said {
                level.wish = None;
            }
            level.held |= (all && !level.said && level.wish.is_none()) || slow;
            // That it failed too often is in the file.
            level.blocked &= !all && !slow;
        }
    }

    /// Nobody knows any more what was frozen and is not configured, nor, if that is taken out of the configuration, that we froze it.
    fn forget_unlisted(&mut self, node: NodeIx) {
        let settings = Arc::clone(&self.machines[node].settings);
        let names = self.resource_names();
        let listed = |unit: &UnitName| {
            names.iter().filter_map(|name| promoted(&settings, name)).any(|resource| lists(resource, unit.as_str()))
        };
        let froze = &mut self.machines[node].froze;
        froze.retain(|unit, _| listed(unit));
        for unit in froze.values_mut() {
            unit.is_known = false;
        }
    }

    /// Before resources are configured: those of which nobody knows whether they were held are.
    pub(super) fn hold_what_may_be_held(&mut self, node: NodeIx, settings: &Settings) {
        let promoted = configured(settings);
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        if daemon.known.doubts(promoted) > 0 {
            let told = daemon.known.told();
            self.tell(node, &Input::Remembered(told));
            self.write_state(node);
        }
    }

    /// Something is to be remembered.
    pub(super) fn remember(&mut self, node: NodeIx, resource: &ResourceName, memory: &Memory) {
        let daemon = self.machines[node].daemon.as_deref_mut();
        let forgets =
            self.bug == Some(Bug::ExitForgetsHold) && daemon.as_ref().is_some_and(|daemon| daemon.ending.is_some());
        if forgets {
            return;
        }
        if daemon.is_some_and(|daemon| daemon.known.remember(resource.clone(), memory.clone())) {
            self.write_state(node);
        }
    }

    /// Whether the node is drained is to be remembered.
    pub(super) fn remember_drain(&mut self, node: NodeIx, drain: Option<&Hold>) {
        let daemon = self.machines[node].daemon.as_deref_mut();
        if daemon.is_some_and(|daemon| daemon.known.remember_drain(drain.cloned())) {
            self.write_state(node);
        }
    }

    fn write_state(&mut self, node: NodeIx) {
        let machine = &mut self.machines[node];
        let disk = &mut machine.disk;
        let Some(daemon) = machine.daemon.as_deref_mut().filter(|_| !disk.is_slow) else { return };
        let mut name = None;
        if let Some(old) = disk.file.take().filter(|_| daemon.known.keeps_old()) {
            let number = u32::try_from(disk.kept.len() + 1).unwrap_or(u32::MAX);
            let kept = name.insert(Known::kept_name(number)).clone();
            if self.bug != Some(Bug::Overwrites) {
                disk.kept.insert(kept, old);
            }
        }
        disk.file = daemon.known.text(name.as_deref()).ok();
        if let Some(name) = name {
            daemon.known.was_kept(name);
        }
        if let Some(lost) = disk.lost() {
            self.violated("nothing is overwritten that was not understood", format!("{}: {lost}", NODES[node]));
        }
    }

    /// The disk answers at last.
    pub(super) fn disk_answers(&mut self, node: NodeIx) {
        if !std::mem::take(&mut self.machines[node].disk.is_slow) {
            return;
        }
        self.tell_fault(&format!("the disk of {} answers", NODES[node]));
        let is_there = self.machines[node].daemon.is_some();
        for level in &mut self.watch.levels[node] {
            if let Some(before) = level.before_slow.take() {
                // What was said to this daemon counts, and is all that is known.
                level.said &= is_there;
                if !level.said {
                    (level.held, level.blocked, level.wish) = before;
                }
            }
        }
        self.watch.drains[node].disk_answers(is_there);
        if !is_there {
            return;
        }
        self.expect_holds(node);
        self.recall_wishes(node);
        let machine = &mut self.machines[node];
        let (Some(daemon), disk) = (machine.daemon.as_deref_mut(), &machine.disk) else { return };
        let held: Vec<ResourceName> = daemon.known.memories.keys().cloned().collect();
        daemon.known.read(disk.read());
        if self.bug == Some(Bug::UnknownIsNothing) {
            daemon.known.doubt = None;
        }
        let settings = Arc::clone(&daemon.settings);
        let (told, _) = daemon.known.told_late(held, configured(&settings));
        let drain = daemon.known.drain.clone();
        self.tell(node, &Input::Drained(drain));
        self.tell(node, &Input::Remembered(told));
        self.write_state(node);
    }

    /// The daemon is killed, and finds its state file other than it left it.
    pub(super) fn state_fault(&mut self, node: NodeIx) {
        let name = NODES[node];
        self.end_daemon(node);
        let what = self.pick(3);
        let cut = self.rng.next_u64();
        let disk = &mut self.machines[node].disk;
        let text = disk.file.clone().unwrap_or_default();
        let found = match what {
            0 => {
                let len = usize::try_from(cut % (text.len() as u64).saturating_sub(2).max(1)).unwrap_or(0);
                let torn = text[..len].to_vec();
                disk.torn.push(torn.clone());
                (disk.is_newer, disk.is_sure, disk.damage) = (false, false, Some(Damage::Torn));
                disk.file = Some(torn);
                "finds a state file that was torn"
            }
            1 if !text.is_empty() && disk.damage.is_none() && !disk.is_newer => {
                let newer = String::from_utf8_lossy(&text).replacen(
                    "\"version\": 1",
                    &format!("{NEWER_KEY}: [\"red\"],\n  \"version\": 2"),
                    1,
                );
                (disk.is_newer, disk.damage) = (true, Some(Damage::Newer));
                disk.file = Some(newer.into_bytes());
                "finds the state file of a newer one"
            }
            _ => {
                disk.is_slow = true;
                "finds a disk that does not answer"
            }
        };
        self.tell_fault(&format!("the daemon of {name} is killed, and {found}"));
        self.heal_in(0, 20, Heal::Daemon(node));
        self.heal_in(30, 90, Heal::State(node));
        for res in 0..self.plan.cluster.resources.len() {
            self.heal_in(10, 200, Heal::Operator(node, res, OperatorVerb::Release));
        }
    }
}

/// What promoters have.
fn configured(settings: &Settings) -> impl Iterator<Item = ResourceName> {
    settings.plugins.iter().flat_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => promoter.resources.keys().cloned().collect::<Vec<_>>(),
        _ => Vec::new(),
    })
}
