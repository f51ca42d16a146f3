//! The side that sends: to all nodes at once, each with its own end, so that one that is dead or slow costs only itself.

use std::io::{self, BufReader};
use std::time::Duration;

use reactor_api::sync::{SyncFile, SyncNode, SyncState};

use super::chain;
use super::collect::Collected;
use super::stream::{self, State, StreamError, Verdict};
use crate::nodes::at_once;
use crate::nodes::context::Node;
use crate::nodes::pipe::Pipe;

/// How long one node may take for all of it.
const WITHIN: Duration = Duration::from_secs(60);
/// What is called there.
const LINE: &str = "reactorctl receive";

/// Whether files are sent, or only looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    Send,
    Look,
}

/// Asks each node, and sends what differs. In the order of the nodes.
pub(crate) fn send(nodes: &[Node], collected: &Collected, what: Do) -> Vec<SyncNode> {
    let answers = at_once(nodes, |node| Ok(one(node, collected, what)));
    let failed = |failure: crate::exit::Failure| SyncNode { why: Some(failure.chain()), ..SyncNode::default() };
    let named = |(node, answer): (&Node, Result<SyncNode, _>)| SyncNode {
        node: node.name.clone(),
        ..answer.unwrap_or_else(failed)
    };
    nodes.iter().zip(answers).map(named).collect()
}

fn one(node: &Node, collected: &Collected, what: Do) -> SyncNode {
    let pipe = match Pipe::open(node, LINE, WITHIN) {
        Ok(pipe) => pipe,
        Err(why) => return SyncNode { why: Some(why), ..SyncNode::default() },
    };
    let mut found = SyncNode::default();
    let result = talk(&pipe, collected, what, &mut found);
    let said = pipe.close();
    if let Err(error) = result {
        found.why = Some(why(&error, said));
        if found.state.is_good() {
            found.state = SyncState::Unknown;
        }
    }
    found
}

/// What a person should know: ssh's own words where the connection did not come to anything.
fn why(error: &StreamError, said: Option<String>) -> String {
    match error {
        StreamError::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            format!("no answer within {} s", WITHIN.as_secs())
        }
        StreamError::Cut | StreamError::Io(_) => said.unwrap_or_else(|| chain(error)),
        error => chain(error),
    }
}

fn talk(pipe: &Pipe, collected: &Collected, what: Do, found: &mut SyncNode) -> Result<(), StreamError> {
    let (mut input, mut output) = (BufReader::new(pipe), pipe);
    let offer = &collected.offer;
    stream::write_offer(&mut output, offer)?;
    let verdicts = stream::read_answer(&mut input, offer.files.len())?;
    let file = |(at, verdict): (usize, &Verdict)| SyncFile {
        path: offer.files[at].path.clone(),
        state: verdict.state.as_str().to_owned(),
        why: verdict.why.clone(),
        backup: None,
    };
    let differ = || verdicts.iter().enumerate().filter(|(_, verdict)| verdict.state != State::Same);
    found.files = differ().map(file).collect();
    found.state = if found.files.is_empty() { SyncState::Same } else { SyncState::Differs };
    let wanted: Vec<usize> = match what {
        Do::Send => differ().filter(|(_, verdict)| verdict.state.is_wanted()).map(|(at, _)| at).collect(),
        Do::Look => Vec::new(),
    };
    stream::write_contents(&mut output, wanted.iter().map(|&at| (at, collected.contents[at].as_slice())))?;
    pipe.finish();
    let results = stream::read_answer(&mut input, wanted.len())?;
    for (at, verdict) in wanted.into_iter().zip(results) {
        let path = &offer.files[at].path;
        let Some(file) = found.files.iter_mut().find(|file| file.path == *path) else { continue };
        verdict.state.as_str().clone_into(&mut file.state);
        (file.why, file.backup) = (verdict.why, verdict.backup);
    }
    if what == Do::Send && found.files.iter().all(|file| file.state == State::Sent.as_str()) && !found.files.is_empty()
    {
        found.state = SyncState::Sent;
    }
    Ok(())
}
