//! What the server asks of the loop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reactor_api::status::ReloadResult;
use reactor_api::{PromotedStatus, Status};
use reactor_core::action::HelperAnswer;
use reactor_core::ids::ResourceName;
use reactor_core::model::objects::Resource;
use reactor_core::operator::{OperatorAnswer, OperatorVerb};
use reactor_core::settings::Detail;
use tokio::sync::oneshot;

use super::hub::Subscription;

/// Bound of the channel to the loop. When it is full, clients wait (with their deadline); the loop never does.
pub const REQUEST_QUEUE: usize = 64;

/// Who asks, as the kernel says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its process; `None` if it is in a container that we cannot look into.
    pub pid: Option<i32>,
}

impl Peer {
    /// Whether it may change things: root may, and the user that the daemon runs as.
    pub fn is_privileged(self, own_uid: u32) -> bool {
        self.uid == 0 || self.uid == own_uid
    }
}

/// One request. Whoever takes it must answer into `reply` or drop it, which the client sees as "daemon is stopping".
#[derive(Debug)]
pub enum ControlRequest {
    /// Say everything.
    Status {
        /// The answer.
        reply: oneshot::Sender<Picture>,
    },
    /// Say why a promoted resource is as it is.
    Why {
        /// The resource.
        resource: ResourceName,
        /// The answer, with its history; `None` = no promoter has it.
        reply: oneshot::Sender<Option<Box<PromotedStatus>>>,
    },
    /// Hold, release or clear a promoted resource. Only from a privileged peer.
    Operator {
        /// Who asks.
        peer: Peer,
        /// The resource.
        resource: ResourceName,
        /// What.
        verb: OperatorVerb,
        /// The answer.
        reply: oneshot::Sender<OperatorAnswer>,
    },
    /// What an earlier drbd-reactor left. Removing it only for a privileged peer.
    Leftovers {
        /// Who asks, for the log.
        peer: Peer,
        /// Whether to remove it.
        remove: bool,
        /// Whose files go although they run: units, resources or paths.
        even: BTreeSet<String>,
        /// The answer.
        reply: oneshot::Sender<LeftoversReply>,
    },
    /// Read the configuration again. Only from a privileged peer.
    Reload {
        /// Who asks, for the log.
        peer: Peer,
        /// The answer, after the new configuration runs or was refused.
        reply: oneshot::Sender<ReloadReply>,
    },
    /// DRBD asks for a helper. Only from a privileged peer.
    Helper {
        /// What DRBD asks.
        request: HelperRequest,
        /// The answer.
        reply: oneshot::Sender<HelperAnswer>,
    },
    /// Hand out changes: answer with [`ChangeHub::subscribe`](super::ChangeHub::subscribe).
    Changes {
        /// Which.
        detail: Detail,
        /// How many of the past.
        last: usize,
        /// Whether those of the future are wanted too.
        follow: bool,
        /// The answer.
        reply: oneshot::Sender<Subscription>,
    },
}

/// Everything that the daemon knows, at one moment. It costs the loop a reference count for each resource; the text is made
/// elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// All but the two lists below, which are empty in it.
    pub status: Box<Status>,
    /// Every promoted resource.
    pub promoted: Vec<PromotedStatus>,
    /// Every resource.
    pub resources: Vec<Arc<Resource>>,
}

/// What DRBD asks of a helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperRequest {
    /// Name of the helper.
    pub helper: String,
    /// The resource, or `minor-N`.
    pub object: String,
    /// DRBD's environment for it; only names that begin with `DRBD_`.
    pub env: Vec<(String, String)>,
    /// How long the caller waits.
    pub timeout: Duration,
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReply {
    /// In a word.
    pub result: ReloadResult,
    /// What is wrong with the files: one line each.
    pub findings: Vec<String>,
    /// The same for people: with the lines of the files and a caret.
    pub report: String,
}

/// What an earlier drbd-reactor left in the unit folder.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LeftoversReply {
    /// What was found, each as a path. When it was asked for: what was removed.
    pub files: Vec<String>,
    /// What was not removed because its services run: path and reason, one line each.
    pub kept: Vec<String>,
    /// What could not be looked at or removed, one line each.
    pub errors: Vec<String>,
}
