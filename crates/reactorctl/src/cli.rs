//! The arguments.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use reactor_core::settings::Mode;

pub use crate::commands::Command;
use crate::nodes::context::{DEFAULT, Node};

/// Asks and steers the Storage Reactor daemon of this node.
///
/// Without a command it shows the status.
#[derive(Debug, Parser)]
#[command(name = "reactorctl", version, about, max_term_width = 80, after_long_help = crate::exit::help())]
pub struct Cli {
    /// Configuration file of the daemon; its socket is found by it
    /// [default: /etc/storage-reactor.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Socket of the daemon [default: control.sock in the runtime folder of the configuration]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// The nodes of a cluster: NAME.toml in ~/.config/reactorctl, or drbd-reactorctl's
    #[arg(long, global = true, value_name = "NAME", default_value = DEFAULT)]
    pub context: String,

    /// Ask the daemon of this node of the context, in place of this node's
    #[arg(long, global = true, value_name = "NODE", conflicts_with = "socket")]
    pub node: Option<String>,

    /// Use the defaults of another program
    #[arg(long, global = true, value_name = "PROGRAM")]
    pub compat: Option<Compat>,

    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Programs whose defaults we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Compat {
    /// LINBIT's drbd-reactor.
    DrbdReactor,
}

/// Where the daemon is and whose defaults apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose defaults apply.
    pub mode: Mode,
    /// The configuration file.
    pub config: PathBuf,
    /// Whether the user named it.
    pub config_given: bool,
    /// The socket, if the user named it.
    pub socket: Option<PathBuf>,
    /// The context that commands for all nodes are for.
    pub context: String,
    /// Another node, in place of this one.
    pub(crate) node: Option<Node>,
}

impl Place {
    /// Whose defaults `mode` says, with what the user named.
    pub(crate) fn new(mode: Mode, config: Option<&PathBuf>, socket: Option<&PathBuf>) -> Self {
        Self {
            mode,
            config: config.map_or_else(|| reactor_config::default_config_path(mode).to_owned(), Clone::clone),
            config_given: config.is_some(),
            socket: socket.cloned(),
            context: DEFAULT.to_owned(),
            node: None,
        }
    }
}

impl Cli {
    /// Where the daemon is.
    pub(crate) fn place(&self) -> Place {
        let mode = match self.compat {
            Some(Compat::DrbdReactor) => Mode::DrbdReactor,
            None => Mode::Native,
        };
        let place = Place::new(mode, self.config.as_ref(), self.socket.as_ref());
        Place { context: self.context.clone(), ..place }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    fn place(args: &[&str]) -> Place {
        Cli::try_parse_from(args).unwrap().place()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn compatibility_means_the_old_places() {
        assert_eq!(place(&["reactorctl"]).config, Path::new("/etc/storage-reactor.toml"));
        let old = place(&["reactorctl", "--compat", "drbd-reactor", "status"]);
        assert_eq!((old.mode, old.config.as_path()), (Mode::DrbdReactor, Path::new("/etc/drbd-reactor.toml")));
        let named = place(&["reactorctl", "status", "-c", "x.toml", "--socket", "s"]);
        assert_eq!((named.config.as_path(), named.config_given), (Path::new("x.toml"), true));
        assert_eq!((named.socket.as_deref(), named.mode), (Some(Path::new("s")), Mode::Native));
    }

    #[test]
    fn no_help_is_wider_than_80_columns() {
        fn look(command: &mut clap::Command) {
            let (short, long) = (command.render_help().to_string(), command.render_long_help().to_string());
            for line in short.lines().chain(long.lines()) {
                assert!(line.chars().count() <= crate::text::WIDTH, "{}: {line}", command.get_name());
            }
            command.get_subcommands_mut().for_each(look);
        }
        let mut program = Cli::command();
        program.build();
        look(&mut program);
    }

    #[test]
    fn help_has_the_exit_codes_and_the_fields_of_a_condition() {
        let lines = |text: String| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        let mut program = Cli::command();
        let help = lines(program.render_long_help().to_string());
        // Its rows are those of the table in the documents.
        let codes = crate::exit::markdown();
        for code in codes.lines().skip(2).filter_map(|row| row.split('|').nth(1)) {
            let code = format!("{} ", code.trim());
            assert!(help.iter().any(|line| line.starts_with(&code)), "{code}: {help:#?}");
        }
        let wait = program.find_subcommand_mut("wait").unwrap();
        let help = lines(wait.render_long_help().to_string());
        let fields = crate::expression::markdown();
        for field in fields.lines().skip(2).filter_map(|row| row.split('`').nth(1)) {
            let field = format!("{field} ");
            assert!(help.iter().any(|line| line.starts_with(&field)), "{field}: {help:#?}");
        }
    }

    /// The part of the page that a command has a heading of; without one, all of it.
    fn section(page: &str, command: &str) -> String {
        let (mut text, mut within, mut is_example) = (String::new(), 0, false);
        for line in page.lines() {
            is_example ^= line.starts_with("```");
            let level = if is_example { 0 } else { line.chars().take_while(|c| *c == '#').count() };
            if level > 0 && (within == 0 || level <= within) {
                let is_of_it = line[level..].split([',', ' ']).any(|word| word == command);
                within = if is_of_it { level } else { 0 };
            }
            if within > 0 {
                text.push_str(line);
                text.push('\n');
            }
        }
        if text.is_empty() { page.to_owned() } else { text }
    }

    #[test]
    fn every_option_is_on_the_page() {
        let page = include_str!("../../../docs/reactorctl.md");
        let mut missing = Vec::new();
        let program = Cli::command();
        let inner = program.find_subcommand("config").unwrap().get_subcommands().map(|command| ("config", command));
        for (part, command) in program.get_subcommands().map(|command| (command.get_name(), command)).chain(inner) {
            let text = section(page, part);
            // Of the commands of `config` each has a line.
            let row = |line: &&str| part != "config" || line.contains(&format!("`{}", command.get_name()));
            let is_between = |c: char| !c.is_alphanumeric() && c != '-';
            let words: Vec<&str> = text.lines().filter(row).flat_map(|line| line.split(is_between)).collect();
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let long = arg.get_long().map(|long| format!("--{long}"));
                let short = arg.get_short().map(|short| format!("-{short}"));
                let is_there = |word: &String| words.contains(&word.as_str());
                if arg.get_long().is_some() && !long.iter().chain(&short).any(is_there) {
                    missing.push(format!("{} {}", command.get_name(), long.unwrap_or_default()));
                }
            }
        }
        assert_eq!(missing, [""; 0], "not in docs/reactorctl.md");
    }

    #[test]
    fn no_command_is_status() {
        let cli = Cli::try_parse_from(["reactorctl"]).unwrap();
        assert!(matches!(cli.command.unwrap_or_default(), Command::Status(args) if !args.json));
    }
}
