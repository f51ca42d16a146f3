use super::*;
use reactor_core::settings::promoter::{Dependency, Entry, How, PromotedResource, StartEntry};

fn two_members(dependency: Dependency) -> Systemd {
    let mut systemd = Systemd::new(1);
    let settings = PromotedResource {
        start: ["r0.mount", "app.service"].map(|unit| StartEntry::Unit(unit.to_owned()).into()).to_vec(),
        target_as: dependency,
        ..PromotedResource::default()
    };
    systemd.load(0, "r0", &settings, "n1");
    systemd
}

/// Lets everything happen at once, and well; gives how the calls ended.
fn settle(systemd: &mut Systemd, promotes: bool) -> Vec<UnitEnd> {
    let mut ends = Vec::new();
    loop {
        let effects = systemd.take_effects();
        if effects.is_empty() {
            return ends;
        }
        for effect in effects {
            match effect {
                Effect::After(_, unit, step) => systemd.timer(unit, step),
                Effect::Configure(unit, step) => systemd.configured(unit, step, true),
                Effect::Primary(unit, step) => systemd.promoted(unit, step, promotes),
                Effect::Secondary(unit, step, _) => systemd.demoted(unit, step, true),
                Effect::Open(unit, step) => systemd.opened(unit, step, true),
                Effect::Flush(unit, step) => systemd.flushed(unit, step),
                Effect::Ended(_, end) => ends.push(end),
                Effect::Close(_) | Effect::Failed(_) | Effect::Tell(_) => {}
            }
        }
    }
}

/// What is up, besides drbd-utils' own unit of the resource, which stays up.
fn active(systemd: &Systemd) -> Vec<&str> {
    ours(systemd).filter(|unit| unit.is_active()).map(|unit| unit.name.as_str()).collect()
}

fn ours(systemd: &Systemd) -> impl Iterator<Item = &Unit> {
    systemd.units().iter().filter(|unit| unit.name.as_str() != "drbd@r0.service")
}

fn unit(systemd: &Systemd, name: &str) -> usize {
    systemd.units().iter().position(|unit| unit.name.as_str() == name).unwrap()
}

#[test]
fn a_start_promotes_first_and_ends_with_the_target() {
    let mut systemd = two_members(Dependency::Requires);
    systemd.start(0, Some((0, 1)));
    assert_eq!(settle(&mut systemd, true), [UnitEnd::Done]);
    assert_eq!(active(&systemd), ["drbd-services@r0.target", "drbd-promote@r0.service", "r0.mount", "app.service"]);
    systemd.stop(0, Some((0, 2)));
    assert_eq!(settle(&mut systemd, true), [UnitEnd::Done]);
    assert!(active(&systemd).is_empty());
}

#[test]
fn a_lost_race_ends_the_job_with_dependency_and_fails_nothing() {
    let mut systemd = two_members(Dependency::Requires);
    systemd.start(0, Some((0, 1)));
    assert_eq!(settle(&mut systemd, false), [UnitEnd::Job("dependency".to_owned())]);
    assert!(ours(&systemd).all(|unit| unit.phase == Phase::Dead && !unit.has_job()));
    assert_eq!(systemd.units()[unit(&systemd, "drbd-promote@r0.service")].result, "exec-condition");
}

#[test]
fn a_service_that_fails_takes_the_target_with_it_only_if_that_binds_to_it() {
    for (dependency, rest) in [(Dependency::Requires, 3), (Dependency::BindsTo, 0)] {
        let mut systemd = two_members(dependency);
        systemd.start(0, None);
        settle(&mut systemd, true);
        let app = unit(&systemd, "app.service");
        systemd.fail(app);
        settle(&mut systemd, true);
        assert_eq!(active(&systemd).len(), rest, "{dependency:?}");
        assert_eq!(systemd.units()[app].phase, Phase::Failed);
    }
}

#[test]
fn a_stop_replaces_a_start() {
    let mut systemd = two_members(Dependency::Requires);
    systemd.start(0, Some((0, 1)));
    systemd.stop(0, Some((0, 2)));
    let ends = settle(&mut systemd, true);
    assert_eq!(ends, [UnitEnd::Job("canceled".to_owned()), UnitEnd::Done]);
    assert!(active(&systemd).is_empty());
}

