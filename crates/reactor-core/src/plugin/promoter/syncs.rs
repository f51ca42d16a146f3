//! `sync` with `every`: the node that runs the services sends its files to the others now and then, by `reactorctl sync`, and shows who is late.
//!
//! ```text
//!  the services run ── a moment ──▶ reactorctl sync ── its report ──▶ who is late, who differs ──▶ degraded
//!                                        ▲                │
//!                                        └──── every ─────┘   however it ended
//! ```
//!
//! How DRBD is does not matter: a peer that is away costs only itself, and files are wanted most when things are not well.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_api::sync::{SyncNode, SyncReport, SyncState};

use crate::action::{Call, HandlerEnd, HandlerReport, HandlerRun, Reason};
use crate::ids::{ActionId, Mono};
use crate::model::reports::NoteLevel;
use crate::plugin::{Context, Host};
use crate::settings::Mode;
use crate::settings::promoter::SyncSettings;
use crate::settings::umh::HandlerStdin;

use super::machine::Machine;
use super::services::Services;
use super::timers::Timer;

/// The rule by which `reactorctl sync` runs as a handler.
pub const RULE: &str = "promoter sync";
/// How long the services have run before files are sent for the first time: what has just come up may go again.
const FIRST: Duration = Duration::from_secs(10);
/// All nodes together: each has its own limit, which is shorter, and they are asked at the same time.
const TIMEOUT: Duration = Duration::from_secs(150);
/// Bytes kept of what it prints.
const OUTPUT: usize = 128 * 1024;
/// Nodes and sentences of a report that are looked at.
const MOST: usize = 256;
/// Longest sentence that is repeated.
const MAX_WORDS: usize = 300;

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Syncs {
    /// What runs.
    asked: Option<ActionId>,
    /// Since when the services run here.
    runs_since: Option<Mono>,
    /// When it was last asked for.
    last: Option<Mono>,
    /// What the last report says of each node.
    nodes: BTreeMap<String, Seen>,
    /// What kept files from going anywhere, last time.
    errors: Vec<String>,
}

/// A node in the last report that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// When that was.
    at: Mono,
    state: SyncState,
    why: String,
    /// How long before `at` it had all files; `None` = never, as far as is known.
    age: Option<Duration>,
    /// Since when it has been asked in vain.
    bad_since: Option<Mono>,
}

impl Syncs {
    /// When files are sent next.
    fn due(&self, every: Duration) -> Option<Mono> {
        let settled = self.runs_since?.after(FIRST);
        Some(self.last.map_or(settled, |last| settled.max(last.after(every))))
    }

    /// Whether files are sent now, and when to ask again.
    fn next(&mut self, now: Mono, runs: bool, every: Duration) -> (bool, Option<Mono>) {
        if !runs {
            // What another node sends from now on is not known here.
            (self.runs_since, self.nodes, self.errors) = (None, BTreeMap::new(), Vec::new());
            return (false, None);
        }
        self.runs_since.get_or_insert(now);
        let due = self.due(every).filter(|_| self.asked.is_none());
        (due.is_some_and(|due| due <= now), due.filter(|due| *due > now))
    }

    fn asked(&mut self, now: Mono, id: ActionId) {
        (self.asked, self.last) = (Some(id), Some(now));
    }

    /// Takes the outcome. Gives what a person should know, and whether it is bad; `None` = it is not that of ours.
    pub(super) fn ended(
        &mut self,
        now: Mono,
        id: ActionId,
        report: &HandlerReport,
    ) -> Option<Vec<(NoteLevel, String)>> {
        self.asked.take_if(|asked| *asked == id)?;
        if self.runs_since.is_none() {
            return Some(Vec::new());
        }
        let before = std::mem::take(&mut self.errors);
        match read(report) {
            Ok(report) => {
                self.errors = report.errors.iter().take(MOST).map(|error| short(error)).collect();
                let old = std::mem::take(&mut self.nodes);
                for node in report.nodes.into_iter().take(MOST) {
                    let seen = Seen::of(now, &node, old.get(&node.node));
                    self.nodes.insert(short(&node.node), seen);
                }
                Some(self.news(&before, &old))
            }
            Err(why) => {
                self.errors = vec![why];
                Some(self.news(&before, &self.nodes.clone()))
            }
        }
    }

