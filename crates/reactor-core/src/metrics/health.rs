//! How the daemon itself is: plain numbers that the loop fills in.

use std::collections::BTreeMap;

use crate::action::{HandlerEnd, HandlerReport, Outcome};
use crate::core::{Core, InstanceState};
use crate::drbd::types::ConnectionState;
use crate::model::{Node, SourceState};
use crate::plugin::Counter as PluginCounter;
use crate::plugin::promoter::report::{ResourceReport, TroubleKind};

/// How the daemon is. Times are seconds since 1970, because a metric needs them so.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Version of the daemon.
    pub version: String,
    /// When it started.
    pub started_s: f64,
    /// Versions of DRBD, if they could be read.
    pub drbd: Option<DrbdVersions>,
    /// Where events come from.
    pub source: SourceHealth,
    /// What was read and understood.
    pub input: InputHealth,
    /// Every bounded queue.
    pub queues: Vec<QueueHealth>,
    /// The configuration.
    pub config: ConfigHealth,
    /// Every plugin of the configuration.
    pub plugins: Vec<PluginHealth>,
    /// The sources beside DRBD's.
    pub sources: Vec<OtherSourceHealth>,
    /// Uevents of the kernel by subsystem and action.
    pub uevents: Vec<(String, String, u64)>,
    /// Plugins that panicked.
    pub plugin_panics: u64,
    /// Every promoted resource.
    pub promoted: Vec<PromotedHealth>,
    /// Whether systemd is connected; `None` = nothing needs it.
    pub systemd_up: Option<bool>,
    /// Actions whose outcome has not come back.
    pub actions_pending: u64,
    /// Users' handlers.
    pub handlers: HandlerHealth,
    /// Who is told by `[[notify]]`.
    pub receivers: Vec<ReceiverHealth>,
    /// Whether what waits for them is kept on the disk; `None` = there is none of them.
    pub notify_disk_up: Option<bool>,
    /// The recorder; `None` = off.
    pub recorder: Option<RecorderHealth>,
    /// The history; `None` = not said.
    pub history: Option<HistoryHealth>,
    /// Whether there is a control socket; `None` = not said.
    pub control_up: Option<bool>,
    /// Whether an operator has drained this node.
    pub drained: bool,
    /// Unit files that an earlier drbd-reactor left; `None` = not looked.
    pub leftovers: Option<u64>,
    /// What has woken the daemon's loop: each kind of event, and how many there were.
    pub loop_events: Vec<(&'static str, u64)>,
    /// The metrics server that answers; it fills this in by itself.
    pub http: HttpHealth,
}

/// A source beside DRBD's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherSourceHealth {
    /// Its name.
    pub name: &'static str,
    /// Whether it is up.
    pub up: bool,
    /// How often it lost something.
    pub overruns: u64,
    /// How much of it was not understood.
    pub not_understood: u64,
}

/// Versions of DRBD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrbdVersions {
    /// Of the kernel module.
    pub kmod: String,
    /// Of drbd-utils.
    pub utils: String,
}

/// Where events come from.
#[derive(Clone, Debug, Default)]
pub struct SourceHealth {
    /// Whether what is known is the present.
    pub up: bool,
    /// Why not, for `/healthz`.
    pub why_down: Option<String>,
    /// Since when it is up or down.
    pub since_s: Option<f64>,
    /// How often it was started again.
    pub restarts: u64,
    /// How often it was ended because it hung before its snapshot was complete.
    pub hung: u64,
}

/// What was read and understood since the daemon started.
#[derive(Clone, Copy, Debug, Default)]
pub struct InputHealth {
    /// Lines read.
    pub lines: u64,
    /// Events applied.
    pub events: u64,
    /// Bursts: kernel state changes.
    pub bursts: u64,
    /// Changes told.
    pub changes: u64,
    /// Actions that plugins asked for.
    pub actions: u64,
    /// Lines that could not be understood.
    pub unparsed: u64,
    /// Words and keys that this version does not know, each time they came.
    pub unknown_words: u64,
    /// Events about a part of something that is not known.
    pub orphans: u64,
    /// Broken invariants of the model.
    pub violations: u64,
}

