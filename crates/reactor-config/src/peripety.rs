//! peripety's own file, `/etc/peripetyd.conf`: its `[main]`, and its users' rules, as rules of the catalogue.
//!
//! Both spellings of the list are read: `[[collector.regexs]]`, as the program did, and `[[collector_regexs]]`, as its sample has it. A file
//! without `[main]` or without rules is a file, too.

use std::ops::Range;
use std::sync::Arc;

use reactor_storage::catalogue::{MAX_USER_RULES, RawUserRule};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::finding::{Code, Finding, Severity};
use crate::source::Source;
use crate::suggest::nearest;

const RULE_KEYS: [&str; 4] = ["starts_with", "regex", "sub_system", "event_type"];
const MAIN_KEYS: [&str; 3] = ["notify_stdout", "save_to_journald", "dump_blk_info_at_start"];

/// What a file of peripety's says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peripety {
    /// Whether each event is printed.
    pub notify_stdout: bool,
    /// Whether events are written to the journal.
    pub save_to_journald: bool,
    /// Whether each block device is told at the start.
    pub dump_blk_info_at_start: bool,
    /// Its rules, which come after the built-in ones. Each can be compiled.
    pub rules: Vec<RawUserRule>,
}

impl Default for Peripety {
    /// What peripety does without a word of its file.
    fn default() -> Self {
        Self { notify_stdout: false, save_to_journald: true, dump_blk_info_at_start: true, rules: Vec::new() }
    }
}