    /// What is new in what is known, against what was before.
    fn news(&self, errors: &[String], old: &BTreeMap<String, Seen>) -> Vec<(NoteLevel, String)> {
        let mut out = Vec::new();
        for error in self.errors.iter().filter(|error| !errors.contains(error)) {
            out.push((NoteLevel::Warn, format!("sync: {error}")));
        }
        for (node, seen) in &self.nodes {
            let was_good = old.get(node).is_none_or(|old| old.state.is_good());
            match (was_good, seen.state.is_good()) {
                (true, false) => out.push((NoteLevel::Warn, format!("sync: {node}: {}", seen.why))),
                (false, true) => out.push((NoteLevel::Info, format!("sync: {node} has all files again"))),
                (true, true) | (false, false) => {}
            }
        }
        out
    }

    /// What is not as it should be: files that went nowhere, nodes that differ, and nodes that are later than twice the interval.
    pub(super) fn degraded(&self, now: Mono, settings: Option<&SyncSettings>) -> Vec<String> {
        let Some(every) = settings.and_then(|settings| settings.every) else { return Vec::new() };
        let patience = every.saturating_mul(2);
        let mut out: Vec<String> = self.errors.iter().map(|error| format!("sync: {error}")).collect();
        out.extend(self.nodes.iter().filter_map(|(node, seen)| seen.degraded(now, node, patience)));
        out
    }

    /// Other settings: what is to be sent may be others' by now.
    pub(super) fn reconfigure(&mut self, before: Option<&SyncSettings>, after: Option<&SyncSettings>) {
        if before != after {
            (self.last, self.nodes, self.errors) = (None, BTreeMap::new(), Vec::new());
        }
    }

    /// For a machine that is built anew.
    pub(super) fn after_a_panic(&self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        Self { asked: self.asked.filter(|id| is_sent(*id)), ..self.clone() }
    }
}

impl Seen {
    fn of(now: Mono, node: &SyncNode, old: Option<&Self>) -> Self {
        let is_good = node.state.is_good();
        let refused = || {
            let file = node.files.iter().find(|file| file.state != "sent")?;
            let why = file.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            Some(format!("{} {}{why}", file.path, file.state))
        };
        let why = node.why.clone().or_else(refused).unwrap_or_else(|| "it does not say why".to_owned());
        Self {
            at: now,
            state: node.state,
            why: short(&why),
            age: if is_good { Some(Duration::ZERO) } else { node.since_good_s.map(Duration::from_secs) },
            bad_since: (!is_good).then(|| old.and_then(|old| old.bad_since).unwrap_or(now)),
        }
    }

    fn degraded(&self, now: Mono, node: &str, patience: Duration) -> Option<String> {
        if self.state == SyncState::Differs {
            return Some(format!("sync: {node} differs: {}", self.why));
        }
        let why = if self.state.is_good() { String::new() } else { format!(": {}", self.why) };
        match self.age {
            Some(age) => {
                let late = age.saturating_add(now.since(self.at));
                (late > patience).then(|| format!("sync: {node} is late: last sent {} ago{why}", ago(late)))
            }
            None => {
                let late = now.since(self.bad_since.unwrap_or(self.at));
                (late > patience).then(|| format!("sync: {node} is late: nothing was ever sent to it{why}"))
            }
        }
    }
}

