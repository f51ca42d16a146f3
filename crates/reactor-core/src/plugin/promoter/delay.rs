//! How long to wait before a promotion: nodes with good data and preferred nodes go first.

use std::time::Duration;

use crate::action::Reason;
use crate::model::objects::Resource;
use crate::names;
use crate::settings::promoter::{OnQuorumLoss, PromotedResource};

use super::policy::Policy;
use super::view::{self, PeerNames};

/// A rank by data costs this much, so that the winner's promotion is seen before the next one tries.
const HEAD_START: Duration = Duration::from_millis(200);

/// With `on-quorum-loss = "freeze"`: time for the frozen old Primary to come back.
const FREEZE: Duration = Duration::from_secs(2);

/// Where a resource has no device yet and its lower device is `none`.
const NO_DEVICE: Duration = Duration::from_secs(6);

/// The sum, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Delay {
    pub(super) total: Duration,
    pub(super) because: Vec<Reason>,
}

impl Delay {
    fn add(&mut self, delay: Duration, why: impl FnOnce() -> String) {
        if !delay.is_zero() {
            self.total += delay;
            self.because.push(Reason(format!("{}: {}", why(), seconds(delay))));
        }
    }
}

/// Seconds as people write them: `2 s`, `0.2 s`.
pub(super) fn seconds(duration: Duration) -> String {
    let millis = format!("{:03}", duration.subsec_millis());
    match millis.trim_end_matches('0') {
        "" => format!("{} s", duration.as_secs()),
        part => format!("{}.{part} s", duration.as_secs()),
    }
}

/// How often, as people say it.
pub(super) fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// The delay of this node for this resource now.
pub(super) fn delay(
    resource: &Resource,
    settings: &PromotedResource,
    policy: Policy,
    peers: &PeerNames,
    own_name: &str,
    own_id: Option<u32>,
    has_diskless_lower: bool,
) -> Delay {
    let mut delay = Delay::default();
    match view::disk_delay(resource) {
        Some((volume, disk, time)) => delay.add(time, || format!("volume {volume} is {disk}")),
        None if has_diskless_lower => delay.add(NO_DEVICE, || "no disk here".to_owned()),
        None => {}
    }
    let index = names::index(&settings.preferred_nodes, own_name);
    delay.add(Duration::from_secs(index as u64), || {
        if index < settings.preferred_nodes.len() {
            format!("number {} of preferred-nodes", index + 1)
        } else {
            "not one of preferred-nodes".to_owned()
        }
    });
    match policy {
        Policy::Fencing => {
            let away = view::not_connected(resource);
            if let Some(peer) = away.first() {
                let time = Duration::from_secs(settings.fencing_promote_delay_s);
                delay.add(time, || format!("fencing, and {} is not connected", peers.of(resource, *peer)));
            }
        }
        Policy::Quorum if settings.on_quorum_loss == OnQuorumLoss::Freeze => {
            delay.add(FREEZE, || "a frozen Primary may come back".to_owned());
        }
        Policy::Quorum | Policy::Alone | Policy::None | Policy::Unknown => {}
    }
    let factor = settings.sleep_before_promote_factor;
    if factor != 1 && !delay.total.is_zero() {
        delay.total = delay.total.saturating_mul(factor);
        delay.because.push(Reason(format!("sleep-before-promote-factor = {factor}")));
    }
    if settings.head_start {
        let better = view::better(resource, own_id);
        let rank = u32::try_from(better.len()).unwrap_or(u32::MAX);
        delay.add(HEAD_START.saturating_mul(rank), || {
            let names: Vec<String> = better.iter().map(|peer| peers.of(resource, *peer)).collect();
            format!("{} could take it first, by data and node id", names.join(", "))
        });
    }
    delay
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ResourceName;

    /// What the delay of `own` is made of, if DRBD has no device of it yet.
    fn said(preferred: &[&str], own: &str, has_diskless_lower: bool) -> Vec<String> {
        let settings = PromotedResource {
            preferred_nodes: preferred.iter().map(|name| (*name).to_owned()).collect(),
            head_start: false,
            ..PromotedResource::default()
        };
        let resource = Resource::new(ResourceName::new("r0"));
        let peers = PeerNames::default();
        let delay = delay(&resource, &settings, Policy::Quorum, &peers, own, Some(0), has_diskless_lower);
        delay.because.into_iter().map(|reason| reason.0).collect()
    }

    #[test]
    fn each_part_says_what_it_is_for() {
        let table: [(&[&str], &str, bool, &[&str]); 6] = [
            (&[], "n1", false, &[]),
            (&[], "n1", true, &["no disk here: 6 s"]),
            (&["n1", "n2"], "n1", false, &[]),
            (&["n2", "n1"], "n1", false, &["number 2 of preferred-nodes: 1 s"]),
            (&["n2", "n3"], "n1", false, &["not one of preferred-nodes: 2 s"]),
            (&["n2", "n1"], "n1", true, &["no disk here: 6 s", "number 2 of preferred-nodes: 1 s"]),
        ];
        for (preferred, own, diskless, wanted) in table {
            assert_eq!(said(preferred, own, diskless), wanted, "{preferred:?}, {own}");
        }
    }

    #[test]
    fn numbers_are_said_as_people_say_them() {
        assert_eq!([1, 2].map(times), ["once", "2 times"]);
        assert_eq!([2000, 200, 1050].map(|ms| seconds(Duration::from_millis(ms))), ["2 s", "0.2 s", "1.05 s"]);
    }
}
