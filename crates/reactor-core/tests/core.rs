//! The core with made-up plugins: who is told what and when, what a reload changes, and what a panic costs.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use expect_test::{Expect, expect};
use reactor_core::action::{Action, ActionKind, Effect, HelperAnswer, HelperCall, HelperRequestId};
use reactor_core::change::{Change, What};
use reactor_core::core::{Core, InstanceState};
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::model::reports::NoteLevel;
use reactor_core::plugin::{Context, Handled, Interest, Plugin, PluginInput, Report};
use reactor_core::settings::{DebuggerSettings, Detail, Mode, PluginEntry, PluginKind, PluginSettings, Settings};

type Log = Rc<RefCell<Vec<String>>>;

/// Writes down what it is told; panics at the resource `bomb`.
struct Witness {
    name: &'static str,
    detail: Detail,
    log: Log,
}

fn short(change: &Change) -> String {
    let what = match &change.what {
        What::Resource { old, new } => {
            format!("role {}->{} may_promote {}->{}", old.role, new.role, old.may_promote, new.may_promote)
        }
        What::Device { volume, old, new } => format!(
            "device {volume} {}->{} quorum {:?}->{:?} read {:?}->{:?}",
            old.state.disk, new.state.disk, old.state.quorum, new.state.quorum, old.stats.read_kib, new.stats.read_kib
        ),
        What::Connection { peer, old, new } => {
            format!("connection {peer} {}->{}", old.state.connection, new.state.connection)
        }
        What::PeerDevice { peer, volume, old, new } => {
            format!("peer device {peer}/{volume} {}->{}", old.state.peer_disk, new.state.peer_disk)
        }
        What::Path { path, .. } => format!("path {} {}", path.local, path.peer),
        What::Renamed { to } => format!("renamed to {to}"),
        What::Helper(helper) => format!("helper {} {:?}", helper.helper, helper.exit_code()),
    };
    format!("{} {} {}: {what}", change.origin.as_str(), change.kind.as_str(), change.resource)
}

impl Plugin for Witness {
    fn kind(&self) -> PluginKind {
        PluginKind::Debugger
    }

    fn interest(&self) -> Interest {
        Interest::in_changes(Some(self.detail))
    }

    fn on(&mut self, _cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        let what = match input {
            PluginInput::Change(change) => {
                assert!(change.resource.as_str() != "bomb", "boom");
                short(change)
            }
            PluginInput::BurstEnd => "-- burst end".to_owned(),
            PluginInput::Source(SourceId::Uevents) => "-- uevents began or ended".to_owned(),
            PluginInput::Records(source, records) => format!("-- {} of {}", records.len(), source.as_str()),
            _ => return Handled::No,
        };
        self.log.borrow_mut().push(format!("{} {what}", self.name));
        Handled::Yes
    }
}

fn entry(file: &str, detail: Detail) -> PluginEntry {
    PluginEntry { file: PathBuf::from(file), line: 1, settings: PluginSettings::Debugger(DebuggerSettings { detail }) }
}

fn with_witness(detail: Detail, dialect: Dialect) -> (Core, Log) {
    let log = Log::default();
    let mut core = Core::new();
    let witness = Witness { name: "w", detail, log: log.clone() };
    core.insert(Mono::ZERO, &entry("test", detail), Box::new(witness), &mut Vec::new());
    start(&mut core, dialect);
    log.borrow_mut().clear();
    (core, log)
}

fn start(core: &mut Core, dialect: Dialect) {
    step(
        core,
        &Input::Source(SourceId::Drbd, SourceEvent::Started { command: "test".to_owned(), dialect: Some(dialect) }),
    );
}

fn step(core: &mut Core, input: &Input) -> Vec<Action> {
    let mut out = Vec::new();
    core.step(Mono::ZERO, input, &mut out);
    out
}

