//! The clients of the control socket: the socket, who follows changes, and who waits for an answer of the core.
//!
//! The socket is made by a thread, because the runtime folder may hang.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::time::{Duration, SystemTime};

use reactor_api::verbs::{Changes, Helper, HelperReply};
use reactor_core::action::HelperRequestId;
use reactor_core::change::Change;
use reactor_core::operator::{OperatorAnswer, OperatorRequestId};
use reactor_core::settings::{DaemonSettings, Detail};
use reactor_sys::chain::chain;
use reactor_sys::control::{
    BindError, ChangeHub, ControlServer, ControlSocket, Limits, Reply, SOCKET_GROUP, SOCKET_NAME, ServiceInfo,
    Subscription, ToLoop, Watchers,
};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{error, warn};

use super::finish;

/// How long the runtime folder may take at the start, before we go on without a control socket.
const BIND: Duration = Duration::from_secs(5);

/// Who asks us, and is answered.
pub(super) struct Clients {
    hub: ChangeHub,
    watchers: Watchers,
    /// `None` = it could not be made; tried again by each reload.
    server: Option<ControlServer>,
    /// The socket, while it is being made.
    binding: Option<JoinHandle<Result<ControlSocket, BindError>>>,
    /// The way to the loop, for a server that is made later.
    to_loop: ToLoop,
    /// Who waits for the answer to a helper call.
    helpers: BTreeMap<HelperRequestId, Reply<Helper>>,
    /// The answer to an operator, for as long as the step takes that gives it.
    answered: Option<(OperatorRequestId, OperatorAnswer)>,
    last_request: u64,
}

impl Clients {
    /// Nobody yet; what they ask goes through `to_loop`.
    pub(super) fn new(to_loop: ToLoop) -> Self {
        Self {
            hub: ChangeHub::default(),
            watchers: Watchers::default(),
            server: None,
            binding: None,
            to_loop,
            helpers: BTreeMap::new(),
            answered: None,
            last_request: 0,
        }
    }

    /// The control socket at the start.
    ///
    /// # Errors
    ///
    /// Another daemon serves it: two of them must not run.
    pub(super) fn begin(&mut self, first: First, settings: &DaemonSettings) -> Result<(), BindError> {
        match first {
            Ok(Ok(Err(error @ BindError::InUse { .. }))) => return Err(error),
            Ok(Ok(bound)) => self.bound(bound, settings),
            Ok(Err(error)) => error!(%error, "making the control socket failed"),
            Err(binding) => {
                let dir = settings.runtime_dir.display();
                error!(%dir, "no control socket yet: the runtime folder does not answer");
                self.binding = Some(binding);
            }
        }
        Ok(())
    }

    /// The settings were read again. What kept the control socket from being made may have been mended, and others may be operators.
    pub(super) fn apply(&mut self, settings: &DaemonSettings) {
        if let Some(server) = &mut self.server {
            server.set_operators(settings.operator_group.as_deref());
        } else if self.binding.is_none() {
            self.binding = Some(bind(&settings.runtime_dir));
        }
    }

    /// Waits for the control socket; for ever if none is being made. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<ControlSocket, BindError> {
        match finish(&mut self.binding).await {
            Ok(bound) => bound,
            Err(error) => {
                error!(%error, "making the control socket failed");
                pending().await
            }
        }
    }

    /// Serves the control socket. Without it (a read-only container, for example) everything else runs, and only who would ask gets no
    /// answer; that is said.
    pub(super) fn bound(&mut self, bound: Result<ControlSocket, BindError>, settings: &DaemonSettings) {
        let path = settings.runtime_dir.join(SOCKET_NAME);
        let started = bound.map_err(|error| chain(&error).to_string()).and_then(|socket| {
            for warning in &socket.warnings {
                warn!("{warning}");
            }
            let info = ServiceInfo { product: "reactord".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
            let server = ControlServer::start(socket, info, Limits::default(), self.to_loop.clone());
            server.map_err(|error| chain(&error).to_string())
        });
        match started {
            Ok(mut server) => {
                server.set_operators(settings.operator_group.as_deref());
                self.server = Some(server);
            }
            Err(error) => error!(
                error, path = %path.display(),
                "no control socket: reactorctl and reactor-helper get no answer, and a second daemon would not be noticed; \
                 set runtime-dir in [daemon] to a folder that only root can write, and reload"
            ),
        }
    }

    /// What is still being done, in words.
    pub(super) fn late(&self) -> Option<&'static str> {
        self.binding.as_ref().map(|_| "the control socket is still being made")
    }

    /// Whether there is a control socket.
    pub(super) fn is_served(&self) -> bool {
        self.server.is_some()
    }

    /// Hands changes to who follows them.
    pub(super) fn publish(&mut self, changes: &[Change]) {
        self.hub.publish(SystemTime::now(), changes);
    }

    /// What those who watch were told may be old.
    pub(super) fn wake_watchers(&self) {
        self.watchers.wake();
    }

    /// Somebody watches: says so when something is new.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.watchers.subscribe()
    }

    /// Which changes somebody wants.
    pub(super) fn wants(&self) -> Detail {
        self.hub.wants()
    }

    /// Somebody wants changes.
    pub(super) fn changes(&self, call: &Changes) -> Subscription {
        self.hub.answer(call)
    }

    /// A helper of DRBD waits for its answer; under this number it is asked for.
    pub(super) fn helper_waits(&mut self, reply: Reply<Helper>) -> HelperRequestId {
        self.last_request += 1;
        let request = HelperRequestId(self.last_request);
        self.helpers.insert(request, reply);
        request
    }

    /// Answers a helper. Its caller may have given up; DRBD has its answer then.
    pub(super) fn answer_helper(&mut self, request: HelperRequestId, answer: HelperReply) {
        if let Some(reply) = self.helpers.remove(&request) {
            let _ = reply.send(Ok(answer));
        }
    }

    /// No helper is answered by a rule any more.
    pub(super) fn send_helpers_away(&mut self, answer: &HelperReply) {
        for (_, reply) in std::mem::take(&mut self.helpers) {
            // Its caller may have gone; nothing depends on it.
            let _ = reply.send(Ok(answer.clone()));
        }
    }

    /// The number of what an operator asks now.
    pub(super) fn operator_asks(&mut self) -> OperatorRequestId {
        self.last_request += 1;
        OperatorRequestId(self.last_request)
    }

    /// Keeps the core's answer to an operator until [`take_answer`](Self::take_answer).
    pub(super) fn keep_answer(&mut self, request: OperatorRequestId, answer: OperatorAnswer) {
        self.answered = Some((request, answer));
    }

    /// The core's answer to this, if it has given one.
    pub(super) fn take_answer(&mut self, request: OperatorRequestId) -> Option<OperatorAnswer> {
        self.answered.take().filter(|(answered, _)| *answered == request).map(|(_, answer)| answer)
    }
}

/// The control socket as soon as it is made; `Err` = what makes it, which has not ended.
type First = Result<Result<Result<ControlSocket, BindError>, JoinError>, JoinHandle<Result<ControlSocket, BindError>>>;

/// Makes the control socket at the start.
pub(super) async fn bind_first(runtime_dir: &Path) -> First {
    let mut binding = bind(runtime_dir);
    match timeout(BIND, &mut binding).await {
        Ok(bound) => Ok(bound),
        Err(_) => Err(binding),
    }
}

fn bind(runtime_dir: &Path) -> JoinHandle<Result<ControlSocket, BindError>> {
    let path = runtime_dir.join(SOCKET_NAME);
    spawn_blocking(move || ControlSocket::bind(&path, SOCKET_GROUP))
}
