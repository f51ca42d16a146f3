//! What is wrong, worst first: what somebody who was just woken up has to know.
//!
//! Each problem says where it is, what it means, and if there is a usual way out, the way out.

use std::collections::BTreeMap;

use anstyle::Style;
use reactor_api::objects::{WireConnection, WireDevice, WirePeerDevice, WireResource, WireSplitBrain};
use reactor_api::promoted::{HoldStatus, UnitStatus};
use reactor_api::status::{ConfigurationStatus, FileState, PluginState, ReloadResult, SourceState};

use reactor_api::{PromotedStatus, Status};

use crate::parts::promoted::{self, reason_of};
use crate::style::{BAD, DIM, GOOD, WARN, count};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Severity {
    /// A person must act.
    Bad,
    /// Degraded; it may heal by itself.
    Degraded,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The sign before a problem, and its colour.
    pub(crate) fn mark(self) -> (char, Style) {
        match self {
            Self::Bad => ('!', BAD),
            Self::Degraded => ('*', WARN),
            Self::Note => ('-', DIM),
        }
    }
}

/// The same for what is shown also if nothing is wrong with it.
pub(crate) fn mark(severity: Option<Severity>) -> (char, Style) {
    match severity {
        // What is worth knowing is no aside there.
        Some(Severity::Note) => (Severity::Note.mark().0, WARN),
        Some(severity) => severity.mark(),
        None => (' ', GOOD),
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// Where.
    pub(crate) place: String,
    /// What.
    pub(crate) what: String,
    /// What to do, or what else to know: one line each.
    pub(crate) hints: Vec<String>,
    /// What it is about, for those who say some of it otherwise.
    pub(crate) topic: Topic,
}

/// What a problem is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Topic {
    /// A file of the configuration, as it was read.
    File,
    /// A connection that does not stand.
    Link,
    /// An option of DRBD.
    DrbdOption,
    /// Services do not run here, or are kept from it: blocked, held, failed.
    Services,
    /// The node is drained.
    Drained,
    /// Services run nowhere.
    Nowhere,
    /// Anything else.
    #[default]
    Other,
}

/// Before the name of a resource: the place of a problem that its promoter has.
pub(crate) const SERVICES: &str = "services of ";

impl Problem {
    /// Whether it is one of this resource, as DRBD or as its promoter has it.
    pub(crate) fn is_about(&self, resource: &str) -> bool {
        self.place.split(' ').next() == Some(resource) || self.place.strip_prefix(SERVICES) == Some(resource)
    }
}

/// All problems of a status: first by severity, then of the daemon before those of resources.
pub(crate) fn problems(status: &Status) -> Vec<Problem> {
    let mut all = Vec::new();
    source(status, &mut all);
    configuration(&status.configuration, &mut all);
    leftovers(&status.configuration, &mut all);
    plugins(status, &mut all);
    counters(status, &mut all);
    systemd(status, &mut all);
    drained(status, &mut all);
    for promoted in &status.promoted {
        of_promoted(promoted, &mut all);
    }
    let promoted: BTreeMap<&str, &PromotedStatus> =
        status.promoted.iter().map(|promoted| (promoted.resource.as_str(), promoted)).collect();
    for resource in &status.resources {
        let promoted = promoted.get(resource.name.as_str());
        if promoted.is_some_and(|promoted| promoted.is_adjusting) {
            add(&mut all, Severity::Note, &resource.name, "drbdadm adjust brings up its links and disks");
            continue;
        }
        let links = promoted.map(|promoted| promoted.warnings.iter().filter_map(|text| link(text)).collect());
        of_resource(resource, &links.unwrap_or_default(), &mut all);
    }
    // Stable: within a severity the order is the one above.
    all.sort_by_key(|problem| problem.severity);
    all
}

fn add(all: &mut Vec<Problem>, severity: Severity, place: impl Into<String>, what: impl Into<String>) {
    add_with(all, severity, place.into(), what.into(), Vec::new());
}

fn add_with(all: &mut Vec<Problem>, severity: Severity, place: String, what: String, hints: Vec<String>) {
    add_about(all, Topic::Other, severity, place, what, hints);
}

