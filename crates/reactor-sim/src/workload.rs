//! events2 text of a made-up node, as DRBD 9.3 prints it with `--full`: a dump, then events without end.
//!
//! Most events are what a statistics poll prints: the line of an object, its numbers moved. Some twentieth are state changes, in bursts as the
//! kernel prints them, the resource line first: a peer lost and found, a promotion and a demotion, a disk lost and attached, a resync. Every
//! story ends in the state in which it began, so that a block of text can be printed again and again and stays true.

use std::fmt::Write as _;

use crate::rng::Rng;

/// How big the node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Resources.
    pub resources: u32,
    /// Volumes of each.
    pub volumes: u32,
    /// Peers of each.
    pub peers: u32,
}

impl Shape {
    /// Objects of one resource: itself, devices, connections, peer devices.
    fn objects(self) -> u32 {
        1 + self.volumes + self.peers + self.volumes * self.peers
    }
}

/// What the lines begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// Nothing.
    None,
    /// Time stamps, one for each burst (`--timestamps`).
    Burst,
}

/// Name of resource `index`.
pub fn resource_name(index: u32) -> String {
    format!("res{index:04}")
}

/// A made-up node that prints what happens to it.
#[derive(Debug)]
pub struct Workload {
    shape: Shape,
    stamps: Stamps,
    rng: Rng,
    /// Microseconds since the made-up beginning.
    now_us: u64,
    /// What all counters of all objects move by.
    moved: u64,
    stamp: String,
    lines: u64,
}

/// States of one resource while a story is told.
#[derive(Clone, Copy)]
struct State {
    role: &'static str,
    may_promote: &'static str,
    score: u32,
    connection: &'static str,
    peer_role: &'static str,
    disk: &'static str,
    quorum: &'static str,
    open: &'static str,
    replication: &'static str,
    peer_disk: &'static str,
}

const QUIET: State = State {
    role: "Secondary",
    may_promote: "no",
    score: 10203,
    connection: "Connected",
    peer_role: "Secondary",
    disk: "UpToDate",
    quorum: "yes",
    open: "no",
    replication: "Established",
    peer_disk: "UpToDate",
};

impl Workload {
    /// A node of this shape; the same `seed` gives the same text.
    pub fn new(shape: Shape, stamps: Stamps, seed: u64) -> Self {
        let stamp = String::new();
        Self { shape, stamps, rng: Rng::new(seed), now_us: 0, moved: 0, stamp, lines: 0 }
    }

    /// Lines printed so far, the `exists -` included.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The full dump, in the order in which DRBD prints it: highest node id and volume first.
    pub fn dump(&mut self, out: &mut String) {
        self.begin_burst();
        for r in 0..self.shape.resources {
            self.resource(out, "exists", r, QUIET);
            for p in (0..self.shape.peers).rev() {
                self.connection(out, "exists", r, p, QUIET);
            }
            for v in (0..self.shape.volumes).rev() {
                self.device(out, "exists", r, v, QUIET);
            }
            for p in (0..self.shape.peers).rev() {
                for v in (0..self.shape.volumes).rev() {
                    self.peer_device(out, "exists", r, p, v, QUIET);
                }
                self.path(out, "exists", r, p, QUIET);
            }
        }
        self.line(out, "exists -");
    }

    /// At least `lines` lines of events. It ends with all states as they were at its beginning.
    pub fn events(&mut self, lines: u64, out: &mut String) {
        let end = self.lines + lines;
        while self.lines < end {
            // A story has some 10 to 40 lines on a small resource, a poll up to 64: this makes state changes some 5 to 10 % of all lines.
            let share = u64::from(self.shape.objects().min(64)) * 16;
            if self.rng.below(share) < 8 {
                // Never the last one: it belongs to `role_change`, and a block may be left in the middle of a story.
                let resource = self.pick(self.shape.resources.saturating_sub(1));
                self.story(resource, out);
            } else {
                let resource = self.pick(self.shape.resources);
                self.poll(resource, out);
            }
        }
    }

    /// One state change that a rule can match: resource `index` becomes Primary, or Secondary again. No story is told of the last resource.
    pub fn role_change(&mut self, index: u32, primary: bool, out: &mut String) {
        self.begin_burst();
        let state = if primary { State { role: "Primary", score: 10203, ..QUIET } } else { QUIET };
        self.resource(out, "change", index, state);
    }

