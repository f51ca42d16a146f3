//! One incident.

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::catalogue::{EventType, Layer};
use crate::event::{Event, Severity};

/// What clears something that nobody has put right: it began anew.
const BOOT: &str = "BOOT";

/// Troubles that one incident keeps: of each type on each device one.
const MAX_TROUBLES: usize = 64;

/// Events of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Incident {
    /// That of its first event.
    pub id: String,
    /// When it opened, in microseconds on the caller's axis.
    pub opened_us: u64,
    /// When the last trouble came.
    pub last_us: u64,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<u64>,
    /// How it ended; `None` = it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// The worst of its events.
    pub severity: Severity,
    /// What happened, in the order in which it did: one for each type of event and device.
    pub troubles: Vec<Trouble>,
    /// Which of them is the cause, as far as can be told: the lowest in the stack, of these the first.
    pub root: usize,
    /// Troubles that are not kept, because there were more than 64.
    #[serde(default)]
    pub dropped: u64,
}

/// How an incident ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum End {
    /// All that lasted was put right.
    Cleared,
    /// Nothing of it lasts, and nothing has happened for long.
    Quiet,
    /// A person said so.
    Closed {
        /// Who.
        who: String,
    },
    /// It turned out to be part of another one.
    PartOf {
        /// Of that.
        incident: String,
    },
    /// Too many were open, and this one had been silent for longest.
    MakesRoom,
}

impl End {
    /// How it ended, in words.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Cleared => "all that was wrong has been put right",
            Self::Quiet => "nothing has happened for long, and nothing of it lasts",
            Self::Closed { .. } => "a person closed it",
            Self::PartOf { .. } => "it has the same cause as another one",
            Self::MakesRoom => "too many are open, and this one was silent for longest",
        }
    }
}

/// One type of event on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trouble {
    /// The first event.
    pub event: Event,
    /// Where in the stack it happened.
    pub layer: Layer,
    /// How often, over all its events.
    pub count: u64,
    /// The count of the event that is still growing, and its id.
    growing: (String, u64),
    /// When it was first so.
    pub first_us: u64,
    /// When it was last so.
    pub last_us: u64,
    /// Whether it is still so.
    pub standing: Standing,
}

/// Whether something is still wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Standing {
    /// It happened; it is nothing that lasts.
    Passed,
    /// It lasts until an event says that it is over.
    Lasts,
    /// It lasted, and is over.
    Cleared {
        /// Since when.
        at_us: u64,
        /// The type of the event that said so.
        by: String,
    },
}

impl Incident {
    /// One that this event opens. It is not among its troubles yet.
    pub(super) fn new(event: &Event, now_us: u64) -> Self {
        Self {
            id: event.id.clone(),
            opened_us: now_us,
            last_us: now_us,
            ended_us: None,
            end: None,
            severity: event.severity,
            troubles: Vec::new(),
            root: 0,
            dropped: 0,
        }
    }

    /// The cause, as far as can be told.
    pub fn cause(&self) -> Option<&Trouble> {
        self.troubles.get(self.root)
    }

    /// The worst of its troubles: of several that are as bad, the lowest in the stack, and of these the first.
    pub fn worst(&self) -> Option<&Trouble> {
        let severity = self.troubles.iter().map(|trouble| trouble.event.severity).max()?;
        let worst = self.troubles.iter().filter(|trouble| trouble.event.severity == severity);
        worst.min_by_key(|trouble| trouble.layer)
    }

    /// Whether it turned out to be part of another one.
    pub fn is_part(&self) -> bool {
        matches!(self.end, Some(End::PartOf { .. }))
    }

    /// Whether something of it still stands wrong.
    pub fn lasts(&self) -> bool {
        self.troubles.iter().any(|trouble| trouble.standing == Standing::Lasts)
    }

    /// Whether an event of one of its devices, or of one above or below, belongs to it: it comes soon after, or what is below it is still wrong.
    pub(super) fn takes(&self, event: &Event, of: Option<&EventType>, settings: &Settings, now_us: u64) -> bool {
        let layer = layer(of);
        now_us.saturating_sub(self.last_us) <= settings.together_us
            || self
                .troubles
                .iter()
                .any(|trouble| trouble.is(event) || trouble.standing == Standing::Lasts && trouble.layer <= layer)
    }

    pub(super) fn add(&mut self, event: &Event, of: Option<&EventType>, now_us: u64) {
        self.last_us = now_us;
        self.severity = self.severity.max(event.severity);
        let standing = if of.is_some_and(|of| of.lasting) { Standing::Lasts } else { Standing::Passed };
        if let Some(trouble) = self.troubles.iter_mut().find(|trouble| trouble.is(event)) {
            trouble.again(event, standing, now_us);
        } else if self.troubles.len() < MAX_TROUBLES {
            let growing = (event.id.clone(), event.count);
            self.troubles.push(Trouble {
                event: event.clone(),
                layer: layer(of),
                count: event.count,
                growing,
                first_us: now_us,
                last_us: now_us,
                standing,
            });
            self.find_root();
        } else {
            self.dropped += 1;
        }
    }

    fn find_root(&mut self) {
        let lowest = self.troubles.iter().enumerate().min_by_key(|(at, trouble)| (trouble.layer, *at));
        self.root = lowest.map_or(0, |(at, _)| at);
    }

