//! The simulated DRBD cluster as a process, for tests and the demo. It is never installed. See `reactor_sim::lookalike`.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use reactor_sim::lookalike::Spec;
use reactor_sim::lookalike::server::{Listener, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
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
