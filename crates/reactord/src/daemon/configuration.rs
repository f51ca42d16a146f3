//! The configuration that runs, the files that are read anew, and how they differ from what runs.
//!
//! Who reads what when is decided here; what follows for the rest of the daemon is in `reload.rs`.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reactor_api::status::ReloadResult;
use reactor_api::verbs::{Reload, ReloadReply};
use reactor_config::{Drift, DriftKind, LoadOptions, Loaded, Severity};
use reactor_core::metrics::health::ConfigHealth;
use reactor_core::settings::{DaemonSettings, Settings};
use reactor_sys::control::Reply;
use reactor_sys::systemd::Handle;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tracing::{info, warn};

use super::health::seconds;

/// Files younger than this are not called drift yet: somebody is editing.
const SETTLE: Duration = Duration::from_secs(20);

/// After this a reading is said to hang.
const HANGS: Duration = Duration::from_secs(10);

/// How long log files and the control socket may keep whoever asked for a reload waiting.
const CHORES: Duration = Duration::from_secs(2);

/// Units of the examples that reload when a snippet changes.
const WATCHERS: [&str; 2] = ["storage-reactor-reload.path", "drbd-reactor-reload.path"];

/// What runs, reloads that run, and how the last one went.
pub(super) struct Configuration {
    options: LoadOptions,
    /// What the daemon began with. Some of it stays until its end.
    began_with: DaemonSettings,
    loaded: Arc<Loaded>,
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
    last: SystemTime,
    last_result: ReloadResult,
    drift: Option<JoinHandle<Vec<Change>>>,
    drift_asked: Instant,
    /// Whether the files on disk were ever compared with what runs.
    looked: bool,
    /// Files on disk that differ from what runs, and how.
    drifted: Vec<(String, String)>,
    /// The changes that a watcher may have missed, for which it was looked for.
    missed: Vec<Change>,
    /// Whether there is a watcher, which is being asked of systemd. `None` = it did not say.
    asking: Option<JoinHandle<Option<bool>>>,
}

/// A reload that is applied, or has failed.
struct Finishing {
    until: Instant,
    outcome: Outcome,
}

/// What came of a reload.
pub(super) struct Outcome {
    pub(super) result: ReloadResult,
    pub(super) findings: Vec<String>,
    pub(super) report: String,
}

impl Outcome {
    /// This is to be said, too.
    pub(super) fn also(&mut self, line: &str) {
        self.findings.push(line.to_owned());
        self.report = format!("{}\n{line}", self.report).trim().to_owned();
    }
}

/// A file that differs from what runs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Change {
    path: String,
    how: String,
    modified: Option<SystemTime>,
}

/// What [`Configuration::next`] has for the loop.
pub(super) enum News {
    /// The files are read.
    Read(Box<Result<Loaded, JoinError>>),
    /// The files on disk were compared with what runs.
    Drift(Vec<Change>),
    /// Something reloads when files change, or does not.
    Watched(Option<bool>),
}

impl Configuration {
    /// What the daemon starts with.
    pub(super) fn new(options: LoadOptions, first: Loaded) -> Self {
        Self {
            options,
            began_with: first.settings.daemon.clone(),
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
            loaded: Arc::new(first),
        }
    }

    /// The main file, as an absolute path as far as that can be said.
    pub(super) fn main_file(&self) -> PathBuf {
        std::path::absolute(&self.options.main).unwrap_or_else(|_| self.options.main.clone())
    }

