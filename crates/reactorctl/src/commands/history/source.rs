//! Where entries come from: the daemon of a node, its file if no daemon answers, or the daemons of all nodes of the context.

use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use reactor_api::client::{Client, ClientError, Reply};
use reactor_api::history::{HistoryEntry, HistorySpan};
use reactor_api::verb::Verb;
use reactor_api::verbs::{History, Spans};
use reactor_api::words::Last;
use reactor_sys::history::read::{PAGE, Reader};
use serde::de::DeserializeOwned;

pub(super) use reactor_sys::history::read::Query;

use crate::cli::Place;
use crate::config;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::context::{self, Node};
use crate::nodes::{ask_all, way};
use crate::style::{END, WARN, harmless, make_harmless};

/// Who is asked.
pub(super) enum Source<'a> {
    One(&'a Place),
    All(Vec<Node>),
}

impl<'a> Source<'a> {
    pub(super) fn of(place: &'a Place, all: bool) -> Result<Self, Failure> {
        if !all {
            return Ok(Self::One(place));
        }
        Ok(Self::All(context::needed(&place.context)?))
    }

    /// Whether each entry says which node has written it.
    pub(super) fn names_nodes(&self) -> bool {
        matches!(self, Self::All(_))
    }

    /// Oldest first.
    pub(super) fn entries(&self, query: &Query) -> Result<(Vec<HistoryEntry>, Exit), Failure> {
        let verb = verb(query, false);
        let ask = |client: &mut Client| collect::<_, HistoryEntry>(client, &verb, "entries");
        let from_file = |reader: &Reader| {
            let mut all = Vec::new();
            let Some(mut from) = reader.begin(query)? else { return Ok(all) };
            let mut after = false;
            loop {
                let (page, end) = reader.page(query, from, after)?;
                let is_last = page.len() < PAGE;
                all.extend(page);
                match end.filter(|_| !is_last) {
                    Some(end) => (from, after) = (end, true),
                    None => return Ok(all),
                }
            }
        };
        let (mut entries, exit) = self.gather(verb.limit().client(), ask, from_file)?;
        if self.names_nodes() {
            // Of each node the last so many; of all together, too.
            entries.sort_by(|a, b| a.time.cmp(&b.time));
            let more = entries.len().saturating_sub(usize::try_from(query.last).unwrap_or(usize::MAX));
            entries.drain(..more);
        }
        Ok((entries, exit))
    }

    /// Where resources ran, as each node saw it.
    pub(super) fn spans(&self, query: &Query) -> Result<(Vec<HistorySpan>, Exit), Failure> {
        let verb = Spans { resource: query.resource.clone(), since_ms: query.since, until_ms: query.until };
        let ask = |client: &mut Client| collect::<_, HistorySpan>(client, &verb, "spans");
        let from_file = |reader: &Reader| {
            let mut all: Vec<HistorySpan> = Vec::new();
            loop {
                let page = reader.spans(query, all.last().map_or(0, |span| span.id))?;
                let is_last = page.len() < PAGE;
                all.extend(page);
                if is_last {
                    break;
                }
            }
            // No daemon watches: what was open is known until the last sign of life.
            let seen = reader.seen()?.and_then(rfc3339);
            for span in all.iter_mut().filter(|span| span.until.is_none()) {
                span.until.clone_from(&seen);
            }
            Ok(all)
        };
        self.gather(verb.limit().client(), ask, from_file)
    }

    fn gather<T: Send>(
        &self,
        within: std::time::Duration,
        ask: impl Fn(&mut Client) -> Result<Vec<T>, Failure> + Sync,
        from_file: impl Fn(&Reader) -> Result<Vec<T>, reactor_sys::history::HistoryError>,
    ) -> Result<(Vec<T>, Exit), Failure> {
        match self {
            Self::One(place) => {
                let asked = daemon::connect_if_it_answers(place, within).and_then(|mut client| ask(&mut client));
                match asked {
                    Err(failure) if place.node.is_none() && is_away(&failure) => {
                        let dir = config::state_dir(place);
                        let read = Reader::open(&dir).and_then(|reader| Ok((from_file(&reader)?, reader)));
                        let (all, reader) = read.map_err(|source| Failure::History { source })?;
                        let file = reader.path().display().to_string();
                        let why = failure.chain();
                        say(&format!("{why}; this is read from {file}, up to where the daemon has written it"))?;
                        Ok((all, Exit::Ok))
                    }
                    asked => Ok((asked?, Exit::Ok)),
                }
            }
            Self::All(nodes) => {
                let mut all = Vec::new();
                let mut exit = Exit::Ok;
                for answer in ask_all(nodes, within, ask) {
                    match answer {
                        Ok(some) => all.extend(some),
                        Err(failure) => {
                            exit = Exit::NodesFailed;
                            say(&failure.chain())?;
                        }
                    }
                }
                Ok((all, exit))
            }
        }
    }
}

