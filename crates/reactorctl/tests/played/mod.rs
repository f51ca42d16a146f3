//! The daemon that tests play: the real server, and answers that a test has laid down. What it knows of DRBD is in a real core.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use reactor_api::call::CallError;
use reactor_api::parameter::Described;
use reactor_api::promoted::HoldStatus;
use reactor_api::status::Status;
use reactor_api::verbs::{LeftoversReply, Outcome, PingReply, ReloadReply, WhyReply};
use reactor_api::{PromotedStatus, words};
use reactor_core::core::Core;
use reactor_core::ids::{Mono, ResourceName};
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_storage::incidents::Incident;
use reactor_sys::control::{
    Asked, ChangeHub, ControlRequest, ControlServer, ControlSocket, Foresight, KnownIncidents, Limits, Picture,
    REQUEST_QUEUE, SOCKET_NAME, ServiceInfo, Snapshot, StorageEvents, Watched, Watchers,
};
use reactor_sys::history::{History, Ledgers};
use reactor_sys::storage::blocks::Blocks;
use tokio::sync::{mpsc, oneshot};

/// Something that changes what the daemon knows.
pub(crate) type Step = Box<dyn FnOnce(&mut State) + Send>;

/// Where a daemon has from what it knows, and what else it does.
pub(crate) trait Facts {
    /// Brings the state up to date, before each answer.
    fn look(&mut self, _: &mut State) {}

    /// Hears of a call that changes something; `false` = there is no answer, as of a daemon that ends just now.
    fn heard(&mut self, _: &str) -> bool {
        true
    }

    /// Reads the configuration again.
    fn reload(&mut self) -> ReloadReply;
}

/// All units of a resource are down.
fn down(report: &mut PromotedStatus) {
    report.units.iter_mut().for_each(|unit| "inactive".clone_into(&mut unit.active));
}

/// What it knows.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) hub: ChangeHub,
    pub(crate) history: Option<History>,
    /// The storage incidents that are open.
    pub(crate) incidents: Vec<Arc<Incident>>,
    /// All but resources and promoted resources.
    pub(crate) status: Status,
    pub(crate) promoted: Vec<PromotedStatus>,
    /// The operators' holds, by resource.
    pub(crate) holds: BTreeMap<String, HoldStatus>,
    /// What comes of a `Yield`, step by step.
    pub(crate) on_yield: VecDeque<Step>,
    /// What comes of a `Stop`; nothing = it is down at once.
    pub(crate) on_stop: VecDeque<Step>,
    /// What comes of a `Release`.
    pub(crate) on_release: VecDeque<Step>,
    /// A core that has a promoter, for plans, and its time.
    pub(crate) planner: Option<(Core, Mono)>,
    /// What happens next: each when a watcher has seen what was before.
    pub(crate) steps: VecDeque<Step>,
}

impl State {
    /// What promoters say.
    fn promoted(&self) -> Vec<PromotedStatus> {
        let held = |promoted: &PromotedStatus| {
            let hold = self.holds.get(&promoted.resource).cloned().or_else(|| promoted.hold.clone());
            PromotedStatus { hold, ..promoted.clone() }
        };
        self.promoted.iter().map(held).collect()
    }

    fn ledgers(&self) -> Result<Ledgers, CallError> {
        self.history.as_ref().map(History::ledgers).ok_or(CallError::Unavailable { why: "there is none" })
    }

    fn find(&self, resource: &words::Resource) -> Option<PromotedStatus> {
        self.promoted().into_iter().find(|promoted| promoted.resource == resource.0)
    }

    fn if_promoted<R>(&self, resource: &words::Resource, reply: R) -> Result<R, CallError> {
        self.find(resource).map(|_| reply).ok_or_else(|| CallError::NoSuchResource { resource: resource.0.clone() })
    }

    fn snapshot(&self) -> Snapshot {
        let status = Box::new(self.status.clone());
        Snapshot { status, promoted: self.promoted(), resources: self.core.node().snapshot() }
    }

    /// The same without what only `Why` has, and a `Watch` that names resources.
    fn snapshot_of_all(&self) -> Snapshot {
        let mut snapshot = self.snapshot();
        for promoted in &mut snapshot.promoted {
            promoted.peers.clear();
        }
        snapshot
    }

