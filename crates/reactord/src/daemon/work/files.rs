//! Generated unit files: written together, with one re-read of systemd for all of a step, and removed when nobody wants them.
//!
//! ```text
//!  WriteFiles, WriteFiles, ... ─▶ wanted ─┐                            ┌─▶ FilesEnd for each
//!  RetireFiles ─▶ retiring ─ stopped ─▶ unwanted ─┴▶ one job: disk, then Reload ─┘
//! ```
//!
//! One job runs at a time; what is asked for meanwhile is the next one. The disk is touched by threads that block, never by the
//! loop.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reactor_config::Loaded;
use reactor_core::action::{Done, FilesEnd, GeneratedFile, WriteFiles};
use reactor_core::ids::{ActionId, ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::plugin::promoter::units;
use reactor_core::settings::Settings;
use reactor_core::settings::promoter::Runner;
use reactor_core::systemd::{BusEvent, UnitState, Units};
use reactor_sys::systemd::Handle;
use reactor_sys::units::UnitFiles;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::Work;
use crate::daemon::promoters::promoted;

/// How long systemd may take to read its units again.
pub(in crate::daemon) const RELOAD: Duration = Duration::from_secs(90);

/// What failed is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

/// What is to be done with generated files.
#[derive(Default)]
pub(super) struct Files {
    /// Asked for, for the next job.
    wanted: Vec<Wanted>,
    /// To be removed by the next job.
    unwanted: BTreeSet<ResourceName>,
    /// No longer configured: the units that have to stop first, and their states once they were told. The promotion is the last to
    /// stop, and how it does that is in the files; that what runs on a Secondary goes before a promotion is in them, too.
    retiring: BTreeMap<ResourceName, [(UnitName, Option<UnitState>); 3]>,
    /// The job that runs; it says whether systemd must still read its units.
    running: Option<oneshot::Receiver<JobEnd>>,
    /// The disk has what systemd has not read.
    reload_due: bool,
    /// Files that could not be removed are not tried before this.
    retry_at: Option<Instant>,
}

struct Wanted {
    id: ActionId,
    resource: ResourceName,
    files: Vec<GeneratedFile>,
}

/// How a job ended.
struct JobEnd {
    reload_due: bool,
    /// Could not be removed: tried again.
    kept: Vec<ResourceName>,
}

impl Files {
    /// Resources whose files wait for their targets and their promotion to stop, with these.
    pub(super) fn retiring(&self) -> impl Iterator<Item = (&ResourceName, [&UnitName; 3])> {
        self.retiring.iter().map(|(resource, units)| (resource, units.each_ref().map(|(unit, _)| unit)))
    }

    /// Whether systemd is needed for files alone: some wait for their target, or systemd has not read what changed.
    pub(super) fn need_systemd(&self) -> bool {
        !self.retiring.is_empty() || !self.unwanted.is_empty() || self.reload_due
    }

    /// Whether a job runs, which may need the connection that there is.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether files are about to be written or removed.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some() || !self.wanted.is_empty() || !self.unwanted.is_empty()
    }

    /// Systemd is there again: what failed is tried at once.
    pub(super) fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// When what failed is tried again.
    pub(super) fn retry_due(&self) -> Option<Instant> {
        let waits = self.running.is_none() && (!self.unwanted.is_empty() || self.reload_due);
        self.retry_at.filter(|_| waits)
    }

    /// The state of a unit of those.
    pub(super) fn unit(&self, unit: &UnitName) -> Option<&UnitState> {
        self.retiring.values().flatten().find(|(name, _)| name == unit)?.1.as_ref()
    }

    /// Waits for the job that runs; for ever if none does. Cancel safe.
    pub(super) async fn next(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        // A job that panicked has said nothing: then everything is done again.
        let end = running.await.unwrap_or(JobEnd { reload_due: true, kept: Vec::new() });
        self.running = None;
        self.reload_due = end.reload_due;
        self.retry_at = (!end.kept.is_empty() || end.reload_due).then(|| Instant::now() + RETRY);
        self.unwanted.extend(end.kept);
    }

    /// Keeps the state of units that are retiring: the core may not follow them any more.
    pub(super) fn note(&mut self, input: &Input) {
        if let Input::Bus(BusEvent::Down { .. }) = input {
            // They are told again when it is back.
            self.retiring.values_mut().flatten().for_each(|(_, state)| *state = None);
        }
        let Input::Units(news) = input else { return };
        for (unit, state) in self.retiring.values_mut().flatten() {
            if let Some(told) = news.iter().rev().find(|told| told.unit == *unit) {
                *state = Some(told.state.clone());
            }
        }
    }
}

impl Work {
    /// Notes files that are asked for; the job begins at the end of the step.
    pub(in crate::daemon) fn write_files(&mut self, id: ActionId, resource: ResourceName, files: Vec<GeneratedFile>) {
        let what = format!("write {} unit files", files.len());
        self.calls.begin::<WriteFiles>(id, resource.clone(), what);
        // It is configured again.
        self.files.retiring.remove(&resource);
        self.files.unwanted.remove(&resource);
        self.files.wanted.push(Wanted { id, resource, files });
    }

    /// The resource is no longer configured: its files go when its target has stopped. `true` = units have to be followed for that.
    pub(in crate::daemon) fn retire_files(&mut self, resource: ResourceName, settings: &Settings) -> bool {
        // It moved to another table or file, whose promoter has asked for its files already: without them the next start of its
        // target would start nothing.
        if promoted(settings).any(|(name, _)| *name == resource) {
            return false;
        }
        let target = units::target(&resource);
        info!(%resource, %target, "no longer configured: its unit files go when its target has stopped");
        let promote = units::promote(&resource);
        let standby = units::standby(&resource);
        self.files.retiring.insert(resource, [(target, None), (promote, None), (standby, None)]);
        true
    }