    /// Resources may be promoted, or may not, because a peer demoted them: one burst, of each the resource line and that of the connection.
    pub fn may_promote(&mut self, resources: std::ops::Range<u32>, may: bool, out: &mut String) {
        self.begin_burst();
        let state = if may { State { may_promote: "yes", ..QUIET } } else { State { peer_role: "Primary", ..QUIET } };
        for r in resources {
            self.resource(out, "change", r, state);
            self.connection(out, "change", r, 0, state);
        }
    }

    /// What `drbdsetup show --json` says: options with which a promoter works, everything else as DRBD has it by default.
    pub fn show(&self) -> String {
        let resources: Vec<String> = (0..self.shape.resources)
            .map(|r| {
                format!(
                    "{{\"resource\":\"{}\",\"options\":{{\"auto-promote\":false,\"quorum\":\"majority\",\"on-no-quorum\":\"io-error\",\
                     \"on-no-data-accessible\":\"io-error\"}},\"_this_host\":{{\"node-id\":0}},\"connections\":[]}}",
                    resource_name(r)
                )
            })
            .collect();
        format!("[{}]\n", resources.join(","))
    }

    /// What a poll prints when there was I/O everywhere: every object has new numbers.
    pub fn poll_all(&mut self, out: &mut String) {
        for r in 0..self.shape.resources {
            self.begin_burst();
            for p in 0..self.shape.peers {
                self.connection(out, "change", r, p, QUIET);
            }
            for v in 0..self.shape.volumes {
                self.device(out, "change", r, v, QUIET);
                for p in 0..self.shape.peers {
                    self.peer_device(out, "change", r, p, v, QUIET);
                }
            }
        }
    }

    /// What a poll prints: the objects of which numbers moved.
    fn poll(&mut self, r: u32, out: &mut String) {
        for _ in 0..self.shape.objects().min(8) {
            self.begin_burst();
            let (v, p) = (self.pick(self.shape.volumes), self.pick(self.shape.peers));
            match self.rng.below(8) {
                0..=3 => self.device(out, "change", r, v, QUIET),
                4..=6 => self.peer_device(out, "change", r, p, v, QUIET),
                _ => self.connection(out, "change", r, p, QUIET),
            }
        }
    }

    /// A few state changes that end where they began.
    fn story(&mut self, r: u32, out: &mut String) {
        let (v, p) = (self.pick(self.shape.volumes), self.pick(self.shape.peers));
        match self.rng.below(4) {
            0 => self.peer_lost_and_found(r, p, out),
            1 => self.promoted_and_demoted(r, v, out),
            2 => self.disk_lost_and_attached(r, v, out),
            _ => self.resync(r, p, v, out),
        }
    }

    fn peer_lost_and_found(&mut self, r: u32, p: u32, out: &mut String) {
        let gone = State {
            score: 10102,
            connection: "NetworkFailure",
            peer_role: "Unknown",
            replication: "Off",
            peer_disk: "DUnknown",
            ..QUIET
        };
        self.begin_burst();
        self.resource(out, "change", r, gone);
        self.connection(out, "change", r, p, gone);
        self.peer_devices_of(r, p, gone, out);
        self.begin_burst();
        self.path(out, "change", r, p, gone);
        for word in ["Unconnected", "Connecting"] {
            self.begin_burst();
            self.connection(out, "change", r, p, State { connection: word, ..gone });
        }
        self.begin_burst();
        self.path(out, "change", r, p, QUIET);
        self.begin_burst();
        self.resource(out, "change", r, QUIET);
        self.connection(out, "change", r, p, QUIET);
        self.peer_devices_of(r, p, QUIET, out);
    }

    fn peer_devices_of(&mut self, r: u32, p: u32, state: State, out: &mut String) {
        for v in 0..self.shape.volumes {
            self.peer_device(out, "change", r, p, v, state);
        }
    }

