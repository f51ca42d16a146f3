//! One command on several nodes: the nodes of a context, each by ssh, this one directly.
//!
//! ```text
//! context ─▶ nodes ─┬─▶ this node: the command itself ─┐
//!                   └─▶ ssh NODE drbd-reactorctl ... ──┴─▶ output of each, whole, when it is done ─▶ one exit code
//! ```
//!
//! A node that is dead or fails is one line and an exit code; it keeps nobody else from answering.

pub(crate) mod context;
pub(crate) mod pipe;
mod quote;
mod run;
mod ssh;
pub(crate) mod way;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use reactor_api::client::Client;

use crate::exit::Failure;
use crate::progress::{cut, width};
use crate::style::harmless;
use context::Node;

pub(crate) use run::run;

/// What takes longer is told on a terminal.
const SECOND: Duration = Duration::from_secs(1);

/// Asks all nodes at the same time as [`ask_all`] does, and keeps the connections.
pub(crate) fn connect_all<T: Send>(
    nodes: &[Node],
    within: Duration,
    ask: impl Fn(&mut Client) -> Result<T, Failure> + Sync,
) -> Vec<Result<(Client, T), Failure>> {
    at_once(nodes, |node| {
        let mut client = way::connect(node, within)?;
        let answer = ask(&mut client)?;
        Ok((client, answer))
    })
}

/// Asks all nodes at the same time, and gives what each has said, in their order. One that is dead costs [`way::LIMIT`], and its own answer.
pub(crate) fn ask_all<T: Send>(
    nodes: &[Node],
    within: Duration,
    ask: impl Fn(&mut Client) -> Result<T, Failure> + Sync,
) -> Vec<Result<T, Failure>> {
    at_once(nodes, |node| way::connect(node, within).and_then(|mut client| ask(&mut client)))
}

/// Does `one` for all nodes at the same time, and gives what came of each, in their order. Each has to end by itself.
pub(crate) fn at_once<T: Send>(
    nodes: &[Node],
    one: impl Fn(&Node) -> Result<T, Failure> + Sync,
) -> Vec<Result<T, Failure>> {
    let one = &one;
    thread::scope(|scope| {
        let (ended, endings) = mpsc::channel();
        let ask = |(at, node): (usize, &'_ Node)| {
            let ended = Ended { at, sender: ended.clone() };
            let node = node.clone();
            scope.spawn(move || {
                let _ended = ended;
                one(&node)
            })
        };
        let asked: Vec<_> = nodes.iter().enumerate().map(ask).collect();
        drop(ended);
        wait(nodes, &endings);
        let answer = |(node, asked): (&Node, thread::ScopedJoinHandle<'_, Result<T, Failure>>)| {
            // A panic of ours has printed itself.
            let why = || Failure::NotReached { node: node.name.clone(), why: "internal error".to_owned() };
            asked.join().unwrap_or_else(|_| Err(why()))
        };
        nodes.iter().zip(asked).map(answer).collect()
    })
}

/// Says so when it is dropped: also if there was a panic.
struct Ended {
    at: usize,
    sender: mpsc::Sender<usize>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody waits for it any more.
        let _ = self.sender.send(self.at);
    }
}

/// Until all have ended. On a terminal it is said who is waited for, if that takes longer than a second.
fn wait(nodes: &[Node], endings: &mpsc::Receiver<usize>) {
    let mut missing: BTreeSet<usize> = (0..nodes.len()).collect();
    let mut err = anstream::stderr();
    let (mut is_shown, is_terminal) = (false, io::stderr().is_terminal());
    loop {
        match endings.recv_timeout(SECOND) {
            Ok(at) => drop(missing.remove(&at)),
            Err(RecvTimeoutError::Timeout) if is_terminal => {
                let names: Vec<&str> = missing.iter().map(|at| nodes[*at].name.as_str()).collect();
                let line = cut(&harmless(&format!("waiting for {} ...", names.join(", "))), width().saturating_sub(1));
                // What can't be shown is no reason to stop.
                let _ = write!(err, "\r\u{1b}[K{line}").and_then(|()| err.flush());
                is_shown = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if is_shown {
        let _ = write!(err, "\r\u{1b}[K").and_then(|()| err.flush());
    }
}
