use super::*;
use crate::switch::Flap;
use crate::switch::PartsPerMillion;

const A: Port = Port(0);
const B: Port = Port(1);
const C: Port = Port(2);
const BROADCAST: u8 = 0xff;

/// A frame from the node with one number to the node with another; the last byte tells frames apart.
fn frame(to: u8, from: u8, tag: u8) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&if to == BROADCAST { [0xff; 6] } else { [2, 0, 0, 0, 0, to] });
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, from]);
    frame[59] = tag;
    frame
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Three nodes in both networks whose addresses are known.
fn fabric() -> Fabric {
    let mut fabric = Fabric::new(7);
    for port in [A, B, C] {
        for net in [Net::DATA, Net::MGMT] {
            fabric.attach(net, port);
            fabric.send(ms(0), net, port, &frame(BROADCAST, port.0, 0), &mut Vec::new());
        }
    }
    fabric
}

/// Sends a frame; who gets it at once.
fn send(fabric: &mut Fabric, now: Duration, from: Port, to: u8) -> Vec<Port> {
    let mut targets = Vec::new();
    fabric.send(now, Net::DATA, from, &frame(to, from.0, 0), &mut targets);
    targets.into_iter().map(|target| target.to).collect()
}

/// Tags of all frames that are there by now.
fn arrived(fabric: &mut Fabric, now: Duration) -> Vec<u8> {
    std::iter::from_fn(|| fabric.arrived(now)).map(|(_, _, frame)| frame[59]).collect()
}

#[test]
fn unknown_addresses_and_groups_go_to_all_others_known_ones_to_one() {
    let mut fabric = fabric();
    assert_eq!(send(&mut fabric, ms(1), A, BROADCAST), [B, C]);
    assert_eq!(send(&mut fabric, ms(1), A, 99), [B, C]);
    assert_eq!(send(&mut fabric, ms(1), A, 1), [B]);
    assert_eq!(send(&mut fabric, ms(1), A, 0), [], "a frame to oneself goes nowhere");
}

#[test]
fn an_address_that_moves_is_followed() {
    let mut fabric = fabric();
    let mut targets = Vec::new();
    fabric.send(ms(1), Net::DATA, C, &frame(BROADCAST, 42, 0), &mut targets);
    assert_eq!(send(&mut fabric, ms(2), A, 42), [C]);
    fabric.send(ms(3), Net::DATA, B, &frame(BROADCAST, 42, 0), &mut targets);
    assert_eq!(send(&mut fabric, ms(4), A, 42), [B]);
}

#[test]
fn networks_do_not_meet() {
    let mut fabric = Fabric::new(1);
    fabric.attach(Net::DATA, A);
    fabric.attach(Net::MGMT, B);
    assert_eq!(send(&mut fabric, ms(1), A, BROADCAST), []);
}

#[test]
fn runts_are_ignored() {
    let mut fabric = fabric();
    let mut targets = Vec::new();
    fabric.send(ms(1), Net::DATA, A, &[0xff; 13], &mut targets);
    assert_eq!(targets, []);
}

#[test]
fn a_cut_has_one_direction() {
    let mut fabric = fabric();
    fabric.link(Net::DATA, A, B).unwrap().cut = true;
    assert_eq!(send(&mut fabric, ms(1), A, 1), []);
    assert_eq!(send(&mut fabric, ms(1), A, BROADCAST), [C]);
    assert_eq!(send(&mut fabric, ms(1), B, 0), [A]);
    fabric.link(Net::DATA, A, B).unwrap().cut = false;
    assert_eq!(send(&mut fabric, ms(2), A, 1), [B]);
    let counters = fabric.links().find(|(net, from, to, ..)| (*net, *from, *to) == (Net::DATA, A, B)).unwrap().4;
    assert_eq!((counters.cut, counters.lost), (2, 0));
}

#[test]
fn the_management_network_takes_no_faults_and_nobody_has_a_link_to_oneself() {
    let mut fabric = fabric();
    assert!(matches!(fabric.link(Net::MGMT, A, B), Err(SwitchError::Protected { .. })));
    assert!(matches!(fabric.link(Net::DATA, A, A), Err(SwitchError::SamePort { .. })));
}

#[test]
fn delay_holds_a_frame_for_exactly_that_long() {
    let mut fabric = fabric();
    fabric.link(Net::DATA, A, B).unwrap().delay = ms(50);
    assert_eq!(send(&mut fabric, ms(10), A, 1), []);
    assert_eq!(fabric.next_arrival(), Some(ms(60)));
    assert!(fabric.arrived(ms(59)).is_none());
    assert_eq!(arrived(&mut fabric, ms(60)), [0]);
    assert_eq!(fabric.next_arrival(), None);
}