    fn promoted_and_demoted(&mut self, r: u32, v: u32, out: &mut String) {
        let free = State { may_promote: "yes", ..QUIET };
        let primary = State { role: "Primary", ..QUIET };
        let opened = State { open: "yes", ..primary };
        self.begin_burst();
        self.resource(out, "change", r, free);
        self.begin_burst();
        self.resource(out, "change", r, primary);
        for state in [opened, primary] {
            self.begin_burst();
            self.device(out, "change", r, v, state);
        }
        for state in [free, QUIET] {
            self.begin_burst();
            self.resource(out, "change", r, state);
        }
    }

    fn disk_lost_and_attached(&mut self, r: u32, v: u32, out: &mut String) {
        for (disk, score) in [("Failed", 203), ("Diskless", 203), ("Attaching", 203), ("Negotiating", 10102)] {
            let state = State { disk, score, ..QUIET };
            self.begin_burst();
            self.resource(out, "change", r, state);
            self.device(out, "change", r, v, state);
        }
        self.begin_burst();
        self.resource(out, "change", r, QUIET);
        self.device(out, "change", r, v, QUIET);
    }

    fn resync(&mut self, r: u32, p: u32, v: u32, out: &mut String) {
        for replication in ["WFBitMapS", "SyncSource", "PausedSyncS", "SyncSource"] {
            let state = State { replication, peer_disk: "Inconsistent", ..QUIET };
            self.begin_burst();
            self.peer_device(out, "change", r, p, v, state);
        }
        self.begin_burst();
        self.peer_device(out, "change", r, p, v, QUIET);
    }

    fn pick(&mut self, count: u32) -> u32 {
        u32::try_from(self.rng.below(u64::from(count.max(1)))).expect("below a u32")
    }

    fn begin_burst(&mut self) {
        self.now_us += 20 + self.rng.below(400);
        self.moved += 1 + self.rng.below(16);
        self.stamp.clear();
        if self.stamps == Stamps::Burst {
            // A made-up day, and again from its beginning when it is over: nobody reads more than the difference.
            let (s, us) = (self.now_us / 1_000_000 % 86_400, self.now_us % 1_000_000);
            let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
            put(&mut self.stamp, format_args!("2026-11-21T{h:02}:{m:02}:{s:02}.{us:06}+00:00 "));
        }
    }

    fn line(&mut self, out: &mut String, text: &str) {
        out.push_str(&self.stamp);
        out.push_str(text);
        out.push('\n');
        self.lines += 1;
    }

    fn resource(&mut self, out: &mut String, verb: &str, r: u32, s: State) {
        out.push_str(&self.stamp);
        put(
            out,
            format_args!(
                "{verb} resource name:{} role:{} suspended:no force-io-failures:no write-ordering:flush may_promote:{} \
                 promotion_score:{}\n",
                resource_name(r),
                s.role,
                s.may_promote,
                s.score
            ),
        );
        self.lines += 1;
    }

    fn connection(&mut self, out: &mut String, verb: &str, r: u32, p: u32, s: State) {
        out.push_str(&self.stamp);
        let flight = self.moved % 7;
        put(
            out,
            format_args!(
                "{verb} connection name:{} peer-node-id:{} conn-name:node{} connection:{} role:{} congested:no \
                 ap-in-flight:{flight} rs-in-flight:0\n",
                resource_name(r),
                p + 1,
                p + 1,
                s.connection,
                s.peer_role
            ),
        );
        self.lines += 1;
    }

    fn device(&mut self, out: &mut String, verb: &str, r: u32, v: u32, s: State) {
        out.push_str(&self.stamp);
        let minor = r * self.shape.volumes + v;
        let (read, written, al) = (self.moved * 8, self.moved * 4, self.moved / 16);
        put(
            out,
            format_args!(
                "{verb} device name:{} volume:{v} minor:{minor} backing_dev:/dev/vg0/{}_{v:05} disk:{} client:no open:{} \
                 quorum:{} size:1048576 read:{read} written:{written} al-writes:{al} bm-writes:0 upper-pending:0 \
                 lower-pending:0 al-suspended:no{}\n",
                resource_name(r),
                resource_name(r),
                s.disk,
                s.open,
                s.quorum,
                if verb == "exists" { " blocked:no" } else { "" }
            ),
        );
        self.lines += 1;
    }