    /// DRBD is as these lines of a dump say.
    pub(crate) fn set_drbd(&mut self, dump: &str) {
        let started = SourceEvent::Started { command: "drbdsetup".to_owned(), dialect: Some(Dialect::Drbd9) };
        for input in [
            Input::Source(SourceId::Drbd, started),
            Input::Lines(SourceId::Drbd, dump.to_owned()),
            Input::BurstEnd(SourceId::Drbd),
        ] {
            self.core.step(Mono::ZERO, &input, &mut Vec::new());
        }
    }
}

/// A daemon that answers until it is dropped.
pub(crate) struct Played {
    changes: mpsc::UnboundedSender<Step>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Played {
    /// Serves the socket in `folder` with what `make` makes, in the daemon's own thread.
    pub(crate) fn start<F: Facts>(folder: &Path, make: impl FnOnce() -> (F, State) + Send + 'static) -> Self {
        let socket = ControlSocket::bind(&folder.join(SOCKET_NAME), "no such group").unwrap();
        let (stop, stopped) = oneshot::channel();
        let (changes, changed) = mpsc::unbounded_channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (facts, state) = make();
            runtime.block_on(Loop { facts, state, watchers: Watchers::default() }.serve(socket, changed, stopped));
        });
        Self { changes, stop: Some(stop), thread: Some(thread) }
    }

    /// Lets something happen, from wherever.
    pub(crate) fn teller(&self) -> impl Fn(Step) + Send + 'static {
        let changes = self.changes.clone();
        move |step| drop(changes.send(step))
    }

    /// Something happens.
    pub(crate) fn change(&self, step: impl FnOnce(&mut State) + Send + 'static) {
        assert!(self.changes.send(Box::new(step)).is_ok(), "the daemon runs");
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the daemon of the test ends well");
        }
    }
}

/// The loop of a daemon in small.
struct Loop<F> {
    facts: F,
    state: State,
    watchers: Watchers,
}

impl<F: Facts> Loop<F> {
    async fn serve(
        mut self,
        socket: ControlSocket,
        mut changes: mpsc::UnboundedReceiver<Step>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let (sender, mut requests) = mpsc::channel(REQUEST_QUEUE);
        let info = ServiceInfo { product: "Storage Reactor".to_owned(), version: "1.2.3".to_owned() };
        let server = ControlServer::start(socket, info, Limits::default(), sender).unwrap();
        loop {
            tokio::select! {
                Some(request) = requests.recv() => {
                    self.facts.look(&mut self.state);
                    self.answer(request);
                }
                Some(change) = changes.recv() => {
                    change(&mut self.state);
                    self.watchers.wake();
                }
                _ = &mut stop => break,
            }
        }
        drop(server);
    }