#[test]
fn neither_jitter_nor_a_shorter_delay_lets_a_frame_overtake() {
    let mut fabric = fabric();
    let link = fabric.link(Net::DATA, A, B).unwrap();
    (link.delay, link.jitter) = (ms(50), ms(40));
    for tag in 0..100 {
        fabric.send(ms(u64::from(tag)), Net::DATA, A, &frame(1, 0, tag), &mut Vec::new());
    }
    *fabric.link(Net::DATA, A, B).unwrap() = Link::default();
    let mut at_once = Vec::new();
    fabric.send(ms(99), Net::DATA, A, &frame(1, 0, 100), &mut at_once);
    assert_eq!(at_once, []);
    assert_eq!(arrived(&mut fabric, ms(300)), (0..=100).collect::<Vec<u8>>());
}

#[test]
fn jitter_stays_in_its_bounds_and_varies() {
    let mut random = Random(3);
    let times: Vec<Duration> = (0..1000).map(|_| random.around(ms(50), ms(20))).collect();
    assert!(times.iter().all(|t| (ms(30)..=ms(70)).contains(t)));
    assert!(times.iter().any(|t| *t < ms(35)) && times.iter().any(|t| *t > ms(65)));
    assert!(random.around(ms(0), ms(20)) <= ms(20));
}

#[test]
fn a_cut_takes_what_is_under_way() {
    let mut fabric = fabric();
    fabric.link(Net::DATA, A, B).unwrap().delay = ms(50);
    send(&mut fabric, ms(1), A, 1);
    fabric.link(Net::DATA, A, B).unwrap().cut = true;
    assert!(arrived(&mut fabric, ms(60)).is_empty());
    assert_eq!(fabric.next_arrival(), None);
}

#[test]
fn an_unplugged_node_gets_nothing_and_its_address_is_forgotten() {
    let mut fabric = fabric();
    fabric.link(Net::DATA, A, B).unwrap().delay = ms(50);
    send(&mut fabric, ms(1), A, 1);
    fabric.detach(Net::DATA, B);
    assert!(arrived(&mut fabric, ms(60)).is_empty());
    assert_eq!(send(&mut fabric, ms(61), A, 1), [C], "unknown again, so flooded");
    fabric.attach(Net::DATA, B);
    send(&mut fabric, ms(62), A, 1);
    assert_eq!(arrived(&mut fabric, ms(112)), [0], "the delay has stayed");
}

#[test]
fn loss_is_a_share_and_the_same_for_the_same_seed() {
    let run = |seed| {
        let mut fabric = Fabric::new(seed);
        fabric.attach(Net::DATA, A);
        fabric.attach(Net::DATA, B);
        fabric.link(Net::DATA, A, B).unwrap().loss = PartsPerMillion::from_percent(10.0);
        (0..10_000).map(|i| send(&mut fabric, ms(i), A, BROADCAST).len()).collect::<Vec<_>>()
    };
    let passed = run(1).iter().sum::<usize>();
    assert!((8_800..9_200).contains(&passed), "{passed}");
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn the_loss_of_one_link_does_not_depend_on_the_traffic_of_others() {
    let run = |other_traffic: bool| {
        let mut fabric = fabric();
        fabric.link(Net::DATA, A, B).unwrap().loss = PartsPerMillion::from_percent(50.0);
        fabric.link(Net::DATA, C, B).unwrap().loss = PartsPerMillion::from_percent(50.0);
        (0..200)
            .map(|i| {
                if other_traffic {
                    send(&mut fabric, ms(i), C, 1);
                }
                send(&mut fabric, ms(i), A, 1).len()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_flapping_link_follows_its_period() {
    let mut fabric = fabric();
    fabric.link(Net::DATA, A, B).unwrap().flap = Some(Flap { since: ms(100), down: ms(20), up: ms(30) });
    let up: Vec<u64> = (100..200).step_by(10).filter(|at| !send(&mut fabric, ms(*at), A, 1).is_empty()).collect();
    assert_eq!(up, [120, 130, 140, 170, 180, 190]);
}

#[test]
fn a_frame_that_was_not_taken_is_counted_once() {
    let mut fabric = fabric();
    send(&mut fabric, ms(1), A, 1);
    fabric.overflowed(A, Target { net: Net::DATA, to: B }, 60);
    let counters = fabric.links().find(|(net, from, to, ..)| (*net, *from, *to) == (Net::DATA, A, B)).unwrap().4;
    assert_eq!((counters.frames, counters.bytes, counters.overflowed), (0, 0, 1));
}