fn add_about(
    all: &mut Vec<Problem>,
    topic: Topic,
    severity: Severity,
    place: String,
    what: String,
    hints: Vec<String>,
) {
    all.push(Problem { severity, place, what, hints, topic });
}

fn source(status: &Status, all: &mut Vec<Problem>) {
    let source = &status.source;
    let command = source.command.clone().unwrap_or_else(|| "drbdsetup events2".to_owned());
    match source.state {
        SourceState::Down => {
            let since = source.since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
            let what = format!("down{since}: what is shown is the state before that");
            let mut hints: Vec<String> = source.last_error.iter().cloned().collect();
            hints.push(format!("started again {}: {command}", count(source.restarts, "time")));
            add_with(all, Severity::Bad, "event source".to_owned(), what, hints);
        }
        SourceState::Starting => add(all, Severity::Note, "event source", "its first picture is not complete yet"),
        SourceState::Unknown => {
            add(all, Severity::Note, "event source", "in a state that this reactorctl does not know");
        }
        SourceState::Up | SourceState::Ended => {}
    }
    for warning in &source.warnings {
        add(all, Severity::Degraded, "event source", warning);
    }
    for source in status.other_sources.iter().filter(|source| source.state == SourceState::Down) {
        let hints = source.last_error.iter().cloned().collect();
        let what = "down: it is tried again".to_owned();
        add_with(all, Severity::Degraded, format!("source {}", source.name), what, hints);
    }
}

fn configuration(configuration: &ConfigurationStatus, all: &mut Vec<Problem>) {
    for file in &configuration.files {
        let (severity, what) = match file.state {
            FileState::Rejected => (Severity::Bad, "rejected: nothing of it runs"),
            FileState::Partly => (Severity::Bad, "has errors: a part of it does not run"),
            FileState::LastGood => (Severity::Degraded, "has errors: its last good version runs"),
            FileState::Current if file.findings.is_empty() => continue,
            FileState::Current if file.findings.iter().all(|finding| is_note(finding)) => (Severity::Note, "has notes"),
            FileState::Current => (Severity::Note, "has warnings"),
            FileState::Unknown => (Severity::Note, "in a state that this reactorctl does not know"),
        };
        add_about(all, Topic::File, severity, file.path.clone(), what.to_owned(), file.findings.clone());
    }
    if configuration.last_result == ReloadResult::Refused {
        add(all, Severity::Degraded, "configuration", "the last reload was refused: what ran before goes on");
    }
    for (path, how) in &configuration.drift {
        let hint = vec!["reactorctl reload".to_owned()];
        let what = match how.as_str() {
            "new" => "not read yet: it is new since the last reload",
            "deleted" => "gone from the disk, but still runs",
            "rejected" => "refused by the last reload: what it said before runs, or nothing of it",
            "unreadable" => "can't be read any more; what it said still runs",
            _ => "changed on the disk since the last reload",
        };
        add_with(all, Severity::Note, path.clone(), what.to_owned(), hint);
    }
}

/// `FILE:LINE:COLUMN: note: ...`, as `check` says it.
fn is_note(finding: &str) -> bool {
    finding.split(": ").take(2).any(|word| word == "note")
}

/// They stay in force until somebody removes them.
fn leftovers(configuration: &ConfigurationStatus, all: &mut Vec<Problem>) {
    let left = &configuration.leftovers;
    if left.is_empty() {
        return;
    }
    let armed = left.iter().filter(|line| line.contains("(FailureAction="));
    let mut hints: Vec<String> = armed.take(5).cloned().collect();
    hints.push("look at them with: reactorctl leftovers".to_owned());
    let what = format!(
        "{} of an earlier drbd-reactor, which no configuration wants, still in force",
        count(left.len() as u64, "file")
    );
    add_with(all, Severity::Degraded, "unit files".to_owned(), what, hints);
}

