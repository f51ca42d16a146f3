//! A simulated DRBD cluster in a thread, and nodes' folders with look-alikes of its commands, which are the test program under their names.

#![allow(dead_code, reason = "not every test uses everything")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::JoinHandle;

use reactor_sim::lookalike::protocol::{Program, Reply, Request};
use reactor_sim::lookalike::server::{Listener, serve};
use reactor_sim::lookalike::{Client, Identity, Spec, identity, program};
use tokio::sync::oneshot;

use super::Folder;

/// If this program was called as one of DRBD's commands, it is that one. Before anything else in `main`.
pub(crate) fn called_as_a_command() -> Option<ExitCode> {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    match called.file_name().and_then(|name| name.to_str()) {
        Some("drbdsetup") => Some(program::run(Program::Drbdsetup)),
        Some("drbdadm") => Some(program::run(Program::Drbdadm)),
        _ => None,
    }
}

/// Three nodes, n1 to n3; which of them have a daemon is the test's.
pub(crate) struct Drbd {
    socket: String,
    name: String,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: Folder,
}

impl Drbd {
    pub(crate) fn start(name: &str, resources: &[&str]) -> Self {
        let dir = Folder::new(&format!("drbd-{name}"));
        let spec = Spec::new(&["n1", "n2", "n3"], resources);
        let socket = dir.path().join("drbd.sock").display().to_string();
        let (end, ended) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let path = socket.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Listener::bind(&path).await.unwrap();
                ready.send(()).unwrap();
                let end = async {
                    let _ = ended.await;
                };
                serve(listener, &spec, end).await.unwrap();
            });
        });
        is_ready.recv().unwrap();
        Self { socket, name: name.to_owned(), end: Some(end), thread: Some(thread), _dir: dir }
    }

    /// A folder for a node, with its commands.
    pub(crate) fn node(&self, node: &str) -> Folder {
        let folder = Folder::new(&format!("{}-{node}", self.name));
        let identity = Identity { socket: self.socket.clone(), node: node.to_owned() };
        folder.write(identity::FILE, &serde_json::to_string(&identity).unwrap());
        for name in ["drbdsetup", "drbdadm"] {
            std::os::unix::fs::symlink(std::env::current_exe().unwrap(), folder.path().join(name)).unwrap();
        }
        folder
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.socket).unwrap()
    }

    /// What the simulator is told: power, links.
    pub(crate) fn control(&self, words: &[&str]) {
        let args = words.iter().map(|word| (*word).to_owned()).collect();
        let reply = self.connect().ask(&Request::Control { args }).unwrap();
        assert!(matches!(reply, Reply::Done { code: 0, .. }), "{reply:?}");
    }
}

impl Drop for Drbd {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
