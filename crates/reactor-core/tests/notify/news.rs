//! What other plugins tell for the history.

use std::path::PathBuf;

use reactor_core::action::Reason;
use reactor_core::history::{Entry, Kind, News, Phases, Presence, Serving, Severity as HistorySeverity, Told};
use reactor_core::ids::ResourceName;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::plugin::{Context, Handled, Interest, Plugin, PluginInput};
use reactor_core::settings::{DebuggerSettings, PluginEntry, PluginKind, PluginSettings};

use crate::world::{World, all};

/// Says what the bus of systemd is told to make it say: whatever a promoter could.
struct Teller(std::rc::Rc<std::cell::RefCell<Vec<Told>>>);

impl Plugin for Teller {
    fn kind(&self) -> PluginKind {
        PluginKind::Debugger
    }

    fn interest(&self) -> Interest {
        Interest::in_changes(None).and_news()
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        let about = |what| News { at: cx.now, resource: Some(ResourceName::new("r0")), what };
        let news: Vec<News> = match input {
            PluginInput::Deadline => Vec::new(),
            // An answer to news, which nobody but the history may hear.
            PluginInput::News(_) => {
                vec![about(Told::Entry(Entry::new(Kind::Note, HistorySeverity::Error, "an echo".to_owned())))]
            }
            _ => self.0.borrow_mut().drain(..).map(about).collect(),
        };
        cx.news.extend(news);
        Handled::Yes
    }
}

struct Promoter {
    world: World,
    next: std::rc::Rc<std::cell::RefCell<Vec<Told>>>,
}

impl Promoter {
    fn new() -> Self {
        let mut world = World::settled(&[all("x")]);
        let next = std::rc::Rc::default();
        let settings = PluginSettings::Debugger(DebuggerSettings::default());
        let entry = PluginEntry { file: PathBuf::from("teller"), line: 1, settings };
        let now = world.now;
        world.core.insert(now, &entry, Box::new(Teller(std::rc::Rc::clone(&next))), &mut Vec::new());
        Self { world, next }
    }

    /// A promoter says this; what receivers are told of it.
    fn say(&mut self, told: Told) -> Vec<String> {
        self.next.borrow_mut().push(told);
        self.world
            .step(&Input::Source(SourceId::Uevents, SourceEvent::Started { command: String::new(), dialect: None }));
        self.world.told()
    }

    fn serves(&mut self, serving: Serving, planned: bool) -> Vec<String> {
        let because = vec![Reason("so it is".to_owned())];
        self.say(Told::Presence(Box::new(Presence {
            serving,
            primary: None,
            planned,
            because,
            phases: Phases::default(),
        })))
    }
}

