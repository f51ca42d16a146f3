//! The client against a real systemd: PID 1 of namespaces of its own, with a system bus of its own.
//!
//! Needs root, systemd, dbus-daemon and unshare. Where one of them is missing the tests say `SKIPPED` and why.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

mod machine;

use std::path::PathBuf;
use std::time::Duration;

use machine::Machine;
use reactor_core::action::UnitCall;
use reactor_core::facts::{Fact, Questions};
use reactor_core::ids::{Mono, ResourceName, UnitName};
use reactor_core::input::{Dialect, Input};
use reactor_core::plugin::Host;
use reactor_core::plugin::promoter::units::{self, Exiting};
use reactor_core::settings::Bus;
use reactor_core::settings::promoter::{PromotedResource, StartEntry};
use reactor_core::systemd::{ActiveState, BusEvent, BusState, LoadState, UnitEnd, UnitState, UnitVerb, Units};
use reactor_sys::facts::{self, Sources};
use reactor_sys::people::People;
use reactor_sys::systemd::{Handle, Link};
use reactor_sys::units::UnitFiles;
use tokio::time::timeout;

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A link, and what it told.
struct Follower {
    link: Link,
    units: Units,
}

impl Follower {
    async fn connect(machine: &Machine, units: &[&str]) -> Self {
        let link = Link::connect(&machine.bus(), units.iter().map(|unit| UnitName::new(unit)).collect());
        let mut follower = Self { link, units: Units::default() };
        follower.until_told(units).await;
        follower
    }

    /// Until the bus is up and all these are told.
    async fn until_told(&mut self, all: &[&str]) {
        let is_told =
            |units: &Units, _: &Input| *units.bus() == BusState::Up && all.iter().all(|unit| units.is_told(unit));
        self.until("all units are told", is_told).await;
    }

    /// Takes news in until `is_it` says so.
    async fn until(&mut self, what: &str, is_it: impl Fn(&Units, &Input) -> bool) {
        let work = async {
            loop {
                let input = self.link.next().await;
                if let Input::Units(news) = &input {
                    for news in news {
                        self.units.apply(news);
                    }
                }
                if let Input::Bus(event) = &input {
                    self.units.bus_event(Mono::ZERO, event);
                }
                if is_it(&self.units, &input) {
                    return;
                }
            }
        };
        timeout(LONG, work).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
    }

    async fn until_unit(&mut self, unit: &str, is_it: impl Fn(&UnitState) -> bool) {
        if self.units.get(unit).is_some_and(&is_it) {
            return;
        }
        self.until(unit, |units, _| units.get(unit).is_some_and(&is_it)).await;
    }

    fn state(&self, unit: &str) -> &UnitState {
        self.units.get(unit).unwrap_or_else(|| panic!("{unit} was not told"))
    }
}

async fn call(handle: &Handle, verb: UnitVerb, unit: &str) -> UnitEnd {
    let (unit, resource) = (UnitName::new(unit), ResourceName::new("r0"));
    handle.call(UnitCall { unit, verb, reset: Vec::new(), deadline: LONG, resource }).await
}

const SLEEPS: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

#[tokio::test]
async fn follows_units_and_carries_out_calls() {
    let Some(machine) = Machine::boot(&[("app.service", SLEEPS), ("bad.service", "[Service]\nExecStart=/bin/false\n")])
    else {
        return;
    };
    let mut follower = Follower::connect(&machine, &["app.service", "bad.service", "none.service"]).await;
    let handle = follower.link.handle();
    assert_eq!(follower.state("none.service").load, LoadState::NotFound);
    assert_eq!(follower.state("app.service").active, ActiveState::Inactive);
    assert_eq!(call(&handle, UnitVerb::Start, "app.service").await, UnitEnd::Done);
    follower.until_unit("app.service", |state| state.active == ActiveState::Active && !state.job).await;
    assert_eq!(follower.state("app.service").sub, "running");
    for (unit, is) in [("app.service", true), ("bad.service", false), ("none.service", false)] {
        assert_eq!(handle.is_active(unit).await, Some(is), "{unit}");
    }
    // Type=simple: started is enough; that it ends badly is news.
    assert_eq!(call(&handle, UnitVerb::Start, "bad.service").await, UnitEnd::Done);
    follower.until_unit("bad.service", |state| state.active == ActiveState::Failed).await;
    assert_eq!(follower.state("bad.service").result.as_deref(), Some("exit-code"));
    let UnitEnd::Refused { error, .. } = call(&handle, UnitVerb::Start, "none.service").await else { panic!("it ran") };
    assert_eq!(error, "org.freedesktop.systemd1.NoSuchUnit");
    assert_eq!(call(&handle, UnitVerb::Stop, "app.service").await, UnitEnd::Done);
    follower.until_unit("app.service", |state| state.active == ActiveState::Inactive && !state.job).await;
    // Followed later, told later.
    follower.link.follow(vec![UnitName::new("app.service"), UnitName::new("dbus.service")]);
    follower.until_unit("dbus.service", |state| state.active == ActiveState::Active).await;
}

