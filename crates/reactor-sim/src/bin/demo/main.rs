//! A failover, told in some thirty lines: the real daemon follows a recording of a real cluster, runs handlers and serves metrics.
//!
//! No root, no network, a free port of the loopback; everything is in a temporary folder that is removed at the end. It fails if something
//! that it promises did not happen.

mod recording;
mod story;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use reactor_core::api::change::WireChange;
use reactor_sim::daemon::{Daemon, TempDir, daemon_table, free_port, program};
use reactor_sim::http::Scraper;
use reactor_sys::control::client::{Client, ClientError};
use serde_json::{Value, json};

use crate::recording::Recording;
use crate::story::{Seen, tell};

/// Plays a failover of a real cluster and tells what the daemon makes of it.
#[derive(Parser)]
struct Args {
    /// The daemon; default: the one beside this program
    #[arg(long)]
    reactord: Option<PathBuf>,
}

/// Only a demo that hangs is ended by it.
const LONGEST: Duration = Duration::from_secs(80);
/// How often to look for what handlers wrote.
const GLANCE: Duration = Duration::from_millis(20);
/// How often to ask whether the recording is over.
const ASK: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if even this cannot be written.
            let _ = writeln!(std::io::stderr(), "demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<()> {
    let args = Args::parse();
    let reactord = program(args.reactord.as_deref(), "reactord")?;
    let dir = TempDir::new("reactor-demo")?;
    let recording = Recording::write(&dir)?;
    let port = free_port()?;
    say(
        "Three nodes, n1 n2 n3, mirror resource r1. n1 runs the service; we are n3. A real recording, silences shortened.",
    )?;
    say("Times are seconds as on the real cluster.\n")?;
    let config = configuration(&dir, port);
    let file = recording.file.display().to_string();
    let mut daemon = Daemon::start(&reactord, &dir, &config, &["--play", &file])?;
    let mut demo = Demo {
        recording,
        handlers: dir.path().join("handlers.log"),
        told: 0,
        start: Instant::now(),
        seen: Seen::default(),
    };
    demo.follow(&mut daemon)?;
    demo.finish(&mut daemon, port)?;
    daemon.stop()?;
    say("\nThe daemon ended cleanly. Nothing is left behind.")
}

/// Three rules and metrics, as an administrator would write them.
fn configuration(dir: &TempDir, port: u16) -> String {
    let log = dir.path().join("handlers.log");
    let rules = [
        (
            "umh.resource",
            "took over",
            "new.role = \"Primary\"",
            "$DRBD_RES_NAME is $DRBD_NEW_ROLE here, was $DRBD_OLD_ROLE",
        ),
        (
            "umh.connection",
            "link given up",
            "new.connection-state = \"StandAlone\"",
            "$DRBD_RES_NAME lost its mirror on $DRBD_NEW_CONN_NAME: run drbdadm adjust $DRBD_RES_NAME",
        ),
    ];
    let mut text = format!(
        "{}\n[[log]]\nlevel = \"info\"\n\n[[prometheus]]\naddress = \"127.0.0.1:{port}\"\n\n[[debugger]]\n\n[[umh]]\n",
        daemon_table(dir.path(), "n3")
    );
    for (table, name, when, message) in rules {
        text += &format!(
            "\n[[{table}]]\nname = \"{name}\"\nevent-type = \"Change\"\n{when}\nenv = {{ OUT = \"{}\" }}\n\
             command = '''echo \"{name}: {message}\" >> \"$OUT\"'''\n",
            log.display()
        );
    }
    text
}

/// What the demo keeps in mind.
struct Demo {
    recording: Recording,
    /// What the handlers write.
    handlers: PathBuf,
    /// Bytes of it that were told.
    told: usize,
    start: Instant,
    seen: Seen,
}

