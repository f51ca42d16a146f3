//! The life of a service: condition, start, run, stop, restart.

use std::time::Duration;

use super::{Active, Effect, Engine, Exit, JobKind, Phase, Process, Signal};
use crate::systemd_bus::file::{Command, Restart, Service, ServiceType};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(90);
const DEFAULT_RESTART: Duration = Duration::from_millis(100);

impl Engine {
    pub(super) fn service_start(&mut self, unit: &str) {
        let known = self.unit(unit);
        match known.active() {
            // It starts already: its job joins.
            Active::Activating if known.phase != Phase::AutoRestart => return,
            Active::Active | Active::Deactivating => return,
            _ => {}
        }
        known.result = "success";
        known.main_exit = None;
        known.stop_wanted = false;
        known.frozen = false;
        self.run_commands(unit, Phase::Condition);
    }

    pub(super) fn service_stop(&mut self, unit: &str) {
        let known = self.unit(unit);
        known.stop_wanted = true;
        if known.frozen {
            // What is stopped (SIGSTOP) cannot end.
            known.frozen = false;
            self.effects.push(Effect::Kill { unit: unit.to_owned(), signal: Signal::Cont });
        }
        match self.unit(unit).phase {
            Phase::Running | Phase::Exited => self.run_commands(unit, Phase::Stop),
            Phase::Condition | Phase::StartPre | Phase::Start => self.end_processes(unit),
            Phase::AutoRestart => {
                self.arm(unit, None);
                self.set_phase(unit, Phase::Dead);
            }
            _ => {}
        }
    }

    /// Whether its end will lead to a new start.
    pub(super) fn will_restart(&self, unit: &str) -> bool {
        let known = &self.units[unit];
        if known.stop_wanted || known.result == "exec-condition" {
            return false;
        }
        let abnormal = matches!(known.result, "signal" | "core-dump" | "timeout" | "protocol");
        match known.service().restart {
            Restart::No => false,
            Restart::Always => true,
            Restart::OnSuccess => known.result == "success",
            Restart::OnFailure => known.result != "success",
            Restart::OnAbnormal => abnormal,
        }
    }

    fn unit(&mut self, unit: &str) -> &mut super::Unit {
        self.units.get_mut(unit).expect("only loaded units run")
    }

    fn commands(&self, unit: &str, phase: Phase) -> &[Command] {
        commands(self.units[unit].service(), phase)
    }

    /// Enters a phase with its first command, or the next phase if it has none.
    fn run_commands(&mut self, unit: &str, phase: Phase) {
        if self.commands(unit, phase).is_empty() {
            return self.next_phase(unit, phase);
        }
        self.unit(unit).index = 0;
        let service = self.units[unit].service();
        let (kind, timeout) = (
            service.kind,
            match phase {
                Phase::Stop | Phase::StopPost => service.timeout_stop.unwrap_or(Some(DEFAULT_TIMEOUT)),
                _ if service.kind == ServiceType::Oneshot => service.timeout_start.unwrap_or(None),
                _ => service.timeout_start.unwrap_or(Some(DEFAULT_TIMEOUT)),
            },
        );
        self.arm(unit, timeout);
        if phase == Phase::Start && kind == ServiceType::Simple {
            self.spawn(unit, phase);
            self.arm(unit, None);
            self.set_phase(unit, Phase::Running);
        } else {
            self.set_phase(unit, phase);
            self.spawn(unit, phase);
        }
    }

    /// What comes after a phase that went well.
    fn next_phase(&mut self, unit: &str, phase: Phase) {
        match phase {
            Phase::Condition => self.run_commands(unit, Phase::StartPre),
            Phase::StartPre => self.run_commands(unit, Phase::Start),
            // A oneshot, the only one whose start ends by itself.
            Phase::Start if self.units[unit].service().remain_after_exit => {
                self.arm(unit, None);
                self.set_phase(unit, Phase::Exited);
            }
            Phase::Start => self.run_commands(unit, Phase::Stop),
            Phase::Stop => self.end_processes(unit),
            _ => self.enter_dead(unit),
        }
    }

