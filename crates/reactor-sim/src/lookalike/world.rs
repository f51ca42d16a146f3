//! The cluster and who waits for something of it: programs that run, readers of events2, services with an open device.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reactor_core::ids::Mono;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::control;
use super::protocol::{Program, Reply, Request};
use super::text;
use super::tools::{self, Form, Task};
use crate::drbd9::{self, Cluster, Command, NodeIx, OpenId, Ticket, WriteEnd, WriteId};

/// A connection to the simulator.
pub(super) type Seat = u64;

/// The device of a node without power is gone.
const GONE: i32 = 5;

struct Client {
    /// Dropped to close the connection.
    out: UnboundedSender<Reply>,
    follows: Option<Follower>,
    open: Option<Open>,
}

/// A reader of events2.
struct Follower {
    node: NodeIx,
    resource: Option<String>,
    timestamps: bool,
    /// Statistics as they were printed last.
    printed: BTreeSet<String>,
}

#[derive(Clone, Copy)]
struct Open {
    id: OpenId,
    node: NodeIx,
    /// The number on the device.
    value: u64,
}

/// A program that runs.
struct Job {
    seat: Seat,
    node: NodeIx,
    program: Program,
    form: Form,
    rest: VecDeque<Command>,
    stdout: String,
}

/// The simulated cluster with its clients.
pub(super) struct World {
    pub(super) cluster: Cluster,
    clients: BTreeMap<Seat, Client>,
    jobs: BTreeMap<Ticket, Job>,
    writes: BTreeMap<WriteId, Seat>,
    /// What was asked on a frozen node.
    held: Vec<(Seat, Request)>,
    pub(super) quit: bool,
}