/// Reads a file of peripety's. A rule that is none costs itself only.
pub fn read_peripety(source: &Arc<Source>) -> (Peripety, Vec<Finding>) {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    let mut reader = Reader { source, read: Peripety::default(), findings: Vec::new() };
    for error in errors {
        reader.error(Code::Syntax, error.span().unwrap_or(0..0), error.message().to_owned());
    }
    for (key, value) in document.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("main", DeValue::Table(main)) => reader.main(main),
            ("collector", DeValue::Table(collector)) => reader.collector(collector),
            ("collector_regexs", _) => reader.rules(value),
            ("main" | "collector", _) => reader.error(Code::WrongType, value.span(), "this must be a table".to_owned()),
            (_, _) => reader.unknown(key, &["main", "collector", "collector_regexs"]),
        }
    }
    (reader.read, reader.findings)
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    read: Peripety,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn main(&mut self, main: &DeTable<'_>) {
        for (key, value) in main {
            let Peripety { notify_stdout, save_to_journald, dump_blk_info_at_start, .. } = &mut self.read;
            let place = match key.get_ref().as_ref() {
                "notify_stdout" => notify_stdout,
                "save_to_journald" => save_to_journald,
                "dump_blk_info_at_start" => dump_blk_info_at_start,
                _ => {
                    self.unknown(key, &MAIN_KEYS);
                    continue;
                }
            };
            match value.get_ref().as_bool() {
                Some(is_on) => {
                    *place = is_on;
                    self.no_effect(key, is_on);
                }
                None => self.error(Code::WrongType, value.span(), "this must be `true` or `false`".to_owned()),
            }
        }
    }

    /// What is asked for and not done by this file is told.
    fn no_effect(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, is_on: bool) {
        if is_on && key.get_ref() == "dump_blk_info_at_start" {
            let message = format!("`{}` has no effect", key.get_ref());
            let finding = Finding::at(Severity::Note, Code::Ignored, self.source, key.span(), message);
            self.findings.push(finding.hint("`reactorctl block` tells of each block device"));
        }
    }

    fn collector(&mut self, collector: &DeTable<'_>) {
        for (key, value) in collector {
            match key.get_ref().as_ref() {
                "regexs" => self.rules(value),
                _ => self.unknown(key, &["regexs"]),
            }
        }
    }

    fn rules(&mut self, list: &Spanned<DeValue<'_>>) {
        let Some(items) = list.get_ref().as_array() else {
            self.error(Code::WrongType, list.span(), "this must be a list of tables".to_owned());
            return;
        };
        for item in items {
            let Some(table) = item.get_ref().as_table() else {
                self.error(Code::WrongType, item.span(), "this must be a table".to_owned());
                continue;
            };
            if self.read.rules.len() == MAX_USER_RULES {
                self.error(
                    Code::OutOfRange,
                    item.span(),
                    format!("more than {MAX_USER_RULES} rules: the rest is left out"),
                );
                return;
            }
            self.rule(table, item.span());
        }
    }

    fn rule(&mut self, table: &DeTable<'_>, span: Range<usize>) {
        let mut rule = RawUserRule::default();
        let mut regex = None;
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if !RULE_KEYS.contains(&name) {
                self.unknown(key, &RULE_KEYS);
                continue;
            }
            let Some(text) = value.get_ref().as_str().map(str::to_owned) else {
                self.error(Code::WrongType, value.span(), "this must be a string".to_owned());
                return;
            };
            match name {
                "starts_with" => rule.starts_with = Some(text),
                "sub_system" => rule.sub_system = Some(text),
                "event_type" => rule.event_type = Some(text),
                _ => regex = Some((text, value.span())),
            }
        }
        let Some((text, regex_span)) = regex else {
            self.error(Code::MissingKey, span, "a rule without `regex`".to_owned());
            return;
        };
        rule.regex = text;
        match rule.clone().compile() {
            Ok(_) => self.read.rules.push(rule),
            Err(error) => {
                let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                self.error(Code::BadValue, regex_span, format!("{error}{reason}"));
            }
        }
    }

    fn error(&mut self, code: Code, span: Range<usize>, message: String) {
        self.findings.push(Finding::at(Severity::Error, code, self.source, span, message));
    }

    fn unknown(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, known: &[&str]) {
        let message = format!("there is no key {:?} here", key.get_ref());
        let finding = Finding::at(Severity::Warning, Code::UnknownKey, self.source, key.span(), message);
        let finding = match nearest(key.get_ref(), known.iter().copied()) {
            Some(meant) => finding.hint(format!("`{meant}` is one")),
            None => finding,
        };
        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use reactor_storage::catalogue::Catalogue;
    use reactor_storage::record::{Origin, Record};

    use super::*;

    fn read(text: &str) -> (Peripety, Vec<String>) {
        let source = Source::new(Path::new("/etc/peripetyd.conf"), text);
        let (read, findings) = read_peripety(&source);
        let told = findings.iter().map(|finding| format!("{}: {}", finding.line(), finding.message));
        (read, told.collect())
    }

    const MULTIPATH: &str = r#"
starts_with = "device-mapper: multipath: "
regex = '''
(?x)
^device-mapper:\ multipath:\ Ailing\ path\ (?P<kdev>\d+:\d+)\.$
'''
sub_system = "Multipath"
event_type = "MY_PATH_AILING"
"#;

    #[test]
    fn a_file_with_one_multipath_rule_works_in_both_spellings() {
        for list in ["collector.regexs", "collector_regexs"] {
            let (read, told) =
                read(&format!("[main]\nnotify_stdout = true\nsave_to_journald = false\n\n[[{list}]]{MULTIPATH}"));
            assert_eq!(told, Vec::<String>::new(), "{list}");
            assert!(read.notify_stdout && !read.save_to_journald && read.dump_blk_info_at_start, "{list}");
            let rules = read.rules.into_iter().map(|rule| rule.compile().unwrap());
            let catalogue = Catalogue::built_in().with_rules(rules);
            let record = Record::new(Origin::Kernel, "device-mapper: multipath: Ailing path 8:48.");
            assert_eq!(catalogue.classify(&record).unwrap().event.name, "MY_PATH_AILING", "{list}");
        }
    }

    #[test]
    fn a_file_without_main_or_without_rules_is_one() {
        assert_eq!(read(""), (Peripety::default(), Vec::new()));
        let (off, told) = read("[main]\ndump_blk_info_at_start = false\n");
        assert_eq!((off.dump_blk_info_at_start, told.len()), (false, 0));
        assert_eq!(read("[main]\ndump_blk_info_at_start = true\n").1, ["2: `dump_blk_info_at_start` has no effect"]);
    }

    #[test]
    fn a_bad_rule_costs_itself_only() {
        let (read, told) = read(&format!(
            "[[collector_regexs]]\nregex = \"sda\"\n[[collector_regexs]]\nregexp = \"x\"\n[[collector_regexs]]{MULTIPATH}\n\
             [[collector_regexs]]\nregex = \"(\"\n"
        ));
        assert_eq!(read.rules.len(), 1);
        assert!(told[0].starts_with("2: the expression has no group `kdev`"), "{told:?}");
        assert_eq!(told[1..3], ["4: there is no key \"regexp\" here", "3: a rule without `regex`"]);
        assert!(told[3].contains("this is no regular expression: "), "{told:?}");
    }

    #[test]
    fn wrong_types_and_no_toml_are_told() {
        let (_, told) = read("[main]\nnotify_stdout = 1\n[collector]\nregexs = 3\nrules = 1\n");
        assert_eq!(told.len(), 3, "{told:?}");
        let (read, told) = read("[main\n");
        assert_eq!((read, told.len()), (Peripety::default(), 1));
    }
}
