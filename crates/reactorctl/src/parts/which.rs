//! Which resources a command shows: those that are named, in the place where other commands have theirs or after `-r`; or all.

use clap::Args;
use reactor_api::verbs;

/// The resources that are asked for; none = all.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// Only these resources
    #[arg(value_name = "RESOURCE")]
    pub resources: Vec<String>,

    /// The same, as drbd-reactorctl's status has it
    #[arg(short, long, value_name = "RESOURCE", num_args = 1..)]
    pub resource: Vec<String>,
}

impl Which {
    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.resources.iter().chain(&self.resource).cloned().collect()
    }

    /// What a daemon is asked for.
    pub(crate) fn request(&self) -> verbs::Status {
        let names = self.names();
        verbs::Status { resources: (!names.is_empty()).then(|| names.into_iter().collect()) }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        which: Which,
        #[arg(long)]
        json: bool,
    }

    #[test]
    fn names_stand_alone_or_behind_an_option() {
        let names = |words: &[&str]| Line::try_parse_from([&["x"], words].concat()).unwrap().which.names();
        for words in [&["a", "b"][..], &["-r", "a", "b"], &["a", "--resource", "b"], &["-r", "a", "-r", "b"]] {
            assert_eq!(names(words), ["a", "b"], "{words:?}");
        }
        assert_eq!(names(&[]), [""; 0]);
        let all = Line::try_parse_from(["x", "--json", "a"]).unwrap();
        assert!(all.json && all.which.request().resources.is_some_and(|names| names.contains("a")));
        assert_eq!(Which::default().request().resources, None);
    }
}
