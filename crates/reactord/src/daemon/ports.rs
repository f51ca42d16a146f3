//! Where the loop meets the adapters of the promoter.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::{DrbdAnswer, DrbdCall, GeneratedFile, UnitCall};
use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::settings::{Bus, DaemonSettings};
use reactor_core::systemd::UnitEnd;

pub(super) struct Link;
#[derive(Clone)]
pub(super) struct Handle;
#[derive(Clone)]
pub(super) struct UnitFiles;
pub(super) struct Tools;

impl Link {
    pub(super) fn connect(_: &Bus, _: BTreeSet<UnitName>) -> Self {
        Self
    }
    pub(super) fn follow(&mut self, _: BTreeSet<UnitName>) {}
    pub(super) fn handle(&self) -> Handle {
        Handle
    }
    pub(super) async fn next(&mut self) -> Input {
        pending().await
    }
    pub(super) fn try_next(&mut self) -> Option<Input> {
        None
    }
}

impl Handle {
    pub(super) async fn call(&self, _: UnitCall) -> UnitEnd {
        UnitEnd::TimedOut
    }
    pub(super) async fn reload(&self, _: Duration) -> Result<(), String> {
        Ok(())
    }
}

impl UnitFiles {
    pub(super) fn new(_: &DaemonSettings) -> Self {
        Self
    }
    pub(super) fn write(&self, _: &ResourceName, _: &[GeneratedFile]) -> Result<bool, String> {
        Ok(false)
    }
    pub(super) fn remove(&self, _: &ResourceName) -> Result<bool, String> {
        Ok(false)
    }
    pub(super) fn resources(&self) -> Vec<ResourceName> {
        Vec::new()
    }
}

impl Tools {
    pub(super) async fn call(&self, _: &ResourceName, _: DrbdCall) -> DrbdAnswer {
        DrbdAnswer::Done
    }
}

pub(super) async fn host_files(settings: &DaemonSettings, _: bool) -> (String, PathBuf) {
    (String::new(), settings.runtime_dir.join("secrets"))
}

pub(super) fn sync_journal() {}

impl super::Daemon {
    pub(super) fn tools(&self) -> Tools {
        Tools
    }
}