    fn spawn(&mut self, unit: &str, phase: Phase) {
        let token = self.serial();
        let known = self.unit(unit);
        let command = commands(known.service(), phase)[known.index].clone();
        let main = phase == Phase::Start;
        let mut environment = Vec::new();
        if let Some(process) = known.main {
            environment.push(("MAINPID".to_owned(), process.pid.to_string()));
        }
        if matches!(phase, Phase::Stop | Phase::StopPost) {
            environment.push(("SERVICE_RESULT".to_owned(), known.result.to_owned()));
            match known.main_exit {
                Some(Exit::Code(code)) => {
                    environment.push(("EXIT_CODE".to_owned(), "exited".to_owned()));
                    environment.push(("EXIT_STATUS".to_owned(), code.to_string()));
                }
                Some(Exit::Signal(signal)) => {
                    environment.push(("EXIT_CODE".to_owned(), "killed".to_owned()));
                    environment.push(("EXIT_STATUS".to_owned(), signal_name(signal)));
                }
                None => {}
            }
        }
        let process = Some(Process { token, pid: 0 });
        if main {
            known.main = process;
        } else {
            known.control = process;
        }
        self.effects.push(Effect::Spawn { unit: unit.to_owned(), token, command, environment, main });
    }

    /// A process runs.
    pub fn spawned(&mut self, unit: &str, token: u64, pid: u32) {
        let Some(known) = self.units.get_mut(unit) else { return };
        for process in [&mut known.main, &mut known.control].into_iter().flatten() {
            if process.token == token {
                process.pid = pid;
            }
        }
        let is_main = known.main.is_some_and(|process| process.token == token);
        self.dirty.insert(unit.to_owned());
        let known = self.unit(unit);
        if is_main && known.phase == Phase::Start && known.service().kind == ServiceType::Exec {
            self.arm(unit, None);
            self.set_phase(unit, Phase::Running);
            self.run();
        }
    }

    /// `READY=1` of a service of `Type=notify`.
    pub fn ready(&mut self, unit: &str) {
        let Some(known) = self.units.get(unit) else { return };
        if known.phase == Phase::Start && known.service().kind == ServiceType::Notify {
            self.arm(unit, None);
            self.set_phase(unit, Phase::Running);
            self.run();
        }
    }

    /// A process ended, or could not be started (code 203).
    pub fn exited(&mut self, unit: &str, token: u64, exit: Exit) {
        let Some(known) = self.units.get_mut(unit) else { return };
        self.dirty.insert(unit.to_owned());
        if known.main.is_some_and(|process| process.token == token) {
            known.main = None;
            known.main_exit = Some(exit);
            self.main_ended(unit, exit);
        } else if known.control.is_some_and(|process| process.token == token) {
            known.control = None;
            self.control_ended(unit, exit);
        }
        self.run();
    }

    fn main_ended(&mut self, unit: &str, exit: Exit) {
        let known = self.unit(unit);
        let (phase, kind) = (known.phase, known.service().kind);
        let ignored = phase == Phase::Start && kind == ServiceType::Oneshot && {
            let index = known.index;
            known.service().exec_start[index].ignore_failure
        };
        let ignored = ignored || known.service().exec_start.first().is_some_and(|command| command.ignore_failure);
        let result = if ignored {
            "success"
        } else {
            judge(exit, kind == ServiceType::Oneshot, &known.service().success_exit_status)
        };
        self.keep_result(unit, result);
        match phase {
            Phase::Start if kind == ServiceType::Oneshot && result == "success" => self.next_command(unit, phase),
            Phase::Start => {
                if kind == ServiceType::Notify {
                    // It ended without READY=1.
                    self.keep_result(unit, "protocol");
                }
                self.end_processes(unit);
            }
            Phase::Running if result == "success" && self.units[unit].service().remain_after_exit => {
                self.set_phase(unit, Phase::Exited);
            }
            Phase::Running => self.run_commands(unit, Phase::Stop),
            Phase::StopSigterm | Phase::StopSigkill if self.units[unit].control.is_none() => self.after_processes(unit),
            _ => {}
        }
    }

    fn control_ended(&mut self, unit: &str, exit: Exit) {
        let known = self.unit(unit);
        let (phase, index) = (known.phase, known.index);
        let command = self.commands(unit, phase).get(index);
        let ignored = command.is_some_and(|command| command.ignore_failure);
        let result = if ignored { "success" } else { judge(exit, true, &[]) };
        match (phase, exit) {
            (Phase::Condition, Exit::Code(1..=254)) => {
                self.keep_result(unit, "exec-condition");
                self.end_processes(unit);
            }
            (Phase::StopSigterm | Phase::StopSigkill, _) => {
                if self.units[unit].main.is_none() {
                    self.after_processes(unit);
                }
            }
            _ if result == "success" => self.next_command(unit, phase),
            (Phase::StopPost, _) => {
                self.keep_result(unit, result);
                self.enter_dead(unit);
            }
            _ => {
                self.keep_result(unit, result);
                self.end_processes(unit);
            }
        }
    }

