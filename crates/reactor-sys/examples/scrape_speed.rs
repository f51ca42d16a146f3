//! What a scrape costs: 1000 resources with 1 volume and 2 peers, without enums, while 20,000 events a second arrive.
//! `cargo run --release -p reactor-sys --example scrape_speed`. A measurement, not a test: the numbers are the machine's.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]
#![expect(clippy::unwrap_used, reason = "a measurement may end in a panic")]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::metrics::{Body, Choice, Enums, Extent, Health, Sheet};
use reactor_core::settings::{ListenAddress, PrometheusSettings};
use reactor_sys::http::{Limits, MetricsServer, scrape_channel};

const RESOURCES: usize = 1000;
const SCRAPES: usize = 2000;
const EVENTS_PER_S: usize = 20_000;

fn device(r: usize, n: usize, verb: &str) -> String {
    format!(
        "{verb} device name:res-{r:04} volume:0 minor:{} backing_dev:/dev/vg/res-{r:04} disk:UpToDate client:no quorum:yes \
         open:yes size:1048576 read:{} written:{} al-writes:{n} bm-writes:0 upper-pending:{} lower-pending:0 \
         al-suspended:no blocked:no\n",
        1000 + r,
        145_828 + n * 4,
        154_775 + n * 8,
        n % 5
    )
}

fn peer_device(r: usize, peer: usize, n: usize, verb: &str) -> String {
    format!(
        "{verb} peer-device name:res-{r:04} peer-node-id:{peer} conn-name:node-{peer} volume:0 replication:Established \
         peer-disk:UpToDate peer-client:no resync-suspended:no received:1024 sent:{} out-of-sync:0 pending:0 unacked:0\n",
        22_688 + n * 8
    )
}

fn dump() -> String {
    let mut text = String::new();
    for r in 0..RESOURCES {
        let _ = writeln!(
            text,
            "exists resource name:res-{r:04} role:Primary suspended:no force-io-failures:no may_promote:no promotion_score:10102"
        );
        for peer in 1..3 {
            let _ = writeln!(
                text,
                "exists connection name:res-{r:04} peer-node-id:{peer} conn-name:node-{peer} connection:Connected \
                 role:Secondary congested:no ap-in-flight:0 rs-in-flight:0"
            );
        }
        text += &device(r, r, "exists");
        for peer in 1..3 {
            text += &peer_device(r, peer, r, "exists");
            let _ = writeln!(
                text,
                "exists path name:res-{r:04} peer-node-id:{peer} conn-name:node-{peer} \
                 local:ipv4:10.77.0.9:{} peer:ipv4:10.77.0.{peer}:{} established:yes",
                7000 + r,
                7000 + r
            );
        }
    }
    text + "exists -\n"
}

fn core() -> Core {
    let mut core = Core::new();
    let started = SourceEvent::Started { command: "a benchmark".to_owned(), dialect: Some(Dialect::Drbd9) };
    core.step(Mono::ZERO, &Input::Source(SourceId::Drbd, started), &mut Vec::new());
    core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, dump()), &mut Vec::new());
    core
}

/// Events for resources all over the place, `count` of them from number `from` on.
fn events(from: usize, count: usize) -> String {
    (from..from + count)
        .map(|n| {
            let r = n.wrapping_mul(7919) % RESOURCES;
            if n % 2 == 0 { device(r, n, "change") } else { peer_device(r, 1 + n / 2 % 2, n, "change") }
        })
        .collect()
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1])
}

fn show(what: &str, times: Vec<Duration>) {
    let (median, p99, max) = median(times);
    println!("{what:<44} median {median:>10.1?}   99% {p99:>10.1?}   max {max:>10.1?}");
}

fn timed(what: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    what();
    begun.elapsed()
}

