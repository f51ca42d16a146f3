//! A text on its way into a snippet: what is wrong with it is written above it, in lines that do not become part of the file.

use std::path::Path;

use reactor_core::settings::promoter::{Entry, Runner, StartEntry};
use reactor_core::settings::{Mode, PluginKind};

use super::content;

/// How a line begins that is for the editor only.
const NOTE: &str = "#|";

/// What a text must be besides free of errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) mode: Mode,
    /// The one plugin that the file has.
    pub(crate) kind: PluginKind,
    /// Errors only: what is merely unusual is taken.
    pub(crate) is_forced: bool,
}

/// `text` with `notes` above it.
pub(crate) fn with_notes(notes: &str, text: &str) -> String {
    let notes: String = notes.lines().map(|line| format!("{NOTE} {line}").trim_end().to_owned() + "\n").collect();
    notes + text
}

/// A text as it is taken from the editor.
pub(crate) fn without_notes(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with(NOTE)).collect()
}

/// Whether there is nothing in it but comments and blanks.
pub(crate) fn is_empty(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// What keeps `text` from being taken, for people; `None` if nothing does.
pub(crate) fn objections(path: &Path, text: &str, rules: Rules) -> Option<String> {
    let (plugins, findings) = reactor_config::parse_snippet(path, text, rules.mode);
    if let Some(report) = content::errors(&findings) {
        return Some(report);
    }
    if rules.is_forced {
        return None;
    }
    let kinds: Vec<PluginKind> = plugins.iter().map(|entry| entry.settings.kind()).collect();
    let kind = rules.kind.as_str();
    if kinds != [rules.kind] {
        let found = match kinds.as_slice() {
            [] => "none".to_owned(),
            kinds => kinds.iter().map(|kind| format!("[[{}]]", kind.as_str())).collect::<Vec<_>>().join(" "),
        };
        return Some(format!(
            "a snippet of type {kind} has exactly one plugin, [[{kind}]]; this one has {found}. --force takes it"
        ));
    }
    let last_is_mount = content::promoted(&plugins).find(|(_, resource)| {
        resource.runner == Runner::Systemd
            && matches!(resource.start.last(), Some(Entry { what: StartEntry::Unit(unit), .. }) if unit.ends_with(".mount"))
    });
    last_is_mount.map(|(name, _)| {
        format!(
            "the last entry of `start` of {name} is a mount: whoever uses the file system should be in the list too, or it can't be \
             unmounted. --force takes it"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, is_forced: bool) -> Option<String> {
        let rules = Rules { mode: Mode::Native, kind: PluginKind::Promoter, is_forced };
        objections(Path::new("/s/a.toml"), text, rules)
    }

    #[test]
    fn notes_come_and_go() {
        let text = "a = 1\n\n# kept\n  #| kept, too\n";
        let shown = with_notes("why\n\nnot", text);
        assert_eq!(shown, "#| why\n#|\n#| not\na = 1\n\n# kept\n  #| kept, too\n");
        assert_eq!(without_notes(&shown), text);
        assert_eq!(without_notes("#| all of it"), "");
        assert!(is_empty("\n# only this\n") && !is_empty(text));
    }

    #[test]
    fn one_plugin_of_the_type_and_no_mount_on_top() {
        let promoter = |start: &str| format!("[[promoter]]\n[promoter.resources.r0]\nstart = [{start}]\n");
        assert_eq!(judged(&promoter("\"a.mount\", \"b.service\""), false), None);
        let mount = judged(&promoter("\"a.mount\""), false).unwrap();
        assert!(mount.starts_with("the last entry of `start` of r0 is a mount"), "{mount}");
        assert_eq!(judged(&promoter("\"a.mount\""), true), None);
        let two = judged("[[debugger]]\n[[promoter]]\n[promoter.resources.r0]\nstart = []\n", false).unwrap();
        assert!(two.ends_with("this one has [[debugger]] [[promoter]]. --force takes it"), "{two}");
        assert!(judged("[[debugger]]\n", false).is_some() && judged("[[debugger]]\n", true).is_none());
    }

    #[test]
    fn what_has_errors_is_never_taken() {
        let report = judged("[[promoter]]\n[promoter.resources.r0]\nstrat = []\n", true).unwrap();
        assert!(report.contains("strat"), "{report}");
    }
}