impl Demo {
    /// Tells every change until the recording is over.
    fn follow(&mut self, daemon: &mut Daemon) -> Result<()> {
        let mut client = daemon.control()?;
        client.call_more("Changes", &json!({ "detail": "state", "last": 1000, "follow": true }))?;
        client.set_deadline(Some(GLANCE))?;
        let mut asked = Instant::now();
        loop {
            match client.next_reply() {
                Ok(reply) => self.changes(&reply.parameters)?,
                Err(ClientError::TimedOut { .. }) if asked.elapsed() < ASK => {}
                Err(ClientError::TimedOut { .. }) => {
                    asked = Instant::now();
                    if is_over(daemon)? {
                        return Ok(());
                    }
                }
                Err(error) => {
                    daemon.must_run()?;
                    return Err(error).context("following the changes");
                }
            }
            self.tell_handlers()?;
            ensure!(
                self.start.elapsed() < LONGEST,
                "the recording did not end within {} s; log:\n{}",
                LONGEST.as_secs(),
                daemon.log()
            );
        }
    }

    fn changes(&mut self, parameters: &Value) -> Result<()> {
        let changes = parameters.get("changes").cloned().unwrap_or_default();
        let changes: Vec<WireChange> = serde_json::from_value(changes).context("reading changes")?;
        for change in changes {
            if let Some(line) = tell(&change, &mut self.seen) {
                self.line(&line)?;
            }
        }
        Ok(())
    }

    fn line(&self, text: &str) -> Result<()> {
        say(&format!("{:>7.2}  {text}", self.recording.real(self.start.elapsed().as_secs_f64())))
    }

    /// What the handlers wrote since the last time.
    fn tell_handlers(&mut self) -> Result<()> {
        let text = fs::read_to_string(&self.handlers).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text.get(self.told..whole).unwrap_or_default().lines() {
            self.line(&format!("   handler ran: {line}"))?;
        }
        self.told = whole;
        Ok(())
    }

    /// Fetches metrics, and sees that everything happened.
    fn finish(&mut self, daemon: &mut Daemon, port: u16) -> Result<()> {
        if let Some(missing) = self.seen.missing() {
            bail!("the demo did not see {missing}; log of reactord:\n{}", daemon.log());
        }
        self.wait_for_handlers(daemon, &["took over: r1", "link given up: r1"])?;
        say(&format!("\nGET http://127.0.0.1:{port}/metrics, some lines of it:"))?;
        let mut scraper = Scraper::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let metrics = scraper.get("/metrics")?;
        for wanted in [
            "drbdreactor_up",
            "drbd_resource_promotionscore{name=\"r1\"",
            "drbd_device_quorum{name=\"r1\"",
            "drbd_peerdevice_outofsync_bytes{name=\"r1\"",
        ] {
            let mut found = metrics.lines().filter(|line| line.starts_with(wanted)).peekable();
            ensure!(found.peek().is_some(), "the metrics have no {wanted}");
            for line in found {
                say(&format!("         {line}"))?;
            }
        }
        Ok(())
    }

    /// The last handler may still run when the recording is over.
    fn wait_for_handlers(&mut self, daemon: &Daemon, wanted: &[&str]) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.tell_handlers()?;
            let text = fs::read_to_string(&self.handlers).unwrap_or_default();
            match wanted.iter().find(|wanted| !text.contains(**wanted)) {
                None => return Ok(()),
                Some(missing) if Instant::now() > deadline => {
                    bail!(
                        "no handler said {missing:?} in {}; log of reactord:\n{}",
                        self.handlers.display(),
                        daemon.log()
                    )
                }
                Some(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

fn is_over(daemon: &mut Daemon) -> Result<bool> {
    daemon.must_run()?;
    let mut client = Client::connect(&daemon.socket(), Duration::from_secs(10))?;
    let answer = client.call("Status", &json!({}))?;
    Ok(answer.pointer("/status/source/state").and_then(Value::as_str) == Some("ended"))
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("writing to standard output")
}
