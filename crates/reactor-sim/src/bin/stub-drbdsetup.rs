//! A look-alike of `drbdsetup` and `drbdadm` (by the name it is called with) for the benchmark and for tests. It is never installed.
//!
//! `events2` prints the dump of a made-up node, then events as `stub.conf`, the environment or its driver say (see `reactor_sim::stub`),
//! and stays until its standard input is closed. The text is made before it is needed, so that printing costs little more than the pipe.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reactor_sim::clock::monotonic_ns;
use reactor_sim::stub::{Command, Done, StubSettings};
use reactor_sim::workload::{Stamps, Workload};
use rustix::io::ioctl_fionread;

/// Lines that are made at once, and then printed again and again.
const BLOCK_LINES: u64 = 200_000;
/// Size of one write.
const CHUNK: usize = 256 * 1024;

fn main() -> Result<()> {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_else(|| OsString::from("drbdsetup"));
    let program = Path::new(&program);
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let settings = StubSettings::load(program.parent().unwrap_or(Path::new(".")))?;
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    match args.first().map(String::as_str) {
        Some("--version") => version(&settings),
        Some("events2") if has("--now") => {
            let mut text = String::new();
            Workload::new(settings.shape, Stamps::None, settings.seed).dump(&mut text);
            print(&of_resource(&text, args.last().filter(|arg| !arg.starts_with('-') && *arg != "events2")))
        }
        Some("events2") => events2(&settings, if has("--timestamps") { Stamps::Burst } else { Stamps::None }),
        Some("show") => {
            let text = Workload::new(settings.shape, Stamps::None, settings.seed).show();
            std::io::stdout().write_all(text.as_bytes()).context("printing the options")
        }
        // What a promoter and the units of drbd-utils ask for is simply true.
        Some("adjust" | "primary" | "secondary") => Ok(()),
        Some("sh-ll-dev") => std::io::stdout().write_all(b"none\n").context("printing the lower device"),
        _ => bail!("the look-alike {} does not know {args:?}", program.display()),
    }
}

/// The lines about this resource, if only one is asked about.
fn of_resource(text: &str, resource: Option<&String>) -> String {
    let Some(resource) = resource else { return text.to_owned() };
    let name = format!(" name:{resource} ");
    text.lines().filter(|line| line.contains(&name)).flat_map(|line| [line, "\n"]).collect()
}

/// Who has read enough (`grep -q`) is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("printing the dump"),
        _ => Ok(()),
    }
}

fn version(settings: &StubSettings) -> Result<()> {
    let (kernel, utils) = (settings.kernel, settings.utils);
    let mut text = String::from("DRBDADM_BUILDTAG=look-alike\n");
    text += if kernel.0 == 8 { "DRBDADM_API_VERSION=1\n" } else { "DRBDADM_API_VERSION=2\n" };
    text += &format!("DRBD_KERNEL_VERSION_CODE={}\n", kernel.code());
    if kernel.0 != 8 {
        text += &format!("DRBD_KERNEL_VERSION={kernel}\n");
    }
    text += &format!("DRBDADM_VERSION_CODE={}\nDRBDADM_VERSION={utils}\n", utils.code());
    std::io::stdout().write_all(text.as_bytes()).context("printing the version")
}

fn events2(settings: &StubSettings, stamps: Stamps) -> Result<()> {
    std::thread::spawn(end_with_stdin);
    let mut printer = Printer::new(Workload::new(settings.shape, stamps, settings.seed));
    let dumped = printer.dump()?;
    printer.make_block();
    wait_until_read();
    if settings.events > 0 {
        let command = match settings.rate {
            0 => Command::Run(settings.events),
            rate => Command::Rate(rate, settings.events),
        };
        printer.carry_out(command)?;
    }
    if let Some(path) = &settings.control {
        let mut stream = UnixStream::connect(path).with_context(|| format!("connecting to {}", path.display()))?;
        writeln!(stream, "{dumped}")?;
        let commands = BufReader::new(stream.try_clone()?);
        for command in commands.lines() {
            let done = printer.carry_out(command?.parse()?)?;
            wait_until_read();
            writeln!(stream, "{done}")?;
        }
    }
    loop {
        std::thread::park();
    }
}