/// Says something beside what was asked for.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    writeln!(anstream::stderr(), "{WARN}reactorctl:{END} {}", harmless(text))?;
    Ok(())
}

fn rfc3339(ms: u64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(format!("{time:.3}"))
}

fn verb(query: &Query, follow: bool) -> History {
    History {
        resource: query.resource.clone(),
        since_ms: query.since,
        until_ms: query.until,
        last: Some(Last(query.last)),
        follow: follow.then_some(true),
    }
}

/// Whether there is no daemon that could be asked.
pub(crate) fn is_away(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Client(
            ClientError::NotRunning { .. }
                | ClientError::TimedOut { .. }
                | ClientError::Closed
                | ClientError::Broken { .. }
        )
    )
}

/// All answers of a stream that ends.
fn collect<V: Verb, T: DeserializeOwned>(client: &mut Client, verb: &V, member: &str) -> Result<Vec<T>, Failure> {
    client.ask_for_more(verb)?;
    let mut all = Vec::new();
    loop {
        let (some, continues) = next(client, member)?;
        all.extend(some);
        if !continues {
            return Ok(all);
        }
    }
}

/// The next answer of a stream: what is in this member of it, and whether there will be another.
pub(crate) fn next<T: DeserializeOwned>(client: &mut Client, member: &str) -> Result<(Vec<T>, bool), Failure> {
    let Reply { mut parameters, continues } = client.next_reply().map_err(Failure::about_resource)?;
    make_harmless(&mut parameters);
    let some = parameters.get_mut(member).map(serde_json::Value::take).unwrap_or_default();
    let some = if some.is_null() {
        Vec::new()
    } else {
        serde_json::from_value(some).map_err(|source| Failure::Answer { source })?
    };
    Ok((some, continues))
}

/// What is followed.
pub(crate) struct Follow {
    /// Of this resource only.
    pub(crate) resource: Option<String>,
    /// So many of the past first.
    pub(crate) last: u64,
    /// Of all nodes of the context.
    pub(crate) all: bool,
}

/// Hands each entry to `print` as it is written, until the daemon ends; of all nodes, until none of them is left.
pub(crate) fn follow(
    place: &Place,
    what: &Follow,
    mut print: impl FnMut(&HistoryEntry) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let query = Query { resource: what.resource.clone(), last: what.last, ..Query::default() };
    let verb = verb(&query, true);
    let within = verb.limit().client();
    match Source::of(place, what.all)? {
        Source::One(place) => {
            let mut client = daemon::connect_if_it_answers(place, within)?;
            stream(&mut client, &verb, |entry| print(&entry))?;
            Err(Failure::Stopped)
        }
        Source::All(nodes) => {
            let (told, tells) = channel();
            for node in nodes {
                let (told, verb) = (told.clone(), verb.clone());
                // Each ends with its node, or with the program.
                thread::spawn(move || of_node(&node, &verb, within, &told));
            }
            drop(told);
            for news in tells {
                match news {
                    Ok(entry) => print(&entry)?,
                    Err(failure) => say(&failure.chain())?,
                }
            }
            Ok(Exit::NodesFailed)
        }
    }
}

fn of_node(node: &Node, verb: &History, within: std::time::Duration, told: &Sender<Result<HistoryEntry, Failure>>) {
    let streamed = way::connect(node, within)
        .and_then(|mut client| stream(&mut client, verb, |entry| told.send(Ok(entry)).map_err(|_| Failure::Stopped)));
    let why = match streamed {
        Ok(()) => "the daemon has stopped".to_owned(),
        Err(failure @ Failure::NotReached { .. }) => return drop(told.send(Err(failure))),
        Err(failure) => failure.chain(),
    };
    let _ = told.send(Err(Failure::NotReached { node: node.name.clone(), why }));
}

fn stream(
    client: &mut Client,
    verb: &History,
    mut take: impl FnMut(HistoryEntry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    client.ask_for_more(verb)?;
    let mut told = false;
    loop {
        let (entries, continues) = next(client, "entries").map_err(|failure| match failure {
            Failure::Client(error) if told => Failure::in_stream(error),
            failure => failure,
        })?;
        told = true;
        for entry in entries {
            take(entry)?;
        }
        if !continues {
            return Ok(());
        }
        // From now on nothing may happen for days.
        client.set_deadline(None)?;
    }
}
