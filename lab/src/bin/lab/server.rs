//! The cluster's process: `lab up` leaves it behind, the other commands talk to it over a Unix socket.
//!
//! The socket is in the run folder, which only this user can enter.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::agent::wire::Stream;
use lab::cluster::{Cluster, ClusterError, Node, Options, Power, quoted};
use lab::image::Image;
use lab::switch::{Flap, Link, LinkState, Net, PartsPerMillion};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::cli::Up;
use crate::shell;
use crate::wire::{DiskOrder, Fault, PowerOrder, Reply, Request, SOCKET};

/// Boots the cluster, says so to `lab up` at the other end of standard input, and serves until `lab down`.
pub(crate) fn serve(name: &str, up: &Up, image: Image) -> Result<()> {
    let starter = StdStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let _has_one = rustix::process::setsid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(name, up, image, starter))
}

async fn run(name: &str, up: &Up, image: Image, starter: StdStream) -> Result<()> {
    starter.set_nonblocking(true)?;
    let mut starter = UnixStream::from_std(starter)?;
    let mut options = Options::new(up.nodes, image);
    options.name = name.to_owned();
    options.disks = up.disks;
    options.disk_mib = up.disk_mib;
    options.memory_mib = up.memory_mib;
    options.seed = up.seed;
    options.lab = Some(std::env::current_exe()?);
    let mut cluster = match Cluster::prepare(&options) {
        Ok(cluster) => cluster,
        Err(error) => return say(&mut starter, &failed(&error)).await,
    };
    if up.keep {
        cluster.keep();
    }
    let socket = cluster.folder().join(SOCKET);
    let listener = UnixListener::bind(&socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut boots = boot(&cluster);
    let mut byte = [0];
    while !boots.is_empty() {
        tokio::select! {
            // `lab up` has been given up: so is the cluster.
            _ = starter.read(&mut byte) => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            Some(booted) = boots.join_next() => match booted? {
                Ok(text) => say(&mut starter, &Reply::Said { text }).await?,
                Err(error) => return say(&mut starter, &failed(&error)).await,
            },
        }
    }
    say(&mut starter, &Reply::Done).await?;
    drop(starter);
    let served = Rc::new(Served { cluster, end: Notify::new() });
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::task::spawn_local(answer(Rc::clone(&served), stream));
            }
            () = served.end.notified() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

struct Served {
    cluster: Cluster,
    end: Notify,
}

/// Boots every node at once.
fn boot(cluster: &Cluster) -> JoinSet<Result<String, ClusterError>> {
    let within = cluster.patience();
    let boot = |node: &std::sync::Arc<Node>| {
        let node = std::sync::Arc::clone(node);
        async move {
            let took = node.boot(within).await?;
            Ok(format!("{} is up after {:.1} s", node.name(), took.as_secs_f64()))
        }
    };
    cluster.nodes().iter().map(boot).collect()
}

async fn say(stream: &mut UnixStream, reply: &Reply) -> Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(stream.write_all(&line).await?)
}

fn failed(error: &ClusterError) -> Reply {
    Reply::Failed { why: format!("{:#}", anyhow::Error::msg(chain(error))) }
}

/// The error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// Answers one command.
async fn answer(served: Rc<Served>, stream: UnixStream) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let mut stream = stream.into_inner();
    let request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => {
            let why = format!("this lab and the cluster's process are of different versions: {error}");
            let _gone = say(&mut stream, &Reply::Failed { why }).await;
            return;
        }
    };
    let reply = match request {
        Request::Shell { node, terminal } => match served.cluster.node(&node) {
            Ok(node) => match shell::serve(node, &terminal, &mut stream).await {
                Ok(()) => return,
                Err(error) => failed(&error),
            },
            Err(error) => failed(&error),
        },
        request => match carry_out(&served, request, &mut stream).await {
            Ok(reply) => reply,
            Err(error) => failed(&error),
        },
    };
    // Whoever asked may be gone.
    let _gone = say(&mut stream, &reply).await;
}

async fn carry_out(served: &Served, request: Request, stream: &mut UnixStream) -> Result<Reply, ClusterError> {
    let cluster = &served.cluster;
    let patience = cluster.patience();
    match request {
        Request::Status => {
            let _gone = say(stream, &Reply::Printed { error: false, bytes: status(cluster).into_bytes() }).await;
        }
        Request::Exec { node, command, within } => return exec(cluster.node(&node)?, &command, within, stream).await,
        Request::Power { nodes, order } => {
            for name in &nodes {
                cluster.node(name)?;
            }
            for name in nodes {
                let text = power(cluster.node(&name)?, order, patience).await?;
                let _gone = say(stream, &Reply::Said { text }).await;
            }
        }
        Request::Fault { from, to, one_way, fault } => inflict(cluster, &from, to.as_deref(), one_way, fault)?,
        Request::HealAll => cluster.heal_all()?,
        Request::Disk { node, disk, order } => {
            let node = cluster.node(&node)?;
            match order {
                DiskOrder::Fail => node.fail_disk(disk).await?,
                DiskOrder::Repair => node.repair_disk(disk).await?,
                DiskOrder::Remove => node.remove_disk(disk).await?,
                DiskOrder::Add => node.add_disk(disk).await?,
            }
        }
        Request::Push { node, from, to } => cluster.node(&node)?.push(&from, &to, patience).await?,
        Request::Pull { node, from, to } => cluster.node(&node)?.pull(&from, &to, patience).await?,
        Request::Capture { file: Some(file) } => cluster.switch().capture(Net::DATA, &file)?,
        Request::Capture { file: None } => cluster.switch().end_capture(Net::DATA),
        Request::Down { force } => {
            if !force {
                cluster.power_off_all().await?;
            }
            served.end.notify_one();
        }
        Request::Shell { .. } => {}
    }
    Ok(Reply::Done)
}

