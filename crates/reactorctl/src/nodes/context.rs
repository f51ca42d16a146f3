//! Which nodes a context has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::exit::Exit;
use crate::program;

/// The context that is used if there is one and nobody names another.
pub(crate) const DEFAULT: &str = "default";
/// Names that mean this node only.
const LOCAL: [&str; 2] = ["none", "local"];
/// The folders that contexts are in.
const OURS: &str = "reactorctl";
const THEIRS: &str = "drbd-reactorctl";
/// Largest file, and longest output of a script.
const MAX_BYTES: u64 = 1 << 20;
/// How long a script may take.
const SCRIPT_LIMIT: Duration = Duration::from_secs(10);
/// Most nodes: each costs a process here.
const MAX_NODES: usize = 256;

/// Why a context can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    #[error("there is no context {name}: {} does not exist", path.display())]
    Missing { name: String, path: PathBuf },
    #[error("a context has a plain name, not {name}")]
    BadName { name: String },
    #[error("neither XDG_CONFIG_HOME nor HOME says where contexts are")]
    NoHome,
    #[error("can't read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} {why}: it is not used", path.display())]
    Distrusted { path: PathBuf, why: String },
    #[error("{}: {why}", path.display())]
    Content { path: PathBuf, why: String },
    #[error("nodes-script {}: {why}", path.display())]
    Script { path: PathBuf, why: String },
    #[error("there is no node {name} in the context; it has {known}")]
    NoSuchNode { name: String, known: String },
    #[error(
        "no context says which nodes there are: ~/.config/reactorctl/default.toml would, with a table [nodes.NAME] for each"
    )]
    NoNodes,
    #[error("--nodes chooses among the nodes of a context, and there is none: --context NAME")]
    NoContext,
}

impl ContextError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } | Self::BadName { .. } | Self::NoSuchNode { .. } | Self::NoContext | Self::NoNodes => {
                Exit::Usage
            }
            Self::Content { .. } | Self::Script { .. } | Self::Distrusted { .. } => Exit::Findings,
            Self::NoHome | Self::Read { .. } => Exit::Unexpected,
        }
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) hostname: String,
    pub(crate) user: String,
    /// Of a daemon on this machine: no ssh is needed.
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawContext {
    nodes_script: Option<String>,
    #[serde(default)]
    nodes: BTreeMap<String, RawNode>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawNode {
    hostname: Option<String>,
    user: Option<String>,
    socket: Option<PathBuf>,
}

/// Whose contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of `reactorctl`: its own, or, where it has none of that name, those of `drbd-reactorctl`.
    Ours,
    /// Of `drbd-reactorctl`.
    Theirs,
}

/// All nodes of our context `name`, of which there has to be one.
pub(crate) fn needed(name: &str) -> Result<Vec<Node>, ContextError> {
    let nodes = nodes(Whose::Ours, name, &[])?;
    if nodes.is_empty() { Err(ContextError::NoNodes) } else { Ok(nodes) }
}

/// The nodes that `chosen` names of the context `name`, or all of them. Empty = this node only.
pub(crate) fn nodes(whose: Whose, name: &str, chosen: &[String]) -> Result<Vec<Node>, ContextError> {
    let nodes = match whose {
        _ if LOCAL.contains(&name) => Vec::new(),
        Whose::Theirs => load(THEIRS, name)?,
        Whose::Ours => match load(OURS, name) {
            Ok(nodes) if nodes.is_empty() => load(THEIRS, name)?,
            Err(ContextError::Missing { name: missing, path }) => match load(THEIRS, name) {
                // Where it would be expected.
                Err(ContextError::Missing { .. }) => return Err(ContextError::Missing { name: missing, path }),
                theirs => theirs?,
            },
            ours => ours?,
        },
    };
    if chosen.is_empty() {
        return Ok(nodes);
    }
    if nodes.is_empty() {
        return Err(match whose {
            Whose::Ours => ContextError::NoNodes,
            Whose::Theirs => ContextError::NoContext,
        });
    }
    let of_name = |name: &String| {
        nodes.iter().find(|node| node.name == *name).cloned().ok_or_else(|| ContextError::NoSuchNode {
            name: name.clone(),
            known: nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    // Once each, however often it is named.
    let mut names: Vec<&String> = Vec::new();
    for name in chosen {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(of_name).collect()
}

fn load(folder_name: &str, name: &str) -> Result<Vec<Node>, ContextError> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(ContextError::BadName { name: name.to_owned() });
    }
    let folder = match folder(folder_name) {
        Some(folder) => folder,
        None if name == DEFAULT => return Ok(Vec::new()),
        None => return Err(ContextError::NoHome),
    };
    let path = folder.join(format!("{name}.toml"));
    let text = match read(&path) {
        Ok(text) => text,
        Err(ContextError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            if name == DEFAULT {
                return Ok(Vec::new());
            }
            return Err(ContextError::Missing { name: name.to_owned(), path });
        }
        Err(error) => return Err(error),
    };
    parse(&path, &text, &mut |script| output(&folder, script))
}

/// Where contexts are.
fn folder(name: &str) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join(name))
}

