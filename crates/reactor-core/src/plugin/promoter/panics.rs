//! What the panic of one machine costs: it is built anew, and the other resources of the promoter notice nothing (`isolation.rs`).

use std::time::Duration;

use crate::ids::ResourceName;
use crate::isolation::catch;
use crate::model::reports::NoteLevel;

use super::machine::Machine;
use super::report::ResourceReport;
use super::timers::Timer;
use super::{Context, Promoter, ViewContext, report};

/// An internal error is shown for this long.
const SHOWN: Duration = Duration::from_secs(3600);

impl Promoter {
    /// The machine of a resource panics with these words, as it would over a mistake in it: for simulations.
    pub fn stumble(&mut self, cx: &mut Context<'_>, resource: &ResourceName, words: &'static str) {
        // Not `panic!`: nobody made a mistake, and nothing is to be said about it.
        self.with(cx, resource, |_, _| -> () { std::panic::resume_unwind(Box::new(words)) });
    }

    /// Builds a machine anew, from its settings, from what is remembered, and from what a person or systemd could miss. All else follows from
    /// the levels, at once the first time, and after a pause if it panics again.
    pub(super) fn rebuild(&mut self, cx: &mut Context<'_>, name: &ResourceName, message: &str) {
        let Some(old) = self.machines.remove(name) else { return };
        cx.panics += 1;
        let upset = self.upsets.entry(name.clone()).or_default();
        let at = upset.another(cx.now, message.to_owned());
        let mut machine = Machine::new(name.clone(), old.settings.clone(), cx.now);
        if let Some(memory) = cx.memory(name) {
            machine.recall(cx, memory);
        }
        machine.inherit(&old, |id| self.owners.contains_key(&id));
        // Nothing of the call that panicked was done.
        machine.history.take_news();
        // Dropping it might panic again.
        std::mem::forget(old);
        machine.rest_until = Some(at);
        machine.timers.set(Timer::Rest, at);
        let text = format!("{name}: internal error, its decisions are made anew from what is known: {message}");
        machine.note(cx, NoteLevel::Error, text);
        self.machines.insert(name.clone(), machine);
    }

    /// Builds those anew that panicked while they were only looked at.
    pub(super) fn mend_unwell(&mut self, cx: &mut Context<'_>) {
        for (name, message) in std::mem::take(self.unwell.get_mut()) {
            let before = self.machines.get(&name).and_then(Machine::due);
            self.rebuild(cx, &name, &message);
            self.file_deadline(&name, before);
        }
    }

    /// What there is to report of a machine. One that panics over it is built anew by the next step, which is due at once.
    pub(super) fn look(&self, machine: &Machine, cx: &ViewContext<'_>) -> Option<ResourceReport> {
        match catch(|| self.report_on(machine, cx)) {
            Ok(report) => Some(report),
            Err(message) => {
                self.unwell.borrow_mut().insert(machine.name.clone(), message);
                None
            }
        }
    }

