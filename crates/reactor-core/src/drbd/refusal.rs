//! What it means that DRBD's tools fail, in our words: by the number that they print, or else by their exit code.
//!
//! ```text
//!   r0: State change failed: (-2) Need access to UpToDate data       negative: DRBD refuses a change of state; exit code 5, 11, 16 or 17
//!   r0: Failure: (119) No valid meta-data signature found.           above 100: DRBD can't do what is configured or asked; exit code 10
//!   Command 'drbdsetup primary r0' terminated with exit code 17      what drbdadm says of it
//! ```
//!
//! Exit code 11 says little: it stands for all refusals but three. So the number counts, wherever it is printed. Numbers and exit codes are those of
//! drbd-utils 8.4 to 9 (`drbdsetup.c`, `drbd.h`); one that is not known here means nothing here, and the tool's own words stand.

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What is so.
    pub means: &'static str,
    /// What to do about it, or why nothing is to be done.
    pub mend: &'static str,
}

impl std::fmt::Display for Meaning {
    /// Both, as the end of a sentence.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.means, self.mend)
    }
}

const fn row<K>(key: K, means: &'static str, mend: &'static str) -> (K, Meaning) {
    (key, Meaning { means, mend })
}

/// What passes by itself is tried again by whoever asked, as long as that is wanted.
const PASSES: &str = "that passes by itself, and is tried again";
const CONNECT: &str = "`drbdadm status` shows which peers are away: bring them back";
const ADJUST: &str = "`drbdadm adjust` brings up what the configuration has";

/// Changes of state that DRBD refuses.
const STATE_CHANGES: &[(i32, Meaning)] = &[
    row(-1, "another node is Primary, and two are not allowed", "the services run there: `drbdadm status` shows where"),
    row(
        -2,
        "no good data can be reached: the own disk is not UpToDate, and no connected peer has one that is",
        "connect the node that has the data; force nothing before it is clear which data is the newest",
    ),
    row(-4, "there is no disk on this node", ADJUST),
    row(-5, "the peer has no disk", "`drbdadm adjust` on the peer"),
    row(-6, "a node that is connected is not marked as outdated", "nothing is to be done while it is connected"),
    row(
        -7,
        "a peer that is not connected may have newer data, and fencing has not made sure that it stays away",
        "connect it, or look in the kernel log at what the fence-peer handler came to",
    ),
    row(-8, "a resync or a verification runs already", "wait for its end"),
    row(-9, "the connection is StandAlone already", "nothing is to be done"),
    row(
        -10,
        "a peer refused it: it is Primary itself, or somebody has the device open there",
        "the peer's kernel log says which; `fuser -v` on the device there",
    ),
    row(-11, "this needs a disk, and the device has none", ADJUST),
    row(
        -12,
        "somebody has the device open",
        "`reactorctl block RESOURCE` and `fuser -vm` on the device show who: end that",
    ),
    row(-13, "no connection is configured", ADJUST),
    row(-14, "`verify-alg` is not configured", "set it in the section `net`, then `drbdadm adjust`"),
    row(-15, "this needs a connection", CONNECT),
    row(-16, "the disk is worse than outdated already", "nothing is to be done: a resync makes it good"),
    row(-17, "the peer's DRBD is too old for this", "upgrade it"),
    row(-18, "another change is under way", PASSES),
    row(-19, "another node changed something at the same moment", PASSES),
    row(-20, "the peer is Primary for another volume of it, and two are not allowed", "the services run there"),
    row(-21, "the change was interrupted, or (DRBD 8.4) the peer that it is about is not connected", PASSES),
    row(-22, "a peer has the device open for reading, as udev has for a moment", PASSES),
    row(-23, "a peer gave no answer in time", PASSES),
    row(-24, "the nodes that are Primary are not all connected with each other", CONNECT),
    row(-25, "there is no quorum: too few nodes are connected", CONNECT),
];

