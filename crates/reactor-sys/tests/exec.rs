//! The executor against the real `/bin/sh`. Nothing here depends on how fast the machine is: what must have happened is seen by
//! an event (a pipe that is closed, a line that arrives), and the one timeout around each test only ends a hanging one.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests, too")]

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Call, Done, HandlerEnd, HandlerReport, HandlerRun, Outcome};
use reactor_core::change::{Change, EventKind, Origin, What};
use reactor_core::ids::{ActionId, EventSeq, InstanceId, Mono, ResourceName};
use reactor_core::model::Node;
use reactor_core::model::objects::ResourceState;
use reactor_core::plugin::umh::Umh;
use reactor_core::plugin::{Context, Plugin, PluginInput};
use reactor_core::settings::UmhSettings;
use reactor_core::settings::umh::{Edge, EventSet, HandlerStdin, Rule, When};
use reactor_sys::exec::Executor;
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// For handlers that must not be ended by time.
const LONG: Duration = Duration::from_secs(3600);
/// For handlers that must be ended by time: as short as it gets.
const AT_ONCE: Duration = Duration::from_millis(1);

fn run(command: &str) -> HandlerRun {
    HandlerRun {
        rule: "test".to_owned(),
        resource: ResourceName::new("r0"),
        command: command.to_owned(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        stdin: HandlerStdin::Null,
        document: None,
        timeout: LONG,
        max_output_bytes: 16 * 1024,
        ask: None,
    }
}

/// Runs a test on the kind of runtime that the daemon has.
fn with_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), test).await.expect("the test hangs") });
}

async fn one(executor: &mut Executor, run: HandlerRun) -> (HandlerEnd, String, String, u64) {
    executor.run(ActionId(7), run);
    let Done { id, outcome } = executor.next().await;
    assert_eq!(id, ActionId(7));
    let Outcome::Handler(HandlerReport { end, stdout, stderr, output_cut_bytes, .. }) = outcome else {
        panic!("not the outcome of a handler")
    };
    (end, stdout, stderr, output_cut_bytes)
}

fn end_of(done: &Done) -> &HandlerEnd {
    let Outcome::Handler(HandlerReport { end, .. }) = &done.outcome else { panic!("not the outcome of a handler") };
    end
}

/// A folder of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("exec-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn fifo(&self, name: &str) -> String {
        let path = self.0.join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until somebody has the pipe open for writing, then for what is written until nobody has.
fn read_all(fifo: &str) -> tokio::task::JoinHandle<String> {
    let fifo = fifo.to_owned();
    tokio::task::spawn_blocking(move || fs::read_to_string(fifo).unwrap())
}

/// Waits for a reader and writes one line.
async fn write_line(fifo: &str) {
    let fifo = fifo.to_owned();
    tokio::task::spawn_blocking(move || {
        fs::OpenOptions::new().write(true).open(fifo).unwrap().write_all(b"go\n").unwrap();
    })
    .await
    .unwrap();
}

#[test]
fn exit_code_and_outputs_come_back() {
    with_runtime(async {
        let mut executor = Executor::new();
        let (end, stdout, stderr, cut) = one(&mut executor, run("echo out; echo err >&2; exit 3")).await;
        assert_eq!((end, stdout.as_str(), stderr.as_str(), cut), (HandlerEnd::Exited(3), "out\n", "err\n", 0));
        let (end, ..) = one(&mut executor, run("kill -9 $$")).await;
        assert_eq!(end, HandlerEnd::Signalled(9));
    });
}

#[test]
fn the_environment_is_exactly_what_the_core_says() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "cargo sets it, so a handler could inherit it");
    with_runtime(async {
        let mut handler = run("pwd; env");
        handler.env.push(("DRBD_RES_NAME".to_owned(), "a b;$(reboot)".to_owned()));
        let (end, stdout, ..) = one(&mut Executor::new(), handler).await;
        assert_eq!(end, HandlerEnd::Exited(0));
        assert!(stdout.starts_with("/\n"), "{stdout}");
        assert!(stdout.contains("\nDRBD_RES_NAME=a b;$(reboot)\n"), "{stdout}");
        // What a shell sets by itself.
        let own = ["PWD", "OLDPWD", "SHLVL", "_"];
        let names: BTreeSet<&str> = stdout
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .filter(|name| !own.contains(name))
            .collect();
        assert_eq!(names, BTreeSet::from(["DRBD_RES_NAME", "PATH"]));
    });
}

