//! The arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use reactor_core::settings::{Detail, Mode};

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

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show what the daemon knows: problems first, then every resource and plugin
    Status(StatusArgs),
    /// Show the changes that the daemon saw
    Changes(ChangesArgs),
    /// Explain why a promoted resource is as it is: facts, what would change it, last decisions
    Why(WhyArgs),
    /// Leave a promoted resource alone until it is released, across restarts too
    Hold(HoldArgs),
    /// End a hold
    Release(ResourceArgs),
    /// Forget the failures of a promoted resource: what was blocked may run again
    Clear(ResourceArgs),
    /// Show unit files that an earlier drbd-reactor left behind
    Leftovers(LeftoversArgs),
    /// Make the daemon read its configuration again, and wait until it has
    Reload,
    /// Check configuration files without a daemon
    Check(CheckArgs),
    /// Show what the daemon would have done with a recording
    Replay(ReplayArgs),
}

impl Default for Command {
    fn default() -> Self {
        Self::Status(StatusArgs::default())
    }
}

/// Arguments of `status`.
#[derive(Clone, Debug, Default, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Only these resources
    #[arg(short, long = "resource", value_name = "RESOURCE", num_args = 1..)]
    pub resources: Vec<String>,
}

/// Arguments of `why`.
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `hold`.
#[derive(Clone, Debug, Args)]
pub struct HoldArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// Arguments of what needs a resource and nothing else.
#[derive(Clone, Debug, Args)]
pub struct ResourceArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,
}

/// Arguments of `leftovers`.
#[derive(Clone, Debug, Args)]
pub struct LeftoversArgs {
    /// Remove those whose services do not run
    #[arg(long)]
    pub remove: bool,

    /// Units, resources or files of which they are removed even if they run
    #[arg(value_name = "NAME", requires = "remove")]
    pub even: Vec<String>,
}

/// Arguments of `changes`.
#[derive(Clone, Debug, Args)]
pub struct ChangesArgs {
    /// Go on with each change as it happens
    #[arg(short, long)]
    pub follow: bool,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,

    /// State changes only, or statistics too
    #[arg(long, value_enum, default_value_t)]
    pub detail: DetailArg,

    /// Begin with the last N state changes [default: 20, with --follow 0]
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<u32>,
}

/// `--detail`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum DetailArg {
    /// State changes only.
    #[default]
    State,
    /// Statistics too.
    All,
}

impl From<DetailArg> for Detail {
    fn from(arg: DetailArg) -> Self {
        match arg {
            DetailArg::State => Self::State,
            DetailArg::All => Self::All,
        }
    }
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Snippets to check alone; without any, the configuration file and all its snippets are checked together
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Only look at the files: do not ask systemd and DRBD of this machine whether there is what a promoter needs
    #[arg(long)]
    pub no_system: bool,

    /// Also print how the unit files of each promoted resource differ from those that drbd-reactor would have written
    #[arg(long)]
    pub against_upstream: bool,
}

/// Arguments of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Output of `drbdsetup events2` (a file NAME.chunks beside it gives the times), or files of the recorder or their folder;
    /// several are played one after the other, as if events2 had been started again between them
    #[arg(value_name = "RECORDING", required = true)]
    pub recordings: Vec<PathBuf>,

    /// Print the state at the end in the form of `drbdsetup status --json --verbose --statistics`, and nothing else
    #[arg(long = "final")]
    pub final_state: bool,

    /// Print state changes too, between the decisions; without --config they are all there is
    #[arg(long)]
    pub changes: bool,
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