    fn answer(&mut self, request: ControlRequest) {
        let text = |text: &str| Outcome { changed: true, text: text.to_owned() };
        let state = &mut self.state;
        match request {
            ControlRequest::Status(Asked { reply, .. }) => drop(reply.send(state.snapshot_of_all())),
            ControlRequest::Watch(Asked { call, reply, .. }) => self.watch(call.resources.as_ref(), reply),
            ControlRequest::Reload(Asked { reply, .. }) => drop(reply.send(Ok(self.facts.reload()))),
            ControlRequest::Why(Asked { call, reply, .. }) => {
                let report = Described::of(&state.find(&call.resource).unwrap_or_default());
                let _ = reply.send(state.if_promoted(&call.resource, WhyReply { report }));
            }
            ControlRequest::Plan(Asked { call, reply, .. }) => {
                let Some((core, now)) = &state.planner else { return };
                let what_if = core.what_if(*now, &ResourceName::new(&call.resource.0));
                let now = "2026-11-21T03:06:47.000Z".to_owned();
                let plan = what_if.map(|what_if| Box::new(Foresight { what_if, now }));
                let none = || CallError::NoSuchResource { resource: call.resource.0.clone() };
                let _ = reply.send(plan.ok_or_else(none));
            }
            ControlRequest::Hold(Asked { call, reply, .. }) => {
                let (resource, why) = (&call.resource.0, call.why.unwrap_or_default().0);
                if self.facts.heard(&format!("hold {resource} ({why})")) {
                    let hold = HoldStatus { who: "root".to_owned(), why: why.clone(), ..HoldStatus::default() };
                    let changed = state.find(&call.resource).is_some_and(|promoted| promoted.hold.is_none());
                    if changed {
                        state.holds.insert(resource.clone(), hold);
                    }
                    let text = format!("hold of {resource} (Hold {{ why: {why:?} }})");
                    let _ = reply.send(state.if_promoted(&call.resource, Outcome { changed, text }));
                }
            }
            ControlRequest::Yield(Asked { call, reply, .. }) => {
                let until_primary = Some(call.to.unwrap_or_default().0);
                let (who, restarts) = ("root".to_owned(), call.restarts.unwrap_or(false));
                let hold = HoldStatus { who, stops: true, until_primary, restarts, ..HoldStatus::default() };
                if self.facts.heard(&format!("yield {}", call.resource.0)) {
                    state.holds.insert(call.resource.0.clone(), hold);
                    state.steps = std::mem::take(&mut state.on_yield);
                    if let Some(step) = state.steps.pop_front() {
                        step(state);
                    }
                    let _ = reply.send(state.if_promoted(&call.resource, text("left to another node")));
                }
            }
            ControlRequest::Release(Asked { call, reply, .. }) => {
                let resource = &call.resource.0;
                if self.facts.heard(&format!("release {resource}")) {
                    state.holds.remove(resource);
                    state.steps = std::mem::take(&mut state.on_release);
                    if let Some(step) = state.steps.pop_front() {
                        step(state);
                    }
                    let text = text(&format!("release of {resource} (Release)"));
                    let _ = reply.send(state.if_promoted(&call.resource, text));
                }
            }
            ControlRequest::Clear(Asked { call, reply, .. }) => {
                let text = text(&format!("clear of {} (Clear)", call.resource.0));
                let _ = reply.send(state.if_promoted(&call.resource, text));
            }
            ControlRequest::Ping(Asked { reply, .. }) => {
                let _ = reply.send(Ok(PingReply { version: "1.2.3".to_owned(), pid: 812, running_ms: 60_000 }));
            }
            ControlRequest::Stop(Asked { call, reply, .. }) => {
                let hold = HoldStatus { who: "root".to_owned(), stops: true, ..HoldStatus::default() };
                state.holds.insert(call.resource.0.clone(), hold);
                state.steps = std::mem::take(&mut state.on_stop);
                match state.steps.pop_front() {
                    Some(step) => step(state),
                    None => {
                        let report = state.promoted.iter_mut().find(|report| report.resource == call.resource.0);
                        report.into_iter().for_each(down);
                    }
                }
                let text = text(&format!("{} is stopped here, and not started until it is released", call.resource.0));
                let _ = reply.send(state.if_promoted(&call.resource, text));
            }
            ControlRequest::Drain(Asked { reply, .. }) => {
                let text = text("this node is drained: what promoters run here is stopped, and nothing is started");
                let _ = reply.send(Ok(text));
            }
            ControlRequest::Undrain(Asked { reply, .. }) => {
                let _ = reply.send(Ok(Outcome { changed: false, text: "this node was not drained".to_owned() }));
            }
            ControlRequest::Leftovers(Asked { reply, .. }) => drop(reply.send(Ok(LeftoversReply::default()))),
            ControlRequest::Changes(Asked { call, reply, .. }) => {
                let follow = call.follow.unwrap_or(false);
                let _ = reply.send(state.hub.answer(&call));
                // The daemon ends as soon as somebody follows it: the end of a stream.
                if follow {
                    state.hub = ChangeHub::default();
                }
            }
            ControlRequest::History(Asked { reply, .. }) | ControlRequest::Spans(Asked { reply, .. }) => {
                let _ = reply.send(state.ledgers());
            }
            ControlRequest::QueryEvents(Asked { reply, .. }) | ControlRequest::MonitorEvents(Asked { reply, .. }) => {
                let known = state.ledgers().map(|ledgers| StorageEvents { ledgers, blocks: Blocks::default() });
                let _ = reply.send(known);
            }
            ControlRequest::Incidents(Asked { reply, .. }) => {
                let _ = reply.send(KnownIncidents { open: state.incidents.clone(), ledgers: state.ledgers() });
            }
            // Dropped, which the client is told.
            _ => {}
        }
        self.watchers.wake();
    }

    fn watch(&mut self, only: Option<&BTreeSet<String>>, reply: oneshot::Sender<Watched>) {
        let (changed, snapshot) = (self.watchers.subscribe(), self.state.snapshot());
        // The real daemon compares the reports of its core; here what they came to is compared.
        let status = Status { promoted: snapshot.promoted.clone(), ..(*snapshot.status).clone() };
        let picture = Picture::new(&status, Vec::new(), &snapshot.resources, only);
        let _ = reply.send(Watched { snapshot, picture, changed });
        if let Some(step) = self.state.steps.pop_front() {
            step(&mut self.state);
        }
    }
}