    fn peer_device(&mut self, out: &mut String, verb: &str, r: u32, p: u32, v: u32, s: State) {
        out.push_str(&self.stamp);
        let (received, sent) = (self.moved * 2, self.moved * 4);
        put(
            out,
            format_args!(
                "{verb} peer-device name:{} peer-node-id:{} conn-name:node{} volume:{v} replication:{} peer-disk:{} \
                 peer-client:no resync-suspended:no received:{received} sent:{sent} out-of-sync:0 pending:0 unacked:0\n",
                resource_name(r),
                p + 1,
                p + 1,
                s.replication,
                s.peer_disk
            ),
        );
        self.lines += 1;
    }

    fn path(&mut self, out: &mut String, verb: &str, r: u32, p: u32, s: State) {
        out.push_str(&self.stamp);
        let port = 7000 + r;
        let established = if s.connection == "Connected" { "yes" } else { "no" };
        put(
            out,
            format_args!(
                "{verb} path name:{} peer-node-id:{} conn-name:node{} local:ipv4:10.0.0.1:{port} peer:ipv4:10.0.0.{}:{port} \
                 established:{established}\n",
                resource_name(r),
                p + 1,
                p + 1,
                p + 2
            ),
        );
        self.lines += 1;
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Shape; 3] = [
        Shape { resources: 10, volumes: 1, peers: 2 },
        Shape { resources: 3, volumes: 2, peers: 2 },
        Shape { resources: 1, volumes: 64, peers: 7 },
    ];

    #[test]
    fn the_parser_understands_every_line() {
        for (shape, stamps) in SHAPES.into_iter().zip([Stamps::Burst, Stamps::None, Stamps::Burst]) {
            let mut workload = Workload::new(shape, stamps, 1);
            let mut text = String::new();
            workload.dump(&mut text);
            workload.events(5_000, &mut text);
            assert_eq!(u64::try_from(text.lines().count()), Ok(workload.lines()));
            for line in text.lines() {
                reactor_core::drbd::events2::parse(line).unwrap_or_else(|why| panic!("{line}: {why:?}"));
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_text() {
        let text = |seed| {
            let mut text = String::new();
            Workload::new(SHAPES[0], Stamps::Burst, seed).events(1_000, &mut text);
            text
        };
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }

    #[test]
    fn a_block_of_events_ends_in_the_states_in_which_it_began() {
        // Statistics aside, the last line of each object must say what the dump says.
        let mut workload = Workload::new(SHAPES[1], Stamps::None, 5);
        let (mut dump, mut events) = (String::new(), String::new());
        workload.dump(&mut dump);
        workload.events(20_000, &mut events);
        let words = [
            " role:",
            " may_promote:",
            " connection:",
            " disk:",
            " quorum:",
            " open:",
            " replication:",
            " peer-disk:",
            " established:",
        ];
        let states = |text: &str| {
            let mut last = std::collections::BTreeMap::new();
            for line in text.lines() {
                let line = line.split_once(' ').expect("a verb").1;
                let object: Vec<&str> = line
                    .split(' ')
                    .filter(|w| {
                        !w.contains(':')
                            || w.starts_with("name:")
                            || w.starts_with("volume:")
                            || w.starts_with("peer-node-id:")
                    })
                    .collect();
                let state: Vec<&str> = words.iter().filter_map(|w| line.split(w).nth(1)?.split(' ').next()).collect();
                last.insert(object.join(" "), state.join(" "));
            }
            last
        };
        let (before, after) = (states(&dump), states(&events));
        for (object, state) in after {
            assert_eq!(Some(&state), before.get(&object), "{object}");
        }
    }

    #[test]
    fn a_tenth_at_most_is_state_changes() {
        for shape in SHAPES {
            let mut workload = Workload::new(shape, Stamps::None, 9);
            let mut text = String::new();
            workload.events(100_000, &mut text);
            let odd = [
                "resource ",
                "path ",
                "NetworkFailure",
                "replication:Off",
                "Inconsistent",
                "Connecting",
                "Unconnected",
                "open:yes",
            ];
            let changes = text.lines().filter(|line| odd.iter().any(|w| line.contains(w))).count();
            let lines = text.lines().count();
            assert!(changes * 50 > lines && changes * 8 < lines, "{shape:?}: {changes} of {lines}");
        }
    }
}
