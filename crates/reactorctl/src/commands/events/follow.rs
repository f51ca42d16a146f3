//! `reactorctl events follow`: storage events as the daemon stores them. It goes on when the daemon comes back, behind the last that it has seen.

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use reactor_api::INTERFACE;
use reactor_api::WireEvent;
use reactor_api::client::{Client, ClientError, Reply};
use reactor_api::verb::Verb as _;
use reactor_api::verbs::{MonitorEvents, QueryEvents};
use reactor_api::words::Last;
use serde_json::Value;

use super::print::print;
use super::query::ask;
use super::wanted::{WantedArgs, Words};
use crate::cli::Place;
use crate::commands::Run;
use crate::commands::history::{is_away, say};
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::style::make_harmless;

/// So often a daemon that has gone is looked for.
const PAUSE: Duration = Duration::from_secs(1);

/// Show storage events as they come
///
/// An event that goes on is shown once more with its count. When the daemon is restarted, what it has stored meanwhile is shown, too.
#[derive(Clone, Debug, Args)]
pub struct FollowArgs {
    /// Which events, and how they are printed.
    #[command(flatten)]
    pub wanted: WantedArgs,

    /// Begin with the last N events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub limit: u64,
}

impl Run for FollowArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut seen = Seen { after: None, is_silent: false };
        loop {
            let followed = self.follow(place, &mut seen, out);
            match followed {
                Err(Failure::Output { source }) => return Err(Failure::Output { source }),
                // One that was there once comes back.
                Ok(()) | Err(Failure::Stopped) if seen.after.is_some() => seen.say("the daemon has stopped")?,
                Err(failure) if seen.after.is_some() && (is_away(&failure) || place.node.is_some()) => {
                    seen.say(&failure.chain())?;
                }
                Ok(()) => return Err(Failure::Stopped),
                Err(failure) => return Err(failure),
            }
            sleep(PAUSE);
        }
    }

    fn is_for_people(&self) -> bool {
        !self.wanted.json && !self.wanted.json_pretty
    }
}

/// How far the events were seen.
struct Seen {
    /// Behind that it goes on.
    after: Option<u64>,
    /// That the daemon has gone was said.
    is_silent: bool,
}

impl Seen {
    fn say(&mut self, why: &str) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_silent, true) {
            return Ok(());
        }
        say(&format!("{why}; this goes on when it is back"))
    }
}

impl FollowArgs {
    /// Until the daemon ends.
    fn follow(&self, place: &Place, seen: &mut Seen, out: &mut dyn Write) -> Result<(), Failure> {
        let form = self.wanted.form();
        let Words { severity, types, subsystems, device, incident } = self.wanted.words();
        let verb = MonitorEvents { severity, types, subsystems, device, incident, after: seen.after };
        let mut client = daemon::connect_if_it_answers(place, verb.limit().client())?;
        client.ask_for_more(&verb)?;
        let mut told = false;
        loop {
            let answer = match answer(&mut client) {
                // What was missed is stored: it is asked for anew.
                Err(Failure::Client(ClientError::Refused { name, .. })) if name == format!("{INTERFACE}.Lagged") => {
                    return self.follow(place, seen, out);
                }
                Err(Failure::Client(error)) if told => return Err(Failure::in_stream(error)),
                answer => answer?,
            };
            seen.is_silent = false;
            if seen.after.is_none() && self.limit > 0 {
                self.past(place, answer.after, out)?;
            }
            for event in &answer.events {
                print(event, form, out)?;
            }
            out.flush()?;
            seen.after = Some(answer.after);
            told = true;
            if !answer.continues {
                return Ok(());
            }
            // From now on nothing may happen for days.
            client.set_deadline(None)?;
        }
    }

    /// The last of those that were there when this began; what came after is told by the stream.
    fn past(&self, place: &Place, until: u64, out: &mut dyn Write) -> Result<(), Failure> {
        let Words { severity, types, subsystems, device, incident } = self.wanted.words();
        let last = Some(Last(self.limit));
        let verb = QueryEvents { severity, types, subsystems, device, incident, last, ..QueryEvents::default() };
        let mut client = daemon::connect_if_it_answers(place, verb.limit().client())?;
        let mut events = Vec::new();
        ask(&mut client, &verb, &mut |event| {
            events.push(event);
            Ok(())
        })?;
        for event in events.iter().rev().filter(|event| event.number.is_none_or(|number| number <= until)) {
            print(event, self.wanted.form(), out)?;
        }
        Ok(())
    }
}

/// One answer of the stream.
struct Answer {
    events: Vec<WireEvent>,
    after: u64,
    continues: bool,
}

fn answer(client: &mut Client) -> Result<Answer, Failure> {
    let Reply { mut parameters, continues } = client.next_reply()?;
    make_harmless(&mut parameters);
    let after = parameters.get("after").and_then(Value::as_u64).unwrap_or(0);
    let events = parameters.get_mut("events").map(Value::take).unwrap_or_default();
    let events = serde_json::from_value(events).map_err(|source| Failure::Answer { source })?;
    Ok(Answer { events, after, continues })
}
