//! `reactorctl config`: the files of the snippets folder. It is what `drbd-reactorctl` does with them, by the same code; `show` is ours.

mod show;

use std::io::{IsTerminal as _, Write};

use clap::{Args, Subcommand};

use crate::cli::Place;
use crate::commands::Run;
use crate::compat::edit::{EditArgs, Existing, edit};
use crate::compat::{Act as _, cat, disable, enable, ls, rm};
use crate::exit::{Exit, Failure};
use crate::io::Io;
use show::ShowArgs;

/// List, show, edit, enable, disable and remove snippets
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// What to do with them
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with snippets.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    Ls(ls::LsArgs),
    Cat(cat::CatArgs),
    Show(ShowArgs),
    Edit(EditArgs),
    /// Make a new snippet from a template
    New(EditArgs),
    Enable(enable::EnableArgs),
    Disable(disable::DisableArgs),
    Rm(rm::RmArgs),
}

impl Run for ConfigArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut err = anstream::stderr();
        let mut io = Io { out, err: &mut err, is_terminal: std::io::stdout().is_terminal() };
        match &self.command {
            ConfigCommand::Ls(args) => args.act(place, &mut io),
            ConfigCommand::Cat(args) => args.act(place, &mut io),
            ConfigCommand::Show(args) => args.show(place, io.out),
            ConfigCommand::Edit(args) => args.act(place, &mut io),
            ConfigCommand::New(args) => edit(args, Existing::Refused, place, &mut io),
            ConfigCommand::Enable(args) => args.act(place, &mut io),
            ConfigCommand::Disable(args) => args.act(place, &mut io),
            ConfigCommand::Rm(args) => args.act(place, &mut io),
        }
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }

    fn is_for_people(&self) -> bool {
        false
    }
}
