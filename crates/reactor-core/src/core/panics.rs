//! What the panic of a plugin costs: it is stopped, counted and shown, and built anew at once, later and later if it panics again
//! (`isolation.rs`).

use crate::action::Action;
use crate::ids::{InstanceId, Mono};
use crate::model::reports::NoteLevel;
use crate::plugin::{self, Built};
use crate::settings::PluginKind;

use super::{Core, Instance, InstanceState};

impl Core {
    /// Why this program had better be started again: a promoter panics whenever it is built anew.
    pub fn beyond_repair(&self) -> Option<String> {
        if self.counters.panics == 0 {
            return None;
        }
        let hopeless = |instance: &&Instance| instance.kind() == PluginKind::Promoter && instance.panics.is_hopeless();
        let instance = self.instances.iter().find(hopeless)?;
        let (file, message) = (instance.file.display(), &instance.panics.message);
        Some(format!("the promoter of {file}:{} panics again and again: {message}", instance.line))
    }

    /// A plugin has panicked. Its memory is left alone, because dropping it might panic again.
    pub(super) fn panicked(&mut self, instance: &mut Instance, now: Mono, message: String) {
        let Some(plugin) = instance.plugin.take() else { return };
        std::mem::forget(plugin);
        self.counters.panics += 1;
        let at = instance.panics.another(now, message.clone());
        instance.rebuild = (!instance.inserted).then_some(at);
        let then = match instance.rebuild {
            None => "stopped until the next reload".to_owned(),
            Some(at) if at <= now => "built anew at once".to_owned(),
            Some(at) => format!("built anew in {} s", at.since(now).as_secs()),
        };
        let text = format!(
            "plugin {} of {}:{} panicked and is {then}: {message}",
            instance.kind().as_str(),
            instance.file.display(),
            instance.line
        );
        self.node.reports_mut().note(NoteLevel::Error, text);
        instance.state = InstanceState::Panicked { message };
        self.upset.set(true);
    }

    /// Stops what panicked where it could not be stopped at once, and builds anew what is due.
    pub(super) fn mend(&mut self, now: Mono, out: &mut Vec<Action>) {
        let called = self.index.take_called();
        let upset = self.upset.replace(false);
        let whom = if upset { (0..self.instances.len()).collect() } else { called };
        let mut instances = std::mem::take(&mut self.instances);
        let mut new = Vec::new();
        for position in whom {
            let Some(instance) = instances.get_mut(position) else { continue };
            self.index.file(instance);
            if let Some(message) = instance.trouble.take() {
                self.panicked(instance, now, message);
            }
            if instance.rebuild.take_if(|at| *at <= now).is_some()
                && let Built::Plugin(plugin) = plugin::build(&instance.settings)
            {
                // What was asked for before is nobody's outcome any more.
                self.next_instance += 1;
                instance.id = InstanceId(self.next_instance);
                (instance.plugin, instance.state) = (Some(plugin), InstanceState::Running);
                new.push(instance.id);
            }
            self.index.file(instance);
        }
        self.instances = instances;
        if !new.is_empty() {
            let asked = out.len();
            self.make_index();
            self.set_detail();
            self.tell_present(now, &new, out);
            self.tell_news(now, out);
            self.track(asked, out);
            self.file_deadlines();
        }
    }
}
