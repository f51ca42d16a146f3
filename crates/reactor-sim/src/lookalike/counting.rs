//! `sim-counter`, a small service for the simulated cluster: counts on a replicated device.
//!
//! Each acknowledged write is a line `SECONDS NODE NUMBER` in the log, the seconds since 1970. After a take-over the next node reads
//! the last number and goes on from there, so that a lost write shows as a number that comes twice.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use super::client::Client;
use super::identity::Identity;
use super::program;
use super::protocol::{Reply, Request};

/// Counts on a replicated device of the simulated cluster.
#[derive(Parser)]
struct Arguments {
    /// The resource.
    resource: String,
    /// The volume.
    #[arg(long, default_value_t = 0)]
    volume: u32,
    /// Milliseconds between two writes.
    #[arg(long, default_value_t = 100)]
    interval: u64,
    /// Each acknowledged write is appended to this file.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Say each acknowledged write on standard output too.
    #[arg(long)]
    verbose: bool,
}

/// Its `main`.
pub fn main() -> ExitCode {
    program::exit("sim-counter", count(&Arguments::parse()).map(|()| 0))
}

fn count(arguments: &Arguments) -> Result<()> {
    let terminated = on_terminate()?;
    let identity = Identity::find()?;
    let mut log = arguments.log.as_ref().map(open_log).transpose()?;
    let mut client = Client::connect(&identity.socket)?;
    let (node, resource) = (identity.node, arguments.resource.clone());
    let open = Request::Open { node: node.clone(), resource, volume: arguments.volume };
    let began = number(client.ask(&open)?).with_context(|| format!("opening {} on {node}", arguments.resource))?;
    writeln!(std::io::stdout(), "{node}: {} has {began}", arguments.resource)?;
    let interval = Duration::from_millis(arguments.interval);
    while terminated.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        let value = number(client.ask(&Request::Write)?).with_context(|| format!("writing {}", arguments.resource))?;
        let line = line(&node, value);
        if let Some(log) = &mut log {
            log.write_all(line.as_bytes()).context("writing the log")?;
        }
        if arguments.verbose {
            std::io::stdout().write_all(line.as_bytes())?;
        }
    }
    client.ask(&Request::Close)?;
    Ok(())
}

fn open_log(path: &PathBuf) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(path).with_context(|| format!("opening {}", path.display()))
}

fn line(node: &str, value: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06} {node} {value}\n", now.as_secs(), now.subsec_micros())
}

fn number(reply: Reply) -> Result<u64> {
    match reply {
        Reply::Value { value } => Ok(value),
        Reply::Errno { errno } => Err(std::io::Error::from_raw_os_error(errno).into()),
        Reply::Done { stderr, .. } => bail!("{}", stderr.trim_end()),
        Reply::Text { .. } => bail!("the simulator answers something else"),
    }
}

/// SIGTERM, as a message: a write that is under way is waited for first, as the kernel would.
fn on_terminate() -> Result<Receiver<()>> {
    let (send, terminated) = channel();
    let (ready, is_ready) = channel();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
            let _ = ready.send(());
            terminate.recv().await;
            let _ = send.send(());
        });
    });
    is_ready.recv().context("can't wait for SIGTERM")?;
    Ok(terminated)
}
