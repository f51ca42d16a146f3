//! The dialect of INI that OpenSVC's agents read: Python's ConfigParser in the old ones, one that was made to be like it in the third version.
//!
//! `key = value` or `key: value` below `[section]`; a line that begins with a blank or a tab goes on with the value before it; comments begin with `#`
//! or `;` at the start of a line. Names of sections and keys are the same in any case. A section that comes twice is one section.

use std::collections::BTreeMap;

use super::report::Problem;

/// Most lines that are read.
const MAX_LINES: usize = 20_000;
/// Most sections that are read.
const MAX_SECTIONS: usize = 1_000;
/// Most keys that are read.
const MAX_KEYS: usize = 4_000;
/// Most keys of one name in a section, which differ by their scopes.
const MAX_SAME: usize = 200;
/// Longest value, in bytes.
pub(super) const MAX_VALUE: usize = 16 << 10;
/// Longest name of a section or a key, in bytes.
const MAX_NAME: usize = 200;
/// Most errors that are told.
const MAX_ERRORS: usize = 100;

/// Which section of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SectionId(usize);

/// Which key of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyId(pub(super) usize);

/// `[fs#1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// As it is written first.
    pub(super) name: String,
    /// In small letters.
    pub(super) folded: String,
    /// Its keys, in their order.
    pub(super) keys: Vec<KeyId>,
}

/// `mnt_opt@deb2 = noatime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) section: SectionId,
    /// As it is written, with its scope.
    pub(super) written: String,
    /// Without its scope, in small letters.
    pub(super) name: String,
    /// What follows the `@`.
    pub(super) scope: Option<String>,
    /// Lines of it are divided by line ends.
    pub(super) value: String,
    /// Counted from 1.
    pub(super) line: usize,
    /// The line that says the same key with the same scope again.
    pub(super) again: Option<usize>,
}

/// A service file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Document {
    pub(super) sections: Vec<Section>,
    pub(super) keys: Vec<Key>,
    /// By the line.
    pub(super) errors: Vec<Problem>,
    by_name: BTreeMap<String, SectionId>,
    by_key: BTreeMap<(SectionId, String), Vec<KeyId>>,
}

impl Document {
    /// Reads all that can be read.
    pub(super) fn parse(text: &str) -> Self {
        let mut document = Self::default();
        if text.len() > super::MAX_BYTES {
            document.error(1, format!("the file has more than {} bytes", super::MAX_BYTES));
            return document;
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut section, mut open) = (Where::Before, Continues::Nothing);
        for (at, line) in text.lines().enumerate() {
            let at = at + 1;
            if at > MAX_LINES {
                document.error(at, format!("the file has more than {MAX_LINES} lines"));
                break;
            }
            document.line(at, line.trim_end(), &mut section, &mut open);
        }
        document
    }

