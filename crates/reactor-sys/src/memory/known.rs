//! What is known of all resources: what was read, what was said since, and what is held only because nobody knows.
//!
//! What is not known is not nothing: where a file was not understood, and while the disk does not answer, every resource is held that nobody
//! has said anything about. No I/O here: the daemon does it, and the simulation does without.

use std::collections::BTreeMap;

use reactor_core::ids::ResourceName;
use reactor_core::operator::{Hold, Memory};

use super::document::{Doubt, Kept, render};
use super::{KEPT_NAME, Remembered};

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Of each resource.
    pub memories: BTreeMap<ResourceName, Memory>,
    /// This node is drained.
    pub drain: Option<Hold>,
    /// A person has drained it, or not any longer, since this program runs.
    pub drain_said: bool,
    /// Nobody knows what was held.
    pub doubt: Option<Doubt>,
    /// What the file has besides.
    pub kept: Kept,
}

impl Known {
    /// Nothing has been read yet, for this reason.
    pub fn unread(why: String) -> Self {
        Self { doubt: Some(Doubt { why, ..Doubt::default() }), ..Self::default() }
    }

    /// The file was read, maybe after people have said something. What they said since counts; what was only held because nobody knew does
    /// not. `true` = there is something that the file does not have.
    pub fn read(&mut self, remembered: Remembered) -> bool {
        let said = |memory: &Memory| memory.hold.as_ref().is_none_or(|hold| !Doubt::is_behind(hold));
        let known = self.doubt.take().map(|doubt| doubt.known).unwrap_or_default();
        let before = std::mem::replace(&mut self.memories, remembered.memories);
        (self.doubt, self.kept) = (remembered.doubt, remembered.kept);
        // Who gives no reason takes none away, also if nobody knew of one when that was said.
        let adds_nothing = self.drain.as_ref().is_some_and(|said| said.why.is_empty()) && remembered.drain.is_some();
        if !self.drain_said || adds_nothing {
            self.drain = remembered.drain;
        }
        let mut changed = self.drain_said;
        for name in known {
            let mut memory = match before.get(&name) {
                Some(memory) if said(memory) => memory.clone(),
                Some(_) => continue,
                None => Memory::default(),
            };
            // Nobody says anything about what is frozen: that is to be thawed, whoever froze it.
            if let Some(file) = self.memories.get(&name) {
                memory.frozen |= file.frozen;
                memory.frozen_units.extend(file.frozen_units.iter().cloned());
            }
            self.remember(name.clone(), memory);
            // It is known what holds of it, whatever the file turned out to be.
            if let Some(doubt) = &mut self.doubt {
                doubt.known.insert(name);
            }
            changed = true;
        }
        changed
    }

    /// These resources are configured: those that nobody has said anything about are held, if there is a doubt. How many are new.
    pub fn doubts(&mut self, configured: impl Iterator<Item = ResourceName>) -> u64 {
        let Some(doubt) = &mut self.doubt else { return 0 };
        let mut new = 0;
        for name in configured.filter(|name| doubt.known.insert(name.clone())).collect::<Vec<_>>() {
            let memory = self.memories.entry(name).or_default();
            if memory.hold.is_none() {
                memory.hold = Some(Doubt::hold(&doubt.why));
            }
            new += 1;
        }
        new
    }

    /// Keeps `memory` in place of what was kept before. `true` = that is something else.
    pub fn remember(&mut self, resource: ResourceName, memory: Memory) -> bool {
        if memory == Memory::default() {
            self.memories.remove(&resource).is_some()
        } else {
            self.memories.insert(resource, memory.clone()) != Some(memory)
        }
    }

    /// Keeps whether this node is drained. `true` = that is something else.
    pub fn remember_drain(&mut self, drain: Option<Hold>) -> bool {
        self.drain_said = true;
        std::mem::replace(&mut self.drain, drain) != self.drain
    }

    /// For the core.
    pub fn told(&self) -> Vec<(ResourceName, Memory)> {
        self.memories.iter().map(|(name, memory)| (name.clone(), memory.clone())).collect()
    }

    /// The same after a disk has answered late: also that what was `held` until then is held no more. Of what is configured, that which the file leaves
    /// in [doubt](Self::doubts) stays held: if it were free for a moment, something would be decided in it. With it: how many of these are new.
    pub fn told_late(
        &mut self,
        held: Vec<ResourceName>,
        configured: impl Iterator<Item = ResourceName>,
    ) -> (Vec<(ResourceName, Memory)>, u64) {
        let new = self.doubts(configured);
        let over = held.into_iter().filter(|name| !self.memories.contains_key(name));
        let over: Vec<_> = over.map(|name| (name, Memory::default())).collect();
        (self.told().into_iter().chain(over).collect(), new)
    }

