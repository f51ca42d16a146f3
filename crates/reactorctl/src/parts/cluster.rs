//! What the nodes of a context say of each resource: where it runs, and what is wrong with it there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anstyle::Style;
use reactor_api::objects::WireResource;
use reactor_api::verb::{Limit, Verb as _};
use reactor_api::{PromotedStatus, Status, verbs};
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::live::Live;
use crate::nodes::ask_all;
use crate::nodes::context::Node;
use crate::parts::promoted::{state, state_and_why};
use crate::problems::{Problem, SERVICES, Severity, problems};
use crate::style::{BAD, DIM, GOOD, WARN, harmless, make_harmless};
use crate::text::{between, duration};
use crate::watching::{News, Then, Watching, Whom};

/// What a node has said; or why it has not.
pub(crate) type Answer = Result<Value, String>;

/// How a look at all nodes ends. A node that says nothing may have what the others do not have.
pub(crate) fn exit(answers: &[Answer], wanted: &[String]) -> Result<Exit, Failure> {
    if answers.iter().any(|answer| understood(answer).is_err()) {
        return Ok(Exit::NodesFailed);
    }
    let said: Vec<&Value> = answers.iter().flatten().collect();
    all_are_known(wanted, &said).map(|()| Exit::Ok)
}

/// What each node says now.
pub(crate) fn ask(nodes: &[Node], request: &verbs::Status) -> Vec<Answer> {
    let answers = ask_all(nodes, Limit::Short.client().max(request.limit().client()), |client| {
        let mut answer = client.ask_as_it_comes(request).map_err(Failure::about_resource)?;
        Ok(answer.get_mut("status").map(Value::take).unwrap_or_default())
    });
    let of_node =
        |(node, answer): (&Node, Result<Value, Failure>)| answer.map_err(|failure| failure.without_node(&node.name));
    nodes.iter().zip(answers).map(of_node).collect()
}

/// Shows what `picture` makes of all that the nodes have said, whenever it is another one, until it is interrupted. `None` = not all have spoken yet.
pub(crate) fn follow(
    nodes: &[Node],
    resources: &[String],
    json: bool,
    out: &mut dyn Write,
    mut picture: impl FnMut(usize, &Answer) -> Result<Option<String>, Failure>,
) -> Result<Exit, Failure> {
    let whom = nodes.iter().cloned().map(Whom::Node).collect();
    let watching = Watching::start(whom, resources, Then::Again);
    let (mut live, mut last) = (Live::begin(), String::new());
    while let Some((number, news)) = watching.next(None) {
        let answer = match news {
            News::Picture(picture) => Ok(picture),
            News::Ended(failure) => Err(failure.without_node(&nodes[number].name)),
        };
        // A node that is dead is tried again and again, and stays dead.
        let Some(text) = picture(number, &answer)?.filter(|text| *text != last) else { continue };
        if json {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        } else {
            live.draw(&text, out)?;
        }
        last = text;
    }
    Err(Failure::Stopped)
}

pub(crate) fn understood(answer: &Answer) -> Result<Status, String> {
    let mut value = answer.clone().map_err(|why| harmless(&why).into_owned())?;
    make_harmless(&mut value);
    serde_json::from_value(value).map_err(|error| format!("its answer is not understood: {error}"))
}

/// What one node says of one resource.
pub(crate) struct Here<'a> {
    pub(crate) drbd: Option<&'a WireResource>,
    pub(crate) promoted: Option<&'a PromotedStatus>,
    /// Its problems there, the worst first.
    problems: Vec<(Severity, String)>,
}

impl Here<'_> {
    /// How bad the worst of its problems is, and what it is.
    pub(crate) fn worst(&self) -> Option<(Severity, &str)> {
        self.problems.first().map(|(severity, what)| (*severity, what.as_str()))
    }

    /// The same without what the promoter's state says.
    fn worst_but_state(&self) -> Option<(Severity, &str)> {
        let is_state = |what: &str| {
            let of_services = what.strip_prefix(SERVICES).and_then(|what| what.split_once(": "));
            of_services.is_some_and(|(_, what)| self.promoted.is_some_and(|it| what.starts_with(&state(it))))
        };
        self.problems.iter().map(|(severity, what)| (*severity, what.as_str())).find(|(_, what)| !is_state(what))
    }
}

