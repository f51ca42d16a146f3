//! Split brain as a state, by recordings of both versions of DRBD: from the handler, from the kernel's line, and possible because of StandAlone.

#![expect(clippy::disallowed_methods, reason = "a test may read its recordings")]

use std::path::Path;

use expect_test::{Expect, expect};
use reactor_core::core::Core;
use reactor_core::history::{Ledger, Row, Told};
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::kernel_log;

/// One node, and what it says.
struct Node {
    core: Core,
    said: String,
    before: String,
}

impl Node {
    fn new(dialect: Dialect) -> Self {
        let mut node = Self { core: Core::new(), said: String::new(), before: String::new() };
        node.begin(dialect);
        node
    }

    fn begin(&mut self, dialect: Dialect) {
        let started = SourceEvent::Started { command: "a recording".to_owned(), dialect: Some(dialect) };
        self.step(&Input::Source(SourceId::Drbd, started));
    }

    fn step(&mut self, input: &Input) {
        self.core.step(Mono::ZERO, input, &mut Vec::new());
        for news in self.core.news() {
            if matches!(news.what, Told::SplitBrain(_)) {
                let mut rows = Vec::new();
                Ledger::default().take(0, news.clone(), &mut rows);
                let Row::Entry { entry, .. } = &rows[0] else { panic!("{rows:?}") };
                self.said.push_str(&format!("  history: {}\n", entry.what));
            }
        }
        let now = self.state();
        if now != self.before {
            self.said.push_str(&format!("{}\n", if now.is_empty() { "none" } else { &now }));
            self.before = now;
        }
    }

    fn state(&self) -> String {
        let resources = self.core.node().resources();
        let all = resources.flat_map(|resource| {
            resource.split_brains().map(|(peer, name, evidence)| {
                let name = name.map_or_else(|| "?".to_owned(), ToString::to_string);
                format!("{} with {name} ({peer}): {}", resource.name, evidence.as_str())
            })
        });
        all.collect::<Vec<_>>().join(", ")
    }

    fn lines(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            self.step(&Input::Lines(SourceId::Drbd, line.to_owned()));
            self.step(&Input::BurstEnd(SourceId::Drbd));
        }
    }

    fn kernel(&mut self, text: &str, is_old: bool) {
        let record = kernel_log::parse(text, is_old).expect("it is about a split brain");
        self.step(&Input::Records(SourceId::KernelLog, vec![record]));
    }

    fn says(&self, expected: &Expect) {
        expected.assert_eq(&self.said);
    }
}

fn recording(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings");
    std::fs::read_to_string(root.join(name)).expect("the recordings are part of the project")
}

