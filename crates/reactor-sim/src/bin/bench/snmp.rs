//! What SNMP costs: a question of the master agent, and a walk beside one of a subagent that only knows constants.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reactor_core::snmp::{BASE, Oid, Value};
use reactor_sim::daemon::{TempDir, free_port};
use reactor_sim::workload::Shape;
use reactor_sys::agentx::pdu::{self, ErrorCode, HEADER, Header, Kind, Message, Said, Writer};

use crate::report::{quantile, sorted, verdict};
use crate::setup::Setup;

/// CPU for one question.
const TARGET_US: f64 = 20.0;
/// A walk, beside that of constants.
const TARGET_RATIO: f64 = 1.2;
const SESSION: u32 = 1;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let shape = Shape { resources: setup.choose(1000, 100), volumes: 1, peers: 2 };
    let (text, names) = questions(setup, shape)?;
    Ok(text + &walks(setup, shape, names)?)
}

fn table(master: &Path) -> String {
    format!("[[agentx]]\naddress = \"unix:{}\"\n\n", master.display())
}

/// We are the master agent, and ask for one object after the other.
fn questions(setup: &Setup, shape: Shape) -> Result<(String, Vec<Oid>)> {
    let dir = TempDir::new("reactor-bench-snmp")?;
    let path = dir.path().join("master");
    let listener = UnixListener::bind(&path)?;
    let run = setup.start(shape, &table(&path))?;
    let (stream, _) = listener.accept()?;
    let mut peer = Peer::new(stream);
    for _ in 0..2 {
        let (mut header, _) = peer.read()?;
        header.session = SESSION;
        peer.answer(&header)?;
    }
    // The first one makes the picture.
    let mut names = vec![peer.next(BASE)?.context("nothing is served")?];
    let (before, begin) = (run.daemon.cpu_ns()?, Instant::now());
    while let Some(name) = peer.next(names.last().map_or(BASE, |name| &**name))? {
        names.push(name);
    }
    let took = begin.elapsed().as_secs_f64() * 1e6 / names.len() as f64;
    let cpu = (run.daemon.cpu_ns()? - before) as f64 / 1e3 / names.len() as f64;
    run.daemon.stop()?;
    Ok((
        format!(
            "\nSNMP, {} resources: {} objects\n\n\
             GETNEXT by AgentX: {cpu:.1} us of CPU each; target <{TARGET_US:.0} us:{}; {took:.1} us from question to answer\n",
            shape.resources,
            names.len(),
            verdict(cpu, TARGET_US)
        ),
        names,
    ))
}

/// snmpwalk through a real snmpd, to the daemon and to constants, in turns.
fn walks(setup: &Setup, shape: Shape, names: Vec<Oid>) -> Result<String> {
    if !["/usr/sbin/snmpd", "/usr/bin/snmpwalk"].into_iter().all(|program| Path::new(program).is_file()) {
        return Ok("a walk by snmpwalk: not measured, snmpd or snmpwalk is not installed\n".to_owned());
    }
    let count = names.len();
    let ours = Snmpd::start()?;
    let run = setup.start(shape, &table(&ours.master()))?;
    let constants = Snmpd::start()?;
    let constant = serve_constants(UnixStream::connect(constants.master())?, names);
    for snmpd in [&ours, &constants] {
        snmpd.wait_for(&Oid::from(BASE))?;
    }
    let (mut of_ours, mut of_constants) = (Vec::new(), Vec::new());
    for _ in 0..setup.choose(3, 1) {
        for (snmpd, took) in [(&ours, &mut of_ours), (&constants, &mut of_constants)] {
            let begin = Instant::now();
            let lines = snmpd.walk()?;
            took.push(begin.elapsed().as_secs_f64());
            ensure!(lines == count, "{lines} objects were walked, not {count}");
        }
    }
    run.daemon.stop()?;
    drop(constants);
    match constant.join() {
        Ok(_ended) => {}
        Err(_) => bail!("the subagent of constants panicked"),
    }
    let (ours, constants) = (quantile(&sorted(of_ours), 0.5), quantile(&sorted(of_constants), 0.5));
    let ratio = ours / constants;
    Ok(format!(
        "snmpwalk of all of them: {ours:.2} s, of constants {constants:.2} s: {ratio:.2} times; target <{TARGET_RATIO} times:{}\n",
        verdict(ratio, TARGET_RATIO)
    ))
}

