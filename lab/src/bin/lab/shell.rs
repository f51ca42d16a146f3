//! A person's shell in a node: the second serial line, with a login of its own, beside the agent's.
//!
//! The person's terminal is raw for that time: line editing, Ctrl-C and job control are done in the node.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Result;
use lab::cluster::{ClusterError, Node, quoted};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::wire::{Reply, Terminal};

/// Leaves the shell as it is: Ctrl-].
const LEAVE: u8 = 0x1d;
const UNIT: &str = "lab-shell.service";
const A_WORKING_DAY: Duration = Duration::from_secs(12 * 3600);
const A_WHILE: Duration = Duration::from_secs(60);

/// The cluster's side: starts the shell and carries bytes until either end has enough.
pub(crate) async fn serve(node: &Node, terminal: &Terminal, client: &mut UnixStream) -> Result<(), ClusterError> {
    let line = node.take_shell()?;
    let served = converse(node, terminal, client, &line).await;
    node.return_shell(line);
    served
}

async fn converse(
    node: &Node,
    terminal: &Terminal,
    client: &mut UnixStream,
    line: &std::os::unix::net::UnixStream,
) -> Result<(), ClusterError> {
    let broken = |source| ClusterError::Line { node: node.name().to_owned(), source };
    let line = line.try_clone().map_err(broken)?;
    let mut line = UnixStream::from_std(line).map_err(broken)?;
    // What an earlier shell has left in the line.
    let mut old = [0; 4096];
    while let Ok(1..) = line.try_read(&mut old) {}
    let start = start(terminal);
    let ended = node.exec(&start, A_WORKING_DAY);
    tokio::pin!(ended);
    let mut stream = serde_json::to_vec(&Reply::Stream).unwrap_or_default();
    stream.push(b'\n');
    client.write_all(&stream).await.map_err(broken)?;
    let left = tokio::select! {
        // The shell has ended; what it said last is in the line.
        output = &mut ended => {
            while let Ok(length @ 1..) = line.try_read(&mut old) {
                client.write_all(&old[..length]).await.map_err(broken)?;
            }
            let output = output?;
            if output.code != 0 && !output.stderr.is_empty() {
                client.write_all(&output.stderr).await.map_err(broken)?;
            }
            false
        }
        _ = tokio::io::copy_bidirectional(client, &mut line) => true,
    };
    if left {
        node.exec(&format!("systemctl kill --signal=KILL {UNIT}"), A_WHILE).await?;
    }
    Ok(())
}

/// The command that is the shell, for as long as it lives.
fn start(terminal: &Terminal) -> String {
    let Terminal { rows, columns, name } = terminal;
    format!(
        "systemd-run --quiet --wait --collect --unit={UNIT} --service-type=exec \
         --property=StandardInput=tty-force --property=StandardOutput=tty --property=StandardError=tty \
         --property=TTYPath=/dev/ttyS1 --property=TTYReset=yes --property=TTYVHangup=yes --property=SendSIGHUP=yes \
         --property=IgnoreSIGPIPE=no --property=WorkingDirectory=/root --setenv=HOME=/root --setenv=USER=root --setenv=TERM={} \
         /bin/sh -c 'stty sane rows {rows} columns {columns}; exec bash --login'",
        quoted(name)
    )
}

/// The person's terminal, raw until this is dropped.
struct Raw(Option<Termios>);

impl Raw {
    fn new() -> Result<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // The terminal may be gone.
            let _gone = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Now, before);
        }
    }
}

/// What the person's terminal is like.
pub(crate) fn terminal() -> Terminal {
    let size = tcgetwinsize(std::io::stdin().as_fd()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
    let name = std::env::var("TERM").unwrap_or_else(|_| "vt100".to_owned());
    Terminal { rows, columns, name }
}

/// The person's side, after the cluster has said `Stream`.
pub(crate) async fn interact(stream: UnixStream, first: Vec<u8>) -> Result<()> {
    let raw = Raw::new()?;
    let (mut read, mut write) = stream.into_split();
    let mut stdout = tokio::io::stdout();
    stdout.write_all(&first).await?;
    stdout.flush().await?;
    let input = tokio::spawn(async move {
        let mut stdin = tokio::io::stdin();
        forward(&mut stdin, &mut write).await
    });
    let mut buffer = [0; 4096];
    tokio::pin!(input);
    let mut typing = true;
    loop {
        tokio::select! {
            length = read.read(&mut buffer) => match length? {
                0 => break,
                length => {
                    stdout.write_all(&buffer[..length]).await?;
                    stdout.flush().await?;
                }
            },
            left = &mut input, if typing => match left?? {
                Left::ByKey => break,
                Left::AtEnd => typing = false,
            },
        }
    }
    drop(raw);
    stdout.write_all(b"\n").await?;
    stdout.flush().await?;
    // A read of standard input may be under way that nothing can end but the process' end.
    std::process::exit(0);
}

enum Left {
    ByKey,
    AtEnd,
}

/// Carries what the person types; the end of a file is the end of the terminal's input.
async fn forward(from: &mut (impl AsyncRead + Unpin), to: &mut tokio::net::unix::OwnedWriteHalf) -> Result<Left> {
    const END_OF_INPUT: u8 = 4;
    let mut buffer = [0; 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let typed = &buffer[..length];
        if length == 0 {
            to.write_all(&[END_OF_INPUT]).await?;
            return Ok(Left::AtEnd);
        }
        if typed.contains(&LEAVE) {
            return Ok(Left::ByKey);
        }
        to.write_all(typed).await?;
    }
}
