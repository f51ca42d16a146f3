//! Which plugins of before go on with new settings.

use std::rc::Rc;

use crate::action::Action;
use crate::ids::{InstanceId, Mono};
use crate::plugin::{Built, Handled, PluginInput};
use crate::settings::PluginEntry;

use super::{ConfigureReport, Core, Instance, InstanceState};

impl Core {
    /// An old plugin of the same kind and file that accepts the new settings.
    pub(super) fn take_over(
        &mut self,
        now: Mono,
        old: &mut [Option<Instance>],
        entry: &PluginEntry,
        out: &mut Vec<Action>,
    ) -> Option<Instance> {
        let candidates = old.iter_mut().filter(|slot| {
            slot.as_ref().is_some_and(|instance| {
                instance.plugin.is_some() && instance.file == entry.file && instance.kind() == entry.settings.kind()
            })
        });
        let settings = PluginInput::Settings(&entry.settings);
        for slot in candidates {
            let mut instance = slot.take()?;
            if self.call(&mut instance, now, out, |plugin, cx| plugin.on(cx, settings)) == Some(Handled::Yes) {
                return Some(Instance { line: entry.line, settings: entry.settings.clone(), ..instance });
            }
            *slot = Some(instance);
        }
        None
    }

    pub(super) fn start(&mut self, entry: &PluginEntry, built: Built, report: &mut ConfigureReport) -> Instance {
        self.next_instance += 1;
        let id = InstanceId(self.next_instance);
        report.started.push(id);
        Instance::new(id, entry, built, Rc::clone(&self.upset))
    }
}

/// An old instance with equal settings that runs, best of the same file.
pub(super) fn take_equal(old: &mut [Option<Instance>], entry: &PluginEntry) -> Option<Instance> {
    let fits = |slot: &Option<Instance>, same_file: bool| {
        slot.as_ref().is_some_and(|instance| {
            instance.settings == entry.settings
                && !matches!(instance.state, InstanceState::Panicked { .. })
                && (!same_file || instance.file == entry.file)
        })
    };
    let at = old.iter().position(|slot| fits(slot, true)).or_else(|| old.iter().position(|slot| fits(slot, false)))?;
    old[at].take()
}