    fn line(&mut self, at: usize, line: &str, section: &mut Where, open: &mut Continues) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            return;
        }
        if line.chars().any(|c| c.is_control() && c != '\t') {
            *open = Continues::Bad;
            return self.error(at, "a control character in the line".to_owned());
        }
        if line.starts_with([' ', '\t']) {
            return self.continuation(at, line.trim(), *open);
        }
        *open = Continues::Bad;
        if let Some(rest) = line.strip_prefix('[') {
            *section = Where::Lost;
            match rest.split_once(']') {
                Some((name, after)) if is_comment(after) => {
                    *section = self.section_named(at, name.trim()).map_or(Where::Lost, Where::In);
                    *open = Continues::Nothing;
                }
                Some(_) => self.error(at, "something follows the `]` of a section".to_owned()),
                None => self.error(at, "the `]` of a section is missing".to_owned()),
            }
            return;
        }
        let Some((name, value)) = line.split_once(['=', ':']) else {
            return self.error(at, "neither a section, nor `key = value`, nor a comment".to_owned());
        };
        let section = match *section {
            Where::In(section) => section,
            Where::Before => return self.error(at, "a key before the first section".to_owned()),
            // The line of the section has been told.
            Where::Lost => return,
        };
        if let Some(key) = self.key(at, section, name.trim(), value.trim()) {
            *open = Continues::Value(key);
        }
    }

    fn continuation(&mut self, at: usize, line: &str, open: Continues) {
        match open {
            // A comment, set in like what stands around it.
            Continues::Value(_) | Continues::Nothing if line.starts_with(['#', ';']) => {}
            Continues::Value(KeyId(key)) => {
                let value = &mut self.keys[key].value;
                if value.len() + line.len() >= MAX_VALUE {
                    return self.error(at, format!("the value is longer than {MAX_VALUE} bytes"));
                }
                if !value.is_empty() {
                    value.push('\n');
                }
                value.push_str(line);
            }
            Continues::Nothing => {
                self.error(at, "it begins with a blank, and there is no value that it could go on with".to_owned());
            }
            // The line before has been told.
            Continues::Bad => {}
        }
    }

    fn section_named(&mut self, at: usize, name: &str) -> Option<SectionId> {
        if name.is_empty() || name.len() > MAX_NAME {
            self.error(at, "a section without a name, or with one that is too long".to_owned());
            return None;
        }
        let folded = name.to_lowercase();
        if self.sections.len() == MAX_SECTIONS && !self.by_name.contains_key(&folded) {
            self.error(at, format!("the file has more than {MAX_SECTIONS} sections"));
            return None;
        }
        let next = SectionId(self.sections.len());
        let id = *self.by_name.entry(folded.clone()).or_insert(next);
        if id == next {
            self.sections.push(Section { name: name.to_owned(), folded, keys: Vec::new() });
        }
        Some(id)
    }

    fn key(&mut self, at: usize, section: SectionId, written: &str, value: &str) -> Option<KeyId> {
        let (name, scope) = match written.split_once('@') {
            // `key@@nodes` was never a form; `@nodes` is written once.
            Some((name, scope)) => (name.trim(), Some(scope.trim().to_owned())),
            None => (written, None),
        };
        if name.is_empty() || written.len() > MAX_NAME || scope.as_ref().is_some_and(String::is_empty) {
            self.error(at, "a key without a name or a scope, or with one that is too long".to_owned());
            return None;
        }
        if value.len() > MAX_VALUE {
            self.error(at, format!("the value is longer than {MAX_VALUE} bytes"));
            return None;
        }
        if self.keys.len() == MAX_KEYS {
            self.error(at, format!("the file has more than {MAX_KEYS} keys"));
            return None;
        }
        let id = KeyId(self.keys.len());
        let name = name.to_lowercase();
        let same = self.by_key.entry((section, name.clone())).or_default();
        if same.len() == MAX_SAME {
            self.error(at, format!("the section has the key {name} more than {MAX_SAME} times"));
            return None;
        }
        for other in same.iter() {
            let other = &mut self.keys[other.0];
            let is_same = match (&other.scope, &scope) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                (a, b) => a == b,
            };
            if is_same {
                other.again = Some(at);
            }
        }
        same.push(id);
        self.keys.push(Key {
            section,
            written: written.to_owned(),
            name,
            scope,
            value: value.to_owned(),
            line: at,
            again: None,
        });
        self.sections[section.0].keys.push(id);
        Some(id)
    }

    fn error(&mut self, line: usize, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(Problem { line, message });
        }
    }

    pub(super) fn section(&self, id: SectionId) -> &Section {
        &self.sections[id.0]
    }

    pub(super) fn key_of(&self, id: KeyId) -> &Key {
        &self.keys[id.0]
    }

    /// The section of this name, in any case.
    pub(super) fn find(&self, name: &str) -> Option<SectionId> {
        self.by_name.get(&name.to_lowercase()).copied()
    }

    /// The keys of a name, in any scope; the name in small letters.
    pub(super) fn named(&self, section: SectionId, name: &str) -> &[KeyId] {
        self.by_key.get(&(section, name.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// All sections, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = (SectionId, &Section)> {
        self.sections.iter().enumerate().map(|(at, section)| (SectionId(at), section))
    }
}

/// In which section a key would be.
#[derive(Clone, Copy)]
enum Where {
    Before,
    In(SectionId),
    /// In one whose line has an error.
    Lost,
}

/// What a line that begins with a blank would go on with.
#[derive(Clone, Copy)]
enum Continues {
    /// This value.
    Value(KeyId),
    Nothing,
    /// A line with an error.
    Bad,
}

/// What may follow a section.
fn is_comment(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key as `section|key|scope|value`, and the lines of the errors.
    fn read(text: &str) -> (Vec<String>, Vec<usize>) {
        let document = Document::parse(text);
        let show = |key: &Key| {
            let section = &document.section(key.section).folded;
            format!("{section}|{}|{}|{}", key.name, key.scope.as_deref().unwrap_or("-"), key.value)
        };
        (document.keys.iter().map(show).collect(), document.errors.iter().map(|error| error.line).collect())
    }

    #[test]
    fn sections_and_keys_are_the_same_in_any_case() {
        let (keys, errors) =
            read("[default]\nNodes = a b\n[FS#1]\nmnt: /srv\n[DEFAULT]\nAPP=x\n[Fs#1] ; again\ndev@B=/d\n");
        assert_eq!(keys, ["default|nodes|-|a b", "fs#1|mnt|-|/srv", "default|app|-|x", "fs#1|dev|B|/d"]);
        assert_eq!(errors, [0; 0]);
        assert_eq!(Document::parse("[a]\n[A]\n").sections.len(), 1);
    }

    #[test]
    fn a_value_goes_on_by_blanks_and_tabs_over_comments_and_empty_lines() {
        let (keys, errors) = read(
            "\u{feff}[env]\r\ndevs =\r\n\t/dev/a\r\n\t# not this\r\n\r\n    /dev/b\r\n; nor this\r\n\t/dev/c\r\n  \r\nx=1\r\n",
        );
        assert_eq!(keys, ["env|devs|-|/dev/a\n/dev/b\n/dev/c", "env|x|-|1"]);
        assert_eq!(errors, [0; 0]);
    }

    #[test]
    fn the_first_sign_divides_a_key_from_its_value() {
        assert_eq!(read("[a]\nrun = a=b:c\nurl: http://x/?a=b\n").0, ["a|run|-|a=b:c", "a|url|-|http://x/?a=b"]);
    }

    #[test]
    fn each_line_that_is_nothing_is_an_error_and_the_rest_is_read() {
        let text = "x = 1\n[a\n[]\n[b] c\n[ok]\nno sign\n= 2\nk@ = 3\n  \tgoes on with it\nz\u{1b} = 1\ny = 1\n";
        let (keys, errors) = read(text);
        assert_eq!(keys, ["ok|y|-|1"]);
        assert_eq!(errors, [1, 2, 3, 4, 6, 7, 8, 10]);
        assert_eq!(read("[a]\n  lost\n").1, [2]);
    }

    #[test]
    fn everything_is_bounded() {
        assert_eq!(read(&"#".repeat(crate::opensvc::MAX_BYTES + 1)).1, [1]);
        assert_eq!(read(&"\n".repeat(MAX_LINES + 2)).1, [MAX_LINES + 1]);
        let many: String = (0..=MAX_KEYS).map(|key| format!("k{key}=\n")).collect();
        let (keys, errors) = read(&format!("[a]\n{many}"));
        assert_eq!((keys.len(), errors.len()), (MAX_KEYS, 1));
        let long = "x".repeat(MAX_VALUE - 10);
        assert_eq!(read(&format!("[a]\nk = {long}\n {long}\n")).1, [3]);
        assert_eq!(read(&format!("[a]\nk = {long}{long}\n")).1, [2]);
        assert_eq!(read(&"nothing\n".repeat(MAX_ERRORS + 5)).1.len(), MAX_ERRORS);
    }
}