fn parts() {
    let mut core = core();
    let health = Health { version: "0".to_owned(), ..Health::default() };
    for enums in [Enums::Off, Enums::On] {
        let choice = Choice { enums, extent: Extent::Common };
        let (mut snapshots, mut first, mut few, mut all, mut none) = (vec![], vec![], vec![], vec![], vec![]);
        let mut sheet = Sheet::new(choice);
        let mut bytes = 0;
        for round in 0..100 {
            let begun = Instant::now();
            let resources = core.node().snapshot();
            snapshots.push(begun.elapsed());
            first.push(timed(|| drop(Sheet::new(choice).refresh(&resources))));
            drop(resources);
            core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, events(round * 40, 40)), &mut Vec::new());
            few.push(timed(|| drop(sheet.refresh(&core.node().snapshot()))));
            none.push(timed(|| drop(sheet.refresh(&core.node().snapshot()))));
            core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, events(round * 40, 4 * RESOURCES)), &mut Vec::new());
            all.push(timed(|| bytes = Body::new(sheet.refresh(&core.node().snapshot()), &health).len()));
        }
        println!("enums {enums:?}: {bytes} bytes");
        show("  the loop's part: a snapshot", snapshots);
        show("  the first text", first);
        show("  40 resources changed", few[1..].to_vec());
        show("  all resources changed", all);
        show("  nothing changed", none);
    }
}

/// Reads one answer to its end and says how long it was.
fn scrape(socket: &mut TcpStream, buffer: &mut [u8]) -> usize {
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut have = 0;
    let head = loop {
        have += socket.read(&mut buffer[have..]).unwrap();
        if let Some(end) = buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let headers = std::str::from_utf8(&buffer[..head]).unwrap().to_ascii_lowercase();
    assert!(headers.starts_with("http/1.1 200"), "{headers}");
    let length = headers.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
    let length: usize = length.parse().unwrap();
    let mut left = head + length - have;
    while left > 0 {
        let some = left.min(buffer.len());
        left -= socket.read(&mut buffer[..some]).unwrap();
    }
    length
}

fn client(address: SocketAddr) -> Vec<Duration> {
    let mut socket = TcpStream::connect(address).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    (0..SCRAPES)
        .map(|_| {
            let begun = Instant::now();
            scrape(&mut socket, &mut buffer);
            begun.elapsed()
        })
        .collect()
}

/// The loop of the daemon in short: events every millisecond, scrapes in between.
async fn serve(with_events: bool) -> Vec<Duration> {
    let (handle, mut requests) = scrape_channel();
    let address = ListenAddress::Tcp { ip: Some([127, 0, 0, 1].into()), port: 0 };
    let server = MetricsServer::start(
        &PrometheusSettings { address, ..PrometheusSettings::default() },
        Limits::default(),
        handle,
    )
    .unwrap();
    let mut state = server.state();
    let address = state.wait_for(|s| s.addresses().next().is_some()).await.unwrap().addresses().next().unwrap();
    let mut core = core();
    let (done, mut finished) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(client(address)));
    let mut every = tokio::time::interval(Duration::from_millis(1));
    let begun = Instant::now();
    let mut sent = 0;
    loop {
        tokio::select! {
            times = &mut finished => {
                println!("{:?}", server.health());
                return times.unwrap();
            }
            Some(request) = requests.recv() => request.answer(core.node(), || {
                let mut health = Health { version: "0".to_owned(), ..Health::default() };
                health.fill_from(&core);
                health
            }),
            _ = every.tick(), if with_events => {
                let due = (begun.elapsed().as_secs_f64() * EVENTS_PER_S as f64) as usize;
                core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, events(sent, due - sent)), &mut Vec::new());
                sent = due;
            }
        }
    }
}

fn main() {
    parts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let quiet = runtime.block_on(serve(false));
    show(&format!("{SCRAPES} scrapes over loopback, no events"), quiet);
    let busy = runtime.block_on(serve(true));
    show(&format!("{SCRAPES} scrapes over loopback, {EVENTS_PER_S} events/s"), busy);
}
