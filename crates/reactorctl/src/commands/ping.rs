//! `reactorctl ping`: whether the daemon answers, and how fast.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::verbs::{Ping, PingReply};
use serde_json::json;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::style::{END, GOOD};
use crate::text::duration;

/// Ask whether the daemon answers, and print how long that took
#[derive(Clone, Debug, Args)]
pub struct PingArgs {
    /// How long it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub within: u64,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Run for PingArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut client = daemon::connect(place, Duration::from_secs(self.within))?;
        let asked = Instant::now();
        let reply = daemon::ask_over(&mut client, &Ping {})?;
        let took = asked.elapsed();
        if self.json {
            let took_ms = (took.as_secs_f64() * 10_000.0).round() / 10.0;
            let PingReply { version, pid, running_ms } = &reply;
            let document = json!({ "version": version, "pid": pid, "running-ms": running_ms, "took-ms": took_ms });
            writeln!(out, "{document}")?;
            return Ok(Exit::Ok);
        }
        print(&reply, took, out)
    }
}

fn print(reply: &PingReply, took: Duration, out: &mut dyn Write) -> Result<Exit, Failure> {
    let PingReply { version, pid, running_ms } = reply;
    let running = duration(Duration::from_millis(*running_ms));
    let took = took.as_secs_f64() * 1000.0;
    writeln!(out, "Storage Reactor {version} (pid {pid}) {GOOD}answers{END} in {took:.1} ms, running for {running}")?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_and_how_fast_is_told() {
        let mut out = Vec::new();
        let reply = PingReply { version: "1.2.3".to_owned(), pid: 812, running_ms: 11_520_400 };
        assert_eq!(print(&reply, Duration::from_micros(440), &mut out).unwrap(), Exit::Ok);
        let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        assert_eq!(text, "Storage Reactor 1.2.3 (pid 812) answers in 0.4 ms, running for 3 h 12 min\n");
    }
}
