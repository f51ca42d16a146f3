//! What has become of the parts of one resource, and what is told of that.

use reactor_storage::event::Severity;

use crate::history::Serving;
use crate::ids::ResourceName;
use crate::model::objects::Resource;
use crate::notice::{Notice, words};
use crate::plugin::Context;

use super::super::filter::Heard;
use super::happened::Happened;
use super::levels::{self, Bad, Level, Part, SETTLE, Told};
use super::{Deadlines as _, GRACE, Known, Trouble, Watch, key, notice, take_recalled, thing, time, volume};

/// One resource that is judged.
pub(super) struct Judge<'a, 'c> {
    pub(super) watch: &'a mut Watch,
    pub(super) cx: &'a Context<'c>,
    pub(super) name: &'a ResourceName,
    /// What DRBD says of it.
    pub(super) resource: Option<&'a Resource>,
    pub(super) heard: Vec<Heard>,
}

impl Judge<'_, '_> {
    pub(super) fn known(&mut self) -> &mut Known {
        self.watch.resources.entry(self.name.clone()).or_default()
    }

    /// Whether it is being taken down.
    pub(super) fn dropped(&mut self, resource: &Resource, levels: &[(Part, Level)]) {
        let is_link = |part: &&Part| matches!(part, Part::Connection(_));
        let is_gone = |part: &Part| !levels.iter().any(|(known, _)| known == part);
        let now = self.cx.now;
        let known = self.known();
        let mut links = known.good.iter().chain(known.troubles.keys()).filter(is_link);
        if levels::is_dropped(resource) || links.any(is_gone) {
            known.dropped = Some(now);
        }
    }

    /// Parts that are not there any more are not bad any more.
    pub(super) fn forget_what_is_gone(&mut self, levels: &[(Part, Level)]) {
        let is_there = |part: &Part| *part == Part::Services || levels.iter().any(|(known, _)| known == part);
        let known = self.known();
        known.good.retain(is_there);
        let gone: Vec<Part> = known.troubles.keys().filter(|part| !is_there(part)).cloned().collect();
        for part in gone {
            let was = self.known().troubles.get(&part).map(|trouble| trouble.bad.text.clone()).unwrap_or_default();
            let ends = self.ended(&part);
            if !ends.is_empty() {
                let text = format!("of no account any more, because it is no longer configured: {was}");
                let notice = notice(self.cx, self.name, "removed", None, &text);
                self.heard.push(Heard { ends, ..Heard::once(notice) });
            }
        }
    }

    pub(super) fn part(&mut self, part: Part, level: Level) {
        match level {
            Level::Good => self.good(part),
            Level::Unclear => {}
            Level::Bad(mut bad) => {
                let now = self.cx.now;
                let is_going = self.known().dropped.is_some_and(|at| now.since(at) <= SETTLE);
                if is_going && part == Part::Quorum {
                    bad.told = Told::After(SETTLE);
                }
                self.bad(part, bad, Vec::new());
            }
        }
    }

    /// It is good, or good again.
    pub(super) fn good(&mut self, part: Part) {
        let since = self.known().troubles.get(&part).map(|trouble| trouble.since);
        let mut ends = self.end(&part);
        let before = self.recalled(&part);
        let lasted = match since {
            Some(since) if before.is_empty() => format!(" after {}", time(self.cx.now.since(since))),
            _ => String::new(),
        };
        ends.extend(before);
        let word = ends.iter().find_map(|(word, _)| words::word(word)?.ended_by);
        if let Some(word) = word {
            let text = format!("{}{lasted}", self.end_text(&part));
            let notice = notice(self.cx, self.name, word, volume(&part), &text);
            self.heard.push(Heard { notice, events: Vec::new(), ends, thing: thing(self.name, &part) });
        }
        self.known().good.insert(part);
    }

    /// The services of a resource run somewhere, or do not because somebody asked for that. It is told if that was otherwise before, or if people
    /// were told that they do not run.
    pub(super) fn moved(&mut self, serving: Serving, is_moved: bool, because: Vec<String>) {
        let ends = self.ended(&Part::Services);
        if !is_moved && ends.is_empty() {
            return;
        }
        let (word, text) = match serving {
            Serving::Here => ("running", "its services run here"),
            Serving::Elsewhere => ("away", "another node is Primary"),
            Serving::Nowhere => ("down", "its services do not run, as was asked for"),
            Serving::Unknown => return,
        };
        let told = notice(self.cx, self.name, word, None, text);
        let severity = if serving == Serving::Nowhere { Severity::Info } else { told.severity };
        let notice = Notice { severity, because, ..told };
        self.heard.push(Heard { notice, events: Vec::new(), ends, thing: thing(self.name, &Part::Services) });
    }

