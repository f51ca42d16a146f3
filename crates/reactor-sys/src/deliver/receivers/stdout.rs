//! Standard output of the daemon, one notice after the other. A pipe that nobody reads is waited for until the attempt ends, and no longer.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use reactor_core::settings::notify::StdoutFormat;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::failure::Failure;
use super::super::parcel::Parcel;
use super::{Receiver, document};

/// A pipe that says that it can be written takes so much at least.
const PIECE: usize = 4096;

/// Standard output.
pub(super) struct Stdout {
    format: StdoutFormat,
    to: Result<OwnedFd, String>,
    /// A line stands there that has no end.
    broken_off: bool,
}

impl Stdout {
    pub(super) fn new(format: StdoutFormat) -> Self {
        let to = std::io::stdout().as_fd().try_clone_to_owned();
        Self { format, to: to.map_err(|error| format!("there is no standard output: {error}")), broken_off: false }
    }

    #[cfg(test)]
    pub(super) fn to(format: StdoutFormat, to: OwnedFd) -> Self {
        Self { format, to: Ok(to), broken_off: false }
    }

    fn text(&self, parcel: &Parcel, index: usize) -> String {
        let notice = &parcel.message.notices[index];
        let mut text = match self.format {
            StdoutFormat::Text => {
                format!("{} {} {}", document::time(notice), parcel.message.node, document::short(notice))
            }
            StdoutFormat::Json => document::notice(parcel, index).to_string(),
            StdoutFormat::JsonPretty => format!("{:#}", document::notice(parcel, index)),
        };
        text.push('\n');
        text
    }

    fn write(&mut self, text: &str, until: Instant) -> Result<(), Failure> {
        let to = self.to.as_ref().map_err(|why| Failure::again(why.clone()))?;
        let failed = |error: std::io::Error| Failure::of("can't write to standard output", &error);
        let mut left = text.as_bytes();
        if self.broken_off {
            writable(to, until)?;
            put(to, b"\n").map_err(failed)?;
            self.broken_off = false;
        }
        while !left.is_empty() {
            writable(to, until)?;
            let piece = &left[..left.len().min(PIECE)];
            let written = put(to, piece).map_err(failed)?;
            left = &left[written..];
            self.broken_off = !left.is_empty();
        }
        Ok(())
    }
}

impl Receiver for Stdout {
    fn deliver(&mut self, parcel: &Parcel, told: &mut usize, until: Instant) -> Result<(), Failure> {
        while *told < parcel.message.notices.len() {
            let text = self.text(parcel, *told);
            self.write(&text, until)?;
            *told += 1;
        }
        match document::left_out(&parcel.message) {
            Some(left_out) if self.format == StdoutFormat::Text => {
                self.write(&format!("{} {left_out}\n", parcel.message.node), until)
            }
            _ => Ok(()),
        }
    }
}

fn put(to: &OwnedFd, bytes: &[u8]) -> std::io::Result<usize> {
    loop {
        match rustix::io::write(to, bytes) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Waits until a write would not wait.
fn writable(to: &OwnedFd, until: Instant) -> Result<(), Failure> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| Failure::again("the timeout is too long"))?;
        let mut polled = [PollFd::new(to, PollFlags::OUT)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Err(Failure::again("nobody reads standard output")),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::of("can't wait for standard output", &std::io::Error::from(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::Duration;

    use reactor_core::notice::{Message, Notice, Topic};
    use reactor_storage::event::Severity;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn parcel(texts: &[&str]) -> Parcel {
        let notice = |text: &&str| Notice {
            unix_ms: 1_795_893_073_898,
            topic: Topic::Drbd,
            what: "connection-lost".to_owned(),
            severity: Severity::Error,
            text: (*text).to_owned(),
            because: Vec::new(),
            resources: vec!["r0".to_owned()],
            incident: None,
            event: None,
        };
        let notices = texts.iter().map(notice).collect();
        Parcel::new(Message { receiver: "out".to_owned(), node: "n1".to_owned(), notices, left_out: 2 }).unwrap()
    }

    fn told(format: StdoutFormat, parcel: &Parcel) -> String {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut told = 0;
        Stdout::to(format, write.into()).deliver(parcel, &mut told, Instant::now() + LONG).unwrap();
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn each_notice_is_a_line_or_an_object() {
        let parcel = parcel(&["r0 lost n2\nand", "b"]);
        expect_test::expect![[r#"
            2026-11-28T19:11:13.898Z n1 error: r0 lost n2 and
            2026-11-28T19:11:13.898Z n1 error: b
            n1 2 more were left out, see the log of the node
        "#]]
        .assert_eq(&told(StdoutFormat::Text, &parcel));
        let lines = told(StdoutFormat::Json, &parcel);
        let objects: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects[0]["id"], parcel.notice_id(0));
        let mut object = objects[1].clone();
        object["id"] = "ID-1".into();
        expect_test::expect![[r#"{"id":"ID-1","node":"n1","resources":["r0"],"severity":"error","text":"b","time":"2026-11-28T19:11:13.898Z","topic":"drbd","unix-ms":1795893073898,"what":"connection-lost"}"#]]
        .assert_eq(&object.to_string());
        let pretty = told(StdoutFormat::JsonPretty, &parcel);
        assert!(pretty.starts_with("{\n  \"id\": \""), "{pretty}");
        let mut stream = serde_json::Deserializer::from_str(&pretty).into_iter::<serde_json::Value>();
        assert_eq!(stream.next().unwrap().unwrap(), objects[0]);
        assert_eq!(stream.next().unwrap().unwrap(), objects[1]);
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_left_in_time_and_goes_on_with_whole_lines() {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut stdout = Stdout::to(StdoutFormat::Json, write.into());
        let parcel = parcel(&["a", &"b".repeat(200_000), "c"]);
        let mut told = 0;
        let why = stdout.deliver(&parcel, &mut told, Instant::now() + Duration::from_millis(20)).unwrap_err().why;
        assert_eq!((told, why.as_str()), (1, "nobody reads standard output"));
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            read.read_to_string(&mut text).unwrap();
            text
        });
        stdout.deliver(&parcel, &mut told, Instant::now() + LONG).unwrap();
        drop(stdout);
        let text = reader.join().unwrap();
        let good = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        assert_eq!(
            good.map(|notice| notice["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            [0, 1, 2].map(|n| parcel.notice_id(n))
        );
        assert_eq!(text.lines().count(), 4, "one of them has broken off");
    }
}