#[test]
fn with_restart_always_everything_stops_and_starts_again() {
    let mut systemd = two_members(Dependency::Requires);
    let app = unit(&systemd, "app.service");
    systemd.health_mut(app).restarts = true;
    systemd.start(0, None);
    settle(&mut systemd, true);
    systemd.fail(app);
    settle(&mut systemd, true);
    assert_eq!(active(&systemd).len(), 4);
    systemd.fail(app);
    settle(&mut systemd, false);
    assert!(active(&systemd).is_empty(), "another node won the race");
}

fn stack(start: Vec<Entry>, standby: &[&str]) -> Systemd {
    let standby = standby.iter().map(|unit| StartEntry::Unit((*unit).to_owned()).into()).collect();
    let mut systemd = Systemd::new(1);
    systemd.load(0, "r0", &PromotedResource { start, standby, ..PromotedResource::default() }, "n1");
    systemd
}

fn entry(unit: &str, how: How, group: Option<u32>) -> Entry {
    Entry { how, group, ..StartEntry::Unit(unit.to_owned()).into() }
}

#[test]
fn the_others_start_without_what_is_optional_and_wait_for_it() {
    for how in [How { optional: true, ..How::default() }, How { monitor: false, ..How::default() }] {
        let entries = [("app.service", How::default()), ("extra.service", how), ("ip.service", How::default())];
        let mut systemd = stack(entries.map(|(unit, how)| entry(unit, how, None)).to_vec(), &[]);
        let [app, extra, ip] = ["app.service", "extra.service", "ip.service"].map(|name| unit(&systemd, name));
        assert_eq!(systemd.units()[ip].requires, [app]);
        assert!(systemd.units()[ip].after.contains(&extra) && systemd.units()[ip].after.contains(&app));
        systemd.health_mut(extra).start_fails = true;
        systemd.start(0, Some((0, 1)));
        assert_eq!(settle(&mut systemd, true), [UnitEnd::Done]);
        assert_eq!(active(&systemd).len(), 4);
        assert_eq!(systemd.units()[extra].phase, Phase::Failed);
    }
}

#[test]
fn what_stands_side_by_side_does_not_wait_and_the_next_waits_for_all() {
    let entries = [("app.service", None), ("a.service", Some(1)), ("b.service", Some(1)), ("ip.service", None)];
    let systemd = stack(entries.map(|(unit, group)| entry(unit, How::default(), group)).to_vec(), &[]);
    let [app, a, b, ip] = ["app.service", "a.service", "b.service", "ip.service"].map(|name| unit(&systemd, name));
    for side in [a, b] {
        assert_eq!(systemd.units()[side].requires, [app]);
    }
    assert_eq!(systemd.units()[ip].requires, [a, b]);
    assert!(!systemd.units()[a].after.contains(&b) && !systemd.units()[b].after.contains(&a));
}

#[test]
fn a_node_leaves_out_what_is_disabled_there() {
    let how = How { disabled_on: vec!["n1".to_owned()], ..How::default() };
    let systemd = stack(vec![entry("app.service", How::default(), None), entry("extra.service", how, None)], &[]);
    assert_eq!(systemd.find("extra.service"), None);
}

/// A start of one stops the other, whichever says that they conflict; and the promotion waits for that.
#[test]
fn what_runs_on_a_secondary_and_the_promotion_stop_each_other() {
    let mut systemd = stack(vec![entry("app.service", How::default(), None)], &["reader.service"]);
    let (standby, reader) = (unit(&systemd, "storage-reactor-standby@r0.target"), unit(&systemd, "reader.service"));
    let promote = unit(&systemd, "drbd-promote@r0.service");
    systemd.start(standby, Some((0, 1)));
    assert_eq!(settle(&mut systemd, true), [UnitEnd::Done]);
    assert!(systemd.units()[reader].is_active());
    systemd.health_mut(reader).hangs = true;
    systemd.start(0, Some((0, 2)));
    assert!(systemd.units()[promote].is_down() && systemd.units()[promote].has_start(), "it waits");
    assert_eq!(systemd.units()[reader].phase, Phase::Stopping { tries: 0 });
    assert_eq!(settle(&mut systemd, true), [UnitEnd::Done]);
    assert!(systemd.units()[promote].is_active() && systemd.units()[reader].phase == Phase::Failed);
    systemd.start(standby, None);
    assert!(systemd.units()[reader].is_down(), "it waits, too");
    settle(&mut systemd, true);
    assert!(systemd.units()[promote].is_down() && systemd.units()[reader].is_active());
}