    /// What was judged good is said to be good once more, for those who were told otherwise before a restart.
    pub(super) fn found_good(&mut self) {
        let known = self.known();
        let presence = known.presence.filter(|_| !known.troubles.contains_key(&Part::Services));
        let good: Vec<Part> = known.good.iter().filter(|part| **part != Part::Services).cloned().collect();
        for part in good {
            self.good(part);
        }
        if let Some(serving) = presence.filter(|serving| *serving != Serving::Unknown) {
            self.moved(serving, false, Vec::new());
        }
    }

    /// The same as [`end`](Self::end), and what was told of it before a restart.
    fn ended(&mut self, part: &Part) -> Vec<(&'static str, Severity)> {
        let mut ends = self.end(part);
        ends.extend(self.recalled(part));
        ends
    }

    /// Nothing is wrong with it any more. By which words that was told.
    pub(super) fn end(&mut self, part: &Part) -> Vec<(&'static str, Severity)> {
        let Some(trouble) = self.known().troubles.remove(part) else { return Vec::new() };
        self.watch.due.extend_remove(trouble.waits, self.name, part);
        self.watch.is_changed |= trouble.waits.is_none();
        trouble.told
    }

    /// What was told of it before a restart.
    pub(super) fn recalled(&mut self, part: &Part) -> Vec<(&'static str, Severity)> {
        if self.watch.recalled.is_empty() {
            return Vec::new();
        }
        let told = take_recalled(&mut self.watch.recalled, self.name, part);
        self.watch.is_changed |= !told.is_empty();
        told
    }

    /// It is bad, or still bad.
    pub(super) fn bad(&mut self, part: Part, bad: Bad, because: Vec<String>) {
        let is_recalled = self.watch.recalled.contains(&key(bad.word, self.name, &part));
        let recalled = if is_recalled { self.recalled(&part) } else { Vec::new() };
        let now = self.cx.now;
        let known = self.known();
        let was_good = known.good.remove(&part);
        let Some(trouble) = known.troubles.get_mut(&part) else {
            let waits = match bad.told {
                _ if is_recalled => None,
                Told::AtOnce => None,
                Told::IfItWasGood | Told::OnlyIfItWasGood if was_good => None,
                Told::IfItWasGood => Some(now.after(GRACE)),
                Told::OnlyIfItWasGood => return,
                Told::After(time) => Some(now.after(if was_good { time } else { GRACE })),
            };
            let mut trouble = Trouble { bad, since: now, waits, seen: None, told: Vec::new() };
            trouble.was_told(recalled);
            known.troubles.insert(part.clone(), trouble);
            if was_good {
                self.seen(&part);
            }
            match waits {
                Some(at) => drop(self.watch.due.insert((at, self.name.clone(), part))),
                None if is_recalled => {}
                None => self.tell(&part, because),
            }
            return;
        };
        let is_given_up = trouble.bad.word == "connection-lost"
            && trouble.bad.severity == Severity::Error
            && bad.state.as_deref() == Some("StandAlone");
        let is_worse = bad.word != trouble.bad.word && bad.word != "connection-lost" && !is_less(&trouble.bad, &bad);
        match trouble.waits {
            Some(_) if bad.told != Told::AtOnce => {
                // How it began says how bad it is: a connection that somebody dropped is StandAlone a moment later.
                let severity = if bad.word == trouble.bad.word { trouble.bad.severity } else { bad.severity };
                trouble.bad = Bad { severity, ..bad };
            }
            waits if is_worse || waits.is_some() => {
                trouble.bad = bad;
                trouble.waits = None;
                self.watch.due.extend_remove(waits, self.name, &part);
                self.seen(&part);
                self.tell(&part, because);
            }
            _ if is_given_up => self.given_up(&part, bad),
            _ => {}
        }
    }

    /// A connection that nobody told it to drop is dropped by DRBD.
    pub(super) fn given_up(&mut self, part: &Part, bad: Bad) {
        let text = format!("{}, and DRBD does not try any more", bad.found.as_deref().unwrap_or(&bad.text));
        if let Some(trouble) = self.known().troubles.get_mut(part) {
            trouble.bad = Bad { word: "standalone", text, found: None, ..bad };
        }
        self.seen(part);
        self.tell(part, Vec::new());
    }

