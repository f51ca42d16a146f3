//! Reading the configuration again, and applying it.
//!
//! ```text
//!  asked ─▶ read (a thread) ─▶ applied to the core ─▶ log files, control socket (threads) ─▶ answered
//!              └─ 10 s ─▶ answered: it hangs, and where                  └─ 2 s ─▶ answered all the same
//! ```
//!
//! The files are read by a thread: a folder on a disk that hangs must not stop the loop. Who asked is told then that it hangs; what ran before
//! goes on, and what is read at last is applied. A reload never ends the daemon (D2): files with errors keep their last good version, and
//! everybody who asked is told what became of it. Once the daemon ends, nothing is read any more, and that is the answer.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reactor_api::status::ReloadResult;
use reactor_api::verbs::{Reload, ReloadReply};
use reactor_config::{Drift, DriftKind, Finding, Loaded, Severity, Style};
use reactor_core::settings::Settings;
use reactor_sys::control::Reply;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tracing::{error, info, warn};

use super::Daemon;
use super::promoters::needs_systemd;
use super::status::node_name;

/// Files younger than this are not called drift yet: somebody is editing.
const SETTLE: Duration = Duration::from_secs(20);

/// After this a reading is said to hang.
const HANGS: Duration = Duration::from_secs(10);

/// How long log files and the control socket may keep whoever asked for a reload waiting.
const CHORES: Duration = Duration::from_secs(2);

/// The answer while the daemon ends.
const STOPPING: &str = "the daemon is stopping: the configuration is not read any more, the next start reads it";

/// Units of the examples that reload when a snippet changes.
const WATCHERS: [&str; 2] = ["storage-reactor-reload.path", "drbd-reactor-reload.path"];

/// Reloads that run, and how the last one went.
pub(super) struct Reloads {
    reading: Option<JoinHandle<Loaded>>,
    /// Since when, and what is being read.
    began: Instant,
    at: Arc<Mutex<PathBuf>>,
    /// What was said of a reading that hangs.
    hangs: Option<(PathBuf, String)>,
    /// Applied; answered when the chores are done.
    finishing: Option<Finishing>,
    /// Who is told when it is applied.
    waiting: Vec<Reply<Reload>>,
    /// Asked for while one was being read: it may have missed the latest change, so another one follows.
    next: Option<Vec<Reply<Reload>>>,
    /// When the configuration was read last, the start of the daemon included.
    pub(super) last: SystemTime,
    pub(super) last_result: ReloadResult,
    drift: Option<JoinHandle<Vec<Change>>>,
    drift_asked: Instant,
    /// Whether the files on disk were ever compared with what runs.
    pub(super) looked: bool,
    /// Files on disk that differ from what runs, and how.
    pub(super) drifted: Vec<(String, String)>,
    /// The changes that a watcher may have missed, for which it was looked for.
    missed: Vec<Change>,
    /// Whether there is a watcher, which is being asked of systemd. `None` = it did not say.
    asking: Option<JoinHandle<Option<bool>>>,
}

/// A reload that is applied.
struct Finishing {
    until: Instant,
    result: ReloadResult,
    findings: Vec<String>,
    report: String,
}

/// A file that differs from what runs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Change {
    path: String,
    how: String,
    modified: Option<SystemTime>,
}

/// What [`Reloads::next`] has for the loop.
pub(super) enum News {
    /// The files are read.
    Read(Box<Result<Loaded, JoinError>>),
    /// The files on disk were compared with what runs.
    Drift(Vec<Change>),
    /// Something reloads when files change, or does not.
    Watched(Option<bool>),
}

impl Reloads {
    /// What the daemon starts with.
    pub(super) fn new(first: &Loaded) -> Self {
        Self {
            reading: None,
            began: Instant::now(),
            at: Arc::default(),
            hangs: None,
            finishing: None,
            waiting: Vec::new(),
            next: None,
            last: SystemTime::now(),
            last_result: if first.is_clean() { ReloadResult::Ok } else { ReloadResult::Partly },
            drift: None,
            drift_asked: Instant::now(),
            looked: false,
            drifted: Vec::new(),
            missed: Vec::new(),
            asking: None,
        }
    }

    /// When to look after a reload.
    pub(super) fn due(&self) -> Option<Instant> {
        let hangs = self.reading.as_ref().filter(|_| self.hangs.is_none()).map(|_| self.began + HANGS);
        [hangs, self.finishing.as_ref().map(|finishing| finishing.until)].into_iter().flatten().min()
    }

    /// When files are to be compared with what runs.
    pub(super) fn drift_due(&self, interval: Duration) -> Option<Instant> {
        let busy = self.drift.is_some() || self.reading.is_some();
        (!busy).then(|| self.drift_asked + interval)
    }