    /// What was read and runs, with all that is to be said of it.
    pub(super) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The settings that run.
    pub(super) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Names the settings that a running daemon can't change, if any is another one than the daemon began with.
    pub(super) fn needs_restart(&self) -> Option<String> {
        let (old, new) = (&self.began_with, &self.settings().daemon);
        let keys = [
            ("runtime-dir", old.runtime_dir != new.runtime_dir),
            ("drbdsetup", old.drbdsetup != new.drbdsetup),
            ("drbdadm", old.drbdadm != new.drbdadm),
            ("bus", old.bus != new.bus),
            ("uevents", old.uevents != new.uevents),
            ("kernel-log", old.kernel_log != new.kernel_log),
        ];
        let keys: Vec<_> = keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect();
        let keys = keys.join(", ");
        (!keys.is_empty()).then(|| {
            format!("[daemon] {keys}: the daemon runs with what it began with; another value needs a restart of it")
        })
    }

    /// When the configuration was read last, and what came of it.
    pub(super) fn last(&self) -> (SystemTime, ReloadResult) {
        (self.last, self.last_result)
    }

    /// Files on disk that differ from what runs, and how.
    pub(super) fn drift(&self) -> &[(String, String)] {
        &self.drifted
    }

    /// When to look after a reload.
    pub(super) fn due(&self) -> Option<Instant> {
        let hangs = self.reading.as_ref().filter(|_| self.hangs.is_none()).map(|_| self.began + HANGS);
        [hangs, self.finishing.as_ref().map(|finishing| finishing.until)].into_iter().flatten().min()
    }

    /// When files are to be compared with what runs.
    pub(super) fn drift_due(&self) -> Option<Instant> {
        let interval = self.settings().snippets_monitoring_interval?;
        let busy = self.drift.is_some() || self.reading.is_some();
        (!busy).then(|| self.drift_asked + interval)
    }

    /// The file or folder that a reload hangs at, and what is to be said of it.
    pub(super) fn hangs(&self) -> Option<&(PathBuf, String)> {
        self.hangs.as_ref()
    }

    /// Begins to read the configuration again; `false` = that goes on already, and who asks is told of a second reading that follows.
    pub(super) fn begin(&mut self, reply: Option<Reply<Reload>>) -> bool {
        if self.reading.is_some() || self.finishing.is_some() {
            self.next.get_or_insert_default().extend(reply);
            self.answer_hanging();
            return false;
        }
        self.waiting.extend(reply);
        let (options, previous) = (self.options.clone(), Arc::clone(&self.loaded));
        self.began = Instant::now();
        let at = Arc::clone(&self.at);
        let reads = move |path: &Path| path.clone_into(&mut at.lock().unwrap_or_else(PoisonError::into_inner));
        self.reading = Some(spawn_blocking(move || reactor_config::load_telling(&options, Some(&previous), &reads)));
        true
    }

    /// Takes what was read in place of what runs, which is given back.
    pub(super) fn replace(&mut self, loaded: Loaded) -> Arc<Loaded> {
        std::mem::replace(&mut self.loaded, Arc::new(loaded))
    }

    /// A reload is applied, or has failed. It is answered by [`finish`](Self::finish).
    pub(super) fn applied(&mut self, outcome: Outcome) {
        if self.hangs.take().is_some() {
            info!("the disk has answered: the configuration is read");
        }
        self.finishing = Some(Finishing { until: Instant::now() + CHORES, outcome });
    }

    /// Whether who asked for a reload has waited long enough for what belongs to it.
    pub(super) fn is_answer_due(&self, now: Instant) -> bool {
        self.finishing.as_ref().is_some_and(|finishing| finishing.until <= now)
    }

    /// The outcome of a reload that has not been answered yet, and will be by [`answer`](Self::answer).
    pub(super) fn finish(&mut self) -> Option<Outcome> {
        Some(self.finishing.take()?.outcome)
    }

    /// Answers everybody who waits for the reload.
    pub(super) fn answer(&mut self, outcome: &Outcome) {
        let Outcome { result, findings, report } = outcome;
        self.last = SystemTime::now();
        self.last_result = *result;
        self.drifted.clear();
        for reply in std::mem::take(&mut self.waiting) {
            let _ = reply.send(Ok(ReloadReply::new(*result, findings.clone(), report.clone())));
        }
    }

