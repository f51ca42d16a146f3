//! A node for the program: folders, programs that stand in for systemd, ssh and others, and a daemon that reads the same configuration by the
//! same code and answers over the real server.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use assert_cmd::Command;
use expect_test::Expect;
use reactor_api::PromotedStatus;
use reactor_api::promoted::UnitStatus;
use reactor_api::status::{FileState, FileStatus, PluginState, PluginStatus, ReloadResult, Status, SystemdStatus};
use reactor_api::verbs::ReloadReply;
use reactor_config::{LoadOptions, Loaded};
use reactor_core::api::status;
use reactor_core::core::Core;
use reactor_core::plugin::promoter::units;
use reactor_core::settings::promoter::Runner;
use reactor_core::settings::{Mode, PluginSettings};

use crate::played::{Facts, Played, State};

/// The node's name, whatever the machine is called that the tests run on. In a context the machine's own name counts: other nodes have names there that
/// no machine has.
const NAME: &str = "n1";

/// r0 is Primary here, and n2 could take over.
pub(crate) const HERE: &str = "\
exists resource name:r0 role:Primary suspended:no force-io-failures:no write-ordering:flush may_promote:no promotion_score:10102
exists connection name:r0 peer-node-id:1 conn-name:n2 connection:Connected role:Secondary congested:no ap-in-flight:0 rs-in-flight:0
exists device name:r0 volume:0 minor:10 backing_dev:/dev/vg/r0 disk:UpToDate client:no open:yes quorum:yes size:65496 read:0 written:0 al-writes:0 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:no blocked:no
exists peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no received:0 sent:0 out-of-sync:0 pending:0 unacked:0
exists -
";

/// The same after the other node has taken over.
pub(crate) fn there() -> String {
    HERE.replace("role:Primary", "role:SECONDARY")
        .replace("role:Secondary", "role:Primary")
        .replace("SECONDARY", "Secondary")
}

/// The same with nobody Primary.
pub(crate) fn nowhere() -> String {
    HERE.replace("role:Primary", "role:Secondary")
}

/// The promoter of r0.
pub(crate) const R0: &str = "[[promoter]]\n[promoter.resources.r0]\nstart = [\"srv-r0.mount\", \"db.service\"]\n";

/// A node.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    played: Option<Played>,
}