    /// The file or folder that a reload hangs at, and what is to be said of it.
    pub(super) fn hangs(&self) -> Option<&(PathBuf, String)> {
        self.hangs.as_ref()
    }

    /// Says that the reading hangs to who waits for it.
    fn say_it_hangs(&mut self) {
        let path = self.at.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = format!(
            "reading the configuration hangs: {} has not answered for {} s; what ran before goes on, and what is read at last is applied",
            path.display(),
            self.began.elapsed().as_secs()
        );
        self.hangs = Some((path, why));
        self.answer_hanging();
    }

    fn answer_hanging(&mut self) {
        let Some((_, why)) = &self.hangs else { return };
        for reply in self.waiting.drain(..).chain(self.next.iter_mut().flat_map(|next| next.drain(..))) {
            refuse(reply, why);
        }
    }

    /// Waits for what is being read; for ever if nothing is.
    pub(super) async fn next(&mut self) -> News {
        tokio::select! {
            read = finish(&mut self.reading) => News::Read(Box::new(read)),
            drift = finish(&mut self.drift) => News::Drift(drift.unwrap_or_default()),
            watched = finish(&mut self.asking) => News::Watched(watched.ok().flatten()),
        }
    }
}

/// Who asks may have gone.
fn refuse(reply: Reply<Reload>, why: &str) {
    let (findings, report) = (vec![why.to_owned()], why.to_owned());
    let _ = reply.send(Ok(ReloadReply::new(ReloadResult::Refused, findings, report)));
}

/// The result of a task, which is gone then; never, if there is none. Cancel safe.
pub(super) async fn finish<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(running) => {
            let result = running.await;
            *task = None;
            result
        }
        None => pending().await,
    }
}

impl Daemon {
    /// Begins to read the configuration again. Who asks while that goes on is told of a second reading that follows.
    pub(super) fn start_reload(&mut self, reply: Option<Reply<Reload>>) {
        if self.is_ending() {
            warn!("{STOPPING}");
            return reply.into_iter().for_each(|reply| refuse(reply, STOPPING));
        }
        let reloads = &mut self.reloads;
        if reloads.reading.is_some() || reloads.finishing.is_some() {
            reloads.next.get_or_insert_default().extend(reply);
            reloads.answer_hanging();
            return;
        }
        reloads.waiting.extend(reply);
        self.service.reloading();
        let (options, previous) = (self.options.clone(), Arc::clone(&self.loaded));
        reloads.began = Instant::now();
        let at = Arc::clone(&reloads.at);
        let reads = move |path: &Path| path.clone_into(&mut at.lock().unwrap_or_else(PoisonError::into_inner));
        reloads.reading = Some(spawn_blocking(move || reactor_config::load_telling(&options, Some(&previous), &reads)));
        self.wall.read_again();
    }

    /// The daemon ends: what is still being read is not applied any more.
    pub(super) fn give_up_reload(&mut self) {
        let later = self.reloads.next.take().unwrap_or_default();
        // What is applied has its answer.
        self.finish_reload();
        self.reloads.reading = None;
        self.reloads.hangs = None;
        for reply in self.reloads.waiting.drain(..).chain(later) {
            refuse(reply, STOPPING);
        }
    }

    /// Something is late.
    pub(super) fn look_at_reload(&mut self, now: Instant) {
        let reloads = &mut self.reloads;
        if reloads.reading.is_some() && reloads.hangs.is_none() && reloads.began + HANGS <= now {
            reloads.say_it_hangs();
            if let Some((_, why)) = reloads.hangs() {
                error!("{why}");
            }
            self.tell_systemd();
        }
        if self.reloads.finishing.as_ref().is_some_and(|finishing| finishing.until <= now) {
            self.finish_reload();
        }
    }

    pub(super) fn reloaded(&mut self, news: News) {
        if self.is_ending() {
            return;
        }
        match news {
            News::Drift(drift) => self.drifted(drift),
            News::Watched(Some(true)) => {
                info!("a path unit should have reloaded this, and has missed it: reading the configuration");
                self.start_reload(None);
            }
            News::Watched(Some(false)) => {}
            // The next look asks again.
            News::Watched(None) => self.reloads.missed.clear(),
            News::Read(read) => match *read {
                Ok(loaded) => self.take(loaded),
                Err(error) => {
                    error!(%error, "reading the configuration failed; what ran before goes on");
                    self.answer_soon(ReloadResult::Refused, vec![error.to_string()], error.to_string());
                }
            },
        }
    }

