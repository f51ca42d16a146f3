//! Stories of services: what the agent answers, and what comes of it.

use super::*;
use crate::metadata::MetaData;

const S: Duration = Duration::from_secs(1);

/// A machine, its clock, and what it ordered; status lines and the like are left out of the story.
struct Story {
    machine: Machine,
    now: Mono,
    story: Vec<String>,
    last: Vec<Order>,
}

impl Story {
    fn begin(failures: u32) -> Self {
        let variable = |name: &str| (name == "monitor_failures").then(|| failures.to_string());
        let data = MetaData::parse(r#"<action name="start" timeout="100s"/><action name="stop" timeout="40s"/>"#);
        let settings = Settings::read(variable, data.as_ref(), &mut Vec::new());
        let mut last = Vec::new();
        let machine = Machine::begin(settings, &mut last);
        let mut story = Self { machine, now: S, story: Vec::new(), last };
        story.tell();
        story
    }

    fn input(mut self, input: Input) -> Self {
        self.last.clear();
        self.machine.step(self.now, input, &mut self.last);
        self.tell();
        self
    }

    fn code(self, number: u8) -> Self {
        self.ended(Ending::Code(Code::new(number)))
    }

    fn ended(self, ending: Ending) -> Self {
        self.input(Input::Ended { ending, reason: None })
    }

    fn stop(self) -> Self {
        self.input(Input::Stop)
    }

    /// Goes to the deadline that there must be; nothing may happen before.
    fn wait(mut self, expected: Duration) -> Self {
        let deadline = self.machine.deadline().expect("a deadline");
        assert_eq!(deadline - self.now, expected);
        let orders = self.story.len();
        self.now = deadline - Duration::from_millis(1);
        self = self.input(Input::Tick);
        assert_eq!(self.story.len(), orders, "too early: {:?}", self.story);
        self.now = deadline;
        self.input(Input::Tick)
    }

    fn tell(&mut self) {
        for order in &self.last {
            match order {
                Order::Run(action) => self.story.push(format!("{action:?}")),
                Order::Interrupt => self.story.push("Interrupt".to_owned()),
                Order::Ready => self.story.push("Ready".to_owned()),
                Order::Exit(code) => self.story.push(format!("Exit({code})")),
                Order::Log(Level::Warning, _) => self.story.push("Warning".to_owned()),
                Order::Log(Level::Error, _) => self.story.push("Error".to_owned()),
                Order::Log(Level::Info, _)
                | Order::ShowOutput
                | Order::Status(_)
                | Order::Stopping
                | Order::Extend(_) => {}
            }
        }
    }

    #[track_caller]
    fn check(self, expected: &str) {
        assert_eq!(self.story.join(" "), expected);
    }
}

fn term() -> Ending {
    Ending::Signal(SIGTERM)
}

#[test]
fn probe_first() {
    Story::begin(1).code(7).code(0).code(0).check("Probe Start Monitor Ready");
    Story::begin(1).code(0).check("Probe Ready");
    Story::begin(1).code(8).check("Probe Ready");
    Story::begin(1).code(190).check("Probe Warning Ready");
    for failed in [1, 9, 42] {
        Story::begin(1).code(failed).code(0).code(0).code(0).check("Probe Warning Stop Start Monitor Ready");
    }
    Story::begin(1).ended(Ending::TimedOut(S)).code(0).check("Probe Warning Stop Start");
    // Atop of what could not be stopped nothing is started.
    Story::begin(1).code(1).code(1).check("Probe Warning Stop Error Exit(1)");
    // Nothing is there yet that could be stopped; start says what is missing.
    for missing in [2, 3, 4, 5, 6] {
        Story::begin(1).code(missing).code(missing).check(&format!("Probe Start Error Exit({missing})"));
    }
}

#[test]
fn a_start_that_fails_gives_its_code() {
    Story::begin(3).code(7).code(1).code(0).check("Probe Start Error Stop Exit(1)");
    Story::begin(3).code(7).code(7).code(7).check("Probe Start Error Stop Exit(7)");
    Story::begin(3).code(7).ended(Ending::TimedOut(S)).code(0).check("Probe Start Error Stop Exit(1)");
    Story::begin(3).code(7).ended(Ending::NotStarted("x".to_owned())).check("Probe Start Error Exit(5)");
    Story::begin(3).code(7).ended(Ending::Signal(9)).code(0).check("Probe Start Error Stop Exit(1)");
}

#[test]
fn an_agent_that_lies_is_not_ready() {
    Story::begin(1).code(7).code(0).code(7).code(0).check("Probe Start Monitor Error Stop Exit(7)");
    // With more patience it is asked again soon.
    let story = Story::begin(2).code(7).code(0).code(7).wait(S);
    story.code(7).code(0).check("Probe Start Monitor Warning Monitor Error Stop Exit(7)");
    let story = Story::begin(2).code(7).code(0).code(7).wait(S);
    story.code(0).check("Probe Start Monitor Warning Monitor Ready");
}

#[test]
fn monitor_failures_in_a_row() {
    Story::begin(1).code(0).wait(30 * S).code(7).code(0).check("Probe Ready Monitor Error Stop Exit(7)");
    let story = Story::begin(2).code(0).wait(30 * S).code(1).wait(30 * S).code(0);
    let story = story.wait(30 * S).ended(Ending::TimedOut(S)).wait(30 * S).code(9).code(0);
    story.check("Probe Ready Monitor Warning Monitor Monitor Warning Monitor Error Stop Exit(9)");
    Story::begin(1)
        .code(0)
        .wait(30 * S)
        .ended(Ending::TimedOut(S))
        .code(1)
        .check("Probe Ready Monitor Error Stop Warning Exit(1)");
}

#[test]
fn degraded_is_a_warning_once() {
    let story = Story::begin(1).code(0).wait(30 * S).code(190).wait(30 * S).code(190).wait(30 * S).code(191);
    story.wait(30 * S).code(0).check("Probe Ready Monitor Warning Monitor Monitor Warning Monitor");
}

#[test]
fn asked_to_end_while_it_leaves() {
    // The stop that runs is the one that is wanted; it failed all the same.
    let story = Story::begin(1).code(0).wait(30 * S).code(1).stop().code(0);
    story.check("Probe Ready Monitor Error Stop Exit(1)");
    let story = Story::begin(1).code(0).wait(30 * S).code(1).ended(term());
    story.check("Probe Ready Monitor Error Stop Warning Exit(1)");
}

#[test]
fn asked_to_end_at_any_time() {
    Story::begin(1).stop().ended(term()).code(0).check("Probe Interrupt Stop Exit(0)");
    Story::begin(1).code(7).stop().ended(term()).code(0).check("Probe Start Interrupt Stop Exit(0)");
    Story::begin(1).code(7).code(0).stop().code(0).code(0).check("Probe Start Monitor Interrupt Stop Exit(0)");
    Story::begin(1).code(0).stop().code(0).check("Probe Ready Stop Exit(0)");
    Story::begin(1)
        .code(0)
        .wait(30 * S)
        .stop()
        .stop()
        .code(7)
        .code(0)
        .check("Probe Ready Monitor Interrupt Stop Exit(0)");
    Story::begin(1).code(1).stop().code(0).check("Probe Warning Stop Exit(0)");
    Story::begin(2).code(7).code(0).code(7).stop().code(0).check("Probe Start Monitor Warning Stop Exit(0)");
    // Nothing to stop is as good as stopped.
    Story::begin(1).code(0).stop().stop().code(7).check("Probe Ready Stop Exit(0)");
    Story::begin(1).code(0).stop().code(1).check("Probe Ready Stop Error Exit(1)");
    Story::begin(1).code(0).stop().ended(Ending::TimedOut(S)).check("Probe Ready Stop Error Exit(1)");
}

#[test]
fn a_monitor_that_died_with_us_is_no_failure() {
    let dead = || Story::begin(1).code(0).wait(30 * S).ended(term());
    dead().stop().code(0).check("Probe Ready Monitor Stop Exit(0)");
    // Nobody wants us to end, so somebody else killed it.
    dead().wait(2 * S).code(0).check("Probe Ready Monitor Error Stop Exit(1)");
    let killed = Story::begin(1).code(0).wait(30 * S).ended(Ending::Signal(9));
    killed.code(0).check("Probe Ready Monitor Error Stop Exit(1)");
    // Before it was ready, too.
    Story::begin(2).code(7).code(0).ended(term()).wait(2 * S).wait(S).check("Probe Start Monitor Warning Monitor");
    // And the stop that was running: once more.
    Story::begin(1).code(0).stop().ended(term()).code(0).check("Probe Ready Stop Stop Exit(0)");
    Story::begin(1).code(0).stop().ended(term()).ended(term()).check("Probe Ready Stop Stop Error Exit(1)");
}

#[test]
fn systemd_hears_how_long_it_may_take() {
    let extended = |story: &Story| {
        let longest = story.last.iter().filter_map(|order| match order {
            Order::Extend(span) => Some(span.as_secs()),
            _ => None,
        });
        longest.max()
    };
    let after = AFTERMATH.as_secs();
    let story = Story::begin(1);
    assert_eq!(extended(&story), Some(20 + after));
    let story = story.code(7);
    assert_eq!(extended(&story), Some(100 + after));
    // The end of what runs, and the stop after it.
    assert_eq!(extended(&story.stop()), Some(40 + after));
    let story = Story::begin(1).code(0).wait(30 * S);
    assert_eq!(extended(&story), None);
    assert!(!story.last.iter().any(|order| matches!(order, Order::Status(_))), "{:?}", story.last);
}

#[test]
fn every_input_is_legal_at_any_time() {
    let endings = [Ending::Code(Code::Success), Ending::Code(Code::NotRunning), term(), Ending::TimedOut(S)];
    // All ways of six steps, of which each is one of six inputs.
    for way in 0..6_u32.pow(6) {
        let mut story = Story::begin(1);
        for step in 0..6 {
            let input = match (way / 6_u32.pow(step) % 6) as usize {
                0 => Input::Stop,
                1 => Input::Tick,
                ending => Input::Ended { ending: endings[ending - 2].clone(), reason: None },
            };
            story.now += 31 * S;
            story = story.input(input);
        }
        let exits = story.story.iter().filter(|order| order.starts_with("Exit")).count();
        assert!(exits <= 1, "{way}: {:?}", story.story);
        let after = story.story.iter().skip_while(|order| !order.starts_with("Exit")).count();
        assert!(after <= 1, "{way}: {:?}", story.story);
    }
}
