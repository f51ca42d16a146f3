//! End to end from the journal: what a line costs, child included. A collector fills a gap in the kernel's log, which is the whole journal.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reactor_sim::daemon::TempDir;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::pipeline::Pipeline;
use reactor_storage::record::Record;
use reactor_sys::storage::{Collector, Limits, Lost, Options, Piece, Stages};
use rustix::time::{ClockId, clock_gettime};

use crate::report::verdict;
use crate::setup::Setup;

/// Peripetyd needs 8.7.
const TARGET_US: f64 = 6.0;

/// Clock ticks of the kernel in a second, as `/proc/PID/stat` counts.
const TICK_US: f64 = 10_000.0;

const BOOT: &str = "1c42149f82cc4172b7a2c1fd0abc0a25";

/// One line in ten is about storage.
const LINES: [&str; 10] = [
    "I/O error, dev sda, sector 4656 op 0x0:(READ) flags 0x800000 phys_seg 1 prio class 2",
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
    "audit: type=1400 audit(1700000000.123:45): apparmor=\"STATUS\" operation=\"profile_load\" profile=\"unconfined\" name=\"tcpdump\"",
    "IPv6: ADDRCONF(NETDEV_CHANGE): eno1: link becomes ready",
    "systemd-journald[312]: Received client request to flush runtime journal.",
    "br0: port 1(eno1) entered forwarding state",
    "perf: interrupt took too long (2507 > 2500), lowering kernel.perf_event_max_sample_rate to 79750",
    "device eno1 entered promiscuous mode",
    "TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies.",
];

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let count = setup.choose(300_000, 20_000);
    let folder = TempDir::new("reactor-bench-journal")?;
    let export = folder.path().join("export");
    let file = std::fs::File::create(&export)?;
    let mut file = std::io::BufWriter::new(file);
    for n in 0..count {
        write_entry(&mut file, n)?;
    }
    file.into_inner()?.sync_all()?;
    let from = if write_journal(folder.path(), &export)? {
        script(folder.path(), "shift; exec journalctl --directory=\"$dir/journal\" \"$@\"\n")?;
        "journalctl, a real journal"
    } else {
        script(folder.path(), "exec cat \"$dir/export\"\n")?;
        "cat of an export, for want of systemd-journal-remote"
    };
    let (total, child, wall_ms) = run(folder.path(), count)?;
    Ok(format!(
        "\nEnd to end from the journal, {count} lines, one in ten about storage ({from})\n\n\
         {:<44}{:>9}{:>16}\n{:<44}{total:>9.2}{:>16}\n{:<44}{child:>9.2}\n{:<44}{wall_ms:>9.0}\n",
        "",
        "",
        "target",
        "CPU for each line, child included, us",
        format!("<{TARGET_US}{}", verdict(total, TARGET_US)),
        "of that the child, us",
        "all of it, ms",
    ))
}

/// One entry with the fields that a journal has.
fn write_entry(file: &mut impl std::io::Write, n: u64) -> std::io::Result<()> {
    let line = LINES[usize::try_from(n % 10).unwrap_or(0)];
    let stamp = 1_000_000 + n * 10;
    let wall = 1_795_893_073_000_000 + n * 10;
    writeln!(
        file,
        "__CURSOR=s=03d007f2e03547ffa6b5ec43627ca74a;i={n:x};b={BOOT};m={stamp:x};t={wall:x};x={n:x}\n__REALTIME_TIMESTAMP={wall}\n\
         __MONOTONIC_TIMESTAMP={stamp}\n_BOOT_ID={BOOT}\n_MACHINE_ID=001ab000000000000000000000000001\n_HOSTNAME=n1\n_TRANSPORT=kernel\n\
         _RUNTIME_SCOPE=system\nSYSLOG_IDENTIFIER=kernel\nSYSLOG_FACILITY=0\nPRIORITY=6\n_SOURCE_MONOTONIC_TIMESTAMP={stamp}\n\
         MESSAGE={line}\n"
    )
}

