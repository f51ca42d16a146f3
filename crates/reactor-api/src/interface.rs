//! The interface in Varlink's language, and the table of it in docs/control.md: both are made from the table of verbs.

use crate::verb::Caller;
use crate::verbs::{self, Description};
use crate::{INTERFACE, SERVICE_INTERFACE};

/// What every Varlink service answers.
const SERVICE: &str = include_str!("org.varlink.service.varlink");

/// Words that have a meaning: their names, and what the description says of them.
const TYPES: &str = "\
# State changes only, or changes of statistics too.
type Detail (state, all)

# What became of the configuration files: all taken, only the good ones taken, or none taken and the old ones go on.
type ReloadResult (ok, partly, refused)
";

const ERRORS: &str = "\
# No promoter has this resource.
error NoSuchResource (resource: string)

# As things are, that can't be done: reason says why, and what to do.
error Refused (reason: string)

# Not for whoever called: reason says whom this method is for.
error PermissionDenied (reason: string)

# The daemon could not answer in time. It may still do what was asked.
error TimedOut (reason: string)

# The daemon is about to stop, or has too many connections.
error Unavailable (reason: string)

# The client read too slowly: so many changes were dropped. The stream ends.
error Lagged (missed: int)
";

/// The description of an interface that the daemon has.
pub fn description(interface: &str) -> Option<String> {
    match interface {
        SERVICE_INTERFACE => Some(SERVICE.to_owned()),
        INTERFACE => Some(ours()),
        _ => None,
    }
}

fn ours() -> String {
    let all = verbs::all();
    let mut text = format!(
        "# The Storage Reactor daemon.\n\
         # Members of the socket's group may call what only reads: {}.\n\
         # Members of the group that operator-group of [daemon] names may also call what steers services: {}.\n\
         # Everything else is for root and for the daemon's own user.\n\
         interface {INTERFACE}\n\n{TYPES}\n",
        readers(&all),
        operators(&all)
    );
    for verb in &all {
        for line in verb.about.lines() {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("method {}\n\n", verb.signature()));
    }
    text + ERRORS
}

/// What readers may call: `A, B, and C without flag`.
fn readers(all: &[Description]) -> String {
    let readers: Vec<_> = all.iter().filter(|verb| verb.caller == Caller::Reader).collect();
    let (some, whole): (Vec<&Description>, Vec<&Description>) =
        readers.into_iter().partition(|verb| verb.root_with.is_some());
    let whole = whole.iter().map(|verb| verb.name.to_owned());
    let some = some.iter().map(|verb| format!("{} without {}", verb.name, verb.root_with.unwrap_or_default()));
    listed(whole.chain(some).collect())
}

/// What operators may call beyond that.
fn operators(all: &[Description]) -> String {
    listed(all.iter().filter(|verb| verb.caller == Caller::Operator).map(|verb| verb.name.to_owned()).collect())
}

/// `A, B, and C`.
fn listed(mut names: Vec<String>) -> String {
    if let [.., before, last] = &mut names[..] {
        *last = format!("and {last}");
        before.push(',');
    }
    let last = names.pop().unwrap_or_default();
    format!("{} {last}", names.join(", "))
}

/// The table of methods in docs/control.md.
pub fn markdown() -> String {
    let mut text = "| method | for | does |\n| --- | --- | --- |\n".to_owned();
    for verb in verbs::all() {
        let who = match (verb.caller, verb.root_with) {
            (Caller::Reader, None) => "readers".to_owned(),
            (Caller::Reader, Some(flag)) => format!("readers; with `{flag}` root"),
            (Caller::Operator, _) => "operators".to_owned(),
            (Caller::Root, _) => "root".to_owned(),
        };
        let about = verb.about.replace('\n', " ").replace("docs/reactorctl.md", "[reactorctl.md](reactorctl.md)");
        text.push_str(&format!("| `{}` | {who} | {about} |\n", verb.signature()));
    }
    text
}

impl Description {
    /// `Why(resource: string) -> (report: object)`.
    fn signature(&self) -> String {
        let list = |members: &[(&str, String)]| {
            let members: Vec<_> = members.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
            members.join(", ")
        };
        format!("{}({}) -> ({})", self.name, list(&self.parameters), list(&self.reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::Parameters;
    use crate::verbs::Call;

    /// Whoever writes a client reads it there, and a change of it is seen in the difference.
    #[test]
    fn the_description_is_the_one_in_the_documents() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/io.storagereactor.Control.varlink");
        expect_test::expect_file![path].assert_eq(&ours());
    }

    #[test]
    fn every_type_is_declared() {
        for verb in verbs::all() {
            for (name, kind) in verb.parameters.iter().chain(&verb.reply) {
                let base = kind.trim_start_matches(['?', '[', ']']).trim_start_matches("string]");
                let known =
                    ["string", "bool", "int", "object"].contains(&base) || TYPES.contains(&format!("type {base} ("));
                assert!(known, "{}: {name}: {kind}", verb.name);
            }
        }
    }

    /// What the documents say of a verb is what is checked.
    #[test]
    fn a_flag_that_is_for_root_is_for_root() {
        for verb in verbs::all() {
            let Some(flag) = verb.root_with else { continue };
            for (set, caller) in [(false, verb.caller), (true, Caller::Root)] {
                let mut parameters = Parameters(serde_json::Map::from_iter([(flag.to_owned(), set.into())]));
                let call = Call::take(verb.name, &mut parameters)
                    .expect("it is in the table")
                    .expect("the flag is all it needs");
                assert_eq!((call.caller(), parameters.unknown()), (caller, None), "{}", verb.name);
            }
        }
    }
}
