//! A real daemon in a folder of its own, as an ordinary process: started, spoken to, stopped.

#![allow(dead_code, reason = "not every test uses everything")]

pub(crate) mod drbd;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reactor_api::client::Client;
use reactor_api::verbs::Changes;
use reactor_api::words::Last;
use serde_json::{Value, json};

/// Only reached when something is broken: every wait ends by an event.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A folder that goes when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let unique = format!("reactord-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("snippets")).unwrap();
        fs::set_permissions(path.join("snippets"), fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only its owner may change.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// Writes a program.
    pub(crate) fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The main file: everything in this folder, plus `more`. What this machine's kernel says of DRBD is not about these resources.
    pub(crate) fn main_file(&self, more: &str) -> PathBuf {
        let dir = self.0.display();
        self.write(
            "main.toml",
            &format!(
                "snippets = \"{dir}/snippets\"\nstatistics-poll-interval = 0\n{more}\n[daemon]\nnode-name = \"n3\"\n\
                 runtime-dir = \"{dir}/run\"\nstate-dir = \"{dir}/state\"\nunit-dir = \"{dir}/units\"\n\
                 drbdsetup = \"{dir}/drbdsetup\"\ndrbdadm = \"{dir}/drbdadm\"\nkernel-log = false\n"
            ),
        )
    }

    /// Look-alikes of the two programs: drbdsetup runs the shell text `body`, drbdadm knows DRBD 9.3.3.
    pub(crate) fn drbd(&self, body: &str) {
        self.program("drbdsetup", &format!("#!/bin/sh\n{body}\n"));
        self.program(
            "drbdadm",
            "#!/bin/sh\necho DRBD_KERNEL_VERSION_CODE=0x090303\necho DRBDADM_VERSION_CODE=0x092200\necho DRBDADM_VERSION=9.34.0\n",
        );
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A recording of the project.
pub(crate) fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings").join(name)
}

/// What a metrics server says, its head included.
pub(crate) fn scrape(port: u16) -> String {
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    server.read_to_string(&mut answer).unwrap();
    answer
}

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
    notify: UnixDatagram,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts it and waits until it says READY.
    pub(crate) fn start(folder: &Folder, args: &[&str]) -> Self {
        let daemon = Self::spawn(folder, args);
        daemon.wait_notify("READY=1");
        daemon
    }

    /// The same with these variables.
    pub(crate) fn start_with(folder: &Folder, env: &[(&str, &str)]) -> Self {
        let daemon = Self::spawn_with(folder, &[], env);
        daemon.wait_notify("READY=1");
        daemon
    }

    /// The same as systemd would start it with `WatchdogSec=1`.
    pub(crate) fn start_with_watchdog(folder: &Folder) -> Self {
        let daemon = Self::spawn_with(folder, &[], &[("WATCHDOG_USEC", "1000000")]);
        daemon.wait_notify("READY=1");
        daemon
    }

    pub(crate) fn spawn(folder: &Folder, args: &[&str]) -> Self {
        Self::spawn_with(folder, args, &[])
    }

    fn spawn_with(folder: &Folder, args: &[&str], env: &[(&str, &str)]) -> Self {
        let notify_path = folder.path().join("notify.sock");
        let _ = fs::remove_file(&notify_path);
        let notify = UnixDatagram::bind(&notify_path).unwrap();
        notify.set_read_timeout(Some(LIMIT)).unwrap();
        let log = folder.path().join("stderr.log");
        let stderr = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_reactord"))
            .arg("--config")
            .arg(folder.path().join("main.toml"))
            .args(args)
            .env("NOTIFY_SOCKET", &notify_path)
            .env_remove("WATCHDOG_USEC")
            .env_remove("JOURNAL_STREAM")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self { child, notify, socket: folder.path().join("run/control.sock"), log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log has this.
    pub(crate) fn log_until(&self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            assert!(began.elapsed() < LIMIT, "never logged: {text}; log:\n{}", self.log());
            std::thread::yield_now();
        }
    }

    /// Waits for a message to systemd that has this line, and returns the message.
    pub(crate) fn wait_notify(&self, line: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = match self.notify.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) => panic!("no {line} from the daemon ({error}); its log:\n{}", self.log()),
            };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|is| is == line) {
                return message;
            }
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket, LIMIT).unwrap_or_else(|error| panic!("{error}; log:\n{}", self.log()))
    }

    pub(crate) fn call(&self, verb: &str, parameters: &Value) -> Value {
        self.client().call(verb, parameters).unwrap_or_else(|error| panic!("{error}; log:\n{}", self.log()))
    }

    pub(crate) fn status(&self) -> Value {
        self.call("Status", &json!({}))["status"].take()
    }

    /// Follows all changes, those that are remembered first, until one satisfies `done`.
    pub(crate) fn follow_until(&self, mut done: impl FnMut(&Value) -> bool) {
        let mut client = self.client();
        client.ask_for_more(&Changes { last: Some(Last(1000)), follow: Some(true), ..Changes::default() }).unwrap();
        loop {
            let reply = client.next_reply().unwrap_or_else(|error| panic!("{error}; log:\n{}", self.log()));
            for change in reply.parameters["changes"].as_array().into_iter().flatten() {
                if done(change) {
                    return;
                }
            }
        }
    }

    /// Asks for the status until it satisfies `done`: for what has no event to wait for.
    pub(crate) fn status_until(&self, what: &str, mut done: impl FnMut(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            if done(&status) {
                return status;
            }
            assert!(began.elapsed() < LIMIT, "never came: {what}; status:\n{status:#}\nlog:\n{}", self.log());
            std::thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and what it ended with.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