/// systemd does not start what failed too often in a short time, unless it is reset: both are sent together.
#[tokio::test]
async fn a_failure_is_reset_by_the_start_that_follows() {
    let bad = "[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=1h\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/test -e /run/good\n";
    let Some(machine) = Machine::boot(&[("bad.service", bad)]) else { return };
    let mut follower = Follower::connect(&machine, &["bad.service"]).await;
    let handle = follower.link.handle();
    assert_eq!(call(&handle, UnitVerb::Start, "bad.service").await, UnitEnd::Job("failed".to_owned()));
    follower.until_unit("bad.service", |state| state.active == ActiveState::Failed).await;
    std::fs::write(machine.path("run/good"), "").expect("a file");
    assert_ne!(call(&handle, UnitVerb::Start, "bad.service").await, UnitEnd::Done, "not without a reset");
    // One that systemd has not loaded has nothing to be reset.
    let reset = ["none.service", "bad.service"].map(UnitName::new).to_vec();
    let (unit, resource) = (UnitName::new("bad.service"), ResourceName::new("r0"));
    let start = UnitCall { unit, verb: UnitVerb::Start, reset, deadline: LONG, resource };
    assert_eq!(handle.call(start).await, UnitEnd::Done);
    follower.until_unit("bad.service", |state| state.active == ActiveState::Active).await;
}

#[tokio::test]
async fn a_freeze_is_done_or_refused_with_a_reason() {
    let Some(machine) = Machine::boot(&[("app.service", SLEEPS)]) else { return };
    let mut follower = Follower::connect(&machine, &["app.service"]).await;
    let handle = follower.link.handle();
    assert_eq!(call(&handle, UnitVerb::Start, "app.service").await, UnitEnd::Done);
    match call(&handle, UnitVerb::Freeze, "app.service").await {
        UnitEnd::Done => {
            follower.until_unit("app.service", |state| state.freezer.as_str() == "frozen").await;
            assert_eq!(call(&handle, UnitVerb::Thaw, "app.service").await, UnitEnd::Done);
            follower.until_unit("app.service", |state| state.freezer.as_str() == "running").await;
        }
        // Without the unified hierarchy of control groups there is no freezer.
        UnitEnd::Refused { message, .. } => assert!(message.contains("does not support freezing"), "{message}"),
        end => panic!("{end}"),
    }
}

#[tokio::test]
async fn a_stop_pre_empts_a_start() {
    let slow = "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n";
    let Some(machine) = Machine::boot(&[("slow.service", slow)]) else { return };
    let mut follower = Follower::connect(&machine, &["slow.service"]).await;
    let handle = follower.link.handle();
    let start = tokio::spawn({
        let handle = handle.clone();
        async move { call(&handle, UnitVerb::Start, "slow.service").await }
    });
    follower.until_unit("slow.service", |state| state.active == ActiveState::Activating && state.job).await;
    assert_eq!(call(&handle, UnitVerb::Stop, "slow.service").await, UnitEnd::Done);
    assert_eq!(start.await.expect("no panic"), UnitEnd::Job("canceled".to_owned()));
}

