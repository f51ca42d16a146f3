//! A machine: a real systemd as PID 1 of its own namespaces.

use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reactor_core::settings::Bus;

/// Ends with its machine.
pub(crate) struct Machine {
    unshare: Child,
    /// PID 1 of the machine, as seen from outside.
    init: u32,
    folder: PathBuf,
}

const BUS_SOCKET: &str = "[Socket]\nListenStream=/run/dbus/system_bus_socket\n";
const BUS_SERVICE: &str = "[Unit]\nRequires=dbus.socket\nAfter=dbus.socket\n[Service]\nType=notify\nNotifyAccess=main\n\
    ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only\n";
const TARGET: &str = "[Unit]\nRequires=dbus.service\nAfter=dbus.service\n";

impl Machine {
    /// Boots one with these units; `None` if this is no place for that, which is said.
    pub(crate) fn boot(units: &[(&str, &str)]) -> Option<Self> {
        if let Some(missing) = missing() {
            println!("SKIPPED: no machine of its own for systemd: {missing}");
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("storage-reactor-systemd-{}-{number}", std::process::id()));
        std::fs::create_dir_all(folder.join("units")).expect("a folder");
        let own = [("dbus.socket", BUS_SOCKET), ("dbus.service", BUS_SERVICE), ("test.target", TARGET)];
        for (name, text) in own.iter().chain(units) {
            // Nothing of the usual boot.
            let text = match text.split_once("[Unit]\n") {
                Some((before, after)) => format!("{before}[Unit]\nDefaultDependencies=no\n{after}"),
                None => format!("[Unit]\nDefaultDependencies=no\n{text}"),
            };
            std::fs::write(folder.join("units").join(name), text).expect("a unit");
        }
        let notify = UnixDatagram::bind(folder.join("notify")).expect("a socket");
        notify.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/boot.sh");
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let unshare = Command::new("bash")
            .arg(script)
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("bash runs");
        let mut machine = Self { unshare, init: 0, folder };
        let mut buffer = [0; 4096];
        loop {
            let Ok(read) = notify.recv(&mut buffer) else {
                let log = std::fs::read_to_string(machine.folder.join("log")).unwrap_or_default();
                panic!("systemd did not boot: {log}");
            };
            if String::from_utf8_lossy(&buffer[..read]).contains("READY=1") {
                break;
            }
        }
        let children = format!("/proc/{0}/task/{0}/children", machine.unshare.id());
        let children = std::fs::read_to_string(children).expect("unshare has a child");
        machine.init = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a process id");
        Some(machine)
    }

    /// Its system bus.
    pub(crate) fn bus(&self) -> Bus {
        Bus::Address(format!("unix:path={}", self.path("run/dbus/system_bus_socket").display()))
    }

    /// A path of it, as seen from outside.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init)).join(path)
    }

    /// A program that is its systemctl.
    pub(crate) fn systemctl(&self) -> PathBuf {
        let program = self.folder.join("systemctl");
        let text = format!("#!/bin/sh\nexec nsenter --target {} --mount --pid systemctl \"$@\"\n", self.init);
        std::fs::write(&program, text).expect("a program");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("a mode");
        program
    }

    /// Kills its processes of this name.
    pub(crate) fn kill(&self, name: &str) {
        let script = format!("kill -9 $(pidof {name})");
        let status = Command::new("nsenter")
            .args(["--target", &self.init.to_string(), "--mount", "--pid", "bash", "-c", &script])
            .status()
            .expect("nsenter runs");
        assert!(status.success(), "{name} was not killed");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // unshare was told to take its child, and so all of the machine, with it.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let groups = std::fs::read_to_string(self.folder.join("cgroups")).unwrap_or_default();
        for group in groups.lines() {
            remove_group(Path::new(group));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes a control group with those below; what still has a process stays behind.
fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}

/// What this place lacks.
fn missing() -> Option<String> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !is_root {
        return Some("only root may".to_owned());
    }
    for program in
        ["/lib/systemd/systemd", "/usr/bin/dbus-daemon", "/usr/bin/unshare", "/usr/bin/nsenter", "/bin/pidof"]
    {
        if !Path::new(program).exists() {
            return Some(format!("there is no {program}"));
        }
    }
    let tried = Command::new("unshare").args(["--fork", "--pid", "--mount", "--cgroup", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return Some("namespaces are not allowed".to_owned());
    }
    let groups = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/systemd/cgroup.procs"];
    let writable = groups.iter().any(|file| std::fs::OpenOptions::new().append(true).open(file).is_ok());
    (!writable).then(|| "control groups can't be made".to_owned())
}
