//! Why units are not up: what systemd says of them and of what they need, and what they printed last.
//!
//! Asked after a failure, by `systemctl show` and `journalctl`, which read and change nothing: not on the connection over which services are
//! started, so that a slow answer delays nobody. Whatever cannot be asked is left out; there is always an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::action::UnitFinding;
use reactor_core::ids::UnitName;
use reactor_core::settings::Bus;
use reactor_core::systemd::ActiveState;
use tokio::process::Command;
use tracing::debug;

use crate::chain::chain;
use crate::drbd::command::{self, Output};
use crate::thread;

/// How long a program may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// What it may print.
const MAX_OUTPUT: usize = 1 << 20;
/// How deep the chain of what needs what is followed.
const DEPTH: usize = 4;
/// Units looked at.
const MAX_UNITS: usize = 64;
/// Units whose last words are looked for.
const MAX_SAID: usize = 8;
/// Lines kept of each.
const LINES: usize = 20;
/// Longest line kept.
const MAX_LINE: usize = 500;

/// Who is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Examiner {
    /// The bus on which systemd is.
    pub bus: Bus,
    /// `systemctl`.
    pub systemctl: PathBuf,
    /// `journalctl`.
    pub journalctl: PathBuf,
}

impl Examiner {
    /// That of this machine. Its programs are looked for in a thread; `None` = their disk does not answer.
    pub async fn of_this_machine(bus: Bus) -> Option<Self> {
        let find = |name: &str| {
            let found = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
            let [first, _] = &found;
            found.iter().find(|path| path.exists()).unwrap_or(first).clone()
        };
        let look = move || Self { bus, systemctl: find("systemctl"), journalctl: find("journalctl") };
        thread::run(Path::new("systemctl, journalctl"), 1, DEADLINE, look).await
    }

    /// What is known of `units`, and of what they need and what is not up either.
    pub async fn examine(&self, units: &[UnitName]) -> Vec<UnitFinding> {
        let mut shown: BTreeMap<UnitName, Shown> = BTreeMap::new();
        let mut next: Vec<UnitName> = units.to_vec();
        for depth in 0..=DEPTH {
            next.retain(|unit| !shown.contains_key(unit));
            next.truncate(MAX_UNITS.saturating_sub(shown.len()));
            if next.is_empty() {
                break;
            }
            let found = self.show(&next).await;
            let mut needed = BTreeSet::new();
            for (unit, one) in next.drain(..).zip(found) {
                if depth == 0 || one.matters() {
                    needed.extend(one.finding.needs.iter().cloned());
                    shown.insert(unit, one);
                }
            }
            next = needed.into_iter().collect();
        }
        let mut findings = Vec::new();
        for (at, one) in shown.into_values().enumerate() {
            let mut finding = one.finding;
            if at < MAX_SAID && !one.invocation.is_empty() {
                finding.said = self.said(&finding.unit, &one.invocation).await;
            }
            findings.push(finding);
        }
        findings
    }

    /// One for each of `units`, or nothing.
    async fn show(&self, units: &[UnitName]) -> Vec<Shown> {
        let user = matches!(self.bus, Bus::Session).then_some("--user");
        let fixed = ["show", "--no-pager", "--property", PROPERTIES, "--"];
        let names = units.iter().map(UnitName::as_str);
        let mut command = command::command(&self.systemctl, user.into_iter().chain(fixed).chain(names));
        if let Bus::Address(address) = &self.bus {
            // Without the second one, root speaks to process 1 without a bus.
            command.env("DBUS_SYSTEM_BUS_ADDRESS", address).env("SYSTEMCTL_FORCE_BUS", "1");
        }
        let Some(output) = run(command, &self.systemctl).await else { return Vec::new() };
        let mut shown = parse_show(units, &output.stdout);
        if shown.len() != units.len() {
            debug!(asked = units.len(), told = shown.len(), "systemctl told of other units than it was asked about");
            shown.clear();
        }
        shown
    }

    /// What the processes of a unit printed last, in its last life.
    async fn said(&self, unit: &UnitName, invocation: &str) -> Vec<String> {
        let lines = LINES.to_string();
        let unit = format!("_SYSTEMD_UNIT={unit}");
        let invocation = format!("_SYSTEMD_INVOCATION_ID={invocation}");
        let args = ["--no-pager", "--quiet", "--output=cat", "--lines", &lines, &unit, &invocation];
        let mut command = command::command(&self.journalctl, args);
        command.env("SYSTEMD_COLORS", "0");
        let Some(output) = run(command, &self.journalctl).await else { return Vec::new() };
        let short = |line: &str| line.chars().filter(|letter| !letter.is_control()).take(MAX_LINE).collect();
        let lines: Vec<String> = output.stdout.lines().map(short).collect();
        lines.into_iter().rev().take(LINES).rev().collect()
    }
}

