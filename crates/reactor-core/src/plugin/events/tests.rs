use expect_test::expect;
use reactor_storage::device::{Carries, Kind as DeviceKind, Related};
use reactor_storage::event::{Event, Subsystem};
use reactor_storage::record::Stamp;

use super::*;
use crate::action::{Action, ActionKind};
use crate::ids::InstanceId;
use crate::model::Node;
use crate::subject::Subject;

/// A plugin alone, on virtual time.
struct Alone {
    plugin: Events,
    node: Node,
    actions: u64,
    /// When what was open was kept, and how many were.
    kept: Vec<(u64, usize)>,
    /// What the store is told.
    stored: Vec<String>,
}

impl Alone {
    fn new() -> Self {
        let plugin = Events::new(&EventsSettings::default());
        Self { plugin, node: Node::default(), actions: 0, kept: Vec::new(), stored: Vec::new() }
    }

    /// What it says to this: log lines, and entries of the history with their resource.
    fn on(&mut self, second: u64, input: PluginInput<'_>) -> Vec<String> {
        let mut actions: Vec<Action> = Vec::new();
        let now = Mono::default().after(Duration::from_secs(second));
        let mut cx = Context::new(now, &self.node, InstanceId(1), &mut self.actions, &mut actions);
        self.plugin.on(&mut cx, input);
        let news = std::mem::take(&mut cx.news);
        let mut said: Vec<String> = actions
            .iter()
            .map(|action| match &action.kind {
                ActionKind::Effect(Effect::Note { level, text }) => format!("{level:?}: {text}"),
                ActionKind::Effect(Effect::KeepIncidents(open)) => {
                    self.kept.push((second, open.len()));
                    String::new()
                }
                other => format!("{other:?}"),
            })
            .filter(|said| !said.is_empty())
            .collect();
        for news in &news {
            let about = news.resource.as_ref().map_or("-", |resource| resource.as_str());
            match &news.what {
                history::Told::Entry(entry) => {
                    said.push(format!("{about} {}: {}", entry.severity.as_str(), entry.what));
                }
                history::Told::Event(told) => {
                    let StorageEvent { event, incident } = &**told;
                    let of = incident.as_deref().unwrap_or("none");
                    self.stored.push(format!("event {}, {} times, of {of}", event.id, event.count));
                }
                history::Told::Incident(_, incident) => {
                    let end = incident.end.as_ref().map_or("open", End::words);
                    self.stored.push(format!("incident {}: {end}", incident.id));
                }
                other => panic!("{other:?}"),
            }
        }
        said
    }

    fn told(&mut self, second: u64, phase: Phase, event: &Event) -> Vec<String> {
        let told = Box::new(Told { phase, event: event.clone() });
        let record = Record { subject: Subject::Node, fact: Fact::Storage(told) };
        self.on(second, PluginInput::Records(SourceId::Storage, &[record]))
    }
}

/// A disk below a volume of DRBD.
fn disk(name: &str, volume: &str) -> Summary {
    Summary {
        id: format!("naa.5000{name}"),
        kind: DeviceKind::Scsi,
        number: None,
        name: name.to_owned(),
        names: Vec::new(),
        path: format!("/dev/{name}"),
        size: None,
        transport: None,
        file_system: None,
        mounts: Vec::new(),
        above: vec![Related { id: format!("drbd:{volume}"), name: "drbd0".to_owned(), kind: DeviceKind::Drbd }],
        below: Vec::new(),
        carries: Carries { drbd: [volume.to_owned()].into(), ..Carries::default() },
        gone_us: None,
        called: Vec::new(),
    }
}

fn event(id: &str, kind: &str, severity: Severity, device: Summary) -> Event {
    Event {
        id: id.to_owned(),
        at: Stamp::default(),
        last: Stamp::default(),
        severity,
        kind: kind.to_owned(),
        subsystem: Subsystem::Scsi,
        device: Some(device.into()),
        others: Vec::new(),
        fields: BTreeMap::new(),
        message: format!("the line of {kind}"),
        lines: vec!["a line".to_owned()],
        count: 1,
        source: "kernel".to_owned(),
        host: None,
    }
}