fn plugins(status: &Status, all: &mut Vec<Problem>) {
    for plugin in &status.plugins {
        let place = format!("plugin {} ({}:{})", plugin.kind, plugin.file, plugin.line);
        let why = plugin.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        match plugin.state {
            PluginState::Stopped => {
                // What listens or connects is tried again without anybody's help.
                let is_tried_again = ["prometheus", "agentx"].contains(&plugin.kind.as_str());
                let hints =
                    if is_tried_again { Vec::new() } else { vec!["reactorctl reload starts it again".to_owned()] };
                add_with(all, Severity::Bad, place, format!("stopped{why}"), hints);
            }
            PluginState::Unknown => add(all, Severity::Note, place, "in a state that this reactorctl does not know"),
            PluginState::Running => {}
        }
        if let Some(trouble) = plugin.details.get("trouble") {
            let name = plugin.details.get("receiver").map_or("", String::as_str);
            let waiting = plugin.details.get("waiting").map_or("", String::as_str);
            let what = format!("nobody is told: {trouble}; {waiting} wait, and are tried again");
            add(all, Severity::Degraded, format!("notify {name}"), what);
        }
    }
    for handler in status.handlers.iter().filter(|handler| !handler.is_success()) {
        let end = match (handler.exit_code, handler.signal, &handler.error) {
            (Some(code), ..) => format!("ended with exit code {code}"),
            (_, Some(signal), _) => format!("was ended by signal {signal}"),
            (.., Some(error)) => format!("could not be started: {error}"),
            _ => handler.end.clone(),
        };
        let hints = handler.stderr.lines().take(3).map(str::to_owned).collect();
        let place = format!("handler {} for {}", handler.rule, handler.resource);
        let time = handler.time.as_deref().map(|time| format!(" at {time}")).unwrap_or_default();
        add_with(all, Severity::Degraded, place, format!("{end}{time}"), hints);
    }
}

fn counters(status: &Status, all: &mut Vec<Problem>) {
    let counters = &status.counters;
    if counters.violations > 0 {
        let what = format!("{}: a bug, please report it with the log", count(counters.violations, "broken invariant"));
        add(all, Severity::Degraded, "model", what);
    }
    if counters.unparsed > 0 {
        let what = format!("{} could not be understood", count(counters.unparsed, "line"));
        let last = counters.last_unparsed.iter().map(|line| format!("the last one: {line}")).collect();
        add_with(all, Severity::Degraded, "event source".to_owned(), what, last);
    }
    if !counters.unknown_words.is_empty() {
        let words: Vec<_> = counters.unknown_words.keys().map(String::as_str).collect();
        let what = "this version does not know some of its words; they are kept as they come";
        add_with(all, Severity::Note, "event source".to_owned(), what.to_owned(), vec![words.join(", ")]);
    }
}

fn systemd(status: &Status, all: &mut Vec<Problem>) {
    if let Some(systemd) = status.systemd.as_ref().filter(|systemd| !systemd.up) {
        let hints = systemd.why.iter().cloned().collect();
        let what = "no connection: promoters wait, and services are as systemd runs them".to_owned();
        add_with(all, Severity::Bad, "systemd".to_owned(), what, hints);
    }
}

fn drained(status: &Status, all: &mut Vec<Problem>) {
    if let Some(HoldStatus { who, why, since, .. }) = &status.drained {
        let since = since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
        let what = format!("drained by {who}{since}{}: promoters start nothing here", reason_of(why));
        let hints = vec!["reactorctl undrain ends it".to_owned()];
        add_about(all, Topic::Drained, Severity::Note, "this node".to_owned(), what, hints);
    }
}

/// How bad the state of a promoted resource is.
pub(crate) fn promoted_severity(promoted: &PromotedStatus) -> Option<Severity> {
    let state = match promoted.state.as_str() {
        "blocked" | "frozen" => Some(Severity::Bad),
        "unmanaged" => Some(Severity::Degraded),
        "held" | "drained" => Some(Severity::Note),
        _ => None,
    };
    let state = if promoted.troubles.is_empty() { state } else { Some(Severity::Bad) };
    let worry = promoted.failures > 0 || !promoted.warnings.is_empty();
    state.or(worry.then_some(Severity::Degraded)).or(promoted.hold.is_some().then_some(Severity::Note))
}

/// How bad the state of a unit is.
pub(crate) fn unit_severity(unit: &UnitStatus) -> Option<Severity> {
    if unit.active == "failed" || unit.result.is_some() {
        return Some(Severity::Degraded);
    }
    (unit.freezer == "frozen").then_some(Severity::Degraded)
}