/// Runs a command and passes on what it prints, while it runs. Who asked and has gone ends it.
async fn exec(node: &Node, command: &str, within: Duration, stream: &mut UnixStream) -> Result<Reply, ClusterError> {
    let (printed, mut to_say) = mpsc::unbounded_channel();
    let ended = node.exec_shown(command, within, |from, bytes| {
        let printed_now = Reply::Printed { error: matches!(from, Stream::Stderr), bytes: bytes.to_owned() };
        // The other end is below and lives as long.
        let _there = printed.send(printed_now);
    });
    tokio::pin!(ended);
    let mut byte = [0];
    loop {
        tokio::select! {
            Some(reply) = to_say.recv() => {
                let _gone = say(stream, &reply).await;
            }
            ended = &mut ended => {
                while let Ok(reply) = to_say.try_recv() {
                    let _gone = say(stream, &reply).await;
                }
                let output = ended?;
                let lost = output.lost_stdout + output.lost_stderr;
                if lost > 0 {
                    let bytes = format!("lab: {lost} bytes more were printed and are lost\n").into_bytes();
                    let _gone = say(stream, &Reply::Printed { error: true, bytes }).await;
                }
                return Ok(Reply::Ended { code: output.code });
            }
            Ok(0) | Err(_) = stream.read(&mut byte) => return Ok(Reply::Ended { code: 1 }),
        }
    }
}

async fn power(node: &Node, order: PowerOrder, patience: Duration) -> Result<String, ClusterError> {
    let name = node.name();
    Ok(match order {
        PowerOrder::Boot => format!("{name} is up after {:.1} s", node.boot(patience).await?.as_secs_f64()),
        PowerOrder::Off => format!("{name} has {}", node.power_off(patience).await?),
        PowerOrder::Reboot => format!("{name} is up again after {:.1} s", node.reboot(patience).await?.as_secs_f64()),
        PowerOrder::Crash => format!("{name} has {}", node.crash().await?),
        PowerOrder::Kill => {
            node.kill().await?;
            format!("{name} has lost its power")
        }
        PowerOrder::Hang => {
            node.hang()?;
            format!("{name} hangs")
        }
        PowerOrder::Resume => {
            node.resume()?;
            format!("{name} goes on")
        }
    })
}

fn inflict(cluster: &Cluster, from: &str, to: Option<&str>, one_way: bool, fault: Fault) -> Result<(), ClusterError> {
    let Some(to) = to else { return cluster.isolate(from) };
    let since = cluster.switch().elapsed();
    let change = |link: &mut Link| match fault {
        Fault::Cut => link.cut = true,
        Fault::Heal => *link = Link::default(),
        Fault::Delay { delay, jitter } => (link.delay, link.jitter) = (delay, jitter),
        Fault::Loss { parts_per_million } => link.loss = PartsPerMillion(parts_per_million),
        Fault::Flap { down, up } => link.flap = Some(Flap { since, down, up }),
    };
    if one_way { cluster.link(from, to, change) } else { cluster.both_ways(from, to, change) }
}

/// The nodes and the faults, as a table.
fn status(cluster: &Cluster) -> String {
    let mut text = format!("{:<6}{:<28}{:<14}{}\n", "NODE", "STATE", "DATA", "MANAGEMENT");
    for node in cluster.nodes() {
        let state = match node.power() {
            Power::On { pid } => format!("on (process {pid})"),
            Power::Hung => "hangs".to_owned(),
            Power::Off(None) => "off".to_owned(),
            Power::Off(Some(exit)) => format!("off: {exit}"),
        };
        let addresses = [Net::DATA, Net::MGMT].map(|net| node.address(net).to_string());
        text += &format!("{:<6}{:<28}{:<14}{}\n", node.name(), state, addresses[0], addresses[1]);
    }
    let faulty = cluster.links().into_iter().filter(|(.., link, _)| *link != Link::default());
    let faulty: String =
        faulty.map(|(from, to, link, _)| format!("  {from} -> {to}: {}\n", LinkState(&link))).collect();
    if !faulty.is_empty() {
        text += "faults of the data network:\n";
        text += &faulty;
    }
    text += &format!("folder: {}\n", cluster.folder().display());
    text
}

/// A shell command of several words that arrive as they are.
pub(crate) fn shell_line(words: &[String]) -> String {
    match words {
        [line] => line.clone(),
        words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}
