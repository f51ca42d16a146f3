//! Asks the system what a configuration takes for granted: `systemctl show`, `drbdadm sh-resources`, and the files of OCF agents.
//!
//! Every program has a deadline and a bound on its output, and none of them is asked through a shell. What can't be found out is
//! [`Fact::Unknown`] with the reason. For the daemon: run this in a task of its own, never in the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reactor_core::facts::{Agent, AgentFile, CGROUP_2, DrbdLack, Fact, OCF_AGENTS, Questions, SystemFacts, UnitFacts};
use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::input::Dialect;
use reactor_core::plugin::promoter::policy::Policy;
use reactor_core::settings::{Bus, DaemonSettings};
use reactor_core::systemd::LoadState;

use crate::chain::chain;
use crate::drbd::command::{self, Output};
use crate::drbd::options;
use crate::drbd::version::Versions;
use crate::people::People;
use crate::{thread, volume_groups};

/// How long a program may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// What it may print.
pub(crate) const MAX_OUTPUT: usize = 4 << 20;
/// Units in one call, so that the command line fits.
const UNITS_PER_CALL: usize = 500;
/// How far it is asked on who starts whom.
const STARTER_ROUNDS: usize = 4;
/// Units in one such round; more are not looked at.
const MAX_STARTERS: usize = 2 * UNITS_PER_CALL;
/// What is asked about each unit.
const PROPERTIES: &str =
    "--property=LoadState,UnitFileState,ActiveState,WantedBy,RequiredBy,UpheldBy,BoundBy,TriggeredBy";
/// There if systemd is process 1.
const SYSTEMD: &str = "/run/systemd/system";
/// Where systemctl is. Not looked up in `PATH`, which belongs to whoever calls.
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

/// Who is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sources {
    /// What this node is called.
    pub node: String,
    /// The bus on which systemd is; `None` = there is no systemd.
    pub bus: Option<Bus>,
    /// `systemctl`.
    pub systemctl: PathBuf,
    /// `drbdadm`.
    pub drbdadm: PathBuf,
    /// `drbdsetup`.
    pub drbdsetup: PathBuf,
    /// The folder of the vendors of OCF agents.
    pub agents: PathBuf,
    /// The file that is there with cgroup v2.
    pub cgroup_2: PathBuf,
    /// Users and groups.
    pub people: People,
    /// The folder in which `sys`, `run/udev` and `run/lvm` are.
    pub root: PathBuf,
}

impl Sources {
    /// Those of a daemon with these settings on this machine.
    pub fn of(daemon: &DaemonSettings) -> Self {
        let found = SYSTEMCTL.iter().map(Path::new).find(|path| path.exists());
        let has_systemd = daemon.bus != Bus::System || Path::new(SYSTEMD).is_dir();
        let uname = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            node: daemon.node_name.clone().unwrap_or_else(uname),
            bus: has_systemd.then(|| daemon.bus.clone()),
            systemctl: found.unwrap_or(Path::new(SYSTEMCTL[0])).to_path_buf(),
            drbdadm: daemon.drbdadm.clone(),
            drbdsetup: daemon.drbdsetup.clone(),
            agents: PathBuf::from(OCF_AGENTS),
            cgroup_2: PathBuf::from(CGROUP_2),
            people: People::default(),
            root: PathBuf::from("/"),
        }
    }
}

