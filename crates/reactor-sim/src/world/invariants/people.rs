//! What people are told of DRBD: what stands wrong, what is right again, and each change once; whoever was killed, late or away.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::drbd::types::ConnectionState;
use reactor_core::ids::Mono;
use reactor_core::model::objects::Resource;
use reactor_core::notice::{Message, Notice};

use crate::drbd9::NodeIx;

use super::super::people::{RECEIVERS, whom};
use super::super::plan::NODES;
use super::super::run::World;

const WRONG: &str = "what stands wrong was told";
const RIGHT: &str = "what is right again was told";
const ONCE: &str = "a change is told once";
const ARRIVED: &str = "in peace people know how it is";

/// What is found bad is told after a minute, and what comes and goes when it has been calm for one: see docs/notify.md.
const GRACE: Duration = Duration::from_secs(60);
/// The table that tells what comes together waits for that and for its rate limit, in the worst case once for what was before.
const GATHERS: Duration = Duration::from_secs(10 + 60 + 60);
/// Bursts, ticks, and a daemon that stood still for a moment.
const SLACK: Duration = Duration::from_secs(5);
/// In place of a word: what they were told can't be known.
const DOUBT: &str = "?";
/// Notices of a full message: others were left out.
const FULL: usize = 50;

/// Something of a resource: the connection to a peer, or quorum.
type Part = (usize, Option<NodeIx>);

/// What people know of DRBD by what they were told.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Known(BTreeMap<Part, String>);

/// Since when each part is as it is by what a daemon was told, and whether that is wrong.
pub(in super::super) type Seen = BTreeMap<Part, (Mono, bool)>;

impl Known {
    /// They are told this.
    pub(in super::super) fn learn(&mut self, names: &[String], message: &Message) {
        for notice in &message.notices {
            self.notice(names, notice);
        }
        if message.notices.len() >= FULL {
            // Nobody knows what was left out.
            self.doubt();
        }
    }

    /// Nobody can say any more what they were told.
    pub(in super::super) fn doubt(&mut self) {
        let peers = (0..NODES.len()).map(Some).chain([None]);
        let parts = peers.flat_map(|part| (0..2).map(move |res| (res, part)));
        self.0 = parts.map(|part| (part, DOUBT.to_owned())).collect();
    }

    fn notice(&mut self, names: &[String], notice: &Notice) {
        let Some(res) = names.iter().position(|name| notice.resources.first() == Some(name)) else { return };
        match notice.what.as_str() {
            "resource-down" => self.0.retain(|(of, _), _| *of != res),
            "removed" => {
                if let Some(peer) = peer(&notice.text) {
                    self.0.remove(&(res, Some(peer)));
                }
            }
            word => {
                if let Some((part, _)) = part(res, word, &notice.text) {
                    self.0.insert(part, word.to_owned());
                }
            }
        }
    }

    /// Whether they know how this is.
    fn is_so(&self, part: &Part, is_wrong: bool) -> bool {
        match self.0.get(part) {
            Some(word) => word == DOUBT || word.ends_with("-back") != is_wrong,
            None => !is_wrong,
        }
    }
}

/// The peer whose connection a text is about.
fn peer(text: &str) -> Option<NodeIx> {
    let rest = text.split("connection to ").nth(1)?;
    NODES.iter().position(|name| rest.split(' ').next() == Some(name))
}

/// What a word is about, and whether it says that it is wrong.
fn part(res: usize, word: &str, text: &str) -> Option<(Part, bool)> {
    match word {
        "connection-lost" | "standalone" => Some(((res, Some(peer(text)?)), true)),
        "connection-back" => Some(((res, Some(peer(text)?)), false)),
        "quorum-lost" => Some(((res, None), true)),
        "quorum-back" => Some(((res, None), false)),
        _ => None,
    }
}

/// How the parts of a resource are.
fn parts(res: usize, resource: &Resource) -> Vec<(Part, bool)> {
    let links = resource.connections.iter().filter_map(|(id, connection)| {
        let name = resource.conn_name(*id)?.to_string();
        let peer = NODES.iter().position(|node| *node == name)?;
        Some(((res, Some(peer)), connection.state.connection != ConnectionState::Connected))
    });
    let has = |is: bool| resource.devices.values().any(|device| device.state.quorum == Some(is));
    let quorum = (has(false) || has(true)).then(|| ((res, None), has(false)));
    links.chain(quorum).collect()
}

