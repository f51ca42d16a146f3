//! What the server asks of the loop.

use std::fmt::Debug;
use std::sync::Arc;

use reactor_api::call::CallError;
use reactor_api::verb::{AsStream, ByLoop, FromSnapshot, Verb};
use reactor_api::{PromotedStatus, for_each_verb, verbs};
use reactor_core::model::objects::Resource;
use reactor_core::plugin::promoter::forecast::WhatIf;
use reactor_storage::incidents::Incident;
use tokio::sync::oneshot;

use super::hub::Subscription;
use super::watch::Watched;
use crate::history::Ledgers;
use crate::storage::blocks::Blocks;
use crate::survey::Places;

/// Bound of the channel to the loop. When it is full, clients wait (with their deadline); the loop never does.
pub const REQUEST_QUEUE: usize = 64;

/// Who asks, as the kernel says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// The group of its process, its supplementary groups aside.
    pub gid: u32,
    /// The name of its user, once somebody has asked for it.
    pub user: Option<Arc<str>>,
    /// Its process; `None` if it is in a container that we cannot look into.
    pub pid: Option<i32>,
}

impl Peer {
    /// Whether it may do everything: root may, and the user that the daemon runs as.
    pub fn is_privileged(&self, own_uid: u32) -> bool {
        self.uid == 0 || self.uid == own_uid
    }

    /// Its user, for people.
    pub fn who(&self) -> String {
        match &self.user {
            _ if self.uid == 0 => "root".to_owned(),
            Some(user) => user.to_string(),
            None => format!("uid {}", self.uid),
        }
    }
}

/// What the loop hands the server for a verb of this kind.
pub trait Answering<V: Verb> {
    /// What it is.
    type Answer: Debug + Send + 'static;
}

/// The reply itself.
impl<V: Verb> Answering<V> for ByLoop {
    type Answer = Result<V::Reply, CallError>;
}

impl Answering<verbs::Status> for FromSnapshot {
    type Answer = Snapshot;
}

impl Answering<verbs::Plan> for FromSnapshot {
    type Answer = Result<Box<Foresight>, CallError>;
}

/// The name of the node, and where to look.
impl Answering<verbs::Survey> for FromSnapshot {
    type Answer = (String, Places);
}

/// What [`ChangeHub::subscribe`](super::ChangeHub::subscribe) says.
impl Answering<verbs::Changes> for AsStream {
    type Answer = Subscription;
}

/// One picture, and the news that there may be another. The server asks again for each.
impl Answering<verbs::Watch> for AsStream {
    type Answer = Watched;
}

/// Where the history is read, and what comes. `Err` = there is none.
impl Answering<verbs::History> for AsStream {
    type Answer = Result<Ledgers, CallError>;
}

/// The same.
impl Answering<verbs::Spans> for AsStream {
    type Answer = Result<Ledgers, CallError>;
}

/// Where storage events are read, and the devices that names mean.
impl Answering<verbs::QueryEvents> for AsStream {
    type Answer = Result<StorageEvents, CallError>;
}

/// The same, and what comes.
impl Answering<verbs::MonitorEvents> for AsStream {
    type Answer = Result<StorageEvents, CallError>;
}

/// The open ones, and where the others are read.
impl Answering<verbs::Incidents> for FromSnapshot {
    type Answer = KnownIncidents;
}

/// Where they are known.
impl Answering<verbs::BlockInfo> for FromSnapshot {
    type Answer = Blocks;
}

/// What a question about storage events is answered of.
#[derive(Clone, Debug)]
pub struct StorageEvents {
    /// Where they are read, and what comes.
    pub ledgers: Ledgers,
    /// The devices that names mean.
    pub blocks: Blocks,
}

/// What a question about storage incidents is answered of. It costs the loop a reference count for each that is open.
#[derive(Clone, Debug)]
pub struct KnownIncidents {
    /// Those that are open.
    pub open: Vec<Arc<Incident>>,
    /// Where those that are over are read. `Err` = there is no history.
    pub ledgers: Result<Ledgers, CallError>,
}

/// A verb as the loop sees it.
pub trait Served: Verb {
    /// What the loop hands the server.
    type Answer: Debug + Send + 'static;
}

impl<V: Verb> Served for V
where
    V::Answered: Answering<V>,
{
    type Answer = <V::Answered as Answering<V>>::Answer;
}

/// Where the answer goes.
pub type Reply<V> = oneshot::Sender<<V as Served>::Answer>;

/// A call that waits for the loop. Whoever takes it must answer into `reply` or drop it, which the client sees as "daemon is stopping".
/// Whether `peer` may make it was looked at before.
#[derive(Debug)]
pub struct Asked<V: Served> {
    /// Who asks.
    pub peer: Peer,
    /// What.
    pub call: V,
    /// Where the answer goes.
    pub reply: Reply<V>,
}

macro_rules! requests {
    ($($verb:ident),+) => {
        /// One request.
        #[derive(Debug)]
        pub enum ControlRequest {
            $(
                #[doc = concat!("`", stringify!($verb), "`.")]
                $verb(Asked<verbs::$verb>),
            )+
        }

        $(
            impl From<Asked<verbs::$verb>> for ControlRequest {
                fn from(asked: Asked<verbs::$verb>) -> Self {
                    Self::$verb(asked)
                }
            }
        )+
    };
}
for_each_verb!(requests);

/// A copy of one promoted resource and of all that it is decided by, at one moment. It costs the loop that copy, however many resources there are;
/// what would come of it is worked out elsewhere.
#[derive(Debug)]
pub struct Foresight {
    /// The copy.
    pub what_if: WhatIf,
    /// That moment, RFC 3339 in UTC.
    pub now: String,
}

/// Everything that the daemon knows, at one moment. It costs the loop a reference count for each resource; the text is made
/// elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All but the two lists below, which are empty in it.
    pub status: Box<reactor_api::Status>,
    /// Every promoted resource.
    pub promoted: Vec<PromotedStatus>,
    /// Every resource.
    pub resources: Vec<Arc<Resource>>,
}
