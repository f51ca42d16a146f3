use super::*;

fn two_members(dependency: Dependency) -> Systemd {
    let mut systemd = Systemd::new(1);
    let settings = PromotedResource {
        start: ["r0.mount", "app.service"].map(|unit| StartEntry::Unit(unit.to_owned()).into()).to_vec(),
        target_as: dependency,
        ..PromotedResource::default()
    };
    systemd.load(0, "r0", &settings);
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