/// The report that the command has printed, or why there is none.
fn read(report: &HandlerReport) -> Result<SyncReport, String> {
    let last = |text: &str| text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(short);
    let how = match &report.end {
        HandlerEnd::Exited(0) => None,
        HandlerEnd::Exited(code) => Some(format!("reactorctl sync ended with exit code {code}")),
        HandlerEnd::Signalled(signal) => Some(format!("reactorctl sync was ended by signal {signal}")),
        HandlerEnd::TimedOut => Some(format!("reactorctl sync has not ended within {} s", TIMEOUT.as_secs())),
        HandlerEnd::Aborted => Some("reactorctl sync was ended with the daemon".to_owned()),
        HandlerEnd::NotStarted { error } => Some(format!("reactorctl sync could not be run: {}", short(error))),
    };
    match (serde_json::from_str(&report.stdout), how) {
        // A node that has failed is an exit code, too.
        (Ok(report), _) => Ok(report),
        (Err(error), None) => {
            Err(format!("what reactorctl sync prints is not understood: {}", short(&error.to_string())))
        }
        (Err(_), Some(how)) => Err(match last(&report.stderr) {
            Some(said) => format!("{how}: {said}"),
            None => how,
        }),
    }
}

fn short(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(MAX_WORDS) {
        Some((at, _)) => format!("{}...", &plain[..at]),
        None => plain,
    }
}

/// What runs, with the configuration of this daemon. Names are in its environment: they are never part of a shell's text.
fn command(host: &Host) -> String {
    let compat = if host.mode == Mode::DrbdReactor { " --compat drbd-reactor" } else { "" };
    let config = if host.config.is_empty() { "" } else { " --config \"$REACTOR_CONFIG\"" };
    format!("exec reactorctl{compat}{config} sync --json -- \"$REACTOR_RESOURCE\"")
}

/// In one unit, so that it does not change with every look.
fn ago(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..=119 => format!("{minutes} min"),
        120..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1440),
    }
}

impl Machine {
    /// Sends the files if it is time.
    pub(super) fn care_for_sync(&mut self, cx: &mut Context<'_>, services: Services) {
        let Some(every) = self.settings.sync.as_ref().and_then(|sync| sync.every) else { return };
        // Who wants hands off it may be at work on the files.
        let runs = services == Services::On && !self.held.is_hands_off();
        let (is_due, again) = self.syncs.next(cx.now, runs, every);
        self.timers.set(Timer::Sync, again);
        if !is_due {
            return;
        }
        let mut env = vec![
            ("HOME", "/root".to_owned()),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("REACTOR_RESOURCE", self.name.to_string()),
        ];
        let config = &cx.host.config;
        env.extend((!config.is_empty()).then(|| ("REACTOR_CONFIG", config.clone())));
        let run = HandlerRun {
            rule: RULE.to_owned(),
            resource: self.name.clone(),
            command: command(cx.host),
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            stdin: HandlerStdin::Null,
            document: None,
            timeout: TIMEOUT,
            max_output_bytes: OUTPUT,
            ask: None,
        };
        let because = vec![Reason(format!(
            "its services run here, and sync wants its files on other nodes every {}",
            ago(every)
        ))];
        let id = cx.call(because, Call::Handler(Box::new(run)));
        self.syncs.asked(cx.now, id);
    }

