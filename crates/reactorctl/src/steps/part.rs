//! A part of a resource is started, stopped or restarted: it is held, systemd is asked, and it is let go again if all of it runs.

use std::io::Write;

use reactor_api::PromotedStatus;
use reactor_api::verbs::{self, Hold, Release, Stop};
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units;

use super::args::RangeArgs;
use super::by_hand::{End, carry_out};
use super::range::{DRBD, RangeError, Step, Verb, all};
use super::{Line, Printer};
use crate::cli::Place;
use crate::config;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::takeover::{is_primary_here, primary_peer, promoted};
use crate::systemctl::Systemctl;

/// How the hold of a part begins: whoever finishes it lets it go.
const BY_HAND: &str = "a part of it is run by hand";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Stop,
    Restart,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
        }
    }
}

/// What is to be done, in pieces that go one way each.
fn pieces(action: Action, args: &RangeArgs, steps: &[Step]) -> Result<Vec<(Verb, Vec<Step>)>, RangeError> {
    match action {
        Action::Start => Ok(vec![(Verb::Start, args.select(Verb::Start, steps)?)]),
        Action::Stop => Ok(vec![(Verb::Stop, args.select(Verb::Stop, steps)?)]),
        Action::Restart => {
            // What stands on it goes down with it, and DRBD stays as it is unless it is named.
            let first = args.from.clone().unwrap_or_else(|| steps.get(1).map_or(DRBD, |step| &step.name).to_owned());
            let down = RangeArgs { from: None, upto: Some(first.clone()), ..args.clone() };
            let stops = down.select(Verb::Stop, steps)?;
            let after: Vec<Step> = steps
                .iter()
                .map(|step| Step {
                    is_active: step.is_active && !stops.iter().any(|stop| stop.unit == step.unit),
                    ..step.clone()
                })
                .collect();
            let up = RangeArgs { from: Some(first), ..args.clone() };
            Ok(vec![(Verb::Stop, stops), (Verb::Start, up.select(Verb::Start, &after)?)])
        }
    }
}

/// Does it.
pub(crate) fn run(
    action: Action,
    resource: &str,
    args: &RangeArgs,
    why: Option<&str>,
    place: &Place,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let refused = |why: String| Failure::Refused {
        what: format!("a part of {resource} can't be {} by hand", action.done()),
        why: vec![why],
    };
    if place.node.is_some() {
        return Err(refused("systemd of the node itself is asked: run it there".to_owned()));
    }
    let status = daemon::status(place, &verbs::Status { resources: Some([resource.to_owned()].into()) })?;
    let report =
        promoted(&status, resource).ok_or_else(|| Failure::NoSuchResource { resource: resource.to_owned() })?;
    if report.units.is_empty() {
        return Err(refused("it has no units: a shell runs its services, or there are none".to_owned()));
    }
    if let Some(peer) = primary_peer(&status, resource).filter(|_| action != Action::Stop) {
        return Err(refused(format!("{peer} is Primary: reactorctl move {resource} brings it here")));
    }
    if matches!(report.state.as_str(), "starting" | "stopping") {
        return Err(refused(format!("it is {} just now", report.state)));
    }
    let steps = all(&report, is_primary_here(&status, resource));
    let pieces = pieces(action, args, &steps).map_err(|error| refused(error.to_string()))?;
    let names: Vec<String> = steps.iter().map(|step| step.name.clone()).collect();
    let mut printer = Printer::new(out, args.json, names.iter().map(String::as_str).chain([resource]));
    if args.dry_run {
        return would(resource, &pieces, &mut printer);
    }
    let hands = Hands { place, resource, report: &report, what: format!("{}{}", action.word(), args.written()) };
    hands.hold(why, &mut printer)?;
    let mut systemctl = Systemctl::of(&config::daemon(place));
    for (verb, steps) in &pieces {
        if let End::Failed { step, left } = carry_out(*verb, resource, steps, &mut systemctl, &mut printer)? {
            if left.is_empty() && action == Action::Start {
                hands.as_before(&mut printer)?;
            } else {
                hands.stays_held(&mut printer)?;
            }
            return Err(Failure::StepFailed { resource: resource.to_owned(), step, left });
        }
    }
    hands.finish(action, systemctl, &mut printer)
}

/// Says the steps. Nothing is done.
pub(crate) fn would(resource: &str, pieces: &[(Verb, Vec<Step>)], printer: &mut Printer<'_>) -> Result<Exit, Failure> {
    for (verb, steps) in pieces {
        for step in steps {
            let text = match (verb, step.is_active) {
                (Verb::Start, true) => "already active".to_owned(),
                (Verb::Start, false) => format!("would start {}", step.unit),
                (Verb::Stop, true) => format!("would stop {}", step.unit),
                (Verb::Stop, false) => "already down".to_owned(),
            };
            printer.say(&Line::info(&step.about(resource), text))?;
        }
    }
    Ok(Exit::Ok)
}

