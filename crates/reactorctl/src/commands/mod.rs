//! The commands: one file for each, with its arguments, what it asks, and what it prints.
//!
//! A new one is a file and a line in the table. The smallest to copy is `clear`. What several of them do or print is in `parts/`; what only one of
//! them needs is in a folder of its name.

pub(crate) mod block;
mod bridge;
mod changes;
mod check;
pub(crate) mod check_plugin;
mod clear;
mod config;
mod doctor;
mod drain;
pub(crate) mod events;
mod evict;
pub(crate) mod history;
mod hold;
pub(crate) mod import;
mod incident;
mod incidents;
mod leftovers;
mod log;
mod mon;
mod move_;
mod ping;
mod plan;
mod receive;
mod release;
mod reload;
mod replay;
mod restart;
mod start;
mod start_until;
mod status;
mod stop;
mod sync;
mod undrain;
mod wait;
mod why;

use std::io::Write;

use clap::Subcommand;

use crate::cli::Place;
use crate::exit::{Exit, Failure};

/// What a command does.
pub(crate) trait Run {
    /// Asks the daemon of `place`, or does without one, and prints to `out`.
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure>;

    /// How it ends if what it is to ask was not even found.
    fn failed(&self, failure: Failure, _out: &mut dyn Write) -> Result<Exit, Failure> {
        Err(failure)
    }

    /// Whether it asks the daemon of one node: only then does `--node` mean anything.
    fn asks_one_daemon(&self) -> bool {
        true
    }

    /// Whether `--node` is a name in what it reads, and nobody is asked.
    fn names_a_node(&self) -> bool {
        false
    }

    /// Whether its lines may be broken on a terminal that they do not fit on. Files, messages to programs, and carets below lines may not.
    fn is_for_people(&self) -> bool {
        true
    }
}

macro_rules! commands {
    ($(#[$doc:meta])* $group:ident { $($name:ident($args:ty),)+ } $(and $rest:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Subcommand)]
        #[allow(missing_docs, reason = "the arguments of each say what it does, which is its help")]
        pub enum $group {
            $($name($args),)+
            $(#[command(flatten)] $rest($rest),)?
        }

        impl Run for $group {
            fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
                match self {
                    $(Self::$name(args) => args.run(place, out),)+
                    $(Self::$rest(command) => command.run(place, out),)?
                }
            }

            fn failed(&self, failure: Failure, out: &mut dyn Write) -> Result<Exit, Failure> {
                match self {
                    $(Self::$name(args) => args.failed(failure, out),)+
                    $(Self::$rest(command) => command.failed(failure, out),)?
                }
            }

            fn asks_one_daemon(&self) -> bool {
                match self {
                    $(Self::$name(args) => args.asks_one_daemon(),)+
                    $(Self::$rest(command) => command.asks_one_daemon(),)?
                }
            }

            fn names_a_node(&self) -> bool {
                match self {
                    $(Self::$name(args) => args.names_a_node(),)+
                    $(Self::$rest(command) => command.names_a_node(),)?
                }
            }

            fn is_for_people(&self) -> bool {
                match self {
                    $(Self::$name(args) => args.is_for_people(),)+
                    $(Self::$rest(command) => command.is_for_people(),)?
                }
            }
        }
    };
}

// In the order of the help.
commands! {
    /// What to do.
    Command {
        Status(status::StatusArgs),
        Config(config::ConfigArgs),
        Evict(evict::EvictArgs),
        Restart(restart::RestartArgs),
        StartUntil(start_until::StartUntilArgs),
    } and Own
}

commands! {
    /// The commands that drbd-reactorctl has no counterpart for: they can be called by its name, too.
    Own {
        Changes(changes::ChangesArgs),
        Mon(mon::MonArgs),
        Why(why::WhyArgs),
        Plan(plan::PlanArgs),
        History(history::HistoryArgs),
        Log(log::LogArgs),
        Events(events::EventsArgs),
        Wait(wait::WaitArgs),
        Start(start::StartArgs),
        Stop(stop::StopArgs),
        Move(move_::MoveArgs),
        Drain(drain::DrainArgs),
        Undrain(undrain::UndrainArgs),
        Hold(hold::HoldArgs),
        Release(release::ReleaseArgs),
        Clear(clear::ClearArgs),
        Leftovers(leftovers::LeftoversArgs),
        Sync(sync::SyncArgs),
        Receive(receive::ReceiveArgs),
        Reload(reload::ReloadArgs),
        Ping(ping::PingArgs),
        Block(block::BlockArgs),
        Incidents(incidents::IncidentsArgs),
        Incident(incident::IncidentArgs),
        Doctor(doctor::DoctorArgs),
        Check(check::CheckArgs),
        CheckPlugin(check_plugin::CheckPluginArgs),
        Bridge(bridge::BridgeArgs),
        Replay(replay::ReplayArgs),
        Import(import::ImportArgs),
    }
}

impl Default for Command {
    fn default() -> Self {
        Self::Status(status::StatusArgs::default())
    }
}