#[test]
fn drbd_9_says_so_by_its_handler_and_it_is_over_when_the_two_are_connected() {
    let mut node = Node::new(Dialect::Drbd9);
    node.lines(&recording("drbd9/j-split-brain/n1.events2-ts"));
    node.says(&expect![[r#"
        s0 with n2 (1): handler
          history: split brain with n2: the data differ, and DRBD does not connect until a person decides
        none
          history: the split brain with n2 is over: the two are connected
    "#]]);
}

/// There the connection is gone as soon as it is StandAlone, and is Connected before the two have compared their data.
#[test]
fn with_drbd_8_4_it_outlives_the_connection() {
    for node_name in ["n1", "n2"] {
        let mut node = Node::new(Dialect::Drbd84);
        node.lines(&recording(&format!("drbd84/04-split-brain/{node_name}.events2-ts")));
        node.says(&expect![[r#"
            r0 with peer (0): handler
              history: split brain with peer: the data differ, and DRBD does not connect until a person decides
            none
              history: the split brain with peer is over: the two are connected
        "#]]);
    }
}

const DUMP: &str = "\
exists resource name:r0 role:Primary suspended:no may_promote:no promotion_score:10102
exists connection name:r0 peer-node-id:1 conn-name:n2 connection:STATE role:ROLE congested:no
exists device name:r0 volume:0 minor:50 backing_dev:/dev/x disk:UpToDate client:no quorum:yes size:1024
exists peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:Off peer-disk:DUnknown out-of-sync:0
exists -
";
const SPLIT: &str = "drbd r0/0 drbd50 n2: Split-Brain detected but unresolved, dropping connection!";

const MET: &str = "drbd r0 n2: conn( Connecting -> Connected ) peer( Unknown -> Secondary ) [connected]";

fn dump(state: &str, role: &str) -> String {
    DUMP.replace("STATE", state).replace("ROLE", role)
}

/// With `usermode_helper=disabled` the kernel's line is all there is.
#[test]
fn the_kernel_says_so_before_or_after_the_connection_is_standalone() {
    let alone = "change connection name:r0 peer-node-id:1 conn-name:n2 connection:StandAlone role:Unknown\n";
    let connected = "change connection name:r0 peer-node-id:1 conn-name:n2 connection:Connected role:Secondary\n";
    for kernel_first in [true, false] {
        let mut node = Node::new(Dialect::Drbd9);
        node.lines(&dump("Connecting", "Unknown"));
        if kernel_first {
            node.kernel(SPLIT, false);
            node.lines(alone);
        } else {
            node.lines(alone);
            node.kernel(SPLIT, false);
        }
        // Whoever says it again says nothing new.
        node.lines("call helper name:r0 peer-node-id:1 conn-name:n2 volume:0 minor:50 helper:split-brain\n");
        node.lines(connected);
        node.says(&expect![[r#"
              history: split brain with n2: the data differ, and DRBD does not connect until a person decides
            r0 with n2 (1): kernel
            none
              history: the split brain with n2 is over: the two are connected
        "#]]);
    }
}

/// What is in the log when the daemon begins is believed, unless the two are connected, or a later line says so.
#[test]
fn a_split_brain_from_before_the_daemon_began_is_known() {
    for (state, role, expected) in [
        (
            "StandAlone",
            "Unknown",
            expect![[r#"
              history: split brain with n2, from before the daemon began: the data differ
            r0 with n2 (1): kernel
        "#]],
        ),
        (
            "Connecting",
            "Unknown",
            expect![[r#"
              history: split brain with n2, from before the daemon began: the data differ
            r0 with n2 (1): kernel
        "#]],
        ),
        ("Connected", "Secondary", expect![[r#""#]]),
    ] {
        let mut node = Node::new(Dialect::Drbd9);
        node.kernel(SPLIT, true);
        node.lines(&dump(state, role));
        node.says(&expected);
        let mut late = Node::new(Dialect::Drbd9);
        late.lines(&dump(state, role));
        late.kernel(SPLIT, true);
        late.says(&expected);
    }
    let mut node = Node::new(Dialect::Drbd9);
    node.kernel(SPLIT, true);
    node.kernel(MET, true);
    node.lines(&dump("StandAlone", "Unknown"));
    assert_eq!(node.said, "", "it was over, and somebody has disconnected them since");
}

/// The log is read when the dump is there already, and the peer is away just now: that it is not connected does not make it split.
#[test]
fn what_was_over_in_the_log_is_no_split_brain_because_the_peer_is_away() {
    let mut at_once = Node::new(Dialect::Drbd9);
    at_once.lines(&dump("Connecting", "Unknown"));
    let records = [SPLIT, MET].map(|text| kernel_log::parse(text, true).expect("it is about a split brain"));
    at_once.step(&Input::Records(SourceId::KernelLog, records.into()));
    assert_eq!(at_once.said, "");
    // A long log comes in pieces.
    let mut in_pieces = Node::new(Dialect::Drbd9);
    in_pieces.lines(&dump("Connecting", "Unknown"));
    in_pieces.kernel(SPLIT, true);
    in_pieces.kernel(MET, true);
    assert_eq!(in_pieces.before, "");
}

#[test]
fn a_restart_of_the_source_forgets_none_and_ends_what_is_over() {
    let mut node = Node::new(Dialect::Drbd9);
    node.lines(&dump("StandAlone", "Unknown"));
    node.kernel(SPLIT, false);
    node.begin(Dialect::Drbd9);
    node.lines(&dump("StandAlone", "Unknown"));
    node.begin(Dialect::Drbd9);
    node.lines(&dump("Connected", "Secondary"));
    node.says(&expect![[r#"
          history: split brain with n2: the data differ, and DRBD does not connect until a person decides
        r0 with n2 (1): kernel
          history: the split brain with n2 is over: the two are connected
        none
    "#]]);
}

#[test]
fn standalone_where_this_side_has_written_is_possible_and_no_entry_of_the_history() {
    let mut node = Node::new(Dialect::Drbd9);
    node.lines(&dump("StandAlone", "Unknown"));
    node.lines("change peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:Off out-of-sync:4096\n");
    node.kernel(SPLIT, false);
    node.says(&expect![[r#"
        r0 with n2 (1): standalone
          history: split brain with n2: the data differ, and DRBD does not connect until a person decides
        r0 with n2 (1): kernel
    "#]]);
}

/// A peer that was taken out of the configuration is no peer.
#[test]
fn with_drbd_9_a_connection_that_is_removed_takes_it_along() {
    let mut node = Node::new(Dialect::Drbd9);
    node.lines(&dump("StandAlone", "Unknown"));
    node.kernel(SPLIT, false);
    node.lines("destroy connection name:r0 peer-node-id:1 conn-name:n2\n");
    node.says(&expect![[r#"
          history: split brain with n2: the data differ, and DRBD does not connect until a person decides
        r0 with n2 (1): kernel
        none
    "#]]);
}