fn of_promoted(promoted: &PromotedStatus, all: &mut Vec<Problem>) {
    let name = &promoted.resource;
    let place = format!("{SERVICES}{name}");
    let because = promoted.because.clone();
    let failed: Vec<&UnitStatus> = promoted.units.iter().filter(|unit| unit.active == "failed").collect();
    match promoted.state.as_str() {
        "blocked" => {
            let mut hints: Vec<String> = promoted.last_failure.iter().cloned().collect();
            hints.extend(failed.iter().map(|unit| format!("{}: systemctl status {}", has_failed(unit), unit.unit)));
            hints.push(format!("mend it, then: reactorctl clear {name}"));
            let what = "blocked here: they failed too often".to_owned();
            add_about(all, Topic::Services, Severity::Bad, place.clone(), what, hints);
        }
        "frozen" => add_with(all, Severity::Bad, place.clone(), "frozen".to_owned(), because),
        "unmanaged" => {
            add_about(all, Topic::Services, Severity::Degraded, place.clone(), "not managed".to_owned(), because);
        }
        _ => {}
    }
    for trouble in &promoted.troubles {
        let what = format!("{}, since {}", trouble.what, trouble.since);
        let topic = if trouble.kind == "runs-nowhere" { Topic::Nowhere } else { Topic::Other };
        add_about(all, topic, Severity::Bad, place.clone(), what, trouble_hints(name, &trouble.kind));
    }
    if let Some(hold) = &promoted.hold {
        let what = format!("{}{}", promoted::hold(hold), reason_of(&hold.why));
        let hints = vec![format!("reactorctl {} {name}", promoted::ends_hold(hold))];
        add_about(all, Topic::Services, Severity::Note, place.clone(), what, hints);
    }
    if promoted.state != "blocked" && (promoted.failures > 0 || !failed.is_empty()) {
        let (what, hints) = failures(promoted, &failed);
        add_about(all, Topic::Services, Severity::Degraded, place.clone(), what, hints);
    }
    // What it says of a link is said with the link.
    for warning in promoted.warnings.iter().filter(|warning| link(warning).is_none()) {
        let topic = if warning.contains("DRBD option ") { Topic::DrbdOption } else { Topic::Other };
        add_about(all, topic, Severity::Degraded, place.clone(), warning.clone(), Vec::new());
    }
}

/// Services that fail, and have not failed too often: what has failed is the cause of the failures that are counted.
fn failures(promoted: &PromotedStatus, failed: &[&UnitStatus]) -> (String, Vec<String>) {
    let times = count(promoted.failures.into(), "time");
    let words: Vec<String> = failed.iter().map(|unit| has_failed(unit)).collect();
    let what = match (&words[..], promoted.failures) {
        ([], _) => format!("failed {times} here lately"),
        (words, 0 | 1) => words.join(", "),
        (words, _) => format!("{}, {times} here lately", words.join(", ")),
    };
    // What names a unit that has failed says the same once more.
    let is_said = |last: &&String| failed.iter().any(|unit| last.contains(&unit.unit));
    let last = promoted.last_failure.iter().filter(|last| !is_said(last)).cloned();
    (what, last.chain(failed.iter().map(|unit| format!("systemctl status {}", unit.unit))).collect())
}

fn has_failed(unit: &UnitStatus) -> String {
    let why = unit.result.as_deref().map(|result| format!(": {result}")).unwrap_or_default();
    format!("unit {} has failed{why}", unit.unit)
}

/// What to do about a trouble.
pub(crate) fn trouble_hints(name: &str, kind: &str) -> Vec<String> {
    match kind {
        "io-hangs" => vec![
            format!("what uses it is in state D: fuser -vm $(drbdadm sh-dev {name}); drbdadm status {name}; dmesg"),
            "if it does not go on by itself, only a restart of this node helps; another one takes over then".to_owned(),
        ],
        "outside-target" => vec![
            "`reactorctl check` names who starts it: a socket, timer, path, automount, or another unit".to_owned(),
            format!(
                "to stop it: systemctl stop drbd-promote@{}.service",
                reactor_core::plugin::promoter::units::escape(name)
            ),
        ],
        "runs-nowhere" => vec![format!("reactorctl why {name}, on each node; drbdadm status {name}")],
        "left-behind" => vec![
            "what still uses a mount: fuser -vm its folder; end that, then systemctl stop the mount's unit".to_owned(),
        ],
        _ => Vec::new(),
    }
}

