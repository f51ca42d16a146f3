//! The folder of the demo: what is where, and how each program of the cluster is called.
//!
//! ```text
//!  DIR/drbd.sock            the simulated DRBD of all nodes
//!  DIR/reactorctl           the context of the three nodes
//!  DIR/n1.toml              configuration of the daemon of n1
//!  DIR/n1/{run,state}       its folders
//!  DIR/n1/lib               the unit of the service
//!  DIR/n1/units             generated unit files, and those of drbd-utils
//!  DIR/n1/bin               drbdsetup, drbdadm and drbd-utils' shim, as n1 sees them
//!  DIR/n1/systemd           the bus of its systemd, and the output of its units
//!  DIR/n1/account           what the counter wrote on n1
//! ```

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use reactor_sim::daemon::daemon_table;
use reactor_sim::systemd_bus::harness::dbus_daemon;

use crate::drbd;
use crate::machine::{self, append, beside};

/// The nodes.
const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// The resource.
const RESOURCE: &str = "r1";
/// Says that a folder is one of ours.
const MARK: &str = "storage-reactor-demo";

/// The folder.
pub(crate) struct Layout {
    dir: PathBuf,
    nodes: Vec<Node>,
}

/// One node's part of it.
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: String,
    dir: PathBuf,
}

impl Layout {
    /// A new cluster in a temporary folder, with the simulated DRBD running and all nodes off.
    pub(crate) fn create() -> Result<Self> {
        if dbus_daemon().is_none() {
            bail!("dbus-daemon is not installed (Debian package dbus-daemon); the nodes' systemd needs it");
        }
        let layout = Self::at(new_folder()?);
        match layout.set_up() {
            Ok(()) => Ok(layout),
            Err(error) => {
                let _ = layout.end();
                Err(error)
            }
        }
    }

