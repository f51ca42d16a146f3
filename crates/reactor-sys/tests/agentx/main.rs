//! The SNMP subagent against net-snmp's own programs, and against master agents that behave badly.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

mod bad_masters;
mod mib;
mod programs;
mod real;

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::metrics::Health;
use reactor_core::metrics::health::{DrbdVersions, PromotedHealth};
use reactor_core::settings::AgentxSettings;
use reactor_sys::agentx::{Limits, Subagent, SubagentState};
use reactor_sys::http::{ScrapeHandle, scrape_channel};
use tokio::sync::watch;

/// How long anything may take, on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(120);

/// One resource with a peer.
const R0: &str = "\
create resource name:r0 role:Secondary suspended:no write-ordering:flush may_promote:yes promotion_score:10101 force-io-failures:no
create connection name:r0 peer-node-id:2 conn-name:n2 connection:Connected role:Secondary congested:no
create device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0 disk:UpToDate client:no quorum:yes open:no size:1048576 read:10 written:20 al-writes:3 bm-writes:4 upper-pending:5 lower-pending:6 al-suspended:no blocked:no
create peer-device name:r0 peer-node-id:2 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no received:0 sent:0 out-of-sync:0 pending:0 unacked:0
";

/// The loop of a daemon, as far as a subagent sees it.
struct Loop {
    scrapes: ScrapeHandle,
    news: watch::Sender<u64>,
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Lines(String),
    Promoted(Vec<PromotedHealth>),
    /// Hands back how often it was asked.
    Asked(mpsc::Sender<usize>),
    /// Answers nothing until the other end is dropped.
    Busy(mpsc::Receiver<()>),
    End,
}

impl Loop {
    fn start(lines: &str) -> Self {
        let (scrapes, mut asked) = scrape_channel();
        let (orders, ordered) = mpsc::channel();
        let lines = lines.to_owned();
        let thread = std::thread::spawn(move || {
            let mut core = Core::new();
            let started = SourceEvent::Started { command: "a test".to_owned(), dialect: Some(Dialect::Drbd9) };
            let step = |core: &mut Core, input| core.step(Mono::ZERO, &input, &mut Vec::new());
            step(&mut core, Input::Source(SourceId::Drbd, started));
            step(&mut core, Input::Lines(SourceId::Drbd, "exists -\n".to_owned()));
            step(&mut core, Input::Lines(SourceId::Drbd, lines));
            step(&mut core, Input::BurstEnd(SourceId::Drbd));
            let mut health = Health {
                version: "1.2.3".to_owned(),
                drbd: Some(DrbdVersions { kmod: "9.2.14".to_owned(), utils: "9.31.0".to_owned() }),
                ..Health::default()
            };
            health.source.up = true;
            let mut count = 0;
            loop {
                while let Ok(request) = asked.try_recv() {
                    count += 1;
                    request.answer(core.node(), || health.clone());
                }
                match ordered.recv_timeout(Duration::from_millis(1)) {
                    Ok(Order::Lines(lines)) => {
                        step(&mut core, Input::Lines(SourceId::Drbd, lines));
                        step(&mut core, Input::BurstEnd(SourceId::Drbd));
                    }
                    Ok(Order::Promoted(promoted)) => health.promoted = promoted,
                    Ok(Order::Asked(reply)) => drop(reply.send(count)),
                    Ok(Order::Busy(until)) => drop(until.recv()),
                    Ok(Order::End) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                }
            }
        });
        Self { scrapes, news: watch::Sender::new(0), orders, thread: Some(thread) }
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
        self.news.send_modify(|number| *number += 1);
    }

    fn lines(&self, lines: &str) {
        self.order(Order::Lines(lines.to_owned()));
    }

    fn asked(&self) -> usize {
        let (reply, answer) = mpsc::channel();
        self.orders.send(Order::Asked(reply)).unwrap();
        answer.recv_timeout(DEADLINE).unwrap()
    }

    fn subagent(&self, address: &str) -> Subagent {
        self.subagent_with(address, limits())
    }

    fn subagent_with(&self, address: &str, limits: Limits) -> Subagent {
        let settings = AgentxSettings {
            address: address.to_owned(),
            cache_max: Duration::ZERO,
            agent_timeout: Duration::from_secs(60),
            peer_states: true,
        };
        Subagent::start(&settings, limits, self.scrapes.clone(), self.news.subscribe()).unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Short pauses; the rest as it is.
fn limits() -> Limits {
    Limits { pause: (Duration::from_millis(20), Duration::from_millis(200)), ..Limits::default() }
}

/// Waits for a state of a subagent.
fn state_until(subagent: &Subagent, what: &str, wanted: impl Fn(&SubagentState) -> bool) -> SubagentState {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut state = subagent.state();
    let waited = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, state.wait_for(|state| wanted(state))).await.map(|state| state.unwrap().clone())
    });
    waited.unwrap_or_else(|_| panic!("{what}: {:?}", *subagent.state().borrow()))
}

fn connected(subagent: &Subagent) {
    state_until(subagent, "a session", |state| state.session.is_some());
}

fn problem(subagent: &Subagent, text: &str) -> String {
    let has = |state: &SubagentState| state.problem.as_ref().is_some_and(|problem| problem.contains(text));
    state_until(subagent, text, has).problem.unwrap()
}

/// Does something again until it gives something.
fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what} did not come about");
        std::thread::yield_now();
    }
}