    fn report_on(&self, machine: &Machine, cx: &ViewContext<'_>) -> ResourceReport {
        let mut report = report(machine, cx);
        if let Some(upset) = self.upsets.get(&machine.name)
            && upset.last.is_some_and(|last| cx.now.since(last) < SHOWN)
        {
            let (count, message) = (upset.count, &upset.message);
            report.warnings.push(format!("internal error, {count} times so far, please report it: {message}"));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::action::{Action, ActionKind, AskTools, Call, Done, DrbdAnswer, DrbdCall, Effect, Outcome};
    use crate::ids::{ActionId, Mono};
    use crate::model::Node;
    use crate::operator::OperatorVerb;
    use crate::plugin::promoter::PluginInput;
    use crate::plugin::promoter::tests::Bench;
    use crate::plugin::{Plugin, promoter::Promoter};
    use crate::settings::promoter::{PromotedResource, PromoterSettings};

    #[test]
    fn a_machine_that_panics_is_built_anew_and_costs_neither_the_others_nor_a_hold() {
        let names = ["r0", "r1"].map(ResourceName::new);
        let resources = names.iter().map(|name| (name.clone(), PromotedResource::default())).collect();
        let promoter = Promoter::new(PromoterSettings { resources });
        let mut bench = Bench { promoter, node: Node::default(), now: Mono(1), next: 0, panics: 0 };
        assert!(bench.ask(OperatorVerb::Hold { why: "cables".to_owned() }));
        bench.now = bench.now.after(Duration::from_secs(60));
        bench.tell(PluginInput::Deadline);
        for (count, pause) in [(1, 0), (2, 1), (3, 2)] {
            let [r0, r1] = &names;
            let before: Vec<_> = bench.reports().into_iter().filter(|report| report.resource == *r1).collect();
            let ((), actions) = bench.call(|promoter, cx| promoter.stumble(cx, r0, "it stumbled"));
            assert!(
                actions.iter().all(|action| matches!(
                    action.kind,
                    ActionKind::Effect(Effect::Note { level: NoteLevel::Error, .. })
                ))
            );
            assert_eq!(bench.panics, 1);
            let due = bench.promoter.next_deadline().unwrap();
            assert_eq!(due.since(bench.now).as_secs(), pause);
            let reports = bench.reports();
            assert_eq!(reports.iter().filter(|report| report.resource == *r1).cloned().collect::<Vec<_>>(), before);
            let report = &reports[0];
            assert!(report.hold.is_some() && report.warnings[0].contains(&format!("{count} times")), "{report:?}");
            // It is judged again when its pause is over, and what has to be kept is kept.
            bench.now = due;
            let (_, actions) = bench.tell(PluginInput::Deadline);
            let kept = |action: &Action| matches!(&action.kind, ActionKind::Effect(Effect::Remember { memory, .. }) if memory.hold.is_some());
            assert!(actions.iter().any(kept), "{actions:?}");
            assert_eq!(bench.reports()[0].state.as_str(), "held");
        }
        assert!(bench.ask(OperatorVerb::Release));
    }

    #[test]
    fn a_machine_that_rests_decides_nothing_until_its_pause_is_over() {
        let name = ResourceName::new("r0");
        let resources = BTreeMap::from([(name.clone(), PromotedResource::default())]);
        let promoter = Promoter::new(PromoterSettings { resources });
        let mut bench = Bench { promoter, node: Node::default(), now: Mono(1), next: 0, panics: 0 };
        bench.promoter.be_born(bench.now);
        for _ in 0..3 {
            bench.call(|promoter, cx| promoter.stumble(cx, &name, "it stumbled"));
        }
        let due = bench.promoter.next_deadline().unwrap();
        assert_eq!(due.since(bench.now).as_secs(), 2);
        let asks = |actions: &[Action]| actions.iter().any(|action| matches!(action.kind, ActionKind::Call(_)));
        bench.now = Mono(due.0 - 1);
        let (_, actions) = bench.tell(PluginInput::BurstEnd);
        assert!(!asks(&actions), "{actions:?}");
        let report = &bench.reports()[0];
        assert_eq!((report.next, report.next_for), (Some(due), "it rests after an internal error"));
        bench.now = due;
        let (_, actions) = bench.tell(PluginInput::Deadline);
        assert!(asks(&actions), "{actions:?}");
    }

    #[test]
    fn an_adjust_that_runs_during_a_panic_is_waited_for_and_not_run_twice() {
        let tools = |actions: Vec<Action>| -> Vec<(ActionId, DrbdCall)> {
            let call = |action: Action| match action.kind {
                ActionKind::Call(Call::Drbd(AskTools { call, .. })) => Some((action.id, call)),
                _ => None,
            };
            actions.into_iter().filter_map(call).collect()
        };
        let name = ResourceName::new("r0");
        let resources = BTreeMap::from([(name.clone(), PromotedResource::default())]);
        let promoter = Promoter::new(PromoterSettings { resources });
        let mut bench = Bench { promoter, node: Node::default(), now: Mono(1), next: 0, panics: 0 };
        let looks = tools(bench.tell(PluginInput::BurstEnd).1);
        let [(look, DrbdCall::LowerDevices)] = looks[..] else { panic!("{looks:?}") };
        // Nobody has said anything of DRBD, nor of drbd-utils' own service.
        bench.now = bench.now.after(Duration::from_secs(3));
        let begun = bench.now;
        let looked = Done { id: look, outcome: Outcome::Drbd(DrbdAnswer::LowerDevices(Vec::new())) };
        let adjusts = tools(bench.tell(PluginInput::Done(&looked)).1);
        let [(adjust, DrbdCall::Adjust)] = adjusts[..] else { panic!("{adjusts:?}") };
        for _ in 0..2 {
            bench.now = bench.now.after(Duration::from_secs(7));
            bench.call(|promoter, cx| promoter.stumble(cx, &name, "it stumbled"));
            bench.now = bench.promoter.next_deadline().unwrap();
            let again = tools(bench.tell(PluginInput::Deadline).1);
            assert!(again.is_empty(), "{again:?}");
        }
        let hangs = |bench: &mut Bench| bench.reports()[0].warnings.iter().any(|text| text.contains("it may hang"));
        bench.now = begun.after(Duration::from_secs(19));
        assert!(!hangs(&mut bench));
        bench.now = begun.after(Duration::from_secs(20));
        assert!(hangs(&mut bench), "its time begins with the adjust, not with the panic");
        let adjusted = Done { id: adjust, outcome: Outcome::Drbd(DrbdAnswer::Done) };
        bench.tell(PluginInput::Done(&adjusted));
        assert!(!hangs(&mut bench));
    }

    #[test]
    fn a_panic_over_a_report_is_noticed_and_mended() {
        let resources = BTreeMap::from([(ResourceName::new("r0"), PromotedResource::default())]);
        let promoter = Promoter::new(PromoterSettings { resources });
        let mut bench = Bench { promoter, node: Node::default(), now: Mono(1), next: 0, panics: 0 };
        bench.tell(PluginInput::BurstEnd);
        bench.promoter.unwell.borrow_mut().insert(ResourceName::new("r0"), "no such word".to_owned());
        assert_eq!(bench.promoter.next_deadline(), Some(Mono::ZERO));
        bench.tell(PluginInput::Deadline);
        assert_eq!(bench.panics, 1);
        assert!(bench.reports()[0].warnings[0].contains("no such word"));
    }
}