/// What nodes say of each resource: by its name, then by theirs.
pub(crate) type ByResource<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Here<'a>>>;

/// The same of what they have said; of the resources that are `wanted`, or of all if none is.
pub(crate) fn by_resource<'a>(
    statuses: impl Iterator<Item = (&'a str, &'a Status)>,
    wanted: &[String],
) -> ByResource<'a> {
    let mut table = ByResource::new();
    for (node, status) in statuses {
        let problems = problems(status);
        let names: BTreeSet<&str> = names(status).collect();
        for name in names.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)) {
            let problems = problems.iter().filter(|problem| problem.is_about(name));
            let said = |problem: &Problem| (problem.severity, format!("{}: {}", problem.place, problem.what));
            let here = Here {
                drbd: status.resources.iter().find(|resource| resource.name == name),
                promoted: status.promoted.iter().find(|promoted| promoted.resource == name),
                problems: problems.map(said).collect(),
            };
            table.entry(name).or_default().insert(node, here);
        }
    }
    table
}

/// The resources that DRBD has, and those that promoters have.
pub(crate) fn names(status: &Status) -> impl Iterator<Item = &str> {
    let drbd = status.resources.iter().map(|resource| resource.name.as_str());
    drbd.chain(status.promoted.iter().map(|one| one.resource.as_str()))
}