    /// Who has asked while the last one ran.
    pub(super) fn take_next(&mut self) -> Option<Vec<Reply<Reload>>> {
        self.next.take()
    }

    /// These wait for the reload that has begun.
    pub(super) fn wait(&mut self, replies: Vec<Reply<Reload>>) {
        self.waiting.extend(replies);
    }

    /// Nothing is read any more: everybody who waits is refused.
    pub(super) fn give_up(&mut self, why: &str) {
        self.reading = None;
        self.hangs = None;
        for reply in self.waiting.drain(..) {
            refuse(reply, why);
        }
    }

    /// Looks whether a reading hangs; why, if that is new. Who waits for it is told.
    pub(super) fn look(&mut self, now: Instant) -> Option<&str> {
        if self.reading.is_none() || self.hangs.is_some() || self.began + HANGS > now {
            return None;
        }
        self.say_it_hangs();
        self.hangs().map(|(_, why)| why.as_str())
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

    /// Compares the files on disk with what runs, as often as `snippets-monitoring-interval` says.
    /// `true` = it is being done now.
    pub(super) fn look_for_drift(&mut self) -> bool {
        if self.drift_due().is_none_or(|due| due > Instant::now()) {
            return false;
        }
        self.drift_asked = Instant::now();
        let loaded = Arc::clone(&self.loaded);
        self.drift = Some(spawn_blocking(move || {
            let drift = reactor_config::drift(&loaded).into_iter().filter(is_settled);
            let change = |d: Drift| Change {
                path: d.path.display().to_string(),
                how: d.kind.as_str().to_owned(),
                modified: d.modified,
            };
            drift.map(change).collect()
        }));
        true
    }

    /// What differs; `systemd` is asked whether somebody should have loaded it.
    pub(super) fn drifted(&mut self, changes: Vec<Change>, systemd: Option<Handle>) {
        let drift = changes.iter().map(|change| (change.path.clone(), change.how.clone())).collect::<Vec<_>>();
        for (path, how) in drift.iter().filter(|one| !self.drifted.contains(one)) {
            warn!(path, how, "a configuration file differs from what runs: reactorctl reload");
        }
        self.drifted = drift;
        self.looked = true;
        self.ask_for_watcher(changes, systemd);
    }

    /// Whoever has enabled a path unit wants changes to be loaded, and systemd misses those that are made while it reads its units again,
    /// which it does on account of our own files. Each change is tried once, those with errors included.
    fn ask_for_watcher(&mut self, mut changes: Vec<Change>, systemd: Option<Handle>) {
        changes.retain(|change| change.how != DriftKind::Rejected.as_str());
        if changes.is_empty() {
            self.missed.clear();
        }
        let Some(systemd) = systemd.filter(|_| self.asking.is_none()) else { return };
        if changes == self.missed {
            return;
        }
        self.missed = changes;
        self.asking = Some(tokio::spawn(async move {
            for watcher in WATCHERS {
                if systemd.is_active(watcher).await? {
                    return Some(true);
                }
            }
            Some(false)
        }));
    }

    /// Nobody has said whether there is a watcher: the next look asks again.
    pub(super) fn ask_again(&mut self) {
        self.missed.clear();
    }

    /// For the metrics.
    pub(super) fn health(&self) -> ConfigHealth {
        let count = |severity| self.loaded.findings.iter().filter(|f| f.severity == severity).count() as u64;
        ConfigHealth {
            ok: self.loaded.is_clean() && self.hangs.is_none(),
            last_reload_s: Some(seconds(self.last)),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            drifted_files: self.looked.then_some(self.drifted.len() as u64),
        }
    }
}

/// Who asks may have gone.
pub(super) fn refuse(reply: Reply<Reload>, why: &str) {
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

fn is_settled(drift: &Drift) -> bool {
    drift.modified.and_then(|at| at.elapsed().ok()).is_none_or(|age| age >= SETTLE)
}

#[cfg(test)]
mod tests {
    use reactor_core::settings::Mode;
    use tokio::sync::oneshot;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::super::testing::Folder;
    use super::*;

    /// It was a line of the log, of the first reload only.
    #[test]
    fn what_needs_a_restart_is_said_until_there_is_one() {
        let folder = Folder::new("reload-restart");
        let main = folder.path().join("main.toml");
        let options = LoadOptions::new(&main, Mode::Native);
        let load = |text: &str| {
            std::fs::write(&main, text).expect("it is ours");
            reactor_config::load(&options, None)
        };
        let mut configuration = Configuration::new(options.clone(), load(""));
        assert_eq!(configuration.needs_restart(), None);
        for text in ["[daemon]\nkernel-log = false\n", "# Again.\n[daemon]\nkernel-log = false\n"] {
            configuration.replace(load(text));
            let said = configuration.needs_restart().expect("it is another one");
            assert!(said.contains("[daemon] kernel-log: ") && said.contains("needs a restart"), "{said}");
        }
        configuration.replace(load("[daemon]\ndrbdadm = \"/opt/drbdadm\"\nuevents = true\n"));
        assert!(configuration.needs_restart().is_some_and(|said| said.contains("drbdadm, uevents: ")));
        configuration.replace(load("[daemon]\nkernel-log = true\n"));
        assert_eq!(configuration.needs_restart(), None, "it is as it was");
    }

    /// Who asked waited for two minutes, and heard only that there was no answer.
    #[tokio::test]
    async fn a_disk_that_hangs_is_named_to_who_asked_and_what_is_read_at_last_counts() {
        let folder = Folder::new("reload-hangs");
        let main = folder.path().join("main.toml");
        std::fs::write(&main, "").expect("it is ours");
        let options = LoadOptions::new(&main, Mode::Native);
        let mut configuration = Configuration::new(options.clone(), reactor_config::load(&options, None));
        assert_eq!(configuration.due(), None, "nothing to wait for");
        // The disk: the reading thread comes so far, and no further.
        let (go, waits) = std::sync::mpsc::channel::<()>();
        let (reached, is_there) = oneshot::channel();
        let reached = Mutex::new(Some(reached));
        let at = Arc::clone(&configuration.at);
        let reads = move |path: &Path| {
            path.clone_into(&mut at.lock().expect("nobody panics"));
            if let Some(reached) = reached.lock().expect("nobody panics").take() {
                reached.send(()).expect("somebody waits");
            }
            let _ = waits.recv();
        };
        configuration.reading = Some(spawn_blocking(move || reactor_config::load_telling(&options, None, &reads)));
        is_there.await.expect("it reads");
        assert_eq!(configuration.due(), Some(configuration.began + HANGS));
        let (asks, mut first) = oneshot::channel();
        configuration.waiting.push(asks);
        assert!(matches!(first.try_recv(), Err(TryRecvError::Empty)));
        configuration.say_it_hangs();
        let told = first.try_recv().expect("it is told").expect("it is an answer");
        assert!(told.result == ReloadResult::Refused && told.report.contains("main.toml has not answered"), "{told:?}");
        assert_eq!((configuration.due(), configuration.hangs().map(|(path, _)| path.clone())), (None, Some(main)));
        // Who comes now is told at once, and files that changed meanwhile are read afterwards.
        let (asks, mut second) = oneshot::channel();
        configuration.next.get_or_insert_default().push(asks);
        configuration.answer_hanging();
        assert_eq!(second.try_recv().map(|told| told.map(|told| told.result)), Ok(Ok(ReloadResult::Refused)));
        assert!(configuration.next.is_some());
        drop(go);
        assert!(
            matches!(configuration.next().await, News::Read(read) if read.as_ref().as_ref().is_ok_and(|loaded| loaded.usable))
        );
    }
}
