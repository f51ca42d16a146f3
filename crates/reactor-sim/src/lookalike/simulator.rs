//! `sim-drbd`, the simulated DRBD cluster as a process.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::program;
use super::server::{Listener, serve};
use super::spec::Spec;

/// Simulates a DRBD 9 cluster in real time.
#[derive(Parser)]
struct Arguments {
    /// Where to listen: the path of a Unix socket, or tcp:HOST:PORT.
    #[arg(long)]
    socket: String,
    /// End when standard input is closed.
    #[arg(long)]
    until_stdin_closes: bool,
    /// The cluster, as JSON.
    spec: PathBuf,
}

/// Its `main`.
pub fn main() -> ExitCode {
    let simulate = || -> Result<()> {
        let arguments = Arguments::parse();
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(simulate(arguments))
    };
    program::exit("sim-drbd", simulate().map(|()| 0))
}

async fn simulate(arguments: Arguments) -> Result<()> {
    let file = &arguments.spec;
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let spec: Spec = serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    let listener = Listener::bind(&arguments.socket).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let closed = stdin_closed(arguments.until_stdin_closes);
    writeln!(std::io::stdout(), "ready {}", listener.address()?)?;
    let end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            Ok(()) = closed => {}
        }
    };
    serve(listener, &spec, end).await
}

/// Is told when nobody holds the other end of standard input any more.
fn stdin_closed(watch: bool) -> oneshot::Receiver<()> {
    let (send, closed) = oneshot::channel();
    if watch {
        std::thread::spawn(move || {
            let mut bytes = [0; 64];
            while std::io::stdin().lock().read(&mut bytes).is_ok_and(|count| count > 0) {}
            let _ = send.send(());
        });
    }
    closed
}