/// A bounded queue.
#[derive(Clone, Debug, Default)]
pub struct QueueHealth {
    /// Its name.
    pub name: &'static str,
    /// What is in it now; `None` where nobody can look.
    pub depth: Option<u64>,
    /// How much fits.
    pub limit: u64,
    /// What was dropped because it was full; `None` if it makes the sender wait.
    pub dropped: Option<u64>,
}

/// The configuration.
#[derive(Clone, Debug, Default)]
pub struct ConfigHealth {
    /// Whether everything that is written in the files runs.
    pub ok: bool,
    /// When it was read last.
    pub last_reload_s: Option<f64>,
    /// Errors found then.
    pub errors: u64,
    /// Warnings found then.
    pub warnings: u64,
    /// Files that differ from what was read; `None` = not looked.
    pub drifted_files: Option<u64>,
}

/// A plugin of the configuration.
#[derive(Clone, Debug, Default)]
pub struct PluginHealth {
    /// Number of its instance.
    pub id: u64,
    /// Which plugin.
    pub kind: &'static str,
    /// File and line that configure it, `FILE:LINE`.
    pub table: String,
    /// Whether it runs.
    pub up: bool,
    /// What it counted.
    pub counters: Vec<PluginCounter>,
}

/// A promoted resource.
#[derive(Clone, Debug, Default)]
pub struct PromotedHealth {
    /// Its name.
    pub name: String,
    /// What holds, in one word.
    pub state: &'static str,
    /// Since when.
    pub since_s: f64,
    /// Whether an operator holds it.
    pub held: bool,
    /// Failures within the failure window.
    pub failures: u64,
    /// Units that have failed.
    pub failed_units: u64,
    /// Connections that are StandAlone.
    pub standalone_links: u64,
    /// What a person should look at.
    pub warnings: u64,
    /// Whether it is Primary here, and its I/O hangs.
    pub io_hangs: bool,
    /// Whether nobody is Primary although this side could be.
    pub runs_nowhere: bool,
    /// Whether something of it is up although its target is down.
    pub left_behind: bool,
    /// Whether something else than the promoter started a unit of it.
    pub outside_target: bool,
}

impl PromotedHealth {
    /// From what the promoter says and what DRBD says; `since_s` is the report's time on the wall clock.
    pub fn new(report: &ResourceReport, since_s: f64, node: &Node) -> Self {
        let links = node.resource(report.resource.as_str()).map(|resource| {
            let connections = resource.connections.values();
            connections.filter(|connection| connection.state.connection == ConnectionState::StandAlone).count()
        });
        let has = |kind: TroubleKind| report.troubles.iter().any(|trouble| trouble.kind == kind);
        Self {
            name: report.resource.to_string(),
            state: report.state.as_str(),
            since_s,
            held: report.hold.is_some(),
            failures: report.failures.into(),
            failed_units: report.units.iter().filter(|unit| unit.active == "failed").count() as u64,
            standalone_links: links.unwrap_or_default() as u64,
            warnings: report.warnings.len() as u64,
            io_hangs: has(TroubleKind::IoHangs),
            runs_nowhere: has(TroubleKind::RunsNowhere),
            left_behind: has(TroubleKind::LeftBehind),
            outside_target: has(TroubleKind::OutsideTarget),
        }
    }
}

/// Users' handlers of all plugins.
#[derive(Clone, Debug, Default)]
pub struct HandlerHealth {
    /// How many run now.
    pub running: u64,
    /// How many were started.
    pub started: u64,
    /// How they ended, and how many so.
    ended: BTreeMap<&'static str, u64>,
    /// Time that those that ended took.
    seconds: f64,
}

/// The history.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryHealth {
    /// Whether it can be written.
    pub up: bool,
    /// Entries written.
    pub written: u64,
    /// Entries that could not be written.
    pub lost: u64,
}

/// One `[[notify]]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverHealth {
    /// Its name.
    pub name: String,
    /// Whether the last attempt did not fail.
    pub up: bool,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that have arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Messages that were given up.
    pub dropped: u64,
}