/// The hold, before, while and after.
struct Hands<'a> {
    place: &'a Place,
    resource: &'a str,
    report: &'a PromotedStatus,
    /// What is done, as it was written.
    what: String,
}

impl Hands<'_> {
    fn name(&self) -> reactor_api::words::Resource {
        self.resource.into()
    }

    fn ask_to_hold(&self, why: &str) -> Result<String, Failure> {
        let hold = Hold { resource: self.name(), why: Some(why.into()) };
        Ok(daemon::ask(self.place, &hold)?.text)
    }

    fn hold(&self, why: Option<&str>, printer: &mut Printer<'_>) -> Result<(), Failure> {
        let is_held = self.report.hold.as_ref().is_some_and(|hold| !hold.stops);
        if is_held {
            return Ok(printer.say(&Line::info(self.resource, "it is held already"))?);
        }
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let text = self.ask_to_hold(&format!("{BY_HAND}: {}{why}", self.what))?;
        Ok(printer.say(&Line::info(self.resource, text))?)
    }

    /// Whoever held it before goes on with that.
    fn as_before(&self, printer: &mut Printer<'_>) -> Result<(), Failure> {
        let text = match &self.report.hold {
            None => daemon::ask(self.place, &Release { resource: self.name(), command: None })?.text,
            Some(hold) if hold.stops => {
                let why = Some(hold.why.as_str()).filter(|why| !why.is_empty()).map(Into::into);
                daemon::ask(self.place, &Stop { resource: self.name(), why })?.text
            }
            Some(_) => return Ok(()),
        };
        Ok(printer.say(&Line::info(self.resource, text))?)
    }

    fn stays_held(&self, printer: &mut Printer<'_>) -> Result<(), Failure> {
        let resource = self.resource;
        let text = format!(
            "it stays held: reactorctl start {resource} starts the rest and lets the promoter go on, reactorctl stop {resource} stops what runs"
        );
        Ok(printer.say(&Line::info(resource, text))?)
    }

    /// If all of it runs now, the promoter goes on with it.
    fn finish(&self, action: Action, systemctl: Systemctl, printer: &mut Printer<'_>) -> Result<Exit, Failure> {
        let needed = self.report.units.iter().filter(|unit| !unit.optional);
        let runs = action != Action::Stop && needed.into_iter().all(|unit| systemctl.is_active(&unit.unit));
        let is_a_persons = self.report.hold.as_ref().is_some_and(|hold| !hold.stops && !hold.why.starts_with(BY_HAND));
        if !runs || is_a_persons {
            self.stays_held(printer)?;
            printer.done(self.resource, "what was asked for is done")?;
            return Ok(Exit::Ok);
        }
        let target = units::target(&ResourceName::new(self.resource)).to_string();
        systemctl.run(&["start", "--", &target])?;
        let text = daemon::ask(self.place, &Release { resource: self.name(), command: None })?.text;
        printer.say(&Line::info(self.resource, text))?;
        printer.done(self.resource, "all of it runs here")?;
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(active: usize) -> Vec<Step> {
        let step = |(index, name): (usize, &str)| Step {
            name: name.to_owned(),
            unit: format!("{name}.service"),
            is_active: index < active,
            optional: false,
            group: None,
        };
        ["drbd", "a", "b", "c"].into_iter().enumerate().map(step).collect()
    }

    fn told(action: Action, from: Option<&str>, upto: Option<&str>, active: usize) -> String {
        let args = RangeArgs { from: from.map(str::to_owned), upto: upto.map(str::to_owned), ..RangeArgs::default() };
        let pieces = pieces(action, &args, &steps(active)).unwrap();
        let words = pieces.iter().map(|(verb, steps)| {
            let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
            format!("{verb:?} {}", names.join(" "))
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_restart_takes_down_what_stands_on_it() {
        assert_eq!(told(Action::Restart, Some("b"), None, 4), "Stop c b, Start b c");
        assert_eq!(told(Action::Restart, None, None, 4), "Stop c b a, Start a b c");
        assert_eq!(told(Action::Restart, Some("a"), Some("b"), 4), "Stop c b a, Start a b");
        assert_eq!(told(Action::Restart, Some("drbd"), None, 4), "Stop c b a drbd, Start drbd a b c");
        assert_eq!(told(Action::Start, None, Some("a"), 0), "Start drbd a");
        assert_eq!(told(Action::Stop, None, Some("b"), 4), "Stop c b");
    }
}
