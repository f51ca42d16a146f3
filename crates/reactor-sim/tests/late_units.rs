//! The client of systemd beside a systemd that is slow, as on busy nodes with DRBD 9: one unit that is late, many that take their time, a
//! daemon-reload of many seconds. No unit and no reload may take the connection from all.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers of these tests are tests, too")]

use std::fs;
use std::time::Duration;

use reactor_core::action::UnitCall;
use reactor_core::ids::{Mono, ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::settings::Bus;
use reactor_core::systemd::{ActiveState, BusEvent, BusState, LoadState, UnitEnd, UnitVerb, Units};
use reactor_sim::daemon::TempDir;
use reactor_sim::systemd_bus::Harness;
use reactor_sim::systemd_bus::harness::dbus_daemon;
use reactor_sys::systemd::{Handle, Link};

/// Only what hangs takes that long.
const PATIENCE: Duration = Duration::from_secs(120);

struct World {
    mock: Harness,
    link: Link,
    units: Units,
    folder: TempDir,
}

fn service(number: usize) -> String {
    format!("app-{number:02}.service")
}

impl World {
    /// So many services, followed in this order, with these faults. `None` = there is no dbus-daemon, which is said.
    fn new(services: usize, faults: &str) -> Option<Self> {
        if dbus_daemon().is_none() {
            println!("SKIPPED: dbus-daemon is not installed");
            return None;
        }
        let folder = TempDir::new("late-units").unwrap();
        fs::create_dir(folder.path().join("units")).unwrap();
        let names: Vec<String> = (0..services).map(service).collect();
        for name in &names {
            let text = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";
            fs::write(folder.path().join("units").join(name), text).unwrap();
        }
        let mock = Harness::start(&folder.path().join("m"), &[folder.path().join("units")]).unwrap();
        mock.set_faults(faults).unwrap();
        let followed = names.iter().map(|name| UnitName::new(name)).collect();
        let link = Link::connect(&Bus::Address(mock.address()), followed);
        Some(Self { mock, link, units: Units::default(), folder })
    }

    /// Takes news in until `is_it` says so. The connection is never lost.
    async fn until(&mut self, what: &str, is_it: impl Fn(&Units) -> bool) {
        let (link, units) = (&mut self.link, &mut self.units);
        let work = async {
            while !is_it(units) {
                match link.next().await {
                    Input::Units(news) => {
                        for news in &news {
                            units.apply(news);
                        }
                    }
                    Input::Bus(BusEvent::Down { why }) => panic!("the connection was given up: {why}"),
                    Input::Bus(event) => units.bus_event(Mono::ZERO, &event),
                    _ => {}
                }
            }
        };
        let done = tokio::time::timeout(PATIENCE, work).await;
        done.unwrap_or_else(|_| panic!("waited in vain until {what}; the mock's log:\n{}", self.mock.log()));
    }

    async fn until_told(&mut self, numbers: impl IntoIterator<Item = usize>) {
        let names: Vec<String> = numbers.into_iter().map(service).collect();
        self.until("all are told", |units| {
            *units.bus() == BusState::Up && names.iter().all(|name| units.is_told(name))
        })
        .await;
    }

    /// Lines of the mock's log.
    fn log(&self) -> Vec<String> {
        self.mock.log().lines().map(|line| line.trim_start_matches("mock-systemd: ").to_owned()).collect()
    }
}

async fn start(handle: &Handle, unit: &str) -> UnitEnd {
    let resource = ResourceName::new("r0");
    let (unit, verb, reset) = (UnitName::new(unit), UnitVerb::Start, Vec::new());
    handle.call(UnitCall { unit, verb, reset, deadline: PATIENCE, resource }).await
}

#[tokio::test]
async fn a_late_unit_is_asked_about_again_and_delays_no_other() {
    let Some(mut world) = World::new(20, "late app-07.service") else { return };
    world.until_told((0..20).filter(|number| *number != 7)).await;
    assert!(!world.units.is_told(&service(7)));
    // Calls are carried out meanwhile, also for the late one.
    assert_eq!(start(&world.link.handle(), &service(7)).await, UnitEnd::Done);
    assert!(!world.units.is_told(&service(7)), "part of what is to be known is not enough");
    world.mock.set_faults("").unwrap();
    // It is asked again by itself.
    world.until_told([7]).await;
    assert_eq!(world.units.get(&service(7)).unwrap().active, ActiveState::Active);
}

#[tokio::test]
async fn a_start_does_not_wait_behind_all_units_that_are_loaded() {
    let Some(mut world) = World::new(64, "load 20") else { return };
    world.until_told([0]).await;
    let count = |log: &[String]| log.iter().filter(|line| line.starts_with("GetAll ")).count();
    let before = count(&world.log());
    assert_eq!(start(&world.link.handle(), &service(63)).await, UnitEnd::Done);
    let log = world.log();
    let started = log.iter().position(|line| *line == format!("StartUnit {}", service(63))).unwrap();
    let between = count(&log[..started]) - before;
    assert!(between < 32, "{between} units were loaded before the start");
    world.until_told(0..64).await;
    let asked: Vec<String> =
        world.log().iter().filter_map(|line| Some(line.strip_prefix("GetAll ")?.to_owned())).collect();
    assert_eq!(asked[..8], (0..8).map(service).collect::<Vec<_>>(), "in the order in which they are needed");
}

#[tokio::test]
async fn a_reload_that_takes_long_makes_nothing_due_that_did_not_change() {
    let Some(mut world) = World::new(8, "load 1\nreload 1000") else { return };
    world.until_told(0..8).await;
    let handle = world.link.handle();
    assert_eq!(start(&handle, &service(0)).await, UnitEnd::Done);
    world
        .until("it is up", |units| {
            units.get(&service(0)).is_some_and(|unit| unit.active == ActiveState::Active && !unit.job)
        })
        .await;
    std::os::unix::fs::symlink("/dev/null", world.folder.path().join("units/app-01.service.new")).unwrap();
    fs::rename(world.folder.path().join("units/app-01.service.new"), world.folder.path().join("units/app-01.service"))
        .unwrap();
    let before = world.log().len();
    handle.reload(PATIENCE).await.unwrap();
    // What is not in memory is looked at in the end, too.
    world
        .until("the mask is seen", |units| units.get(&service(1)).is_some_and(|unit| unit.load == LoadState::Masked))
        .await;
    let asked = world.log().split_off(before);
    assert!(!asked.contains(&format!("GetAll {}", service(0))), "{asked:#?}");
}
