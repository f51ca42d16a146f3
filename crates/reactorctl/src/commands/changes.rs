//! `reactorctl changes`: what the daemon saw, and what it sees.

use std::io::Write;

use reactor_api::INTERFACE;
use reactor_api::WireChange;
use reactor_api::client::{Client, ClientError, Reply};
use reactor_api::verbs::Changes;
use reactor_api::words::{Detail, Last};
use serde_json::Value;

use crate::cli::{ChangesArgs, DetailArg, Place};
use crate::daemon;
use crate::exit::{ANSWER_WITHIN, Exit, Failure};
use crate::style::{DIM, END, WARN, make_harmless};

/// How many changes are shown if nobody says.
const DEFAULT_LAST: u32 = 20;

pub(crate) fn run(place: &Place, args: &ChangesArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut last = args.last.unwrap_or(if args.follow { 0 } else { DEFAULT_LAST });
    loop {
        let mut client = daemon::connect(place, ANSWER_WITHIN)?;
        client.ask_for_more(&request(args, last))?;
        let Err(missed) = stream(&mut client, args, out)? else {
            // Only the end of the daemon ends a stream.
            return if args.follow { Err(Failure::Stopped) } else { Ok(Exit::Ok) };
        };
        // Our reader was too slow. What was missed is in the past of the daemon at best; go on from here, and say so.
        writeln!(anstream::stderr(), "{WARN}reactorctl: too slow, {missed} changes are missing here{END}")?;
        last = 0;
    }
}

fn request(args: &ChangesArgs, last: u32) -> Changes {
    let detail = match args.detail {
        DetailArg::State => Detail::State,
        DetailArg::All => Detail::All,
    };
    Changes { detail: Some(detail), last: Some(Last(last.into())), follow: Some(args.follow) }
}

/// How many changes were missed, if the daemon dropped us for reading too slowly.
type Ended = Result<(), u64>;

fn stream(client: &mut Client, args: &ChangesArgs, out: &mut dyn Write) -> Result<Ended, Failure> {
    loop {
        let Reply { parameters, continues } = match client.next_reply() {
            Ok(reply) => reply,
            Err(ClientError::Refused { name, parameters }) if name == format!("{INTERFACE}.Lagged") => {
                return Ok(Err(parameters.get("missed").and_then(Value::as_u64).unwrap_or(0)));
            }
            Err(error) => return Err(error.into()),
        };
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
