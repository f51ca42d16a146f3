//! The command line of the daemon.

use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use reactor_core::settings::Mode;
use reactor_sys::drbd::playback::Speed;

/// Follows DRBD and reacts.
#[derive(Parser, Debug)]
#[command(name = "reactord", version, about, max_term_width = 100)]
pub(crate) struct Args {
    /// Configuration file [default: /etc/storage-reactor.toml, or /etc/drbd-reactor.toml as drbd-reactor]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Use the defaults of another program; called by its name, this is on without being asked for
    #[arg(long, value_name = "PROGRAM")]
    compat: Option<Compat>,

    /// Start even though this is a terminal
    #[arg(long)]
    pub(crate) allow_tty: bool,

    /// Play recordings instead of following the DRBD of this machine; several are played as one after the other
    #[arg(long, value_name = "RECORDING", num_args = 1..)]
    pub(crate) play: Vec<PathBuf>,

    /// How much faster than it happened a recording is played: a number, or `max`
    #[arg(long, value_name = "FACTOR", default_value = "1", requires = "play")]
    pub(crate) speed: Speed,
}

/// Whose defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Compat {
    /// LINBIT's drbd-reactor
    DrbdReactor,
}

impl Args {
    /// Reads the command line; `--help`, `--version` and mistakes end the program.
    pub(crate) fn read() -> (Self, Mode) {
        let called_as = std::env::args_os().next().map(PathBuf::from);
        let name = called_as.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
        // Scripts read the line of `drbd-reactor --version`: its name, and a number.
        let command = Self::command().name(if name == Some("drbd-reactor") { "drbd-reactor" } else { "reactord" });
        let args = Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
        let compat = args.compat.is_some() || name == Some("drbd-reactor");
        (args, if compat { Mode::DrbdReactor } else { Mode::Native })
    }

    /// The configuration file.
    pub(crate) fn config(&self, mode: Mode) -> PathBuf {
        let default = match mode {
            Mode::Native => "/etc/storage-reactor.toml",
            Mode::DrbdReactor => "/etc/drbd-reactor.toml",
        };
        self.config.clone().unwrap_or_else(|| default.into())
    }
}