impl World {
    /// With these snippets and no daemon.
    pub(crate) fn new(snippets: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = open_to_all().join(format!("drbd-reactorctl-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for folder in ["d", "bin", "units", "system", "home", "tmp", "hosts"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        let world = Self { dir, played: None };
        let at = world.dir.display();
        world.write(
            "main.toml",
            &format!(
                "snippets = \"{at}/d\"\n[daemon]\nnode-name = \"{NAME}\"\nruntime-dir = \"{at}/run\"\nunit-dir = \"{at}/system\"\n\
                 drbdsetup = \"{at}/bin/drbdsetup\"\ndrbdadm = \"{at}/bin/drbdadm\"\n"
            ),
        );
        for (name, text) in snippets {
            world.write(&format!("d/{name}"), text);
        }
        world.write("events2", HERE);
        world.write("log", "");
        world.program("systemctl", SYSTEMCTL);
        world.program("ssh", SSH);
        world.program("drbdsetup", "echo '[]'");
        world.program("drbdadm", "echo \"drbdadm $*\" >> DIR/log");
        symlink(env!("CARGO_BIN_EXE_reactorctl"), world.dir.join("drbd-reactorctl")).unwrap();
        world
    }

    /// The same, and a daemon.
    pub(crate) fn with_daemon(snippets: &[(&str, &str)]) -> Self {
        let mut world = Self::new(snippets);
        world.unit("drbd-reactor.service", "active");
        // Read now: a test goes on to change them.
        let files = Files::new(&world.dir);
        world.played = Some(Played::start(&world.dir.join("run"), move || (files, State::default())));
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As a whole: the daemon may read it just now.
        let new = self.path("new");
        fs::write(&new, text.replace("DIR", &self.dir.to_string_lossy())).unwrap();
        fs::rename(new, path).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names in the snippets folder.
    pub(crate) fn snippets(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.path("d")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// A program on the path, a shell script.
    pub(crate) fn program(&self, name: &str, script: &str) {
        self.script(&format!("bin/{name}"), script);
    }

    pub(crate) fn script(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// How systemd has a unit.
    pub(crate) fn unit(&self, name: &str, state: &str) {
        self.write(&format!("units/{name}"), state);
    }

    /// What systemd, the daemon and others were told, one line each.
    pub(crate) fn log(&self) -> String {
        self.read("log").replace(&*self.dir.to_string_lossy(), "DIR")
    }

    /// A call by the old name.
    pub(crate) fn old(&self, args: &[&str]) -> Command {
        let mut command = self.command(&self.path("drbd-reactorctl"));
        command.arg("-c").arg(self.path("main.toml")).args(args);
        command
    }

    /// A call by the old name in the node's own folder, with no argument of ours.
    pub(crate) fn old_there(&self, args: &[&str]) -> Command {
        let mut command = self.command(&self.path("drbd-reactorctl"));
        command.current_dir(&self.dir).args(args);
        command
    }

    /// A call by our name.
    pub(crate) fn ours(&self, args: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_reactorctl")));
        command.args(["--compat", "drbd-reactor", "-c"]).arg(self.path("main.toml")).args(args);
        command
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env_clear().env("PATH", path).env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command
    }

    /// The whole output and the exit code, without what is different on each machine.
    pub(crate) fn output(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("the output is UTF-8");
            text.replace(&*self.dir.to_string_lossy(), "DIR")
        };
        let (out, err) = (shown(&output.stdout), shown(&output.stderr));
        let end = if out.is_empty() || out.ends_with('\n') { "" } else { "(no line end)\n" };
        let err = if err.is_empty() { String::new() } else { format!("--- stderr\n{err}") };
        format!("{out}{end}{err}--- exit {}\n", output.status.code().expect("it exits"))
    }

    pub(crate) fn check(&self, args: &[&str], expect: &Expect) {
        expect.assert_eq(&self.output(self.old(args)));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.played.take());
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A place for folders where everybody may enter: below one that only its owner may, others can't change a file whatever its mode is.
fn open_to_all() -> PathBuf {
    let enter = |folder: &Path| fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from("/dev/shm")];
    places.into_iter().find(|place| place.ancestors().all(enter)).expect("a folder for everybody")
}

const SYSTEMCTL: &str = r#"
case "$1" in show | is-active) ;; *) echo "systemctl $*" >> DIR/log ;; esac
if [ -f "DIR/refuses-$1" ]; then cat "DIR/refuses-$1" >&2; exit 1; fi
case "$1" in
show)
    for unit; do
        case "$unit" in show | --*) continue ;; esac
        state=inactive
        [ -f "DIR/units/$unit" ] && state=$(cat "DIR/units/$unit")
        printf 'Id=%s\nActiveState=%s\nFreezerState=running\n\n' "$unit" "$state"
    done
    ;;
is-active)
    for unit; do :; done
    [ "$(cat "DIR/units/$unit" 2>/dev/null)" = active ]
    ;;
stop)
    [ -f DIR/interrupts ] && kill -INT $PPID
    echo inactive > "DIR/units/$2"
    [ -f DIR/on-stop ] && cp DIR/on-stop DIR/new && mv DIR/new DIR/events2
    exit 0
    ;;
start) echo active > "DIR/units/$2" ;;
esac
"#;

