//! What operators ask of a promoter: of one of its resources, or of the node.

use std::collections::BTreeSet;

use crate::action::{Effect, Reason};
use crate::operator::{Hold, OperatorAnswer, OperatorRequest, OperatorVerb, Until};
use crate::plugin::{Context, Handled};

use super::machine::Machine;
use super::services::Services;
use super::{Promoter, held};

impl Promoter {
    /// The node is drained, or no longer.
    pub(super) fn drained(&mut self, cx: &mut Context<'_>) {
        self.be_born(cx.now);
        self.judge(cx, self.machines.keys().cloned().collect());
    }

    pub(super) fn asked(&mut self, cx: &mut Context<'_>, request: &OperatorRequest) -> Handled {
        self.be_born(cx.now);
        let Some(resource) = request.subject.resource() else { return Handled::No };
        let ask = |machine: &mut Machine, cx: &mut Context<'_>| Self::decree(machine, cx, request);
        let again = |this: &mut Self, cx: &mut Context<'_>| this.with(cx, resource, ask);
        // A machine that panics over it is built anew, and asked once more.
        let Some(answer) = again(self, cx).or_else(|| again(self, cx)) else { return Handled::No };
        let because = vec![Reason(format!("{} asked for: {}", request.who, request.verb))];
        cx.effect(because, Effect::AnswerOperator { request: request.request, answer });
        self.judge(cx, BTreeSet::from([resource.clone()]));
        self.judge_thaws(cx);
        Handled::Yes
    }

    fn decree(machine: &mut Machine, cx: &mut Context<'_>, request: &OperatorRequest) -> OperatorAnswer {
        let name = machine.name.clone();
        let unchanged = |text: String| OperatorAnswer::Unchanged { text };
        let done = |text: String| OperatorAnswer::Done { text };
        let since = cx.wall.map_or(0, |wall| wall.unix_ms / 1000);
        let hold = |why: &String, stops| Hold { who: request.who.clone(), why: why.clone(), since, stops, until: None };
        machine.memory_changed = true;
        match &request.verb {
            OperatorVerb::Hold { why } => {
                let text = format!("{name} is held: nothing is started, stopped or repaired until it is released");
                Self::hold(machine, hold(why, false), text)
            }
            OperatorVerb::Stop { why } => {
                let text = format!("{name} is stopped here, and not started until it is released");
                Self::hold(machine, hold(why, true), text)
            }
            OperatorVerb::Yield { .. } if machine.held.is_hands_off() => {
                let who = machine.held.hold().map_or("", |hold| hold.who.as_str());
                OperatorAnswer::Refused { text: format!("{name} is held by {who}: release it first") }
            }
            // Who leaves it to another node has no say in when it may run here again: whoever has stopped it has.
            OperatorVerb::Yield { .. } if machine.held.has_no_end() => {
                let before = machine.held.hold().map(held::words).unwrap_or_default();
                unchanged(format!("{name} is {before}; that stays so until it is released"))
            }
            OperatorVerb::Yield { why, to, limit, restarts } => {
                machine.failures.forget_leaving();
                let to_whom = to.as_deref().unwrap_or("another node");
                let text = format!("{name} is left to {to_whom}, for {limit} s at most");
                let runs_here = machine.services(cx.node) != Services::Off || machine.is_primary(cx);
                // Asked once more while it leaves: it ran here all the same.
                let ran_here = runs_here || machine.held.ran_here();
                let until = Until { peer: to.clone(), end: 0, limit: *limit, restarts: *restarts, ran_here };
                match machine.held.set_for(cx.now, cx.wall, hold(why, true), until) {
                    None => done(text),
                    Some(before) => done(format!("{text}; before, it was {}", held::words(&before))),
                }
            }
            OperatorVerb::Release => {
                // A drain is of the node: whoever releases a resource does not end it.
                let drain = cx.drained.map_or_else(String::new, |drain| format!("; {}", held::words_of_drain(drain)));
                if machine.held.release() {
                    done(format!("{name} is no longer held{drain}"))
                } else {
                    unchanged(format!("{name} was not held{drain}"))
                }
            }
            OperatorVerb::Clear if machine.tries.clear() => {
                machine.failures.forget_leaving();
                machine.levels.waits_anew();
                done(format!("the failures of {name} are forgotten"))
            }
            OperatorVerb::Clear => unchanged(format!("{name} has no failures to forget")),
            // The core's own.
            OperatorVerb::Drain { .. } | OperatorVerb::Undrain | OperatorVerb::CloseIncident { .. } => {
                OperatorAnswer::NoSuchResource
            }
        }
    }

    fn hold(machine: &mut Machine, hold: Hold, text: String) -> OperatorAnswer {
        machine.failures.forget_leaving();
        let same = |before: &Hold| Hold { since: hold.since, ..before.clone() } == hold;
        match machine.held.hold() {
            Some(before) if same(before) => OperatorAnswer::Unchanged { text },
            // Another person's, or one of which nobody knew whether there was one: that was a guess, this is not.
            Some(before) => {
                let text = format!("{text}; before, it was {}", held::words(before));
                machine.held.set(hold);
                OperatorAnswer::Done { text }
            }
            None => {
                machine.held.set(hold);
                OperatorAnswer::Done { text }
            }
        }
    }
}