    /// It was seen to become so.
    pub(super) fn seen(&mut self, part: &Part) {
        let was = self.watch.was.get(&(self.name.clone(), part.clone())).cloned().unwrap_or_default();
        if let Some(trouble) = self.known().troubles.get_mut(part) {
            trouble.seen = Some(was);
        }
    }

    pub(super) fn overdue(&mut self, part: &Part) {
        if let Some(trouble) = self.known().troubles.get_mut(part) {
            trouble.waits = None;
            self.tell(part, Vec::new());
        }
    }

    /// Tells of a trouble.
    pub(super) fn tell(&mut self, part: &Part, mut because: Vec<String>) {
        self.watch.is_changed = true;
        let now = self.cx.now;
        let name = self.name;
        let Some(trouble) = self.known().troubles.get_mut(part) else { return };
        trouble.told.push((trouble.bad.word, trouble.bad.severity));
        let Bad { word, severity, text, found, state, .. } = &trouble.bad;
        let text = if trouble.seen.is_some() { text } else { found.as_ref().unwrap_or(text) };
        let state = match (&trouble.seen, state) {
            (Some(was), Some(state)) if was != state && !was.is_empty() => format!(" ({was} -> {state})"),
            (_, Some(state)) => format!(" ({state})"),
            (_, None) => String::new(),
        };
        let (word, severity, text) = (*word, *severity, format!("{text}{state}"));
        if trouble.seen.is_none() {
            because.push(format!("it has been so for {}", time(now.since(trouble.since))));
        }
        because.extend(self.causes(part));
        let told = notice(self.cx, name, word, volume(part), &text);
        let notice = Notice { severity, because, ..told };
        self.heard.push(Heard { notice, events: Vec::new(), ends: Vec::new(), thing: thing(name, part) });
    }

    /// Lost connections are why quorum is lost, and data are old.
    pub(super) fn causes(&mut self, part: &Part) -> Vec<String> {
        if !matches!(part, Part::Quorum | Part::Suspension | Part::Disk(_)) {
            return Vec::new();
        }
        let is_disk = matches!(part, Part::Disk(_));
        let known = self.known();
        if is_disk && known.troubles.get(part).is_none_or(|trouble| trouble.bad.word != "disk-outdated") {
            return Vec::new();
        }
        let is_link = |part: &Part| matches!(part, Part::Connection(_));
        let links = known.troubles.iter().filter(|(part, _)| is_link(part));
        links.map(|(_, trouble)| trouble.bad.found.as_ref().unwrap_or(&trouble.bad.text).clone()).collect()
    }

    pub(super) fn end_text(&self, part: &Part) -> String {
        let peer = |peer| match self.resource {
            Some(resource) => levels::peer_name(resource, peer),
            None => format!("peer {peer}"),
        };
        match part {
            Part::Disk(_) => "the data here are good again (UpToDate)".to_owned(),
            Part::Connection(id) => format!("the connection to {} is back", peer(*id)),
            Part::Path(id, path) => format!("the path to {} is back: {} to {}", peer(*id), path.local, path.peer),
            Part::PeerDisk(id, _) => format!("the copy of {} is good again (UpToDate)", peer(*id)),
            Part::Data(id) => format!("the split brain with {} is over: the two are connected", peer(*id)),
            Part::Quorum => "quorum is there again".to_owned(),
            Part::Suspension => "I/O goes on".to_owned(),
            Part::IoFailures => "I/O fails no longer".to_owned(),
            Part::Services => "its services run".to_owned(),
        }
    }

    /// What changed that is neither good nor bad.
    pub(super) fn happened(&mut self, resource: &Resource) {
        let (cx, name) = (self.cx, self.name);
        let happened = self.known().memory.see(resource);
        self.heard.extend(happened.into_iter().map(|Happened { word, volume, text, thing }| {
            let once = Heard::once(notice(cx, name, word, volume, &text));
            Heard { thing: Some(format!("{name} {thing}")), ..once }
        }));
    }
}

/// A disk that failed is without a device then: that is no other trouble.
fn is_less(told: &Bad, now: &Bad) -> bool {
    now.word == "disk-detached" && told.word == "disk-failed"
}
