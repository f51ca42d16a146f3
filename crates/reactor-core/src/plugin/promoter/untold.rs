//! Units that systemd has not told yet: their resource waits, and nobody else.

use std::time::Duration;

use crate::ids::{Mono, UnitName};

/// Without a word for this long, a person should know.
const LATE: Duration = Duration::from_secs(10);

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Untold {
    since: Option<Mono>,
    /// The unit that is late.
    late: Option<UnitName>,
}

/// What is to be said, and when to look again.
pub(super) struct Seen {
    pub(super) again: Option<Mono>,
    /// Told once for each wait.
    pub(super) news: Option<String>,
}

impl Untold {
    /// `unit` is the first that has not been told since the connection to systemd stands.
    pub(super) fn observe(&mut self, now: Mono, unit: Option<&UnitName>) -> Seen {
        let Some(unit) = unit else {
            let over = self.late.take().map(|unit| format!("systemd has answered about {unit}"));
            self.since = None;
            return Seen { again: None, news: over };
        };
        let end = self.since.get_or_insert(now).after(LATE);
        if end > now {
            return Seen { again: Some(end), news: None };
        }
        let was_late = self.late.replace(unit.clone()).is_some();
        Seen { again: None, news: (!was_late).then(|| waits_for(unit)) }
    }

    /// What a person should look at.
    pub(super) fn warning(&self) -> Option<String> {
        self.late.as_ref().map(waits_for)
    }
}

fn waits_for(unit: &UnitName) -> String {
    format!("systemd does not answer about {unit}: nothing is started until it does (it is asked again and again)")
}
