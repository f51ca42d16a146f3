//! Entries of `start` and `standby` that are more than a text: what they expand to, and that the dump reads back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::path::Path;
use std::time::Duration;

use expect_test::expect;
use reactor_config::{Finding, dump_toml, parse_text};
use reactor_core::settings::promoter::{AlwaysOn, Entry, PromotedResource, StartEntry};
use reactor_core::settings::{Mode, PluginSettings, Settings};

const ALL: &str = r#"
[[promoter]]
[promoter.resources.data]
start = [
    "a.service",
    { vg = "vg_data" },
    { fs = "/srv/data/", device = "/dev/vg_data/lv", type = "ext4", check = true, options = "noatime,nodev" },
    { fs = "/", device = "/dev/drbd1", type = "xfs", check = false },
    { parallel = [
        "ocf:heartbeat:anything x binfile='a b'",
        { container = "ct1", engine = "podman" },
        { container = "ct2", engine = "docker", image = "registry.example/app:1", restart = 3 },
        { container = "ct3", engine = "lxc", config = "/srv/lxc/ct3" },
        { container = "ct4", engine = "nspawn", timeout-stop = "1min" },
        { container = "101", engine = "openvz" },
    ] },
    { app = "/etc/init.d/S10foo", in = "ct1", timeout-start = "5min", disabled-on = ["n2", "n3"] },
    { app = "/opt/my app/run", optional = true },
    { app = "/etc/rc.local", in = "ct9", engine = "lxc" },
    { parallel = ["p.service", { unit = "q.service", monitor = false }] },
    { ip = "192.0.2.10/24", dev = "eth0", monitor-interval = "1min", restart = 2, restart-delay = "500ms" },
    { ip = "2001:db8::10/64" },
]
standby = ["r.service", { app = "/opt/reader" }]
always-on = ["n1", "n2"]
sync = { nodes = ["n2"], drpnodes = ["dr1"], files = ["/etc/foo.conf"], every = "10min" }
"#;

fn read(text: &str) -> (Settings, Vec<Finding>) {
    parse_text(Path::new("/etc/a.toml"), text, Mode::Native)
}

fn data(settings: &Settings) -> &PromotedResource {
    let PluginSettings::Promoter(promoter) = &settings.plugins[0].settings else { panic!("a promoter") };
    &promoter.resources["data"]
}

fn line(entry: &Entry) -> String {
    let what = match &entry.what {
        StartEntry::Unit(unit) => unit.clone(),
        StartEntry::Ocf { vendor, agent, instance, parameters } => {
            let parameters: Vec<String> = parameters.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("ocf:{vendor}:{agent} {instance} {}", parameters.join(" "))
        }
        StartEntry::Command { instance, command } => format!("{instance}: {command:?}"),
    };
    match entry.group {
        Some(group) => format!("  ({group}) {what}"),
        None => what,
    }
}

#[test]
fn short_forms_are_agents_and_units() {
    let (settings, findings) = read(ALL);
    assert!(findings.is_empty(), "{findings:?}");
    let data = data(&settings);
    let lines: Vec<String> = data.start.iter().chain(&data.standby).map(line).collect();
    expect![[r#"
        a.service
        ocf:heartbeat:LVM-activate vg_vg_data vgname=vg_data vg_access_mode=system_id activation_mode=exclusive
        ocf:heartbeat:Filesystem fs_srv_data device=/dev/vg_data/lv directory=/srv/data fstype=ext4 options=noatime,nodev run_fsck=force
        ocf:heartbeat:Filesystem fs_root device=/dev/drbd1 directory=/ fstype=xfs run_fsck=no
          (1) ocf:heartbeat:anything x binfile=a b
          (1) ct_ct1: Container { name: "ct1", engine: Podman }
          (1) ocf:heartbeat:docker ct_ct2 name=ct2 image=registry.example/app:1 reuse=true
          (1) ocf:heartbeat:lxc ct_ct3 container=ct3 config=/srv/lxc/ct3
          (1) systemd-nspawn@ct4.service
          (1) ocf:heartbeat:ManageVE ct_101 veid=101
        app_S10foo: App { script: "/etc/init.d/S10foo", within: Some(("ct1", Podman)) }
        app_run: App { script: "/opt/my app/run", within: None }
        app_rc.local: App { script: "/etc/rc.local", within: Some(("ct9", Lxc)) }
          (2) p.service
          (2) q.service
        ocf:heartbeat:IPaddr2 ip_192.0.2.10 ip=192.0.2.10 cidr_netmask=24 nic=eth0
        ocf:heartbeat:IPaddr2 ip_2001:db8::10 ip=2001:db8::10 cidr_netmask=64
        r.service
        app_reader: App { script: "/opt/reader", within: None }"#]].assert_eq(&lines.join("\n"));
    assert_eq!(data.always_on, AlwaysOn::On(vec!["n1".to_owned(), "n2".to_owned()]));
    let sync = data.sync.as_ref().unwrap();
    assert_eq!((sync.nodes.len(), sync.drpnodes.len(), sync.every), (1, 1, Some(Duration::from_secs(600))));
}

#[test]
fn attributes_are_what_they_say() {
    let (settings, _) = read(ALL);
    let data = data(&settings);
    let entry = |name: &str| data.start.iter().find(|entry| entry.name() == name).unwrap();
    let ip = &entry("ip_192.0.2.10").how;
    assert_eq!((ip.restart, ip.restart_delay), (2, Duration::from_millis(500)));
    assert_eq!(ip.monitor_interval, Some(Duration::from_secs(60)));
    assert!(entry("app_run").how.optional && !entry("q.service").how.monitor);
    let app = entry("app_S10foo");
    assert_eq!(app.how.timeout_start, Some(Duration::from_secs(300)));
    assert!(app.is_disabled_on("n2") && !app.is_disabled_on("n1"));
}

#[test]
fn what_is_dumped_reads_back_as_the_same() {
    let (settings, _) = read(ALL);
    let dumped = dump_toml(&settings);
    let (again, findings) = read(&dumped);
    assert!(findings.is_empty(), "{findings:?}\n{dumped}");
    assert_eq!(data(&settings), data(&again), "{dumped}");
}
