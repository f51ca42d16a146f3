//! The daemon that a test plays: the real server, the real core, a recording for the events; and the program that is tried.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::UNIX_EPOCH;

use assert_cmd::Command;
use expect_test::Expect;
use reactor_api::call::CallError;
use reactor_api::parameter::Described;
use reactor_api::status::{ReloadResult, SourceState, Status};
use reactor_api::verbs::{LeftoversReply, Outcome, PingReply, ReloadReply, WhyReply};
use reactor_api::{PromotedStatus, words};
use reactor_core::api::status;
use reactor_core::core::Core;
use reactor_core::settings::Detail;
use reactor_sys::control::{
    Asked, ChangeHub, ControlRequest, ControlServer, ControlSocket, Limits, REQUEST_QUEUE, SOCKET_NAME, ServiceInfo,
    Snapshot,
};
use reactor_sys::drbd::playback::Recording;
use tokio::sync::{mpsc, oneshot};

pub(crate) fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9")
}

/// A daemon that has seen `recording` to its end. It answers until it is dropped.
pub(crate) struct Daemon {
    pub(crate) folder: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    pub(crate) fn start(recording: &str, reload: ReloadReply) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("reactorctl-{}-{number}", std::process::id()));
        let recording = Recording::open(&recordings().join(recording)).unwrap();
        let socket = ControlSocket::bind(&folder.join(SOCKET_NAME), "no such group").unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(socket, &recording, &reload, stopped));
        });
        Self { folder, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Command {
        let mut command = reactorctl();
        command.arg("--socket").arg(self.folder.join(SOCKET_NAME)).args(args);
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the daemon of the test ends well");
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The loop of a daemon in small.
pub(crate) async fn serve(
    socket: ControlSocket,
    recording: &Recording,
    reload: &ReloadReply,
    mut stop: oneshot::Receiver<()>,
) {
    let mut core = Core::new();
    let mut hub = ChangeHub::default();
    core.set_follow(Some(Detail::State));
    for (now, input) in recording.steps() {
        core.step(now, input, &mut Vec::new());
        let wall = recording.wall(now).expect("the recording has times");
        let wall = UNIX_EPOCH + std::time::Duration::from_nanos(u64::try_from(wall.as_nanosecond()).unwrap());
        hub.publish(wall, core.changes());
    }
    let (sender, mut requests) = mpsc::channel(REQUEST_QUEUE);
    let info = ServiceInfo { product: "Storage Reactor".to_owned(), version: "1.2.3".to_owned() };
    let server = ControlServer::start(socket, info, Limits::default(), sender).unwrap();
    loop {
        let request = tokio::select! {
            Some(request) = requests.recv() => request,
            _ = &mut stop => break,
        };
        match request {
            ControlRequest::Status(Asked { reply, .. }) => {
                let mut status = Box::new(status(&core));
                status.resources.clear();
                let promoted = std::mem::take(&mut status.promoted);
                let _ = reply.send(Snapshot { status, promoted, resources: core.node().snapshot() });
            }
            ControlRequest::Reload(Asked { reply, .. }) => drop(reply.send(Ok(reload.clone()))),
            ControlRequest::Why(Asked { call, reply, .. }) => {
                let report = Described::of(&PromotedStatus { resource: call.resource.0.clone(), ..promoted() });
                let _ = reply.send(if_promoted(&call.resource, WhyReply { report }));
            }
            ControlRequest::Hold(Asked { call, reply, .. }) => {
                let text = format!("hold of r1 (Hold {{ why: {:?} }})", call.why.unwrap_or_default().0);
                let _ = reply.send(if_promoted(&call.resource, Outcome { changed: true, text }));
            }
            ControlRequest::Release(Asked { call, reply, .. }) => {
                let text = "release of r1 (Release)".to_owned();
                let _ = reply.send(if_promoted(&call.resource, Outcome { changed: true, text }));
            }
            ControlRequest::Clear(Asked { call, reply, .. }) => {
                let text = "clear of r1 (Clear)".to_owned();
                let _ = reply.send(if_promoted(&call.resource, Outcome { changed: true, text }));
            }
            ControlRequest::Ping(Asked { reply, .. }) => {
                let _ = reply.send(Ok(PingReply { version: "1.2.3".to_owned(), pid: 812, running_ms: 60_000 }));
            }
            ControlRequest::Stop(Asked { call, reply, .. }) => {
                let text = "r1 is stopped here, and not started until it is released".to_owned();
                let _ = reply.send(if_promoted(&call.resource, Outcome { changed: true, text }));
            }
            ControlRequest::Drain(Asked { reply, .. }) => {
                let text =
                    "this node is drained: what promoters run here is stopped, and nothing is started".to_owned();
                let _ = reply.send(Ok(Outcome { changed: true, text }));
            }
            ControlRequest::Undrain(Asked { reply, .. }) => {
                let text = "this node was not drained".to_owned();
                let _ = reply.send(Ok(Outcome { changed: false, text }));
            }
            ControlRequest::Leftovers(Asked { reply, .. }) => drop(reply.send(Ok(LeftoversReply::default()))),
            ControlRequest::Changes(Asked { call, reply, .. }) => {
                let follow = call.follow.unwrap_or(false);
                let _ = reply.send(hub.answer(&call));
                // The daemon ends as soon as somebody follows it: the end of a stream.
                if follow {
                    hub = ChangeHub::default();
                }
            }
            // Dropped, which the client is told.
            _ => {}
        }
    }
    drop(server);
}

/// There is one promoted resource.
pub(crate) fn if_promoted<R>(resource: &words::Resource, reply: R) -> Result<R, CallError> {
    if resource.0 == "r1" { Ok(reply) } else { Err(CallError::NoSuchResource { resource: resource.0.clone() }) }
}

/// What a promoter says of `r1`.
pub(crate) fn promoted() -> PromotedStatus {
    PromotedStatus {
        resource: "r1".to_owned(),
        state: "standby".to_owned(),
        since: "2026-11-21T03:05:40.000Z".to_owned(),
        because: vec!["n3 is Primary".to_owned()],
        policy: "quorum".to_owned(),
        ..PromotedStatus::default()
    }
}

pub(crate) fn status(core: &Core) -> Status {
    let mut status = Status {
        version: "1.2.3".to_owned(),
        pid: 812,
        node: "n2".to_owned(),
        mode: "native".to_owned(),
        started: "2026-11-21T03:05:37.000Z".to_owned(),
        now: "2026-11-21T03:06:47.000Z".to_owned(),
        resources: status::resources(core.node()),
        counters: status::counters(core),
        ..Status::default()
    };
    status.source.state = SourceState::Up;
    status.source.command = Some("drbdsetup events2 --full --poll".to_owned());
    status
}

pub(crate) fn reloaded(result: ReloadResult, findings: &[&str]) -> ReloadReply {
    let findings = findings.iter().map(|&finding| finding.to_owned()).collect();
    ReloadReply::new(result, findings, String::new())
}

pub(crate) fn reactorctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactorctl"));
    command.env_remove("CLICOLOR_FORCE");
    command
}

/// The whole output and the exit code, the test's own paths redacted.
pub(crate) fn check(mut command: Command, redact: &Path, expect: &Expect) {
    let output = command.output().unwrap();
    let shown = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).expect("the output is UTF-8");
        text.replace(&*redact.to_string_lossy(), "DIR").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    };
    let (out, err) = (shown(&output.stdout), shown(&output.stderr));
    let code = output.status.code().expect("it exits");
    let err = if err.is_empty() { String::new() } else { format!("--- stderr\n{err}") };
    expect.assert_eq(&format!("{out}{err}--- exit {code}\n"));
}

/// A node that was killed, and came back.
pub(crate) const KILLED: &str = "r2-failover-node-killed/n2.events2";
