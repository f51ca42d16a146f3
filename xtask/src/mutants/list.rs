//! What cargo-mutants would change: it lists them, and where each is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One small bug.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Mutant {
    /// Where and what: `FILE:LINE:COLUMN: WHAT`.
    pub(super) name: String,
    /// From the root of the project.
    pub(super) file: String,
    /// Which kind of change.
    pub(super) genre: Genre,
    /// What stands there instead.
    pub(super) replacement: String,
    span: Span,
}

impl Mutant {
    /// Line and column at which it begins, both from 1.
    pub(super) fn begin(&self) -> (usize, usize) {
        (self.span.start.line, self.span.start.column)
    }

    #[cfg(test)]
    pub(super) fn at(genre: Genre, replacement: &str, line: usize, column: usize) -> Self {
        let span = Span { start: Position { line, column } };
        let file = "x.rs".to_owned();
        Self {
            name: format!("x.rs:{line}:{column}: {replacement}"),
            file,
            genre,
            replacement: replacement.into(),
            span,
        }
    }
}

/// Kinds of changes, in the words of cargo-mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
    /// One that a later version knows.
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Span {
    start: Position,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Position {
    line: usize,
    column: usize,
}

/// All of these files, chosen by `select`.
pub(super) fn list(root: &Path, select: &[String]) -> Result<Vec<Mutant>> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "--package", "reactor-core"]).args(select).current_dir(root);
    let output = command.output().context("running cargo mutants")?;
    ensure!(output.status.success(), "cargo mutants --list: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("reading what cargo mutants --list says")
}