    fn take(&mut self, loaded: Loaded) {
        let old = std::mem::replace(&mut self.loaded, Arc::new(loaded));
        for finding in &self.loaded.findings {
            log_finding(finding);
        }
        let result = match (self.loaded.is_clean(), self.loaded.settings == old.settings) {
            (true, _) => ReloadResult::Ok,
            (false, true) => ReloadResult::Refused,
            (false, false) => ReloadResult::Partly,
        };
        warn_of_restart(&old.settings, &self.loaded.settings);
        self.try_control_again();
        self.open_logs();
        self.apply_settings();
        let findings: Vec<_> = self.loaded.findings.iter().map(Finding::one_line).collect();
        let report = render(&self.loaded);
        self.answer_soon(result, findings, report);
    }

    /// Answers when the chores are done.
    fn answer_soon(&mut self, result: ReloadResult, findings: Vec<String>, report: String) {
        if self.reloads.hangs.take().is_some() {
            info!("the disk has answered: the configuration is read");
        }
        self.reloads.finishing = Some(Finishing { until: Instant::now() + CHORES, result, findings, report });
        if self.chores.are_done() {
            self.finish_reload();
        }
    }

    /// A reload is over, if there is one; the next one may begin.
    pub(super) fn finish_reload(&mut self) {
        let Some(mut finishing) = self.reloads.finishing.take() else { return };
        for late in self.chores.late() {
            warn!("{late}: the disk does not answer");
            finishing.findings.push(late.to_owned());
            finishing.report = format!("{}\n{late}", finishing.report).trim().to_owned();
        }
        self.answer(finishing.result, &finishing.findings, &finishing.report);
        if let Some(next) = self.reloads.next.take() {
            self.start_reload(None);
            self.reloads.waiting.extend(next);
        }
    }

    fn answer(&mut self, result: ReloadResult, findings: &[String], report: &str) {
        let reloads = &mut self.reloads;
        reloads.last = SystemTime::now();
        reloads.last_result = result;
        reloads.drifted.clear();
        match result {
            ReloadResult::Ok => {
                info!("the configuration was read and runs");
            }
            _ => {
                error!(?result, "the configuration has errors; files with errors keep their last good version");
            }
        }
        for reply in std::mem::take(&mut reloads.waiting) {
            let _ = reply.send(Ok(ReloadReply::new(result, findings.to_vec(), report.to_owned())));
        }
        self.service.reloaded();
        self.tell_systemd();
    }

    /// Makes what runs what the settings say.
    pub(super) fn apply_settings(&mut self) {
        let settings = self.loaded.settings.clone();
        self.source.set_poll_interval(settings.statistics_poll_interval);
        self.recording.apply(&settings, || node_name(&settings.daemon));
        self.hold_what_may_be_held();
        let now = self.clock.now();
        let mut actions = std::mem::take(&mut self.actions);
        let report = self.core.configure(now, &settings, &mut actions);
        // First the connection, if one is needed: what was decided may need it. One that is not needed any more goes last, because
        // files of a promoter that is gone may need it.
        if needs_systemd(&settings) {
            self.follow_units();
        }
        self.carry_out_all(&mut actions);
        self.follow_units();
        self.actions = actions;
        self.work.find_unconfigured(&self.loaded);
        self.look_for_leftovers();
        self.check_system();
        self.core.set_follow(Some(self.hub.wants()));
        self.servers.reconcile(self.core.instances());
        info!(
            started = report.started.len(),
            kept = report.kept.len(),
            changed = report.changed.len(),
            stopped = report.stopped.len(),
            "plugins configured"
        );
        self.log_notes();
    }

    /// Compares the files on disk with what runs, as often as `snippets-monitoring-interval` says (D15).
    pub(super) fn look_for_drift(&mut self) {
        let Some(interval) = self.loaded.settings.snippets_monitoring_interval else { return };
        if self.is_ending() {
            return;
        }
        let due = self.reloads.drift_asked.elapsed() >= interval;
        if !due || self.reloads.drift.is_some() || self.reloads.reading.is_some() {
            return;
        }
        self.reloads.drift_asked = Instant::now();
        self.look_for_leftovers();
        let loaded = Arc::clone(&self.loaded);
        self.reloads.drift = Some(spawn_blocking(move || {
            let drift = reactor_config::drift(&loaded).into_iter().filter(is_settled);
            let change = |d: Drift| Change {
                path: d.path.display().to_string(),
                how: d.kind.as_str().to_owned(),
                modified: d.modified,
            };
            drift.map(change).collect()
        }));
    }

    fn drifted(&mut self, changes: Vec<Change>) {
        let drift = changes.iter().map(|change| (change.path.clone(), change.how.clone())).collect::<Vec<_>>();
        for (path, how) in drift.iter().filter(|one| !self.reloads.drifted.contains(one)) {
            warn!(path, how, "a configuration file differs from what runs: reactorctl reload");
        }
        self.reloads.drifted = drift;
        self.reloads.looked = true;
        self.ask_for_watcher(changes);
    }