/// Reads a file that nobody else can have written: it says whom we trust with what we ask.
fn read(path: &Path) -> Result<String, ContextError> {
    let failed = |source| ContextError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    trust(&file, path)?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn trust(file: impl AsFd, path: &Path) -> Result<(), ContextError> {
    match reactor_trust::judge_for_us(file) {
        Ok(None) => Ok(()),
        Ok(Some(distrust)) => Err(ContextError::Distrusted { path: path.to_owned(), why: distrust.to_string() }),
        Err(source) => Err(ContextError::Read { path: path.to_owned(), source }),
    }
}

/// What a script in the folder prints.
fn output(folder: &Path, script: &str) -> Result<String, ContextError> {
    let path = folder.join(script);
    let failed = |why: String| ContextError::Script { path: path.clone(), why };
    if script.is_empty() || script.starts_with('.') || script.contains('/') {
        return Err(failed("it must lie in the same folder".to_owned()));
    }
    let file = File::open(&path).map_err(|error| failed(error.to_string()))?;
    trust(&file, &path)?;
    let output = program::output(&path, &[], Some(SCRIPT_LIMIT)).map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("it does not print UTF-8".to_owned()))
}

/// The nodes of a file; what its script prints is appended to it.
fn parse(
    path: &Path,
    text: &str,
    script: &mut dyn FnMut(&str) -> Result<String, ContextError>,
) -> Result<Vec<Node>, ContextError> {
    let bad = |why: String| ContextError::Content { path: path.to_owned(), why };
    let read = |text: &str| toml::from_str::<RawContext>(text).map_err(|error| bad(error.to_string()));
    let mut context = read(text)?;
    if let Some(name) = context.nodes_script.take() {
        context.nodes.extend(read(&script(&name)?)?.nodes);
    }
    if context.nodes.is_empty() {
        return Err(bad("it has no nodes".to_owned()));
    }
    if context.nodes.len() > MAX_NODES {
        return Err(bad(format!("it has more than {MAX_NODES} nodes")));
    }
    let node = |(name, raw): (String, RawNode)| {
        let hostname = raw.hostname.unwrap_or_else(|| name.clone());
        let user = raw.user.unwrap_or_else(|| "root".to_owned());
        for (what, value) in [("name of a node", &name), ("hostname", &hostname), ("user", &user)] {
            // ssh would take it for an option, or for something else than what it is.
            if value.is_empty() || value.starts_with('-') || value.chars().any(|c| c.is_whitespace() || c.is_control())
            {
                return Err(bad(format!("{value:?} is no {what}")));
            }
        }
        Ok(Node { name, hostname, user, socket: raw.socket })
    };
    context.nodes.into_iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, printed: &str) -> Result<Vec<String>, String> {
        let mut script = |_: &str| Ok(printed.to_owned());
        let nodes = parse(Path::new("/c/default.toml"), text, &mut script).map_err(|error| error.to_string())?;
        Ok(nodes.into_iter().map(|node| format!("{}={}@{}", node.name, node.user, node.hostname)).collect())
    }

    #[test]
    fn a_node_needs_a_name_only() {
        let text = "[nodes.\"alpha.mynet\"]\n[nodes.b]\nhostname = \"10.0.0.2\"\nuser = \"admin\"\n";
        assert_eq!(parsed(text, "").unwrap(), ["alpha.mynet=root@alpha.mynet", "b=admin@10.0.0.2"]);
    }

    #[test]
    fn a_script_adds_nodes() {
        let text = "nodes-script = \"x.sh\"\n[nodes.a]\n";
        assert_eq!(parsed(text, "[nodes.z]\n").unwrap(), ["a=root@a", "z=root@z"]);
        assert!(output(Path::new("/c"), "../x.sh").is_err());
    }

    #[test]
    fn nothing_that_ssh_would_take_for_an_option() {
        for text in ["[nodes.\"-oProxyCommand=x\"]\n", "[nodes.a]\nhostname = \"-x\"\n", "[nodes.a]\nuser = \"-l x\"\n"]
        {
            assert!(parsed(text, "").unwrap_err().contains("is no "), "{text}");
        }
        assert!(parsed("[nodes.a]\nport = 1\n", "").is_err());
        assert!(parsed("", "").unwrap_err().ends_with("it has no nodes"));
    }
}