/// Runs a program; `None` if it did not do what it should.
async fn run(mut command: Command, program: &Path) -> Option<Output> {
    command.env("LC_ALL", "C");
    match command::run_command(command, program, DEADLINE, MAX_OUTPUT).await {
        Ok(output) if output.status.success() => Some(output),
        Ok(output) => {
            debug!(program = %program.display(), status = %output.status, stderr = output.stderr, "it can't be asked why units are not up");
            None
        }
        Err(error) => {
            debug!(error = %chain(&error), "it can't be asked why units are not up");
            None
        }
    }
}

/// What is asked of each unit.
const PROPERTIES: &str = "Id,ActiveState,Result,ExecMainStatus,InvocationID,Requires,Requisite,BindsTo";

/// What `systemctl show` says of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    finding: UnitFinding,
    invocation: String,
}

impl Shown {
    /// Whether it may be a cause of something's not being up.
    fn matters(&self) -> bool {
        self.finding.active != ActiveState::Active
    }
}

/// One block of `KEY=VALUE` lines for each unit, in the order in which they were asked for, with an empty line between them.
fn parse_show(units: &[UnitName], text: &str) -> Vec<Shown> {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    let shown = units.iter().zip(blocks).map(|(unit, block)| {
        let mut one = Shown { finding: UnitFinding::new(unit.clone()), invocation: String::new() };
        let mut needs = BTreeSet::new();
        for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "ActiveState" => one.finding.active = ActiveState::from(value),
                "Result" if !value.is_empty() => one.finding.result = Some(value.to_owned()),
                "ExecMainStatus" => one.finding.exit_code = value.parse().ok(),
                "InvocationID" => value.clone_into(&mut one.invocation),
                "Requires" | "Requisite" | "BindsTo" => needs.extend(value.split_whitespace().map(UnitName::new)),
                _ => {}
            }
        }
        one.finding.needs = needs.into_iter().collect();
        one
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const DEVICE: &str = r"dev-drbd-by\x2dres-nfs\x2ddata-0.device";

    fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("examine-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[tokio::test]
    async fn the_chain_is_followed_down_and_each_says_its_last_words() {
        let folder = folder("chain");
        // Prints what the unit's file has, in the order of the arguments.
        let systemctl = format!(
            "while [ \"$1\" != -- ]; do shift; done; shift; for unit; do cat \"{}/$unit\"; echo; done",
            folder.display()
        );
        let journalctl = "printf 'for %s\\n' \"$*\"; printf 'ERROR: \\033[1mno such device\\n'";
        for (unit, text) in [
            (
                "app.service",
                "Id=app.service\nActiveState=inactive\nResult=success\nExecMainStatus=0\nInvocationID=\nRequires=srv.mount up.target\n",
            ),
            (
                "srv.mount",
                &format!(
                    "Id=srv.mount\nActiveState=failed\nResult=exit-code\nInvocationID=abc\nBindsTo={DEVICE}\nRequires=up.target\n"
                ),
            ),
            ("up.target", "Id=up.target\nActiveState=active\nRequires=deeper.service\n"),
            (DEVICE, "ActiveState=inactive\n"),
        ] {
            fs::write(folder.join(unit), text).unwrap();
        }
        let examiner = Examiner {
            bus: Bus::System,
            systemctl: program(&folder, "systemctl", &systemctl),
            journalctl: program(&folder, "journalctl", journalctl),
        };
        let findings = examiner.examine(&[UnitName::new("app.service"), UnitName::new("srv.mount")]).await;
        let names: Vec<&str> = findings.iter().map(|finding| finding.unit.as_str()).collect();
        assert_eq!(names, ["app.service", DEVICE, "srv.mount"], "what is up is no cause");
        let mount = &findings[2];
        assert_eq!((mount.active.as_str(), mount.result.as_deref()), ("failed", Some("exit-code")));
        assert_eq!(mount.needs, [UnitName::new(DEVICE), UnitName::new("up.target")]);
        assert!(mount.said[0].contains("_SYSTEMD_UNIT=srv.mount _SYSTEMD_INVOCATION_ID=abc"), "{:?}", mount.said);
        assert_eq!(mount.said[1], "ERROR: [1mno such device", "no control characters");
        assert!(findings[0].said.is_empty(), "it never ran");
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn who_cannot_be_asked_says_nothing() {
        let folder = folder("nobody");
        let broken = program(&folder, "systemctl", "echo nonsense; exit 1");
        for systemctl in [broken, folder.join("none")] {
            let examiner = Examiner { bus: Bus::System, systemctl, journalctl: folder.join("none") };
            assert_eq!(examiner.examine(&[UnitName::new("a.service")]).await, []);
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
