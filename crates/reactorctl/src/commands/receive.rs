//! `reactorctl receive`: takes the files that `reactorctl sync` on another node sends, by standard input and output.

use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use reactor_core::settings::Settings;

use crate::cli::Place;
use crate::commands::Run;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::sync::collect::promoter;
use crate::sync::names::Places;
use crate::sync::{RES_FOLDER, receive};

/// Take files that `reactorctl sync` on another node sends (it calls this by ssh)
#[derive(Clone, Debug, Args)]
#[command(hide = true)]
pub struct ReceiveArgs {
    /// Where .res files are taken to
    #[arg(long, value_name = "FOLDER", default_value = RES_FOLDER)]
    pub res_folder: PathBuf,
}

impl Run for ReceiveArgs {
    fn run(&self, place: &Place, _: &mut dyn Write) -> Result<Exit, Failure> {
        // Without a configuration that can be used only .res files are taken; it may be what one of them is to mend.
        let settings = config::trusted(place).unwrap_or_else(|_| Settings::of_plugins(place.mode, Vec::new()));
        let places = |resource: &str| Places {
            res: self.res_folder.clone(),
            snippets: settings.snippets.clone(),
            listed: listed(&settings, resource),
        };
        let mut input = BufReader::new(io::stdin().lock());
        // The protocol's bytes are not for people: nothing takes colours out of them.
        let mut out = io::stdout().lock();
        receive::receive(places, &settings.daemon.state_dir, &mut input, &mut out).map_err(|error| {
            let why = crate::sync::chain(&error);
            Failure::Program { what: "nothing was written".to_owned(), why }
        })?;
        Ok(Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }

    fn is_for_people(&self) -> bool {
        false
    }
}

/// What `sync` of a resource lists here.
fn listed(settings: &Settings, resource: &str) -> Vec<PathBuf> {
    let found: Option<(&Path, _)> = promoter(settings, resource);
    found.and_then(|(_, sync)| sync).map(|sync| sync.files.clone()).unwrap_or_default()
}
