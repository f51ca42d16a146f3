//! The rules without processes: each test says which process ends when.

use std::collections::BTreeMap;

use super::{Active, Effect, Engine, Exit, JobKind, Loader};
use crate::systemd_bus::file::Settings;
use crate::systemd_bus::load::{Load, Loaded};

/// Unit files in memory.
struct Memory(BTreeMap<String, String>);

impl Loader for Memory {
    fn load(&self, unit: &str) -> Loaded {
        let text = self.0.get(unit);
        let settings = Settings::read(unit, text.map(String::as_str));
        Loaded {
            load: if text.is_some() { Load::Loaded } else { Load::NotFound },
            fault: None,
            fragment: String::new(),
            drop_ins: Vec::new(),
            file_state: String::new(),
            settings,
        }
    }
}

struct World {
    engine: Engine,
    /// Processes that run: unit, token.
    running: Vec<(String, u64)>,
    /// Timers: unit, serial.
    timers: Vec<(String, u64)>,
    story: Vec<String>,
}

impl World {
    fn new(units: &[(&str, &str)]) -> Self {
        let units = units.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let engine = Engine::new(Box::new(Memory(units)));
        Self { engine, running: Vec::new(), timers: Vec::new(), story: Vec::new() }
    }

    fn ask(&mut self, unit: &str, kind: JobKind) {
        self.engine.queue(unit, kind).unwrap();
        self.engine.run();
        self.note();
    }

    fn note(&mut self) {
        loop {
            let effects = self.engine.effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Spawn { unit, token, command, .. } => {
                        self.story.push(format!("{unit} runs {}", command.words.join(" ")));
                        self.engine.spawned(&unit, token, 100);
                        self.running.push((unit, token));
                    }
                    Effect::Kill { unit, signal } if self.running.iter().any(|(name, _)| *name == unit) => {
                        self.story.push(format!("{unit} gets {signal:?}"));
                    }
                    Effect::Timer { unit, serial, .. } => self.timers.push((unit, serial)),
                    Effect::JobRemoved { unit, result, .. } => self.story.push(format!("{unit} {result}")),
                    _ => {}
                }
            }
        }
    }

    fn end(&mut self, unit: &str, exit: Exit) {
        let at =
            self.running.iter().position(|(name, _)| name == unit).unwrap_or_else(|| panic!("{unit} runs nothing"));
        let (_, token) = self.running.remove(at);
        self.engine.exited(unit, token, exit);
        self.note();
    }

    fn time(&mut self, unit: &str) {
        let (_, serial) = self.timers.iter().rfind(|(name, _)| name == unit).expect("a timer was set").clone();
        self.engine.timer(unit, serial);
        self.note();
    }

    fn active(&self, unit: &str) -> &'static str {
        self.engine.snapshot(unit).unwrap().active_state
    }

    fn story(&mut self) -> Vec<String> {
        std::mem::take(&mut self.story)
    }
}

const ONESHOT: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=up\n";

#[test]
fn what_comes_after_waits_and_what_does_not_runs_at_once() {
    let after_a = format!("[Unit]\nRequires=a.service\nAfter=a.service\n{ONESHOT}");
    let with_a = format!("[Unit]\nRequires=a.service\n{ONESHOT}");
    let target = "[Unit]\nWants=b.service c.service\n";
    let units = [("a.service", ONESHOT), ("b.service", &after_a), ("c.service", &with_a), ("t.target", target)];
    let mut world = World::new(&units);
    world.ask("t.target", JobKind::Start);
    assert_eq!(world.story(), ["a.service runs up", "c.service runs up"]);
    world.end("a.service", Exit::Code(0));
    assert_eq!(world.story(), ["a.service done", "b.service runs up"]);
    world.end("c.service", Exit::Code(0));
    world.end("b.service", Exit::Code(0));
    assert_eq!(world.story(), ["c.service done", "b.service done", "t.target done"]);
}

#[test]
fn a_stop_goes_through_a_member_that_is_down() {
    let top = format!("[Unit]\nPartOf=middle.target\n{ONESHOT}");
    let units = [("base.service", ONESHOT), ("middle.target", "[Unit]\nPartOf=base.service\n"), ("top.service", &top)];
    let mut world = World::new(&units);
    world.ask("top.service", JobKind::Start);
    world.end("top.service", Exit::Code(0));
    world.engine.load("middle.target").unwrap();
    world.engine.load("base.service").unwrap();
    world.story();
    world.ask("base.service", JobKind::Stop);
    assert_eq!(world.active("top.service"), Active::Inactive.as_str());
    assert_eq!(world.story(), ["base.service done", "top.service done"]);
}

