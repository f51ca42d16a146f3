//! The command lines of `drbdsetup` and `drbdadm`, as far as daemons, units and people by hand call them.

use super::protocol::{Program, Reply};
use crate::drbd9::{ClusterSpec, Command, NodeIx, Placement};

/// What a command line means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// It is answered without the cluster.
    Answer(Reply),
    /// These are carried out one after the other, until one fails.
    Commands(Vec<Command>, Form),
}

/// How the outputs become what the program prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Plain,
    /// `sh-ll-dev`: a device that is none of this machine is `none`.
    Devices,
    /// `status`, of one resource or all.
    Status { json: bool, verbose: bool, resource: Option<String> },
    /// `show`, of one resource or all.
    Show { json: bool, resource: Option<String> },
}

/// The options and the rest of a command line.
struct Line<'a> {
    options: Vec<&'a str>,
    words: Vec<&'a str>,
}

impl Line<'_> {
    fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }
}

/// Understands a command line on a node.
pub(super) fn parse(spec: &ClusterSpec, node: NodeIx, program: Program, args: &[String]) -> Task {
    let (options, words) = args.iter().map(String::as_str).partition(|arg| arg.starts_with('-'));
    let line = Line { options, words };
    let Some((verb, rest)) = line.words.split_first() else {
        return match program {
            Program::Drbdadm if line.has("--version") => Task::Answer(Reply::good(version())),
            _ => Task::Answer(Reply::bad(1, "USAGE: a command is needed\n")),
        };
    };
    let first = rest.first().copied().filter(|name| *name != "all").map(str::to_owned);
    match *verb {
        "status" => {
            let form = Form::Status {
                json: line.has("--json"),
                verbose: line.has("--verbose") || line.has("--statistics"),
                resource: first.clone(),
            };
            Task::Commands(vec![Command::Status { resource: first }], form)
        }
        "show" if program == Program::Drbdsetup => {
            let form = Form::Show { json: line.has("--json"), resource: first.clone() };
            Task::Commands(vec![Command::Show { resource: first }], form)
        }
        "sh-resources" if program == Program::Drbdadm => {
            Task::Answer(Reply::good(format!("{}\n", configured(spec, node).join(" "))))
        }
        verb => commands(spec, node, program, verb, &line, rest),
    }
}

fn commands(spec: &ClusterSpec, node: NodeIx, program: Program, verb: &str, line: &Line<'_>, rest: &[&str]) -> Task {
    if rest.is_empty() {
        return Task::Answer(Reply::bad(1, format!("{verb}: a resource is needed\n")));
    }
    let mut names: Vec<String> = Vec::new();
    for word in rest {
        match *word {
            "all" => names.extend(configured(spec, node)),
            // `drbdsetup disconnect RES PEER-NODE-ID`
            id if program == Program::Drbdsetup && !names.is_empty() => {
                if let Some(last) = names.last_mut() {
                    *last = format!("{last}:{id}");
                }
            }
            name => names.push(name.to_owned()),
        }
    }
    let mut list = Vec::new();
    for name in names {
        match one(spec, verb, line, &name) {
            Ok(commands) => list.extend(commands),
            Err(reply) => return Task::Answer(reply),
        }
    }
    Task::Commands(list, if verb == "sh-ll-dev" { Form::Devices } else { Form::Plain })
}