/// Waits until the pipe is empty: the driver need not ask the daemon, which would count.
fn wait_until_read() {
    // Not a pipe (a person tries it out): nothing to wait for.
    while ioctl_fionread(std::io::stdout()).is_ok_and(|unread| unread > 0) {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Polls (`n`) are read and not answered: what a poll prints is part of the workload.
fn end_with_stdin() {
    let mut bytes = [0; 256];
    while std::io::stdin().lock().read(&mut bytes).is_ok_and(|count| count > 0) {}
    std::process::exit(0);
}

struct Printer {
    workload: Workload,
    block: String,
    /// Where each line of the block ends.
    ends: Vec<usize>,
    /// The next line of the block.
    next: usize,
    printed: u64,
}

impl Printer {
    fn new(workload: Workload) -> Self {
        Self { workload, block: String::new(), ends: Vec::new(), next: 0, printed: 0 }
    }

    fn dump(&mut self) -> Result<Done> {
        let mut text = String::new();
        self.workload.dump(&mut text);
        self.printed = self.workload.lines();
        let written_ns = monotonic_ns();
        write(text.as_bytes())?;
        Ok(Done { lines: self.printed, written_ns })
    }

    fn make_block(&mut self) {
        self.workload.events(BLOCK_LINES, &mut self.block);
        self.ends = self.block.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
    }

    fn carry_out(&mut self, command: Command) -> Result<Done> {
        let written_ns = monotonic_ns();
        match command {
            Command::Run(events) => self.lines(events)?,
            Command::Rate(rate, events) => self.paced(rate.max(1), events)?,
            Command::Poll => {
                let mut text = String::new();
                self.workload.poll_all(&mut text);
                return self.at_once(&text);
            }
            Command::Role(index, primary) => {
                let mut text = String::new();
                self.workload.role_change(index, primary, &mut text);
                return self.at_once(&text);
            }
            Command::May(first, count, may) => {
                let mut text = String::new();
                self.workload.may_promote(first..first + count, may, &mut text);
                return self.at_once(&text);
            }
        }
        Ok(Done { lines: self.printed, written_ns })
    }

    /// Lines in one write; its time is that just before it.
    fn at_once(&mut self, text: &str) -> Result<Done> {
        self.printed += text.lines().count() as u64;
        let written_ns = monotonic_ns();
        write(text.as_bytes())?;
        Ok(Done { lines: self.printed, written_ns })
    }

    /// The next `count` lines of the block, from its beginning again when it is over.
    fn lines(&mut self, mut count: u64) -> Result<()> {
        self.printed += count;
        while count > 0 {
            let left = self.ends.len() - self.next;
            let now = usize::try_from(count).map_or(left, |count| count.min(left));
            let from = if self.next == 0 { 0 } else { self.ends[self.next - 1] };
            let to = self.ends[self.next + now - 1];
            write(&self.block.as_bytes()[from..to])?;
            self.next = (self.next + now) % self.ends.len();
            count -= u64::try_from(now).expect("a count of lines");
        }
        Ok(())
    }

    /// As many lines as are due each millisecond.
    fn paced(&mut self, rate: u64, events: u64) -> Result<()> {
        let start = Instant::now();
        let mut printed = 0;
        while printed < events {
            let due = (start.elapsed().as_micros() * u128::from(rate) / 1_000_000).min(u128::from(events));
            let due = u64::try_from(due).expect("not more than events");
            self.lines(due - printed)?;
            printed = due;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Ends the program when nobody reads any more, as a broken pipe would end `drbdsetup`.
fn write(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for chunk in bytes.chunks(CHUNK) {
        if out.write_all(chunk).is_err() {
            std::process::exit(0);
        }
    }
    out.flush().context("printing events")
}