    /// Whoever has enabled a path unit wants changes to be loaded, and systemd misses those that are made while it reads its units again,
    /// which it does on account of our own files. Each change is tried once, those with errors included.
    fn ask_for_watcher(&mut self, mut changes: Vec<Change>) {
        changes.retain(|change| change.how != DriftKind::Rejected.as_str());
        if changes.is_empty() {
            self.reloads.missed.clear();
        }
        let Some(systemd) = self.work.systemd().filter(|_| self.reloads.asking.is_none()) else { return };
        if changes == self.reloads.missed {
            return;
        }
        self.reloads.missed = changes;
        self.reloads.asking = Some(tokio::spawn(async move {
            for watcher in WATCHERS {
                if systemd.is_active(watcher).await? {
                    return Some(true);
                }
            }
            Some(false)
        }));
    }
}

fn is_settled(drift: &Drift) -> bool {
    drift.modified.and_then(|at| at.elapsed().ok()).is_none_or(|age| age >= SETTLE)
}

/// A finding as one line of the log.
pub(crate) fn log_finding(finding: &Finding) {
    match finding.severity {
        Severity::Error => error!("{}", finding.one_line()),
        Severity::Warning => warn!("{}", finding.one_line()),
        Severity::Note => info!("{}", finding.one_line()),
    }
}

/// All findings for people: with the lines of the files and carets.
pub(crate) fn render(loaded: &Loaded) -> String {
    loaded.findings.iter().map(|finding| finding.render(Style::Plain)).collect::<Vec<_>>().join("\n\n")
}

/// Settings that a running daemon cannot change.
fn warn_of_restart(old: &Settings, new: &Settings) {
    let (o, n) = (&old.daemon, &new.daemon);
    let mut keys = Vec::new();
    for (key, differs) in [
        ("runtime-dir", o.runtime_dir != n.runtime_dir),
        ("drbdsetup", o.drbdsetup != n.drbdsetup),
        ("drbdadm", o.drbdadm != n.drbdadm),
        ("bus", o.bus != n.bus),
    ] {
        if differs {
            keys.push(key);
        }
    }
    if !keys.is_empty() {
        warn!(keys = keys.join(", "), "changed in [daemon]; that needs a restart of the daemon");
    }
}

#[cfg(test)]
mod tests {
    use reactor_config::LoadOptions;
    use reactor_core::settings::Mode;
    use tokio::sync::oneshot;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    /// Who asked waited for two minutes, and heard only that there was no answer.
    #[tokio::test]
    async fn a_disk_that_hangs_is_named_to_who_asked_and_what_is_read_at_last_counts() {
        let dir = std::env::temp_dir().join(format!("reactord-reload-hangs-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the temporary folder can be written");
        let main = dir.join("main.toml");
        std::fs::write(&main, "").expect("it is ours");
        let options = LoadOptions::new(&main, Mode::Native);
        let mut reloads = Reloads::new(&reactor_config::load(&options, None));
        assert_eq!(reloads.due(), None, "nothing to wait for");
        // The disk: the reading thread comes so far, and no further.
        let (go, waits) = std::sync::mpsc::channel::<()>();
        let (reached, is_there) = oneshot::channel();
        let reached = Mutex::new(Some(reached));
        let at = Arc::clone(&reloads.at);
        let reads = move |path: &Path| {
            path.clone_into(&mut at.lock().expect("nobody panics"));
            if let Some(reached) = reached.lock().expect("nobody panics").take() {
                reached.send(()).expect("somebody waits");
            }
            let _ = waits.recv();
        };
        reloads.reading = Some(spawn_blocking(move || reactor_config::load_telling(&options, None, &reads)));
        is_there.await.expect("it reads");
        assert_eq!(reloads.due(), Some(reloads.began + HANGS));
        let (asks, mut first) = oneshot::channel();
        reloads.waiting.push(asks);
        assert!(matches!(first.try_recv(), Err(TryRecvError::Empty)));
        reloads.say_it_hangs();
        let told = first.try_recv().expect("it is told").expect("it is an answer");
        assert!(told.result == ReloadResult::Refused && told.report.contains("main.toml has not answered"), "{told:?}");
        assert_eq!((reloads.due(), reloads.hangs().map(|(path, _)| path.clone())), (None, Some(main)));
        // Who comes now is told at once, and files that changed meanwhile are read afterwards.
        let (asks, mut second) = oneshot::channel();
        reloads.next.get_or_insert_default().push(asks);
        reloads.answer_hanging();
        assert_eq!(second.try_recv().map(|told| told.map(|told| told.result)), Ok(Ok(ReloadResult::Refused)));
        assert!(reloads.next.is_some());
        drop(go);
        assert!(
            matches!(reloads.next().await, News::Read(read) if read.as_ref().as_ref().is_ok_and(|loaded| loaded.usable))
        );
        std::fs::remove_dir_all(dir).expect("it is ours");
    }
}
