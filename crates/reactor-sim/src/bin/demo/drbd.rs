//! The simulated DRBD of the demo: its process, and what each node sees of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reactor_sim::lookalike::protocol::{Reply, Request};
use reactor_sim::lookalike::{Client, Identity, Spec, identity, units};

use crate::machine::{append, beside};

/// Generous: only what hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where it listens.
fn socket(dir: &Path) -> PathBuf {
    dir.join("drbd.sock")
}

/// Starts it for these nodes; it lives until `stop`.
pub(crate) fn start(dir: &Path, nodes: &[&str], resource: &str) -> Result<()> {
    let mut spec = Spec::new(nodes, &[resource]);
    // Every crashed primary that comes back loses a link, as recorded: the link keeper has something to do.
    spec.standalone_trap_percent = 100;
    let file = dir.join("drbd.json");
    fs::write(&file, serde_json::to_string_pretty(&spec)?)?;
    let log = append(&dir.join("drbd.log"))?;
    let mut command = Command::new(beside("sim-drbd")?);
    command.arg("--socket").arg(socket(dir)).arg(&file).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C is for us: we end it last.
    let child = command.process_group(0).spawn().context("starting the simulated DRBD")?;
    fs::write(dir.join("drbd.pid"), child.id().to_string())?;
    let end = Instant::now() + PATIENCE;
    while Client::connect(&socket(dir).display().to_string()).is_err() {
        if Instant::now() > end {
            bail!(
                "the simulated DRBD does not answer: {}",
                fs::read_to_string(dir.join("drbd.log")).unwrap_or_default()
            );
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Puts drbdsetup, drbdadm and the shim of a node into `bin`, and drbd-utils' unit files into `lib`.
pub(crate) fn tools(dir: &Path, node: &str, bin: &Path, lib: &Path) -> Result<()> {
    let identity = Identity { socket: socket(dir).display().to_string(), node: node.to_owned() };
    fs::write(bin.join(identity::FILE), serde_json::to_string(&identity)?)?;
    for (program, name) in [("sim-drbdsetup", "drbdsetup"), ("sim-drbdadm", "drbdadm"), ("sim-ctl", "sim-ctl")] {
        symlink(beside(program)?, bin.join(name)).with_context(|| format!("making {name}"))?;
    }
    units::write(bin, lib)?;
    Ok(())
}

/// What programs of a node have in their environment.
pub(crate) fn environment(dir: &Path, node: &str) -> Vec<(&'static str, String)> {
    vec![("SIM_DRBD", socket(dir).display().to_string()), ("SIM_NODE", node.to_owned())]
}

/// Does something to it, in the words of `sim-ctl`; gives what it prints.
pub(crate) fn control(dir: &Path, words: &[&str]) -> Result<String> {
    let args = words.iter().map(|word| (*word).to_owned()).collect();
    match Client::connect(&socket(dir).display().to_string())?.ask(&Request::Control { args })? {
        Reply::Done { code: 0, stdout, .. } => Ok(stdout),
        other => bail!("the simulated DRBD answers {other:?} to {words:?}"),
    }
}

/// The process, for its end.
pub(crate) fn pid(dir: &Path) -> Option<u32> {
    fs::read_to_string(dir.join("drbd.pid")).ok()?.trim().parse().ok()
}
