//! What operators ask of promoted resources and of this node: why, plan, hold, stop, leave to another node, release, clear, drain.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reactor_api::PromotedStatus;
use reactor_api::call::CallError;
use reactor_api::parameter::Described;
use reactor_api::promoted::HoldStatus;
use reactor_api::verbs::{
    Clear, CloseIncident, Drain, Hold, Outcome, Plan, Release, Stop, Undrain, Why, WhyReply, Yield,
};
use reactor_api::words::Resource;
use reactor_core::api::{self, Times};
use reactor_core::ids::{Mono, ResourceName};
use reactor_core::input::Input;
use reactor_core::operator::{OperatorAnswer, OperatorRequest, OperatorRequestId, OperatorVerb};
use reactor_core::plugin::promoter::report::ResourceReport;
use reactor_core::subject::Subject;
use reactor_sys::control::{Asked, Foresight, Peer, rfc3339};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::info;

use super::Daemon;
use super::requests::Answer;

/// How long an operator waits for the disk.
const SAVE: Duration = Duration::from_secs(3);

/// It holds for now, and the operator has to know that it may not last.
fn not_saved(answer: OperatorAnswer, why: &str) -> OperatorAnswer {
    let but = |text: String| {
        format!(
            "{text}; but it can't be written to the state folder ({why}), and is forgotten if the daemon ends before"
        )
    };
    match answer {
        OperatorAnswer::Done { text } => OperatorAnswer::Done { text: but(text) },
        OperatorAnswer::Unchanged { text } => OperatorAnswer::Unchanged { text: but(text) },
        OperatorAnswer::Refused { .. } | OperatorAnswer::NoSuchResource => answer,
    }
}

/// What the core says, as the wire has it.
fn outcome(subject: &Subject, answer: OperatorAnswer) -> Result<Outcome, CallError> {
    match answer {
        OperatorAnswer::Done { text } => Ok(Outcome { changed: true, text }),
        OperatorAnswer::Unchanged { text } => Ok(Outcome { changed: false, text }),
        OperatorAnswer::NoSuchResource => Err(CallError::NoSuchResource { resource: subject.to_string() }),
        OperatorAnswer::Refused { text } => Err(CallError::Refused { why: text }),
    }
}

impl Answer<Hold> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<Hold>) {
        let why = call.why.unwrap_or_default().0;
        self.operator(&peer, &call.resource, OperatorVerb::Hold { why }, reply);
    }
}

impl Answer<Stop> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<Stop>) {
        let why = call.why.unwrap_or_default().0;
        self.operator(&peer, &call.resource, OperatorVerb::Stop { why }, reply);
    }
}

impl Answer<Yield> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<Yield>) {
        let (why, to) = (call.why.unwrap_or_default().0, call.to.map(|node| node.0));
        let (limit, restarts) = (call.limit.0, call.restarts.unwrap_or(false));
        self.operator(&peer, &call.resource, OperatorVerb::Yield { why, to, limit, restarts }, reply);
    }
}

impl Answer<Drain> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<Drain>) {
        self.ask(&peer, Subject::Node, OperatorVerb::Drain { why: call.why.unwrap_or_default().0 }, reply);
    }
}

impl Answer<Undrain> for Daemon {
    fn answer(&mut self, Asked { peer, reply, .. }: Asked<Undrain>) {
        self.ask(&peer, Subject::Node, OperatorVerb::Undrain, reply);
    }
}

impl Answer<Release> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<Release>) {
        self.operator(&peer, &call.resource, OperatorVerb::Release, reply);
    }
}

impl Answer<Clear> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<Clear>) {
        self.operator(&peer, &call.resource, OperatorVerb::Clear, reply);
    }
}

impl Answer<CloseIncident> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<CloseIncident>) {
        self.ask(&peer, Subject::Node, OperatorVerb::CloseIncident { incident: call.incident }, reply);
    }
}

impl Answer<Why> for Daemon {
    fn answer(&mut self, Asked { call, reply, .. }: Asked<Why>) {
        let report = self.core.promoted_resource(self.clock.now(), &ResourceName::new(&call.resource.0));
        let whole = |report: ResourceReport| self.with_times(|times| api::promoted_with_history(&report, times));
        let _ = reply.send(match report {
            Some(report) => Ok(WhyReply { report: Described::of(&whole(report)) }),
            None => Err(CallError::NoSuchResource { resource: call.resource.0 }),
        });
    }
}

