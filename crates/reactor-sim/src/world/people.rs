//! People who are told, in half of the worlds with storage events: two `[[notify]]` tables, receivers that refuse, hang and are slow, and a disk that is late.
//!
//! ```text
//!  Core ─ Notify ─▶ what waits, and the same on the disk ─ an attempt ─▶ the receiver: what people know (`invariants/people.rs`)
//!       ◀─ Standing ─ told.json ◀─ KeepStanding ─┘   └─ failed: again after a pause that doubles
//! ```
//!
//! The core is the real one. Queues and disks are a model with the promises of `reactor_sys::deliver` and `standing`, which have tests of their own: a
//! message is on the disk before the file says that it was told. All numbers come from a generator of their own.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::Input;
use reactor_core::notice::{Message, Topic};
use reactor_core::settings::notify::{Filter, Receiver};
use reactor_core::settings::umh::RateLimit;
use reactor_core::settings::{NotifySettings, PluginEntry, PluginSettings};
use reactor_storage::event::Severity;

use crate::drbd9::NodeIx;
use crate::rng::Rng;

use super::bugs::Bug;
use super::events::ForDaemon;
use super::invariants::{Known, Seen};
use super::plan::NODES;
use super::run::World;

/// The tables: one is told each thing by itself, the other what comes together, and not too often.
pub(super) const RECEIVERS: [&str; 2] = ["each", "usual"];
/// `together` of the other one.
pub(super) const TOGETHER: Duration = Duration::from_secs(10);
/// `rate-limit` of it.
const LIMIT: RateLimit = RateLimit { count: 3, per: Duration::from_secs(60) };

/// An attempt that nobody answers ends after this.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The pauses after attempts that failed.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// The tables of a world.
pub(super) fn tables() -> impl Iterator<Item = PluginEntry> {
    let named = |name: &str| NotifySettings { name: name.to_owned(), ..NotifySettings::new(Receiver::Journal) };
    let filter = Filter { severity: Severity::Info, topics: Topic::ALL.to_vec(), ..Filter::default() };
    let each = NotifySettings { filter, together: Duration::ZERO, ..named(RECEIVERS[0]) };
    let usual = NotifySettings { together: TOGETHER, rate_limit: Some(LIMIT), ..named(RECEIVERS[1]) };
    (1..).zip([each, usual]).map(|(line, settings)| PluginEntry {
        file: PathBuf::from("notify.toml"),
        line,
        settings: PluginSettings::Notify(Box::new(settings)),
    })
}

/// What a machine has of it that outlives its daemons, and what its people know.
#[derive(Debug)]
pub(super) struct People {
    rng: Rng,
    /// `told.json`, if there is one.
    file: Option<BTreeMap<String, Vec<String>>>,
    /// By receiver.
    pub(super) boxes: [Mailbox; 2],
}

/// What waits for one receiver, and the receiver.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// The oldest first.
    pub(super) waiting: VecDeque<Parcel>,
    count: u64,
    /// What it does with an attempt, and until when.
    does: Does,
    until: Mono,
    /// What has arrived.
    pub(super) known: Known,
}

/// One message.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    number: u64,
    pub(super) message: Message,
    is_on_disk: bool,
    /// Whether the daemon after knows of it is not known.
    pub(super) is_doubtful: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Does {
    #[default]
    Take,
    Refuse,
    Hang,
}

impl People {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), file: None, boxes: Default::default() }
    }

    fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.rng.below(most - least))
    }
}

/// What one daemon has of it.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// What the file is to say.
    told: BTreeMap<String, Vec<String>>,
    /// It does not say so yet.
    is_new: bool,
    /// When the file was read.
    pub(super) is_read: Option<Mono>,
    /// An attempt or a pause is under way.
    is_busy: [bool; 2],
    pauses: [Option<Duration>; 2],
    /// How DRBD is, by what the daemon was told.
    pub(super) seen: Seen,
}

