//! Manual pages, made of the definitions that `--help` and the reference page are made of: `cargo xtask man FOLDER`, which `make install` calls.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory as _};

/// The daemon's command line is a module of its program.
#[path = "../../crates/reactord/src/args.rs"]
#[allow(dead_code, unreachable_pub, reason = "only its definition is of interest here")]
mod daemon;

/// A page: its file, and its text.
pub(crate) type Page = (String, String);

/// The page of all tables but those of plugins, and one page for each plugin.
const MAIN: &str = "storage-reactor.toml";
const PLUGINS: [&str; 5] = ["promoter", "umh", "prometheus", "agentx", "debugger"];

/// Writes them all into one folder.
pub(crate) fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for (name, text) in pages()? {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// All pages.
pub(crate) fn pages() -> Result<Vec<Page>> {
    let mut all = Vec::new();
    let ours =
        [reactorctl::cli::Cli::command(), reactorctl::compat::OldCli::command(), reactorctl::prpt::Prpt::command()];
    for command in ours.into_iter().chain([daemon::Args::command()]) {
        let name = command.get_name().to_owned();
        of_command(command.disable_help_subcommand(true), &name, &mut all)?;
    }
    let reference = reactor_config::reference_markdown();
    all.push((format!("{MAIN}.5"), of_tables(MAIN, &reference, |title| plugin_of(title).is_none())));
    for plugin in PLUGINS {
        let name = format!("storage-reactor.{plugin}");
        all.push((format!("{name}.5"), of_tables(&name, &reference, |title| plugin_of(title) == Some(plugin))));
    }
    Ok(all)
}

/// A command, and each of its commands.
fn of_command(command: Command, name: &str, all: &mut Vec<Page>) -> Result<()> {
    // clap keeps names for as long as the program runs, and so does this one.
    let known: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let words = match name.split_once("reactorctl-") {
        Some((before, after)) => format!("{before}reactorctl {}", after.replace('-', " ")),
        None => name.replacen("prpt-", "prpt ", 1),
    };
    let mut command = command.name(known).display_name(known).bin_name(words);
    command.build();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text).map_err(io::Error::other)?;
    all.push((format!("{name}.1"), String::from_utf8(text).context("a page is text")?));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        of_command(inner.clone(), &format!("{name}-{}", inner.get_name()), all)?;
    }
    Ok(())
}

/// The plugin that a table of the reference belongs to, by its title.
fn plugin_of(title: &str) -> Option<&'static str> {
    let word = title.trim_matches('`').trim_start_matches('[').split(['.', ']']).next().unwrap_or_default();
    let of_rules = title.to_ascii_lowercase();
    PLUGINS.into_iter().find(|plugin| {
        *plugin == word || (*plugin == "umh" && (of_rules.contains("rule") || of_rules.contains("match")))
    })
}

/// A page of section 5: the tables of the reference whose title is wanted.
fn of_tables(name: &str, reference: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut page = format!(
        ".TH {} 5 \"\" \"Storage Reactor {}\" \"File formats\"\n.SH NAME\n{} \\- configuration of Storage Reactor\n",
        roff(&name.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        roff(name)
    );
    page.push_str(".SH DESCRIPTION\nThe files are TOML. After a change: \\fBreactorctl check\\fR, then \\fBreactorctl reload\\fR.\n");
    for section in reference.split("### ").skip(1) {
        let Some((title, body)) = section.split_once('\n') else { continue };
        if !wanted(title) {
            continue;
        }
        let _ = writeln!(page, ".SH \"{}\"", roff(&plain(title)).replace('"', "\\(dq"));
        for line in body.lines().filter(|line| !line.trim().is_empty()) {
            match line.strip_prefix("| ").map(|row| row.trim_end_matches(" |").split(" | ").collect::<Vec<_>>()) {
                Some(cells) if cells[0] == "key" || cells[0].starts_with("---") => {}
                Some(cells) => {
                    let cell = |at: usize| roff(&plain(cells.get(at).copied().unwrap_or_default()));
                    let _ = writeln!(
                        page,
                        ".TP\n\\fB{}\\fR\n{}\n.br\nValue: {}. Default: {}.",
                        cell(0),
                        line_of(&cell(3)),
                        cell(1),
                        cell(2)
                    );
                }
                None => {
                    let _ = writeln!(page, ".PP\n{}", line_of(&roff(&plain(line))));
                }
            }
        }
    }
    page.push_str(".SH FILES\n/etc/storage\\-reactor.toml, /etc/storage\\-reactor.d/*.toml\n.SH SEE ALSO\nreactord(1), reactorctl(1), storage\\-reactor.toml(5)");
    for plugin in PLUGINS {
        let _ = write!(page, ", storage\\-reactor.{plugin}(5)");
    }
    page.push('\n');
    page
}

/// Markdown without its marks: they are few here.
fn plain(text: &str) -> String {
    text.replace('`', "").replace("\\|", "|").replace("<br>", " ")
}

/// A text in which nothing is a command of roff.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// The same at the beginning of a line.
fn line_of(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn every_command_and_every_plugin_has_a_page_and_every_key_is_on_one() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "prpt.1",
            "prpt-query.1",
            "reactorctl.1",
            "reactorctl-doctor.1",
            "reactorctl-config-edit.1",
            "drbd-reactorctl.1",
            "drbd-reactorctl-evict.1",
            "reactord.1",
            "storage-reactor.toml.5",
            "storage-reactor.promoter.5",
            "storage-reactor.umh.5",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        let fives: String =
            pages.iter().filter(|(name, _)| name.ends_with(".5")).map(|(_, text)| text.as_str()).collect();
        for line in reactor_config::reference_markdown().lines() {
            let Some(key) = line.strip_prefix("| `").and_then(|row| row.split('`').next()) else { continue };
            assert!(fives.contains(&format!("\\fB{}", roff(key))), "{key}");
        }
        let text = |name: &str| &pages.iter().find(|(page, _)| page == name).unwrap().1;
        assert!(text("reactorctl-doctor.1").contains("nightly"));
        assert!(text("storage-reactor.promoter.5").contains("on\\-quorum\\-loss"));
        assert!(!text("storage-reactor.toml.5").contains("on\\-quorum\\-loss"));
    }

    #[expect(clippy::print_stdout, reason = "says what was skipped")]
    #[test]
    fn man_has_nothing_to_say_against_them() {
        let folder = std::env::temp_dir().join(format!("storage-reactor-man-{}", std::process::id()));
        write(&folder).unwrap();
        let mut complaints = String::new();
        let mut shown = 0;
        for (name, _) in pages().unwrap() {
            let man = std::process::Command::new("man")
                .args(["--warnings", "-E", "UTF-8", "-l"])
                .arg(folder.join(&name))
                .env("MANROFFSEQ", "")
                .env("MANWIDTH", "80")
                .env("LC_ALL", "C.UTF-8")
                .stdin(Stdio::null())
                .output();
            let Ok(output) = man else { break };
            shown += usize::from(!output.stdout.is_empty());
            complaints.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(complaints, "");
        if shown == 0 {
            println!("SKIPPED: there is no man(1) that shows pages");
        }
    }
}
