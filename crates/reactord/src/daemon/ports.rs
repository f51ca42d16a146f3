//! Where the loop meets the adapters of the promoter.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::{DrbdAnswer, DrbdCall, GeneratedFile, UnitCall};
use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::settings::{Bus, DaemonSettings};
use reactor_core::systemd::{BusEvent, UnitEnd};
use reactor_sys::control::LeftoversReply;

/// The connection to systemd. It tells [`Input::Units`] and [`Input::Bus`], all units of a reconnect before `Up`.
pub(super) struct Link {
    first: Option<Input>,
}

/// For tasks that call systemd. Cheap to clone.
#[derive(Clone)]
pub(super) struct Handle;

/// The generated files and their manifest. Cheap to clone; everything blocks.
#[derive(Clone)]
pub(super) struct UnitFiles;

/// DRBD's tools.
pub(super) struct Tools;

const MISSING: &str = "this build has no such adapter";

impl Link {
    /// Begins to connect, and follows these units from then on.
    pub(super) fn connect(_: &Bus, _: BTreeSet<UnitName>) -> Self {
        let why = MISSING.to_owned();
        Self { first: Some(Input::Bus(BusEvent::Down { why })) }
    }

    /// Follows these units and no others.
    pub(super) fn follow(&mut self, _: BTreeSet<UnitName>) {}

    pub(super) fn handle(&self) -> Handle {
        Handle
    }

    /// The next news. Cancel safe.
    pub(super) async fn next(&mut self) -> Input {
        match self.try_next() {
            Some(input) => input,
            None => pending().await,
        }
    }

    /// The next news, if there is any by now.
    pub(super) fn try_next(&mut self) -> Option<Input> {
        self.first.take()
    }
}

impl Handle {
    /// Carries out a call, within its deadline.
    pub(super) async fn call(&self, _: UnitCall) -> UnitEnd {
        UnitEnd::NoBus { why: MISSING.to_owned() }
    }

    /// Lets systemd read its units again.
    pub(super) async fn reload(&self, _: Duration) -> Result<(), String> {
        Err(MISSING.to_owned())
    }
}

impl UnitFiles {
    pub(super) fn new(_: &DaemonSettings) -> Self {
        Self
    }

    /// Makes these the files of a resource; `true` = something on the disk changed.
    pub(super) fn write(&self, _: &ResourceName, files: &[GeneratedFile]) -> Result<bool, String> {
        if files.is_empty() { Ok(false) } else { Err(MISSING.to_owned()) }
    }

    /// Removes all files of a resource; `true` = there were any.
    pub(super) fn remove(&self, _: &ResourceName) -> Result<bool, String> {
        Ok(false)
    }

    /// Every resource of the manifest.
    pub(super) fn resources(&self) -> Vec<ResourceName> {
        Vec::new()
    }
}

impl Tools {
    /// Asks one of the tools, within a deadline.
    pub(super) async fn call(&self, _: &ResourceName, _: DrbdCall) -> DrbdAnswer {
        DrbdAnswer::Failed { why: MISSING.to_owned() }
    }
}

/// The path of the shim, and the folder of secrets, which is made if a promoter needs it.
pub(super) async fn host_files(settings: &DaemonSettings, _: bool) -> (String, PathBuf) {
    (String::new(), settings.runtime_dir.join("secrets"))
}

/// Lets the journal reach the disk: in the background, one second at most.
pub(super) fn sync_journal() {}

/// What an earlier drbd-reactor left.
pub(super) async fn leftovers(_: UnitFiles, _: Option<Handle>, _: bool) -> LeftoversReply {
    LeftoversReply::default()
}

impl super::Daemon {
    /// For a task that calls DRBD's tools.
    pub(super) fn tools(&self) -> Tools {
        Tools
    }
}
