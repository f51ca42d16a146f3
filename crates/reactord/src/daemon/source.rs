//! Where news of DRBD come from: drbdsetup, or a recording that is played.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reactor_api::status::{SourceState, SourceStatus};
use reactor_core::input::{Dialect, Input};
use reactor_core::metrics::health::{DrbdVersions, SourceHealth};
use reactor_core::model::{self, Node};
use reactor_core::settings::Settings;
use reactor_sys::control::rfc3339;
use reactor_sys::drbd::child::{CHANNEL, ChildOptions, ChildSource};
use reactor_sys::drbd::playback::{Player, Recording};
use reactor_sys::drbd::restart::Backoff;
use reactor_sys::drbd::version::Module;
use tokio::sync::mpsc;
use tracing::warn;

use super::health::seconds;
use crate::args::Args;

/// The source of DRBD's news.
pub(super) struct DrbdSource(From);

enum From {
    /// drbdsetup.
    Child(ChildSource),
    /// A recording.
    Player {
        /// What is played.
        files: Vec<PathBuf>,
        /// The task that plays.
        task: Player,
    },
}

impl DrbdSource {
    /// Starts it; its news come through the channel.
    ///
    /// # Errors
    ///
    /// A recording cannot be read.
    pub(super) fn start(args: &Args, settings: &Settings) -> Result<(Self, mpsc::Receiver<Input>)> {
        let (news, inbox) = mpsc::channel(CHANNEL);
        if args.play.is_empty() {
            let options = ChildOptions {
                drbdsetup: settings.daemon.drbdsetup.clone(),
                drbdadm: settings.daemon.drbdadm.clone(),
                poll_interval: settings.statistics_poll_interval,
                backoff: Backoff::default(),
                silence: ChildOptions::SILENCE,
            };
            return Ok((Self(From::Child(ChildSource::spawn(options, news))), inbox));
        }
        let recording = Recording::open_all(&args.play).context("can't play")?;
        for note in recording.notes() {
            warn!("{note}");
        }
        let task = Player::spawn(recording, args.speed, news);
        Ok((Self(From::Player { files: args.play.clone(), task }), inbox))
    }

    /// How often DRBD is asked for its statistics; `None` = never.
    pub(super) fn set_poll_interval(&self, interval: Option<Duration>) {
        if let From::Child(child) = &self.0 {
            child.set_poll_interval(interval);
        }
    }

    /// Versions of DRBD, if they could be read.
    pub(super) fn versions(&self) -> Option<DrbdVersions> {
        let From::Child(child) = &self.0 else { return None };
        let versions = child.status().versions?;
        let kmod = match versions.module {
            Module::Loaded(version) => version.to_string(),
            Module::NotLoaded => String::new(),
        };
        Some(DrbdVersions { kmod, utils: versions.utils.map(|version| version.to_string()).unwrap_or_default() })
    }

    /// For the metrics.
    pub(super) fn health(&self, node: &Node) -> SourceHealth {
        let up = node.source() == model::SourceState::Live;
        match &self.0 {
            From::Child(child) => {
                let status = child.status();
                SourceHealth {
                    up,
                    why_down: status.why,
                    since_s: status.since.map(seconds),
                    restarts: status.restarts,
                    hung: status.hung,
                }
            }
            From::Player { task, .. } => SourceHealth {
                up,
                why_down: task.is_finished().then(|| "the recording is at its end".to_owned()),
                ..SourceHealth::default()
            },
        }
    }

    /// For the status.
    pub(super) fn status(&self, node: &Node) -> SourceStatus {
        let state = match node.source() {
            model::SourceState::Unknown | model::SourceState::Dumping => SourceState::Starting,
            model::SourceState::Live => SourceState::Up,
            model::SourceState::Down => SourceState::Down,
        };
        let dialect = match node.dialect() {
            Dialect::Drbd9 => "drbd9",
            Dialect::Drbd84 => "drbd84",
        };
        match &self.0 {
            From::Child(child) => {
                let child = child.status();
                SourceStatus {
                    state,
                    since: child.since.map(rfc3339),
                    command: (!child.command.is_empty()).then_some(child.command),
                    dialect: Some(dialect.to_owned()),
                    kernel_version: child.versions.and_then(|v| match v.module {
                        Module::Loaded(version) => Some(version.to_string()),
                        Module::NotLoaded => None,
                    }),
                    utils_version: child.versions.and_then(|v| v.utils).map(|version| version.to_string()),
                    warnings: child.version_warnings,
                    restarts: child.restarts,
                    last_error: child.why,
                }
            }
            From::Player { files, task } => SourceStatus {
                state: if task.is_finished() { SourceState::Ended } else { state },
                command: Some(format!(
                    "recording {}",
                    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
                )),
                dialect: Some(dialect.to_owned()),
                ..SourceStatus::default()
            },
        }
    }
}
