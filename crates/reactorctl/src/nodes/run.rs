//! All nodes at once.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::Parser as _;
use serde_json::Value;
use tokio::task::JoinSet;

use super::context::Node;
use super::quote;
use super::ssh::{self, Unreachable};
use crate::compat::{Act, OldCli};
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::style::{END, NAME, harmless};

/// What a node printed, and how it ended.
struct Answer {
    out: Vec<u8>,
    err: Vec<u8>,
    end: End,
}

enum End {
    Exit(i32),
    Unreachable(Unreachable),
    Failed(String),
}

/// Does on `nodes` what `cli` says, which was given as `arguments`.
pub(crate) fn run(cli: &OldCli, arguments: &[OsString], nodes: &[Node], io: &mut Io<'_>) -> Result<Exit, Failure> {
    let asked = cli.command.clone().unwrap_or_default();
    let Some(more) = asked.act().agree(io)? else { return Ok(Exit::Aborted) };
    let mut line = vec![OsString::from("drbd-reactorctl"), OsString::from("--local")];
    line.extend(quote::without_choice(arguments));
    quote::add_options(&mut line, more);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let documents = runtime.block_on(on_all(&line, nodes, asked.act(), io));
    // This node's own command has ended; nothing of ours is left behind.
    runtime.shutdown_background();
    let (documents, exit) = documents?;
    if asked.act().is_json() {
        let all: Value = documents.into_iter().collect();
        write!(io.out, "{all}")?;
    }
    Ok(exit)
}

async fn on_all(
    line: &[OsString],
    nodes: &[Node],
    asked: &dyn Act,
    io: &mut Io<'_>,
) -> Result<(BTreeMap<String, Value>, Exit), Failure> {
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let limit = asked.only_reads().then_some(ssh::READ_LIMIT);
    let quoted = quote::line(line.iter().map(OsString::as_os_str));
    let mut answers = JoinSet::new();
    for node in nodes.iter().cloned() {
        if node.name == here || node.hostname == here {
            let line = line.to_vec();
            answers.spawn_blocking(move || (node, directly(&line)));
        } else {
            let quoted = quoted.clone();
            answers.spawn(async move {
                let answer = by_ssh(&node, &quoted, limit).await;
                (node, answer)
            });
        }
    }
    let (mut documents, mut exit) = (BTreeMap::new(), Exit::Ok);
    while let Some(answer) = answers.join_next().await {
        // It was not cancelled, and a panic of ours has printed itself.
        let Ok((node, answer)) = answer else {
            exit = Exit::NodesFailed;
            continue;
        };
        if !tell(&node.name, answer, asked.is_json(), &mut documents, io)? {
            exit = Exit::NodesFailed;
        }
    }
    Ok((documents, exit))
}

/// Prints what a node answered. `false` if it has failed.
fn tell(
    name: &str,
    mut answer: Answer,
    is_json: bool,
    documents: &mut BTreeMap<String, Value>,
    io: &mut Io<'_>,
) -> Result<bool, Failure> {
    let name = harmless(name);
    if is_json {
        match document(&answer.out) {
            Ok(document) => {
                documents.insert(name.clone().into_owned(), document);
            }
            Err(error) if matches!(answer.end, End::Exit(_)) => {
                answer.end = End::Failed(format!("its answer is no JSON: {error}"));
            }
            Err(_) => {}
        }
    } else if !matches!(answer.end, End::Unreachable(_)) {
        writeln!(io.out, "{NAME}➞ {name}:{END}")?;
        io.out.write_all(&answer.out)?;
        io.out.flush()?;
    }
    for line in String::from_utf8_lossy(&answer.err).lines() {
        writeln!(io.err, "{name}: {}", harmless(&anstream::adapter::strip_str(line).to_string()))?;
    }
    let why = match answer.end {
        End::Exit(0) => return Ok(true),
        End::Exit(code) => format!("exit code {code}"),
        End::Unreachable(why) => why.to_string(),
        End::Failed(why) => why,
    };
    io.fail(&Failure::Program { what: name.into_owned(), why })?;
    Ok(false)
}

/// The document in an output. The old program also prints warnings there, each a line of its own.
fn document(out: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(out).or_else(|error| {
        let last = out.split(|&byte| byte == b'\n').rfind(|line| !line.trim_ascii().is_empty());
        last.and_then(|line| serde_json::from_slice::<Value>(line).ok()).filter(Value::is_object).ok_or(error)
    })
}

async fn by_ssh(node: &Node, line: &OsString, limit: Option<std::time::Duration>) -> Answer {
    match ssh::run(node, line, limit).await {
        Ok(output) => {
            let end = match output.status.code() {
                Some(code) => End::Exit(code),
                None => End::Failed(output.status.to_string()),
            };
            Answer { out: output.stdout, err: output.stderr, end }
        }
        Err(why) => Answer { out: Vec::new(), err: Vec::new(), end: End::Unreachable(why) },
    }
}

/// The command on this node, into memory: of the same line as the others get.
fn directly(line: &[OsString]) -> Answer {
    let cli = match OldCli::try_parse_from(line) {
        Ok(cli) => cli,
        // It was understood before, so this can't be; if it is, it is said.
        Err(error) => return Answer { out: Vec::new(), err: Vec::new(), end: End::Failed(error.to_string()) },
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let command = cli.command.clone().unwrap_or_default();
    let result = command.act().act(&cli.place(), &mut Io { out: &mut out, err: &mut err, is_terminal: false });
    let end = match result {
        Ok(exit) => End::Exit(exit as i32),
        Err(failure) => {
            // Into memory, which does not fail.
            let _ = Io { out: &mut Vec::new(), err: &mut err, is_terminal: false }.fail(&failure);
            End::Exit(failure.exit() as i32)
        }
    };
    Answer { out, err, end }
}
