//! The power switches as the nodes can reach them: what a fencing device is to real machines.
//!
//! A node writes `off n2`, `on n2` or `status n2` to its third serial line (`lab-power` in the image does) and reads
//! one line back: `ok n2 off`, `ok n2 on`, or `failed` and why. After `ok n2 off` nothing of n2 runs any more.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::node::{Node, Power};

/// One line from a node, and where the answer goes.
#[derive(Debug)]
pub(super) struct PowerCall {
    line: String,
    answer: oneshot::Sender<String>,
}

/// Serves one node's line until the node's machine has ended.
pub(super) async fn serve_line(line: UnixStream, calls: mpsc::UnboundedSender<PowerCall>) {
    let (read, mut write) = line.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = line.trim().to_owned();
        if line.is_empty() {
            continue;
        }
        let (answer, answered) = oneshot::channel();
        if calls.send(PowerCall { line, answer }).is_err() {
            return;
        }
        let mut answer = answered.await.unwrap_or_else(|_| "failed the cluster ends".to_owned());
        answer.push('\n');
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Carries out what the nodes ask for. Two nodes that switch each other off are asked one after the other, as by one
/// power switch: the second one is off before its turn comes.
pub(super) async fn serve(nodes: Vec<Weak<Node>>, mut calls: mpsc::UnboundedReceiver<PowerCall>, patience: Duration) {
    while let Some(call) = calls.recv().await {
        // Who asked may have been switched off since, and then does not ask any more.
        if call.answer.is_closed() {
            continue;
        }
        let answer = carry_out(&nodes, &call.line, patience).await;
        let _gone = call.answer.send(answer);
    }
}

async fn carry_out(nodes: &[Weak<Node>], line: &str, patience: Duration) -> String {
    let (order, name) = line.split_once(' ').unwrap_or((line, ""));
    let Some(node) = nodes.iter().filter_map(Weak::upgrade).find(|node| node.name() == name) else {
        return format!("failed no node is called {name}");
    };
    match order {
        "status" => {}
        "off" => {
            tracing::info!(node = name, "switched off by a node");
            if !matches!(node.power(), Power::Off(_))
                && let Err(error) = node.kill().await
            {
                return format!("failed {error}");
            }
        }
        "on" => {
            let node = Arc::clone(&node);
            tokio::spawn(async move {
                if let Err(error) = node.boot(patience).await {
                    tracing::warn!(
                        node = node.name(),
                        error = &error as &dyn std::error::Error,
                        "the node does not come up"
                    );
                }
            });
            return format!("ok {name} on");
        }
        other => return format!("failed {other} is not off, on or status"),
    }
    match node.power() {
        Power::Off(_) => format!("ok {name} off"),
        Power::On { .. } | Power::Hung => format!("ok {name} on"),
    }
}