/// Asks. Ends within half a minute, whatever hangs, for up to 1000 units.
pub async fn ask(questions: &Questions, sources: &Sources) -> SystemFacts {
    let (units, resources, policies, agents, drbd, volume_groups, group, web, secrets) = tokio::join!(
        async { if questions.units.is_empty() { Fact::NotAsked } else { units(&questions.units, sources).await } },
        async { if questions.resources { resources(&sources.drbdadm).await } else { Fact::NotAsked } },
        async { if questions.resources { policies(&sources.drbdsetup).await } else { Fact::NotAsked } },
        agents(&questions.agents, &sources.agents),
        async { if questions.drbd { drbd(&sources.drbdadm).await } else { Fact::NotAsked } },
        volume_groups::ask(&questions.volume_groups, &sources.drbdadm, &sources.root),
        group(questions.group.as_deref(), &sources.people),
        files(&questions.web, |path| Fact::Known(crate::http::web::judge(path))),
        files(&questions.secrets, crate::deliver::judge_secret),
    );
    // The kernel answers by itself: no disk, nothing that hangs.
    let cgroup_2 = if questions.freezer { Fact::Known(sources.cgroup_2.exists()) } else { Fact::NotAsked };
    let node = sources.node.clone();
    SystemFacts { node, units, resources, policies, agents, drbd, cgroup_2, volume_groups, group, web, secrets }
}

/// Judges each of these files, within [`DEADLINE`] for all of them.
async fn files<T: Send + 'static>(
    paths: &BTreeSet<PathBuf>,
    judge: fn(&Path) -> Fact<T>,
) -> BTreeMap<PathBuf, Fact<T>> {
    let mut facts = BTreeMap::new();
    let started = Instant::now();
    for path in paths {
        let asked = path.clone();
        // Its folder may hang.
        let judged = thread::run(path, 1, DEADLINE.saturating_sub(started.elapsed()), move || judge(&asked)).await;
        let fact = judged.unwrap_or_else(|| unknown(format!("no answer within {} s", DEADLINE.as_secs())));
        facts.insert(path.clone(), fact);
    }
    facts
}

async fn group(name: Option<&str>, people: &People) -> Fact<Option<u32>> {
    let Some(name) = name else { return Fact::NotAsked };
    match people.group(name).await {
        Ok(gid) => Fact::Known(gid),
        Err(error) => unknown(chain(&error).to_string()),
    }
}

pub(crate) fn unknown<T>(why: impl Into<String>) -> Fact<T> {
    Fact::Unknown { why: why.into() }
}

/// What a program said went wrong: the first line of its standard error, or how it ended.
pub(crate) fn complaint(output: &Output) -> String {
    let line = output.stderr.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| output.status.to_string(), |line| line.chars().take(200).collect())
}

async fn units(units: &BTreeSet<UnitName>, sources: &Sources) -> Fact<BTreeMap<UnitName, UnitFacts>> {
    let Some(bus) = &sources.bus else { return unknown("no systemd on this machine") };
    let mut facts = match show_all(units, bus, &sources.systemctl).await {
        Ok(facts) => facts,
        Err(why) => return unknown(why),
    };
    // Who starts them, and who starts those. Without that, less is found out, and nothing is lost.
    for _ in 0..STARTER_ROUNDS {
        let starters = facts.values().flat_map(|unit| unit.pulled_in_by.iter().chain(&unit.triggered_by));
        let new = starters.map(|unit| UnitName::new(unit)).filter(|unit| !facts.contains_key(unit));
        let new: BTreeSet<UnitName> = new.take(MAX_STARTERS).collect();
        if new.is_empty() {
            break;
        }
        let Ok(more) = show_all(&new, bus, &sources.systemctl).await else { break };
        facts.extend(more);
    }
    Fact::Known(facts)
}

async fn show_all(
    units: &BTreeSet<UnitName>,
    bus: &Bus,
    systemctl: &Path,
) -> Result<BTreeMap<UnitName, UnitFacts>, String> {
    let units: Vec<&UnitName> = units.iter().collect();
    let mut facts = BTreeMap::new();
    for units in units.chunks(UNITS_PER_CALL) {
        let output = show(units, PROPERTIES, bus, systemctl).await.map_err(|error| chain(&error).to_string())?;
        if !output.status.success() {
            return Err(format!("systemctl: {}", complaint(&output)));
        }
        let shown = parse_show(&output.stdout);
        if shown.len() != units.len() {
            return Err(format!("systemctl told of {} units instead of {}", shown.len(), units.len()));
        }
        facts.extend(units.iter().map(|unit| (*unit).clone()).zip(shown));
    }
    Ok(facts)
}