/// A promoter's sentence about a link that is StandAlone: the peer, and why it is so.
fn link(warning: &str) -> Option<(&str, &str)> {
    let (peer, why) = warning.strip_prefix("the connection to ")?.split_once(" is StandAlone")?;
    Some((peer, why.trim_start_matches([':', ',', ' '])))
}

fn of_resource(resource: &WireResource, links: &BTreeMap<&str, &str>, all: &mut Vec<Problem>) {
    let name = &resource.name;
    if !matches!(resource.fields.suspended.as_str(), "no" | "") {
        add(all, Severity::Bad, name, format!("I/O is suspended: {}", resource.fields.suspended));
    }
    if resource.fields.force_io_failures == Some(true) {
        let what = "all I/O fails until the last opener has closed it: it was demoted by force";
        add(all, Severity::Bad, name, what);
    }
    for device in &resource.devices {
        of_device(name, device, all);
    }
    for split in &resource.split_brains {
        of_split_brain(name, split, all);
    }
    for connection in &resource.connections {
        of_connection(resource, connection, links, all);
    }
}

/// One that is possible is said with its connection.
fn of_split_brain(name: &str, split: &WireSplitBrain, all: &mut Vec<Problem>) {
    if split.is_sure() {
        let what = format!("split brain with {}: each side has data that the other does not have", split.peer());
        let hints = vec![format!("reactorctl doctor {name}    (who would lose how much, and the commands)")];
        // `doctor` says it of the connection.
        add_about(all, Topic::Link, Severity::Bad, name.to_owned(), what, hints);
    }
}

fn of_device(name: &str, device: &WireDevice, all: &mut Vec<Problem>) {
    let place = format!("{name} volume {}", device.volume);
    if device.fields.quorum == Some(false) {
        let hint = format!("it comes back with the connections to the other nodes: drbdadm status {name}");
        add_with(all, Severity::Bad, place.clone(), "no quorum".to_owned(), vec![hint]);
    }
    if let Some(severity) = device_severity(device) {
        let mut what = format!("disk is {}", device.fields.disk_state);
        if severity == Severity::Bad && device.fields.disk_state == "Diskless" {
            what.push_str(": the backing device is gone, and this node was not meant to be without");
        }
        add(all, severity, place, what);
    }
}

/// How bad the state of a local disk is. `Diskless` is how a client should be.
pub(crate) fn device_severity(device: &WireDevice) -> Option<Severity> {
    match device.fields.disk_state.as_str() {
        "UpToDate" => None,
        "Diskless" if device.fields.client == Some(true) => None,
        "Diskless" | "Failed" | "Detaching" => Some(Severity::Bad),
        "Attaching" | "Negotiating" => Some(Severity::Note),
        _ => Some(Severity::Degraded),
    }
}

/// How bad the state of a connection is.
pub(crate) fn connection_severity(connection: &WireConnection) -> Option<Severity> {
    match connection.fields.connection_state.as_str() {
        "Connected" => None,
        "StandAlone" => Some(Severity::Bad),
        _ => Some(Severity::Degraded),
    }
}

/// While a Primary writes, DRBD counts some of it as out of sync between two Secondaries that both get it; more than this is no such thing.
const NOISE_KIB: u64 = 1024;

/// Whether this is a link between two Secondaries of which a third node is Primary.
fn is_between_secondaries(resource: &WireResource, connection: &WireConnection) -> bool {
    let role = |connection: &WireConnection| connection.fields.peer_role.clone();
    resource.fields.role == "Secondary"
        && role(connection) == "Secondary"
        && resource.connections.iter().any(|other| role(other) == "Primary")
}