/// The recorder.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecorderHealth {
    /// Whether it can write.
    pub up: bool,
    /// Inputs written.
    pub written: u64,
    /// Inputs lost.
    pub lost: u64,
}

/// One metrics server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HttpHealth {
    /// Scrapes answered in full.
    pub scrapes: u64,
    /// Time from the request to the last byte, of all of them.
    pub scrape_seconds: f64,
    /// Scrapes that failed: no answer of the loop, or the client was too slow or went away.
    pub scrapes_failed: u64,
    /// Connections now.
    pub connections: u64,
    /// Connections that were turned away because there were too many.
    pub refused: u64,
    /// Connections that were ended because the client was too slow or silent.
    pub timed_out: u64,
    /// Errors of `accept`.
    pub accept_errors: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// Requests without a password, or with a wrong one.
    pub unauthorized: u64,
    /// Whether the web configuration file is used as it is; `None` = there is none.
    pub web_config_ok: Option<bool>,
    /// When the certificate ends; `None` = no TLS.
    pub certificate_ends_s: Option<f64>,
}

impl Health {
    /// Takes over what the core knows of itself.
    pub fn fill_from(&mut self, core: &Core) {
        let (counters, node) = (core.counters(), core.node());
        let reports = node.reports();
        self.input = InputHealth {
            lines: counters.lines,
            events: node.events(),
            bursts: counters.bursts,
            changes: counters.changes,
            actions: counters.actions,
            unparsed: reports.unparsed,
            unknown_words: reports.unknown_total,
            orphans: reports.orphans,
            violations: reports.violations,
        };
        let owned = |(subsystem, action, count): (&str, &str, u64)| (subsystem.to_owned(), action.to_owned(), count);
        self.uevents = node.sources().uevents().map(owned).collect();
        self.sources = node
            .sources()
            .iter()
            .map(|(id, source)| OtherSourceHealth {
                name: id.as_str(),
                up: source.state == SourceState::Live,
                overruns: source.overruns,
                not_understood: source.not_understood,
            })
            .collect();
        self.plugin_panics = counters.panics;
        self.actions_pending = core.in_flight() as u64;
        self.plugins = core
            .instances()
            .iter()
            .map(|instance| PluginHealth {
                id: instance.id.0,
                kind: instance.kind().as_str(),
                table: format!("{}:{}", instance.file.display(), instance.line),
                up: matches!(instance.state, InstanceState::Running | InstanceState::Outside),
                counters: instance.counters(),
            })
            .collect();
    }

    /// What is so wrong that the metrics cannot be trusted; nothing = healthy.
    pub fn problems(&self) -> Vec<String> {
        if self.source.up {
            return Vec::new();
        }
        let why = self.source.why_down.as_deref().unwrap_or("it has not told its first picture yet");
        vec![format!("the source of DRBD events is down: {why}")]
    }
}

impl HandlerHealth {
    /// How handlers can end, in the words of the metric.
    const ENDS: [&'static str; 6] = ["success", "exit-code", "signal", "timeout", "aborted", "not-started"];

    /// Counts a handler that was started.
    pub fn count_start(&mut self) {
        self.started += 1;
        self.running += 1;
    }

    /// Counts the end of a handler.
    pub fn count_end(&mut self, outcome: &Outcome) {
        let Outcome::Handler(HandlerReport { end, took, .. }) = outcome else { return };
        let how = match end {
            HandlerEnd::Exited(0) => Self::ENDS[0],
            HandlerEnd::Exited(_) => Self::ENDS[1],
            HandlerEnd::Signalled(_) => Self::ENDS[2],
            HandlerEnd::TimedOut => Self::ENDS[3],
            HandlerEnd::Aborted => Self::ENDS[4],
            HandlerEnd::NotStarted { .. } => Self::ENDS[5],
        };
        *self.ended.entry(how).or_default() += 1;
        self.seconds += took.as_secs_f64();
        self.running = self.running.saturating_sub(1);
    }

    /// How handlers can end, and how many did so.
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Self::ENDS.into_iter().map(|how| (how, self.ended.get(how).copied().unwrap_or_default()))
    }

    /// Time that all handlers that ended took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }
}
