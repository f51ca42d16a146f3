//! What an earlier drbd-reactor left in the unit folder. It stays in force, a `FailureAction=reboot-immediate` included, so it is looked for,
//! shown in the status, and removed when somebody asks: not under services that run, unless they are named.

use std::collections::BTreeSet;
use std::future::pending;

use reactor_api::verbs::{self, LeftoversReply};
use reactor_core::plugin::promoter::units;
use reactor_core::settings::DaemonSettings;
use reactor_sys::control::Asked;
use reactor_sys::facts::{self, Sources};
use reactor_sys::systemd::Handle;
use reactor_sys::units::{Leftover, Leftovers, UnitFiles};
use tokio::task::{JoinSet, spawn_blocking};
use tracing::{info, warn};

use super::Daemon;
use super::promoters::promoted;
use super::requests::Answer;
use super::work::RELOAD;

/// How many may look at once: the folder may be on a disk that hangs.
const LOOKS: usize = 4;

/// What was found the last time, and who looks now.
#[derive(Default)]
pub(super) struct Left {
    looks: JoinSet<Leftovers>,
    looked: bool,
    found: Vec<Leftover>,
}

impl Left {
    /// What somebody found; waits for ever if nobody looks. Cancel safe.
    pub(super) async fn next(&mut self) -> Leftovers {
        match self.looks.join_next().await {
            Some(found) => found.unwrap_or_default(),
            None => pending().await,
        }
    }

    /// How many there are; `None` = nobody has looked yet.
    pub(super) fn count(&self) -> Option<u64> {
        self.looked.then_some(self.found.len() as u64)
    }

    /// One line for each, for the status.
    pub(super) fn lines(&self) -> Vec<String> {
        self.found.iter().map(line).collect()
    }
}

fn line(file: &Leftover) -> String {
    let path = file.path.display();
    match &file.failure_action {
        Some(action) => format!("{path} (FailureAction={action})"),
        None => path.to_string(),
    }
}

impl Daemon {
    /// Looks, unless files are about to be written: they may be the ones that an earlier drbd-reactor wrote for the same resources.
    pub(super) fn look_for_leftovers(&mut self) {
        if self.work.writes_files() || !self.left.looks.is_empty() {
            return;
        }
        let store = self.work.unit_files().clone();
        self.left.looks.spawn_blocking(move || store.leftovers());
    }

    /// What was found: said once.
    pub(super) fn leftovers_found(&mut self, mut found: Leftovers) {
        // What is configured is yet to be taken over.
        let configured: BTreeSet<String> =
            promoted(self.configuration.settings()).map(|(name, _)| units::escape(name.as_str())).collect();
        let awaited = |name: &String| configured.contains(name);
        found.files.retain(|file| file.is_passed_over || !file.resource.as_ref().is_some_and(awaited));
        for file in found.files.iter().filter(|file| !self.left.found.contains(file)) {
            warn!(
                file = line(file),
                unit = file.unit,
                "an earlier drbd-reactor left this, and it is in force: reactorctl leftovers"
            );
        }
        self.left.looked = true;
        self.left.found = found.files;
    }
}

/// A client asks for them, or to remove them.
impl Answer<verbs::Leftovers> for Daemon {
    fn answer(&mut self, Asked { peer, call, reply }: Asked<verbs::Leftovers>) {
        let (remove, even) = (call.remove.unwrap_or(false), call.even.unwrap_or_default());
        if self.left.looks.len() >= LOOKS {
            let why = format!("{LOOKS} others are looking and have not ended: its disk may not answer");
            let _ = reply.send(Ok(LeftoversReply { removed: remove, errors: vec![why], ..LeftoversReply::default() }));
            return;
        }
        if remove {
            info!(uid = peer.uid, pid = peer.pid, "removing what an earlier drbd-reactor left, as a client asked for");
        }
        let (store, systemd, settings) =
            (self.work.unit_files().clone(), self.work.systemd(), self.configuration.settings().daemon.clone());
        // Whoever asks waits for it, nobody else does.
        self.left.looks.spawn(async move {
            let answer = match remove {
                true => take_away(&store, systemd, settings, &even).await,
                false => look(&store).await.map(|found| told(&found)),
            };
            let failed = |why: String| LeftoversReply { errors: vec![why], ..LeftoversReply::default() };
            let _ = reply.send(Ok(LeftoversReply { removed: remove, ..answer.unwrap_or_else(failed) }));
            look(&store).await.unwrap_or_default()
        });
    }
}

async fn look(store: &UnitFiles) -> Result<Leftovers, String> {
    let store = store.clone();
    spawn_blocking(move || store.leftovers()).await.map_err(|error| error.to_string())
}

fn told(found: &Leftovers) -> LeftoversReply {
    let files = found.files.iter().map(|file| file.path.display().to_string()).collect();
    LeftoversReply { files, errors: found.errors.clone(), ..LeftoversReply::default() }
}

/// Removes what nobody needs any more. What runs keeps its files: how a promotion ends is in them.
async fn take_away(
    store: &UnitFiles,
    systemd: Option<Handle>,
    settings: DaemonSettings,
    even: &BTreeSet<String>,
) -> Result<LeftoversReply, String> {
    let found = look(store).await?;
    let (named, others): (Vec<_>, Vec<_>) =
        found.files.iter().partition(|file| even.iter().any(|name| file.is_called(name)));
    let units = others.iter().flat_map(|file| file.needed_by()).collect();
    let sources = spawn_blocking(move || Sources::of(&settings)).await.map_err(|error| error.to_string())?;
    let running = facts::running(&units, &sources).await;
    let mut may_go: BTreeSet<_> = named.into_iter().map(|file| file.path.clone()).collect();
    let mut kept = Vec::new();
    for file in others {
        let path = file.path.display();
        match &running {
            Ok(running) => match file.needed_by().into_iter().find(|unit| running.contains(unit)) {
                None => {
                    may_go.insert(file.path.clone());
                }
                Some(unit) => kept.push(format!("{path}: {unit} runs")),
            },
            Err(why) => kept.push(format!("{path}: it is not known whether {} runs: {why}", file.unit)),
        }
    }
    let store = store.clone();
    let removed = spawn_blocking(move || store.remove_leftovers(|file| may_go.contains(&file.path))).await;
    let mut reply = LeftoversReply { kept, ..told(&removed.map_err(|error| error.to_string())?) };
    if !reply.files.is_empty() {
        let reloaded = match systemd {
            Some(systemd) => systemd.reload(RELOAD).await,
            None => Err("there is no connection; run systemctl daemon-reload".to_owned()),
        };
        reply.errors.extend(reloaded.err().map(|why| format!("systemd has not read its units again: {why}")));
    }
    Ok(reply)
}
