//! Decisions of a plugin that waits, on a real failover.

use std::path::Path;
use std::time::Duration;

use expect_test::expect;
use reactor_core::action::{Call, HandlerRun, Reason};
use reactor_core::change::What;
use reactor_core::plugin::{Context, Handled, Interest, Plugin, PluginInput};
use reactor_core::settings::umh::HandlerStdin;
use reactor_core::settings::{DebuggerSettings, PluginEntry, PluginKind, PluginSettings};

use super::*;

/// Half a second after each change of promotability it runs a handler; after the outcome it is ready for the next.
#[derive(Default)]
struct Waiting {
    due: Option<(Mono, bool)>,
    running: bool,
}

impl Plugin for Waiting {
    fn kind(&self) -> PluginKind {
        PluginKind::Umh
    }

    fn interest(&self) -> Interest {
        Interest::in_changes(Some(Detail::State))
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Change(change) => match &change.what {
                What::Resource { old, new } if old.may_promote != new.may_promote => {
                    self.due = Some((cx.now.after(Duration::from_millis(500)), new.may_promote));
                }
                _ => {}
            },
            PluginInput::Deadline => self.run(cx),
            PluginInput::Done(_) => self.running = false,
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.due.map(|(at, _)| at)
    }
}

impl Waiting {
    fn run(&mut self, cx: &mut Context<'_>) {
        let Some((_, may_promote)) = self.due.take() else { return };
        assert!(!self.running, "the outcome of the handler before came back");
        self.running = true;
        let run = HandlerRun {
            rule: "tell".to_owned(),
            resource: "r1".into(),
            command: "\n  logger \u{1b}[31mpromotable\necho second line\n".to_owned(),
            env: Vec::new(),
            stdin: HandlerStdin::Null,
            document: None,
            timeout: Duration::from_secs(1),
            max_output_bytes: 1,
            ask: None,
        };
        let because = vec![Reason(format!("may_promote is {may_promote}")), Reason("it held for 0.5 s".to_owned())];
        cx.call(because, Call::Handler(Box::new(run)));
    }
}

#[test]
fn decisions_come_when_they_are_due_with_their_reasons() {
    let file = "../../tests/recordings/drbd9/r2-failover-node-killed/n3.events2";
    let recording = Recording::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let mut out = Vec::new();
    let args = ReplayArgs { recordings: vec![file.into()], final_state: false, changes: false };
    let mut replay = Replay::new(&recording, &args, &mut out);
    // The kind is that of its settings; what they say does not matter here.
    let settings = PluginSettings::Debugger(DebuggerSettings::default());
    let entry = PluginEntry { file: "test.toml".into(), line: 1, settings };
    replay.core.insert(Mono::ZERO, &entry, Box::new(Waiting::default()), &mut Vec::new());
    replay.play().unwrap();
    let text = String::from_utf8(out).unwrap();
    expect![[r#"
          +12.488s  run handler tell for r1: logger �[31mpromotable
                    because may_promote is true
                    because it held for 0.5 s
          +14.288s  run handler tell for r1: logger �[31mpromotable
                    because may_promote is false
                    because it held for 0.5 s
        132 lines, 51 bursts, 48 changes, 2 decisions, beginning at 2026-11-21T03:05:38.010Z
    "#]]
    .assert_eq(&anstream::adapter::strip_str(&text).to_string());
}