impl World {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            clients: BTreeMap::new(),
            jobs: BTreeMap::new(),
            writes: BTreeMap::new(),
            held: Vec::new(),
            quit: false,
        }
    }

    pub(super) fn join(&mut self, seat: Seat, out: UnboundedSender<Reply>) {
        self.clients.insert(seat, Client { out, follows: None, open: None });
    }

    /// A client ended: its device is closed as the kernel would close it.
    pub(super) fn leave(&mut self, seat: Seat) {
        if let Some(open) = self.clients.remove(&seat).and_then(|client| client.open) {
            self.cluster.close(open.id);
        }
        self.held.retain(|(who, _)| *who != seat);
    }

    /// Lets the time pass, and tells everybody what came of it.
    pub(super) fn advance(&mut self, now: Mono) {
        self.cluster.advance(now);
        loop {
            let replies = self.cluster.take_replies();
            let writes = self.cluster.take_writes();
            if replies.is_empty() && writes.is_empty() {
                break;
            }
            for reply in replies {
                self.command_ended(reply);
            }
            for end in writes {
                self.write_ended(end);
            }
        }
        for node in 0..self.cluster.spec().nodes.len() {
            for burst in self.cluster.take_output(node) {
                self.print(node, &burst.text);
            }
        }
    }

    pub(super) fn ask(&mut self, seat: Seat, request: Request) {
        let name = match &request {
            Request::Run { node, .. } | Request::Events { node, .. } | Request::Open { node, .. } => Some(node.clone()),
            Request::Poll | Request::Write | Request::Close | Request::Control { .. } => None,
        };
        let node = match name {
            Some(name) => match self.node(&name) {
                Some(node) => Some(node),
                None => {
                    return self.tell(seat, Reply::bad(20, format!("{name} is no node of the simulated cluster\n")));
                }
            },
            None if matches!(request, Request::Control { .. }) => None,
            None => self.clients.get(&seat).and_then(|client| {
                client.follows.as_ref().map(|follows| follows.node).or(client.open.map(|open| open.node))
            }),
        };
        match node {
            Some(node) if !self.cluster.alive(node) => self.no_power(seat, node),
            Some(node) if !self.cluster.running(node) => self.held.push((seat, request)),
            node => self.carry_out(seat, node, request),
        }
    }

    fn carry_out(&mut self, seat: Seat, node: Option<NodeIx>, request: Request) {
        match (request, node) {
            (Request::Run { program, args, .. }, Some(node)) => self.run(seat, node, program, &args),
            (Request::Events { resource, now, timestamps, .. }, Some(node)) => {
                self.follow(seat, node, resource, now, timestamps);
            }
            (Request::Open { resource, volume, .. }, Some(node)) => self.open(seat, node, &resource, volume),
            (Request::Control { args }, _) => {
                let reply = control::carry_out(self, &args);
                self.tell(seat, reply);
            }
            (Request::Poll, Some(_)) => self.poll(seat),
            (Request::Write, Some(_)) => self.write(seat),
            (Request::Close, _) => {
                if let Some(open) = self.clients.get_mut(&seat).and_then(|client| client.open.take()) {
                    self.cluster.close(open.id);
                }
                self.tell(seat, Reply::Value { value: 0 });
            }
            _ => self.tell(seat, Reply::Errno { errno: 9 }),
        }
    }

    pub(super) fn node(&self, name: &str) -> Option<NodeIx> {
        self.cluster.spec().nodes.iter().position(|node| node == name)
    }

    fn tell(&mut self, seat: Seat, reply: Reply) {
        if let Some(client) = self.clients.get(&seat) {
            // Gone meanwhile: its end is on the way to us.
            let _ = client.out.send(reply);
        }
    }

    // ---- power ----

    fn no_power(&mut self, seat: Seat, node: NodeIx) {
        let text = format!("the simulated node {} has no power\n", self.cluster.spec().nodes[node]);
        let device = self.clients.get(&seat).is_some_and(|client| client.open.is_some());
        self.tell(seat, if device { Reply::Errno { errno: GONE } } else { Reply::bad(20, text) });
    }

    /// The power of a node is gone: everything that ran on it ends.
    pub(super) fn crash(&mut self, node: NodeIx) {
        self.cluster.crash(node);
        let ended: Vec<Ticket> = self.jobs.iter().filter(|(_, job)| job.node == node).map(|(id, _)| *id).collect();
        for ticket in ended {
            if let Some(job) = self.jobs.remove(&ticket) {
                self.no_power(job.seat, node);
            }
        }
        let owners: Vec<Seat> = self
            .clients
            .iter()
            .filter(|(_, client)| client.open.is_some_and(|open| open.node == node))
            .map(|(seat, _)| *seat)
            .collect();
        let writing: Vec<WriteId> =
            self.writes.iter().filter(|(_, seat)| owners.contains(seat)).map(|(id, _)| *id).collect();
        for id in writing {
            if let Some(seat) = self.writes.remove(&id) {
                self.tell(seat, Reply::Errno { errno: GONE });
            }
        }
        self.clients.retain(|_, client| client.follows.as_ref().is_none_or(|follower| follower.node != node));
        self.ask_again();
    }

    pub(super) fn thaw(&mut self, node: NodeIx) {
        self.cluster.thaw(node);
        self.ask_again();
    }

    fn ask_again(&mut self) {
        for (seat, request) in std::mem::take(&mut self.held) {
            self.ask(seat, request);
        }
    }

    // ---- programs ----

    fn run(&mut self, seat: Seat, node: NodeIx, program: Program, args: &[String]) {
        match tools::parse(self.cluster.spec(), node, program, args) {
            Task::Answer(reply) => self.tell(seat, reply),
            Task::Commands(commands, form) => {
                let job = Job { seat, node, program, form, rest: commands.into(), stdout: String::new() };
                self.next_command(job);
            }
        }
    }

    fn next_command(&mut self, mut job: Job) {
        match job.rest.pop_front() {
            Some(command) => {
                let ticket = self.cluster.submit(job.node, command);
                self.jobs.insert(ticket, job);
            }
            None => self.tell(job.seat, finish(&job.form, job.stdout)),
        }
    }

    fn command_ended(&mut self, reply: drbd9::Reply) {
        let Some(mut job) = self.jobs.remove(&reply.ticket) else { return };
        job.stdout.push_str(&reply.stdout);
        if reply.code == 0 {
            return self.next_command(job);
        }
        let mut stderr = reply.stderr;
        // 1 is drbdadm's own refusal: it called nobody.
        if job.program == Program::Drbdadm && reply.code != 1 {
            stderr.push_str(&format!("Command 'drbdsetup ...' terminated with exit code {}\n", reply.code));
        }
        self.tell(job.seat, Reply::Done { code: reply.code, stdout: job.stdout, stderr });
    }

    // ---- events2 ----

    fn follow(&mut self, seat: Seat, node: NodeIx, resource: Option<String>, now: bool, timestamps: bool) {
        let mut follower = Follower { node, resource, timestamps, printed: BTreeSet::new() };
        // What was printed before the dump must not come after it.
        for burst in self.cluster.take_output(node) {
            self.print(node, &burst.text);
        }
        let dump = self.cluster.dump(node);
        follower.printed = statistics(&dump).map(|(_, text)| text.to_owned()).collect();
        let text = follower.wants(&dump);
        self.tell(seat, Reply::Text { text });
        if now {
            self.tell(seat, Reply::good(""));
        } else if let Some(client) = self.clients.get_mut(&seat) {
            client.follows = Some(follower);
        }
    }

    fn print(&self, node: NodeIx, burst: &str) {
        for client in self.clients.values() {
            let Some(follower) = client.follows.as_ref().filter(|follower| follower.node == node) else { continue };
            let text = follower.wants(burst);
            if !text.is_empty() {
                let _ = client.out.send(Reply::Text { text });
            }
        }
    }

    /// Prints the devices whose numbers moved; nothing marks the end of the answer.
    fn poll(&mut self, seat: Seat) {
        let Some(client) = self.clients.get_mut(&seat) else { return };
        let Some(follower) = &mut client.follows else { return };
        let dump = self.cluster.dump(follower.node);
        let mut moved = String::new();
        let mut all = BTreeSet::new();
        for (stamp, text) in statistics(&dump) {
            if !follower.printed.contains(text) {
                moved.push_str(&format!("{stamp} change {text}\n"));
            }
            all.insert(text.to_owned());
        }
        follower.printed = all;
        let text = follower.wants(&moved);
        if !text.is_empty() {
            let _ = client.out.send(Reply::Text { text });
        }
    }

    // ---- devices ----

    fn open(&mut self, seat: Seat, node: NodeIx, resource: &str, volume: u32) {
        let opened = self.cluster.open(node, resource, volume).and_then(|id| match self.cluster.read(id) {
            Ok(value) => Ok(Open { id, node, value }),
            Err(errno) => {
                self.cluster.close(id);
                Err(errno)
            }
        });
        let reply = match opened {
            Ok(open) => {
                let before = self.clients.get_mut(&seat).and_then(|client| client.open.replace(open));
                if let Some(before) = before {
                    self.cluster.close(before.id);
                }
                Reply::Value { value: open.value }
            }
            Err(errno) => Reply::Errno { errno: errno.number() },
        };
        self.tell(seat, reply);
    }

    fn write(&mut self, seat: Seat) {
        match self.clients.get(&seat).and_then(|client| client.open) {
            Some(open) => {
                let id = self.cluster.write(open.id);
                self.writes.insert(id, seat);
            }
            None => self.tell(seat, Reply::Errno { errno: 9 }),
        }
    }

    fn write_ended(&mut self, end: WriteEnd) {
        let Some(seat) = self.writes.remove(&end.write) else { return };
        let Some(open) = self.clients.get_mut(&seat).and_then(|client| client.open.as_mut()) else { return };
        let reply = match end.result {
            Ok(()) => {
                open.value += 1;
                Reply::Value { value: open.value }
            }
            Err(errno) => Reply::Errno { errno: errno.number() },
        };
        self.tell(seat, reply);
    }
}