    /// Looks for files of resources that are no longer configured, from before the daemon was started.
    pub(in crate::daemon) fn find_unconfigured(&mut self, loaded: &Loaded) {
        use reactor_config::FileState::{Partly, Rejected};
        if loaded.files.iter().any(|file| matches!(file.state, Rejected | Partly)) {
            return warn!(
                "unit files of resources that are no longer configured stay until all configuration files are good"
            );
        }
        let store = self.unit_files.clone();
        self.looking = Some(spawn_blocking(move || store.resources()));
    }

    /// Those of what was found that are not configured.
    pub(in crate::daemon) fn unconfigured(found: Vec<ResourceName>, settings: &Settings) -> Vec<ResourceName> {
        let configured: BTreeSet<&ResourceName> =
            promoted(settings).filter(|(_, runner)| *runner == Runner::Systemd).map(|(name, _)| name).collect();
        found.into_iter().filter(|name| !configured.contains(name)).collect()
    }

    /// Removes the files of resources whose target has stopped; `true` = of some, and their units need not be followed any more.
    pub(in crate::daemon) fn retire_what_has_stopped(&mut self, units: &Units) -> bool {
        let stopped = self.stopped_targets(units);
        let any = !stopped.is_empty();
        for resource in stopped {
            info!(%resource, "its target has stopped: its unit files are removed");
            self.files.retiring.remove(&resource);
            self.files.unwanted.insert(resource);
        }
        self.begin_files();
        any
    }

    /// Whether files are about to be written or removed.
    pub(in crate::daemon) fn writes_files(&self) -> bool {
        self.files.is_busy()
    }

    /// When files that failed are tried again.
    pub(in crate::daemon) fn files_due(&self) -> Option<Instant> {
        self.files.retry_due().filter(|_| !self.systemd.is_connecting())
    }

    /// Begins the next job, if there is something to do and none runs.
    pub(in crate::daemon) fn begin_files(&mut self) {
        let files = &mut self.files;
        let waits = files.retry_at.is_some_and(|at| at > Instant::now());
        let is_due = !files.wanted.is_empty() || (!waits && (!files.unwanted.is_empty() || files.reload_due));
        if files.running.is_some() || !is_due {
            return;
        }
        // At the start: whether systemd can be told is known in a moment.
        if self.systemd.is_connecting() {
            return;
        }
        let job = Job {
            wanted: std::mem::take(&mut files.wanted),
            unwanted: std::mem::take(&mut files.unwanted),
            reload_due: files.reload_due,
            store: self.unit_files.clone(),
            systemd: self.systemd.handle(),
        };
        let (end, running) = oneshot::channel();
        files.running = Some(running);
        let ids = job.wanted.iter().map(|wanted| wanted.id).collect();
        self.calls.run(ids, async move {
            let (done, ended) = job.run().await;
            // The loop may be gone.
            let _ = end.send(ended);
            done
        });
    }
}

/// One job.
struct Job {
    wanted: Vec<Wanted>,
    unwanted: BTreeSet<ResourceName>,
    reload_due: bool,
    store: UnitFiles,
    systemd: Option<Handle>,
}

/// What a job did to the disk.
#[derive(Default)]
struct OnDisk {
    /// For each kind: whether something changed, or why it failed.
    written: Vec<(ActionId, Result<bool, String>)>,
    removed: bool,
    kept: Vec<ResourceName>,
}

impl Job {
    async fn run(self) -> (Vec<Done>, JobEnd) {
        let Self { wanted, unwanted, reload_due, store, systemd } = self;
        let ids: Vec<ActionId> = wanted.iter().map(|wanted| wanted.id).collect();
        let disk = spawn_blocking(move || on_disk(&store, wanted, unwanted)).await;
        let disk = disk.unwrap_or_else(|error| OnDisk {
            written: ids.iter().map(|id| (*id, Err(error.to_string()))).collect(),
            ..OnDisk::default()
        });
        // Failed ones too: some of their files may have been written.
        let differs = disk.removed || reload_due || disk.written.iter().any(|(_, result)| *result != Ok(false));
        let reloaded = match systemd {
            _ if !differs => Ok(()),
            Some(systemd) => systemd.reload(RELOAD).await,
            None => Err("there is no connection to systemd".to_owned()),
        };
        if let Err(why) = &reloaded {
            error!(why, "systemd has not read its units again");
        }
        let end = |result: Result<bool, String>| match (result, &reloaded) {
            (Err(why), _) => FilesEnd::Failed { why },
            (Ok(_), Err(why)) => FilesEnd::Failed { why: format!("systemd has not read them: {why}") },
            (Ok(true), Ok(())) => FilesEnd::Written,
            // What an earlier job wrote and systemd has read only now is news for whoever waits for it.
            (Ok(false), Ok(())) if reload_due => FilesEnd::Written,
            (Ok(false), Ok(())) => FilesEnd::Unchanged,
        };
        let done = disk.written.into_iter().map(|(id, result)| Done { id, outcome: end(result).into() });
        (done.collect(), JobEnd { reload_due: reloaded.is_err(), kept: disk.kept })
    }
}

fn on_disk(store: &UnitFiles, wanted: Vec<Wanted>, unwanted: BTreeSet<ResourceName>) -> OnDisk {
    let mut disk = OnDisk::default();
    for resource in unwanted {
        match store.remove(&resource) {
            Ok(changed) => disk.removed |= changed,
            Err(why) => {
                error!(%resource, why, "can't remove its unit files");
                disk.kept.push(resource);
            }
        }
    }
    for Wanted { id, resource, files } in wanted {
        disk.written.push((id, store.write(&resource, &files)));
    }
    disk
}