#[test]
fn a_document_arrives_on_standard_input_whole() {
    with_runtime(async {
        let mut executor = Executor::new();
        let text = "{\"a\":1}\n".repeat(100_000);
        let mut handler = HandlerRun { document: Some(text.clone()), max_output_bytes: text.len(), ..run("cat") };
        let (_, stdout, ..) = one(&mut executor, handler.clone()).await;
        assert!(stdout == text);
        // Who does not read it loses nothing.
        handler.command = "exec 0<&-; echo closed".to_owned();
        let (end, stdout, ..) = one(&mut executor, handler).await;
        assert_eq!((end, stdout.as_str()), (HandlerEnd::Exited(0), "closed\n"));
        // Without a document there is nothing to read.
        let (_, stdout, ..) = one(&mut executor, run("cat; echo end")).await;
        assert_eq!(stdout, "end\n");
    });
}

#[test]
fn output_is_capped_and_what_is_cut_is_counted() {
    with_runtime(async {
        let handler =
            HandlerRun { max_output_bytes: 1000, ..run("head -c 1000000 /dev/zero | tr '\\0' a; echo b >&2") };
        let (end, stdout, stderr, cut) = one(&mut Executor::new(), handler).await;
        assert_eq!((end, stderr.as_str()), (HandlerEnd::Exited(0), "b\n"));
        assert_eq!((stdout.len(), cut), (1000, 999_000));
    });
}

#[test]
fn what_cannot_be_started_is_an_outcome_not_a_panic() {
    with_runtime(async {
        let mut executor = Executor::new();
        let mut handler = run("true");
        handler.env.push(("TOO_LONG".to_owned(), "x".repeat(16 << 20)));
        let (end, ..) = one(&mut executor, handler).await;
        assert!(matches!(end, HandlerEnd::NotStarted { .. }), "{end:?}");
        let mut handler = run("true");
        handler.env.push(("NUL".to_owned(), "a\0b".to_owned()));
        let (end, ..) = one(&mut executor, handler).await;
        assert!(matches!(end, HandlerEnd::NotStarted { .. }), "{end:?}");
        let (end, ..) = one(&mut executor, run("true")).await;
        assert_eq!(end, HandlerEnd::Exited(0));
    });
}

#[test]
fn a_handler_that_takes_too_long_is_ended() {
    with_runtime(async {
        let folder = Folder::new("too-long");
        let never = folder.fifo("never");
        let handler = HandlerRun { timeout: AT_ONCE, ..run(&format!("read x < {never}")) };
        let (end, ..) = one(&mut Executor::new(), handler).await;
        assert_eq!(end, HandlerEnd::TimedOut);
    });
}

#[test]
fn the_whole_group_is_ended_also_who_ignores_term() {
    with_runtime(async {
        let folder = Folder::new("group");
        let (never, alive) = (folder.fifo("never"), folder.fifo("alive"));
        // A grandchild holds `alive` open; whoever reads it sees the end when the last holder is gone.
        let handler = run(&format!("trap '' TERM; (exec 3>{alive}; echo up >&3; read x < {never}) & wait"));
        let mut executor = Executor::with_grace(AT_ONCE);
        executor.run(ActionId(1), handler);
        let up = tokio::task::spawn_blocking(move || {
            let mut pipe = fs::File::open(alive).unwrap();
            let mut line = [0; 3];
            pipe.read_exact(&mut line).unwrap();
            (pipe, line)
        });
        let (mut pipe, line) = tokio::select! {
            up = up => up.unwrap(),
            done = executor.next() => panic!("ended by itself: {done:?}"),
        };
        assert_eq!(&line, b"up\n");
        let done = executor.stop().await;
        assert_eq!(done.iter().map(end_of).collect::<Vec<_>>(), [&HandlerEnd::Aborted]);
        let rest = tokio::task::spawn_blocking(move || {
            let mut rest = Vec::new();
            pipe.read_to_end(&mut rest).unwrap();
            rest
        });
        assert!(rest.await.unwrap().is_empty());
    });
}