    /// The cluster in this folder.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().with_context(|| format!("the folder {}", dir.display()))?;
        if !dir.join(MARK).is_file() {
            bail!("{} is no folder of a demo", dir.display());
        }
        Ok(Self::at(dir))
    }

    fn at(dir: PathBuf) -> Self {
        let node = |name: &str| Node { name: name.to_owned(), dir: dir.join(name) };
        let nodes = NODES.map(node).into();
        Self { dir, nodes }
    }

    fn set_up(&self) -> Result<()> {
        fs::write(self.dir.join(MARK), "")?;
        for node in &self.nodes {
            self.set_up_node(node).with_context(|| format!("making {}", node.name))?;
        }
        self.write_context()?;
        drbd::start(&self.dir, &NODES, RESOURCE)
    }

    /// For `reactorctl status --all` and what else is about all nodes.
    fn write_context(&self) -> Result<()> {
        let folder = self.dir.join("reactorctl");
        DirBuilder::new().mode(0o700).create(&folder)?;
        let table = |node: &Node| format!("[nodes.{}]\nsocket = \"{}\"\n", node.name, node.socket().display());
        let path = folder.join("default.toml");
        fs::write(&path, self.nodes.iter().map(table).collect::<String>())?;
        Ok(fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?)
    }

    fn set_up_node(&self, node: &Node) -> Result<()> {
        for name in ["run", "state", "units", "lib", "bin"] {
            DirBuilder::new().mode(0o700).recursive(true).create(node.dir.join(name))?;
        }
        drbd::tools(&self.dir, &node.name, &node.dir.join("bin"), &node.dir.join("units"))?;
        fs::write(node.dir.join("lib/counter.service"), self.counter_unit(node)?)?;
        fs::write(self.config(node), self.configuration(node))?;
        fs::set_permissions(self.config(node), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(())
    }

    /// As an administrator would write it.
    fn counter_unit(&self, node: &Node) -> Result<String> {
        let program = beside("demo-counter")?;
        Ok(format!(
            "[Unit]\nDescription=Writes a counter to the replicated device\n\n[Service]\nType=notify\n\
             Environment={}\nExecStart={} --resource {RESOURCE} --account {}\nTimeoutStopSec=2\n",
            drbd::environment(&self.dir, &node.name)
                .iter()
                .map(|(name, value)| format!("\"{name}={value}\""))
                .collect::<Vec<_>>()
                .join(" "),
            program.display(),
            node.account().display()
        ))
    }

    fn configuration(&self, node: &Node) -> String {
        format!(
            "{}bus = \"unix:path={}\"\n\n[[log]]\nlevel = \"info\"\n\n[[promoter]]\n\n[promoter.resources.{RESOURCE}]\n\
             start = [\"counter.service\"]\n",
            daemon_table(&node.dir, &node.name)
                .replace(&format!("{}/drbd", node.dir.display()), &format!("{}/bin/drbd", node.dir.display())),
            node.dir.join("systemd/bus").display()
        )
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One of them.
    pub(crate) fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.with_context(|| format!("there is no node {name}, only {}", NODES.join(", ")))
    }

    /// The replicated resource.
    pub(crate) fn resource(&self) -> &'static str {
        RESOURCE
    }

    /// The configuration of a node's daemon.
    pub(crate) fn config(&self, node: &Node) -> PathBuf {
        self.dir.join(format!("{}.toml", node.name))
    }

    /// The systemd of a node.
    pub(crate) fn systemd(&self, node: &Node) -> Result<Command> {
        let mut command = Command::new(beside("mock-systemd")?);
        command.arg("--folder").arg(node.dir.join("systemd"));
        command.arg("--units").arg(node.dir.join("units")).arg("--units").arg(node.dir.join("lib"));
        command.envs(drbd::environment(&self.dir, &node.name));
        Ok(command)
    }

    /// The daemon of a node.
    pub(crate) fn reactord(&self, node: &Node) -> Command {
        let program = beside("reactord").unwrap_or_else(|_| PathBuf::from("reactord"));
        let mut command = Command::new(program);
        command.arg("--config").arg(self.config(node)).envs(drbd::environment(&self.dir, &node.name));
        command
    }

    /// drbdadm of a node.
    pub(crate) fn drbdadm(&self, node: &Node) -> Command {
        let mut command = Command::new(node.dir.join("bin/drbdadm"));
        command.envs(drbd::environment(&self.dir, &node.name));
        command
    }

    /// Does something to the simulated cluster, in the words of `sim-ctl`; gives what it prints.
    pub(crate) fn control(&self, words: &[&str]) -> Result<String> {
        drbd::control(&self.dir, words)
    }

    /// The ends of all logs, for an error.
    pub(crate) fn complaints(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            for name in ["machine", "mock-systemd", "reactord"] {
                let path = node.dir.join(format!("{name}.log"));
                let log = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = &lines[lines.len().saturating_sub(15)..];
                if !last.is_empty() {
                    text += &format!("--- {}\n{}\n", path.display(), last.join("\n"));
                }
            }
        }
        text
    }

    /// What to type, for a cluster that is left running.
    pub(crate) fn invitation(&self) -> Result<String> {
        let dir = self.dir.display();
        let (ctl, demo) = (beside("reactorctl")?, beside("demo")?);
        let (ctl, demo) = (ctl.display(), demo.display());
        Ok(format!(
            "\nThe cluster runs on. To play with it:\n\
             \x20 export XDG_CONFIG_HOME={dir}        # its nodes, for reactorctl\n\
             \x20 {ctl} status --all                  # where it runs, and how it is\n\
             \x20 {ctl} --node n1 status              # what n1 sees\n\
             \x20 {ctl} --node n1 why {RESOURCE}              # what holds there, and why\n\
             \x20 {ctl} --node n1 hold {RESOURCE}             # leave it alone there; release, clear\n\
             \x20 {ctl} --node n2 changes --follow\n\
             \x20 tail -f {dir}/n*/account            # the counter's writes\n\
             \x20 {demo} off {dir} n1                 # cut the power of n1; on\n\
             \x20 {demo} cut {dir} n2                 # cut the network of n2; heal {dir}\n\
             \x20 {demo} stop {dir}                   # end it and remove the folder"
        ))
    }

    /// Ends everything, and removes the folder.
    pub(crate) fn end(&self) -> Result<()> {
        let ended: Vec<Result<()>> = self.nodes.iter().map(machine::shut_down).collect();
        let stopped = drbd::pid(&self.dir).map_or(Ok(()), machine::end);
        fs::remove_dir_all(&self.dir).with_context(|| format!("removing {}", self.dir.display()))?;
        ended.into_iter().chain([stopped]).collect()
    }
}

impl Node {
    /// What lies below `/run` on a real node is gone after a power cut: sockets, and generated unit files.
    pub(crate) fn forget_run(&self) -> Result<()> {
        let mut volatile = vec![self.dir.join("run"), self.dir.join("systemd")];
        for entry in fs::read_dir(self.dir.join("units"))? {
            volatile.extend(Some(entry?.path()).filter(|path| path.is_dir()));
        }
        for folder in volatile.iter().filter(|folder| folder.exists()) {
            fs::remove_dir_all(folder)?;
        }
        Ok(DirBuilder::new().mode(0o700).create(self.dir.join("run"))?)
    }

    /// The control socket of its daemon.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("run/control.sock")
    }

    /// What its counter wrote.
    pub(crate) fn account(&self) -> PathBuf {
        self.dir.join("account")
    }

    /// Which processes are its own.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.dir.join("machine.pid")
    }

    /// A log of one of its programs.
    pub(crate) fn log(&self, name: &str) -> Result<File> {
        append(&self.dir.join(format!("{name}.log")))
    }
}

/// A new folder for us only.
fn new_folder() -> Result<PathBuf> {
    let base = std::env::temp_dir();
    for attempt in 0..100 {
        let path = base.join(format!("reactor-demo-{}-{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("creating {}", path.display())),
        }
    }
    bail!("no free name for a folder in {}", base.display())
}