/// Those of some units that run, are being started or stopped: whatever is not at rest.
///
/// # Errors
///
/// Why systemd could not be asked. Without systemd nothing of it runs.
pub async fn running(units: &BTreeSet<UnitName>, sources: &Sources) -> Result<BTreeSet<UnitName>, String> {
    let Some(bus) = &sources.bus else { return Ok(BTreeSet::new()) };
    let units: Vec<&UnitName> = units.iter().collect();
    let mut running = BTreeSet::new();
    for units in units.chunks(UNITS_PER_CALL) {
        let shown = show(units, "--property=ActiveState", bus, &sources.systemctl).await;
        let output = shown.map_err(|error| chain(&error).to_string())?;
        if !output.status.success() {
            return Err(format!("systemctl: {}", complaint(&output)));
        }
        let states: Vec<&str> = output.stdout.lines().filter_map(|line| line.strip_prefix("ActiveState=")).collect();
        if states.len() != units.len() {
            return Err(format!("systemctl told of {} units instead of {}", states.len(), units.len()));
        }
        let busy = units.iter().zip(states).filter(|(_, state)| !matches!(*state, "inactive" | "failed"));
        running.extend(busy.map(|(unit, _)| (*unit).clone()));
    }
    Ok(running)
}

async fn show(
    units: &[&UnitName],
    properties: &str,
    bus: &Bus,
    systemctl: &Path,
) -> Result<Output, command::CommandError> {
    let user = matches!(bus, Bus::Session).then_some("--user");
    let fixed = ["show", "--no-pager", properties, "--"];
    let names = units.iter().map(|unit| unit.as_str());
    let mut command = command::command(systemctl, user.into_iter().chain(fixed).chain(names));
    command.env("LC_ALL", "C");
    if let Bus::Address(address) = bus {
        // Without the second one, root speaks to process 1 without a bus.
        command.env("DBUS_SYSTEM_BUS_ADDRESS", address).env("SYSTEMCTL_FORCE_BUS", "1");
    }
    command::run_command(command, systemctl, DEADLINE, MAX_OUTPUT).await
}

/// One block of `KEY=VALUE` lines for each unit, in the order in which they were asked for, with an empty line between them.
fn parse_show(text: &str) -> Vec<UnitFacts> {
    let mut shown = Vec::new();
    let mut facts: Option<UnitFacts> = None;
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            shown.extend(facts.take());
            continue;
        };
        let facts = facts.get_or_insert_default();
        match key {
            "LoadState" => facts.load = LoadState::from(value),
            "UnitFileState" => value.clone_into(&mut facts.unit_file),
            "ActiveState" => facts.active = matches!(value, "active" | "activating" | "reloading" | "refreshing"),
            "WantedBy" | "RequiredBy" | "UpheldBy" | "BoundBy" => {
                facts.pulled_in_by.extend(value.split_whitespace().map(str::to_owned));
            }
            "TriggeredBy" => facts.triggered_by.extend(value.split_whitespace().map(str::to_owned)),
            _ => {}
        }
    }
    shown.extend(facts);
    shown
}

async fn drbd(drbdadm: &Path) -> Fact<Vec<DrbdLack>> {
    match Versions::ask_within(drbdadm, DEADLINE).await {
        Ok(versions) if versions.utils.is_none() => unknown("drbdadm --version does not say which drbd-utils this is"),
        Ok(versions) => Fact::Known(versions.promoter_lacks()),
        Err(error) => unknown(chain(&error).to_string()),
    }
}

async fn resources(drbdadm: &Path) -> Fact<BTreeSet<ResourceName>> {
    let mut command = command::command(drbdadm, ["sh-resources"]);
    command.env("LC_ALL", "C");
    let output = match command::run_command(command, drbdadm, DEADLINE, MAX_OUTPUT).await {
        Ok(output) => output,
        Err(error) => return unknown(chain(&error).to_string()),
    };
    if !output.status.success() && !output.stderr.contains("no resources defined") {
        return unknown(format!("drbdadm: {}", complaint(&output)));
    }
    Fact::Known(output.stdout.split_whitespace().map(ResourceName::new).collect())
}

