//! A simulated cluster for a test or the demo: its process, a folder per node, and its switches.

use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::client::Client;
use super::identity::{FILE, Identity};
use super::protocol::{Program, Reply, Request};
use super::spec::Spec;

/// The programs of a node's folder, and what they are there.
const PROGRAMS: [(&str, &str); 4] = [
    ("sim-drbdsetup", "drbdsetup"),
    ("sim-drbdadm", "drbdadm"),
    ("sim-counter", "sim-counter"),
    ("sim-ctl", "sim-ctl"),
];

/// A running simulator; it ends, and its socket goes, when this is dropped. The folder is the caller's.
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    /// The simulator ends when it is closed, however we end.
    _alive: Option<ChildStdin>,
    socket: String,
    dir: PathBuf,
}

impl Cluster {
    /// Starts a simulator in `dir` (there, and nobody else's), with programs from `bin` (the build's folder): writes `cluster.json`,
    /// listens on `drbd.sock`, and makes `nodes/NAME/` with the look-alikes of each node.
    pub fn start_with(bin: &Path, dir: &Path, spec: &Spec) -> Result<Self> {
        let file = dir.join("cluster.json");
        fs::write(&file, serde_json::to_string_pretty(spec)?).with_context(|| format!("writing {}", file.display()))?;
        let socket = dir.join("drbd.sock").display().to_string();
        for node in &spec.nodes {
            node_folder(bin, &dir.join("nodes").join(node), &Identity { socket: socket.clone(), node: node.clone() })?;
        }
        let program = bin.join("sim-drbd");
        let mut child = Command::new(&program)
            .args(["--until-stdin-closes", "--socket", &socket])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {} (is it built?)", program.display()))?;
        let alive = child.stdin.take();
        let stdout = child.stdout.take().context("the simulator has no output")?;
        let cluster = Self { child, _alive: alive, socket, dir: dir.to_owned() };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if !line.starts_with("ready ") {
            bail!("the simulator did not start");
        }
        Ok(cluster)
    }

    /// The same with the programs that were built together with the one that runs.
    pub fn start(dir: &Path, spec: &Spec) -> Result<Self> {
        let exe = std::env::current_exe()?;
        let folder = exe.parent().context("the program is in no folder")?;
        // Tests are one folder below.
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        Self::start_with(folder, dir, spec)
    }

    /// The folder of a node with its `drbdsetup`, `drbdadm`, `sim-counter` and `sim-ctl`.
    pub fn node_path(&self, node: &str) -> PathBuf {
        self.dir.join("nodes").join(node)
    }

    /// Where it listens: what `SIM_DRBD` must be.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// Process id of the simulator.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `sim-ctl` does, for example `ctl(&["kill", "n1"])`; gives what it prints.
    pub fn ctl(&self, args: &[&str]) -> Result<String> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        match self.ask(&Request::Control { args })? {
            Reply::Done { code: 0, stdout, .. } => Ok(stdout),
            Reply::Done { stderr, .. } => bail!("{}", stderr.trim_end()),
            other => bail!("the simulator answers {other:?}"),
        }
    }

    /// Runs `drbdsetup` or `drbdadm` on a node without a process: exit code, output, errors.
    pub fn run(&self, node: &str, program: Program, args: &[&str]) -> Result<(i32, String, String)> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        match self.ask(&Request::Run { node: node.to_owned(), program, args })? {
            Reply::Done { code, stdout, stderr } => Ok((code, stdout, stderr)),
            other => bail!("the simulator answers {other:?}"),
        }
    }

    /// Follows events2 of a node.
    pub fn events(&self, node: &str) -> Result<Events> {
        let mut client = Client::connect(&self.socket)?;
        client.send(&Request::Events { node: node.to_owned(), resource: None, now: false, timestamps: false })?;
        Ok(Events { client, node: node.to_owned(), seen: Vec::new() })
    }

    fn ask(&self, request: &Request) -> Result<Reply> {
        Client::connect(&self.socket)?.ask(request)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.ctl(&["quit"]);
        drop(self._alive.take());
        if self.child.wait().is_err() {
            let _ = self.child.kill();
        }
    }
}

/// A reader of a node's events2.
#[derive(Debug)]
pub struct Events {
    client: Client,
    node: String,
    seen: Vec<String>,
}

impl Events {
    /// Waits for a line that `good` holds of, the dump's included, and gives it. Lines before it are gone.
    pub fn wait(&mut self, what: &str, good: impl Fn(&str) -> bool) -> Result<String> {
        loop {
            while !self.seen.is_empty() {
                let line = self.seen.remove(0);
                if good(&line) {
                    return Ok(line);
                }
            }
            match self.client.receive()? {
                Some(Reply::Text { text }) => self.seen.extend(text.lines().map(str::to_owned)),
                Some(other) => bail!("events2 of {}, waiting for {what}: {other:?}", self.node),
                None => bail!("events2 of {} ended; it never said: {what}", self.node),
            }
        }
    }
}

fn node_folder(bin: &Path, folder: &Path, identity: &Identity) -> Result<()> {
    DirBuilder::new()
        .mode(0o755)
        .recursive(true)
        .create(folder)
        .with_context(|| format!("making {}", folder.display()))?;
    fs::write(folder.join(FILE), serde_json::to_string(identity)?)?;
    for (program, name) in PROGRAMS {
        let link = folder.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(bin.join(program), &link).with_context(|| format!("making {}", link.display()))?;
    }
    Ok(())
}