#[tokio::test]
async fn a_call_has_a_deadline() {
    let slow = "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n";
    let Some(machine) = Machine::boot(&[("slow.service", slow)]) else { return };
    let follower = Follower::connect(&machine, &["slow.service"]).await;
    let call = UnitCall {
        unit: UnitName::new("slow.service"),
        verb: UnitVerb::Start,
        reset: Vec::new(),
        deadline: Duration::from_millis(50),
        resource: ResourceName::new("r0"),
    };
    assert_eq!(follower.link.handle().call(call).await, UnitEnd::TimedOut);
}

/// drbd-utils' templates, with a file in the place of DRBD: there it may be promoted.
const PROMOTE: &str = "[Unit]\nPartOf=drbd-services@%i.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                       ExecCondition=/usr/bin/test -e /run/may-promote\nExecStart=/bin/true\nExecStop=/usr/bin/touch /run/demoted\n";
/// A target comes after what it requires by default; without default dependencies that has to be said.
const SERVICES: &str =
    "[Unit]\nBindsTo=drbd-promote@%i.service\nAfter=drbd-promote@%i.service one.service two.service\n";

/// The generated files of a resource with these entries, on the machine; and the unit of the first entry.
fn generate(machine: &Machine, resource: &str, start: Vec<StartEntry>) -> (UnitFiles, String) {
    let name = ResourceName::new(resource);
    let unit = units::unit_of(&name, &start[0]).as_str().to_owned();
    let start = start.into_iter().map(Into::into).collect();
    let settings = PromotedResource { start, secondary_force: false, ..PromotedResource::default() };
    let host = Host { secrets: PathBuf::from("/run/secrets"), ..Host::default() };
    let files = UnitFiles::new(
        &machine.path("run/systemd/system"),
        &machine.path("run/secrets"),
        &machine.path("run/units.json"),
    );
    let wanted = units::generate(&name, &settings, Dialect::Drbd9, &host, Exiting::No);
    assert_eq!(files.write(&name, &wanted), Ok(true));
    (files, unit)
}

const TARGET: &str = "drbd-services@r0.target";
const PROMOTION: &str = "drbd-promote@r0.service";

#[tokio::test]
async fn the_generated_units_do_what_they_are_for() {
    let machine = Machine::boot(&[
        ("drbd-promote@.service", PROMOTE),
        ("drbd-services@.target", SERVICES),
        ("one.service", SLEEPS),
        ("two.service", SLEEPS),
    ]);
    let Some(machine) = machine else { return };
    let all = [TARGET, PROMOTION, "one.service", "two.service"];
    let mut follower = Follower::connect(&machine, &all).await;
    let handle = follower.link.handle();
    let start = ["one.service", "two.service"].map(|unit| StartEntry::Unit(unit.to_owned())).to_vec();
    let (files, _) = generate(&machine, "r0", start);
    handle.reload(LONG).await.expect("systemd reads its units again");

    // A race that was lost: the condition does not hold, nothing runs, and nothing has failed.
    let lost = call(&handle, UnitVerb::Start, TARGET).await;
    assert_eq!(lost, UnitEnd::Job("dependency".to_owned()));
    follower.until_unit(PROMOTION, |state| state.result.as_deref() == Some("exec-condition") && !state.job).await;
    assert_eq!(follower.state(PROMOTION).active, ActiveState::Inactive);

    // A start.
    std::fs::write(machine.path("run/may-promote"), "").expect("a file");
    assert_eq!(call(&handle, UnitVerb::Start, TARGET).await, UnitEnd::Done);
    for unit in all {
        follower.until_unit(unit, |state| state.active == ActiveState::Active && !state.job).await;
    }
    // A stop takes all of it down, the promotion last.
    assert_eq!(call(&handle, UnitVerb::Stop, TARGET).await, UnitEnd::Done);
    for unit in all {
        follower.until_unit(unit, |state| state.active == ActiveState::Inactive && !state.job).await;
    }
    assert!(machine.path("run/demoted").exists());

    // Files that are gone are gone for systemd too.
    assert_eq!(files.remove(&ResourceName::new("r0")), Ok(true));
    handle.reload(LONG).await.expect("systemd reads its units again");
    assert_eq!(call(&handle, UnitVerb::Start, "one.service").await, UnitEnd::Done, "it is bound to nothing any more");
    assert_eq!(follower.state(PROMOTION).active, ActiveState::Inactive);
}

