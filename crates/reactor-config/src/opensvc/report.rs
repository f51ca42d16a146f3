//! The report for people.

use super::{Fate, Import, Verdict};

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl Import {
    /// How many keys have a fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.keys.iter().filter(|key| key.fate == fate).count()
    }

    /// The report as text: what came of it, what is to know, and what became of each key.
    pub fn report(&self) -> String {
        let mut text = self.headline();
        for problem in &self.errors {
            text.push_str(&format!("error: line {}: {}\n", problem.line, problem.message));
        }
        for note in &self.notes {
            text.push_str(&format!("- {note}\n"));
        }
        if self.keys.is_empty() {
            return text;
        }
        let names: Vec<String> = self.keys.iter().map(|key| format!("{} {}", key.section, key.key)).collect();
        // One long name does not push all reasons aside.
        let width = names.iter().map(|name| name.chars().count()).filter(|width| *width <= 40).max().unwrap_or(0);
        text.push('\n');
        for (key, name) in self.keys.iter().zip(&names) {
            text.push_str(&format!("{:>5}  {name:width$}  {:7}  {}\n", key.line, key.fate.word(), key.reason));
        }
        text
    }

    fn headline(&self) -> String {
        let Self { service, node, .. } = self;
        let seen = if node.is_empty() { String::new() } else { format!(", as {node} sees it") };
        let [taken, changed, dropped] = [Fate::Taken, Fate::Changed, Fate::Dropped].map(|fate| self.count(fate));
        match self.verdict {
            Verdict::Imported => {
                format!("service {service}{seen}: {taken} keys taken, {changed} changed, {dropped} dropped\n")
            }
            Verdict::NoDrbd => format!("service {service}: nothing is written, because it has no DRBD resource\n"),
            Verdict::Errors => {
                format!(
                    "service {service}{seen}: nothing is written, because the file has errors; below is what would become of the rest\n"
                )
            }
        }
    }
}