/// What a promoter that does not run it says of that, on each node.
pub(crate) fn what_each_says(nodes: &BTreeMap<&str, Here<'_>>) -> Vec<String> {
    let says = |(node, here): (&&str, &Here<'_>)| Some(format!("{node}: {}", state_and_why(here.promoted?)));
    nodes.iter().filter_map(says).collect()
}

/// Where it runs. Of what no promoter has, where it is Primary.
pub(crate) enum Availability {
    /// On this node, since then.
    Runs(String),
    /// Something is being done about it, or it waits.
    OnItsWay(String),
    /// It is Primary on this node, as that says. With a promoter it should run there.
    Primary { node: String, is_promoted: bool },
    /// It is Primary on a node that says nothing itself; its peers say so.
    ByPeers { node: String, peers: Vec<String> },
    /// Nowhere, as all nodes say; or as those say that answer.
    Nowhere { is_whole: bool },
    /// No promoter has it, and no node has it Primary.
    PrimaryNowhere,
}

impl Availability {
    /// By what nodes say; `is_whole` = all of them do.
    pub(crate) fn of(nodes: &BTreeMap<&str, Here<'_>>, now: &BTreeMap<&str, &str>, is_whole: bool) -> Self {
        let running =
            nodes.iter().find_map(|(node, here)| Some((node, here.promoted?)).filter(|(_, it)| it.state == "running"));
        if let Some((node, promoted)) = running {
            let since = now.get(node).and_then(|now| between(&promoted.since, now));
            let long = since.map_or(String::new(), |since| format!(" for {}", duration(since)));
            return Self::Runs(format!("runs on {node}{long}"));
        }
        let on_its_way = nodes.iter().find_map(|(node, here)| {
            let state = here.promoted?.state.as_str();
            matches!(state, "starting" | "stopping" | "waiting" | "frozen").then(|| format!("{state} on {node}"))
        });
        if let Some(words) = on_its_way {
            return Self::OnItsWay(words);
        }
        let is_promoted = nodes.values().any(|here| here.promoted.is_some());
        if let Some(node) = nodes.iter().find(|(_, here)| here.drbd.is_some_and(is_primary)).map(|(node, _)| *node) {
            return Self::Primary { node: node.to_owned(), is_promoted };
        }
        let by_peers = nodes.iter().find_map(|(_, here)| primary_peer(here));
        if let Some(node) = by_peers {
            let says_so = |(_, here): &(&&str, &Here<'_>)| primary_peer(here) == Some(node);
            let peers = nodes.iter().filter(says_so).map(|(peer, _)| (*peer).to_owned()).collect();
            return Self::ByPeers { node: node.to_owned(), peers };
        }
        if is_promoted { Self::Nowhere { is_whole } } else { Self::PrimaryNowhere }
    }

    /// For people.
    pub(crate) fn words(&self) -> (String, Style) {
        match self {
            Self::Runs(words) => (words.clone(), GOOD),
            Self::OnItsWay(words) => (words.clone(), WARN),
            Self::Primary { node, is_promoted } => {
                (format!("Primary on {node}"), if *is_promoted { WARN } else { GOOD })
            }
            Self::ByPeers { node, peers } => {
                let say = if peers.len() == 1 { "says" } else { "say" };
                (format!("Primary on {node}, {say} {}", peers.join(", ")), WARN)
            }
            Self::Nowhere { is_whole: true } => ("runs nowhere".to_owned(), BAD),
            Self::Nowhere { is_whole: false } => ("runs on no node that answers".to_owned(), BAD),
            Self::PrimaryNowhere => ("Primary nowhere".to_owned(), DIM),
        }
    }

    /// The worst problem on each node: how bad it is, what, and where. Beside [`what_each_says`] that of its state is no news.
    pub(crate) fn problems<'a>(
        &self,
        nodes: &'a BTreeMap<&str, Here<'_>>,
    ) -> impl Iterator<Item = (Severity, &'a str, &'a str)> {
        let each_says = self.health().is_some();
        nodes.iter().filter_map(move |(node, here)| {
            let (severity, what) = if each_says { here.worst_but_state() } else { here.worst() }?;
            Some((severity, what, *node))
        })
    }

    /// How well something is that nobody can use, or of which nobody knows.
    pub(crate) fn health(&self) -> Option<(&'static str, Style)> {
        match self {
            Self::Nowhere { is_whole: true } => Some(("down", BAD)),
            Self::Nowhere { is_whole: false } | Self::ByPeers { .. } => Some(("unknown", WARN)),
            Self::Runs(_) | Self::OnItsWay(_) | Self::Primary { .. } | Self::PrimaryNowhere => None,
        }
    }
}

fn is_primary(drbd: &WireResource) -> bool {
    drbd.fields.role == "Primary"
}

/// The peer that is Primary, as this node has it.
pub(crate) fn primary_peer<'a>(here: &Here<'a>) -> Option<&'a str> {
    let primary = here.drbd?.connections.iter().find(|connection| connection.fields.peer_role == "Primary")?;
    primary.fields.name.as_deref()
}

pub(crate) fn severity_word(severity: Severity) -> (&'static str, Style) {
    match severity {
        Severity::Bad => ("bad", BAD),
        Severity::Degraded => ("degraded", WARN),
        Severity::Note => ("note", DIM),
    }
}

/// An error for the first of the `wanted` resources that none of the nodes has which have said this. Of a node without news of DRBD that is not known.
pub(crate) fn all_are_known(wanted: &[String], said: &[&Value]) -> Result<(), Failure> {
    let has = |status: &Value, list: &str, key: &str, name: &str| {
        let all = status.get(list).and_then(Value::as_array);
        all.is_some_and(|all| all.iter().any(|one| one.get(key).and_then(Value::as_str) == Some(name)))
    };
    let has_no_news = |status: &&Value| !matches!(status["source"]["state"].as_str(), Some("up" | "ended"));
    if said.iter().any(has_no_news) {
        return Ok(());
    }
    let is_unknown = |name: &&String| {
        !said.iter().any(|status| has(status, "resources", "name", name) || has(status, "promoted", "resource", name))
    };
    wanted.iter().find(is_unknown).map_or(Ok(()), |resource| Err(Failure::Unknown { resource: resource.clone() }))
}