/// What DRBD can't do, as it is configured or asked.
const FAILURES: &[(i32, Meaning)] = &[
    row(102, "the own address and port are in use by another connection", "two resources must not share a port"),
    row(103, "the peer's address and port are in use by another connection", "two resources must not share a port"),
    row(104, "the disk below DRBD can't be opened", "is it there? a volume group below DRBD has to be active before"),
    row(
        105,
        "the disk with DRBD's metadata can't be opened",
        "is it there? a volume group below DRBD has to be active before",
    ),
    row(111, "the disk below DRBD is too small", "it must not be smaller than what DRBD has replicated so far"),
    row(114, "something else uses the disk below DRBD", "`reactorctl block DISK` shows what: a mount, LVM, md"),
    row(115, "something else uses the disk with DRBD's metadata", "`reactorctl block DISK` shows what"),
    row(
        118,
        "DRBD's metadata can't be read or written",
        "the disk is bad: see the kernel log and `reactorctl incidents`",
    ),
    row(
        119,
        "there is no metadata of DRBD on the disk",
        "is it the right disk? a new one needs `drbdadm create-md`, after which a resync overwrites it",
    ),
    row(124, "the disk is attached already", "nothing is to be done"),
    row(125, "the connection is configured already", "nothing is to be done, or `drbdadm adjust`"),
    row(127, "there is no device with this minor number", ADJUST),
    row(
        150,
        "this disk does not have the data that was in use last",
        "the kernel log says which; connect the node that has it",
    ),
    row(151, "this needs a connection that is StandAlone", "`drbdadm disconnect` first"),
    row(152, "only root may do that", "run it as root"),
    row(158, "the resource is not up", ADJUST),
    row(159, "the resource is in use", "its volumes go first: `drbdadm down`"),
    row(160, "the device is still configured", "`drbdadm down` first"),
    row(
        161,
        "there is such a device already, of this resource or of another",
        "never `up` again: `drbdadm adjust`; two volumes must not share a minor number",
    ),
    row(
        162,
        "the request makes no sense to the kernel",
        "do DRBD's kernel part and drbd-utils fit each other? `drbdadm --version`",
    ),
    row(165, "the metadata was not left in order", "`drbdadm apply-al`, then again"),
    row(170, "the device would become smaller", "see the kernel log; nothing makes data smaller by itself"),
];

/// Exit codes of drbdsetup, which drbdadm hands on.
const EXIT_CODES: &[(i32, Meaning)] = &[
    row(5, "the disk was worse than outdated already", "nothing is to be done"),
    row(10, "DRBD can't do what is configured or asked", "the number and the words above say what"),
    row(11, "DRBD refused the change of state", "the number and the words above say why"),
    row(16, "there is no disk on this node", ADJUST),
    row(
        17,
        "no good data can be reached: the own disk is not UpToDate, and no connected peer has one that is",
        "connect the node that has the data; force nothing before it is clear which data is the newest",
    ),
    row(
        20,
        "DRBD's kernel part was not reached, or does not fit",
        "`modprobe drbd`, `drbdadm --version`, the kernel log",
    ),
];

fn of(rows: &[(i32, Meaning)], key: i32) -> Option<Meaning> {
    rows.iter().find(|(known, _)| *known == key).map(|(_, meaning)| *meaning)
}

/// By the number that a tool printed in parentheses.
pub fn of_number(number: i32) -> Option<Meaning> {
    of(if number < 0 { STATE_CHANGES } else { FAILURES }, number)
}

/// By the exit code of drbdsetup or drbdadm.
pub fn of_exit_code(code: i32) -> Option<Meaning> {
    of(EXIT_CODES, code)
}

/// By what a tool printed: the last line with a number that is known, or else the last one with an exit code.
pub fn of_lines<'a>(lines: impl DoubleEndedIterator<Item = &'a str> + Clone) -> Option<Meaning> {
    let by_number = lines.clone().rev().find_map(|line| of_number(number(line)?));
    by_number.or_else(|| lines.rev().find_map(|line| of_exit_code(exit_code(line)?)))
}

/// `... State change failed: (-12) ...`, `... Failure: (102) ...`.
fn number(line: &str) -> Option<i32> {
    let heads = ["State change failed: (", "Failure: ("];
    let rest = heads.iter().find_map(|head| Some(line.split_once(head)?.1))?;
    rest.split_once(')')?.0.parse().ok()
}

