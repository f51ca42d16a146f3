//! The arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use reactor_core::settings::Mode;

pub use crate::commands::Command;

/// Asks and steers the Storage Reactor daemon of this node.
///
/// Without a command it shows the status.
#[derive(Debug, Parser)]
#[command(name = "reactorctl", version, about, max_term_width = 100)]
pub struct Cli {
    /// Configuration file of the daemon; its socket is found by it
    /// [default: /etc/storage-reactor.toml, as drbd-reactorctl /etc/drbd-reactor.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Socket of the daemon [default: control.sock in the runtime folder of the configuration]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Use the defaults of another program, as if called by the name drbd-reactorctl
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
}

impl Place {
    /// From the arguments and the name that we were called by.
    pub fn new(cli: &Cli, called: Option<&OsString>) -> Self {
        let name = called.and_then(|called| Path::new(called).file_name());
        let by_name = name.is_some_and(|name| name == "drbd-reactorctl");
        let mode = match cli.compat {
            Some(Compat::DrbdReactor) => Mode::DrbdReactor,
            None if by_name => Mode::DrbdReactor,
            None => Mode::Native,
        };
        let default = match mode {
            Mode::Native => "/etc/storage-reactor.toml",
            Mode::DrbdReactor => "/etc/drbd-reactor.toml",
        };
        Self {
            mode,
            config: cli.config.clone().unwrap_or_else(|| default.into()),
            config_given: cli.config.is_some(),
            socket: cli.socket.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn place(args: &[&str]) -> Place {
        let cli = Cli::try_parse_from(args).unwrap();
        Place::new(&cli, Some(&OsString::from(args[0])))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_old_name_means_the_old_places() {
        assert_eq!(place(&["reactorctl"]).config, Path::new("/etc/storage-reactor.toml"));
        assert_eq!(place(&["/usr/sbin/drbd-reactorctl"]).config, Path::new("/etc/drbd-reactor.toml"));
        assert_eq!(place(&["reactorctl", "--compat", "drbd-reactor", "status"]).mode, Mode::DrbdReactor);
        let named = place(&["drbd-reactorctl", "status", "-c", "x.toml", "--socket", "s"]);
        assert_eq!((named.config.as_path(), named.config_given), (Path::new("x.toml"), true));
        assert_eq!((named.socket.as_deref(), named.mode), (Some(Path::new("s")), Mode::DrbdReactor));
    }

    #[test]
    fn no_command_is_status() {
        let cli = Cli::try_parse_from(["reactorctl"]).unwrap();
        assert!(matches!(cli.command.unwrap_or_default(), Command::Status(args) if !args.json));
    }
}