/// What an agent sees, in a file.
const OCF: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'env > /run/seen'\n";

#[tokio::test]
async fn an_agent_gets_its_parameters_and_secrets() {
    let Some(machine) = Machine::boot(&[
        ("ocf.rs@.service", OCF),
        ("drbd-promote@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"),
    ]) else {
        return;
    };
    let values = [("url", "http://h/a%zb?n=%n 100%"), ("password", "a\"b$c\\d`e %n #;'"), ("token", "")];
    let start = vec![StartEntry::Ocf {
        vendor: "heartbeat".to_owned(),
        agent: "azure-lb".to_owned(),
        // A name that systemd escapes, as most are.
        instance: "lb-1".to_owned(),
        parameters: values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }];
    let unit = generate(&machine, "my-res", start).1;
    let follower = Follower::connect(&machine, &[&unit]).await;
    let handle = follower.link.handle();
    handle.reload(LONG).await.expect("systemd reads its units again");
    assert_eq!(call(&handle, UnitVerb::Start, &unit).await, UnitEnd::Done);
    let seen = std::fs::read_to_string(machine.path("run/seen")).expect("the agent ran");
    for (key, value) in values {
        let line = format!("OCF_RESKEY_{key}={value}");
        assert!(seen.lines().any(|one| one == line), "{line} is not in {seen}");
    }
    assert!(seen.lines().any(|line| line == "AGENT=/usr/lib/ocf/resource.d/heartbeat/azure-lb"), "{seen}");
}

#[tokio::test]
async fn after_a_reload_everything_is_read_again() {
    let Some(machine) = Machine::boot(&[("rests.service", SLEEPS)]) else { return };
    let mut follower = Follower::connect(&machine, &["late.service", "masked.service", "rests.service"]).await;
    assert_eq!(follower.state("rests.service").load, LoadState::Loaded);
    assert_eq!(follower.state("late.service").load, LoadState::NotFound);
    std::fs::write(machine.path("run/systemd/system/late.service"), SLEEPS).expect("a unit");
    for unit in ["masked.service", "rests.service"] {
        let file = machine.path("run/systemd/system").join(unit);
        // What is there already may be in the way.
        let _ = std::fs::remove_file(&file);
        std::os::unix::fs::symlink("/dev/null", file).expect("a link");
    }
    follower.link.handle().reload(LONG).await.expect("systemd reads its units again");
    follower.until_unit("late.service", |state| state.load == LoadState::Loaded).await;
    for unit in ["masked.service", "rests.service"] {
        follower.until_unit(unit, |state| state.load == LoadState::Masked).await;
    }
    let UnitEnd::Refused { error, .. } = call(&follower.link.handle(), UnitVerb::Start, "masked.service").await else {
        panic!("it ran")
    };
    assert_eq!(error, "org.freedesktop.systemd1.UnitMasked");
}

#[tokio::test]
async fn a_bus_that_dies_is_told_and_found_again() {
    let Some(machine) = Machine::boot(&[("app.service", SLEEPS)]) else { return };
    let mut follower = Follower::connect(&machine, &["app.service"]).await;
    assert_eq!(call(&follower.link.handle(), UnitVerb::Start, "app.service").await, UnitEnd::Done);
    machine.kill("dbus-daemon");
    follower.until("it is down", |_, input| matches!(input, Input::Bus(BusEvent::Down { .. }))).await;
    follower.until_told(&["app.service"]).await;
    assert_eq!(follower.state("app.service").active, ActiveState::Active);
}

#[tokio::test]
async fn nobody_there_is_told_as_down() {
    let mut link = Link::connect(&Bus::Address("unix:path=/nonexistent/bus".to_owned()), Vec::new());
    let told = timeout(LONG, link.next()).await.expect("news");
    assert!(matches!(told, Input::Bus(BusEvent::Down { .. })), "{told:?}");
    assert!(matches!(call(&link.handle(), UnitVerb::Start, "a.service").await, UnitEnd::NoBus { .. }));
    assert!(link.handle().reload(LONG).await.is_err());
    assert_eq!(link.handle().is_active("app.service").await, None);
}