impl Follower {
    /// The lines that it wants, as it wants them.
    fn wants(&self, text: &str) -> String {
        let mut out = String::new();
        for line in text.lines() {
            let mine = self.resource.as_ref().is_none_or(|resource| {
                line.ends_with(" exists -") || line.split(' ').any(|word| word.strip_prefix("name:") == Some(resource))
            });
            if mine {
                out.push_str(if self.timestamps { line } else { line.split_once(' ').map_or(line, |(_, rest)| rest) });
                out.push('\n');
            }
        }
        out
    }
}

/// Stamp and text of the devices in a dump.
fn statistics(dump: &str) -> impl Iterator<Item = (&str, &str)> {
    dump.lines().filter_map(|line| {
        let (stamp, rest) = line.split_once(' ')?;
        let text = rest.strip_prefix("exists ")?;
        text.starts_with("device ").then_some((stamp, text))
    })
}

/// What a program prints at its end.
fn finish(form: &Form, stdout: String) -> Reply {
    match form {
        Form::Plain => Reply::good(stdout),
        Form::Devices => {
            Reply::good(stdout.lines().map(|device| format!("{}\n", real_device(device))).collect::<String>())
        }
        Form::Status { json, resource, .. } | Form::Show { json, resource } => {
            let value: Value = serde_json::from_str(&stdout).unwrap_or_default();
            if let (Some(name), true) = (resource, value.as_array().is_none_or(Vec::is_empty)) {
                return Reply::bad(10, format!("{name}: No such resource\n"));
            }
            match form {
                _ if *json => Reply::good(stdout),
                Form::Status { verbose, .. } => Reply::good(text::status(&value, *verbose)),
                _ => Reply::good(text::show(&value)),
            }
        }
    }
}

/// Somebody may wait for the device to appear: it must be one that can.
fn real_device(device: &str) -> &str {
    use std::os::unix::fs::FileTypeExt;
    let there = std::fs::metadata(device).is_ok_and(|meta| meta.file_type().is_block_device());
    if there { device } else { "none" }
}