    fn next_command(&mut self, unit: &str, phase: Phase) {
        let next = self.units[unit].index + 1;
        if next < self.commands(unit, phase).len() {
            self.unit(unit).index = next;
            self.spawn(unit, phase);
        } else {
            self.next_phase(unit, phase);
        }
    }

    /// The first that goes wrong is the result.
    fn keep_result(&mut self, unit: &str, result: &'static str) {
        let known = self.unit(unit);
        if known.result == "success" {
            known.result = result;
        }
    }

    /// Ends what still runs, politely first.
    fn end_processes(&mut self, unit: &str) {
        let known = self.unit(unit);
        if known.main.is_none() && known.control.is_none() {
            return self.after_processes(unit);
        }
        let timeout = known.service().timeout_stop.unwrap_or(Some(DEFAULT_TIMEOUT));
        self.arm(unit, timeout);
        self.set_phase(unit, Phase::StopSigterm);
        self.effects.push(Effect::Kill { unit: unit.to_owned(), signal: Signal::Term });
    }

    fn after_processes(&mut self, unit: &str) {
        self.effects.push(Effect::Kill { unit: unit.to_owned(), signal: Signal::Kill });
        self.run_commands(unit, Phase::StopPost);
    }

    fn enter_dead(&mut self, unit: &str) {
        self.arm(unit, None);
        self.effects.push(Effect::Kill { unit: unit.to_owned(), signal: Signal::Kill });
        let again = self.will_restart(unit);
        let known = self.unit(unit);
        known.frozen = false;
        let clean = matches!(known.result, "success" | "exec-condition");
        let after = known.service().restart_sec.unwrap_or(DEFAULT_RESTART);
        // Its job, if any, ends here, even if it is started again.
        self.set_phase(unit, if clean { Phase::Dead } else { Phase::Failed });
        // A job that waited for this end starts it anyway.
        if again && self.units[unit].job.is_none() {
            self.set_phase(unit, Phase::AutoRestart);
            self.arm(unit, Some(after));
        }
    }

    /// Sets or clears the one timer of a unit.
    fn arm(&mut self, unit: &str, after: Option<Duration>) {
        let serial = self.serial();
        self.unit(unit).timer = after.map(|_| serial);
        self.effects.extend(after.map(|after| Effect::Timer { unit: unit.to_owned(), serial, after }));
    }

    /// The time that a timer was set for has come.
    pub fn timer(&mut self, unit: &str, serial: u64) {
        let Some(known) = self.units.get_mut(unit).filter(|known| known.timer == Some(serial)) else { return };
        known.timer = None;
        match known.phase {
            Phase::AutoRestart => {
                known.restarts += 1;
                if let Err(refusal) = self.transaction(unit, JobKind::Start, false) {
                    self.effects.push(Effect::Log(format!("{unit}: cannot be restarted: {refusal}")));
                    self.unit(unit).stop_wanted = true;
                    self.enter_dead(unit);
                }
            }
            Phase::Condition | Phase::StartPre | Phase::Start | Phase::Stop => {
                self.keep_result(unit, "timeout");
                self.end_processes(unit);
            }
            Phase::StopSigterm | Phase::StopPost => {
                self.keep_result(unit, "timeout");
                if self.units[unit].phase == Phase::StopSigterm {
                    self.set_phase(unit, Phase::StopSigkill);
                }
                self.effects.push(Effect::Kill { unit: unit.to_owned(), signal: Signal::Kill });
            }
            _ => {}
        }
        self.run();
    }
}

fn commands(service: &Service, phase: Phase) -> &[Command] {
    match phase {
        Phase::Condition => &service.exec_condition,
        Phase::StartPre => &service.exec_start_pre,
        Phase::Start => &service.exec_start,
        Phase::Stop => &service.exec_stop,
        Phase::StopPost => &service.exec_stop_post,
        _ => &[],
    }
}

fn judge(exit: Exit, command: bool, good: &[i32]) -> &'static str {
    match exit {
        Exit::Code(0) => "success",
        Exit::Code(code) if good.contains(&code) => "success",
        Exit::Code(_) => "exit-code",
        // A daemon may end by SIGHUP, SIGINT, SIGPIPE and SIGTERM.
        Exit::Signal(1 | 2 | 13 | 15) if !command => "success",
        Exit::Signal(3 | 4 | 6 | 7 | 8 | 11) => "core-dump",
        Exit::Signal(_) => "signal",
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        1 => "HUP".to_owned(),
        2 => "INT".to_owned(),
        6 => "ABRT".to_owned(),
        9 => "KILL".to_owned(),
        11 => "SEGV".to_owned(),
        13 => "PIPE".to_owned(),
        15 => "TERM".to_owned(),
        other => other.to_string(),
    }
}
