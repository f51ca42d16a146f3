//! Storage incidents: what stands wrong is open, whoever was killed or late; what is right again is not; and each is told once.

use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Effect};
use reactor_core::ids::Mono;
use reactor_storage::incidents::{Incident, Standing};

use crate::drbd9::NodeIx;

use super::super::plan::NODES;
use super::super::run::World;

const OPEN: &str = "what stands wrong is open";
const RIGHT: &str = "what is right again is not open";
const OVER: &str = "an incident is over in time";
const ONCE: &str = "an incident is told once";
const PACE: &str = "what is open is kept at a bounded pace";
const FLOOD: &str = "a flood is a handful of words";

/// So late a daemon may know something: what happens again within ten seconds is told every five; and the source has to begin, the loop to take it.
const KNOWN: Duration = Duration::from_secs(7);
/// When nothing has happened for so long, an incident in which nothing lasts is over.
const QUIET: Duration = Duration::from_secs(305);
/// At most once in this time what is open is kept; it is on the way for a while.
const KEEP: Duration = Duration::from_millis(990);
/// So much may be said of incidents in a minute: there are nine devices.
const WORDS: usize = 90;

impl World {
    /// Looked at again and again.
    pub(in super::super) fn check_incidents(&mut self, node: NodeIx) {
        let now = self.now;
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let Some(collecting) = daemon.storage.as_deref() else { return };
        let (true, Some(read)) = (collecting.is_up && !collecting.is_dead, collecting.is_read) else { return };
        let begun = daemon.started.max(read);
        let is_late = |since: Mono| now.since(since.max(begun)) > KNOWN;
        let open = daemon.core.incidents();
        let mut found = Vec::new();
        for (wrong, stands) in self.machines[node].storage.wrong.iter().filter(|(_, stands)| is_late(stands.since)) {
            let (kind, device) = wrong.event();
            let lasts = open.iter().flat_map(|incident| &incident.troubles).any(|trouble| {
                let is_it = trouble.event.kind == kind && trouble.event.devices().any(|found| found.name == device);
                is_it && trouble.standing == Standing::Lasts
            });
            if lasts != stands.is_wrong {
                let rule = if stands.is_wrong { OPEN } else { RIGHT };
                found.push((rule, format!("{}: {kind} on {device}: {stands:?}", NODES[node])));
            }
        }
        let off = collecting.clock_off_ms.unwrap_or_default() - self.machines[node].clock_off_ms;
        let axis = now_us(self.wall(node)).saturating_add_signed(off * 1000);
        let is_over = |last_us: u64| axis.saturating_sub(last_us) > micros(QUIET);
        for incident in open.iter().filter(|incident| !incident.lasts() && is_over(changed(incident))) {
            if is_late(begun) {
                found.push((OVER, format!("{}: {}: {}", NODES[node], incident.id, incident.title())));
            }
        }
        for (rule, what) in found {
            self.violated(rule, what);
        }
    }

    /// What is asked for because of storage events.
    pub(in super::super) fn check_storage_action(&mut self, node: NodeIx, action: &Action) {
        let now = self.now;
        let disk = &self.machines[node].storage;
        let known = disk.known.clone();
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let is_ending = daemon.ending.is_some();
        let Some(collecting) = daemon.storage.as_deref_mut() else { return };
        let wrong = match &action.kind {
            ActionKind::Effect(Effect::KeepIncidents(_)) => {
                let last = collecting.kept.last().copied();
                // At the end, and when what was open before is known, nothing waits.
                let is_due = last.is_none_or(|last| now.since(last) >= KEEP) || is_ending;
                let is_first = collecting.is_read.is_some_and(|read| last.is_none_or(|last| last <= read));
                (!is_due && !is_first).then(|| (PACE, format!("after {:?}", last.map(|last| now.since(last)))))
            }
            ActionKind::Effect(Effect::Note { text, .. }) => {
                let Some(rest) = text.strip_prefix("storage incident ") else { return };
                collecting.said.retain(|said| now.since(*said) <= Duration::from_secs(60));
                collecting.said.push(now);
                let id = rest.split(' ').next().unwrap_or_default();
                if rest.ends_with("a person closed it") || rest.contains(" is part of ") {
                    // If the same event goes on, it is open again.
                    collecting.opened.remove(id);
                    self.machines[node].storage.forget(id);
                    return;
                }
                let is_new = rest.get(id.len()..).is_some_and(|rest| rest.starts_with(" ("));
                // Before the disk has answered, nobody knows what was told.
                let is_again = is_new && collecting.is_read.is_some() && known.contains(id);
                let is_first = is_new && collecting.opened.insert(id.to_owned());
                let words = collecting.said.len();
                if is_first {
                    self.machines[node].storage.opens(id);
                }
                if is_new && !is_first || is_again {
                    Some((ONCE, text.clone()))
                } else {
                    (words > WORDS).then(|| (FLOOD, text.clone()))
                }
            }
            _ => None,
        };
        if let Some((rule, what)) = wrong {
            self.violated(rule, format!("{}: {what}", NODES[node]));
        }
    }
}

/// When something of it was wrong last, or became right.
fn changed(incident: &Incident) -> u64 {
    let cleared = incident.troubles.iter().filter_map(|trouble| match trouble.standing {
        Standing::Cleared { at_us, .. } => Some(at_us),
        _ => None,
    });
    cleared.chain([incident.last_us]).max().unwrap_or_default()
}

fn now_us(wall: reactor_core::operator::WallClock) -> u64 {
    wall.unix_ms.saturating_mul(1000)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
