//! Who may do what: readers, operators, root. Names and groups are looked up beside the loop, each with a deadline, and remembered for a moment.
//!
//! Whether somebody is an operator is a question to the users of this machine and not to the process that calls: the kernel says for sure which user and
//! which one group a peer has, and nothing that could be forged is looked at for the rest. So who was made a member need not log in again, and who is
//! no member any more is none within seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::request::Peer;
use crate::chain::chain;
use crate::people::{Group, People};

/// How long what was looked up is believed.
const BELIEVED: Duration = Duration::from_secs(10);
/// Users that are remembered. When it is full, all are forgotten.
const MAX_USERS: usize = 256;
/// Look-ups at once.
const LOOKUPS: usize = 4;
/// How long a call waits to learn whether its caller is an operator.
const WITHIN: Duration = Duration::from_secs(8);
/// How long a call of root's waits for the name of its user: it is only for the log.
const NAME_WITHIN: Duration = Duration::from_millis(200);

/// What the group of the operators is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Operators {
    /// `operator-group` is not set.
    #[default]
    Nobody,
    /// It names a group that is not known, or not yet.
    Unknown { name: String, why: String },
    /// It is this one.
    Group(Group),
}

/// Who may do what.
#[derive(Debug, Default)]
pub(super) struct Roles {
    people: People,
    operators: Mutex<Operators>,
    known: Mutex<BTreeMap<u32, Known>>,
    lookups: Lookups,
}

#[derive(Debug)]
struct Lookups(Semaphore);

impl Default for Lookups {
    fn default() -> Self {
        Self(Semaphore::new(LOOKUPS))
    }
}

/// What was looked up of a user.
#[derive(Clone, Debug)]
struct Known {
    name: Option<Arc<str>>,
    /// Whether it is a member of the group of the operators; `None` = not asked.
    member: Option<bool>,
    until: Instant,
}

impl Roles {
    /// With users and groups from elsewhere, for tests.
    #[cfg(test)]
    pub(super) fn of(people: People) -> Self {
        Self { people, ..Self::default() }
    }

    fn operators(&self) -> MutexGuard<'_, Operators> {
        self.operators.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u32, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings name this group, or none. A group that was known before stays so while it is looked up again.
    pub(super) fn name(&self, group: Option<&str>) {
        let mut operators = self.operators();
        let same = matches!(&*operators, Operators::Group(known) if Some(known.name.as_str()) == group);
        if !same {
            *operators = match group {
                None => Operators::Nobody,
                Some(name) => {
                    Operators::Unknown { name: name.to_owned(), why: "it is still being looked up".to_owned() }
                }
            };
        }
        self.known().clear();
    }

    /// Looks the group up. `Err` = it is not known, and why.
    pub(super) async fn look_up(&self, name: &str) -> Result<u32, String> {
        let before = match &*self.operators() {
            Operators::Group(group) if group.name == name => Some(group.gid),
            Operators::Group(_) | Operators::Unknown { .. } | Operators::Nobody => None,
        };
        let found = match (self.people.group(name).await, before) {
            // If nobody answers, nobody says that it has changed.
            (Ok(Some(gid)), _) | (Err(_), Some(gid)) => Ok(gid),
            (Ok(None), _) => Err("there is no such group".to_owned()),
            (Err(error), None) => Err(chain(&error).to_string()),
        };
        *self.operators() = match &found {
            Ok(gid) => Operators::Group(Group { name: name.to_owned(), gid: *gid }),
            Err(why) => Operators::Unknown { name: name.to_owned(), why: why.clone() },
        };
        self.known().clear();
        found
    }

    /// Whether a peer is an operator; `Err` = whom such calls are for, in words.
    pub(super) async fn check_operator(&self, peer: &Peer) -> Result<(), String> {
        let group = match &*self.operators() {
            Operators::Nobody => return Err("root ([daemon] operator-group names no group of operators)".to_owned()),
            Operators::Unknown { name, why } => {
                return Err(format!(
                    "root, and for the members of the group {name} of operator-group, of which nothing is known: {why}"
                ));
            }
            Operators::Group(group) => group.clone(),
        };
        let whom = format!("root, and for members of the group {} (operator-group in [daemon])", group.name);
        if peer.gid == group.gid {
            return Ok(());
        }
        match timeout(WITHIN, self.is_member(peer.uid, &group)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(whom),
            Ok(Err(why)) => Err(format!("{whom}; who is a member can't be found out: {why}")),
            Err(_) => {
                Err(format!("{whom}; who is a member can't be found out: no answer within {} s", WITHIN.as_secs()))
            }
        }
    }

    async fn is_member(&self, uid: u32, group: &Group) -> Result<bool, String> {
        if let Some(member) = self.believed(uid).and_then(|known| known.member) {
            return Ok(member);
        }
        let _place = self.lookups.0.acquire().await.map_err(|error| error.to_string())?;
        // Another of its calls may have asked meanwhile.
        if let Some(member) = self.believed(uid).and_then(|known| known.member) {
            return Ok(member);
        }
        let name = self.people.user(uid).await.map_err(|error| chain(&error).to_string())?;
        let member = match &name {
            Some(name) => self.people.is_member(name, group).await.map_err(|error| chain(&error).to_string())?,
            None => false,
        };
        // It may be another group by now.
        let still = matches!(&*self.operators(), Operators::Group(now) if now == group);
        self.believe(uid, name.map(Arc::from), still.then_some(member));
        Ok(member)
    }

    /// The name of a peer's user, if it is found in a moment.
    pub(super) async fn user(&self, uid: u32) -> Option<Arc<str>> {
        if let Some(known) = self.believed(uid) {
            return known.name;
        }
        let look = async {
            let _place = self.lookups.0.acquire().await.ok()?;
            let name = self.people.user(uid).await.ok()?.map(Arc::from);
            self.believe(uid, name.clone(), None);
            name
        };
        timeout(NAME_WITHIN, look).await.ok().flatten()
    }

    fn believed(&self, uid: u32) -> Option<Known> {
        self.known().get(&uid).filter(|known| known.until > Instant::now()).cloned()
    }

    fn believe(&self, uid: u32, name: Option<Arc<str>>, member: Option<bool>) {
        let mut known = self.known();
        if known.len() >= MAX_USERS && !known.contains_key(&uid) {
            known.clear();
        }
        known.insert(uid, Known { name, member, until: Instant::now() + BELIEVED });
    }
}
