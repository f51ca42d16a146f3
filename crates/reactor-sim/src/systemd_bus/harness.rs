//! The mock as a child process, with its own bus, in a folder of its own; and what that child does.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::bus::Manager;
use super::engine::Engine;
use super::faults;
use super::load::Folders;
use super::name::SYSTEMD;
use super::processes::Processes;

/// A mock that runs. It, its bus and all processes of its units end with this value.
#[derive(Debug)]
pub struct Harness {
    child: Child,
    stdin: Option<ChildStdin>,
    folder: PathBuf,
    unit_dirs: Vec<PathBuf>,
    address: String,
}

impl Harness {
    /// Starts `dbus-daemon` and the mock. `folder` gets the socket and the logs; of `unit_dirs` the first folder that has a file wins.
    ///
    /// The program `mock-systemd` is taken from beside the running one: build it first (`cargo build -p reactor-sim`).
    pub fn start(folder: &Path, unit_dirs: &[PathBuf]) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let (child, stdin, address) = launch(folder, unit_dirs)?;
        Ok(Self { child, stdin, folder: folder.to_owned(), unit_dirs: unit_dirs.to_vec(), address })
    }

    /// D-Bus address of the bus. It stays the same over [`Harness::restart`].
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Where the output of a unit goes.
    pub fn log_file(&self, unit: &str) -> PathBuf {
        Processes::log_file(&self.folder, unit)
    }

    /// What the mock itself logged: among others a line such as `StartUnit UNIT` for each job that was asked for.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("mock-systemd.log")).unwrap_or_default()
    }

    /// What it does badly from now on (see [`faults`]); an empty text only has questions logged.
    pub fn set_faults(&self, text: &str) -> Result<()> {
        let (file, new) = (faults::file(&self.folder), self.folder.join("faults.new"));
        fs::write(&new, text).with_context(|| format!("writing {}", new.display()))?;
        fs::rename(&new, &file).with_context(|| format!("writing {}", file.display()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the bus, the mock and all units, as when a machine goes down.
    pub fn stop(&mut self) {
        self.stdin = None;
        // It ends by its stdin already; the signal is for one that hangs in a call.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }

    /// Starts it anew at the same address; every unit is inactive then.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        (self.child, self.stdin, self.address) = launch(&self.folder, &self.unit_dirs)?;
        Ok(())
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(folder: &Path, unit_dirs: &[PathBuf]) -> Result<(Child, Option<ChildStdin>, String)> {
    let program = program()?;
    let log =
        File::options().create(true).append(true).open(folder.join("mock-systemd.log")).context("creating the log")?;
    let mut command = Command::new(&program);
    command.arg("--folder").arg(folder).arg("--until-stdin-closes");
    for dir in unit_dirs {
        command.arg("--units").arg(dir);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
    let stdin = child.stdin.take();
    let mut address = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut address).context("reading the address of the bus")?;
    }
    let address = address.trim().to_owned();
    if address.is_empty() {
        let _ = child.kill();
        let _ = child.wait();
        let log = fs::read_to_string(folder.join("mock-systemd.log")).unwrap_or_default();
        bail!("mock-systemd did not start; its log:\n{log}");
    }
    Ok((child, stdin, address))
}

/// `mock-systemd` beside the program that runs, or one folder up, where tests find the programs.
fn program() -> Result<PathBuf> {
    let me = std::env::current_exe().context("finding my own program")?;
    let found = me.ancestors().skip(1).take(3).map(|dir| dir.join("mock-systemd")).find(|path| path.is_file());
    found.with_context(|| {
        format!("mock-systemd is not beside {}: build it first (cargo build -p reactor-sim --bins)", me.display())
    })
}

/// `dbus-daemon` in PATH or among the tools that the gate unpacks into `target/tools`; one that lacks a library does not count.
pub fn dbus_daemon() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let me = std::env::current_exe().unwrap_or_default();
    let tools = me.ancestors().skip(1).map(|dir| dir.join("tools/usr/bin")).collect::<Vec<_>>();
    std::env::split_paths(&path).chain(tools).map(|dir| dir.join("dbus-daemon")).find(|path| runs(path))
}

fn runs(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program.is_file() && command.status().is_ok_and(|status| status.success())
}

/// What the program does: the bus, the mock, until SIGTERM, SIGINT, the end of its stdin (if asked for) or of the bus.
#[derive(Debug)]
pub struct Options {
    /// For the socket and the logs.
    pub folder: PathBuf,
    /// Folders of units.
    pub units: Vec<PathBuf>,
    /// End with stdin.
    pub until_stdin_closes: bool,
}

/// Runs the mock. The address of the bus is told when it serves.
pub async fn run(options: &Options, told: impl FnOnce(&str)) -> Result<()> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let me = std::env::current_exe().context("finding my own program")?;
    fs::create_dir_all(&options.folder).with_context(|| format!("creating {}", options.folder.display()))?;
    let mut processes = Processes::new(&options.folder, &me, events.clone()).context("starting the guard")?;
    let mut bus = Bus::start(&options.folder)?;
    processes.watch(Pid::from_child(&bus.child)).context("telling the guard")?;
    let connection = zbus::connection::Builder::address(bus.address.as_str()).build().await;
    let connection = connection.with_context(|| format!("connecting to {}", bus.address))?;
    let stream = zbus::MessageStream::from(&connection);
    let engine = Engine::new(Box::new(Folders(options.units.clone())));
    let mut manager = Manager::new(connection, engine, processes, events, faults::file(&options.folder));
    manager.claim().await.with_context(|| format!("becoming {SYSTEMD}"))?;
    told(&bus.address);
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let closed = async {
        let mut buffer = [0; 64];
        let mut stdin = tokio::net::unix::pipe::Receiver::from_file(File::open("/dev/stdin")?)?;
        while stdin.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    tokio::select! {
        ended = manager.serve(stream, &mut inbox) => ended.context("the bus")?,
        _ = term.recv() => {}
        _ = int.recv() => {}
        result = closed, if options.until_stdin_closes => result.context("stdin")?,
    }
    drop(manager);
    bus.end();
    Ok(())
}

/// A `dbus-daemon` of our own.
struct Bus {
    child: Child,
    address: String,
}

impl Bus {
    fn start(folder: &Path) -> Result<Self> {
        let program = dbus_daemon().context("dbus-daemon is not installed (Debian package dbus-daemon)")?;
        let socket = folder.join("bus");
        // One that was killed leaves its socket behind.
        let _ = fs::remove_file(&socket);
        let config = folder.join("bus.conf");
        let text = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig>\n  <type>session</type>\n  \
             <listen>unix:path={}</listen>\n  <auth>EXTERNAL</auth>\n  <policy context=\"default\">\n    <allow send_destination=\"*\"/>\n    \
             <allow eavesdrop=\"false\"/>\n    <allow own=\"*\"/>\n  </policy>\n  <limit name=\"max_match_rules_per_connection\">100000</limit>\n  \
             <limit name=\"max_replies_per_connection\">100000</limit>\n</busconfig>\n",
            socket.display()
        );
        fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
        let mut command = Command::new(&program);
        command.arg(format!("--config-file={}", config.display())).args([
            "--nofork",
            "--nopidfile",
            "--print-address=1",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).context("reading the address of the bus")?;
        }
        if line.is_empty() {
            bail!("dbus-daemon did not start in {} (a socket's path may have 107 characters)", folder.display());
        }
        // Without the guid, which is another one after a restart.
        Ok(Self { child, address: format!("unix:path={}", socket.display()) })
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.end();
    }
}
