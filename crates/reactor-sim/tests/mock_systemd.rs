//! The mock of systemd over D-Bus, with real processes: it behaves as systemd does where the promoter and its client look.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers of these tests are tests, too")]

use std::fs;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use reactor_sim::daemon::TempDir;
use reactor_sim::systemd_bus::harness::dbus_daemon;
use reactor_sim::systemd_bus::{Harness, name};
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, Proxy};

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// Only a mock that hangs takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    folder: TempDir,
    mock: Harness,
    connection: Connection,
    manager: Proxy<'static>,
    stream: MessageStream,
}

impl World {
    /// `None` = there is no dbus-daemon, which is said.
    async fn new(units: &[(&str, &str)]) -> Option<Self> {
        if dbus_daemon().is_none() {
            println!("SKIPPED: dbus-daemon is not installed");
            return None;
        }
        let folder = TempDir::new("mock-sd").unwrap();
        for (name, text) in units {
            write(&folder, name, text);
        }
        let mock = Harness::start(&folder.path().join("m"), &[folder.path().join("units")]).unwrap();
        // A stream that is not read holds up everything else on its connection when its queue is full.
        let builder = zbus::connection::Builder::address(mock.address().as_str());
        let builder = builder.max_queued(100_000.try_into().unwrap());
        let connection = builder.build().await.unwrap();
        let stream = MessageStream::from(&connection);
        let dbus = "org.freedesktop.DBus";
        let rule = "type='signal',sender='org.freedesktop.systemd1'";
        connection.call_method(Some(dbus), "/org/freedesktop/DBus", Some(dbus), "AddMatch", &rule).await.unwrap();
        let manager =
            Proxy::new(&connection, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", MANAGER).await.unwrap();
        manager.call::<_, _, ()>("Subscribe", &()).await.unwrap();
        Some(Self { folder, mock, connection, manager, stream })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn job(&self, verb: &str, unit: &str) -> OwnedObjectPath {
        self.manager.call(verb, &(unit, "replace")).await.unwrap_or_else(|error| panic!("{verb} {unit}: {error}"))
    }

    /// The next signal for which `pick` has an answer.
    async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Message) -> Option<T>) -> T {
        let search = async {
            loop {
                let message =
                    poll_fn(|cx| Pin::new(&mut self.stream).poll_next(cx)).await.expect("the bus lives").unwrap();
                let is_signal = message.message_type() == Type::Signal;
                if let Some(found) = is_signal.then(|| pick(&message)).flatten() {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("waited for {what}; the mock's log:\n{}", self.mock.log()))
    }

    async fn ended(&mut self, job: &OwnedObjectPath) -> String {
        self.wait(&format!("the end of {}", job.as_str()), |message| {
            let (_, path, _, result) = removed(message)?;
            (path == job.as_str()).then_some(result)
        })
        .await
    }

    /// The units of the next jobs that end, with the results, until that of `job`.
    async fn all_ended(&mut self, job: &OwnedObjectPath) -> Vec<(String, String)> {
        let mut all = Vec::new();
        self.wait(&format!("the end of {}", job.as_str()), |message| {
            let (_, path, unit, result) = removed(message)?;
            all.push((unit, result));
            (path == job.as_str()).then_some(())
        })
        .await;
        all
    }

    async fn run(&mut self, verb: &str, unit: &str) -> String {
        let job = self.job(verb, unit).await;
        self.ended(&job).await
    }

    async fn refused(&self, verb: &str, unit: &str) -> String {
        match self.manager.call::<_, _, OwnedObjectPath>(verb, &(unit, "replace")).await {
            Err(zbus::Error::MethodError(name, ..)) => name.to_string(),
            other => panic!("{verb} {unit} should be refused: {other:?}"),
        }
    }

    async fn get<T>(&self, unit: &str, interface: &str, property: &str) -> T
    where
        T: serde::de::DeserializeOwned + zbus::Type,
    {
        let path = name::path(unit);
        let builder = zbus::proxy::Builder::<'_, Proxy<'_>>::new(&self.connection);
        let interface = format!("org.freedesktop.systemd1.{interface}");
        let proxy = builder.destination("org.freedesktop.systemd1").path(path).interface(interface);
        let proxy = proxy.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap();
        proxy.get_property(property).await.unwrap_or_else(|error| panic!("{unit} {property}: {error}"))
    }

    async fn state(&self, unit: &str) -> (String, String, String) {
        let result = self.get(unit, "Service", "Result").await;
        (self.get(unit, "Unit", "ActiveState").await, self.get(unit, "Unit", "SubState").await, result)
    }

    /// Waits until a unit was told to be in this state.
    async fn sub_state(&mut self, unit: &str, wanted: &str) {
        let path = name::path(unit);
        self.wait(&format!("{unit} to be {wanted}"), |message| {
            let header = message.header();
            if header.path()?.as_str() != path || header.member()?.as_str() != "PropertiesChanged" {
                return None;
            }
            let body = message.body();
            let (_, values, _): (String, std::collections::HashMap<String, zbus::OwnedVariant>, Vec<String>) =
                body.deserialize().ok()?;
            let state: String = values.get("SubState")?.clone().try_into().ok()?;
            (state == wanted).then_some(())
        })
        .await;
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn removed(message: &Message) -> Option<(u32, String, String, String)> {
    (message.header().member()?.as_str() == "JobRemoved").then_some(())?;
    let body = message.body();
    let (id, path, unit, result): (u32, OwnedObjectPath, String, String) = body.deserialize().ok()?;
    Some((id, path.as_str().to_owned(), unit, result))
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join("units").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text.replace("DIR", &folder.path().display().to_string())).unwrap();
}

fn pairs(list: &[(String, String)]) -> Vec<(&str, &str)> {
    list.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
}

/// What the promoter generates, over templates like those of drbd-utils, for the resource `r0` and two services.
const PROMOTER: &[(&str, &str)] = &[
    (
        "drbd-promote@.service",
        "[Unit]\nPartOf=drbd-services@%i.target\nRequires=drbd@%i.target\nAfter=drbd@%i.target\n[Service]\nType=oneshot\n\
         RemainAfterExit=yes\nExecCondition=/bin/sh -c 'test ! -e DIR/secondary'\nExecStart=/bin/true\n\
         ExecStop=/bin/sh -c 'echo secondary %I >> DIR/order'\n",
    ),
    ("drbd-services@.target", "[Unit]\nBindsTo=drbd-promote@%i.service\n"),
    ("drbd@.target", "[Unit]\nDescription=DRBD %I\n"),
    (
        "a.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo start a >> DIR/order'\nExecStop=/bin/sh -c 'echo stop a >> DIR/order'\n",
    ),
    (
        "b.service",
        "[Service]\nType=exec\nExecStartPre=/bin/sh -c 'echo start b >> DIR/order'\nExecStart=/bin/sleep 1000\nExecStopPost=/bin/sh -c 'echo stop b >> DIR/order'\n",
    ),
    (
        "a.service.d/reactor.conf",
        "[Unit]\nPartOf = drbd-services@r0.target\n\nBindsTo = drbd-promote@r0.service\nAfter = drbd-promote@r0.service\n",
    ),
    (
        "b.service.d/reactor.conf",
        "[Unit]\nPartOf = drbd-services@r0.target\n\nBindsTo = drbd-promote@r0.service\nAfter = drbd-promote@r0.service\n\nRequires = a.service\nAfter = a.service\n",
    ),
    ("drbd-services@r0.target.d/reactor.conf", "[Unit]\nRequires = a.service\nRequires = b.service\n"),
];

#[tokio::test]
async fn a_target_starts_and_stops_its_services_in_order() {
    let Some(mut world) = World::new(PROMOTER).await else { return };
    let job = world.job("StartUnit", "drbd-services@r0.target").await;
    let ends = world.all_ended(&job).await;
    let expected = ["drbd@r0.target", "drbd-promote@r0.service", "a.service", "b.service", "drbd-services@r0.target"];
    assert_eq!(pairs(&ends), expected.map(|unit| (unit, "done")));
    assert_eq!(world.get::<String>("b.service", "Unit", "ActiveState").await, "active");
    assert_eq!(world.get::<Vec<String>>("a.service", "Unit", "DropInPaths").await.len(), 1);
    let pid: u32 = world.get("b.service", "Service", "MainPID").await;
    assert!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().starts_with("/bin/sleep"));

    let job = world.job("StopUnit", "drbd-services@r0.target").await;
    assert_eq!(world.ended(&job).await, "done");
    // The target is down first; the services follow in the reverse order.
    while world.state("drbd-promote@r0.service").await.0 != "inactive" {
        world.sub_state("drbd-promote@r0.service", "dead").await;
    }
    assert_eq!(world.lines("order"), ["start a", "start b", "stop b", "stop a", "secondary r0"]);
}

#[tokio::test]
async fn a_promotion_that_is_refused_by_its_condition_fails_the_dependents() {
    let Some(mut world) = World::new(PROMOTER).await else { return };
    fs::write(world.path("secondary"), "").unwrap();
    let job = world.job("StartUnit", "drbd-services@r0.target").await;
    let ends = world.all_ended(&job).await;
    assert!(ends.contains(&("drbd-promote@r0.service".to_owned(), "done".to_owned())), "{ends:?}");
    assert_eq!(ends.last().unwrap().1, "dependency");
    let state = world.state("drbd-promote@r0.service").await;
    assert_eq!((state.0.as_str(), state.2.as_str()), ("inactive", "exec-condition"));
}

#[tokio::test]
async fn stopping_a_target_that_is_down_stops_its_members() {
    let Some(mut world) = World::new(PROMOTER).await else { return };
    assert_eq!(world.run("StartUnit", "b.service").await, "done");
    assert_eq!(world.get::<String>("drbd-services@r0.target", "Unit", "ActiveState").await, "inactive");
    world.job("StopUnit", "drbd-services@r0.target").await;
    world.sub_state("drbd-promote@r0.service", "dead").await;
    assert_eq!(world.lines("order"), ["start a", "start b", "stop b", "stop a", "secondary r0"]);
}

#[tokio::test]
async fn the_end_of_what_a_service_is_bound_to_stops_it() {
    let units = [
        ("base.service", "[Service]\nExecStart=/bin/sleep 1000\n"),
        ("top.service", "[Unit]\nBindsTo=base.service\nAfter=base.service\n[Service]\nExecStart=/bin/sleep 1000\n"),
    ];
    let Some(mut world) = World::new(&units).await else { return };
    assert_eq!(world.run("StartUnit", "top.service").await, "done");
    kill(world.get("base.service", "Service", "MainPID").await, rustix::process::Signal::KILL);
    world.sub_state("top.service", "dead").await;
    assert_eq!(world.state("base.service").await, ("failed".to_owned(), "failed".to_owned(), "signal".to_owned()));
    world.manager.call::<_, _, ()>("ResetFailedUnit", &"base.service").await.unwrap();
    assert_eq!(world.state("base.service").await.0, "inactive");
}

fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).expect("it runs");
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn a_job_that_fails_takes_its_dependents_along_and_calls_for_help() {
    let units = [
        ("bad.service", "[Unit]\nOnFailure=help@%i.service\n[Service]\nType=oneshot\nExecStart=/bin/false\n"),
        ("help@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"),
        ("top.service", "[Unit]\nRequires=bad.service\nAfter=bad.service\n[Service]\nExecStart=/bin/sleep 1000\n"),
        ("nowhere.service", "[Service]\nType=exec\nExecStart=/nonexistent/program\n"),
    ];
    let Some(mut world) = World::new(&units).await else { return };
    let job = world.job("StartUnit", "top.service").await;
    let ends = world.all_ended(&job).await;
    let expected = [("bad.service", "failed"), ("top.service", "dependency")];
    assert_eq!(pairs(&ends), expected);
    assert_eq!(world.state("bad.service").await, ("failed".to_owned(), "failed".to_owned(), "exit-code".to_owned()));
    assert_eq!(world.run("StartUnit", "nowhere.service").await, "failed");
}

#[tokio::test]
async fn a_failure_starts_what_is_named_for_it() {
    let units = [
        ("bad.service", "[Unit]\nOnFailure=help@x.service\n[Service]\nType=oneshot\nExecStart=/bin/false\n"),
        ("help@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"),
    ];
    let Some(mut world) = World::new(&units).await else { return };
    world.job("StartUnit", "bad.service").await;
    world.sub_state("help@x.service", "exited").await;
}

#[tokio::test]
async fn a_stop_cancels_a_start_that_runs() {
    let units = [("slow.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n")];
    let Some(mut world) = World::new(&units).await else { return };
    let start = world.job("StartUnit", "slow.service").await;
    world.sub_state("slow.service", "start").await;
    let stop = world.job("StopUnit", "slow.service").await;
    assert_eq!(world.ended(&start).await, "canceled");
    assert_eq!(world.ended(&stop).await, "done");
    assert_ne!(world.state("slow.service").await.0, "activating");
}

#[tokio::test]
async fn a_start_and_a_stop_that_take_too_long_end() {
    let units = [
        ("slow.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\nTimeoutStartSec=50ms\n"),
        ("deaf.service", "[Service]\nType=notify\nExecStart=/usr/bin/env python3 DIR/deaf.py\nTimeoutStopSec=50ms\n"),
        ("patient.service", "[Unit]\nJobTimeoutSec=50ms\n[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n"),
    ];
    let Some(mut world) = World::new(&units).await else { return };
    assert_eq!(world.run("StartUnit", "slow.service").await, "failed");
    assert_eq!(world.state("slow.service").await, ("failed".to_owned(), "failed".to_owned(), "timeout".to_owned()));
    assert_eq!(world.run("StartUnit", "patient.service").await, "timeout");
    let script = "import os, signal, socket, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n\
                  time.sleep(1000)\n";
    fs::write(world.path("deaf.py"), script).unwrap();
    assert_eq!(world.run("StartUnit", "deaf.service").await, "done");
    assert_eq!(world.run("StopUnit", "deaf.service").await, "done");
    assert_eq!(world.state("deaf.service").await, ("failed".to_owned(), "failed".to_owned(), "timeout".to_owned()));
}

#[tokio::test]
async fn units_that_cannot_start_are_refused_by_systemds_names() {
    let units = [
        ("bad.service", "[Service]\nType=simple\n"),
        ("shy.service", "[Unit]\nRefuseManualStart=yes\n[Service]\nExecStart=/bin/true\n"),
        ("top.service", "[Unit]\nRequires=gone.service\n[Service]\nExecStart=/bin/true\n"),
        ("wisher.service", "[Unit]\nWants=gone.service\n[Service]\nType=oneshot\nExecStart=/bin/true\n"),
        ("masked.service.d/x.conf", "[Unit]\n"),
    ];
    let Some(mut world) = World::new(&units).await else { return };
    std::os::unix::fs::symlink("/dev/null", world.path("units/masked.service")).unwrap();
    let refusals = [
        ("StartUnit", "gone.service", "NoSuchUnit"),
        ("StopUnit", "gone.service", "NoSuchUnit"),
        ("StartUnit", "top.service", "NoSuchUnit"),
        ("StartUnit", "masked.service", "UnitMasked"),
        ("StartUnit", "bad.service", "BadUnitSetting"),
        ("StartUnit", "shy.service", "OnlyByDependency"),
    ];
    for (verb, unit, error) in refusals {
        assert_eq!(world.refused(verb, unit).await, format!("org.freedesktop.systemd1.{error}"), "{verb} {unit}");
    }
    for (unit, load) in [("gone.service", "not-found"), ("masked.service", "masked"), ("bad.service", "bad-setting")] {
        assert_eq!(world.get::<String>(unit, "Unit", "LoadState").await, load);
    }
    let state: String = world.manager.call("GetUnitFileState", &"masked.service").await.unwrap();
    assert_eq!(state, "masked-runtime");
    assert_eq!(world.run("StartUnit", "wisher.service").await, "done");
}

#[tokio::test]
async fn a_service_of_type_notify_is_started_when_it_says_so() {
    let units = [
        (
            "n.service",
            "[Service]\nType=notify\nEnvironmentFile=DIR/env\nExecStart=/usr/bin/env python3 -c \"${SCRIPT}\"\n",
        ),
        ("liar.service", "[Service]\nType=notify\nExecStart=/bin/true\n"),
    ];
    let Some(mut world) = World::new(&units).await else { return };
    let script = "SCRIPT='import os, socket, time; open(os.environ[\\\"FIFO\\\"]).read(); s = socket.socket(socket.AF_UNIX, \
                  socket.SOCK_DGRAM); s.sendto(b\\\"READY=1\\\", os.environ[\\\"NOTIFY_SOCKET\\\"]); time.sleep(1000)'\n";
    let fifo = world.path("fifo");
    fs::write(world.path("env"), format!("{script}FIFO={}\n", fifo.display())).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let job = world.job("StartUnit", "n.service").await;
    world.sub_state("n.service", "start").await;
    // Opening the other end returns when the script has opened its own, which then reads an end.
    tokio::task::spawn_blocking(move || fs::write(fifo, "")).await.unwrap().unwrap();
    assert_eq!(world.ended(&job).await, "done");
    assert_eq!(world.state("n.service").await.1, "running");
    assert_eq!(world.run("StartUnit", "liar.service").await, "failed");
    assert_eq!(world.state("liar.service").await.2, "protocol");
}

#[tokio::test]
async fn a_service_that_restarts_always_comes_back_until_it_is_stopped() {
    let units = [("r.service", "[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=1ms\n")];
    let Some(mut world) = World::new(&units).await else { return };
    assert_eq!(world.run("StartUnit", "r.service").await, "done");
    let first: u32 = world.get("r.service", "Service", "MainPID").await;
    kill(first, rustix::process::Signal::KILL);
    world.sub_state("r.service", "auto-restart").await;
    world.sub_state("r.service", "running").await;
    let second: u32 = world.get("r.service", "Service", "MainPID").await;
    assert_ne!(first, second);
    assert_eq!(world.get::<u32>("r.service", "Service", "NRestarts").await, 1);
    assert_eq!(world.run("StopUnit", "r.service").await, "done");
    assert_eq!(world.state("r.service").await, ("inactive".to_owned(), "dead".to_owned(), "success".to_owned()));
}

/// systemd 252 does not tell `FreezerState` when it changes, and the mock does as it does.
#[tokio::test]
async fn our_client_knows_of_its_freezes_though_systemd_does_not_tell_them() {
    use reactor_core::action::UnitCall;
    use reactor_core::ids::{ResourceName, UnitName};
    use reactor_core::input::Input;
    use reactor_core::settings::Bus;
    use reactor_core::systemd::{UnitEnd, UnitVerb};

    let Some(mut world) = World::new(&[("f.service", "[Service]\nExecStart=/bin/sleep 1000\n")]).await else { return };
    assert_eq!(world.run("StartUnit", "f.service").await, "done");
    let unit = UnitName::new("f.service");
    let bus = Bus::Address(world.mock.address());
    let mut link = reactor_sys::systemd::Link::connect(&bus, [unit.clone()].into());
    let handle = link.handle();
    for (verb, state) in [(None, "running"), (Some(UnitVerb::Freeze), "frozen"), (Some(UnitVerb::Thaw), "running")] {
        if let Some(verb) = verb {
            let (unit, resource) = (unit.clone(), ResourceName::new("r1"));
            let end = handle.call(UnitCall { unit, verb, reset: Vec::new(), deadline: PATIENCE, resource }).await;
            assert_eq!(end, UnitEnd::Done);
        }
        let told = async {
            loop {
                if let Input::Units(news) = link.next().await
                    && news.iter().any(|news| news.state.freezer.as_str() == state)
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("never {state} after {verb:?}"));
    }
}

#[tokio::test]
async fn a_frozen_service_stands_still_and_a_stop_thaws_it() {
    let units = [("f.service", "[Service]\nExecStart=/bin/sleep 1000\n")];
    let Some(mut world) = World::new(&units).await else { return };
    assert!(world.manager.call::<_, _, ()>("FreezeUnit", &"f.service").await.is_err(), "it is not loaded");
    assert_eq!(world.run("StartUnit", "f.service").await, "done");
    let pid: u32 = world.get("f.service", "Service", "MainPID").await;
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    world.manager.call::<_, _, ()>("FreezeUnit", &"f.service").await.unwrap();
    assert_eq!(state(), 'T');
    assert_eq!(world.get::<String>("f.service", "Unit", "FreezerState").await, "frozen");
    world.manager.call::<_, _, ()>("ThawUnit", &"f.service").await.unwrap();
    assert_ne!(state(), 'T');
    world.manager.call::<_, _, ()>("FreezeUnit", &"f.service").await.unwrap();
    assert_eq!(world.run("StopUnit", "f.service").await, "done");
    assert_eq!(world.get::<String>("f.service", "Unit", "FreezerState").await, "running");
}

#[tokio::test]
async fn reload_reads_a_changed_drop_in() {
    let units = [(
        "x@.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo %i ${WORD} >> DIR/said'\nEnvironment=WORD=one\n",
    )];
    let Some(mut world) = World::new(&units).await else { return };
    assert_eq!(world.run("StartUnit", "x@7.service").await, "done");
    write(&world.folder, "x@.service.d/a.conf", "[Service]\nEnvironment=WORD=two\n");
    assert_eq!(world.run("StartUnit", "x@7.service").await, "done");
    world.manager.call::<_, _, ()>("Reload", &()).await.unwrap();
    assert_eq!(world.run("StartUnit", "x@7.service").await, "done");
    assert_eq!(world.lines("said"), ["7 one", "7 one", "7 two"]);
}

#[tokio::test]
async fn a_thousand_units_can_be_loaded() {
    let Some(world) = World::new(PROMOTER).await else { return };
    for number in 0..1000 {
        let unit = format!("drbd-services@r{number}.target");
        let path: OwnedObjectPath = world.manager.call("LoadUnit", &unit).await.unwrap();
        assert_eq!(name::of_path(path.as_str()).as_deref(), Some(unit.as_str()));
    }
    let reply = world.manager.call_method("ListUnits", &()).await.unwrap();
    type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);
    let rows: Vec<Row> = reply.body().deserialize().unwrap();
    assert!(rows.iter().filter(|row| row.0.starts_with("drbd-services@")).count() >= 1000);
}

#[tokio::test]
async fn a_restart_of_the_machine_keeps_the_address_and_no_unit() {
    let units = [("u.service", "[Service]\nExecStart=/bin/sleep 1000\n")];
    let Some(mut world) = World::new(&units).await else { return };
    assert_eq!(world.run("StartUnit", "u.service").await, "done");
    let address = world.mock.address();
    world.mock.restart().unwrap();
    assert_eq!(world.mock.address(), address);
    let connection = zbus::connection::Builder::address(address.as_str()).build().await.unwrap();
    world.connection = connection;
    assert_eq!(world.get::<String>("u.service", "Unit", "ActiveState").await, "inactive");
}

#[tokio::test]
async fn nothing_is_left_when_the_mock_is_killed() {
    let units = [("l.service", "[Service]\nExecStart=/bin/sh -c 'sleep 1000 & sleep 1000'\n")];
    let Some(mut world) = World::new(&units).await else { return };
    assert_eq!(world.run("StartUnit", "l.service").await, "done");
    let pid: u32 = world.get("l.service", "Service", "MainPID").await;
    let group = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill(world.mock.pid(), rustix::process::Signal::KILL);
    let deadline = std::time::Instant::now() + PATIENCE;
    // Nobody tells of the end of a process that is not ours.
    while rustix::process::test_kill_process_group(group).is_ok() && !only_zombies(pid) {
        assert!(std::time::Instant::now() < deadline, "the guard did not end the group");
        tokio::task::yield_now().await;
    }
}

/// Whether what is left of a group waits only to be reaped by whoever inherited it.
fn only_zombies(group: u32) -> bool {
    let stats =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let rest = stats.filter_map(|stat| stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()));
    let mut members = rest.filter(|rest| rest.split(' ').nth(2) == Some(group.to_string().as_str()));
    members.all(|rest| rest.starts_with('Z'))
}