/// DRBD 8.4 prints no JSON: of its resources nothing is known here, and the daemon says what it finds.
async fn policies(drbdsetup: &Path) -> Fact<BTreeMap<ResourceName, Policy>> {
    let command = command::command(drbdsetup, ["show", "--show-defaults", "--json"]);
    let output = match command::run_command(command, drbdsetup, DEADLINE, MAX_OUTPUT).await {
        Ok(output) => output,
        Err(error) => return unknown(chain(&error).to_string()),
    };
    if !output.status.success() {
        return unknown(format!("drbdsetup: {}", complaint(&output)));
    }
    let options = options::all_from_json(&output.stdout);
    Fact::Known(options.into_iter().map(|(name, options)| (name, Policy::of(&options, Dialect::Drbd9))).collect())
}

async fn agents(agents: &BTreeSet<Agent>, folder: &Path) -> BTreeMap<Agent, AgentFile> {
    let wanted = agents.clone();
    let folder = folder.to_path_buf();
    let look = move || {
        let file = |agent: Agent| (agent.clone(), agent_file(&folder.join(&agent.vendor).join(&agent.agent)));
        wanted.into_iter().map(file).collect()
    };
    // In a thread: the folder may be on a file system that hangs.
    thread::run(Path::new(OCF_AGENTS), 1, DEADLINE, look).await.unwrap_or_else(|| {
        let file = AgentFile::Unknown { why: format!("no answer within {} s", DEADLINE.as_secs()) };
        agents.iter().map(|agent| (agent.clone(), file.clone())).collect()
    })
}

