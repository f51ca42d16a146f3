//! Any events, in any order, with any rules: the bounds hold, every handler ends, every call is answered once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use reactor_core::action::{ActionKind, Call, Effect, HandlerEnd};
use reactor_core::drbd::types::{DiskState, Role};
use reactor_core::ids::ActionId;
use reactor_core::settings::UmhSettings;
use reactor_core::settings::umh::{EventSet, HandlerStdin, HelperMoment, RateLimit, Rule, When};

use crate::world::{World, any_resource, becomes, device, disk, helper, rule};

/// The highest limits that any configuration here has.
const MAX_PARALLEL: u64 = 3;
const MAX_QUEUED: u64 = 5;
const HELPER: &str = "before-resync-target";

#[derive(Clone, Debug)]
enum Step {
    Line(String),
    Pass(f64),
    /// One of the running handlers ends.
    End(usize, HandlerEnd),
    Call(u64),
    Reload(Vec<Rule>, usize, usize),
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(one_rule(), 0..6)
}

fn one_rule() -> impl Strategy<Value = Rule> {
    let when = prop_oneof![
        Just(any_resource()),
        Just(becomes(Role::Primary)),
        Just(device(Default::default(), disk(DiskState::Failed))),
        Just(device(disk(DiskState::UpToDate), Default::default())),
        Just(When::Helper(helper(HELPER, HelperMoment::Call))),
        Just(When::Helper(helper(HELPER, HelperMoment::Answer))),
    ];
    let events = prop_oneof![Just(EventSet::CHANGE), Just(EventSet::ALL)];
    let rate = prop_oneof![Just(None), (0u32..4, 1u64..20).prop_map(Some)];
    (when, events, any::<bool>(), any::<bool>(), any::<bool>(), rate).prop_map(
        |(when, events, serialize, hold, json, rate)| Rule {
            events,
            serialize,
            hold: hold.then_some(Duration::from_secs(5)),
            stdin: if json { HandlerStdin::Json } else { HandlerStdin::Null },
            rate_limit: rate.map(|(count, seconds)| RateLimit { count, per: Duration::from_secs(seconds) }),
            ..rule("any", when)
        },
    )
}

fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("r0"), Just("r1")];
    let role = prop_oneof![Just("Primary"), Just("Secondary")];
    let state = prop_oneof![Just("UpToDate"), Just("Failed"), Just("Diskless")];
    let verb = prop_oneof![8 => Just("change"), 1 => Just("create"), 1 => Just("destroy")];
    prop_oneof![
        (verb.clone(), name.clone(), role).prop_map(|(verb, name, role)| format!(
            "{verb} resource name:{name} role:{role} suspended:no may_promote:no promotion_score:1"
        )),
        (verb, name.clone(), 0..3, state)
            .prop_map(|(verb, name, volume, state)| format!("{verb} device name:{name} volume:{volume} disk:{state}")),
        name.clone().prop_map(|name| format!("call helper name:{name} helper:{HELPER}")),
        name.prop_map(|name| format!("rename resource name:{name} new_name:r2")),
    ]
}

fn end() -> impl Strategy<Value = HandlerEnd> {
    prop_oneof![
        Just(HandlerEnd::Exited(0)),
        Just(HandlerEnd::Exited(7)),
        Just(HandlerEnd::Signalled(9)),
        Just(HandlerEnd::TimedOut),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => line().prop_map(Step::Line),
        2 => (0.0..8.0).prop_map(Step::Pass),
        4 => (0usize..64, end()).prop_map(|(which, end)| Step::End(which, end)),
        2 => (1u64..20).prop_map(Step::Call),
        1 => (rules(), 0..=MAX_PARALLEL, 0..=MAX_QUEUED).prop_map(|(rules, parallel, queued)| Step::Reload(rules, parallel as usize, queued as usize)),
    ]
}

/// What must hold over all steps.
#[derive(Default)]
struct Ledger {
    running: BTreeSet<ActionId>,
    seen: BTreeSet<ActionId>,
    calls: u64,
    answered: BTreeMap<u64, u32>,
}

impl Ledger {
    fn take(&mut self, world: &mut World) {
        for action in world.actions() {
            match action.kind {
                ActionKind::Call(Call::Handler(_)) => {
                    assert!(self.seen.insert(action.id), "an id is used once");
                    self.running.insert(action.id);
                }
                ActionKind::Effect(Effect::AnswerHelper { request, .. }) => {
                    *self.answered.entry(request.0).or_default() += 1;
                }
                ActionKind::Effect(Effect::Note { .. }) => {}
                _ => panic!("not ours"),
            }
            assert!(!action.because.is_empty(), "every decision has a reason");
        }
        assert!(self.answered.values().all(|times| *times == 1), "an answer is given once");
        assert_eq!(world.status("running"), self.running.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn bounds_hold_and_everything_ends(rules in rules(), steps in prop::collection::vec(step(), 0..120)) {
        let mut limits = UmhSettings { rules, max_parallel: 2, max_queued: 4 };
        let mut world = World::with(&limits);
        world.lines("exists -");
        let mut ledger = Ledger::default();
        for step in steps {
            match step {
                Step::Line(line) => world.lines(&line),
                Step::Pass(seconds) => world.pass(seconds),
                Step::End(which, end) => {
                    if let Some(id) = ledger.running.iter().nth(which).copied() {
                        ledger.running.remove(&id);
                        world.done(id, end);
                    }
                }
                Step::Call(seconds) => {
                    ledger.calls += 1;
                    world.call(ledger.calls, HELPER, "r0", &[], seconds);
                }
                Step::Reload(rules, max_parallel, max_queued) => {
                    limits = UmhSettings { rules, max_parallel, max_queued };
                    world.configure(&limits);
                }
            }
            ledger.take(&mut world);
            // Limits that were lowered bind what comes, not what is there; answers to DRBD have as many places of their own.
            prop_assert!(world.status("running") <= 2 * MAX_PARALLEL);
            prop_assert!(world.status("queued") <= MAX_QUEUED + MAX_PARALLEL);
        }
        // The world comes to rest: handlers end, time goes by.
        world.pass(100.0);
        ledger.take(&mut world);
        while let Some(id) = ledger.running.pop_first() {
            world.done(id, HandlerEnd::Exited(0));
            ledger.take(&mut world);
        }
        prop_assert_eq!((world.status("running"), world.status("queued"), world.status("holding")), (0, 0, 0));
        prop_assert_eq!(ledger.answered.len() as u64, ledger.calls, "every call has its answer");
        let ended = ["succeeded", "failed", "timed_out", "not_started", "aborted"];
        let ended: u64 = ended.iter().map(|name| world.status(&format!("handlers_{name}"))).sum();
        prop_assert_eq!(world.status("handlers_started"), ended);
        prop_assert_eq!(world.status("handlers_started"), ledger.seen.len() as u64);
    }
}