#[test]
fn an_incident_is_told_in_the_log_and_in_the_history_of_the_resource_that_it_touches() {
    let mut alone = Alone::new();
    let failed = event("aa", "MPATH_PATH_FAILED", Severity::Error, disk("sda", "r0/0"));
    let back = event("bb", "MPATH_PATH_REINSTATED", Severity::Notice, disk("sda", "r0/0"));
    let mut said = alone.told(1, Phase::Began, &failed);
    said.extend(alone.told(2, Phase::Ended, &failed));
    said.extend(alone.told(3, Phase::Began, &back));
    alone.on(4, PluginInput::Deadline);
    let due = alone.plugin.next_deadline().expect("it has to stay calm for a while");
    assert_eq!(due.since(Mono::default()).as_secs(), 13);
    said.extend(alone.on(13, PluginInput::Deadline));
    expect![[r#"
        Error: storage incident aa (error): MPATH_PATH_FAILED on sda (naa.5000sda)
        r0 error: storage incident aa (error): MPATH_PATH_FAILED on sda (naa.5000sda)
        Info: storage incident aa is over: all that was wrong has been put right
        r0 info: storage incident aa is over: all that was wrong has been put right
    "#]]
    .assert_eq(&(said.join("\n") + "\n"));
    expect![[r#"
        event aa, 1 times, of aa
        incident aa: open
        event bb, 1 times, of aa
        incident aa: open
        incident aa: all that was wrong has been put right
    "#]]
    .assert_eq(&(alone.stored.join("\n") + "\n"));
}

/// A flood is told once, and counted to the end.
#[test]
fn what_only_grows_is_not_told_again_and_is_counted() {
    let mut alone = Alone::new();
    let mut error = event("aa", "BLK_IO_ERROR", Severity::Error, disk("sda", "r0/0"));
    assert_eq!(alone.told(1, Phase::Began, &error).len(), 2);
    for (second, phase, count) in [(6, Phase::Grew, 500), (11, Phase::Grew, 900), (21, Phase::Ended, 1000)] {
        error.count = count;
        assert_eq!(alone.told(second, phase, &error), Vec::<String>::new());
    }
    let mut counters = Vec::new();
    alone.plugin.report(Report::Counters(&mut counters));
    let counted: Vec<_> = counters.iter().map(|counter| (counter.labels[0].1.as_str(), counter.value)).collect();
    assert_eq!(counted, [("BLK_IO_ERROR", 1000)]);
    let events: Vec<&String> = alone.stored.iter().filter(|stored| stored.starts_with("event")).collect();
    assert_eq!(
        events,
        [1, 500, 900, 1000].map(|count| format!("event aa, {count} times, of aa")).iter().collect::<Vec<_>>()
    );
    assert!(alone.plugin.growing.is_empty());
}

#[test]
fn what_it_reaches_on_its_way_up_is_told() {
    let mut alone = Alone::new();
    alone.told(1, Phase::Began, &event("aa", "SCSI_MEDIUM_ERROR", Severity::Critical, disk("sda", "r0/0")));
    let said = alone.told(2, Phase::Began, &event("bb", "BUF_WRITE_LOST", Severity::Critical, disk("sda", "r0/0")));
    assert_eq!(said[0], "Error: storage incident aa reaches sda (naa.5000sda): BUF_WRITE_LOST");
    let mut open = Vec::new();
    alone.plugin.report(Report::Incidents(&mut open));
    assert_eq!(open.iter().map(|incident| resources(incident).len()).collect::<Vec<_>>(), [1]);
}

/// What nobody ever ends in a log without end is not remembered for ever.
#[test]
fn types_beyond_the_limit_are_counted_together() {
    let mut alone = Alone::new();
    for number in 0..2 * MAX_TYPES {
        let event = event(&number.to_string(), &format!("TYPE_{number}"), Severity::Info, disk("sda", "r0/0"));
        alone.told(1, Phase::Began, &event);
        alone.told(1, Phase::Ended, &event);
    }
    let mut counters = Vec::new();
    alone.plugin.report(Report::Counters(&mut counters));
    assert_eq!(counters.len(), MAX_TYPES + 1);
    assert_eq!(counters.iter().map(|counter| counter.value).sum::<u64>(), 2 * MAX_TYPES as u64);
}

/// A person closes one; nobody else has to know of it.
#[test]
fn a_person_closes_an_incident_once() {
    let mut alone = Alone::new();
    alone.told(1, Phase::Began, &event("aa", "SCSI_MEDIUM_ERROR", Severity::Critical, disk("sda", "r0/0")));
    let request = |incident: &str| OperatorRequest {
        request: crate::operator::OperatorRequestId(1),
        subject: Subject::Node,
        verb: OperatorVerb::CloseIncident { incident: incident.to_owned() },
        who: "alice".to_owned(),
    };
    assert_eq!(alone.on(2, PluginInput::Operator(&request("bb"))), Vec::<String>::new());
    let said = alone.on(3, PluginInput::Operator(&request("aa")));
    assert_eq!(said[0], "Info: storage incident aa is over: a person closed it");
    assert!(said[1].contains("AnswerOperator"), "{said:?}");
    assert_eq!(alone.on(4, PluginInput::Operator(&request("aa"))), Vec::<String>::new());
}

/// The end of an event that was told whole is no trouble; that it went on is.
#[test]
fn an_incident_that_a_person_closed_stays_closed_when_its_event_ends() {
    for (goes_on, opens) in [(0, 0), (1, 1)] {
        let mut alone = Alone::new();
        let mut error = event("aa", "BLK_IO_ERROR", Severity::Error, disk("sda", "r0/0"));
        alone.told(1, Phase::Began, &error);
        error.count = 240;
        alone.told(6, Phase::Grew, &error);
        let close = OperatorRequest {
            request: crate::operator::OperatorRequestId(1),
            subject: Subject::Node,
            verb: OperatorVerb::CloseIncident { incident: "aa".to_owned() },
            who: "alice".to_owned(),
        };
        alone.on(7, PluginInput::Operator(&close));
        error.count += goes_on;
        alone.told(12, Phase::Ended, &error);
        assert_eq!(alone.plugin.incidents.open().count(), opens, "{goes_on}");
        assert!(
            alone.stored.contains(&format!(
                "event aa, {} times, of {}",
                error.count,
                if opens == 1 { "aa" } else { "none" }
            )),
            "{:?}",
            alone.stored
        );
    }
}

/// What is open is kept at once, and then once for all changes of a second. The next daemon goes on with it.
#[test]
fn what_is_open_outlives_a_restart() {
    let mut before = Alone::new();
    before.told(1, Phase::Began, &event("aa", "SCSI_MEDIUM_ERROR", Severity::Critical, disk("sda", "r0/0")));
    before.told(1, Phase::Began, &event("bb", "MPATH_PATH_FAILED", Severity::Error, disk("sdb", "r1/0")));
    assert_eq!(before.plugin.next_deadline(), Some(Mono::default().after(Duration::from_secs(2))));
    before.on(2, PluginInput::Deadline);
    assert_eq!(before.kept, [(1, 1), (2, 2)]);
    assert_eq!(before.plugin.next_deadline(), None);
    before.told(2, Phase::Began, &event("cc", "MPATH_PATH_REINSTATED", Severity::Notice, disk("sdb", "r1/0")));
    before.told(2, Phase::Began, &event("dd", "MPATH_PATH_FAILED", Severity::Error, disk("sdb", "r1/0")));
    assert_eq!(before.kept.len(), 2, "it waits");
    before.on(2, PluginInput::Exit);
    assert_eq!(before.kept.len(), 3, "and not at the end");
    let mut open = Vec::new();
    before.plugin.report(Report::Incidents(&mut open));
    let mut after = Alone::new();
    let said = after.on(0, PluginInput::Incidents(&open, Boot::Another));
    assert_eq!(
        (said, after.kept.as_slice()),
        (Vec::new(), [(0, 2)].as_slice()),
        "it is kept anew, and nothing is told"
    );
    let over = after.on(20, PluginInput::Deadline);
    assert_eq!(over[0], "Info: storage incident bb is over: all that was wrong has been put right");
    let mut open = Vec::new();
    after.plugin.report(Report::Incidents(&mut open));
    assert_eq!(open.iter().map(|incident| incident.id.as_str()).collect::<Vec<_>>(), ["aa"]);
}

/// The disk of the state folder was late: a path that had failed before came back meanwhile, and another one failed again.
#[test]
fn what_is_right_again_before_it_is_known_what_was_open_stays_right() {
    let mut before = Alone::new();
    before.told(1, Phase::Began, &event("aa", "MPATH_PATH_FAILED", Severity::Error, disk("sda", "r0/0")));
    before.told(1, Phase::Began, &event("bb", "MPATH_PATH_FAILED", Severity::Error, disk("sdb", "r1/0")));
    let mut open = Vec::new();
    before.plugin.report(Report::Incidents(&mut open));
    let mut after = Alone::new();
    after.told(1, Phase::Began, &event("cc", "MPATH_PATH_REINSTATED", Severity::Notice, disk("sda", "r0/0")));
    after.told(2, Phase::Began, &event("dd", "MPATH_PATH_FAILED", Severity::Error, disk("sdb", "r1/0")));
    let mut said = after.on(9, PluginInput::Incidents(&open, Boot::This));
    said.extend(after.on(30, PluginInput::Deadline));
    expect![[r#"
        Info: storage incident dd is part of bb
        r1 info: storage incident dd is part of bb
        Info: storage incident aa is over: all that was wrong has been put right
        r0 info: storage incident aa is over: all that was wrong has been put right
    "#]]
    .assert_eq(&(said.join("\n") + "\n"));
    let mut open = Vec::new();
    after.plugin.report(Report::Incidents(&mut open));
    assert_eq!(
        open.iter().map(|incident| (incident.id.as_str(), incident.troubles[0].count)).collect::<Vec<_>>(),
        [("bb", 2)]
    );
}

/// Two tables hear of the same events: what is open is there once, is told once, and closed in both.
#[test]
fn two_tables_have_one_incident_of_one_cause() {
    let mut core = crate::core::Core::new();
    let entry = |line| crate::settings::PluginEntry {
        file: "events.toml".into(),
        line,
        settings: PluginSettings::Events(EventsSettings {
            quiet_after: Duration::from_secs(1000 * u64::from(line)),
            ..EventsSettings::default()
        }),
    };
    let settings = crate::settings::Settings::of_plugins(crate::settings::Mode::Native, vec![entry(1), entry(2)]);
    let (now, mut out) = (Mono::default(), Vec::new());
    core.configure(now, &settings, &mut out);
    let event = event("aa", "SCSI_MEDIUM_ERROR", Severity::Critical, disk("sda", "r0/0"));
    let told = |event: &Event| Record {
        subject: Subject::Node,
        fact: Fact::Storage(Box::new(Told { phase: Phase::Began, event: event.clone() })),
    };
    let again = told(&Event { id: "bb".to_owned(), ..event.clone() });
    let records = vec![told(&event)];
    core.step(now, &crate::input::Input::Records(SourceId::Storage, records), &mut out);
    assert_eq!(core.incidents().len(), 1);
    // In the metrics both have a label of their own: whoever adds them up must not have it twice.
    let counted = |core: &crate::core::Core| {
        let counters = |instance: &crate::core::Instance| instance.counters();
        core.instances().iter().flat_map(counters).map(|counter| counter.value).collect::<Vec<_>>()
    };
    assert_eq!(counted(&core), [1]);
    let is_note = |action: &&Action| matches!(action.kind, ActionKind::Effect(Effect::Note { .. }));
    let is_kept = |action: &&Action| matches!(action.kind, ActionKind::Effect(Effect::KeepIncidents(_)));
    assert_eq!((out.iter().filter(is_note).count(), out.iter().filter(is_kept).count()), (1, 1));
    assert_eq!(core.news().len(), 3, "the event, the incident, and an entry of the resource: {:?}", core.news());
    // The first table goes: the other one knows all, and tells of it from now on.
    let one = crate::settings::Settings::of_plugins(crate::settings::Mode::Native, vec![entry(2)]);
    core.configure(now, &one, &mut out);
    assert_eq!(core.incidents().len(), 1);
    let missed = vec![Record { subject: Subject::Node, fact: Fact::Lost { count: Some(1) } }, again];
    core.step(now, &crate::input::Input::Records(SourceId::Storage, missed), &mut out);
    assert_eq!(counted(&core), [1], "it counts from then on");
    let close = OperatorRequest {
        request: crate::operator::OperatorRequestId(1),
        subject: Subject::Node,
        verb: OperatorVerb::CloseIncident { incident: "aa".to_owned() },
        who: "alice".to_owned(),
    };
    core.step(now, &crate::input::Input::Operator(close), &mut out);
    assert_eq!(core.incidents().len(), 0);
}

/// Who reads the history of a night has to know that there was more.
#[test]
fn what_was_lost_is_one_entry_for_each_burst() {
    let mut alone = Alone::new();
    let mut on = |second: u64, fact: Option<Fact>| match fact {
        Some(fact) => {
            let record = Record { subject: Subject::Node, fact };
            alone.on(second, PluginInput::Records(SourceId::Storage, &[record]))
        }
        None => alone.on(second, PluginInput::Deadline),
    };
    let lost = |count| Some(Fact::Lost { count });
    let left_out = |function: &str, count| Some(Fact::Suppressed { function: function.to_owned(), count });
    assert_eq!(on(1, lost(Some(3))), [""; 0]);
    assert_eq!(on(5, lost(Some(40))), [""; 0]);
    assert_eq!(on(9, left_out("blk_print_req_error", 20)), [""; 0]);
    assert_eq!(on(14, left_out("blk_print_req_error", 7)), [""; 0]);
    assert_eq!(on(23, None), [""; 0]);
    let mut said = on(24, None);
    on(100, lost(None));
    said.extend(on(110, None));
    on(200, left_out("scsi_io_completion", 1));
    said.extend(on(210, None));
    // One that does not end is told of now and then.
    for second in (1000..=1600).step_by(5) {
        said.extend(on(second, lost(Some(1))));
        said.extend(on(second, None));
    }
    on(1605, lost(None));
    on(1606, lost(Some(2)));
    said.extend(alone.on(1607, PluginInput::Exit));
    expect![[r#"
        - warning: storage events may be missing: 43 of the kernel's messages and uevents were lost before they could be read; the kernel left out 27 of its messages, as it had printed the same too often
        - warning: storage events may be missing: some of the kernel's messages and uevents were lost, nobody knows how many
        - warning: storage events may be missing: the kernel left out 1 of its messages, as it had printed the same too often
        - warning: storage events may be missing: 121 of the kernel's messages and uevents were lost before they could be read
        - warning: storage events may be missing: at least 2 of the kernel's messages and uevents were lost before they could be read
    "#]].assert_eq(&(said.join("\n") + "\n"));
    assert_eq!(alone.plugin.next_deadline(), None);
}

#[test]
fn a_gap_says_how_long_it_was_and_what_the_kernel_left_out() {
    let at = |second| Mono::default().after(Duration::from_secs(second));
    let mut missed = Missed::default();
    missed.lost(at(1), Some(1));
    for number in 0..20 {
        missed.left_out(at(9), &format!("function_{number:02}"), 2);
    }
    let Some(history::News { at: told, what: history::Told::Entry(entry), .. }) = missed.over(at(19)) else {
        panic!("nothing was told")
    };
    assert_eq!((told, entry.kind, entry.took), (at(9), Kind::Gap, Some(Duration::from_secs(8))));
    assert!(entry.what.contains("1 of the kernel's") && entry.what.contains("left out 40 of"), "{}", entry.what);
    let reasons: Vec<&str> = entry.because.iter().map(|reason| reason.0.as_str()).collect();
    assert_eq!(reasons[..2], ["function_00: 2 callbacks suppressed", "function_01: 2 callbacks suppressed"]);
    assert_eq!(reasons.len(), 8, "a few are enough");
    assert!(missed.told().is_none());
}
