//! What a reload does to the file system besides reading: log files are opened, the control socket is made. In threads: their disks may hang,
//! and what else was configured must not wait for that. Whoever asked for the reload does, for a moment.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use reactor_sys::chain::chain;
use reactor_sys::control::{BindError, ControlServer, ControlSocket, Limits, SOCKET_GROUP, SOCKET_NAME, ServiceInfo};
use reactor_sys::log::{LogError, Opened};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{error, warn};

use super::{Daemon, finish};

/// How long the runtime folder may take at the start, before we go on without a control socket.
const BIND: Duration = Duration::from_secs(5);

/// What was begun and has not ended.
#[derive(Default)]
pub(super) struct Chores {
    log: Option<Opened>,
    bind: Option<JoinHandle<Result<ControlSocket, BindError>>>,
}

/// What has ended.
pub(super) enum Chore {
    /// Log files are open, or these are not.
    Log(Vec<LogError>),
    /// There is a control socket, or not.
    Bound(Result<ControlSocket, BindError>),
}

impl Chores {
    /// With log files that are still being opened.
    pub(super) fn new(log: Option<Opened>) -> Self {
        Self { log, bind: None }
    }

    /// Waits for the next one to end; for ever if there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> Chore {
        let Self { log, bind } = self;
        tokio::select! {
            // An error means that newer settings came: their problems count.
            problems = async { log.as_mut().expect("checked by the condition").await }, if log.is_some() => {
                *log = None;
                Chore::Log(problems.unwrap_or_default())
            }
            bound = finish(bind) => match bound {
                Ok(bound) => Chore::Bound(bound),
                Err(error) => {
                    error!(%error, "making the control socket failed");
                    pending().await
                }
            },
        }
    }

    /// What has not ended, in words.
    pub(super) fn late(&self) -> Vec<&'static str> {
        let log = self.log.as_ref().map(|_| "log files are still being opened; lines go where they went before");
        let bind = self.bind.as_ref().map(|_| "the control socket is still being made");
        [log, bind].into_iter().flatten().collect()
    }

    /// Whether all have ended.
    pub(super) fn are_done(&self) -> bool {
        self.log.is_none() && self.bind.is_none()
    }
}

impl Daemon {
    /// Opens log files anew.
    pub(super) fn open_logs(&mut self) {
        self.chores.log = Some(self.log.apply(&self.configuration.settings().log));
    }

    /// What kept the control socket from being made may have been mended.
    pub(super) fn try_control_again(&mut self) {
        if self.control.is_none() && self.chores.bind.is_none() {
            self.chores.bind = Some(bind(&self.configuration.settings().daemon.runtime_dir));
        }
    }

    /// The control socket at the start.
    ///
    /// # Errors
    ///
    /// Another daemon serves it: two of them must not run.
    pub(super) fn begin_control(&mut self, first: First) -> Result<(), BindError> {
        match first {
            Ok(Ok(Err(error @ BindError::InUse { .. }))) => return Err(error),
            Ok(Ok(bound)) => self.take_control(bound),
            Ok(Err(error)) => error!(%error, "making the control socket failed"),
            Err(binding) => {
                let dir = self.configuration.settings().daemon.runtime_dir.display();
                error!(%dir, "no control socket yet: the runtime folder does not answer");
                self.chores.bind = Some(binding);
            }
        }
        Ok(())
    }

    pub(super) fn chore_done(&mut self, chore: Chore) {
        match chore {
            Chore::Log(problems) => log_problems(&problems),
            Chore::Bound(bound) => self.take_control(bound),
        }
        if self.chores.are_done() {
            self.finish_reload();
        }
    }

    /// Serves the control socket. Without it (a read-only container, for example) everything else runs, and only who would ask gets no
    /// answer; that is said.
    fn take_control(&mut self, bound: Result<ControlSocket, BindError>) {
        let path = self.configuration.settings().daemon.runtime_dir.join(SOCKET_NAME);
        let started = bound.map_err(|error| chain(&error).to_string()).and_then(|socket| {
            for warning in &socket.warnings {
                warn!("{warning}");
            }
            let info = ServiceInfo { product: "reactord".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
            let server = ControlServer::start(socket, info, Limits::default(), self.requests.clone());
            server.map_err(|error| chain(&error).to_string())
        });
        match started {
            Ok(server) => self.control = Some(server),
            Err(error) => error!(
                error, path = %path.display(),
                "no control socket: reactorctl and reactor-helper get no answer, and a second daemon would not be noticed; \
                 set runtime-dir in [daemon] to a folder that only root can write, and reload"
            ),
        }
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

/// Log files that can't be used.
pub(crate) fn log_problems(problems: &[LogError]) {
    for problem in problems {
        error!(error = %chain(problem), "can't log as configured");
    }
}

fn bind(runtime_dir: &Path) -> JoinHandle<Result<ControlSocket, BindError>> {
    let path = runtime_dir.join(SOCKET_NAME);
    spawn_blocking(move || ControlSocket::bind(&path, SOCKET_GROUP))
}