/// How bad the state of a peer device is, as long as its connection stands.
pub(crate) fn peer_device_severity(
    resource: &WireResource,
    connection: &WireConnection,
    device: &WirePeerDevice,
) -> Option<Severity> {
    let allowed = if is_between_secondaries(resource, connection) { NOISE_KIB } else { 0 };
    let fields = &device.fields;
    let disk_is_well = match fields.peer_disk_state.as_str() {
        "UpToDate" => true,
        "Diskless" => fields.peer_client == Some(true),
        _ => false,
    };
    if !disk_is_well || !matches!(fields.resync_suspended.as_str(), "no" | "") {
        return Some(Severity::Degraded);
    }
    match fields.replication_state.as_str() {
        "Established" if fields.out_of_sync_kib.unwrap_or(0) > allowed => Some(Severity::Degraded),
        "Established" => None,
        "Off" => Some(Severity::Degraded),
        _ => Some(Severity::Note),
    }
}

/// What brings up its links. On a Primary without its disk an adjust would attach that under a writer, which may hang for good (DRBD 9.3.3).
fn adjust(resource: &WireResource) -> &'static str {
    let lost = |device: &WireDevice| device.fields.disk_state == "Diskless" && device.fields.client != Some(true);
    let is_writer = resource.fields.role == "Primary";
    if is_writer && resource.devices.iter().any(lost) { "drbdadm adjust --skip-disk" } else { "drbdadm adjust" }
}

fn of_connection(
    resource: &WireResource,
    connection: &WireConnection,
    links: &BTreeMap<&str, &str>,
    all: &mut Vec<Problem>,
) {
    let name = &resource.name;
    let peer = connection.display_name().to_string();
    let place = format!("{name} connection to {}", connection.display_name());
    let is_split = |sure| {
        let mut all = resource.split_brains.iter();
        all.any(|split| split.peer_node_id == connection.peer_node_id && split.is_sure() == sure)
    };
    if let Some(severity) = connection_severity(connection) {
        let (what, hints) = match connection.fields.connection_state.as_str() {
            "StandAlone" if is_split(true) => return,
            "StandAlone" => {
                let what = match is_split(false) {
                    true => {
                        "StandAlone, and this node has written since: if the other one has, too, it is a split brain"
                    }
                    false => "StandAlone: nothing connects it again by itself",
                };
                let mut hints = vec![format!(
                    "{} {name}    (after a split brain first decide whose data is thrown away)",
                    adjust(resource)
                )];
                hints.extend(links.get(peer.as_str()).map(|why| format!("the promoter says: {why}")));
                (what.to_owned(), hints)
            }
            state => (state.to_owned(), Vec::new()),
        };
        add_about(all, Topic::Link, severity, place, what, hints);
        // What the peer's disk was before says nothing now.
        return;
    }
    for path in connection.paths.iter().filter(|path| path.fields.established == Some(false)) {
        let what = format!("path {} to {} is down; another one carries the traffic", path.local, path.peer);
        add(all, Severity::Degraded, place.clone(), what);
    }
    for device in &connection.peer_devices {
        if let Some(severity) = peer_device_severity(resource, connection, device) {
            add(all, severity, format!("{place} volume {}", device.volume), peer_device_words(device));
        }
    }
}

