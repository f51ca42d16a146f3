//! Storage events: how many messages a second are classified, in this process, on one core.

use std::fmt::Write as _;
use std::hint::black_box;

use anyhow::{Result, ensure};
use reactor_storage::catalogue::{Catalogue, notes};
use reactor_storage::record::{Origin, Record};
use rustix::time::{ClockId, clock_gettime};

use crate::report::{MET, MISSED};
use crate::setup::Setup;

/// Lines that are kept, and classified again and again: more than a processor's first cache holds.
const LINES: usize = 20_000;

/// One in so many is about storage.
const STORAGE: usize = 10;

/// Million lines a second, at least.
const TARGET: f64 = 5.0;

/// What the loop of peripety reaches, with its 18 rules. It does not know more.
const THEIRS: f64 = 0.8;

/// What a kernel says all day. `#` is a number.
const ORDINARY: [&str; 18] = [
    "usb 1-#: new high-speed USB device number # using xhci_hcd",
    "usb 1-#: New USB device found, idVendor=0781, idProduct=5581, bcdDevice= 1.00",
    "e1000e 0000:00:19.0 eth#: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
    "br0: port #(veth#) entered forwarding state",
    "device veth# entered promiscuous mode",
    "IPv6: ADDRCONF(NETDEV_CHANGE): veth#: link becomes ready",
    "audit: type=1400 audit(17000000#.000:2): apparmor=\"DENIED\" operation=\"open\" profile=\"a\" pid=# comm=\"b\"",
    "[UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.# DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=# DF PROTO=TCP SPT=# DPT=22",
    "TCP: request_sock_TCP: Possible SYN flooding on port #. Sending cookies.",
    "perf: interrupt took too long (# > 2500), lowering kernel.perf_event_max_sample_rate to 79500",
    "bash (#): drop_caches: 3",
    "python3[#]: segfault at 8 ip 00000000402cead8 sp 00007f7ffff77418 error 4 in libc.so.6",
    "Memory cgroup out of memory: Killed process # (tail) total-vm:22708kB, anon-rss:19896kB, file-rss:1572kB",
    "pcieport 0000:00:1c.0: PME: Signaling with IRQ #",
    "systemd[1]: Started session-#.scope - Session # of user root.",
    "mce: CPU#: Core temperature above threshold, cpu clock throttled (total events = #)",
    "i915 0000:00:02.0: [drm] GPU HANG: ecode 9:1:85dffffb, in Xorg [#]",
    "overlayfs: upperdir is in-use as upperdir/workdir of another mount, accessing files from both mounts will result in undefined behavior #.",
];

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let catalogue = Catalogue::built_in();
    let storage: Vec<&str> = notes()
        .iter()
        .filter(|note| note.of == "kernel")
        .flat_map(|note| note.wordings.iter().flat_map(|wording| wording.samples.iter().copied()))
        .collect();
    let text = |index: usize| match index % STORAGE {
        0 => storage[index / STORAGE % storage.len()].to_owned(),
        _ => ORDINARY[index % ORDINARY.len()].replace('#', &(index % 977).to_string()),
    };
    let lines: Vec<Record<'_>> = (0..LINES).map(|index| Record::new(Origin::Kernel, text(index))).collect();
    let mut table = format!(
        "\nStorage events: classification with {} wordings, one line in {STORAGE} about storage; one core\n\n{:<28}{:>14}{:>14}{:>18}{:>14}\n",
        notes().iter().map(|note| note.wordings.len()).sum::<usize>(),
        "lines",
        "million/s",
        "ns/line",
        "theirs, million/s",
        "target"
    );
    let all: Vec<&Record<'_>> = lines.iter().collect();
    let (of_storage, ordinary): (Vec<&Record<'_>>, Vec<&Record<'_>>) =
        lines.iter().partition(|record| catalogue.classify(record).is_some());
    ensure!(of_storage.len() == LINES / STORAGE, "{} lines are about storage", of_storage.len());
    for (name, lines, target) in
        [("all", &all, Some(TARGET)), ("those about storage", &of_storage, None), ("the others", &ordinary, None)]
    {
        let rate = rate(&catalogue, lines, setup.choose(10_000_000, 1_000_000));
        let theirs = target.map_or(String::new(), |_| THEIRS.to_string());
        let verdict = if rate >= TARGET { MET } else { MISSED };
        let target = target.map_or(String::new(), |target| format!(">{target}{verdict}"));
        _ = writeln!(table, "{name:<28}{rate:>14.2}{:>14.1}{theirs:>18}{target:>14}", 1e3 / rate);
    }
    Ok(table)
}

/// CPU of this thread, in seconds: what else the machine does is not asked for.
fn cpu_s() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Million lines for each second of CPU, the best of three.
fn rate(catalogue: &Catalogue, lines: &[&Record<'_>], count: usize) -> f64 {
    let rounds = count.div_ceil(lines.len());
    let once = || {
        let begin = cpu_s();
        for _ in 0..rounds {
            for record in lines {
                black_box(catalogue.classify(black_box(record)));
            }
        }
        (rounds * lines.len()) as f64 / (cpu_s() - begin) / 1e6
    };
    (0..3).map(|_| once()).fold(0.0, f64::max)
}
