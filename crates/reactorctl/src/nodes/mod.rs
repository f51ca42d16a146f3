//! One command on several nodes: the nodes of a context, each by ssh, this one directly.
//!
//! ```text
//! context ─▶ nodes ─┬─▶ this node: the command itself ─┐
//!                   └─▶ ssh NODE drbd-reactorctl ... ──┴─▶ output of each, whole, when it is done ─▶ one exit code
//! ```
//!
//! A node that is dead or fails is one line and an exit code; it keeps nobody else from answering.

pub(crate) mod context;
mod quote;
mod run;
mod ssh;
pub(crate) mod way;

use std::thread;

use reactor_api::client::Client;

use crate::exit::Failure;
use context::Node;

pub(crate) use run::run;

/// Asks all nodes at the same time as [`ask_all`] does, and keeps the connections.
pub(crate) fn connect_all<T: Send>(
    nodes: &[Node],
    within: std::time::Duration,
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
    within: std::time::Duration,
    ask: impl Fn(&mut Client) -> Result<T, Failure> + Sync,
) -> Vec<Result<T, Failure>> {
    at_once(nodes, |node| way::connect(node, within).and_then(|mut client| ask(&mut client)))
}

fn at_once<T: Send>(nodes: &[Node], one: impl Fn(&Node) -> Result<T, Failure> + Sync) -> Vec<Result<T, Failure>> {
    let one = &one;
    thread::scope(|scope| {
        let asked: Vec<_> = nodes.iter().map(|node| scope.spawn(move || one(node))).collect();
        let ended = nodes.iter().zip(asked);
        let answer = |(node, asked): (&Node, thread::ScopedJoinHandle<'_, Result<T, Failure>>)| {
            // A panic of ours has printed itself.
            let why = || Failure::NotReached { node: node.name.clone(), why: "internal error".to_owned() };
            asked.join().unwrap_or_else(|_| Err(why()))
        };
        ended.map(answer).collect()
    })
}