fn agent_file(path: &Path) -> AgentFile {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => AgentFile::Executable,
        Ok(_) => AgentFile::NotExecutable,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            AgentFile::Missing
        }
        Err(error) => AgentFile::Unknown { why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn what_systemctl_prints() {
        let text = "UnitFileState=enabled\nLoadState=loaded\nActiveState=active\nWantedBy=multi-user.target\nRequiredBy=\nUpheldBy=u.service\nTriggeredBy=a.socket a.timer\n\n\
                    LoadState=not-found\nUnitFileState=\n\n\
                    LoadState=masked\nUnitFileState=masked-runtime\nRequiredBy=local-fs.target a.target\n";
        let shown = parse_show(text);
        assert_eq!(shown.len(), 3);
        assert_eq!((shown[0].load.as_str(), shown[0].unit_file.as_str()), ("loaded", "enabled"));
        assert_eq!(shown[0].pulled_in_by, ["multi-user.target", "u.service"]);
        assert_eq!(shown[0].triggered_by, ["a.socket", "a.timer"]);
        assert_eq!([shown[0].active, shown[1].active], [true, false]);
        assert_eq!(shown[1].load, LoadState::NotFound);
        assert_eq!((shown[2].load.as_str(), shown[2].pulled_in_by.len()), ("masked", 2));
        assert!(parse_show("").is_empty());
    }

    /// A folder of its own for a test, and programs in it.
    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("storage-reactor-facts-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn questions(units: &[&str], agents: &[&str]) -> Questions {
        Questions {
            units: units.iter().map(|unit| UnitName::new(unit)).collect(),
            agents: agents
                .iter()
                .map(|agent| Agent { vendor: "test".to_owned(), agent: (*agent).to_owned() })
                .collect(),
            resources: true,
            drbd: true,
            freezer: true,
            volume_groups: BTreeSet::new(),
            group: None,
            web: BTreeSet::new(),
            secrets: BTreeSet::new(),
        }
    }

    #[tokio::test]
    async fn what_runs_is_what_is_not_at_rest() {
        let folder = folder("running");
        let show = "test \"$*\" = 'show --no-pager --property=ActiveState -- a.service b.service c.service d.target' || exit 9
            printf 'ActiveState=inactive\\n\\nActiveState=active\\n\\nActiveState=failed\\n\\nActiveState=deactivating\\n'";
        let sources = |systemctl: PathBuf, bus: Option<Bus>| Sources {
            node: String::new(),
            bus,
            systemctl,
            drbdadm: PathBuf::new(),
            drbdsetup: PathBuf::new(),
            agents: PathBuf::new(),
            cgroup_2: PathBuf::new(),
            people: People::default(),
            root: PathBuf::new(),
        };
        let units = ["a.service", "b.service", "c.service", "d.target"].map(UnitName::new).into();
        let good = sources(program(&folder, "systemctl", show), Some(Bus::System));
        let found = running(&units, &good).await.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), Ok(&["b.service".to_owned(), "d.target".to_owned()][..]));
        let bad = sources(program(&folder, "systemctl", "echo no bus >&2; exit 1"), Some(Bus::System));
        assert_eq!(running(&units, &bad).await, Err("systemctl: no bus".to_owned()));
        let short = sources(program(&folder, "systemctl", "echo ActiveState=inactive"), Some(Bus::System));
        assert!(running(&units, &short).await.is_err());
        // Without systemd nothing of it runs.
        assert_eq!(running(&units, &sources(PathBuf::from("/nowhere"), None)).await, Ok(BTreeSet::new()));
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn the_programs_are_asked_and_understood() {
        let folder = folder("asked");
        fs::create_dir_all(folder.join("test")).unwrap();
        program(&folder.join("test"), "Good", "exit 0");
        fs::write(folder.join("test/Plain"), "").unwrap();
        // Who starts a unit is asked about, too, and who starts that; where it ends, or fails, what is known stays.
        let show = format!(
            "case \"$*\" in
            'show --no-pager {PROPERTIES} -- a.service b.service')
                printf 'LoadState=loaded\\nUnitFileState=enabled\\nTriggeredBy=a.socket\\n\\nLoadState=not-found\\nUnitFileState=\\n' ;;
            *' -- a.socket') printf 'LoadState=loaded\\nActiveState=active\\nWantedBy=x.target\\n' ;;
            *) exit 9 ;;
            esac"
        );
        let drbdadm = "case $1 in
            --version) echo DRBD_KERNEL_VERSION_CODE=0x08040b; echo DRBDADM_VERSION_CODE=0x091d00 ;;
            *) echo r0 r1 ;;
            esac";
        let drbdsetup = r#"test "$*" = 'show --show-defaults --json' || exit 9
            echo '[{"resource":"r0","options":{"quorum":"off"},"_this_host":{"node-id":0},
                "connections":[{"_peer_node_id":1,"path":[],"net":{"fencing":"dont-care","_name":"n2"}}]},
              {"resource":"r1","options":{"quorum":"off"},"_this_host":{"node-id":0},"connections":[]}]'"#;
        let sources = Sources {
            node: String::new(),
            bus: Some(Bus::System),
            systemctl: program(&folder, "systemctl", &show),
            drbdadm: program(&folder, "drbdadm", drbdadm),
            drbdsetup: program(&folder, "drbdsetup", drbdsetup),
            agents: folder.clone(),
            cgroup_2: folder.join("cgroup.controllers"),
            people: People::default(),
            root: PathBuf::new(),
        };
        let facts = ask(&questions(&["b.service", "a.service"], &["Good", "Plain", "None"]), &sources).await;
        let Fact::Known(units) = &facts.units else { panic!("{facts:?}") };
        assert_eq!(units[&UnitName::new("a.service")].unit_file, "enabled");
        assert_eq!(units[&UnitName::new("b.service")].load, LoadState::NotFound);
        assert!(units[&UnitName::new("a.socket")].active);
        assert_eq!(units.len(), 3, "{units:?}");
        assert_eq!(facts.resources, Fact::Known(["r0", "r1"].into_iter().map(ResourceName::new).collect()));
        let policies =
            [("r0", Policy::None), ("r1", Policy::Alone)].map(|(name, policy)| (ResourceName::new(name), policy));
        assert_eq!(facts.policies, Fact::Known(policies.into()));
        let file = |agent: &str| &facts.agents[&Agent { vendor: "test".to_owned(), agent: agent.to_owned() }];
        assert_eq!(
            (file("Good"), file("Plain"), file("None")),
            (&AgentFile::Executable, &AgentFile::NotExecutable, &AgentFile::Missing)
        );
        let Fact::Known(lacks) = &facts.drbd else { panic!("{facts:?}") };
        assert!(lacks.len() == 1 && lacks[0].what.contains("fencing policy only"), "{lacks:?}");
        assert_eq!(facts.cgroup_2, Fact::Known(false));
        fs::write(&sources.cgroup_2, "").unwrap();
        assert_eq!(ask(&questions(&[], &[]), &sources).await.cgroup_2, Fact::Known(true));
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_bus_by_address_is_what_systemctl_is_told() {
        let folder = folder("bus");
        let show = "printf 'LoadState=%s\\nUnitFileState=%s\\n' \"$DBUS_SYSTEM_BUS_ADDRESS\" \"$SYSTEMCTL_FORCE_BUS\"";
        let sources = Sources {
            node: String::new(),
            bus: Some(Bus::Address("unix:path=/x".to_owned())),
            systemctl: program(&folder, "systemctl", show),
            drbdadm: folder.join("none"),
            drbdsetup: folder.join("none"),
            agents: folder.clone(),
            cgroup_2: folder.join("cgroup.controllers"),
            people: People::default(),
            root: PathBuf::new(),
        };
        let facts = ask(&questions(&["a.service"], &[]), &sources).await;
        let Fact::Known(units) = &facts.units else { panic!("{facts:?}") };
        let unit = &units[&UnitName::new("a.service")];
        assert_eq!((unit.load.as_str(), unit.unit_file.as_str()), ("unix:path=/x", "1"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn what_can_not_be_found_out_is_unknown_with_the_reason() {
        let folder = folder("unknown");
        let sources = Sources {
            node: String::new(),
            bus: None,
            systemctl: program(&folder, "systemctl", "echo 'Failed to connect to bus: No such file' >&2; exit 1"),
            drbdadm: program(&folder, "drbdadm", "echo 'r0.res:3: Parse error' >&2; exit 10"),
            drbdsetup: folder.join("none"),
            agents: folder.clone(),
            cgroup_2: folder.join("cgroup.controllers"),
            people: People::default(),
            root: PathBuf::new(),
        };
        let all = questions(&["a.service"], &[]);
        let facts = ask(&all, &sources).await;
        assert_eq!(facts.units, unknown("no systemd on this machine"));
        assert_eq!(facts.resources, unknown("drbdadm: r0.res:3: Parse error"));
        let sources = Sources { bus: Some(Bus::System), drbdadm: folder.join("none"), ..sources };
        let facts = ask(&all, &sources).await;
        assert_eq!(facts.units, unknown("systemctl: Failed to connect to bus: No such file"));
        assert!(matches!(&facts.resources, Fact::Unknown { why } if why.contains("can't start")), "{facts:?}");
        let sources = Sources {
            node: String::new(),
            systemctl: program(&folder, "systemctl", "echo LoadState=loaded; echo; echo LoadState=x"),
            ..sources
        };
        let facts = ask(&all, &sources).await;
        assert_eq!(facts.units, unknown("systemctl told of 2 units instead of 1"));
        // A node without resources is an answer.
        let none = program(&folder, "drbdadm", "echo 'no resources defined!' >&2; exit 1");
        let facts = ask(&all, &Sources { drbdadm: none, ..sources.clone() }).await;
        assert_eq!(facts.resources, Fact::Known(BTreeSet::new()));
        assert_eq!(facts.drbd, unknown("drbdadm --version does not say which drbd-utils this is"));
        let sources = Sources { bus: None, ..sources };
        assert_eq!(ask(&Questions::default(), &sources).await, SystemFacts::default());
        fs::remove_dir_all(folder).unwrap();
    }
}
