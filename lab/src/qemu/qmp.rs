//! QEMU's monitor (QMP): lines of JSON on a Unix socket; it greets, wants to hear `qmp_capabilities`, and mixes events
//! with its answers.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A machine that hangs never answers.
const WITHIN: Duration = Duration::from_secs(5);

/// What the monitor cannot do.
#[derive(Debug)]
pub(super) enum QmpError {
    /// It does not answer.
    Silent(io::Error),
    /// It says no.
    Refused(String),
}

impl From<io::Error> for QmpError {
    fn from(error: io::Error) -> Self {
        QmpError::Silent(error)
    }
}

/// A conversation with the monitor.
#[derive(Debug)]
pub(super) struct Qmp {
    socket: UnixStream,
    lines: BufReader<UnixStream>,
    /// What came between the answers.
    events: Vec<Value>,
}

impl Qmp {
    pub(super) fn connect(path: &Path) -> Result<Self, QmpError> {
        let socket = UnixStream::connect(path)?;
        socket.set_write_timeout(Some(WITHIN))?;
        let lines = BufReader::new(socket.try_clone()?);
        let mut qmp = Self { socket, lines, events: Vec::new() };
        let greeting = qmp.next(Instant::now() + WITHIN)?;
        if greeting.get("QMP").is_none() {
            return Err(invalid(&greeting).into());
        }
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and waits for its answer.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, QmpError> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.socket.write_all(line.as_bytes())?;
        let until = Instant::now() + WITHIN;
        loop {
            let mut said = self.next(until)?;
            if let Some(error) = said.get("error") {
                let text = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
                return Err(QmpError::Refused(text.to_owned()));
            }
            if let Some(result) = said.get_mut("return") {
                return Ok(result.take());
            }
            self.events.push(said);
        }
    }

    /// Waits for an event that is as wanted, or has been.
    pub(super) fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool, within: Duration) -> Result<(), QmpError> {
        let until = Instant::now() + within;
        if self.events.iter().any(&wanted) {
            return Ok(());
        }
        while !wanted(&self.next(until)?) {}
        Ok(())
    }

    fn next(&mut self, until: Instant) -> io::Result<Value> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::from)
    }
}

fn invalid(said: &Value) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no greeting of QEMU's monitor: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::thread::JoinHandle;

    /// A monitor that greets and then says this, a line after each line it hears.
    fn monitor(name: &str, answers: &'static [&'static str]) -> (PathBuf, JoinHandle<Vec<String>>) {
        let path = std::env::temp_dir().join(format!("lab-qmp-{name}-{}", std::process::id()));
        let _none = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
            writeln!(socket, r#"{{"QMP": {{"version": {{}}}}}}"#).unwrap();
            let mut heard = Vec::new();
            for answer in answers {
                heard.push(lines.next().unwrap().unwrap());
                writeln!(socket, "{answer}").unwrap();
            }
            heard
        });
        (path, thread)
    }

    #[test]
    fn an_answer_is_told_from_events() {
        let (path, thread) = monitor(
            "events",
            &[
                r#"{"return": {}}"#,
                "{\"event\": \"RESET\"}\n{\"return\": {\"running\": true}}\n{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"disk1\"}}",
            ],
        );
        let mut qmp = Qmp::connect(&path).unwrap();
        assert_eq!(qmp.execute("query-status", &json!({})).unwrap(), json!({ "running": true }));
        qmp.wait_for(|event| event["event"] == "RESET", WITHIN).unwrap();
        qmp.wait_for(|event| event["data"]["device"] == "disk1", WITHIN).unwrap();
        let heard = thread.join().unwrap();
        assert!(heard[1].contains("query-status"), "{heard:?}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_refusal_has_its_words_and_an_end_is_no_answer() {
        let (path, thread) = monitor(
            "refused",
            &[r#"{"return": {}}"#, r#"{"error": {"class": "GenericError", "desc": "no such device"}}"#],
        );
        let mut qmp = Qmp::connect(&path).unwrap();
        let refused = qmp.execute("device_del", &json!({ "id": "disk9" })).unwrap_err();
        assert!(matches!(refused, QmpError::Refused(words) if words == "no such device"));
        thread.join().unwrap();
        assert!(matches!(qmp.execute("system_powerdown", &json!({})), Err(QmpError::Silent(_))));
        std::fs::remove_file(path).unwrap();
    }
}
