//! `reactorctl changes`: what the daemon saw, and what it sees.

use std::io::Write;

use clap::{Args, ValueEnum};
use reactor_api::INTERFACE;
use reactor_api::WireChange;
use reactor_api::client::{Client, ClientError, Reply};
use reactor_api::verb::Verb as _;
use reactor_api::verbs::Changes;
use reactor_api::words::{Detail, Last};
use serde_json::Value;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::style::{DIM, END, WARN, make_harmless};

/// How many changes are shown if nobody says.
const DEFAULT_LAST: u32 = 20;

/// Show the changes that the daemon saw
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

impl Run for ChangesArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut last = self.last.unwrap_or(if self.follow { 0 } else { DEFAULT_LAST });
        loop {
            let request =
                Changes { detail: Some(self.detail.into()), last: Some(Last(last.into())), follow: Some(self.follow) };
            let mut client = daemon::connect(place, request.limit().client())?;
            client.ask_for_more(&request)?;
            let Err(missed) = stream(&mut client, self, out)? else {
                // Only the end of the daemon ends a stream.
                return if self.follow { Err(Failure::Stopped) } else { Ok(Exit::Ok) };
            };
            // Our reader was too slow. What was missed is in the past of the daemon at best; go on from here, and say so.
            writeln!(anstream::stderr(), "{WARN}reactorctl: too slow, {missed} changes are missing here{END}")?;
            last = 0;
        }
    }
}

/// How many changes were missed, if the daemon dropped us for reading too slowly.
type Ended = Result<(), u64>;

fn stream(client: &mut Client, args: &ChangesArgs, out: &mut dyn Write) -> Result<Ended, Failure> {
    let mut told = false;
    loop {
        let Reply { parameters, continues } = match client.next_reply() {
            Ok(reply) => reply,
            Err(ClientError::Refused { name, parameters }) if name == format!("{INTERFACE}.Lagged") => {
                return Ok(Err(parameters.get("missed").and_then(Value::as_u64).unwrap_or(0)));
            }
            Err(error) if told => return Err(Failure::in_stream(error)),
            Err(error) => return Err(error.into()),
        };
        told = true;
        for change in parameters.get("changes").and_then(Value::as_array).into_iter().flatten() {
            print(change, args.json, out)?;
        }
        out.flush()?;
        if !continues {
            return Ok(Ok(()));
        }
        // From now on nothing may happen for days.
        client.set_deadline(None)?;
    }
}

fn print(change: &Value, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        writeln!(out, "{change}")?;
        return Ok(());
    }
    // One change that a newer daemon tells in a form that we do not know must not end the stream.
    let mut shown = change.clone();
    make_harmless(&mut shown);
    match serde_json::from_value::<WireChange>(shown) {
        Ok(wire) => {
            let time = wire.time.as_deref().unwrap_or_default();
            writeln!(out, "{DIM}{time}{END} {wire}")?;
        }
        Err(_) => writeln!(out, "{change}")?,
    }
    Ok(())
}
