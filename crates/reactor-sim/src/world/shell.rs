//! The commands of `runner = "shell"`, where a seed has a resource with it: promote and demote for real, the rest only ends, well or badly.

use std::time::Duration;

use reactor_core::action::{HandlerEnd, HandlerReport, HandlerRun, Outcome};
use reactor_core::ids::ActionId;
use reactor_core::settings::promoter::{PromotedResource, Runner, StartEntry};

use crate::drbd9::{Command, NodeIx};

use super::plan::promoted;
use super::run::{CommandOf, World};

/// Makes the settings of a resource those of the shell runner.
pub(super) fn with_shell(name: &str, settings: &mut PromotedResource) {
    settings.runner = Runner::Shell;
    settings.start =
        ["primary", "start-app"].map(|command| StartEntry::Unit(format!("{command} {name}")).into()).to_vec();
    settings.stop = ["stop-app", "secondary"].map(|command| format!("{command} {name}")).to_vec();
}

/// How a command ended, as an outcome.
pub(super) fn ended(code: i32) -> Outcome {
    Outcome::Handler(HandlerReport {
        end: HandlerEnd::Exited(code),
        took: Duration::ZERO,
        stdout: String::new(),
        stderr: String::new(),
        output_cut_bytes: 0,
    })
}

impl World {
    /// The resource is run by shell commands: systemd knows nothing of it.
    pub(super) fn is_shell(&self, res: usize) -> bool {
        let name = &self.plan.cluster.resources[res].name;
        promoted(&self.plan.settings, name).is_some_and(|settings| settings.runner == Runner::Shell)
    }

    /// A command is run.
    pub(super) fn run_command(&mut self, node: NodeIx, id: ActionId, run: &HandlerRun) {
        let Some(life) = self.machines[node].daemon.as_deref().map(|daemon| daemon.life) else { return };
        let resource = run.resource.to_string();
        let fails = self.machines[node].commands_fail;
        // What is Primary already stays so: nothing is promoted.
        let refuses = |res| self.machines[node].refuses.contains(&res) && !self.cluster.truth(node, res).primary;
        let refused = self.res(&resource).is_some_and(refuses);
        if refused && run.command.starts_with("primary") {
            return self.answer(node, id, ended(11));
        }
        let command = match run.command.split(' ').next() {
            Some("primary") => Command::Primary { resource, force: false },
            Some("secondary") if !fails => Command::Secondary { resource, force: false },
            command => {
                if let (Some("start-app"), true, Some(res)) = (command, fails, self.res(&resource)) {
                    self.watch.service_failed(node, res, self.now);
                }
                return self.answer(node, id, ended(i32::from(fails)));
            }
        };
        let ticket = self.cluster.submit(node, command);
        self.tickets.insert(ticket, CommandOf::Shell { node, life, id });
    }
}