#[test]
fn a_handler_that_waits_delays_no_other() {
    with_runtime(async {
        let folder = Folder::new("waits");
        let gate = folder.fifo("gate");
        let mut executor = Executor::new();
        executor.run(ActionId(0), run(&format!("read x < {gate}; exit 9")));
        for id in 1..=20 {
            executor.run(ActionId(id), run("true"));
        }
        let mut ended = BTreeSet::new();
        while ended.len() < 20 {
            let done = executor.next().await;
            assert_eq!(end_of(&done), &HandlerEnd::Exited(0));
            ended.insert(done.id);
        }
        assert!(!ended.contains(&ActionId(0)));
        write_line(&gate).await;
        let done = executor.next().await;
        assert_eq!((done.id, end_of(&done)), (ActionId(0), &HandlerEnd::Exited(9)));
        assert_eq!(executor.running(), 0);
    });
}

#[test]
fn what_a_handler_leaves_in_the_background_holds_nobody_and_lives_on() {
    with_runtime(async {
        let folder = Folder::new("background");
        let (gate, said) = (folder.fifo("gate"), folder.fifo("said"));
        // It keeps both outputs open, and prints to them after its shell is gone.
        let handler =
            run(&format!("(read x < {gate}; echo noise; echo noise >&2; echo alive > {said}) & echo started"));
        let (end, stdout, ..) = one(&mut Executor::new(), handler).await;
        assert_eq!((end, stdout.as_str()), (HandlerEnd::Exited(0), "started\n"));
        write_line(&gate).await;
        assert_eq!(read_all(&said).await.unwrap(), "alive\n");
    });
}

#[test]
fn at_exit_every_action_comes_back() {
    with_runtime(async {
        let folder = Folder::new("exit");
        let never = folder.fifo("never");
        let mut executor = Executor::new();
        for id in 0..10 {
            executor.run(ActionId(id), run(&format!("read x < {never}")));
        }
        let done = executor.stop().await;
        assert_eq!(done.iter().map(|done| done.id.0).collect::<BTreeSet<_>>(), (0..10).collect());
        assert!(done.iter().all(|done| *end_of(done) == HandlerEnd::Aborted));
        // And what comes too late, too.
        executor.run(ActionId(99), run("true"));
        assert_eq!(end_of(&executor.next().await), &HandlerEnd::Aborted);
    });
}

/// The real rules and the real executor, as the daemon wires them.
#[test]
fn a_thousand_handlers_at_once() {
    const EVENTS: u64 = 1000;
    const PARALLEL: usize = 16;
    let rule = Rule {
        name: "storm".to_owned(),
        command: "exit 0".to_owned(),
        env: Vec::new(),
        events: EventSet::ALL,
        resource: None,
        when: When::Resource(Edge::default()),
        hold: None,
        rate_limit: None,
        serialize: false,
        timeout: LONG,
        max_output_bytes: 100,
        stdin: HandlerStdin::Null,
    };
    let settings = UmhSettings { rules: vec![rule], max_parallel: PARALLEL, max_queued: 1024 };
    let (mut umh, node) = (Umh::new(&settings), Node::default());
    let (mut next, mut actions) = (0, Vec::<Action>::new());
    for seq in 0..EVENTS {
        let (old, new) = (ResourceState::default(), ResourceState::default());
        let change = Change {
            seq: EventSeq(seq),
            kind: EventKind::Create,
            origin: Origin::Live,
            implied: false,
            resource: ResourceName::new("r0"),
            what: What::Resource { old, new },
        };
        let mut cx = Context::new(Mono(seq), &node, InstanceId(1), &mut next, &mut actions);
        umh.on(&mut cx, PluginInput::Change(&change));
    }
    with_runtime(async {
        let mut executor = Executor::new();
        let mut ended = 0;
        loop {
            for action in actions.drain(..) {
                let ActionKind::Call(Call::Handler(run)) = action.kind else { panic!("{:?}", action.kind) };
                executor.run(action.id, *run);
            }
            assert!(executor.running() <= PARALLEL);
            if executor.running() == 0 {
                break;
            }
            let done = executor.next().await;
            assert_eq!(end_of(&done), &HandlerEnd::Exited(0));
            ended += 1;
            let mut cx = Context::new(Mono(EVENTS), &node, InstanceId(1), &mut next, &mut actions);
            umh.on(&mut cx, PluginInput::Done(&done));
        }
        assert_eq!(ended, EVENTS);
    });
}