#[test]
fn decisions_and_failures_are_told_as_bad_as_the_history_says() {
    let mut told = Promoter::new();
    let entry = |kind, severity, what: &str| Told::Entry(Entry::new(kind, severity, what.to_owned()));
    assert_eq!(
        told.say(entry(Kind::Failure, HistorySeverity::Error, "app.service failed")),
        ["error failure: r0: app.service failed"]
    );
    assert_eq!(
        told.say(entry(Kind::Decision, HistorySeverity::Info, "start drbd-services@r0.target")),
        ["info decision: r0: start drbd-services@r0.target"]
    );
    // What is told from levels is not told from entries as well.
    for kind in [Kind::Incident, Kind::SplitBrain, Kind::Running, Kind::Promoted] {
        assert_eq!(told.say(entry(kind, HistorySeverity::Error, "twice")), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn an_answer_to_news_is_for_the_history_only() {
    let mut told = Promoter::new();
    let decided = Told::Entry(Entry::new(Kind::Decision, HistorySeverity::Info, "start".to_owned()));
    assert_eq!(told.say(decided), ["info decision: r0: start"]);
    let echoes = told
        .world
        .core
        .news()
        .iter()
        .filter(|news| matches!(&news.what, Told::Entry(entry) if entry.what == "an echo"));
    assert_eq!(echoes.count(), 1);
    told.world.step(&Input::Tick);
    assert_eq!((told.world.core.news().len(), told.world.told().len()), (0, 0));
}

#[test]
fn where_services_run_is_told_when_it_is_another_place() {
    let mut told = Promoter::new();
    assert_eq!(told.serves(Serving::Here, false), Vec::<String>::new(), "found so");
    assert_eq!(told.serves(Serving::Here, false), Vec::<String>::new());
    assert_eq!(told.serves(Serving::Nowhere, false), ["warning down: r0: its services do not run"]);
    assert_eq!(told.serves(Serving::Unknown, false), Vec::<String>::new());
    assert_eq!(told.serves(Serving::Here, false), ["notice running: r0: its services run here"]);
    assert_eq!(told.serves(Serving::Elsewhere, false), ["info away: r0: another node is Primary"]);
    assert_eq!(told.serves(Serving::Nowhere, true), ["info down: r0: its services do not run, as was asked for"]);
    assert_eq!(told.serves(Serving::Elsewhere, false), ["info away: r0: another node is Primary"]);
    assert_eq!(told.say(Told::Forgotten), Vec::<String>::new());
    assert_eq!(told.serves(Serving::Elsewhere, false), Vec::<String>::new(), "it is new here");
}

#[test]
fn services_that_run_nowhere_at_the_start_are_told_if_that_lasts() {
    let mut told = Promoter::new();
    assert_eq!(told.serves(Serving::Nowhere, false), Vec::<String>::new());
    told.world.pass(60.0);
    assert_eq!(told.world.told(), ["warning down: r0: its services do not run"]);
    assert_eq!(told.serves(Serving::Here, false), ["notice running: r0: its services run here"]);
}

#[test]
fn services_that_came_up_while_no_daemon_ran_are_told_and_so_is_the_next_time() {
    for (is_late, serving, planned, expected) in [
        (false, Serving::Here, false, "notice running: r0: its services run here"),
        (true, Serving::Here, false, "notice running: r0: its services run here"),
        (true, Serving::Elsewhere, false, "info away: r0: another node is Primary"),
        (true, Serving::Nowhere, true, "info down: r0: its services do not run, as was asked for"),
    ] {
        let mut told = Promoter::new();
        let before = Input::Standing(vec![("x".to_owned(), vec!["down r0 resource".to_owned()])]);
        let found = if is_late {
            assert_eq!(told.serves(serving, planned), Vec::<String>::new());
            told.world.step(&before);
            told.world.told()
        } else {
            told.world.step(&before);
            told.serves(serving, planned)
        };
        assert_eq!(found, [expected]);
        told.serves(Serving::Here, false);
        assert_eq!(told.serves(Serving::Nowhere, false), ["warning down: r0: its services do not run"]);
    }
}

#[test]
fn a_split_brain_is_told_once_and_so_is_its_end() {
    let mut world = World::settled(&[all("x")]);
    world.lines("call helper name:r0 peer-node-id:1 conn-name:n2 helper:split-brain");
    world.connection(1, "StandAlone");
    assert_eq!(
        world.told(),
        [
            "critical split-brain: r0: split brain with n2: the data differ, and DRBD does not connect until a person decides",
            "error connection-lost: r0: the connection to n2 is lost (Connected -> StandAlone)"
        ]
    );
    world.pass(600.0);
    world.connection(1, "Connecting");
    world.connected(1);
    let told = world.told();
    assert!(told.iter().any(|line| line.contains("split-brain-over")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("connection-back")), "{told:?}");
    assert_eq!(told.len(), 2);
}

#[test]
fn drbd_8_4_says_failed_also_of_a_disk_that_was_detached() {
    let mut world = World::new(&[all("x")]);
    let started = SourceEvent::Started { command: "test".to_owned(), dialect: Some(Dialect::Drbd84) };
    world.step(&Input::Source(SourceId::Drbd, started));
    world.lines("exists resource name:r0 role:Secondary suspended:no\nexists device name:r0 volume:0 minor:1 disk:UpToDate\nexists -");
    world.lines("change device name:r0 volume:0 minor:1 disk:Failed");
    world.lines("change device name:r0 volume:0 minor:1 disk:Diskless");
    world.pass(10.0);
    let told = world.told();
    assert!(told.len() == 1 && told[0].contains("disk-detached"), "{told:?}");
}