/// One end of a session.
struct Peer {
    stream: BufReader<UnixStream>,
    packet: u32,
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), packet: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    fn read(&mut self) -> Result<(Header, Vec<u8>)> {
        let mut bytes = vec![0; HEADER];
        self.stream.read_exact(&mut bytes)?;
        let header = Header::read(&bytes)?.context("a header")?;
        let mut payload = vec![0; header.length];
        self.stream.read_exact(&mut payload)?;
        Ok((header, payload))
    }

    fn answer(&mut self, header: &Header) -> Result<()> {
        self.write(&Writer::answer(header).finish_answer(ErrorCode::NONE, 0))
    }

    /// The name behind `name`.
    fn next(&mut self, name: &[u32]) -> Result<Option<Oid>> {
        self.packet += 1;
        let mut ask = Writer::new(Kind::GetNext, SESSION, self.packet);
        ask.oid(name);
        ask.oid(&[]);
        self.write(&ask.finish())?;
        let (_, payload) = self.read()?;
        // Time, error, index; type of the value; then a range of which only the begin is of interest: a name is read as one.
        let kind = payload.get(8..10).context("a value")?;
        Ok((kind != [0, 130]).then(|| pdu::name_at(&payload[12..])).flatten())
    }
}

/// A subagent that answers with what it was given, in the order of a walk, and looks at nothing.
fn serve_constants(stream: UnixStream, names: Vec<Oid>) -> JoinHandle<Result<()>> {
    std::thread::spawn(move || {
        let mut peer = Peer::new(stream);
        let mut open = Writer::new(Kind::Open, 0, 1);
        open.bytes([60, 0, 0, 0]);
        open.oid(BASE);
        open.text("constants");
        peer.write(&open.finish())?;
        let session = peer.read()?.0.session;
        let mut register = Writer::new(Kind::Register, session, 2);
        register.bytes([0, 127, 0, 0]);
        register.oid(BASE);
        peer.write(&register.finish())?;
        peer.read()?;
        let value = Value::Integer(1);
        let mut at = 0;
        loop {
            let (header, payload) = peer.read()?;
            let Ok(Message::GetNext(ranges) | Message::Get(ranges)) = pdu::message(&header, &payload) else { continue };
            let mut answer = Writer::answer(&header);
            for range in &ranges {
                if *range.start == *BASE {
                    at = 0;
                }
                match names.get(at) {
                    Some(name) => answer.binding(name, Said::Value(&value)),
                    None => answer.binding(&range.start, Said::EndOfMibView),
                }
                at += 1;
            }
            peer.write(&answer.finish_answer(ErrorCode::NONE, 0))?;
        }
    })
}

/// A master agent of its own.
struct Snmpd {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Snmpd {
    fn start() -> Result<Self> {
        let dir = TempDir::new("reactor-bench-snmpd")?;
        // A port that is free for TCP is free for UDP here, too.
        let port = free_port()?;
        let (path, master) = (dir.path(), dir.path().join("master"));
        fs::write(
            path.join("snmpd.conf"),
            format!(
                "agentAddress udp:127.0.0.1:{port}\nrocommunity public 127.0.0.1\nmaster agentx\nagentXSocket {}\n",
                master.display()
            ),
        )?;
        let child = Command::new("/usr/sbin/snmpd")
            .args(["-f", "-Le", "-C", "-c"])
            .arg(path.join("snmpd.conf"))
            .arg("-p")
            .arg(path.join("pid"))
            .env("SNMP_PERSISTENT_DIR", path.join("persistent"))
            .env("MIBS", "")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting snmpd")?;
        let snmpd = Self { child, port, dir };
        snmpd.wait_for(&Oid::from(vec![1, 3, 6, 1, 2, 1, 1, 3]))?;
        Ok(snmpd)
    }

    fn master(&self) -> std::path::PathBuf {
        self.dir.path().join("master")
    }

    fn ask(&self, tool: &str, oid: &Oid) -> Command {
        let mut command = Command::new(Path::new("/usr/bin").join(tool));
        command
            .args(["-v2c", "-c", "public", "-On", "-t", "10", "-r", "1", &format!("127.0.0.1:{}", self.port)])
            .arg(oid.to_string())
            .env("SNMP_PERSISTENT_DIR", self.dir.path().join("persistent"))
            .env("MIBS", "")
            .stderr(Stdio::null());
        command
    }

    /// Waits until there is something below an identifier.
    fn wait_for(&self, oid: &Oid) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            let output = self.ask("snmpgetnext", oid).output()?;
            if String::from_utf8_lossy(&output.stdout).starts_with(&format!(".{oid}.")) {
                return Ok(());
            }
        }
        bail!("nothing is served below {oid}")
    }

    /// Walks all of it, and counts what there is.
    fn walk(&self) -> Result<usize> {
        let output = self.ask("snmpwalk", &Oid::from(BASE)).output()?;
        ensure!(output.status.success(), "snmpwalk ended with {}", output.status);
        Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count())
    }
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