    /// The text of the file; `kept_as` = the old one, which was not understood, has this name now.
    ///
    /// # Errors
    ///
    /// What the serializer says.
    pub fn text(&self, kept_as: Option<&str>) -> serde_json::Result<Vec<u8>> {
        let name = |doubt: &Doubt| kept_as.map(str::to_owned).or_else(|| doubt.kept_as.clone());
        let doubt = self.doubt.as_ref().map(|doubt| Doubt { kept_as: name(doubt), ..doubt.clone() });
        render(&self.memories, self.drain.as_ref(), doubt.as_ref(), &self.kept)
    }

    /// Whether the file must be kept under another name before it is replaced.
    pub fn keeps_old(&self) -> bool {
        self.kept.aside
    }

    /// A name for a file that is kept.
    pub fn kept_name(number: u32) -> String {
        format!("{KEPT_NAME}{number}")
    }

    /// The file was replaced, and the old one kept under this name.
    pub fn was_kept(&mut self, name: String) {
        self.kept.aside = false;
        if let Some(doubt) = &mut self.doubt {
            doubt.kept_as = Some(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::from_text;

    /// The disk answers late, and with a file that nobody understands: who released something meanwhile is not asked again.
    #[test]
    fn what_was_said_before_a_torn_file_was_read_stands_and_all_else_is_held() {
        let names = ["r0", "r1"].map(ResourceName::new);
        let mut known = Known::unread("the disk has not answered yet".to_owned());
        assert_eq!(known.doubts(names.iter().cloned()), 2);
        assert!(known.remember(names[0].clone(), Memory::default()));
        known.read(from_text(b"{\"format\": \"stor", |_| false));
        assert!(known.keeps_old());
        assert_eq!(known.doubts(names.iter().cloned()), 1);
        let held: Vec<_> = known.told().into_iter().map(|(name, memory)| (name, memory.hold.is_some())).collect();
        assert_eq!(held, [(names[1].clone(), true)]);
    }

    #[test]
    fn a_drain_is_in_the_file_and_what_was_said_before_it_was_read_counts() {
        let drain = Hold { who: "root".to_owned(), why: "kernel".to_owned(), since: 7, stops: true, until: None };
        let mut known = Known::default();
        assert!(known.remember_drain(Some(drain.clone())));
        assert!(!known.remember_drain(Some(drain.clone())));
        let text = known.text(None).unwrap();
        let read = || from_text(&text, |_| false);
        let mut next = Known::default();
        assert!(!next.read(read()), "the file has it");
        assert_eq!(next.drain, Some(drain));
        let mut undrained = Known::unread("the disk has not answered yet".to_owned());
        undrained.remember_drain(None);
        assert!(undrained.read(read()));
        assert_eq!(undrained.drain, None);
        // Drained once more: without a reason, the one of the file stands, and who gave it when; a new one replaces it.
        for (why, who) in [("", "root"), ("a disk", "sam")] {
            let again = Hold { who: "sam".to_owned(), why: why.to_owned(), since: 9, stops: true, until: None };
            let mut drained = Known::unread("the disk has not answered yet".to_owned());
            drained.remember_drain(Some(again));
            assert!(drained.read(read()), "what was said is written");
            assert_eq!(drained.drain.map(|drain| drain.who).as_deref(), Some(who), "{why}");
        }
        // What it means nobody knows: everything is held, and nothing is stopped for it.
        let odd = br#"{"format": "storage-reactor-promoter", "version": 1, "resources": {}, "drain": 7}"#;
        let mut doubtful = Known::default();
        doubtful.read(from_text(odd, |_| false));
        assert_eq!((doubtful.drain.is_none(), doubtful.keeps_old()), (true, true));
        assert_eq!(doubtful.doubts(["r0"].map(ResourceName::new).into_iter()), 1);
    }

    /// What a person says while the disk does not answer is about holds.
    #[test]
    fn what_was_frozen_is_not_forgotten_by_who_releases_it_before_the_file_was_read() {
        let name = ResourceName::new("r0");
        let mut known = Known::unread("the disk has not answered yet".to_owned());
        known.doubts([name.clone()].into_iter());
        known.remember(name.clone(), Memory::default());
        let file = br#"{"format":"storage-reactor-promoter","version":1,"resources":{"r0":{
            "hold":{"who":"root","why":"cables","since":1},"frozen":true,"frozen-units":["app.service"]}}}"#;
        assert!(known.read(from_text(file, |_| false)));
        let memory = &known.memories[&name];
        assert!(memory.hold.is_none() && memory.frozen && memory.frozen_units.contains("app.service"), "{memory:?}");
    }
}