#[test]
fn a_dependency_that_fails_ends_what_waits_for_it() {
    let b = format!("[Unit]\nBindsTo=a.service\nAfter=a.service\n{ONESHOT}");
    let c = format!("[Unit]\nRequires=b.service\nAfter=b.service\n{ONESHOT}");
    let mut world = World::new(&[("a.service", ONESHOT), ("b.service", &b), ("c.service", &c)]);
    world.ask("c.service", JobKind::Start);
    world.end("a.service", Exit::Code(1));
    let expected = ["a.service runs up", "a.service failed", "b.service dependency", "c.service dependency"];
    assert_eq!(world.story(), expected);
    assert_eq!(world.active("a.service"), "failed");
}

#[test]
fn a_condition_of_255_is_a_failure_and_of_1_is_none() {
    let unit = "[Service]\nType=oneshot\nExecCondition=may\nExecStart=up\nExecStopPost=tidy\n";
    let mut world = World::new(&[("a.service", unit)]);
    world.ask("a.service", JobKind::Start);
    world.end("a.service", Exit::Code(1));
    world.end("a.service", Exit::Code(0));
    assert_eq!(world.story(), ["a.service runs may", "a.service runs tidy", "a.service done"]);
    assert_eq!(world.engine.snapshot("a.service").unwrap().result, "exec-condition");
    world.ask("a.service", JobKind::Start);
    world.end("a.service", Exit::Code(255));
    world.end("a.service", Exit::Code(0));
    assert_eq!(world.story(), ["a.service runs may", "a.service runs tidy", "a.service failed"]);
}

#[test]
fn a_stop_that_is_ignored_ends_in_a_kill() {
    let mut world = World::new(&[("a.service", "[Service]\nExecStart=serve\nRestart=always\n")]);
    world.ask("a.service", JobKind::Start);
    world.engine.freeze("a.service", true).unwrap();
    world.ask("a.service", JobKind::Stop);
    world.time("a.service");
    let expected = [
        "a.service runs serve",
        "a.service done",
        "a.service gets Stop",
        "a.service gets Cont",
        "a.service gets Term",
        "a.service gets Kill",
    ];
    assert_eq!(world.story(), expected);
    world.end("a.service", Exit::Signal(9));
    assert_eq!(world.story(), ["a.service done"]);
    let unit = world.engine.snapshot("a.service").unwrap();
    assert_eq!((unit.active_state, unit.result), ("failed", "timeout"));
}

#[test]
fn a_restart_waits_and_a_stop_in_between_ends_it() {
    let mut world = World::new(&[("a.service", "[Service]\nExecStart=serve\nRestart=on-failure\n")]);
    world.ask("a.service", JobKind::Start);
    world.end("a.service", Exit::Code(1));
    assert_eq!(world.engine.snapshot("a.service").unwrap().sub_state, "auto-restart");
    world.time("a.service");
    assert_eq!(world.engine.snapshot("a.service").unwrap().restarts, 1);
    world.end("a.service", Exit::Code(1));
    world.ask("a.service", JobKind::Stop);
    assert_eq!(world.active("a.service"), "inactive");
    let expected =
        ["a.service runs serve", "a.service done", "a.service runs serve", "a.service done", "a.service done"];
    assert_eq!(world.story(), expected);
}

#[test]
fn a_job_that_must_not_be_replaced_is_not() {
    let help = "[Unit]\nConflicts=a.service\n[Service]\nType=oneshot\nExecStart=help\n";
    let a = "[Unit]\nOnFailure=help.service\nOnFailureJobMode=replace-irreversibly\n[Service]\nExecStart=serve\n";
    let mut world = World::new(&[("a.service", a), ("help.service", help)]);
    world.ask("a.service", JobKind::Start);
    world.end("a.service", Exit::Code(1));
    assert_eq!(world.story(), ["a.service runs serve", "a.service done", "help.service runs help"]);
    let refusal = world.engine.queue("help.service", JobKind::Stop).unwrap_err();
    assert_eq!(refusal.name, "org.freedesktop.systemd1.TransactionIsDestructive");
}

#[test]
fn a_restart_goes_down_and_up_with_one_job() {
    let mut world = World::new(&[("a.service", "[Service]\nExecStart=serve\n")]);
    world.ask("a.service", JobKind::Start);
    world.ask("a.service", JobKind::Restart);
    assert_eq!(world.story(), ["a.service runs serve", "a.service done", "a.service gets Term"]);
    world.end("a.service", Exit::Signal(15));
    assert_eq!(world.story(), ["a.service runs serve", "a.service done"]);
}
