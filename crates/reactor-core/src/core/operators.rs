//! What operators ask: of a resource, which is its promoter's matter, or of this node as a whole, which is the core's own.

use crate::action::{Action, ActionKind, Effect, Reason};
use crate::ids::{ActionId, InstanceId, Mono};
use crate::operator::{Hold, OperatorAnswer, OperatorRequest, OperatorVerb};
use crate::plugin::{Handled, PluginInput};
use crate::subject::Subject;

use super::{Core, wall_at};

impl Core {
    /// Who has drained this node, if somebody has.
    pub fn drained(&self) -> Option<&Hold> {
        self.drained.as_ref()
    }

    /// What was remembered of a drain.
    pub(super) fn told_drain(&mut self, now: Mono, drain: Option<&Hold>, out: &mut Vec<Action>) {
        self.drained = drain.cloned();
        self.each(now, out, PluginInput::Drained);
    }

    /// About a resource, or about this node as a whole.
    pub(super) fn operator(&mut self, now: Mono, request: &OperatorRequest, out: &mut Vec<Action>) {
        if request.subject == Subject::Node {
            return self.operator_of_node(now, request, out);
        }
        let mut whom = self.index.of_subject(&request.subject).into_iter();
        if !whom.any(|position| self.tell_one(position, now, out, PluginInput::Operator(request)) == Handled::Yes) {
            let because = [Reason(format!("no promoter has the resource {}", request.subject))];
            let answer = OperatorAnswer::NoSuchResource;
            self.effect(&because, Effect::AnswerOperator { request: request.request, answer }, out);
        }
    }

    /// What is asked of the node as a whole. Plugins hear of it before it is answered: what they ask for is under way then.
    fn operator_of_node(&mut self, now: Mono, request: &OperatorRequest, out: &mut Vec<Action>) {
        let before = self.drained.clone();
        let answer = match &request.verb {
            OperatorVerb::Drain { why } => {
                let since = wall_at(self.wall, now).map_or(0, |wall| wall.unix_ms / 1000);
                let drain = Hold { who: request.who.clone(), why: why.clone(), since, stops: true, until: None };
                let text =
                    "this node is drained: what promoters run here is stopped, and nothing is started".to_owned();
                match &before {
                    // Who gives no reason takes none away.
                    Some(before) if why.is_empty() || Hold { since, ..before.clone() } == drain => {
                        let why = if before.why.is_empty() { String::new() } else { format!(": {}", before.why) };
                        let text = format!("this node is drained already, by {}{why}", before.who);
                        OperatorAnswer::Unchanged { text }
                    }
                    _ => {
                        self.drained = Some(drain);
                        OperatorAnswer::Done { text }
                    }
                }
            }
            OperatorVerb::Undrain => match self.drained.take() {
                Some(_) => OperatorAnswer::Done { text: "this node is no longer drained".to_owned() },
                None => OperatorAnswer::Unchanged { text: "this node was not drained".to_owned() },
            },
            OperatorVerb::CloseIncident { .. } => return self.close_incident(now, request, out),
            _ => {
                let because = [Reason(format!("{} is asked of resources, not of the node", request.verb))];
                let answer = OperatorAnswer::NoSuchResource;
                return self.effect(&because, Effect::AnswerOperator { request: request.request, answer }, out);
            }
        };
        let because = vec![Reason(format!("{} asked for: {}", request.who, request.verb))];
        if self.drained != before {
            self.each(now, out, PluginInput::Drained);
        }
        // Also that nothing has changed: the disk may not have answered yet, and say something else later.
        self.effect(&because, Effect::RememberDrain { drain: self.drained.clone() }, out);
        self.effect(&because, Effect::AnswerOperator { request: request.request, answer }, out);
    }

    /// The plugin that has it answers; with two tables both have it.
    fn close_incident(&mut self, now: Mono, request: &OperatorRequest, out: &mut Vec<Action>) {
        let mut is_answered = false;
        for position in 0..self.instances.len() {
            is_answered |= self.tell_one(position, now, out, PluginInput::Operator(request)) == Handled::Yes;
        }
        if is_answered {
            return;
        }
        let text = "no open incident has this id: reactorctl incidents lists them".to_owned();
        let because = [Reason(text.clone())];
        let answer = OperatorAnswer::Refused { text };
        self.effect(&because, Effect::AnswerOperator { request: request.request, answer }, out);
    }

    /// What the core itself asks for, and no plugin.
    pub(super) fn effect(&mut self, because: &[Reason], effect: Effect, out: &mut Vec<Action>) {
        self.next_action += 1;
        let (id, kind) = (ActionId(self.next_action), ActionKind::Effect(effect));
        out.push(Action { id, plugin: InstanceId(0), because: because.to_vec(), kind });
    }
}