/// What a verb means for `RES`, `RES:PEER` or `RES/VOLUME`.
fn one(spec: &ClusterSpec, verb: &str, line: &Line<'_>, name: &str) -> Result<Vec<Command>, Reply> {
    let (name, volume) = match name.split_once('/') {
        Some((name, volume)) => (name, Some(volume.parse().map_err(|_| bad_name(name))?)),
        None => (name, None),
    };
    let (name, peer) = match name.split_once(':') {
        Some((name, peer)) => {
            let by_id = peer.parse().ok().filter(|id| *id < spec.nodes.len());
            let by_name = spec.nodes.iter().position(|node| node == peer);
            (name, Some(by_name.or(by_id).ok_or_else(|| bad_name(peer))?))
        }
        None => (name, None),
    };
    let resource = name.to_owned();
    // drbd-utils' own script says it in the second way.
    let force = line.has("--force") || line.has("--force=yes");
    let volumes = || -> Vec<u32> {
        let all = spec.resources.iter().find(|resource| resource.name == name);
        match volume {
            Some(volume) => vec![volume],
            None => all.map_or_else(|| vec![0], |all| all.volumes.iter().map(|volume| volume.number).collect()),
        }
    };
    let each =
        |make: fn(String, u32) -> Command| Ok(volumes().into_iter().map(|v| make(resource.clone(), v)).collect());
    let command = match verb {
        "primary" => Command::Primary { resource, force },
        "secondary" => Command::Secondary { resource, force },
        "adjust" if line.has("--skip-disk") => Command::AdjustLinks { resource },
        "adjust" => Command::Adjust { resource },
        "up" => Command::Up { resource },
        "down" => Command::Down { resource },
        "connect" => Command::Connect { resource, peer, discard_my_data: line.has("--discard-my-data") },
        "disconnect" => Command::Disconnect { resource, peer },
        "suspend-io" => Command::SuspendIo { resource },
        "resume-io" => Command::ResumeIo { resource },
        "sh-ll-dev" => Command::ShLlDev { resource },
        "attach" => return each(|resource, volume| Command::Attach { resource, volume }),
        "detach" => return each(|resource, volume| Command::Detach { resource, volume }),
        "invalidate" => return each(|resource, volume| Command::Invalidate { resource, volume }),
        "new-current-uuid" => return each(|resource, volume| Command::NewCurrentUuid { resource, volume }),
        _ => return Err(Reply::bad(1, format!("unknown command '{verb}'\n"))),
    };
    Ok(vec![command])
}

fn bad_name(name: &str) -> Reply {
    Reply::bad(1, format!("'{name}' not defined in your config (for this host).\n"))
}

/// The resources of a node, as its configuration has them.
fn configured(spec: &ClusterSpec, node: NodeIx) -> Vec<String> {
    let here = |resource: &&crate::drbd9::ResourceSpec| resource.placement[node] != Placement::Absent;
    spec.resources.iter().filter(here).map(|resource| resource.name.clone()).collect()
}

/// What `drbdadm --version` prints.
fn version() -> &'static str {
    "DRBDADM_BUILDTAG=look-alike\nDRBDADM_API_VERSION=2\nDRBD_KERNEL_VERSION_CODE=0x090303\nDRBD_KERNEL_VERSION=9.3.3\n\
     DRBDADM_VERSION_CODE=0x092200\nDRBDADM_VERSION=9.34.0\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drbd9::Options;

    fn task(program: Program, line: &str) -> Task {
        let spec = ClusterSpec::new(&["n1", "n2", "n3"]).with_resource("r1", 2, &[], Options::default()).with_resource(
            "r2",
            1,
            &[],
            Options::default(),
        );
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&spec, 0, program, &args)
    }

    #[test]
    fn names_with_peers_and_volumes_are_understood() {
        let resource = || "r1".to_owned();
        assert_eq!(
            task(Program::Drbdadm, "disconnect r1:n3"),
            Task::Commands(vec![Command::Disconnect { resource: resource(), peer: Some(2) }], Form::Plain)
        );
        assert_eq!(
            task(Program::Drbdsetup, "disconnect r1 1"),
            Task::Commands(vec![Command::Disconnect { resource: resource(), peer: Some(1) }], Form::Plain)
        );
        let Task::Commands(list, _) = task(Program::Drbdadm, "detach r1") else { panic!("not understood") };
        assert_eq!(list.len(), 2);
        let Task::Commands(list, _) = task(Program::Drbdadm, "adjust all") else { panic!("not understood") };
        assert_eq!(list.len(), 2);
        for line in ["secondary --force r1", "secondary --force=yes r1"] {
            assert_eq!(
                task(Program::Drbdsetup, line),
                Task::Commands(vec![Command::Secondary { resource: resource(), force: true }], Form::Plain)
            );
        }
    }

    #[test]
    fn the_version_is_one_that_the_daemon_wants() {
        let Task::Answer(Reply::Done { stdout, .. }) = task(Program::Drbdadm, "--version") else { panic!("no answer") };
        let versions = reactor_sys::drbd::version::Versions::parse(&stdout);
        assert_eq!(versions.to_string(), "DRBD 9.3.3, drbd-utils 9.34.0");
        assert!(versions.warnings().is_empty());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["", "fly r1", "primary", "disconnect r1:n9", "detach r1/x"] {
            let Task::Answer(Reply::Done { code: 1, stderr, .. }) = task(Program::Drbdadm, line) else {
                panic!("{line} was understood")
            };
            assert!(!stderr.is_empty());
        }
    }
}