/// Feeds lines, one step each, and says what a plugin was told.
fn check(detail: Detail, dialect: Dialect, lines: &str, expected: &Expect) -> Core {
    let (mut core, log) = with_witness(detail, dialect);
    for line in lines.lines() {
        let input = if line.trim() == "BURST END" {
            Input::BurstEnd(SourceId::Drbd)
        } else {
            Input::Lines(SourceId::Drbd, format!("{}\n", line.trim_start()))
        };
        step(&mut core, &input);
    }
    expected.assert_eq(&log.borrow().join("\n"));
    assert_eq!(core.node().check(), Vec::<String>::new());
    core
}

#[test]
fn a_change_is_told_when_it_is_read_and_the_burst_ends_at_the_next_stamp() {
    check(
        Detail::State,
        Dialect::Drbd9,
        "exists -
         T1 create resource name:r role:Secondary suspended:no may_promote:no promotion_score:1
         1 change resource name:r role:Secondary may_promote:yes
         1 create device name:r volume:0 minor:1 disk:UpToDate quorum:yes
         2 change resource name:r role:Primary may_promote:no
         BURST END
         BURST END",
        &expect![[r#"
            w -- burst end
            w -- burst end
            w live Create r: role Unknown->Secondary may_promote false->true
            w live Create r: device 0 DUnknown->UpToDate quorum None->Some(true) read None->None
            w -- burst end
            w live Change r: role Secondary->Primary may_promote true->false
            w -- burst end"#]],
    );
}

#[test]
fn statistics_are_told_only_to_who_wants_them() {
    let lines = "exists resource name:r role:Primary may_promote:no
                 exists device name:r volume:0 minor:1 disk:UpToDate quorum:yes read:1
                 exists -
                 change device name:r volume:0 minor:1 disk:UpToDate quorum:yes read:2";
    let state = expect![[r#"
        w initial Exists r: role Unknown->Primary may_promote false->false
        w initial Exists r: device 0 DUnknown->UpToDate quorum None->Some(true) read None->Some(1)
        w -- burst end"#]];
    check(Detail::State, Dialect::Drbd9, lines, &state);
    let all = expect![[r#"
        w initial Exists r: role Unknown->Primary may_promote false->false
        w initial Exists r: device 0 DUnknown->UpToDate quorum None->Some(true) read None->Some(1)
        w -- burst end
        w live Change r: device 0 UpToDate->UpToDate quorum Some(true)->Some(true) read Some(1)->Some(2)"#]];
    check(Detail::All, Dialect::Drbd9, lines, &all);
}

#[test]
fn rename_moves_everything_and_leaves_no_ghost() {
    let core = check(
        Detail::State,
        Dialect::Drbd9,
        "exists resource name:r1 role:Primary may_promote:no
         exists device name:r1 volume:0 minor:20 disk:UpToDate
         exists -
         rename resource name:r1 new_name:r9
         change device name:r9 volume:0 minor:20 disk:Failed",
        &expect![[r#"
            w initial Exists r1: role Unknown->Primary may_promote false->false
            w initial Exists r1: device 0 DUnknown->UpToDate quorum None->None read None->None
            w -- burst end
            w live Change r1: renamed to r9
            w live Change r9: device 0 UpToDate->Failed quorum None->None read None->None"#]],
    );
    assert_eq!(core.node().resources().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["r9"]);
    let minor = reactor_core::ids::Minor(20);
    assert_eq!(core.node().device_of(minor).map(|(r, _)| r.name.as_str()), Some("r9"));
}

#[test]
fn force_io_failures_and_suspend_reasons_change() {
    let core = check(
        Detail::State,
        Dialect::Drbd9,
        "exists resource name:r role:Primary suspended:no force-io-failures:no may_promote:no
         exists -
         change resource name:r role:Secondary suspended:quorum force-io-failures:yes may_promote:no",
        &expect![[r#"
            w initial Exists r: role Unknown->Primary may_promote false->false
            w -- burst end
            w live Change r: role Primary->Secondary may_promote false->false"#]],
    );
    let state = &core.node().resource("r").unwrap().state;
    assert_eq!((state.force_io_failures, state.suspended.to_string().as_str()), (Some(true), "quorum"));
}

#[test]
fn peer_devices_go_with_their_connection_or_device() {
    check(
        Detail::State,
        Dialect::Drbd9,
        "exists resource name:r role:Secondary may_promote:no
         exists connection name:r peer-node-id:1 conn-name:b connection:Connected role:Secondary
         exists device name:r volume:0 minor:1 disk:UpToDate
         exists device name:r volume:1 minor:2 disk:UpToDate
         exists peer-device name:r peer-node-id:1 conn-name:b volume:0 peer-disk:UpToDate
         exists peer-device name:r peer-node-id:1 conn-name:b volume:1 peer-disk:UpToDate
         exists -
         destroy device name:r volume:1
         destroy connection name:r peer-node-id:1 conn-name:b
         destroy resource name:r",
        &expect![[r#"
            w initial Exists r: role Unknown->Secondary may_promote false->false
            w initial Exists r: device 0 DUnknown->UpToDate quorum None->None read None->None
            w initial Exists r: device 1 DUnknown->UpToDate quorum None->None read None->None
            w initial Exists r: connection 1 StandAlone->Connected
            w initial Exists r: peer device 1/0 DUnknown->UpToDate
            w initial Exists r: peer device 1/1 DUnknown->UpToDate
            w -- burst end
            w live Destroy r: peer device 1/1 UpToDate->DUnknown
            w live Destroy r: device 1 UpToDate->DUnknown quorum None->None read None->None
            w live Destroy r: peer device 1/0 UpToDate->DUnknown
            w live Destroy r: connection 1 Connected->StandAlone
            w live Destroy r: device 0 UpToDate->DUnknown quorum None->None read None->None
            w live Destroy r: role Secondary->Unknown may_promote false->false"#]],
    );
}

#[test]
fn drbd_84_computes_promotability_at_the_end_of_the_burst() {
    check(
        Detail::State,
        Dialect::Drbd84,
        "1 exists resource name:r0 role:Secondary suspended:no
         1 exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Primary
         1 exists device name:r0 volume:0 minor:0 disk:UpToDate
         1 exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate
         2 exists -
         3 change connection name:r0 peer-node-id:0 conn-name:peer role:Secondary
         4 change resource name:r0 role:Primary
         BURST END",
        &expect![[r#"
            w initial Exists r0: role Unknown->Secondary may_promote false->false
            w initial Exists r0: device 0 DUnknown->UpToDate quorum None->None read None->None
            w initial Exists r0: connection 0 StandAlone->Connected
            w initial Exists r0: peer device 0/0 DUnknown->UpToDate
            w -- burst end
            w live Change r0: connection 0 Connected->Connected
            w live Change r0: role Secondary->Secondary may_promote false->true
            w -- burst end
            w live Change r0: role Secondary->Primary may_promote true->true
            w live Change r0: role Primary->Primary may_promote true->false
            w -- burst end"#]],
    );
}

#[test]
fn drbd_84_a_periodic_dump_refreshes_numbers_and_nothing_else() {
    let core = check(
        Detail::State,
        Dialect::Drbd84,
        "exists resource name:r0 role:Secondary suspended:no
         exists device name:r0 volume:0 minor:0 disk:UpToDate read:1
         exists -
         change device name:r0 volume:0 minor:0 disk:Failed
         exists resource name:r0 role:Secondary suspended:no
         exists device name:r0 volume:0 minor:0 disk:UpToDate read:7
         exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected
         exists -",
        &expect![[r#"
            w initial Exists r0: role Unknown->Secondary may_promote false->true
            w initial Exists r0: device 0 DUnknown->UpToDate quorum None->None read None->Some(1)
            w -- burst end
            w live Change r0: device 0 UpToDate->Failed quorum None->None read Some(1)->Some(1)
            w live Change r0: role Secondary->Secondary may_promote true->false
            w -- burst end"#]],
    );
    let device = core.node().resource("r0").unwrap().devices.values().next().unwrap();
    assert_eq!((device.state.disk.as_str(), device.stats.read_kib), ("Failed", Some(7)));
}

#[test]
fn what_is_unknown_is_kept_and_told_once() {
    let mut core = check(
        Detail::State,
        Dialect::Drbd9,
        "exists resource name:r role:Emperor may_promote:no halo:blue
         exists -
         change resource name:r role:Emperor may_promote:no halo:red
         melt device name:r
         what
         change device volume:1",
        &expect![[r#"
            w initial Exists r: role Unknown->Emperor may_promote false->false
            w -- burst end"#]],
    );
    let resource = core.node().resource("r").unwrap();
    let extra: Vec<_> = resource.extra.iter().flat_map(|e| e.iter()).map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(extra, ["halo=red"]);
    let notes: Vec<String> = core.node_mut().reports_mut().take_notes().into_iter().map(|n| n.text).collect();
    expect![[r#"
        DRBD says something this version does not know, kept as it is: role Emperor
        DRBD says something this version does not know, kept as it is: resource key halo, value blue
        DRBD says something this version does not know, kept as it is: event melt device
        line 1 of its kind not understood (not of the form VERB OBJECT key:value ...): what
        line 2 of its kind not understood (no `name:`, so the object cannot be identified): change device volume:1"#]]
    .assert_eq(&notes.join("\n"));
}

#[test]
fn a_panic_stops_one_plugin_and_nothing_else() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let log = Log::default();
    let mut core = Core::new();
    struct Fragile(Witness);
    impl Plugin for Fragile {
        fn kind(&self) -> PluginKind {
            PluginKind::Debugger
        }
        fn interest(&self) -> Interest {
            self.0.interest()
        }
        fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
            self.0.on(cx, input)
        }
    }
    let fragile = Fragile(Witness { name: "fragile", detail: Detail::State, log: log.clone() });
    core.insert(Mono::ZERO, &entry("a", Detail::State), Box::new(fragile), &mut Vec::new());
    start(&mut core, Dialect::Drbd9);
    step(
        &mut core,
        &Input::Lines(SourceId::Drbd, "exists -\ncreate resource name:bomb role:Secondary may_promote:no\n".to_owned()),
    );
    std::panic::set_hook(quiet);
    assert_eq!(core.instances()[0].state, InstanceState::Panicked { message: "boom".to_owned() });
    assert_eq!(core.counters().panics, 1);
    // The loop goes on, and another plugin works.
    let sturdy = Witness { name: "sturdy", detail: Detail::State, log: log.clone() };
    core.insert(Mono::ZERO, &entry("b", Detail::State), Box::new(sturdy), &mut Vec::new());
    step(&mut core, &Input::Lines(SourceId::Drbd, "create resource name:r role:Secondary may_promote:no\n".to_owned()));
    assert!(core.node().resource("r").is_some());
    let notes = core.node_mut().reports_mut().take_notes();
    assert!(notes.iter().any(|n| n.level == NoteLevel::Error && n.text.contains("panicked")), "{notes:?}");
}

#[test]
fn a_panic_in_a_question_is_counted_and_stops_the_plugin_too() {
    /// Panics when it is asked for its deadline, or for what it shows.
    struct Touchy {
        of: &'static str,
    }
    impl Touchy {
        fn asked(&self, what: &str) {
            if self.of == what {
                std::panic::resume_unwind(Box::new(what.to_owned()));
            }
        }
    }
    impl Plugin for Touchy {
        fn kind(&self) -> PluginKind {
            PluginKind::Debugger
        }
        fn interest(&self) -> Interest {
            self.asked("interest");
            Interest::in_changes(Some(Detail::State))
        }
        fn on(&mut self, _cx: &mut Context<'_>, _input: PluginInput<'_>) -> Handled {
            Handled::No
        }
        fn next_deadline(&self) -> Option<Mono> {
            self.asked("deadline");
            None
        }
        fn report(&self, report: Report<'_>) {
            if matches!(report, Report::Status(_)) {
                self.asked("status");
            }
        }
    }
    for of in ["deadline", "interest", "status"] {
        let mut core = Core::new();
        core.insert(Mono::ZERO, &entry("a", Detail::State), Box::new(Touchy { of }), &mut Vec::new());
        let (_, _, due) = (core.units(), core.instances()[0].status(), core.next_deadline());
        assert_eq!(due, Some(Mono::ZERO), "there is a step at once");
        step(&mut core, &Input::Tick);
        assert_eq!(core.counters().panics, 1, "{of}");
        assert_eq!(core.instances()[0].state, InstanceState::Panicked { message: of.to_owned() });
        assert_eq!(core.next_deadline(), None, "and it is over");
    }
}

fn settings(plugins: Vec<PluginEntry>) -> Settings {
    Settings::of_plugins(Mode::Native, plugins)
}

fn printed(actions: &[Action]) -> Vec<String> {
    let print = |action: &Action| match &action.kind {
        ActionKind::Effect(Effect::Print(change)) => Some(short(change)),
        _ => None,
    };
    actions.iter().filter_map(print).collect()
}

#[test]
fn a_reload_keeps_what_is_equal_and_tells_new_ones_the_present() {
    let mut core = Core::new();
    start(&mut core, Dialect::Drbd9);
    step(
        &mut core,
        &Input::Lines(SourceId::Drbd, "exists resource name:r role:Primary may_promote:no\nexists -\n".to_owned()),
    );
    let mut out = Vec::new();
    // Two identical plugins in two files: each is an instance of its own.
    let two = settings(vec![entry("a", Detail::State), entry("b", Detail::State)]);
    let first = core.configure(Mono::ZERO, &two, &mut out);
    assert_eq!((first.started.len(), first.kept.len()), (2, 0));
    assert_eq!(printed(&out), vec!["replay Exists r: role Unknown->Primary may_promote false->false"; 2]);

    out.clear();
    let again = core.configure(Mono::ZERO, &two, &mut out);
    assert_eq!((again.kept, again.started, printed(&out)), (first.started.clone(), vec![], vec![]));

    // One takes new settings, the other goes.
    let one = core.configure(Mono::ZERO, &settings(vec![entry("b", Detail::All)]), &mut out);
    assert_eq!((one.changed.len(), one.stopped.len(), one.started.len(), printed(&out).len()), (1, 1, 0, 0));
    out.clear();
    core.step(
        Mono::ZERO,
        &Input::Lines(SourceId::Drbd, "change resource name:r role:Secondary may_promote:no\n".to_owned()),
        &mut out,
    );
    assert_eq!(printed(&out).len(), 1);
}

#[test]
fn a_helper_call_that_nobody_wants_falls_back() {
    let mut core = Core::new();
    let call = HelperCall {
        request: HelperRequestId(7),
        helper: "fence-peer".to_owned(),
        object: "r0".to_owned(),
        env: Vec::new(),
        deadline: Mono::ZERO,
    };
    let out = step(&mut core, &Input::HelperCall(call));
    let [
        Action {
            kind: ActionKind::Effect(Effect::AnswerHelper { request, answer: HelperAnswer::Fallback { why } }),
            ..
        },
    ] = &out[..]
    else {
        panic!("not one answer: {out:?}")
    };
    assert_eq!(*request, HelperRequestId(7));
    assert!(why.contains("fence-peer"), "{why}");
}

/// The dump of a node with these resources, of a device and a connection each.
fn dump(resources: impl Iterator<Item = usize>) -> String {
    let text = resources.map(|n| {
        format!(
            "exists resource name:r{n} role:Secondary may_promote:no\nexists device name:r{n} volume:0 minor:{n} disk:UpToDate\n\
             exists connection name:r{n} peer-node-id:1 conn-name:b connection:Connected role:Secondary\n"
        )
    });
    text.collect::<String>() + "exists -\n"
}

#[test]
fn a_dump_is_handed_out_in_pieces_and_in_the_same_order_to_all() {
    let log = Log::default();
    let (mut whole, mut pieces) = (Core::new(), Core::new());
    let witness = Witness { name: "w", detail: Detail::State, log: log.clone() };
    pieces.insert(Mono::ZERO, &entry("test", Detail::State), Box::new(witness), &mut Vec::new());
    // First all is new; then some are gone, some new, and the others the same.
    for (resources, told) in [(0..2000, 6000), (500..3000, 500 * 3 + 1000 * 3)] {
        log.borrow_mut().clear();
        start(&mut whole, Dialect::Drbd9);
        start(&mut pieces, Dialect::Drbd9);
        let input = Input::Lines(SourceId::Drbd, dump(resources));
        step(&mut whole, &input);
        let (mut heard, mut largest) = (Vec::new(), 0);
        let before = pieces.counters().changes;
        pieces.step_in_pieces(Mono::ZERO, &input, &mut Vec::new(), &mut |changes| {
            largest = largest.max(changes.len());
            heard.extend_from_slice(changes);
        });
        assert_eq!(heard, whole.changes());
        assert_eq!((heard.len(), pieces.counters().changes - before), (told, told as u64));
        assert!(largest < 1100, "{largest} changes at once");
        let mut expected: Vec<String> = heard.iter().map(|change| format!("w {}", short(change))).collect();
        expected.push("w -- burst end".to_owned());
        assert_eq!(*log.borrow(), expected);
    }
    // Who is new later is told the same, once.
    log.borrow_mut().clear();
    let witness = Witness { name: "new", detail: Detail::State, log: log.clone() };
    pieces.insert(Mono::ZERO, &entry("new", Detail::State), Box::new(witness), &mut Vec::new());
    assert_eq!(log.borrow().len(), 2500 * 3 + 1);
}

/// A source has its own begin, end and bursts: what the kernel's uevents do is no end of a burst of DRBD, and makes nothing of it stale.
#[test]
fn a_source_that_is_down_or_loud_makes_no_other_one_unsettled_or_stale() {
    use reactor_core::input::{Fact, MAX_RECORDS, Record};
    use reactor_core::model::SourceState;
    use reactor_core::subject::Subject;
    let (mut core, log) = with_witness(Detail::State, Dialect::Drbd9);
    let drbd = |text: &str| Input::Lines(SourceId::Drbd, format!("{text}\n"));
    step(&mut core, &drbd("exists -"));
    step(&mut core, &drbd("create resource name:r role:Secondary may_promote:no"));
    log.borrow_mut().clear();
    let lost = Record { subject: Subject::Node, fact: Fact::Lost { count: Some(3) } };
    for input in [
        Input::Source(SourceId::Uevents, SourceEvent::Started { command: "uevents".to_owned(), dialect: None }),
        Input::Records(SourceId::Uevents, vec![lost; MAX_RECORDS]),
        Input::Lines(SourceId::Uevents, "change resource name:r role:Primary\nexists -\n".to_owned()),
        Input::BurstEnd(SourceId::Uevents),
        Input::Source(SourceId::Uevents, SourceEvent::Ended { why: "killed".to_owned() }),
    ] {
        step(&mut core, &input);
        assert_eq!(core.node().source(), SourceState::Live);
    }
    let ours = ["w -- uevents began or ended", "w -- 64 of uevents", "w -- uevents began or ended"];
    assert_eq!(std::mem::take(&mut *log.borrow_mut()), ours, "what the other source said, and nothing of DRBD");
    let uevents = core.node().sources().get(SourceId::Uevents).expect("it was heard of");
    assert_eq!((uevents.state, uevents.why.as_deref()), (SourceState::Down, Some("killed")));
    assert_eq!((uevents.records, uevents.overruns, uevents.lost), (64, 64, 192));
    assert_eq!(core.node().reports().unparsed, 2, "these are not lines of DRBD");
    step(&mut core, &Input::BurstEnd(SourceId::Drbd));
    assert_eq!(*log.borrow(), ["w -- burst end"]);
    // The other way round.
    step(
        &mut core,
        &Input::Source(SourceId::Uevents, SourceEvent::Started { command: "uevents".to_owned(), dialect: None }),
    );
    step(&mut core, &Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() }));
    assert_eq!(core.node().sources().get(SourceId::Uevents).map(|source| source.state), Some(SourceState::Live));
}