/// `Command 'drbdsetup ...' terminated with exit code 11`.
fn exit_code(line: &str) -> Option<i32> {
    let (_, rest) = line.split_once("drbdsetup")?.1.split_once("terminated with exit code ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What drbdsetup prints for each number, and how it ends. The words are DRBD's, the order is that of its numbers.
    const PRINTED: &[(i32, &str, i32, &str)] = &[
        (-1, "Multiple primaries not allowed by config", 11, "another node is Primary"),
        (-2, "Need access to UpToDate data", 17, "no good data can be reached"),
        (-4, "Can not resync without local disk", 16, "no disk on this node"),
        (-5, "Can not resync without remote disk", 11, "the peer has no disk"),
        (-6, "Refusing to be Outdated while Connected", 11, "not marked as outdated"),
        (-7, "Refusing to be Primary while peer is not outdated", 11, "fencing has not made sure"),
        (-8, "Can not start OV/resync since it is already active", 11, "runs already"),
        (-9, "Can not disconnect a StandAlone device", 11, "StandAlone already"),
        (-10, "State change was refused by peer node", 11, "a peer refused it"),
        (-11, "Device is diskless, the requested operation requires a disk", 11, "needs a disk"),
        (-12, "Device is held open by someone", 11, "has the device open"),
        (-13, "Have no net/connection configuration", 11, "no connection is configured"),
        (-14, "Need a verify algorithm to start online verify", 11, "verify-alg"),
        (-15, "Need a connection to start verify or resync", 11, "needs a connection"),
        (-16, "Disk state is lower than outdated", 5, "worse than outdated"),
        (-17, "Peer does not support protocol", 11, "too old"),
        (-18, "In transient state, retry after next state change", 11, "passes by itself"),
        (-19, "Concurrent state changes detected and aborted", 11, "passes by itself"),
        (-20, "Other vol primary on peer not allowed by config", 11, "another volume"),
        (-21, "Interrupted state change", 11, "interrupted"),
        (-22, "Peer may not become primary while device is opened read-only", 11, "passes by itself"),
        (-23, "Timeout in operation", 11, "no answer in time"),
        (-24, "Primary nodes must be strongly connected among each other", 11, "not all connected"),
        (-25, "No quorum", 11, "no quorum"),
    ];

    #[test]
    fn each_refusal_is_known_by_its_number_whatever_the_exit_code() {
        for (number, words, code, said) in PRINTED {
            let lines = [
                format!("r0: State change failed: ({number}) {words}"),
                format!("Command 'drbdsetup primary r0' terminated with exit code {code}"),
            ];
            let meaning = of_lines(lines.iter().map(String::as_str)).unwrap_or_else(|| panic!("{number}"));
            assert!(meaning.to_string().contains(said), "{number}: {meaning}");
            assert_eq!(of_number(*number), Some(meaning), "{number}");
        }
        assert_eq!(PRINTED.len(), STATE_CHANGES.len(), "a row without a test");
    }

    #[test]
    fn each_failure_is_known_by_its_number() {
        let said = [
            (102, "the own address"),
            (103, "the peer's address"),
            (104, "can't be opened"),
            (105, "metadata can't be opened"),
            (111, "too small"),
            (114, "something else uses the disk below"),
            (115, "something else uses the disk with"),
            (118, "read or written"),
            (119, "no metadata"),
            (124, "attached already"),
            (125, "configured already"),
            (127, "minor number"),
            (150, "in use last"),
            (151, "StandAlone"),
            (152, "root"),
            (158, "not up"),
            (159, "in use"),
            (160, "still configured"),
            (161, "never `up` again"),
            (162, "makes no sense"),
            (165, "apply-al"),
            (170, "smaller"),
        ];
        for (number, words) in said {
            let line = format!("r0: Failure: ({number}) whatever it says");
            let meaning = of_lines([line.as_str()].into_iter()).unwrap_or_else(|| panic!("{number}"));
            assert!(meaning.to_string().contains(words), "{number}: {meaning}");
        }
        assert_eq!(said.len(), FAILURES.len(), "a row without a test");
    }

    #[test]
    fn each_exit_code_is_known_where_no_number_was_printed() {
        let said = [
            (5, "worse than outdated"),
            (10, "configured or asked"),
            (11, "refused the change of state"),
            (16, "no disk on this node"),
            (17, "no good data can be reached"),
            (20, "kernel part"),
        ];
        for (code, words) in said {
            let line = format!("Command 'drbdsetup primary r0' terminated with exit code {code}");
            let meaning = of_lines([line.as_str()].into_iter()).unwrap_or_else(|| panic!("{code}"));
            assert!(meaning.to_string().contains(words), "{code}: {meaning}");
            assert_eq!(of_exit_code(code), Some(meaning));
        }
        assert_eq!(said.len(), EXIT_CODES.len(), "a row without a test");
    }

    #[test]
    fn what_is_not_known_means_nothing() {
        let lines = [
            "r0: State change failed: (-99) of next year",
            "r0: State change failed: (x) odd",
            "r0: State change failed: (-2",
            "Failure: 102",
            "(-12) Device is held open by someone",
            "Command 'systemctl x' terminated with exit code 17",
            "Command 'drbdsetup primary r0' terminated with exit code 99999999999",
            "",
        ];
        for line in lines {
            assert_eq!(of_lines([line].into_iter()), None, "{line}");
        }
        assert_eq!((of_number(0), of_number(101), of_exit_code(0), of_exit_code(1)), (None, None, None, None));
        // A number that is known counts more than an exit code after it, and the last one more than those before.
        let lines = [
            "r0: State change failed: (-19) Concurrent state changes detected and aborted",
            "r0: State change failed: (-12) Device is held open by someone",
            "Command 'drbdsetup primary r0' terminated with exit code 17",
        ];
        assert_eq!(of_lines(lines.into_iter()), of_number(-12));
    }

    #[test]
    fn no_key_is_there_twice() {
        for rows in [STATE_CHANGES, FAILURES, EXIT_CODES] {
            let keys: BTreeSet<i32> = rows.iter().map(|(key, _)| *key).collect();
            assert_eq!(keys.len(), rows.len());
        }
    }
}