/// What is not as it should be with a peer device, in words.
fn peer_device_words(device: &WirePeerDevice) -> String {
    let fields = &device.fields;
    let mut words = Vec::new();
    if fields.peer_disk_state != "UpToDate" {
        words.push(format!("peer disk is {}", fields.peer_disk_state));
    }
    if fields.replication_state != "Established" {
        words.push(match fields.done_percent {
            Some(done) => format!("{} {done:.1}% done", fields.replication_state),
            None => fields.replication_state.clone(),
        });
    }
    if !matches!(fields.resync_suspended.as_str(), "no" | "") {
        words.push(format!("resync is paused: {}", fields.resync_suspended));
    }
    match fields.out_of_sync_kib {
        Some(kib) if kib > 0 => words.push(format!("{kib} KiB out of sync")),
        _ => {}
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use reactor_api::status::FileStatus;

    use super::*;
    use crate::testing::{BAD, GOOD, status_of};

    #[test]
    fn a_good_resource_has_none() {
        assert_eq!(problems(&status_of(GOOD)), []);
    }

    /// The trap of DRBD 9.3.3: everything looks fine, one connection is StandAlone, and nothing will ever connect it again.
    #[test]
    fn a_connection_that_nothing_heals_is_bad_and_says_the_way_out() {
        let text = GOOD.replace("conn-name:n3 connection:Connected", "conn-name:n3 connection:StandAlone");
        let all = problems(&status_of(&text));
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].severity, all[0].place.as_str()), (Severity::Bad, "r0 connection to n3"));
        assert!(all[0].hints[0].starts_with("drbdadm adjust r0"), "{:?}", all[0].hints);
    }

    /// Said once, and not as a connection that somebody may just adjust; that one side alone has written is said with its connection.
    #[test]
    fn a_split_brain_is_one_problem_and_a_possible_one_says_what_it_may_be() {
        let text = GOOD.replace("conn-name:n3 connection:Connected", "conn-name:n3 connection:StandAlone");
        let mut status = status_of(&text);
        let mut split = WireSplitBrain { peer_node_id: 2, peer: Some("n3".to_owned()), evidence: "kernel".to_owned() };
        split.peer_node_id =
            status.resources[0].connections.iter().find(|c| c.display_name() == "n3").expect("n3").peer_node_id;
        status.resources[0].split_brains = vec![split.clone()];
        let all = problems(&status);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].severity, all[0].place.as_str()), (Severity::Bad, "r0"));
        assert_eq!(all[0].what, "split brain with n3: each side has data that the other does not have");
        assert_eq!(all[0].topic, Topic::Link, "`doctor` has a finding of its own about it");
        assert!(all[0].hints[0].starts_with("reactorctl doctor r0"), "{:?}", all[0].hints);
        split.evidence = "standalone".to_owned();
        status.resources[0].split_brains = vec![split];
        let all = problems(&status);
        assert_eq!((all.len(), all[0].place.as_str()), (1, "r0 connection to n3"));
        assert!(all[0].what.contains("this node has written since"), "{}", all[0].what);
    }

    #[test]
    fn what_an_earlier_drbd_reactor_left_is_a_problem() {
        let mut status = status_of(GOOD);
        status.configuration.leftovers =
            vec!["/a.d/reactor.conf".to_owned(), "/b.d/reactor.conf (FailureAction=reboot-immediate)".to_owned()];
        let all = problems(&status);
        assert_eq!((all.len(), all[0].severity), (1, Severity::Degraded));
        assert!(all[0].what.starts_with("2 files of an earlier drbd-reactor"), "{}", all[0].what);
        assert_eq!(all[0].hints.len(), 2);
        assert!(all[0].hints[0].contains("reboot-immediate") && all[0].hints[1].contains("reactorctl leftovers"));
    }

    #[test]
    fn what_an_adjust_brings_up_says_nothing_and_what_stays_is_said_once() {
        let text = GOOD.replace("conn-name:n3 connection:Connected", "conn-name:n3 connection:StandAlone");
        let mut status = status_of(&text.replace("disk:UpToDate client:no", "disk:Diskless client:no"));
        status.promoted = vec![PromotedStatus {
            resource: "r0".to_owned(),
            state: "preparing".to_owned(),
            is_adjusting: true,
            ..PromotedStatus::default()
        }];
        let worst = problems(&status).iter().map(|problem| problem.severity).min();
        assert_eq!(worst, Some(Severity::Note));
        status.promoted[0].is_adjusting = false;
        status.promoted[0].warnings = vec!["the connection to n3 is StandAlone, and was so when we came".to_owned()];
        let all = problems(&status);
        let about: Vec<_> = all.iter().filter(|problem| problem.what.contains("StandAlone")).collect();
        assert_eq!(about.len(), 1, "{all:?}");
        assert_eq!(about[0].hints[1], "the promoter says: and was so when we came");
        assert!(all.iter().any(|problem| problem.what.starts_with("disk is Diskless")), "{all:?}");
    }

    /// While a third node writes, DRBD 9.3.3 counts a little of it as out of sync between two Secondaries.
    #[test]
    fn a_little_out_of_sync_between_secondaries_is_no_problem() {
        let kib = |kib: u64| {
            let text = GOOD.replace("role:Primary suspended", "role:Secondary suspended");
            let text = text.replace(
                "conn-name:n3 connection:Connected role:Secondary",
                "conn-name:n3 connection:Connected role:Primary",
            );
            let text = text.replace("sent:65496 out-of-sync:0", &format!("sent:65496 out-of-sync:{kib}"));
            problems(&status_of(&text))
        };
        assert_eq!(kib(NOISE_KIB), []);
        let all = kib(NOISE_KIB + 1);
        assert_eq!((all.len(), all[0].place.as_str()), (1, "r0 connection to n2 volume 0"), "{all:?}");
        // To the node that writes, and without one that does, all of it counts.
        let to_the_primary = GOOD.replace("sent:65496 out-of-sync:0", "sent:65496 out-of-sync:4");
        assert_eq!(problems(&status_of(&to_the_primary)).len(), 1);
        let nobody_writes = to_the_primary.replace("role:Primary suspended", "role:Secondary suspended");
        assert_eq!(problems(&status_of(&nobody_writes)).len(), 1);
    }

    /// With DRBD 9.3.3 an attach under a writer hangs for good.
    #[test]
    fn nobody_is_told_to_attach_a_disk_under_a_writer() {
        let text = GOOD.replace("conn-name:n3 connection:Connected", "conn-name:n3 connection:StandAlone");
        let all = problems(&status_of(&text.replace("disk:UpToDate client:no", "disk:Diskless client:no")));
        let link = all.iter().find(|problem| problem.what.starts_with("StandAlone")).expect("it is one");
        assert!(link.hints[0].starts_with("drbdadm adjust --skip-disk r0 "), "{:?}", link.hints);
    }

    /// What has failed is the cause of the failures that are counted: it was two problems.
    #[test]
    fn a_unit_that_has_failed_is_one_problem() {
        let mut status = status_of(GOOD);
        let unit = |name: &str, active: &str| UnitStatus {
            unit: name.to_owned(),
            active: active.to_owned(),
            result: Some("exit-code".to_owned()),
            ..UnitStatus::default()
        };
        status.promoted = vec![PromotedStatus {
            resource: "r0".to_owned(),
            state: "standby".to_owned(),
            failures: 2,
            last_failure: Some("db.service failed: exit-code".to_owned()),
            units: vec![unit("a.mount", "inactive"), unit("db.service", "failed")],
            ..PromotedStatus::default()
        }];
        let all = problems(&status);
        let whats: Vec<&str> = all.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(whats, ["unit db.service has failed: exit-code, 2 times here lately"]);
        assert_eq!(all[0].hints, ["systemctl status db.service"]);
        "blocked".clone_into(&mut status.promoted[0].state);
        let all = problems(&status);
        assert_eq!((all.len(), all[0].what.as_str()), (1, "blocked here: they failed too often"));
        assert_eq!(all[0].hints[1], "unit db.service has failed: exit-code: systemctl status db.service");
        // It has failed without being counted; it was counted, and runs again.
        (status.promoted[0].state, status.promoted[0].failures) = ("standby".to_owned(), 0);
        assert_eq!(problems(&status)[0].what, "unit db.service has failed: exit-code");
        (status.promoted[0].failures, status.promoted[0].units) = (1, Vec::new());
        assert_eq!(problems(&status)[0].what, "failed 1 time here lately");
    }

    #[test]
    fn notes_of_a_file_are_no_warnings() {
        let mut status = status_of(GOOD);
        let said = |findings: &[&str], status: &mut Status| {
            let findings = findings.iter().map(|finding| (*finding).to_owned()).collect();
            status.configuration.files =
                vec![FileStatus { path: "/a".to_owned(), state: FileState::Current, findings }];
            problems(status).remove(0).what
        };
        assert_eq!(said(&["/a: note: not checked", "/a:1:2: note: so"], &mut status), "has notes");
        assert_eq!(said(&["/a: note: not checked", "/a:1:2: warning: a note: x"], &mut status), "has warnings");
    }

    #[test]
    fn the_worst_comes_first() {
        let all = problems(&status_of(BAD));
        assert!(all.is_sorted_by_key(|problem| problem.severity));
        assert!(all.len() > 5, "{all:?}");
    }
}
