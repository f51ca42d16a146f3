//! What a configuration may say: every table and key, once, as data.
//!
//! The reader checks files against it (unknown keys, suggestions, ranges, choices), and the reference page and the JSON schema
//! are generated from it, so none of them can forget a key that another knows.

use toml::de::DeValue;

mod entries;
mod notify;
mod plugins;
mod reference;
mod root;
mod schema;
mod umh;

pub use reference::reference_markdown;
pub use schema::json_schema;

pub(crate) use entries::{ENTRY, ENTRY_IN_PARALLEL, FORM_KEYS, SYNC};
pub(crate) use notify::{EXEC, IRC, MAIL, NOTIFY, RECEIVERS, SYSLOG, WEBHOOK};
pub(crate) use plugins::{AGENTX, DEBUGGER, EVENT_RULE, EVENTS, NO_PRIMARY, PROMETHEUS, PROMOTER, PROMOTER_RESOURCE};
pub(crate) use root::{DAEMON, HISTORY, LOG, LOG_LEVELS, MAIN, RECORDER, SNIPPET};
pub(crate) use umh::{EVENT_WORDS, EVERY_RULE, HELPER_MOMENTS, MATCHER, OPERATORS, RULES, UMH};

/// One table.
pub(crate) struct TableSpec {
    /// As its header is written, for example `[[umh.resource]]`.
    pub(crate) header: &'static str,
    /// What it is for.
    pub(crate) doc: &'static str,
    /// Its keys, in groups that tables may share.
    pub(crate) keys: &'static [&'static [KeySpec]],
}

impl TableSpec {
    /// All keys in the order of the reference page.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static KeySpec> + use<> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    /// The key with this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static KeySpec> {
        self.keys().find(|key| key.name == name)
    }
}

/// The tables that have a key with this name.
pub(crate) fn tables_with(name: &str) -> Vec<&'static TableSpec> {
    let mut tables = Vec::new();
    reference::collect(&MAIN, &mut tables);
    let has_it = |key: &KeySpec| !matches!(key.kind, Kind::Ignored);
    tables.retain(|table| table.header.starts_with('[') && table.key(name).is_some_and(has_it));
    tables
}

/// Whether an unknown key of a table is a table of another program, which is none of our business: `metadata`, and names that end in
/// `-metadata`, in a promoter and in its resources.
pub(crate) fn is_foreign(table: &TableSpec, name: &str, value: &DeValue<'_>) -> bool {
    let takes = table.keys().any(|key| matches!(key.kind, Kind::Foreign));
    takes && name.ends_with("-metadata") && matches!(value, DeValue::Table(_))
}

/// One key.
pub(crate) struct KeySpec {
    /// Its name.
    pub(crate) name: &'static str,
    /// What its value looks like.
    pub(crate) kind: Kind,
    /// What holds without it.
    pub(crate) default: Default,
    /// One line: what it does.
    pub(crate) doc: &'static str,
    /// Not known to drbd-reactor.
    pub(crate) new: bool,
}

