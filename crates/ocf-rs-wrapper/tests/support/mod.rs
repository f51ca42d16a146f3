//! What the tests share: the wrapper as systemd would run it, and agents to run.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests, too")]
#![allow(dead_code, reason = "not every test uses all of it")]
#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Longer than anything here may take on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of one test, gone with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// An empty one.
    pub(crate) fn new(name: &str) -> Self {
        // Not the target folder: the path of a socket may have 107 bytes only.
        let path = std::env::temp_dir().join(format!("ocf-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// A file in it, by rename: nobody sees half of it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join("new"), text).unwrap();
        fs::rename(self.0.join("new"), self.0.join(name)).unwrap();
    }

    /// The content of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// A named pipe in it.
    pub(crate) fn fifo(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.0.join(name)).status().unwrap().success());
    }

    /// Waits until somebody has written into a named pipe: what.
    #[track_caller]
    pub(crate) fn heard(&self, fifo: &str) -> String {
        let (sender, text) = channel();
        let path = self.0.join(fifo);
        // In a thread, because opening waits for the writer without a limit.
        thread::spawn(move || sender.send(fs::read_to_string(path).unwrap()));
        text.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nobody wrote into {fifo}"))
    }

    /// Its path as text.
    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The made-up agent with what it does on start, monitor and stop.
    pub(crate) fn agent(&self, start: &str, monitor: &str, stop: &str) -> PathBuf {
        fs::create_dir_all(self.0.join("vendor")).unwrap();
        let path = self.0.join("vendor/made-up");
        fs::write(&path, include_str!("../agent.sh")).unwrap();
        for path in [&path, &self.0.join("vendor")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        self.write("meta-data", r#"<parameter name="here"/><action name="start" timeout="30s"/>"#);
        self.write("start", start);
        self.write("monitor", monitor);
        self.write("stop", stop);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running wrapper.
pub(crate) struct Wrapper {
    child: Child,
    notify: UnixDatagram,
    lines: Receiver<String>,
    /// All lines that were read so far.
    pub(crate) log: Vec<String>,
}

impl Wrapper {
    /// `start-and-monitor`. `within` = a command to run it by, like nsenter.
    pub(crate) fn start(folder: &Folder, agent: &Path, within: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::run("start-and-monitor", folder, agent, within, variables)
    }

    /// Any command of the wrapper.
    pub(crate) fn run(what: &str, folder: &Folder, agent: &Path, within: &[&str], variables: &[(&str, &str)]) -> Self {
        let socket = folder.0.join("notify.sock");
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let words: Vec<&str> = within.iter().copied().chain([env!("CARGO_BIN_EXE_ocf-rs-wrapper")]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args([what, r"ocf.rs@in\x2dst_r0.service"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("NOTIFY_SOCKET", &socket)
            .env("AGENT", agent)
            .env("OCF_RESOURCE_INSTANCE", r"in\x2dst_r0")
            .env("monitor_inverval", "5")
            .env("OCF_RESKEY_here", &folder.0)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, notify, lines, log: Vec::new() }
    }

    /// Waits until systemd is told something that begins so. What came before is passed over.
    #[track_caller]
    pub(crate) fn told(&mut self, begin: &str) -> String {
        let mut bytes = [0; 4096];
        let mut heard = Vec::new();
        loop {
            let Ok(count) = self.notify.recv(&mut bytes) else {
                panic!("nobody said {begin:?}, but {heard:?}; log {:?}", self.lines.try_iter().collect::<Vec<_>>());
            };
            let text = String::from_utf8_lossy(&bytes[..count]).trim_end().to_owned();
            if text.starts_with(begin) {
                return text;
            }
            heard.push(text);
        }
    }

    /// Waits for a line of the log with this in it.
    #[track_caller]
    pub(crate) fn logged(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let Ok(line) = line else { panic!("no {part:?} in {:?}", self.log) };
            self.log.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends `TERM` to the wrapper alone.
    pub(crate) fn term(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end: the exit code. All of the log is there then.
    #[track_caller]
    pub(crate) fn end(&mut self) -> i32 {
        wait_for_end(Pid::from_child(&self.child));
        let status = self.child.wait().unwrap();
        self.log.extend(self.lines.iter());
        status.code().unwrap_or_else(|| panic!("ended by signal {:?}", status.signal()))
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a process has ended; a zombie has.
#[track_caller]
pub(crate) fn wait_for_end(pid: Pid) {
    // An error: it is gone altogether.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let ready = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE.try_into().unwrap())).unwrap();
    assert_eq!(ready, 1, "{pid:?} did not end");
}

/// A process number from a file or pipe.
pub(crate) fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Where the agents of Debian's package resource-agents are: installed, or unpacked by `cargo xtask`.
pub(crate) fn real_agents(test: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").canonicalize();
    let roots = tools.into_iter().chain([PathBuf::from("/")]);
    let found =
        roots.map(|root| root.join("usr/lib/ocf")).find(|root| root.join("resource.d/heartbeat/Dummy").is_file());
    if found.is_none() {
        skip(test, "Debian's package resource-agents is neither installed nor in target/tools");
    }
    found
}

/// Says aloud that a test cannot run here.
pub(crate) fn skip(test: &str, why: &str) {
    println!("SKIPPED: {test} ({why})");
}

/// Namespaces of their own, which live as long as this.
pub(crate) struct Namespaces {
    holder: Child,
    _stdin: ChildStdin,
}

impl Namespaces {
    /// New ones of these kinds (`--net`, `--mount`), prepared by a script; `None` = this machine does not let us.
    pub(crate) fn new(test: &str, kinds: &[&str], script: &str) -> Option<Self> {
        let spawned = Command::new("unshare")
            .args(kinds)
            .args(["sh", "-ec", &format!("{script}\necho ready\nexec cat >/dev/null")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut holder) = spawned else {
            skip(test, "there is no unshare");
            return None;
        };
        let stdin = holder.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.trim() != "ready" {
            let mut why = String::new();
            holder.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            let _ = holder.wait();
            skip(test, &format!("this machine does not let us: {}", why.trim().replace('\n', "; ")));
            return None;
        }
        Some(Self { holder, _stdin: stdin })
    }

    /// What to run a program by in them.
    pub(crate) fn enter(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "--target", &pid, "--net", "--mount"].map(str::to_owned).to_vec()
    }

    /// Runs a program in them: what it prints, if it succeeds.
    pub(crate) fn run(&self, script: &str) -> Result<String, String> {
        let enter = self.enter();
        let output = Command::new(&enter[0]).args(&enter[1..]).args(["sh", "-ec", script]).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