impl Answer<Plan> for Daemon {
    /// The loop only copies what the one resource is decided by.
    fn answer(&mut self, Asked { call, reply, .. }: Asked<Plan>) {
        let now = self.clock.now();
        let what_if = self.core.what_if(now, &ResourceName::new(&call.resource.0));
        let now = self.with_times(|times| (times.mono)(now));
        let _ = reply.send(match what_if {
            Some(what_if) => Ok(Box::new(Foresight { what_if, now })),
            None => Err(CallError::NoSuchResource { resource: call.resource.0 }),
        });
    }
}

impl Daemon {
    /// Of a resource: the core decides and answers by an action of its own.
    fn operator(
        &mut self,
        peer: &Peer,
        resource: &Resource,
        verb: OperatorVerb,
        reply: oneshot::Sender<Result<Outcome, CallError>>,
    ) {
        self.ask(peer, ResourceName::new(&resource.0).into(), verb, reply);
    }

    /// Of a resource, or of this node.
    fn ask(
        &mut self,
        peer: &Peer,
        subject: Subject,
        verb: OperatorVerb,
        reply: oneshot::Sender<Result<Outcome, CallError>>,
    ) {
        let request = self.clients.operator_asks();
        let who = peer.who();
        info!(%subject, %verb, who, pid = peer.pid, "an operator asks");
        self.step(&Input::Operator(OperatorRequest { request, subject: subject.clone(), verb, who }));
        // Whoever panicked over it has not answered; the client sees that the daemon has nothing to say.
        let Some(answer) = self.clients.take_answer(request) else { return };
        // The step has remembered it, and the disk has it only now or soon.
        match self.memories.saved() {
            None => drop(reply.send(outcome(&subject, answer))),
            Some(saved) => drop(tokio::spawn(async move {
                let unsaved = match timeout(SAVE, saved).await {
                    Ok(Ok(Ok(()))) => None,
                    Ok(Ok(Err(why))) => Some(why),
                    Ok(Err(_)) => Some("the daemon ends".to_owned()),
                    Err(_) => Some(format!("the disk has not answered for {} s", SAVE.as_secs())),
                };
                let answer = match unsaved {
                    None => answer,
                    Some(why) => not_saved(answer, &why),
                };
                let _ = reply.send(outcome(&subject, answer));
            })),
        }
    }

    /// The answer to [`ask`](Self::ask).
    pub(super) fn answer_operator(&mut self, request: OperatorRequestId, answer: OperatorAnswer) {
        match &answer {
            OperatorAnswer::Done { text } => info!("operator: {text}"),
            OperatorAnswer::Unchanged { text } => info!("operator: nothing to do: {text}"),
            OperatorAnswer::Refused { text } => info!("operator: refused: {text}"),
            OperatorAnswer::NoSuchResource => info!("operator: no promoter has this resource"),
        }
        self.clients.keep_answer(request, answer);
    }

    /// Every promoted resource.
    pub(super) fn promoted(&self) -> Vec<PromotedStatus> {
        self.promoted_of(&self.reports(None))
    }

    /// What promoters say of these resources, each with its peers; of all without them, for they cost a look at every connection.
    pub(super) fn reports(&self, only: Option<&BTreeSet<String>>) -> Vec<ResourceReport> {
        let now = self.clock.now();
        match only {
            None => self.core.promoted(now),
            Some(only) => {
                only.iter().filter_map(|name| self.core.promoted_resource(now, &ResourceName::new(name))).collect()
            }
        }
    }

    /// The same on the wire.
    pub(super) fn promoted_of(&self, reports: &[ResourceReport]) -> Vec<PromotedStatus> {
        self.with_times(|times| reports.iter().map(|report| api::promoted(report, times)).collect())
    }

    /// Who has drained this node.
    pub(super) fn drained(&self) -> Option<HoldStatus> {
        self.core.drained().map(|drain| self.with_times(|times| api::hold(drain, times)))
    }

    fn with_times<T>(&self, f: impl FnOnce(&Times<'_>) -> T) -> T {
        let (now, wall) = (self.clock.now(), SystemTime::now());
        // A clock that shows nonsense is no reason to panic either.
        let mono = |at: Mono| {
            let then = if at > now { wall.checked_add(at.since(now)) } else { wall.checked_sub(now.since(at)) };
            then.map(rfc3339).unwrap_or_default()
        };
        // An absurd number in a file is no reason to panic.
        let unix = |s| UNIX_EPOCH.checked_add(Duration::from_secs(s)).map(rfc3339).unwrap_or_else(|| s.to_string());
        f(&Times { mono: &mono, unix: &unix })
    }
}
