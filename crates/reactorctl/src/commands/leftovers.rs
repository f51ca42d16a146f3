//! `reactorctl leftovers`: what an earlier drbd-reactor left.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::{Leftovers, LeftoversReply};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::style::{BAD, END, GOOD, WARN, count};

/// Show unit files that an earlier drbd-reactor left behind
#[derive(Clone, Debug, Args)]
pub struct LeftoversArgs {
    /// Remove those whose services do not run
    #[arg(long)]
    pub remove: bool,

    /// Units, resources or files of which they are removed even if they run
    #[arg(value_name = "NAME", requires = "remove")]
    pub even: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Run for LeftoversArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        // An older daemon does not know it.
        let even = (!self.even.is_empty()).then(|| self.even.iter().cloned().collect());
        let answer = daemon::ask(place, &Leftovers { remove: Some(self.remove), even })?;
        if self.json {
            let text = serde_json::to_string(&answer).map_err(|source| Failure::Answer { source })?;
            writeln!(out, "{text}")?;
            return Ok(exit(&answer));
        }
        print(&answer, out)
    }
}

fn print(answer: &LeftoversReply, out: &mut dyn Write) -> Result<Exit, Failure> {
    let LeftoversReply { files, removed, kept, errors } = answer;
    for file in files {
        writeln!(out, "{file}")?;
    }
    let number = count(files.len() as u64, "file");
    match (files.is_empty(), *removed) {
        (true, _) if !kept.is_empty() => writeln!(out, "nothing was removed")?,
        (true, _) => writeln!(out, "an earlier drbd-reactor left nothing")?,
        (false, true) => writeln!(out, "{GOOD}{number} removed{END}")?,
        (false, false) => writeln!(
            out,
            "{WARN}{number} of an earlier drbd-reactor{END}; look at them, then: reactorctl leftovers --remove"
        )?,
    }
    for line in kept {
        writeln!(out, "{WARN}kept{END} {line}")?;
    }
    if !kept.is_empty() {
        writeln!(
            out,
            "stop these services first, or name what is to go all the same: reactorctl leftovers --remove NAME"
        )?;
    }
    for error in errors {
        writeln!(out, "{BAD}{error}{END}")?;
    }
    Ok(exit(answer))
}

fn exit(answer: &LeftoversReply) -> Exit {
    match (answer.errors.is_empty(), answer.kept.is_empty()) {
        (false, _) => Exit::Unexpected,
        (true, false) => Exit::NotTaken,
        (true, true) => Exit::Ok,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn leftovers_are_listed_and_errors_have_their_code() {
        let shown = |answer: Value| {
            let mut out = Vec::new();
            let exit = print(&serde_json::from_value(answer).unwrap(), &mut out).unwrap();
            (anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string(), exit)
        };
        let files = ["/run/systemd/system/a.service.d/reactor.conf"];
        let (text, exit) = shown(json!({ "files": files, "removed": false, "errors": [] }));
        assert!(text.starts_with(files[0]) && text.contains("leftovers --remove"), "{text}");
        assert_eq!(exit, Exit::Ok);
        let (text, exit) = shown(json!({ "files": files, "removed": true, "errors": ["b: permission denied"] }));
        assert!(text.contains("1 file removed") && text.ends_with("b: permission denied\n"), "{text}");
        assert_eq!(exit, Exit::Unexpected);
        let kept = ["/a.d/reactor.conf: a.service runs"];
        let (text, exit) = shown(json!({ "files": [], "removed": true, "kept": kept, "errors": [] }));
        assert!(text.starts_with("nothing was removed\nkept /a.d/reactor.conf: a.service runs\n"), "{text}");
        assert_eq!(exit, Exit::NotTaken);
    }
}
