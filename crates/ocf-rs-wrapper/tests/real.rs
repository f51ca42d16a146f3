//! The wrapper with real agents of Debian's package resource-agents. What they need of the machine is made in namespaces of the test's own.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests, too")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Folder, Namespaces, Wrapper, real_agents, skip};

/// A real agent and what it needs.
struct Real {
    folder: Folder,
    root: PathBuf,
    agent: PathBuf,
}

impl Real {
    fn new(test: &str, agent: &str) -> Option<Self> {
        let root = real_agents(test)?;
        let agent = root.join("resource.d/heartbeat").join(agent);
        Some(Self { folder: Folder::new(test), root, agent })
    }

    fn start(&self, namespaces: Option<&Namespaces>, parameters: &[(&str, &str)]) -> Wrapper {
        let helpers = self.root.parent().unwrap().parent().unwrap().join("libexec/heartbeat");
        let [root, helpers] = [&self.root, &helpers].map(|path| path.to_str().unwrap());
        let variables = [
            ("OCF_ROOT", root),
            ("HA_RSCTMP", self.folder.path()),
            ("HA_BIN", helpers),
            // gawk is what Debian's agents want; any awk will do for these.
            ("AWK", "awk"),
            // A small system has no modprobe. The kernel has what is mounted here, or the test is skipped.
            ("MODPROBE", "true"),
        ];
        let variables: Vec<_> = variables.into_iter().chain(parameters.iter().copied()).collect();
        let within = namespaces.map(Namespaces::enter).unwrap_or_default();
        let within: Vec<&str> = within.iter().map(String::as_str).collect();
        Wrapper::start(&self.folder, &self.agent, &within, &variables)
    }
}

#[test]
fn dummy_runs_and_its_death_is_noticed() {
    let Some(real) = Real::new("dummy", "Dummy") else { return };
    let mut wrapper = real.start(None, &[]);
    assert!(wrapper.told("STATUS=starting").contains("20 s"));
    wrapper.told("READY=1");
    // Its state file has the name as it is, not as systemd escapes it.
    fs::remove_file(real.folder.0.join("Dummy-in-st_r0.state")).unwrap();
    assert_eq!(wrapper.end(), 7, "{:?}", wrapper.log);
    let expected = "<3>monitor failed: exit code 7 (not running): No process state file found";
    assert!(wrapper.log.iter().any(|line| line == expected), "{:?}", wrapper.log);
}

#[test]
fn dummy_is_stopped_and_gone() {
    let Some(real) = Real::new("dummy-stop", "Dummy") else { return };
    let mut wrapper = real.start(None, &[]);
    wrapper.told("READY=1");
    wrapper.term();
    assert_eq!(wrapper.end(), 0, "{:?}", wrapper.log);
    assert!(!real.folder.0.join("Dummy-in-st_r0.state").exists());
}

/// A loop device on a file, given back at the end.
struct Loop(String);

impl Loop {
    fn new(test: &str, folder: &Folder) -> Option<Self> {
        let image = folder.0.join("image");
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).status();
        if !made.is_ok_and(|status| status.success()) {
            skip(test, "mkfs.ext4 does not work");
            return None;
        }
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&image).output();
        match output {
            Ok(output) if output.status.success() => {
                Some(Self(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
            }
            Ok(output) => {
                skip(test, &format!("no loop device: {}", String::from_utf8_lossy(&output.stderr).trim()));
                None
            }
            Err(error) => {
                skip(test, &format!("no losetup: {error}"));
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn filesystem_is_unmounted_though_a_process_is_on_it() {
    let test = "filesystem";
    let Some(real) = Real::new(test, "Filesystem") else { return };
    let Some(namespaces) = Namespaces::new(test, &["--mount", "--propagation", "private"], "") else { return };
    let Some(device) = Loop::new(test, &real.folder) else { return };
    let mount_point = real.folder.0.join("mnt");
    fs::create_dir(&mount_point).unwrap();
    let parameters = [
        ("OCF_RESKEY_device", device.0.as_str()),
        ("OCF_RESKEY_directory", mount_point.to_str().unwrap()),
        ("OCF_RESKEY_fstype", "ext4"),
    ];
    let mounted = || namespaces.run(&format!("mountpoint -q {}", mount_point.display())).is_ok();
    let mut wrapper = real.start(Some(&namespaces), &parameters);
    wrapper.told("READY=1");
    assert!(mounted());
    let mut busy = busy(&namespaces, &mount_point);
    wrapper.term();
    assert_eq!(wrapper.end(), 0, "{:?}", wrapper.log);
    assert!(busy.wait().unwrap().signal().is_some());
    assert!(!mounted());

    // Unmounted behind its back.
    let mut wrapper = real.start(Some(&namespaces), &parameters);
    wrapper.told("READY=1");
    namespaces.run(&format!("umount {}", mount_point.display())).unwrap();
    assert_eq!(wrapper.end(), 7, "{:?}", wrapper.log);
}

/// A process with its working directory there; it is there when this returns.
fn busy(namespaces: &Namespaces, folder: &Path) -> std::process::Child {
    let enter = namespaces.enter();
    let mut busy = Command::new(&enter[0])
        .args(&enter[1..])
        .args(["sh", "-ec", &format!("cd {}; echo there; exec cat", folder.display())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(busy.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "there\n");
    busy
}

#[test]
fn ipaddr2_in_a_network_of_its_own() {
    let test = "ipaddr2";
    let Some(real) = Real::new(test, "IPaddr2") else { return };
    let network = "ip link set lo up; ip link add v0 type veth peer name v1; ip addr add 192.0.2.1/24 dev v0
        ip link set v0 up; ip link set v1 up";
    let Some(namespaces) = Namespaces::new(test, &["--net"], network) else { return };
    let parameters = [("OCF_RESKEY_ip", "192.0.2.10"), ("OCF_RESKEY_cidr_netmask", "24"), ("OCF_RESKEY_nic", "v0")];
    let has_address = || namespaces.run("ip -4 -o addr show dev v0").unwrap().contains(" 192.0.2.10/24 ");
    assert!(!has_address());
    let mut wrapper = real.start(Some(&namespaces), &parameters);
    wrapper.told("READY=1");
    assert!(has_address());
    wrapper.term();
    assert_eq!(wrapper.end(), 0, "{:?}", wrapper.log);
    assert!(!has_address());

    // Taken away behind its back.
    let mut wrapper = real.start(Some(&namespaces), &parameters);
    wrapper.told("READY=1");
    namespaces.run("ip addr del 192.0.2.10/24 dev v0").unwrap();
    assert_eq!(wrapper.end(), 7, "{:?}", wrapper.log);
}