impl KeySpec {
    const fn new(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Self {
        Self { name, kind, default, doc, new: false }
    }

    /// Marks a key that drbd-reactor does not know.
    const fn ours(mut self) -> Self {
        self.new = true;
        self
    }
}

/// What holds when a key is missing.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// It must be there.
    Required,
    /// This TOML value.
    Value(&'static str),
    /// No value; the text says what that means.
    Means(&'static str),
}

/// What a value looks like.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer { min: i64, max: i64 },
    /// Seconds as a number, or a text with units. `off` = 0 is allowed too and switches it off.
    Duration { min_ms: u64, max_ms: u64, off: bool },
    /// This word, or a duration.
    DurationOr { word: &'static str, min_ms: u64, max_ms: u64 },
    /// Bytes as a number, or a text with a unit.
    Size { min: u64, max: u64 },
    /// A text that is not empty; what it looks like is in the doc line.
    Text,
    /// A path.
    Path,
    /// One of some words.
    Word(Words),
    /// One of some words, or a list of them.
    WordList(Words),
    /// A list of texts.
    TextList,
    /// A text, or a list of texts.
    TextOrList,
    /// Times of day, `HH:MM-HH:MM`: one text, or a list of them.
    DayWindows,
    /// Names with texts.
    Map,
    /// `"COUNT/DURATION"`.
    Rate,
    /// A condition of a rule.
    Condition(Value),
    /// A single text, number or bool, or a list of them: `value` of a condition.
    Any,
    /// A table.
    Table(&'static TableSpec),
    /// An array of tables.
    Tables(&'static TableSpec),
    /// A table of tables with free names.
    Named(&'static TableSpec),
    /// A list of texts and of tables.
    Entries(&'static TableSpec),
    /// Anything: it is ignored.
    Ignored,
    /// A table of another program: it is not looked at.
    Foreign,
}

/// Lists the words of a choice. A function, because the words belong to types of the core.
pub(crate) type Words = fn() -> Vec<&'static str>;

/// The type of the field that a condition looks at.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// A yes or no.
    Bool,
    /// A whole number.
    Integer { min: i64, max: i64 },
    /// A text.
    Text,
    /// One word.
    Word(Words),
    /// A set of words, written as DRBD prints it: `no`, or a comma list.
    Set(Words),
    /// A set of words, or a bool that says whether it is not empty.
    SetOrBool(Words),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use reactor_core::settings::Mode;

    use super::{Default, MAIN, reference};

    /// A file with one key of one table; `None` where the table is not one of a file.
    fn file_with(header: &str, line: &str) -> Option<String> {
        let name = header.trim_matches(['[', ']']);
        Some(match header {
            "(top of the main file)" => format!("{line}\n"),
            "an entry of `start` or `standby`" => {
                format!("[[promoter]]\n[promoter.resources.a]\nstart = [{{ unit = \"a.service\", {line} }}]\n")
            }
            "`sync` of a resource" => {
                format!("[[promoter]]\n[promoter.resources.a]\nsync = {{ {line} }}\n")
            }
            "[promoter.resources.NAME]" => format!("[[promoter]]\n[promoter.resources.a]\n{line}\n"),
            _ if name.starts_with("umh.") => format!("[[umh]]\n{header}\ncommand = \"true\"\n{line}\n"),
            "[[notify]]" => format!("{header}\njournal = true\n{line}\n"),
            "[notify.syslog]" => format!("[[notify]]\n{header}\n{line}\n"),
            "[notify.mail]" => format!("[[notify]]\n{header}\nto = \"root\"\n{line}\n"),
            "[notify.webhook]" => format!("[[notify]]\n{header}\nurl = \"https://a.example/\"\n{line}\n"),
            "[notify.exec]" => format!("[[notify]]\n{header}\ncommand = [\"/bin/true\"]\n{line}\n"),
            "[notify.irc]" => {
                format!("[[notify]]\n{header}\nserver = \"irc.example\"\nchannel = \"#storage\"\n{line}\n")
            }
            "[[events.rule]]" => format!("[[events]]\n{header}\nregex = \"(?P<kdev>x)\"\n{line}\n"),
            _ if header.starts_with('[') => format!("{header}\n{line}\n"),
            _ => return None,
        })
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let mut tables = Vec::new();
        reference::collect(&MAIN, &mut tables);
        let mut seen = 0;
        for table in tables {
            for key in table.keys() {
                let Default::Value(default) = key.default else { continue };
                let Some(with) = file_with(table.header, &format!("{} = {default}", key.name)) else { continue };
                let without = file_with(table.header, "").expect("the same table");
                let (with, findings) = crate::parse_text(Path::new("/etc/a.toml"), &with, Mode::Native);
                let (without, _) = crate::parse_text(Path::new("/etc/a.toml"), &without, Mode::Native);
                assert!(!findings.iter().any(crate::Finding::is_error), "{} {}", table.header, key.name);
                assert_eq!(with, without, "{} {}", table.header, key.name);
                seen += 1;
            }
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn every_key_is_described() {
        let mut tables = Vec::new();
        reference::collect(&MAIN, &mut tables);
        for table in tables {
            assert!(table.doc.ends_with('.'), "{}", table.header);
            let mut names: Vec<&str> = table.keys().map(|key| key.name).collect();
            assert!(table.keys().all(|key| key.doc.ends_with('.')), "{}", table.header);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.keys().count(), "a key of {} is described twice", table.header);
        }
    }
}