/// Makes a real journal of it, where the program for that is there.
fn write_journal(folder: &Path, export: &Path) -> Result<bool> {
    let program = "lib/systemd/systemd-journal-remote";
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let Some(root) = [PathBuf::from("/"), tools].into_iter().find(|root| root.join(program).is_file()) else {
        return Ok(false);
    };
    let libraries = std::fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten().map(|entry| entry.path());
    std::fs::create_dir(folder.join("journal"))?;
    let status = Command::new(root.join(program))
        .env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?)
        .arg("--output")
        .arg(folder.join("journal/bench.journal"))
        .arg("-")
        .stdin(std::fs::File::open(export)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "systemd-journal-remote: {status}");
    Ok(true)
}

/// By another process: a descriptor of ours that is open for writing could reach a child, and then the script can't be executed.
fn script(folder: &Path, body: &str) -> Result<()> {
    let mut sh = Command::new("/bin/sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(folder.join("journalctl"))
        .stdin(Stdio::piped())
        .spawn()?;
    let text = format!("#!/bin/sh\ndir='{}'\n{body}", folder.display());
    sh.stdin.take().context("its input")?.write_all(text.as_bytes())?;
    ensure!(sh.wait()?.success(), "the script can't be written");
    Ok(())
}

/// Microseconds of CPU for each line, those of the child among them, and how long all of it took.
fn run(folder: &Path, count: u64) -> Result<(f64, f64, f64)> {
    std::fs::create_dir(folder.join("state"))?;
    let options = Options {
        state_dir: folder.join("state"),
        journal: true,
        journalctl: folder.join("journalctl"),
        boot: BOOT.to_owned(),
        programs: Vec::new(),
        limits: Limits { question: Duration::from_secs(600), ..Limits::default() },
    };
    let (tx, rx) = channel();
    let stages = Make {
        catalogue: Catalogue::built_in(),
        map: DeviceMap::default(),
        pipeline: Pipeline::new(),
        records: 0,
        findings: 0,
        end: count + 1,
        tell: tx,
    };
    let (before, children, begin) = (own_us(), children_us()?, Instant::now());
    let (collector, taps) = Collector::spawn(options, move || stages)?;
    // The ring has lost all but the last message.
    let mut piece = Piece::default();
    piece.push(format!("6,{count},{},-;the last one\n", 1_000_000 + count * 10 + 1_000_000).as_bytes());
    taps.kernel(piece);
    let findings = rx.recv().context("the collector ended")?;
    let wall_ms = begin.elapsed().as_secs_f64() * 1e3;
    collector.finish();
    ensure!(findings == count.div_ceil(10), "{findings} of {count} lines are about storage");
    let child = children_us()? - children;
    Ok(((own_us() - before + child) / count as f64, child / count as f64, wall_ms))
}

/// Makes events of lines.
struct Make {
    catalogue: Catalogue,
    map: DeviceMap,
    pipeline: Pipeline,
    records: u64,
    findings: u64,
    end: u64,
    tell: Sender<u64>,
}

impl Stages for Make {
    fn record(&mut self, record: &Record<'_>) {
        self.records += 1;
        if let Some(finding) = self.catalogue.classify(record) {
            self.findings += 1;
            self.pipeline.take(record, &finding, &self.map, record.at.boot_us.unwrap_or_default());
            self.pipeline.told();
        }
        if self.records == self.end {
            let _ = self.tell.send(self.findings);
        }
    }

    fn uevent(&mut self, _datagram: &[u8]) {}

    fn kernel_by_journal(&mut self, _: bool) {}

    fn lost(&mut self, _lost: Lost) {}

    fn settle(&mut self) -> bool {
        true
    }

    fn due(&self) -> Option<Instant> {
        None
    }
}

fn own_us() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// Of children that have ended.
fn children_us() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may have blanks: the state is the third field, and the two times are the 16th and 17th.
    let fields: Vec<&str> = text.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let ticks: f64 =
        fields.get(13..15).context("too few fields")?.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks * TICK_US)
}