/// The shell of the other host takes the line apart, as sshd would have it done.
const SSH: &str = r#"
while [ "$1" != -- ]; do options="$options $1"; shift; done
echo "ssh$options -- $2 $3" >> DIR/log
host=${2#*@}
echo $$ > "DIR/ssh-$host"
if [ -f "DIR/hosts/$host/dead" ]; then
    echo "ssh: connect to host $host port 22: Connection timed out" >&2
    exit 255
fi
PATH="DIR/hosts/$host:$PATH" exec /bin/sh -c "$3"
"#;

/// What a daemon knows is in files: its configuration, what DRBD says, and how systemd has each unit.
struct Files {
    dir: PathBuf,
    loaded: Loaded,
}

impl Facts for Files {
    fn look(&mut self, state: &mut State) {
        state.core = Core::new();
        state.set_drbd(&fs::read_to_string(self.dir.join("events2")).unwrap());
        state.status = self.status(&state.core);
        state.promoted = self.promoted();
    }

    fn heard(&mut self, call: &str) -> bool {
        self.log(&format!("daemon {call}"));
        !(call.starts_with("release ") && self.dir.join("refuses-release").exists())
    }

    fn reload(&mut self) -> ReloadReply {
        self.log("daemon reload");
        if let Ok(why) = fs::read_to_string(self.dir.join("refuses-reload")) {
            return ReloadReply::new(ReloadResult::Refused, vec![why], String::new());
        }
        let options = LoadOptions::new(self.dir.join("main.toml"), Mode::DrbdReactor);
        self.loaded = reactor_config::load(&options, Some(&self.loaded));
        let result = if self.loaded.is_clean() { ReloadResult::Ok } else { ReloadResult::Partly };
        let findings = self.loaded.findings.iter().map(reactor_config::Finding::one_line).collect();
        ReloadReply::new(result, findings, String::new())
    }
}

impl Files {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), loaded: load(dir) }
    }

    fn log(&self, line: &str) {
        let path = self.dir.join("log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{text}{line}\n")).unwrap();
    }

    fn status(&self, core: &Core) -> Status {
        let mut status = Status {
            version: "1.2.3".to_owned(),
            node: NAME.to_owned(),
            systemd: Some(SystemdStatus { up: true, ..SystemdStatus::default() }),
            counters: status::counters(core),
            ..Status::default()
        };
        status.configuration.files = self
            .loaded
            .files
            .iter()
            .map(|file| FileStatus {
                path: file.path.display().to_string(),
                state: match file.state {
                    reactor_config::FileState::Current => FileState::Current,
                    reactor_config::FileState::LastGood => FileState::LastGood,
                    reactor_config::FileState::Partly => FileState::Partly,
                    reactor_config::FileState::Rejected => FileState::Rejected,
                },
                findings: Vec::new(),
            })
            .collect();
        for drift in reactor_config::drift(&self.loaded) {
            status.configuration.drift.insert(drift.path.display().to_string(), drift.kind.as_str().to_owned());
        }
        for entry in &self.loaded.settings.plugins {
            let kind = entry.settings.kind();
            // Where nobody listens, in tests.
            let is_alone =
                matches!(&entry.settings, PluginSettings::Agentx(settings) if settings.address == "127.0.0.1:2");
            status.plugins.push(PluginStatus {
                kind: kind.as_str().to_owned(),
                file: entry.file.display().to_string(),
                line: entry.line,
                state: if is_alone { PluginState::Stopped } else { PluginState::Running },
                why: is_alone.then(|| "cannot connect".to_owned()),
                ..PluginStatus::default()
            });
        }
        status
    }

    /// As the promoter tells of it: its units, and not the target.
    fn promoted(&self) -> Vec<PromotedStatus> {
        let mut all = Vec::new();
        for entry in &self.loaded.settings.plugins {
            let PluginSettings::Promoter(promoter) = &entry.settings else { continue };
            for (name, resource) in promoter.resources.iter().filter(|(_, resource)| resource.runner == Runner::Systemd)
            {
                let unit = |unit: String| UnitStatus {
                    active: fs::read_to_string(self.dir.join("units").join(&unit))
                        .unwrap_or("inactive".to_owned())
                        .trim()
                        .to_owned(),
                    freezer: "running".to_owned(),
                    unit,
                    ..UnitStatus::default()
                };
                all.push(PromotedStatus {
                    resource: name.to_string(),
                    target: units::target(name).to_string(),
                    units: resource
                        .start
                        .iter()
                        .map(|entry| unit(units::unit_of(name, &entry.what).to_string()))
                        .collect(),
                    ..PromotedStatus::default()
                });
            }
        }
        all
    }
}

fn load(dir: &Path) -> Loaded {
    reactor_config::load(&LoadOptions::new(dir.join("main.toml"), Mode::DrbdReactor), None)
}
