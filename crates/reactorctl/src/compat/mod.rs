//! `drbd-reactorctl`: the commands and options of LINBIT's program of that name, for people and scripts that have them in their fingers.
//!
//! One file for each command, with its arguments, what it does and what it prints; a new one is a file and a line in the table. Those about
//! snippets are `reactorctl config CMD`, too. The commands that drbd-reactor has no counterpart for can be called by both names.
//! docs/drbd-reactorctl.md has both outputs side by side.

pub(crate) mod cat;
pub(crate) mod disable;
pub(crate) mod edit;
pub(crate) mod enable;
mod evict;
mod generate_completion;
pub(crate) mod ls;
mod restart;
pub(crate) mod rm;
mod start_until;
mod status;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use reactor_core::settings::Mode;

use crate::cli::Place;
use crate::commands::{Own, Run as _};
use crate::exit::{Exit, Failure};
use crate::io::Io;

/// Controls the daemon of this node, or of all nodes of a context, and its snippets.
///
/// It is Storage Reactor that answers; this is its command line for those who know drbd-reactor's. Without a command it shows the status.
#[derive(Debug, Parser)]
#[command(name = "drbd-reactorctl", version, about, max_term_width = 80)]
pub struct OldCli {
    /// Configuration file of the daemon [default: /etc/drbd-reactor.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Socket of the daemon [default: control.sock in the runtime folder of the configuration]
    #[arg(long, global = true, value_name = "PATH", hide = true)]
    pub socket: Option<PathBuf>,

    /// Nodes that the command is for: a file NAME.toml in ~/.config/drbd-reactorctl; none and local = this node only
    #[arg(long, global = true, value_name = "NAME", default_value = "default")]
    pub context: String,

    /// Only these nodes of the context
    #[arg(long, global = true, value_name = "NODE", value_delimiter = ',')]
    pub nodes: Vec<String>,

    /// This node only, whatever the contexts say
    #[arg(long, global = true, hide = true)]
    pub local: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Option<OldCommand>,
}

impl OldCli {
    /// Where the daemon is.
    pub(crate) fn place(&self) -> Place {
        Place::new(Mode::DrbdReactor, self.config.as_ref(), self.socket.as_ref())
    }
}

/// What a command of the old name does.
pub(crate) trait Act {
    /// Does it on this node.
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure>;

    /// Whether it is for all nodes of the context.
    fn reach(&self) -> Reach {
        Reach::AllNodes
    }

    /// Whether what it prints is one JSON document.
    fn is_json(&self) -> bool {
        false
    }

    /// Whether it changes nothing, and so has nothing to wait for.
    fn only_reads(&self) -> bool {
        false
    }

    /// Asks what is to be asked before it is done on many nodes, and says what they are told beside the command line so that they do not
    /// ask again. `None` = the answer was no.
    fn agree(&self, _io: &mut Io<'_>) -> Result<Option<Vec<OsString>>, Failure> {
        Ok(Some(Vec::new()))
    }
}

/// Which nodes a command is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// All of the context.
    AllNodes,
    /// This one, whatever the context says.
    ThisNode,
}

macro_rules! commands {
    ($($name:ident($args:ty),)+) => {
        /// What to do.
        #[derive(Clone, Debug, Subcommand)]
        #[expect(missing_docs, reason = "the arguments of each say what it does, which is its help")]
        pub enum OldCommand {
            $($name($args),)+
            #[command(flatten)]
            Own(Own),
        }

        impl OldCommand {
            /// What it does.
            pub(crate) fn act(&self) -> &dyn Act {
                match self {
                    $(Self::$name(args) => args,)+
                    Self::Own(command) => command,
                }
            }
        }
    };
}

// In the order of the help.
commands! {
    Disable(disable::DisableArgs),
    Enable(enable::EnableArgs),
    Status(status::StatusArgs),
    Restart(restart::RestartArgs),
    Edit(edit::EditArgs),
    Rm(rm::RmArgs),
    Evict(evict::EvictArgs),
    Cat(cat::CatArgs),
    Ls(ls::LsArgs),
    StartUntil(start_until::StartUntilArgs),
    GenerateCompletion(generate_completion::GenerateCompletionArgs),
}

impl Act for Own {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        self.run(place, io.out)
    }

    fn reach(&self) -> Reach {
        // A node that runs the old program does not know it.
        Reach::ThisNode
    }
}

impl Default for OldCommand {
    fn default() -> Self {
        Self::Status(status::StatusArgs::default())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        OldCli::command().debug_assert();
    }

    #[test]
    fn the_places_are_those_of_drbd_reactor() {
        let place = |args: &[&str]| OldCli::try_parse_from(args).unwrap().place();
        let old = place(&["drbd-reactorctl"]);
        assert_eq!(
            (old.mode, old.config, old.config_given),
            (Mode::DrbdReactor, "/etc/drbd-reactor.toml".into(), false)
        );
        assert_eq!(place(&["drbd-reactorctl", "ls", "-c", "x.toml"]).config, PathBuf::from("x.toml"));
    }

    #[test]
    fn global_options_stand_where_people_write_them() {
        let cli =
            OldCli::try_parse_from(["drbd-reactorctl", "--nodes", "a,b", "ls", "--context", "prod", "x", "y"]).unwrap();
        assert_eq!((cli.context.as_str(), cli.nodes), ("prod", vec!["a".to_owned(), "b".to_owned()]));
        let Some(OldCommand::Ls(ls)) = cli.command else { panic!("it is ls") };
        assert_eq!(ls.files, [PathBuf::from("x"), PathBuf::from("y")]);
    }
}
