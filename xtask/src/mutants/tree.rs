//! A copy of the project with all mutants woven in, and its programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::list::Mutant;
use super::weave::{self, MARK};

/// Mutants that cannot stand beside the original are found by the compiler, a few rounds of them.
const ROUNDS: usize = 12;
/// So many lines above an error its mutant is looked for; below it, if the error is that of a function's type.
const NEAR: usize = 10;

/// See the module's head.
pub(super) struct Tree {
    folder: PathBuf,
    /// The ids that its programs know.
    woven: BTreeSet<usize>,
    mutants: Vec<Mutant>,
}

/// A test program.
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The folder of its package, in which cargo would run it.
    pub(super) folder: PathBuf,
}

impl Tree {
    /// Copies the project of `root` to `folder`, and weaves the mutants in; their ids are their places in the list.
    pub(super) fn weave(root: &Path, folder: &Path, mutants: Vec<Mutant>) -> Result<Self> {
        copy(root, folder)?;
        let library = folder.join("crates/reactor-core/src");
        fs::write(library.join("mutant.rs"), weave::MODULE).context("writing the module of the mutants")?;
        let text = fs::read_to_string(library.join("lib.rs")).context("reading the core's lib.rs")?;
        fs::write(library.join("lib.rs"), text + "\npub mod mutant;\n").context("writing the core's lib.rs")?;
        let mut tree = Self { folder: folder.to_owned(), woven: (0..mutants.len()).collect(), mutants };
        tree.write(root)?;
        Ok(tree)
    }

    /// Those that live in its programs.
    pub(super) fn woven(&self) -> &BTreeSet<usize> {
        &self.woven
    }

    /// Builds test programs: `cargo test --no-run` with these arguments. What does not compile is taken out.
    pub(super) fn build(&mut self, root: &Path, arguments: &[&str]) -> Result<Vec<Program>> {
        for _ in 0..ROUNDS {
            let errors = match self.compile(arguments)? {
                Built::Programs(programs) => return Ok(programs),
                Built::Errors(errors) => errors,
            };
            let mut bad = BTreeSet::new();
            for error in &errors {
                let found = error.mutants(&self.folder)?;
                ensure!(!found.is_empty(), "this is no mutant's error:\n{}", error.rendered);
                bad.extend(found);
            }
            self.woven.retain(|id| !bad.contains(id));
            self.write(root)?;
        }
        bail!("the mutants do not compile, also after {ROUNDS} rounds of taking out those with errors")
    }

    /// Writes each file that has mutants.
    fn write(&mut self, root: &Path) -> Result<()> {
        let mut files: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
        for (id, mutant) in self.mutants.iter().enumerate() {
            let of_file = files.entry(&mutant.file).or_default();
            if self.woven.contains(&id) {
                of_file.push((id, mutant));
            }
        }
        let mut woven = BTreeSet::new();
        for (file, mutants) in files {
            let text = fs::read_to_string(root.join(file)).with_context(|| format!("reading {file}"))?;
            let (text, done) = weave::weave(&text, &mutants).with_context(|| format!("weaving {file}"))?;
            write(&self.folder.join(file), text.as_bytes())?;
            woven.extend(done);
        }
        self.woven = woven;
        Ok(())
    }

    fn compile(&self, arguments: &[&str]) -> Result<Built> {
        let mut command = Command::new("cargo");
        command.args(["test", "--no-run", "--quiet", "--message-format", "json"]).args(arguments);
        // What stands beside each other is not pretty, and a debugger does not look at it.
        command.env("RUSTFLAGS", "--cap-lints=allow");
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_SIM_DEBUG", "0");
        command.current_dir(&self.folder);
        let output = command.output().context("running cargo test --no-run")?;
        let text = String::from_utf8(output.stdout).context("reading what cargo says")?;
        let (mut errors, mut programs) = (Vec::new(), Vec::new());
        for line in text.lines() {
            match serde_json::from_str(line).with_context(|| format!("reading what cargo says: {line}"))? {
                Said::CompilerMessage { message } if message.level == "error" => errors.push(message),
                Said::CompilerArtifact { executable: Some(path), manifest_path } => {
                    let folder = manifest_path.parent().context("a manifest has a folder")?.to_owned();
                    programs.push(Program { path, folder });
                }
                _ => {}
            }
        }
        // The count of errors, and the like, point to nothing.
        errors.retain(|error| !error.spans.is_empty());
        if output.status.success() {
            return Ok(Built::Programs(programs));
        }
        ensure!(!errors.is_empty(), "cargo test --no-run: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Built::Errors(errors))
    }
}

enum Built {
    Programs(Vec<Program>),
    Errors(Vec<Message>),
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Said {
    CompilerMessage {
        message: Message,
    },
    CompilerArtifact {
        executable: Option<PathBuf>,
        manifest_path: PathBuf,
    },
    #[serde(other)]
    Else,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    rendered: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: PathBuf,
    line_start: usize,
    is_primary: bool,
}

impl Message {
    /// Whose error it is: the mutants of its line, or of the nearest one above that has any.
    fn mutants(&self, folder: &Path) -> Result<BTreeSet<usize>> {
        let mut found = BTreeSet::new();
        for span in self.spans.iter().filter(|span| span.is_primary) {
            let path = folder.join(&span.file_name);
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            found.extend(near(&text.lines().collect::<Vec<_>>(), span.line_start));
        }
        Ok(found)
    }
}

/// The mutants of a line (from 1), or of the nearest one above that has any; below a function's type or the head of a `match`, as the error is that of
/// what follows, all of them: which one it is nobody says.
fn near(lines: &[&str], line: usize) -> Vec<usize> {
    let text = lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
    let below = || lines.iter().skip(line).take(NEAR).flat_map(|text| ids(text)).collect();
    if text.contains("fn ") || text.contains("match ") && text.ends_with('{') {
        return below();
    }
    let named = |text: &&str| Some(ids(text)).filter(|ids| !ids.is_empty());
    lines.iter().take(line).rev().take(NEAR).filter_map(named).next().unwrap_or_else(below)
}

/// The mutants that a line names.
fn ids(line: &str) -> Vec<usize> {
    let after = line.split(MARK).skip(1);
    after.filter_map(|rest| rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()).collect()
}

/// Copies what belongs to the project. What is the same stays as it is, so that little is built.
fn copy(root: &Path, folder: &Path) -> Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root).output().context("running git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("reading what git ls-files says")?;
    let names: BTreeSet<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
    for name in &names {
        let from = root.join(name);
        // One that is deleted, and still in the index.
        if from.is_file() {
            write(&folder.join(name), &fs::read(&from).with_context(|| format!("reading {name}"))?)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_that_of_the_mutants_on_its_line() {
        assert_eq!(ids("if (if crate::mutant::is(12usize) { a } else { b }) && crate::mutant::is(3usize) {"), [12, 3]);
        assert!(ids("let a = 1;").is_empty());
        let lines = [
            "if crate::mutant::is(1usize) {",
            "fn f() -> A {",
            "if crate::mutant::is(2usize) {",
            "return b;",
            "}",
            "c",
        ];
        assert_eq!((near(&lines, 4), near(&lines, 2)), (vec![2], vec![2]));
        assert_eq!((near(&lines, 1), near(&lines, 6)), (vec![1], vec![2]));
    }
}
