//! Units in two resources, and what the configuration needs of the system.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::Folder;
use expect_test::expect;
use reactor_config::{Loaded, check};
use reactor_core::facts::{Agent, AgentFile, DrbdLack, Fact, SecretFault, SystemFacts, UnitFacts, WebFault};
use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::plugin::promoter::policy::Policy;
use reactor_core::settings::{Mode, PluginSettings};
use reactor_core::systemd::LoadState;
use reactor_storage::device::{Because, DrbdDevice, Stacking};

fn promoter(resources: &[(&str, &[&str])]) -> String {
    let mut text = "[[promoter]]\n".to_owned();
    for (resource, start) in resources {
        let start: Vec<String> = start.iter().map(|unit| format!("\"{unit}\"")).collect();
        text.push_str(&format!("[promoter.resources.{resource}]\nstart = [{}]\n", start.join(", ")));
    }
    text
}

/// What runs: `resource: units`.
fn running(loaded: &Loaded) -> Vec<String> {
    let mut running = Vec::new();
    for entry in &loaded.settings.plugins {
        if let PluginSettings::Promoter(promoter) = &entry.settings {
            for (name, resource) in &promoter.resources {
                let units = resource.start.iter().map(|entry| match &entry.what {
                    reactor_core::settings::promoter::StartEntry::Unit(unit) => unit.clone(),
                    ocf => format!("{ocf:?}"),
                });
                running.push(format!("{name}: {}", units.collect::<Vec<_>>().join(" ")));
            }
        }
    }
    running
}

