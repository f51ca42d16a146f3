//! The commands' side: starts the cluster's process, talks to it, prints what it says.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result, bail};
use lab::cluster::rundir::RunDir;
use lab::image::Image;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::cli::Up;
use crate::shell;
use crate::wire::{Reply, Request, SOCKET};

/// What the command's own exit code becomes.
pub(crate) type Code = i32;

/// Where the cluster's process writes what it has no other place for.
fn log_file(name: &str) -> PathBuf {
    RunDir::base().join(format!("{name}.log"))
}

/// Starts the cluster's process and follows it until all nodes are up. Ctrl-C gives up and leaves nothing.
pub(crate) async fn up(name: &str, up: &Up, image: &Image) -> Result<Code> {
    if StdStream::connect(RunDir::base().join(name).join(SOCKET)).is_ok() {
        bail!("the cluster {name} is running: `lab down` ends it, `lab --cluster OTHER up` starts another one");
    }
    let (ours, theirs) = StdStream::pair()?;
    let mut command = Process::new(std::env::current_exe()?);
    command.args(["--cluster", name, "serve"]).arg(up.nodes.to_string());
    command.args(["--disks", &up.disks.to_string(), "--disk-mib", &up.disk_mib.to_string()]);
    command.args(["--memory-mib", &up.memory_mib.to_string(), "--seed", &up.seed.to_string()]);
    if up.keep {
        command.arg("--keep");
    }
    command.arg("--given").arg(serde_json::to_string(image)?);
    let seconds = if image.emulator().is_some() { "30 to 90 s" } else { "2 to 30 s" };
    say(&format!("booting {} nodes ({seconds}) ...", up.nodes))?;
    let mut child = command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the cluster's process")?;
    // Dropping the command closes our copy of the child's end.
    drop(command);
    ours.set_nonblocking(true)?;
    let mut replies = BufReader::new(UnixStream::from_std(ours)?).lines();
    loop {
        let Some(line) = replies.next_line().await? else {
            let output = child.wait_with_output()?;
            bail!("the cluster's process has ended: {}", String::from_utf8_lossy(&output.stderr).trim());
        };
        match serde_json::from_str(&line)? {
            Reply::Said { text } => say(&text)?,
            Reply::Done => break,
            Reply::Failed { why } => {
                child.wait()?;
                bail!("{why}");
            }
            Reply::Printed { .. } | Reply::Ended { .. } | Reply::Stream => {}
        }
    }
    let prefix = if name == "lab" { "lab".to_owned() } else { format!("lab --cluster {name}") };
    say(&format!("the cluster is up: `{prefix} shell n1`, `{prefix} status`, `{prefix} down`"))?;
    Ok(0)
}

/// Sends a request and prints the answer.
pub(crate) async fn ask(name: &str, request: &Request) -> Result<Code> {
    let mut replies = BufReader::new(connect(name, request).await?);
    loop {
        let mut line = String::new();
        if replies.read_line(&mut line).await? == 0 {
            bail!("the cluster {name} has ended ({} may say why)", log_file(name).display());
        }
        match serde_json::from_str(&line)? {
            Reply::Said { text } => say(&text)?,
            Reply::Done => return Ok(0),
            Reply::Failed { why } => bail!("{why}"),
            Reply::Printed { error: false, bytes } => {
                let mut stdout = std::io::stdout();
                stdout.write_all(&bytes)?;
                stdout.flush()?;
            }
            Reply::Printed { error: true, bytes } => std::io::stderr().write_all(&bytes)?,
            Reply::Ended { code } => return Ok(code),
            Reply::Stream => {
                let first = replies.buffer().to_vec();
                shell::interact(replies.into_inner(), first).await?;
                return Ok(0);
            }
        }
    }
}

async fn connect(name: &str, request: &Request) -> Result<UnixStream> {
    let socket = RunDir::base().join(name).join(SOCKET);
    let mut stream = UnixStream::connect(&socket)
        .await
        .with_context(|| format!("no cluster {name} is running (`lab up` starts one): {}", socket.display()))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    Ok(stream)
}

/// Ends the cluster and waits until its process is gone, and its folder with it.
pub(crate) async fn down(name: &str, force: bool) -> Result<Code> {
    let stream = connect(name, &Request::Down { force }).await?;
    let process = stream.peer_cred()?.pid().and_then(Pid::from_raw);
    let process = process.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    if let Ok(Reply::Failed { why }) = serde_json::from_str(&line) {
        bail!("{why} (`lab down --force` cuts the power)");
    }
    if let Some(Ok(process)) = process {
        // Nothing else is to be done meanwhile.
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None)?;
    }
    let folder = RunDir::base().join(name);
    if folder.exists() {
        say(&format!("consoles, journals and disks stay in {} (`lab clean` removes them)", folder.display()))?;
    }
    Ok(0)
}

/// Prints a node's console from the beginning.
pub(crate) fn console(name: &str, node: &str) -> Result<Code> {
    let path = RunDir::base().join(name).join(node).join("console.log");
    let text = std::fs::read(&path).with_context(|| format!("{node} has no console yet: {}", path.display()))?;
    std::io::stdout().write_all(&text)?;
    Ok(0)
}

/// A line for the person.
pub(crate) fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
