//! One run: a folder with the look-alikes, a configuration, a daemon, and the connection that drives the look-alike.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reactor_sim::daemon::{Daemon, TempDir, daemon_table, program};
use reactor_sim::stub::Driver;
use reactor_sim::workload::Shape;

/// The programs, and how thorough to be.
pub(crate) struct Setup {
    pub(crate) reactord: PathBuf,
    pub(crate) reactorctl: PathBuf,
    pub(crate) stub: PathBuf,
    pub(crate) handler: PathBuf,
    pub(crate) quick: bool,
}

impl Setup {
    pub(crate) fn find(reactord: Option<&Path>, quick: bool) -> Result<Self> {
        Ok(Self {
            reactord: program(reactord, "reactord")?,
            reactorctl: program(None, "reactorctl")?,
            stub: program(None, "stub-drbdsetup")?,
            handler: program(None, "stub-handler")?,
            quick,
        })
    }

    /// One number for a thorough run, another for a quick one.
    pub(crate) fn choose<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }

    /// A daemon that has read the dump of a node of this shape and runs these plugins.
    pub(crate) fn start(&self, shape: Shape, plugins: &str) -> Result<Run> {
        self.start_in(TempDir::new("reactor-bench")?, shape, plugins)
    }

    /// The same in a folder that holds something already. The bus of its systemd is `systemd/bus` in there.
    pub(crate) fn start_in(&self, dir: TempDir, shape: Shape, plugins: &str) -> Result<Run> {
        let Begun { mut daemon, listener, dir, .. } = self.begin_in(dir, shape, plugins)?;
        let mut stub = accept(&listener, &mut daemon)?;
        stub.wait()?;
        daemon.settle()?;
        Ok(Run { daemon, stub, _dir: dir })
    }

    /// A daemon that has just been started.
    pub(crate) fn begin(&self, shape: Shape, plugins: &str) -> Result<Begun> {
        self.begin_in(TempDir::new("reactor-bench")?, shape, plugins)
    }

    fn begin_in(&self, dir: TempDir, shape: Shape, plugins: &str) -> Result<Begun> {
        for name in ["drbdsetup", "drbdadm"] {
            symlink(&self.stub, dir.path().join(name)).context("linking the look-alike")?;
        }
        let socket = dir.path().join("stub.sock");
        let listener = UnixListener::bind(&socket).context("opening the socket for the look-alike")?;
        let Shape { resources, volumes, peers } = shape;
        let conf =
            format!("resources = {resources}\nvolumes = {volumes}\npeers = {peers}\ncontrol = {}\n", socket.display());
        dir.write("stub.conf", &conf)?;
        let config = format!(
            "statistics-poll-interval = 0\nsnippets-monitoring-interval = 0\n\n{}\n[[log]]\nlevel = \"warn\"\n\n{plugins}",
            daemon_table(dir.path(), "bench") + &format!("bus = \"unix:path={}/systemd/bus\"\n", dir.path().display())
        );
        let at = Instant::now();
        let daemon = Daemon::start(&self.reactord, &dir, &config, &[])?;
        Ok(Begun { at, daemon, listener, dir })
    }
}

/// A daemon that has just been started.
pub(crate) struct Begun {
    pub(crate) at: Instant,
    pub(crate) daemon: Daemon,
    /// The look-alike connects to it after its dump.
    listener: UnixListener,
    /// Removed last, when the daemon has ended.
    dir: TempDir,
}

impl Begun {
    /// Ends it.
    pub(crate) fn stop(self) -> Result<()> {
        let Self { daemon, listener: _listener, dir: _dir, .. } = self;
        daemon.stop()
    }
}

/// A daemon that is measured.
pub(crate) struct Run {
    pub(crate) daemon: Daemon,
    pub(crate) stub: Driver,
    /// Removed last, when the daemon has ended.
    _dir: TempDir,
}

fn accept(listener: &UnixListener, daemon: &mut Daemon) -> Result<Driver> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(Driver::new(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => daemon.must_run()?,
            Err(error) => return Err(error).context("waiting for the look-alike"),
        }
        if Instant::now() > deadline {
            bail!("reactord did not start drbdsetup within 30 s; its log:\n{}", daemon.log());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A metrics server at `port`.
pub(crate) fn prometheus(port: u16) -> String {
    format!("[[prometheus]]\naddress = \"127.0.0.1:{port}\"\n\n")
}

/// `count` rules as users have them, of which none matches: starting handlers is measured apart.
pub(crate) fn rules(count: usize) -> String {
    let mut text = String::from("[[umh]]\n\n");
    for n in 0..count {
        text += &match n % 5 {
            0 => format!(
                "[[umh.resource]]\nname = \"r{n}\"\nresource-name = \"db-{n:02}\"\ncommand = \"true\"\nnew.role = \"Primary\"\n"
            ),
            1 => format!("[[umh.device]]\nname = \"r{n}\"\ncommand = \"true\"\nnew.disk-state = \"Detaching\"\n"),
            2 => format!(
                "[[umh.connection]]\nname = \"r{n}\"\ncommand = \"true\"\nold.connection-state = \"Connected\"\n\
                 new.connection-state = \"StandAlone\"\n"
            ),
            3 => format!(
                "[[umh.peerdevice]]\nname = \"r{n}\"\ncommand = \"true\"\nnew.replication-state = \"VerifyS\"\n"
            ),
            _ => format!(
                "[[umh.device]]\nname = \"r{n}\"\ncommand = \"true\"\nold.quorum = true\nnew.quorum = \
                 {{ value = true, operator = \"NotEquals\" }}\n"
            ),
        };
        text.push('\n');
    }
    text
}