/// Its target would otherwise pull in what the machine has enabled: what clears `/tmp`, sets sysctls, starts databases.
#[tokio::test]
async fn the_machine_of_a_test_has_no_unit_of_the_machine_that_it_runs_on() {
    let Some(machine) = Machine::boot(&[("app.service", SLEEPS)]) else { return };
    let theirs = ["systemd-tmpfiles-setup.service", "systemd-sysctl.service", "sysinit.target"];
    assert!(std::path::Path::new("/lib/systemd/system").join(theirs[0]).exists(), "they are there");
    let follower = Follower::connect(&machine, &theirs).await;
    for unit in theirs {
        assert_eq!(follower.state(unit).load, LoadState::NotFound, "{unit}");
    }
}

/// What `reactorctl check` asks: who else starts a unit, in systemd's own words.
#[tokio::test]
async fn systemd_tells_who_else_starts_a_unit() {
    const NOTHING: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";
    let boot =
        "[Unit]\nWants=app.service puller.service backup.timer watch.path srv-auto.automount\nUpholds=kept.service\n";
    let Some(machine) = Machine::boot(&[
        ("multi-user.target", boot),
        ("web.socket", "[Socket]\nListenStream=/run/web.sock\n"),
        ("web.service", NOTHING),
        ("backup.timer", "[Timer]\nOnActiveSec=1d\n"),
        ("backup.service", NOTHING),
        ("watch.path", "[Path]\nPathExists=/nonexistent/x\nUnit=watched.service\n"),
        ("watched.service", NOTHING),
        ("srv-auto.automount", "[Automount]\nWhere=/srv/auto\n"),
        ("srv-auto.mount", "[Mount]\nWhat=tmpfs\nWhere=/srv/auto\nType=tmpfs\n"),
        ("srv-data.mount", "[Mount]\nWhat=tmpfs\nWhere=/srv/data\nType=tmpfs\n"),
        ("app.service", &format!("[Unit]\nRequiresMountsFor=/srv/data\n{NOTHING}")),
        ("puller.service", &format!("[Unit]\nWants=pulled.service\n{NOTHING}")),
        ("pulled.service", NOTHING),
        ("kept.service", NOTHING),
    ]) else {
        return;
    };
    let follower = Follower::connect(&machine, &[]).await;
    // What this machine cannot do (an automount needs a device) does not keep the others.
    call(&follower.link.handle(), UnitVerb::Start, "multi-user.target").await;
    assert_eq!(call(&follower.link.handle(), UnitVerb::Start, "web.socket").await, UnitEnd::Done);
    let names = [
        "web.service",
        "backup.service",
        "watched.service",
        "srv-auto.mount",
        "srv-data.mount",
        "pulled.service",
        "kept.service",
    ];
    let questions = Questions { units: names.iter().map(|name| UnitName::new(name)).collect(), ..Questions::default() };
    let none = PathBuf::from("/nonexistent");
    let sources = Sources {
        node: String::new(),
        bus: Some(Bus::System),
        systemctl: machine.systemctl(),
        drbdadm: none.clone(),
        drbdsetup: none.clone(),
        agents: none.clone(),
        cgroup_2: none,
        people: People::default(),
        root: PathBuf::from("/"),
    };
    let facts = facts::ask(&questions, &sources).await;
    let Fact::Known(units) = facts.units else { panic!("{facts:?}") };
    let get = |unit: &str| &units[&UnitName::new(unit)];
    for (unit, trigger) in [
        ("web.service", "web.socket"),
        ("backup.service", "backup.timer"),
        ("watched.service", "watch.path"),
        ("srv-auto.mount", "srv-auto.automount"),
    ] {
        assert_eq!(get(unit).triggered_by, [trigger], "{unit}");
        assert!(units.contains_key(&UnitName::new(trigger)), "{trigger} is asked about, too");
    }
    assert!(get("web.socket").active && get("backup.timer").active && get("watch.path").active, "{units:?}");
    for (unit, by) in
        [("srv-data.mount", "app.service"), ("pulled.service", "puller.service"), ("kept.service", "multi-user.target")]
    {
        assert!(get(unit).pulled_in_by.contains(&by.to_owned()), "{unit}: {:?}", get(unit));
    }
    assert_eq!(get("puller.service").pulled_in_by, ["multi-user.target"]);
}