#[test]
fn a_unit_in_two_files_names_both_places() {
    let folder = Folder::with_snippets("d48-files");
    folder.write("d/a.toml", promoter(&[("a", &["srv.mount", "nfs.service"])]));
    folder.write("d/b.toml", promoter(&[("b", &["other.service", "nfs.service"]), ("c", &["c.service"])]));
    let loaded = folder.load(None);
    assert_eq!(running(&loaded), ["a: srv.mount nfs.service", "c: c.service"]);
    expect![[r#"
        error: the unit `nfs.service` is already started by the resource `a`: the resource `b` is ignored
         --> d/b.toml:3:27
          |
        3 | start = ["other.service", "nfs.service"]
          |                           ^^^^^^^^^^^^^ second resource
          |
         ::: d/a.toml:3:23
          |
        3 | start = ["srv.mount", "nfs.service"]
          |                       ------------- started here
          |
          = help: a unit may be in one resource only: give this resource a unit of its own, for example an instance of a template
    "#]]
    .assert_eq(&folder.told(&loaded.findings));
}

#[test]
fn a_unit_in_two_tables_of_one_file() {
    let folder = Folder::with_snippets("d48-tables");
    let text = promoter(&[("a", &["x.service"]), ("b", &["x.service"])]) + &promoter(&[("c", &["x.service"])]);
    folder.write("d/a.toml", text);
    let loaded = folder.load(None);
    assert_eq!(running(&loaded), ["a: x.service"]);
    assert!(!loaded.is_clean());
    let lines = folder.lines(&loaded.findings);
    assert!(
        lines.contains("d/a.toml:5:10: error: the unit `x.service` is already started by the resource `a`"),
        "{lines}"
    );
    assert!(lines.contains("d/a.toml:8:10: error:") && lines.lines().count() == 2, "{lines}");
    // The same files, checked one by one before they are installed.
    let checked = check(&[folder.path("d/a.toml")], &folder.options(Mode::Native));
    assert_eq!(checked.findings.len(), 2);
}

/// The instance of the unit is made of the entry's name and the resource's, so that different entries can mean the same unit.
#[test]
fn ocf_instances_are_units_too() {
    let folder = Folder::with_snippets("d48-ocf");
    folder.write("d/a.toml", promoter(&[("c", &["ocf:heartbeat:Dummy a_b", "x.service"])]));
    folder.write("d/b.toml", promoter(&[("b_c", &["ocf:heartbeat:Dummy a"])]));
    folder.write("d/c.toml", promoter(&[("d", &["ocf:heartbeat:Dummy a_b"])]));
    let loaded = folder.load(None);
    assert_eq!(running(&loaded).len(), 2, "the same instance of another resource is another unit");
    let lines = folder.lines(&loaded.findings);
    assert!(lines.starts_with("d/b.toml:3:10: error: the unit `ocf.rs@a_b_c.service` is already"), "{lines}");
}

#[test]
fn commands_of_the_shell_runner_are_no_units() {
    let folder = Folder::with_snippets("d48-shell");
    let text = |name| format!("[[promoter]]\n[promoter.resources.{name}]\nrunner = \"shell\"\nstart = [\"up\"]\n");
    folder.write("d/a.toml", text("a"));
    folder.write("d/b.toml", text("b"));
    let loaded = folder.load(None);
    assert!(loaded.is_clean());
    assert_eq!(running(&loaded).len(), 2);
    let questions = loaded.needs.questions();
    assert!(questions.units.is_empty() && questions.resources);
}

/// A reload must not take a unit from the resource that runs it, and a resource that runs is not stopped for a slip.
#[test]
fn who_has_the_unit_keeps_it_and_the_other_goes_on_as_it_was() {
    let folder = Folder::with_snippets("d48-reload");
    folder.write("d/a.toml", promoter(&[("a", &["a.service"])]));
    folder.write("d/b.toml", promoter(&[("b", &["b.service"])]));
    let first = folder.load(None);
    assert!(first.is_clean());
    folder.write("d/a.toml", promoter(&[("a", &["a.service", "b.service"])]));
    let second = folder.load(Some(&first));
    assert_eq!(running(&second), ["a: a.service", "b: b.service"]);
    let lines = folder.lines(&second.findings);
    assert!(lines.contains("started by the resource `b`: the resource `a` goes on as it was before"), "{lines}");
    assert_eq!(second.needs.questions(), first.needs.questions());
    // Swapping is no clash.
    folder.write("d/a.toml", promoter(&[("a", &["b.service"])]));
    folder.write("d/b.toml", promoter(&[("b", &["a.service"])]));
    let third = folder.load(Some(&second));
    assert!(third.is_clean(), "{}", folder.lines(&third.findings));
    assert_eq!(running(&third), ["a: b.service", "b: a.service"]);
    // Where what ran before clashes too, nothing of it runs.
    folder.write("d/a.toml", promoter(&[("a", &["x.service", "y.service"])]));
    folder.write("d/b.toml", promoter(&[("b", &["x.service", "b.service"])]));
    let fourth = folder.load(Some(&third));
    assert_eq!(running(&fourth), ["a: x.service y.service", "b: a.service"]);
    folder.write("d/c.toml", promoter(&[("c", &["a.service"])]));
    let fifth = folder.load(Some(&fourth));
    assert_eq!(running(&fifth), ["a: x.service y.service", "c: a.service"]);
}

const ALL: &str = r#"
[[promoter]]
[promoter.resources.r0]
start = ["srv.mount", "ocf:heartbeat:IPaddr2 ip ip=10.0.0.1", "nfs.service"]
[promoter.resources.r1]
start = ["web.service", "ocf:heartbeat:Filesystem fs", "ocf:heartbeat:Absent none"]
"#;

fn units(states: &[(&str, &str, &str, &[&str])]) -> Fact<BTreeMap<UnitName, UnitFacts>> {
    let facts = states.iter().map(|(unit, load, unit_file, by)| {
        let facts = UnitFacts {
            load: LoadState::from(*load),
            unit_file: (*unit_file).to_owned(),
            pulled_in_by: by.iter().map(|by| (*by).to_owned()).collect(),
            ..UnitFacts::default()
        };
        (UnitName::new(unit), facts)
    });
    Fact::Known(facts.collect())
}

fn policy((name, policy): (&str, Policy)) -> (ResourceName, Policy) {
    (ResourceName::new(name), policy)
}

fn agent(agent: &str) -> Agent {
    Agent { vendor: "heartbeat".to_owned(), agent: agent.to_owned() }
}

fn loaded(name: &str, text: &str) -> (Folder, Loaded) {
    let folder = Folder::with_snippets(name);
    folder.write("d/a.toml", text);
    let loaded = folder.load(None);
    assert!(loaded.is_clean(), "{}", folder.lines(&loaded.findings));
    (folder, loaded)
}

/// A system on which everything is as it should be.
fn good() -> SystemFacts {
    let loaded: &[&str] = &[];
    SystemFacts {
        node: "n1".to_owned(),
        units: units(&[
            ("drbd-promote@r0.service", "loaded", "static", loaded),
            ("drbd-promote@r1.service", "loaded", "static", loaded),
            ("drbd-wait-promotable@r0.service", "loaded", "disabled", loaded),
            ("drbd-wait-promotable@r1.service", "not-found", "", loaded),
            ("srv.mount", "loaded", "generated", &["drbd-services@r0.target"]),
            ("ocf.rs@ip_r0.service", "loaded", "static", loaded),
            ("nfs.service", "loaded", "disabled", loaded),
            ("web.service", "loaded", "disabled", &["storage.target"]),
            ("ocf.rs@fs_r1.service", "loaded", "static", loaded),
            ("ocf.rs@none_r1.service", "loaded", "static", loaded),
        ]),
        resources: Fact::Known(["r0", "r1"].into_iter().map(ResourceName::new).collect()),
        policies: Fact::Known([("r0", Policy::Quorum), ("r1", Policy::Alone)].map(policy).into()),
        agents: ["IPaddr2", "Filesystem", "Absent"].map(|name| (agent(name), AgentFile::Executable)).into(),
        drbd: Fact::Known(Vec::new()),
        cgroup_2: Fact::NotAsked,
        volume_groups: BTreeMap::new(),
        group: Fact::NotAsked,
        secrets: [].into(),
        web: Default::default(),
    }
}

#[test]
fn a_good_system_has_no_finding() {
    let (folder, loaded) = loaded("needs-good", ALL);
    let questions = loaded.needs.questions();
    let Fact::Known(units) = good().units else { panic!("known") };
    assert_eq!(questions.units, units.keys().cloned().collect::<BTreeSet<_>>());
    assert_eq!(questions.agents, good().agents.keys().cloned().collect::<BTreeSet<_>>());
    assert_eq!(folder.lines(&loaded.needs.check(&good())), "");
}

#[test]
fn what_is_missing_masked_or_enabled_is_named_with_its_line() {
    let (folder, loaded) = loaded("needs-bad", ALL);
    let mut facts = good();
    let Fact::Known(known) = &mut facts.units else { panic!("known") };
    let Fact::Known(bad) = units(&[
        ("drbd-promote@r0.service", "not-found", "", &[]),
        ("drbd-promote@r1.service", "not-found", "", &[]),
        ("drbd-wait-promotable@r1.service", "loaded", "enabled", &["drbd@r1.target"]),
        ("srv.mount", "loaded", "generated", &["drbd-services@r0.target", "local-fs.target"]),
        ("ocf.rs@ip_r0.service", "not-found", "", &[]),
        ("ocf.rs@fs_r1.service", "not-found", "", &[]),
        ("nfs.service", "masked", "masked", &[]),
        ("web.service", "loaded", "enabled", &["multi-user.target"]),
    ]) else {
        panic!("known")
    };
    known.extend(bad);
    facts.agents.insert(agent("Absent"), AgentFile::Missing);
    facts.agents.insert(agent("Filesystem"), AgentFile::NotExecutable);
    let findings = loaded.needs.check(&facts);
    expect![[r#"
        d/a.toml:3:21: error: drbd-promote@.service is not installed: nothing can be promoted (install drbd-utils 9.29.0 or newer)
        d/a.toml:4:10: warning: systemd starts the unit `srv.mount` at boot, wherever the data is: `local-fs.target` wants it (add `noauto` to its line in /etc/fstab)
        d/a.toml:4:23: error: ocf.rs@.service is not installed: OCF agents can't be run (it comes with Storage Reactor)
        d/a.toml:4:63: error: the unit `nfs.service` is masked: systemd does not start it (systemctl unmask nfs.service)
        d/a.toml:5:21: warning: `drbd-wait-promotable@r1.service` is enabled: a start that DRBD does not allow hangs instead of failing (systemctl disable drbd-wait-promotable@.service drbd-wait-promotable@r1.service)
        d/a.toml:6:10: warning: systemd starts the unit `web.service` at boot, wherever the data is: it is enabled (systemctl disable web.service)
        d/a.toml:6:25: error: the OCF agent /usr/lib/ocf/resource.d/heartbeat/Filesystem is not an executable file (ls -l /usr/lib/ocf/resource.d/heartbeat/Filesystem)
        d/a.toml:6:56: error: there is no OCF agent /usr/lib/ocf/resource.d/heartbeat/Absent (most agents come with the package resource-agents)
    "#]]
    .assert_eq(&folder.lines(&findings));
    expect![[r#"
        warning: systemd starts the unit `srv.mount` at boot, wherever the data is: `local-fs.target` wants it
         --> d/a.toml:4:10
          |
        4 | start = ["srv.mount", "ocf:heartbeat:IPaddr2 ip ip=10.0.0.1", "nfs.service"]
          |          ^^^^^^^^^^^
          |
          = help: add `noauto` to its line in /etc/fstab
    "#]]
    .assert_eq(&folder.told(&findings[1..2]));
}

/// Each start of a unit that is not the promoter's: by a socket, a timer, a path, an automount, and by units that are started themselves.
#[test]
fn who_else_starts_a_unit_is_named() {
    let text = r#"
[[promoter]]
[promoter.resources.r0]
start = ["srv-data.mount", "srv-auto.mount", "web.service", "backup.service", "watched.service", "pulled.service", "kept.service", "ours.service"]
"#;
    let (folder, loaded) = loaded("needs-starters", text);
    let mut facts = good();
    let Fact::Known(known) = &mut facts.units else { panic!("known") };
    let mut add = |unit: &str, unit_file: &str, by: &[&str], triggers: &[&str], active: bool| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let facts = UnitFacts {
            load: LoadState::Loaded,
            unit_file: unit_file.to_owned(),
            pulled_in_by: list(by),
            triggered_by: list(triggers),
            active,
        };
        known.insert(UnitName::new(unit), facts);
    };
    let target = "drbd-services@r0.target";
    add("srv-data.mount", "generated", &[target, "app.service"], &[], false);
    add("app.service", "enabled", &["multi-user.target"], &[], false);
    add("srv-auto.mount", "generated", &[target], &["srv-auto.automount"], false);
    add("srv-auto.automount", "generated", &["local-fs.target"], &[], false);
    add("web.service", "disabled", &[target], &["web.socket"], false);
    add("web.socket", "disabled", &[], &[], true);
    add("backup.service", "static", &[target], &["backup.timer"], false);
    add("backup.timer", "enabled", &["timers.target"], &[], false);
    add("watched.service", "static", &[target], &["watch.path"], false);
    add("watch.path", "enabled", &["paths.target"], &[], false);
    add("pulled.service", "static", &[target, "puller.service"], &[], false);
    add("puller.service", "static", &["storage.target", "pulled.service"], &[], false);
    add("storage.target", "static", &["multi-user.target"], &[], false);
    add("kept.service", "static", &[target, "keeper.service"], &[], false);
    add("keeper.service", "enabled-runtime", &[], &[], false);
    // These are not started by themselves: a socket that is neither enabled nor there, a unit that nobody starts, and what is ours.
    add(
        "ours.service",
        "static",
        &[target, "drbd-promote@r0.service", "idle.service", "web.service"],
        &["off.socket"],
        false,
    );
    add("off.socket", "disabled", &[], &[], false);
    add("idle.service", "disabled", &["idle.target", "ours.service"], &[], true);
    expect![[r#"
        d/a.toml:4:10: warning: systemd starts the unit `srv-data.mount` at boot, wherever the data is: `app.service` pulls it in, and that is enabled (systemctl disable app.service, or take `srv-data.mount` out of `app.service`: Wants=, Requires=, BindsTo=, Upholds=, RequiresMountsFor=)
        d/a.toml:4:28: warning: systemd starts the unit `srv-auto.mount` as soon as somebody looks into it, wherever the data is: `srv-auto.automount` triggers it (take `x-systemd.automount` out of its line in /etc/fstab, and add `noauto`)
        d/a.toml:4:46: warning: systemd starts the unit `web.service` when it is triggered, wherever the data is: `web.socket` triggers it (systemctl disable --now web.socket)
        d/a.toml:4:61: warning: systemd starts the unit `backup.service` when it is triggered, wherever the data is: `backup.timer` triggers it (systemctl disable --now backup.timer)
        d/a.toml:4:79: warning: systemd starts the unit `watched.service` when it is triggered, wherever the data is: `watch.path` triggers it (systemctl disable --now watch.path)
        d/a.toml:4:98: warning: systemd starts the unit `pulled.service` at boot, wherever the data is: `puller.service` pulls it in, and `storage.target` that, and `multi-user.target` wants that (take `pulled.service` out of `puller.service`: Wants=, Requires=, BindsTo=, Upholds=, RequiresMountsFor=)
        d/a.toml:4:116: warning: systemd starts the unit `kept.service` at boot, wherever the data is: `keeper.service` pulls it in, and that is enabled (systemctl disable keeper.service, or take `kept.service` out of `keeper.service`: Wants=, Requires=, BindsTo=, Upholds=, RequiresMountsFor=)
    "#]].assert_eq(&folder.lines(&loaded.needs.check(&facts)));
}

#[test]
fn units_that_do_not_exist_or_do_not_load() {
    let (folder, loaded) = loaded("needs-not-found", ALL);
    let mut facts = good();
    let Fact::Known(known) = &mut facts.units else { panic!("known") };
    for (unit, load) in [("srv.mount", "not-found"), ("nfs.service", "not-found"), ("web.service", "bad-setting")] {
        known.insert(UnitName::new(unit), UnitFacts { load: LoadState::from(load), ..UnitFacts::default() });
    }
    expect![[r#"
        d/a.toml:4:10: error: the unit `srv.mount` does not exist (a mount needs a line with `noauto` in /etc/fstab, or a file in /etc/systemd/system)
        d/a.toml:4:63: error: the unit `nfs.service` does not exist (`systemctl list-unit-files` prints what is installed)
        d/a.toml:6:10: error: systemd can't load the unit `web.service` (bad-setting) (`systemctl status web.service` says why)
    "#]]
    .assert_eq(&folder.lines(&loaded.needs.check(&facts)));
}

/// One set of files for all nodes: where the resource is not, nothing needs its units.
#[test]
fn a_resource_of_other_nodes_is_a_warning() {
    let (folder, loaded) = loaded("needs-elsewhere", ALL);
    let mut facts = good();
    facts.resources = Fact::Known([ResourceName::new("r1")].into());
    let Fact::Known(known) = &mut facts.units else { panic!("known") };
    known.insert(UnitName::new("nfs.service"), UnitFacts { load: LoadState::NotFound, ..UnitFacts::default() });
    let findings = loaded.needs.check(&facts);
    assert!(!findings.iter().any(reactor_config::Finding::is_error));
    expect![[r#"
        d/a.toml:3:21: warning: DRBD has no resource `r0` on this node (`drbdadm sh-resources` prints the names; where there is none, nothing is started)
        d/a.toml:4:63: warning: the unit `nfs.service` does not exist (`systemctl list-unit-files` prints what is installed)
    "#]]
    .assert_eq(&folder.lines(&findings));
}

#[test]
fn what_the_installed_drbd_lacks_is_said_once_and_only_with_a_promoter() {
    let (folder, loaded) = loaded("needs-drbd", ALL);
    assert!(loaded.needs.questions().drbd);
    let lack = DrbdLack { what: "drbd-utils 9.22.0 is too old".to_owned(), hint: "install newer ones".to_owned() };
    let facts = SystemFacts { drbd: Fact::Known(vec![lack]), ..good() };
    expect![[r#"
        d/a.toml:3:21: warning: drbd-utils 9.22.0 is too old (install newer ones)
    "#]]
    .assert_eq(&folder.lines(&loaded.needs.check(&facts)));
    let facts = SystemFacts { drbd: Fact::Unknown { why: "it hangs".to_owned() }, ..good() };
    expect![[r#"
        d/a.toml: note: not checked against the system: DRBD's versions (it hangs)
    "#]]
    .assert_eq(&folder.lines(&loaded.needs.check(&facts)));
    let (_, without) = self::loaded("needs-drbd-none", "[[debugger]]\n");
    assert!(!without.needs.questions().drbd);
}

#[test]
fn a_resource_with_neither_quorum_nor_fencing_is_an_error_and_with_drbd_reactors_defaults_a_warning() {
    let (folder, loaded) = loaded("needs-policy", ALL);
    let facts = SystemFacts { policies: Fact::Known([("r0", Policy::None)].map(policy).into()), ..good() };
    expect![[r#"
        d/a.toml:3:21: error: DRBD resource `r0` has neither quorum nor fencing: it is not managed, and after a reboot it runs nowhere (give it `quorum majority` and `on-no-quorum io-error` (or `suspend-io`), or `fencing`, then: drbdadm adjust r0)
    "#]].assert_eq(&folder.lines(&loaded.needs.check(&facts)));
    let folder = Folder::with_snippets("needs-policy-compat");
    folder.write("d/a.toml", ALL);
    let loaded = folder.load_compat(None);
    expect![[r#"
        d/a.toml:3:21: warning: DRBD resource `r0` has neither quorum nor fencing: it is started once, when the daemon starts, and not managed after that (give it `quorum majority` and `on-no-quorum io-error` (or `suspend-io`), or `fencing`, then: drbdadm adjust r0)
    "#]].assert_eq(&folder.lines(&loaded.needs.check(&facts)));
}

#[test]
fn freezing_needs_cgroup_2() {
    let text = "[[promoter]]\n[promoter.resources.r0]\nstart = [\"nfs.service\"]\non-quorum-loss = \"freeze\"\n";
    let (folder, loaded) = loaded("needs-freezer", text);
    assert!(loaded.needs.questions().freezer);
    let facts = |cgroup_2| SystemFacts { cgroup_2: Fact::Known(cgroup_2), ..good() };
    assert_eq!(folder.lines(&loaded.needs.check(&facts(true))), "");
    expect![[r#"
        d/a.toml:2:21: warning: `on-quorum-loss` is `freeze`, but this machine can't freeze: there is no /sys/fs/cgroup/cgroup.controllers (freezing needs cgroup v2: boot with systemd.unified_cgroup_hierarchy=1)
    "#]]
    .assert_eq(&folder.lines(&loaded.needs.check(&facts(false))));
    let (_, shutdown) = self::loaded("needs-no-freezer", ALL);
    assert!(!shutdown.needs.questions().freezer);
}

/// Checked on a machine that has systemd, or agents, but no DRBD: a good file stays good.
#[test]
fn without_drbd_nothing_is_an_error() {
    let (folder, loaded) = loaded("needs-no-drbd", ALL);
    let mut facts = good();
    facts.resources = Fact::Unknown { why: "can't start drbdadm".to_owned() };
    facts.agents.insert(agent("Absent"), AgentFile::Missing);
    let Fact::Known(known) = &mut facts.units else { panic!("known") };
    for unit in ["drbd-promote@r0.service", "nfs.service"] {
        known.insert(UnitName::new(unit), UnitFacts { load: LoadState::NotFound, ..UnitFacts::default() });
    }
    let findings = loaded.needs.check(&facts);
    assert!(!findings.iter().any(reactor_config::Finding::is_error), "{}", folder.lines(&findings));
    assert_eq!(findings.len(), 4);
}

#[test]
fn what_is_unknown_is_said_once_and_is_nobodys_mistake() {
    let (folder, loaded) = loaded("needs-unknown", ALL);
    let facts = SystemFacts {
        units: Fact::Unknown { why: "no systemd on this machine".to_owned() },
        resources: Fact::Unknown { why: "can't start drbdadm".to_owned() },
        ..SystemFacts::default()
    };
    let findings = loaded.needs.check(&facts);
    expect![[r#"
        d/a.toml: note: not checked against the system: units (no systemd on this machine), DRBD resources (can't start drbdadm)
    "#]]
    .assert_eq(&folder.lines(&findings));
    assert!(loaded.needs.check(&SystemFacts::default()).is_empty(), "nobody asked");
    // Without a promoter there is nothing to ask.
    let (_, without) = self::loaded("needs-none", "[[debugger]]\n");
    assert!(without.needs.questions().is_empty());
    assert!(without.needs.check(&facts).is_empty());
}

#[test]
fn a_group_of_operators_that_is_not_there_is_named_with_its_place() {
    let folder = Folder::with_snippets("needs-group");
    folder.write("main.toml", "snippets = \"d\"\n[daemon]\noperator-group = \"dba\"\n");
    let loaded = folder.load(None);
    assert!(loaded.is_clean(), "{}", folder.lines(&loaded.findings));
    assert_eq!(loaded.settings.daemon.operator_group.as_deref(), Some("dba"));
    assert_eq!(loaded.needs.questions().group.as_deref(), Some("dba"));
    let lines = |group| folder.lines(&loaded.needs.check(&SystemFacts { group, ..SystemFacts::default() }));
    assert_eq!(lines(Fact::Known(Some(7))), "");
    expect![[r#"
        main.toml:3:18: warning: there is no group `dba`: nobody but root may steer services (groupadd --system dba, or name a group that exists)
        main.toml:3:18: note: whether there is a group `dba` can't be found out: it hangs (until it answers, nobody but root may steer services; it is asked again each minute)
    "#]]
    .assert_eq(&(lines(Fact::Known(None)) + &lines(Fact::Unknown { why: "it hangs".to_owned() })));
    for wrong in ["1000", "-G", "a b", "a:b"] {
        folder.write("main.toml", format!("[daemon]\noperator-group = \"{wrong}\"\n"));
        let found = folder.lines(&folder.load(None).findings);
        assert!(found.contains("`operator-group` must be the name of a group"), "{wrong}: {found}");
    }
}

/// A file that can't be used costs its server, and a person has to know before that.
#[test]
fn what_is_wrong_with_a_web_configuration_file_is_said_where_it_is_named() {
    let text = "[[prometheus]]\nweb-config-file = \"web.yml\"\n[[prometheus]]\naddress = \":1\"\n";
    let (folder, loaded) = loaded("needs-web", text);
    let questions = loaded.needs.questions();
    let [path] = questions.web.iter().collect::<Vec<_>>()[..] else { panic!("{questions:?}") };
    assert!(path.ends_with("d/web.yml"), "relative paths begin at the folder of the file: {}", path.display());
    assert!(!questions.is_empty() && !questions.resources);
    let fault = |what: &str, unusable| WebFault { what: what.to_owned(), hint: "mend it".to_owned(), unusable };
    let mut facts = SystemFacts::default();
    facts.web.insert(path.clone(), Fact::Known(vec![fault("it is broken", true), fault("it is old", false)]));
    expect![[r#"
        d/a.toml:2:19: error: no metrics server can start with this: it is broken (mend it)
        d/a.toml:2:19: warning: it is old (mend it)
    "#]]
    .assert_eq(&folder.lines(&loaded.needs.check(&facts)));
    facts.web.insert(path.clone(), Fact::Unknown { why: "no answer".to_owned() });
    let findings = loaded.needs.check(&facts);
    assert!(findings.len() == 1 && !findings[0].is_error(), "{}", folder.lines(&findings));
}

#[test]
fn without_the_template_of_commands_that_is_said_once() {
    let text = "[[promoter]]\n[promoter.resources.r0]\nstart = [{ app = \"/srv/a\" }, { app = \"/srv/b\" }]\n";
    let (folder, loaded) = loaded("needs-template", text);
    let units = units(&[
        ("drbd-promote@r0.service", "loaded", "static", &[]),
        ("storage-reactor-command@app_a_r0.service", "not-found", "", &[]),
        ("storage-reactor-command@app_b_r0.service", "not-found", "", &[]),
    ]);
    expect![[r#"
        d/a.toml:3:10: error: storage-reactor-command@.service is not installed: commands can't be run (it comes with Storage Reactor)
    "#]].assert_eq(&folder.lines(&loaded.needs.check(&SystemFacts { units, ..good() })));
}

/// What this node leaves out need not be there.
#[test]
fn an_entry_that_this_node_leaves_out_needs_nothing_here() {
    let text = "[[promoter]]\n[promoter.resources.r0]\nstart = [{ unit = \"away.service\", disabled-on = [\"n2\"] }]\n";
    let (_, loaded) = loaded("needs-left-out", text);
    let units = units(&[("drbd-promote@r0.service", "loaded", "static", &[]), ("away.service", "not-found", "", &[])]);
    let findings =
        |node: &str| loaded.needs.check(&SystemFacts { node: node.to_owned(), units: units.clone(), ..good() }).len();
    assert_eq!((findings("n1"), findings("n2")), (1, 0));
}

/// What no receiver would take when something is to be sent has to be said before that.
#[test]
fn what_is_wrong_with_a_file_that_has_a_secret_is_said_where_it_is_named() {
    let text = "[[notify]]\nname = \"chat\"\n[notify.webhook]\nurl-file = \"url\"\ntoken-file = \"token\"\n\
                [[notify]]\nname = \"mail\"\n[notify.mail]\nto = [\"a@b.example\"]\nserver = \"mail.example\"\nuser = \"a\"\n\
                password-file = \"/p\"\n";
    let (folder, loaded) = loaded("needs-secret", text);
    let questions = loaded.needs.questions();
    // Not by their order: that depends on where the tests run.
    let named = |end: &str| {
        questions.secrets.iter().find(|path| path.ends_with(end)).unwrap_or_else(|| panic!("{questions:?}"))
    };
    let (url, token, password) = (named("d/url"), named("d/token"), named("/p"));
    assert!(questions.secrets.len() == 3, "{questions:?}");
    assert!(!questions.is_empty() && !questions.resources);
    let fault = |what: &str| SecretFault { what: what.to_owned(), hint: "mend it".to_owned() };
    let mut facts = SystemFacts::default();
    assert!(loaded.needs.check(&facts).is_empty(), "nobody asked");
    facts.secrets.insert(url.clone(), Fact::Known(Some(fault("others can read it"))));
    facts.secrets.insert(token.clone(), Fact::Known(None));
    facts.secrets.insert(password.clone(), Fact::Unknown { why: "no answer".to_owned() });
    expect![[r#"
        d/a.toml:4:12: error: nothing can be sent with this: others can read it (mend it)
        d/a.toml:12:17: note: whether /p is good can't be found out: no answer
    "#]]
    .assert_eq(&folder.lines(&loaded.needs.check(&facts)));
}

/// A resource whose entries activate volume groups, and what is said of one that is where `stacking` has it: as mistakes, and as remarks.
fn of_volume_group(name: &str, entries: &str, stacking: &Fact<Stacking>) -> (String, String) {
    let text = format!("[[promoter]]\n[promoter.resources.r0]\n{entries}\n");
    let (folder, loaded) = loaded(name, &text);
    let asked = loaded.needs.questions().volume_groups;
    assert_eq!(asked, [(ResourceName::new("r0"), "vg_data".to_owned())].into());
    let volume_groups = asked.into_iter().map(|asked| (asked, stacking.clone())).collect();
    let facts = SystemFacts { node: "n1".to_owned(), volume_groups, ..SystemFacts::default() };
    (folder.lines(&loaded.needs.check(&facts)), folder.lines(&loaded.needs.remarks(&facts)))
}

const VG_ENTRY: &str = "start = [{ vg = \"vg_data\" }]";

#[test]
fn a_volume_group_on_drbd_is_in_its_place_and_one_below_drbd_is_not() {
    let above = |beside: &[&str]| {
        let beside = beside.iter().map(|name| (*name).to_owned()).collect();
        let because = Because::Active("vg_data/lv".to_owned());
        Fact::Known(Stacking::Above { device: "drbd0".to_owned(), because, beside })
    };
    let below = Fact::Known(Stacking::Below { disk: "/dev/vg_data/r0".to_owned(), because: Because::Configured });
    let (wrong, right) = of_volume_group("vg-above", VG_ENTRY, &above(&[]));
    assert_eq!(wrong, "");
    expect![[r#"
        d/a.toml:3:10: note: the volume group `vg_data` is on DRBD (vg_data/lv is built on drbd0): it is activated after the promotion, as it has to be
    "#]].assert_eq(&right);
    let (wrong, right) = of_volume_group("vg-below", VG_ENTRY, &below);
    assert_eq!(right, "");
    expect![[r#"
        d/a.toml:3:10: error: the volume group `vg_data` is below DRBD (DRBD's configuration has /dev/vg_data/r0 as its disk): it has to be active before DRBD is up, and to stop it is to take the disk from DRBD (take it out of the list: with `systemctl enable drbd-lvchange@r0.service` (drbd-utils) it is active before DRBD)
    "#]].assert_eq(&wrong);
    // The agents themselves are looked at as the short form is.
    for agent in ["LVM-activate vg vgname=vg_data vg_access_mode=system_id", "LVM vg volgrpname=vg_data"] {
        let entry = format!("start = [\"ocf:heartbeat:{agent}\"]");
        assert!(of_volume_group("vg-agent", &entry, &below).0.contains(": error: "), "{agent}");
    }
    expect![[r#"
        d/a.toml:3:10: warning: the volume group `vg_data` is on DRBD (vg_data/lv is built on drbd0), and also on sdc, which this resource does not replicate: other nodes lack a part of it (pvmove what is there to DRBD's device, and vgreduce; or make it a volume of the resource)
    "#]].assert_eq(&of_volume_group("vg-beside", VG_ENTRY, &above(&["sdc"])).0);
    expect![[r#"
        d/a.toml:4:12: error: the volume group `vg_data` is on DRBD (vg_data/lv is built on drbd0): where the resource is Secondary nobody can read that (an entry of `start` is what it can be)
    "#]].assert_eq(&of_volume_group("vg-standby", "start = [\"a.service\"]\nstandby = [{ vg = \"vg_data\" }]", &above(&[])).0);
}

#[test]
fn a_volume_group_that_lvm_has_from_elsewhere_is_warned_about() {
    let past = Fact::Known(Stacking::Past { disk: "sdb".to_owned() });
    expect![[r#"
        d/a.toml:3:10: warning: the volume group `vg_data` is used on sdb, the disk below DRBD, and not on DRBD's device: what is written there is not replicated, or DRBD can't have its disk (let LVM not look at the disk below DRBD: the devices file (lvmdevices), or devices/global_filter in lvm.conf)
    "#]].assert_eq(&of_volume_group("vg-past", VG_ENTRY, &past).0);
    let elsewhere = Fact::Known(Stacking::Elsewhere { on: ["sdc".to_owned()].into() });
    expect![[r#"
        d/a.toml:3:10: warning: the volume group `vg_data` is neither on DRBD nor below it, but on sdc: after the promotion something else is activated than what DRBD replicates (`pvs` and `reactorctl block r0` print what is built on what)
    "#]].assert_eq(&of_volume_group("vg-elsewhere", VG_ENTRY, &elsewhere).0);
}

/// A node that is Secondary can't know, and that is nobody's mistake.
#[test]
fn where_an_inactive_volume_group_is_may_be_unknown_and_only_a_person_who_asks_is_told() {
    let silent = Fact::Known(Stacking::Unknown { device: DrbdDevice::Silent("drbd0".to_owned()) });
    let (wrong, said) = of_volume_group("vg-silent", VG_ENTRY, &silent);
    assert_eq!(wrong, "");
    expect![[r#"
        d/a.toml:3:10: note: the volume group `vg_data` is not active here, so it is not known whether it is on DRBD or below it: what is on drbd0 is not known, as on each node where it is Secondary (check again where the resource is Primary and the services run)
    "#]].assert_eq(&said);
    let (wrong, said) = of_volume_group("vg-unknown", VG_ENTRY, &Fact::Unknown { why: "drbdadm: it hangs".to_owned() });
    assert_eq!(wrong, "");
    expect![[r#"
        d/a.toml:3:10: note: whether the volume group `vg_data` is on DRBD or below it can't be found out: drbdadm: it hangs
    "#]].assert_eq(&said);
    // What this node leaves out is none of its concern.
    let elsewhere = "start = [{ vg = \"vg_data\", disabled-on = [\"n1\"] }]";
    let below = Fact::Known(Stacking::Below { disk: "/dev/vg_data/r0".to_owned(), because: Because::Configured });
    assert_eq!(of_volume_group("vg-left-out", elsewhere, &below), Default::default());
}