    /// The files were sent, or not. `false` = that is no outcome of ours.
    pub(super) fn sync_ended(&mut self, cx: &mut Context<'_>, id: ActionId, report: &HandlerReport) -> bool {
        let Some(news) = self.syncs.ended(cx.now, id, report) else { return false };
        for (level, text) in news {
            self.note(cx, level, format!("{}: {text}", self.name));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(600);

    #[test]
    fn the_command_reads_what_the_daemon_reads() {
        let with = |config: &str, mode| command(&Host { config: config.to_owned(), mode, ..Host::default() });
        assert_eq!(with("", Mode::Native), "exec reactorctl sync --json -- \"$REACTOR_RESOURCE\"");
        let old =
            "exec reactorctl --compat drbd-reactor --config \"$REACTOR_CONFIG\" sync --json -- \"$REACTOR_RESOURCE\"";
        assert_eq!(with("/etc/drbd-reactor.toml", Mode::DrbdReactor), old);
    }

    fn at(seconds: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(seconds))
    }

    fn settings() -> SyncSettings {
        SyncSettings { every: Some(EVERY), ..SyncSettings::default() }
    }

    /// One that was asked for at this second.
    fn asked(syncs: &mut Syncs, second: u64) {
        assert!(syncs.next(at(second), true, EVERY).0, "it is due at {second}");
        syncs.asked(at(second), ActionId(second));
    }

    fn ends(syncs: &mut Syncs, asked: u64, ended: u64, report: &HandlerReport) -> Vec<String> {
        let news = syncs.ended(at(ended), ActionId(asked), report).expect("it was asked for");
        news.into_iter().map(|(level, text)| format!("{level:?} {text}")).collect()
    }

    fn printed(stdout: &str, end: HandlerEnd) -> HandlerReport {
        HandlerReport { stdout: stdout.to_owned(), ..HandlerReport::of(end) }
    }

    /// A report about n2.
    fn of_n2(node: &str) -> HandlerReport {
        printed(&format!(r#"{{"nodes":[{{"node":"n2",{node}}}]}}"#), HandlerEnd::Exited(12))
    }

    #[test]
    fn it_is_due_a_moment_after_the_services_run_and_then_at_each_interval() {
        let mut syncs = Syncs::default();
        assert_eq!(syncs.next(at(0), false, EVERY), (false, None));
        assert_eq!(syncs.next(at(5), true, EVERY), (false, Some(at(15))));
        asked(&mut syncs, 15);
        // One at a time, and the timer is set when it has ended.
        assert_eq!(syncs.next(at(5000), true, EVERY), (false, None));
        ends(&mut syncs, 15, 20, &HandlerReport::of(HandlerEnd::TimedOut));
        assert_eq!(syncs.next(at(20), true, EVERY), (false, Some(at(615))), "a failure is no reason to be faster");
        // Gone and back: not before the interval is over.
        assert_eq!(syncs.next(at(100), false, EVERY), (false, None));
        assert_eq!(syncs.next(at(110), true, EVERY), (false, Some(at(615))));
        asked(&mut syncs, 615);
        // Others are sent by other settings, and soon.
        syncs.ended(at(616), ActionId(615), &HandlerReport::of(HandlerEnd::Exited(0)));
        syncs.reconfigure(Some(&settings()), Some(&settings()));
        assert!(!syncs.next(at(617), true, EVERY).0);
        syncs.reconfigure(Some(&settings()), None);
        assert!(syncs.next(at(617), true, EVERY).0);
    }

    #[test]
    fn a_node_is_late_after_twice_the_interval_and_one_that_differs_is_said_at_once() {
        // What the report says of n2, seconds since then, and what is said.
        let table = [
            (r#""state":"same""#, 0, ""),
            (r#""state":"sent""#, 1200, ""),
            (r#""state":"sent""#, 1201, "sync: n2 is late: last sent 20 min ago"),
            (r#""state":"unknown","why":"ssh: no route","since-good-s":900"#, 0, ""),
            (
                r#""state":"unknown","why":"ssh: no route","since-good-s":900"#,
                301,
                "sync: n2 is late: last sent 20 min ago: ssh: no route",
            ),
            (
                r#""state":"unknown","why":"ssh: no route","since-good-s":10900"#,
                0,
                "sync: n2 is late: last sent 3 h ago: ssh: no route",
            ),
            (
                r#""state":"unknown","why":"ssh: no route","since-good-s":999999"#,
                0,
                "sync: n2 is late: last sent 11 d ago: ssh: no route",
            ),
            (r#""state":"unknown","why":"ssh: no route""#, 1200, ""),
            (
                r#""state":"unknown","why":"ssh: no route""#,
                1201,
                "sync: n2 is late: nothing was ever sent to it: ssh: no route",
            ),
            (
                r#""state":"differs","files":[{"path":"/a","state":"sent"},{"path":"/b","state":"refused","why":"a link"}]"#,
                0,
                "sync: n2 differs: /b refused: a link",
            ),
            // A word of a newer reactorctl is none that is known to be good.
            (
                r#""state":"postponed","since-good-s":1201"#,
                0,
                "sync: n2 is late: last sent 20 min ago: it does not say why",
            ),
        ];
        for (node, later, says) in table {
            let mut syncs = Syncs::default();
            syncs.next(at(0), true, EVERY);
            asked(&mut syncs, 10);
            ends(&mut syncs, 10, 20, &of_n2(node));
            let said = syncs.degraded(at(20 + later), Some(&settings()));
            assert_eq!(said.join("\n"), says, "{node} {later}");
            assert!(syncs.degraded(at(20 + later), Some(&SyncSettings::default())).is_empty());
            // On a node that no longer runs it nothing is said of it.
            syncs.next(at(30), false, EVERY);
            assert!(syncs.degraded(at(9999), Some(&settings())).is_empty());
        }
    }

    #[test]
    fn one_that_was_never_reached_is_late_from_the_first_try_on() {
        let mut syncs = Syncs::default();
        syncs.next(at(0), true, EVERY);
        for second in [10, 610, 1210] {
            asked(&mut syncs, second);
            let news = ends(&mut syncs, second, second + 1, &of_n2(r#""state":"unknown","why":"away""#));
            let says: &[&str] = if second == 10 { &["Warn sync: n2: away"] } else { &[] };
            assert_eq!(news, says, "said once");
        }
        assert!(syncs.degraded(at(1211), Some(&settings())).is_empty());
        assert_eq!(syncs.degraded(at(1212), Some(&settings())).len(), 1);
        asked(&mut syncs, 1810);
        assert_eq!(ends(&mut syncs, 1810, 1811, &of_n2(r#""state":"sent""#)), ["Info sync: n2 has all files again"]);
        assert!(syncs.degraded(at(1812), Some(&settings())).is_empty());
    }

    #[test]
    fn a_command_that_fails_is_said_and_what_was_known_of_nodes_stays() {
        let failed = |stderr: &str, end| HandlerReport { stderr: stderr.to_owned(), ..HandlerReport::of(end) };
        let table = [
            (
                failed("a\nreactorctl: no daemon\n\n", HandlerEnd::Exited(3)),
                "reactorctl sync ended with exit code 3: reactorctl: no daemon",
            ),
            (failed("", HandlerEnd::Exited(127)), "reactorctl sync ended with exit code 127"),
            (failed("", HandlerEnd::Signalled(9)), "reactorctl sync was ended by signal 9"),
            (failed("", HandlerEnd::TimedOut), "reactorctl sync has not ended within 150 s"),
            (
                failed("", HandlerEnd::NotStarted { error: "no\u{7}".to_owned() }),
                "reactorctl sync could not be run: no ",
            ),
            (
                printed("{\"nodes\":[{", HandlerEnd::Exited(0)),
                "what reactorctl sync prints is not understood: EOF while parsing an object at line 1 column 11",
            ),
        ];
        for (report, says) in table {
            let mut syncs = Syncs::default();
            syncs.next(at(0), true, EVERY);
            asked(&mut syncs, 10);
            ends(&mut syncs, 10, 20, &of_n2(r#""state":"same""#));
            asked(&mut syncs, 610);
            assert_eq!(ends(&mut syncs, 610, 620, &report), [format!("Warn sync: {says}")]);
            assert_eq!(syncs.degraded(at(620), Some(&settings())), [format!("sync: {says}")]);
            let late = syncs.degraded(at(1221), Some(&settings()));
            assert_eq!(late.last().map(String::as_str), Some("sync: n2 is late: last sent 20 min ago"));
        }
    }

    #[test]
    fn what_others_say_is_cut() {
        let long = "x".repeat(5000);
        let mut syncs = Syncs::default();
        syncs.next(at(0), true, EVERY);
        asked(&mut syncs, 10);
        ends(&mut syncs, 10, 20, &of_n2(&format!(r#""state":"differs","why":"{long}""#)));
        assert!(syncs.degraded(at(20), Some(&settings()))[0].len() < 400);
    }
}