impl World {
    /// A burst is over, or the source has gone.
    pub(in super::super) fn watch_people(&mut self, node: NodeIx) {
        let (now, names) = (self.now, self.resource_names());
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let is_live = daemon.is_live();
        let Some(telling) = daemon.telling.as_deref_mut() else { return };
        if !is_live {
            return telling.seen.clear();
        }
        let picture = daemon.shadow.node();
        let found = names.iter().enumerate().filter_map(|(res, name)| Some((res, picture.resource(name)?)));
        let mut seen = Seen::new();
        for (part, is_wrong) in found.flat_map(|(res, resource)| parts(res, resource)) {
            let before = telling.seen.get(&part).filter(|(_, was_wrong)| *was_wrong == is_wrong);
            seen.insert(part, before.copied().unwrap_or((now, is_wrong)));
        }
        telling.seen = seen;
    }

    /// What a receiver knows when all has arrived that waits for it.
    fn will_know(&self, node: NodeIx, at: usize) -> Known {
        let names = self.resource_names();
        let mailbox = &self.machines[node].people.boxes[at];
        let mut known = mailbox.known.clone();
        for parcel in mailbox.waiting.iter().filter(|parcel| !parcel.is_doubtful) {
            known.learn(&names, &parcel.message);
        }
        known
    }

    /// Looked at again and again: what has stood for long is on its way to people.
    pub(in super::super) fn check_people(&mut self, node: NodeIx) {
        for at in 0..RECEIVERS.len() {
            let limit = GRACE + GRACE + SLACK + if at == 0 { Duration::ZERO } else { GATHERS };
            let Some(settled) = self.settled(node, limit).filter(|settled| !settled.is_empty()) else { return };
            let known = self.will_know(node, at);
            let wrong = settled.into_iter().find(|(part, is_wrong)| !known.is_so(part, *is_wrong));
            if let Some((part, is_wrong)) = wrong {
                let rule = if is_wrong { WRONG } else { RIGHT };
                let what =
                    format!("{}: {part:?} is wrong: {is_wrong}, they know {:?}", whom(node, at), known.0.get(&part));
                self.violated(rule, what);
            }
        }
    }

    /// What has stood as it is for so long, by a daemon that knows what was told before.
    fn settled(&self, node: NodeIx, limit: Duration) -> Option<Vec<(Part, bool)>> {
        let daemon = self.machines[node].daemon.as_deref().filter(|daemon| daemon.is_live() && !daemon.burst_open)?;
        let telling = daemon.telling.as_deref()?;
        let read = telling.is_read?;
        let is_old = |since: Mono| self.now.since(since.max(read)) > limit;
        let settled = telling.seen.iter().filter(|(_, (since, _))| is_old(*since));
        Some(settled.map(|(part, (_, is_wrong))| (*part, *is_wrong)).collect())
    }

    /// In the end it has arrived.
    pub(super) fn check_people_know(&mut self, node: NodeIx) {
        let limit = GRACE + GRACE + SLACK + GATHERS + Duration::from_secs(400);
        let Some(settled) = self.settled(node, limit) else { return };
        for at in 0..RECEIVERS.len() {
            let known = &self.machines[node].people.boxes[at].known;
            let wrong = settled.iter().find(|(part, is_wrong)| !known.is_so(part, *is_wrong));
            if let Some((part, is_wrong)) = wrong {
                let what = format!("{}: {part:?} is wrong: {is_wrong}, {:?}", whom(node, at), known.0.get(part));
                return self.violated(ARRIVED, what);
            }
        }
    }

    /// The core tells people something: nothing that they know.
    pub(in super::super) fn check_told(&mut self, node: NodeIx, message: &Message) {
        let Some(at) = RECEIVERS.iter().position(|name| *name == message.receiver) else { return };
        let names = self.resource_names();
        let telling = self.machines[node].daemon.as_deref().and_then(|daemon| daemon.telling.as_deref());
        // Before the file is read, a daemon can't know what was told, and what gathers at that moment may have the same end twice.
        let gathers = if at == 0 { Duration::ZERO } else { GATHERS };
        let read = telling.and_then(|telling| telling.is_read);
        let is_sure = read.is_some_and(|read| self.now.since(read) >= gathers);
        let mut known = self.will_know(node, at);
        for notice in &message.notices {
            let res = names.iter().position(|name| notice.resources.first() == Some(name));
            let said = res.and_then(|res| part(res, &notice.what, &notice.text));
            // What was seen to become so is new, and so is what a thing that comes and goes has come to.
            let is_new = notice.text.contains(" -> ") || notice.text.ends_with("quorum is lost");
            let comes_and_goes = notice.because.iter().any(|why| why.starts_with("it comes and goes"));
            let is_known = |(part, is_wrong): &(Part, bool)| match known.0.get(part) {
                Some(word) => *word == notice.what,
                // Of what they never heard they need not hear that it is over.
                None => !is_wrong,
            };
            if is_sure && !is_new && !comes_and_goes && said.as_ref().is_some_and(is_known) {
                return self.violated(ONCE, format!("{}: {} {}", whom(node, at), notice.what, notice.text));
            }
            known.notice(&names, notice);
        }
    }
}