    /// Takes over what another one has; what is left of that is told as over.
    pub(super) fn swallow(&mut self, mut other: Self, now_us: u64) -> Self {
        self.severity = self.severity.max(other.severity);
        self.last_us = self.last_us.max(other.last_us);
        self.dropped += other.dropped;
        for trouble in &other.troubles {
            if let Some(known) = self.troubles.iter_mut().find(|known| known.is(&trouble.event)) {
                known.join(trouble);
            } else if self.troubles.len() < MAX_TROUBLES {
                self.troubles.push(trouble.clone());
            } else {
                self.dropped += 1;
            }
        }
        self.troubles.sort_by_key(|trouble| trouble.event.at);
        self.find_root();
        other.end = Some(End::PartOf { incident: self.id.clone() });
        other.ended_us = Some(now_us);
        other
    }

    /// Whether the event says that something of this incident is right again.
    pub(super) fn is_cleared_by(&self, event: &Event, clears: &[&str]) -> bool {
        self.troubles.iter().any(|trouble| trouble.is_cleared_by(event, clears))
    }

    /// The event says that something is right again.
    pub(super) fn clear(&mut self, event: &Event, clears: &[&str], now_us: u64) {
        for trouble in self.troubles.iter_mut().filter(|trouble| trouble.is_cleared_by(event, clears)) {
            trouble.standing = Standing::Cleared { at_us: now_us, by: event.kind.clone() };
        }
    }

    /// The machine has booted since.
    pub(super) fn boot(&mut self, now_us: u64) {
        for trouble in &mut self.troubles {
            let is_begun_anew = match trouble.layer {
                Layer::Transport | Layer::Mapping | Layer::Replication => true,
                // What is broken in a disk or on it stays so.
                Layer::Disk | Layer::Block | Layer::Buffer | Layer::FileSystem | Layer::Service => false,
            };
            if is_begun_anew && trouble.standing == Standing::Lasts {
                trouble.standing = Standing::Cleared { at_us: now_us, by: BOOT.to_owned() };
            }
        }
    }

    /// Nothing of it happened later than then, whatever the clock said.
    pub(super) fn not_after(&mut self, latest_us: u64) {
        let before = |at: &mut u64| *at = (*at).min(latest_us);
        before(&mut self.opened_us);
        before(&mut self.last_us);
        for trouble in &mut self.troubles {
            before(&mut trouble.first_us);
            before(&mut trouble.last_us);
            if let Standing::Cleared { at_us, .. } = &mut trouble.standing {
                before(at_us);
            }
        }
    }

    /// Whether both have trouble of one type with one device.
    pub(super) fn has_same(&self, other: &Self) -> bool {
        self.troubles.iter().any(|trouble| other.troubles.iter().any(|theirs| theirs.is(&trouble.event)))
    }

    /// When it is over if nothing more happens, and how it ends then.
    pub(super) fn due(&self, settings: &Settings) -> Option<(u64, End)> {
        let cleared = self.troubles.iter().filter_map(|trouble| match trouble.standing {
            Standing::Cleared { at_us, .. } => Some(at_us),
            Standing::Passed | Standing::Lasts => None,
        });
        match cleared.max() {
            _ if self.lasts() => None,
            Some(at) => Some((at.max(self.last_us) + settings.calm_us, End::Cleared)),
            None => Some((self.last_us + settings.quiet_us, End::Quiet)),
        }
    }
}

/// What is not in the catalogue is a user's rule: it says nothing of where in the stack it is.
fn layer(of: Option<&EventType>) -> Layer {
    of.map_or(Layer::Block, |of| of.layer)
}

impl Trouble {
    /// Whether both are about one device, or about none.
    pub(super) fn is_about_device_of(&self, other: &Self) -> bool {
        match (&self.event.device, &other.event.device) {
            (Some(one), Some(other)) => one.is_same(other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Whether this event is the same trouble.
    fn is(&self, event: &Event) -> bool {
        let same = match (&self.event.device, &event.device) {
            (Some(one), Some(other)) => one.is_same(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        self.event.kind == event.kind && same
    }

    /// Whether the event is about the device of this trouble, which it may name as one of several. An event about an array alone is about each member
    /// of it that failed, one about a path and its map only about that path.
    fn is_on(&self, event: &Event) -> bool {
        let Some(own) = &self.event.device else { return event.device.is_none() };
        let mut named = event.devices();
        match (named.next(), named.next()) {
            (Some(only), None) => self.event.devices().any(|device| device.is_same(only)),
            _ => event.devices().any(|device| device.is_same(own)),
        }
    }

    /// Whether it lasts, and the event says that it does not any more.
    fn is_cleared_by(&self, event: &Event, clears: &[&str]) -> bool {
        self.standing == Standing::Lasts && clears.contains(&self.event.kind.as_str()) && self.is_on(event)
    }

    /// The same trouble, as another incident has it: the later one knows how it stands.
    fn join(&mut self, other: &Self) {
        if self.growing.0 == other.growing.0 {
            // One event that both have heard of.
            self.count = self.count.max(other.count);
            self.growing.1 = self.growing.1.max(other.growing.1);
        } else {
            self.count += other.count;
        }
        self.first_us = self.first_us.min(other.first_us);
        if other.last_us >= self.last_us {
            self.last_us = other.last_us;
            self.event.last = other.event.last;
            self.standing = other.standing.clone();
        }
    }

    fn again(&mut self, event: &Event, standing: Standing, now_us: u64) {
        let more = if self.growing.0 == event.id { event.count.saturating_sub(self.growing.1) } else { event.count };
        self.count += more;
        self.growing = (event.id.clone(), event.count);
        self.last_us = now_us;
        self.event.severity = self.event.severity.max(event.severity);
        self.event.last = event.last;
        self.standing = standing;
    }
}