/// What is due of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum ForPeople {
    /// The file has been read.
    Recall,
    /// The file is written.
    Keep,
    /// That message is on the disk.
    Write(usize, u64),
    /// Whatever waits is tried.
    Attempt(usize),
    /// An attempt has ended: whether it has arrived.
    Ended(usize, u64, bool),
    /// The file of what has arrived goes.
    Remove(usize, u64),
}

impl World {
    /// The daemon of a node starts.
    pub(super) fn start_people(&mut self, node: NodeIx) {
        if !self.plan.notify {
            return;
        }
        let people = &mut self.machines[node].people;
        // The disk is late now and then.
        let late = if people.rng.below(4) == 0 { people.ms(1_000, 30_000) } else { people.ms(1, 200) };
        if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
            daemon.telling = Some(Box::default());
        }
        self.people_after(node, late, ForPeople::Recall);
        for at in 0..RECEIVERS.len() {
            self.attempt_next(node, at);
        }
    }

    /// It is killed: what is not on the disk is lost.
    pub(super) fn end_people(&mut self, node: NodeIx) {
        let Some(telling) = self.telling(node) else { return };
        let is_new = telling.is_new;
        let is_bug = self.bug == Some(Bug::NotifyQueueForgotten);
        let people = &mut self.machines[node].people;
        for mailbox in &mut people.boxes {
            let is_lost = !mailbox.waiting.iter().all(|parcel| parcel.is_on_disk);
            mailbox.waiting.retain(|parcel| parcel.is_on_disk && !is_bug);
            if is_new || is_lost {
                // The next daemon can't know what was told at that moment.
                mailbox.known.doubt();
                mailbox.waiting.iter_mut().for_each(|parcel| parcel.is_doubtful = true);
            }
        }
    }

    fn telling(&mut self, node: NodeIx) -> Option<&mut Telling> {
        self.machines[node].daemon.as_deref_mut()?.telling.as_deref_mut()
    }

    fn people_after(&mut self, node: NodeIx, after: Duration, what: ForPeople) {
        self.daemon_after(node, after, ForDaemon::People(what));
    }

    /// The core tells people something.
    pub(super) fn send_message(&mut self, node: NodeIx, message: &Message) {
        self.check_told(node, message);
        let Some(at) = RECEIVERS.iter().position(|name| *name == message.receiver) else { return };
        let people = &mut self.machines[node].people;
        let late = people.ms(1, 30);
        let mailbox = &mut people.boxes[at];
        mailbox.count += 1;
        let number = mailbox.count;
        mailbox.waiting.push_back(Parcel { number, message: message.clone(), is_on_disk: false, is_doubtful: false });
        self.people_after(node, late, ForPeople::Write(at, number));
        self.attempt_next(node, at);
    }

    /// The core says what people were told and stands.
    pub(super) fn keep_standing(&mut self, node: NodeIx, receiver: &str, standing: &[String]) {
        let only_grows = self.bug == Some(Bug::NotifyToldForEver);
        let late = self.machines[node].people.ms(31, 60);
        let Some(telling) = self.telling(node) else { return };
        if !standing.is_empty() {
            telling.told.insert(receiver.to_owned(), standing.to_vec());
        } else if !only_grows {
            telling.told.remove(receiver);
        }
        telling.is_new = true;
        self.people_after(node, late, ForPeople::Keep);
    }

    /// Something is due.
    pub(super) fn for_people(&mut self, node: NodeIx, what: ForPeople) {
        match what {
            ForPeople::Recall => self.recall_told(node),
            ForPeople::Keep => {
                let Some(telling) = self.telling(node).filter(|telling| telling.is_read.is_some()) else { return };
                telling.is_new = false;
                let told = telling.told.clone();
                self.machines[node].people.file = Some(told);
            }
            ForPeople::Write(at, number) => {
                let waiting = &mut self.machines[node].people.boxes[at].waiting;
                if let Some(parcel) = waiting.iter_mut().find(|parcel| parcel.number == number) {
                    parcel.is_on_disk = true;
                }
            }
            ForPeople::Attempt(at) => self.attempt(node, at),
            ForPeople::Ended(at, number, is_good) => self.attempt_ended(node, at, number, is_good),
            ForPeople::Remove(at, number) => {
                self.machines[node].people.boxes[at].waiting.retain(|parcel| parcel.number != number);
                if let Some(telling) = self.telling(node) {
                    telling.is_busy[at] = false;
                }
                self.attempt_next(node, at);
            }
        }
    }

    fn recall_told(&mut self, node: NodeIx) {
        let (now, file) = (self.now, self.machines[node].people.file.clone());
        let Some(telling) = self.telling(node) else { return };
        if let Some(file) = file {
            // What was said before the loop knew of these is not all: it says anew what is.
            telling.is_new = false;
            for (receiver, standing) in file.clone() {
                telling.told.entry(receiver).or_insert(standing);
            }
            self.tell_story(node, &format!("  was told before: {file:?}"));
            self.tell(node, &Input::Standing(file.into_iter().collect()));
        }
        let Some(telling) = self.telling(node) else { return };
        telling.is_read = Some(now);
        if telling.is_new {
            self.people_after(node, Duration::from_millis(31), ForPeople::Keep);
        }
    }

    // ---- attempts ----

    fn attempt_next(&mut self, node: NodeIx, at: usize) {
        let is_empty = self.machines[node].people.boxes[at].waiting.is_empty();
        let Some(telling) = self.telling(node).filter(|telling| !telling.is_busy[at] && !is_empty) else { return };
        telling.is_busy[at] = true;
        let pause = telling.pauses[at].unwrap_or(Duration::from_millis(1));
        self.people_after(node, pause, ForPeople::Attempt(at));
    }

    fn attempt(&mut self, node: NodeIx, at: usize) {
        let (now, is_peace) = (self.now, self.peace.is_some());
        let people = &mut self.machines[node].people;
        if people.boxes[at].until <= now || is_peace {
            let does = if is_peace { 0 } else { people.rng.below(6) };
            let lasts = people.ms(5_000, 400_000);
            let mailbox = &mut people.boxes[at];
            mailbox.until = now.after(lasts);
            mailbox.does = match does {
                4 => Does::Refuse,
                5 => Does::Hang,
                _ => Does::Take,
            };
            let (does, name) = (mailbox.does, RECEIVERS[at]);
            self.tell_story(node, &format!("  {name}: from now on {does:?}"));
        }
        let people = &mut self.machines[node].people;
        let takes = people.ms(1, 3_000);
        let mailbox = &people.boxes[at];
        let Some(number) = mailbox.waiting.front().map(|parcel| parcel.number) else { return };
        let after = if mailbox.does == Does::Hang { TIMEOUT } else { takes };
        let is_good = mailbox.does == Does::Take;
        self.people_after(node, after, ForPeople::Ended(at, number, is_good));
    }

    fn attempt_ended(&mut self, node: NodeIx, at: usize, number: u64, is_good: bool) {
        let names = self.resource_names();
        let people = &mut self.machines[node].people;
        let soon = people.ms(1, 20);
        let mailbox = &mut people.boxes[at];
        if is_good {
            if let Some(first) = mailbox.waiting.front().filter(|first| first.number == number && !first.is_doubtful) {
                mailbox.known.learn(&names, &first.message);
            }
        } else if self.bug == Some(Bug::NotifyOutageLoses) {
            mailbox.waiting.pop_front();
        }
        let Some(telling) = self.telling(node) else { return };
        if is_good {
            telling.pauses[at] = None;
            return self.people_after(node, soon, ForPeople::Remove(at, number));
        }
        let pause = telling.pauses[at].map_or(PAUSES[0], |pause| (pause * 2).min(PAUSES[1]));
        telling.pauses[at] = Some(pause);
        telling.is_busy[at] = false;
        self.attempt_next(node, at);
    }
}

/// Nodes and receivers by name, for what did not hold.
pub(super) fn whom(node: NodeIx, at: usize) -> String {
    format!("{}: {}", NODES[node], RECEIVERS[at])
}
