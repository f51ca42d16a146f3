//! A small service for the demo: it writes the next number to a replicated device, waits until DRBD acknowledged it, and so on.
//!
//! It is as stubborn as a good service: a write that is refused is tried again, until systemd stops it. What it did is in its account
//! ([`reactor_sim::counter`]), which is local to the node.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use jiff::Timestamp;
use reactor_sim::counter::{Entry, line};
use reactor_sim::lookalike::protocol::{Reply, Request};
use reactor_sim::lookalike::{Client, Identity};

/// Writes a counter to a replicated device.
#[derive(Parser)]
struct Args {
    /// The DRBD resource; its volume 0 is written
    #[arg(long)]
    resource: String,
    /// Where to write down what it did
    #[arg(long)]
    account: PathBuf,
    /// Milliseconds between two writes
    #[arg(long, default_value_t = 20)]
    every_ms: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let identity = Identity::find()?;
    let mut account = open_account(&args.account)?;
    let mut device = Client::connect(&identity.socket)?;
    let open = Request::Open { node: identity.node, resource: args.resource, volume: 0 };
    match device.ask(&open)? {
        Reply::Value { value } => note(&mut account, &Entry::Opened(value))?,
        reply => {
            let why = refusal(&reply)?;
            note(&mut account, &Entry::NotOpened(why.clone()))?;
            bail!("can't open the device: {why}");
        }
    }
    ready()?;
    loop {
        match device.ask(&Request::Write)? {
            Reply::Value { value } => note(&mut account, &Entry::Acknowledged(value))?,
            reply => note(&mut account, &Entry::Refused(refusal(&reply)?))?,
        }
        sleep(Duration::from_millis(args.every_ms));
    }
}

fn open_account(path: &PathBuf) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}

/// In one call, so that no line is cut when the power is.
fn note(account: &mut File, entry: &Entry) -> Result<()> {
    account.write_all(line(Timestamp::now().as_microsecond(), entry).as_bytes()).context("writing the account")
}

fn refusal(reply: &Reply) -> Result<String> {
    match reply {
        Reply::Errno { errno } => {
            let text = std::io::Error::from_raw_os_error(*errno).to_string();
            Ok(text.split(" (os error").next().unwrap_or_default().to_owned())
        }
        other => bail!("the simulator answers {other:?}"),
    }
}

/// Tells systemd, if it wants to know.
fn ready() -> Result<()> {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let sender = UnixDatagram::unbound().context("making a socket")?;
    sender.send_to(b"READY=1", PathBuf::from(socket)).context("telling systemd that we are ready")?;
    Ok(())
}
