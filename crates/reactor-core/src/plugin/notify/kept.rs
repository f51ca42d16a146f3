//! What is kept across restarts of what people were told: only what is in a message. What still gathers, waits for the rate limit, or comes and goes is
//! kept as it was told last, so that a daemon that is killed then leaves it to the next one to tell, and nothing is silently taken for told.

use std::collections::{BTreeMap, BTreeSet};

use crate::notice::words;

/// What stands, by the name that it has where changes come and go.
pub(super) type Stands = BTreeMap<String, BTreeSet<String>>;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What stands by the last message about each thing.
    told: BTreeSet<String>,
    /// What was asked to be kept last.
    last: BTreeSet<String>,
    /// Things of which something gathers for the next message, and what stands of them when that is told.
    gathering: Stands,
    /// What stands may be otherwise than what was told.
    is_open: bool,
    /// It has to be said though it is the same: whoever keeps it may have forgotten it.
    is_asked: bool,
}

impl Kept {
    /// Something of this name is going to be in a message, and this is how it stands by that.
    pub(super) fn gathers(&mut self, thing: String, stands: &Stands) {
        let stands = stands.get(&thing).cloned().unwrap_or_default();
        self.gathering.insert(thing, stands);
    }

    /// All that gathered is in a message.
    pub(super) fn sent(&mut self) {
        let sent = std::mem::take(&mut self.gathering);
        self.is_open |= !sent.is_empty();
        self.told.retain(|key| thing(key).is_none_or(|thing| !sent.contains_key(&thing)));
        self.told.extend(sent.into_values().flatten());
    }

    /// This was kept before a restart.
    pub(super) fn recall(&mut self, kept: &[String]) {
        self.told.extend(kept.iter().cloned());
        self.is_asked = true;
    }

    /// What is to be kept from now on; `None` = what is kept. `standing`: all that was told and stands, if that is otherwise than before; `holds`: whether
    /// something of a name is held back because it comes and goes.
    pub(super) fn newer(
        &mut self,
        standing: impl FnOnce() -> BTreeSet<String>,
        is_changed: bool,
        holds: impl Fn(&str) -> bool,
    ) -> Option<BTreeSet<String>> {
        if !is_changed && !self.is_open && !self.is_asked {
            return None;
        }
        let is_told =
            |key: &&String| thing(key).is_none_or(|thing| !self.gathering.contains_key(&thing) && !holds(&thing));
        let standing = standing();
        let told = standing.iter().filter(is_told);
        let before = self.told.iter().filter(|key| !is_told(key));
        self.told = told.chain(before).cloned().collect();
        self.is_open = self.told != standing;
        let is_asked = std::mem::take(&mut self.is_asked);
        if self.told == self.last && !is_asked {
            return None;
        }
        self.last.clone_from(&self.told);
        Some(self.last.clone())
    }
}

/// What stands, by thing.
pub(super) fn by_thing(standing: BTreeSet<String>) -> Stands {
    let mut stands = Stands::new();
    for key in standing {
        if let Some(thing) = thing(&key) {
            stands.entry(thing).or_default().insert(key);
        }
    }
    stands
}

/// The name that what is kept has where changes come and go: see `drbd::key` and `drbd::thing`.
fn thing(key: &str) -> Option<String> {
    let (word, part) = key.split_once(' ')?;
    Some(format!("{part} {}", words::word(word)?.ended_by?))
}
