//! What is kept across restarts of what people were told: only what is in a message. What still gathers, waits for the rate limit, or comes and goes is
//! kept as it was told last, so that a daemon that is killed then leaves it to the next one to tell, and nothing is silently taken for told.

use std::collections::BTreeSet;

use crate::notice::words;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What was asked to be kept last.
    last: BTreeSet<String>,
    /// Things of which something gathers for the next message.
    gathering: BTreeSet<String>,
    /// What stands may be otherwise than what is kept.
    is_open: bool,
    /// It has to be said though it is the same: whoever keeps it may have forgotten it.
    is_asked: bool,
}

impl Kept {
    /// Something of this name is going to be in a message.
    pub(super) fn gathers(&mut self, thing: String) {
        self.gathering.insert(thing);
    }

    /// All that gathered is in a message.
    pub(super) fn sent(&mut self) {
        self.gathering.clear();
    }

    /// This was kept before a restart.
    pub(super) fn recall(&mut self, kept: &[String]) {
        self.last.extend(kept.iter().cloned());
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
        let is_told = |key: &&String| thing(key).is_none_or(|thing| !self.gathering.contains(&thing) && !holds(&thing));
        let standing = standing();
        let told = standing.iter().filter(is_told);
        let before = self.last.iter().filter(|key| !is_told(key));
        let kept: BTreeSet<String> = told.chain(before).cloned().collect();
        self.is_open = kept != standing;
        let is_asked = std::mem::take(&mut self.is_asked);
        if kept == self.last && !is_asked {
            return None;
        }
        self.last.clone_from(&kept);
        Some(kept)
    }
}

/// The name that what is kept has where changes come and go: see `drbd::key` and `drbd::thing`.
fn thing(key: &str) -> Option<String> {
    let (word, part) = key.split_once(' ')?;
    Some(format!("{part} {}", words::word(word)?.ended_by?))
}
