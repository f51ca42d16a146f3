//! `reactorctl events`: storage events. A file for each verb.

mod catalogue;
mod follow;
pub(crate) mod parse;
mod print;
mod query;
mod wanted;

use std::io::Write;

use clap::{Args, Subcommand};

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};

/// Storage events: what the kernel and the tools of storage say of disks
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: EventsCommand,
}

/// What to do with storage events.
#[derive(Clone, Debug, Subcommand)]
pub enum EventsCommand {
    Query(query::QueryArgs),
    Follow(follow::FollowArgs),
    Catalogue(catalogue::CatalogueArgs),
    Parse(parse::ParseArgs),
}

impl Run for EventsArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        match &self.command {
            EventsCommand::Query(args) => args.run(place, out),
            EventsCommand::Follow(args) => args.run(place, out),
            EventsCommand::Catalogue(args) => args.run(place, out),
            EventsCommand::Parse(args) => args.run(place, out),
        }
    }

    fn asks_one_daemon(&self) -> bool {
        match &self.command {
            EventsCommand::Query(args) => args.asks_one_daemon(),
            EventsCommand::Follow(args) => args.asks_one_daemon(),
            EventsCommand::Catalogue(args) => args.asks_one_daemon(),
            EventsCommand::Parse(args) => args.asks_one_daemon(),
        }
    }

    fn is_for_people(&self) -> bool {
        match &self.command {
            EventsCommand::Query(args) => args.is_for_people(),
            EventsCommand::Follow(args) => args.is_for_people(),
            EventsCommand::Catalogue(args) => args.is_for_people(),
            EventsCommand::Parse(args) => args.is_for_people(),
        }
    }
}
