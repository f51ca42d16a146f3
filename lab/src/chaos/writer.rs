//! The service of a chaos run, inside a node: `lab-agent write FILE ACKS`.
//!
//! It counts on from the last number in FILE, and acknowledges each number in ACKS once an fsync has put it on the disk of
//! every node. ACKS is in the folder that the node shares with the host: what has been written there is known for ever,
//! also when the node dies in that moment. An acknowledgement that is lost on the way does no harm: it only asks for less.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::ledger::{Event, Line, Micros};

/// Between two numbers.
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than any line.
const TAIL: u64 = 4096;

/// Writes until something fails; then so does the service.
pub fn write(file: &Path, acks: &Path, node: &str) -> io::Result<std::convert::Infallible> {
    let mut writer = Writer::open(file, acks, node)?;
    loop {
        writer.next()?;
        std::thread::sleep(PAUSE);
    }
}

struct Writer {
    file: File,
    acks: File,
    last: Line,
}

impl Writer {
    fn open(path: &Path, acks: &Path, node: &str) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let last = last_number(&mut file)?;
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            // The name of a new file is data, too.
            File::open(folder)?.sync_all()?;
        }
        let mut acks = OpenOptions::new().append(true).create(true).open(acks)?;
        let run = now();
        put(&mut acks, Event::Begun { last, run, at: run })?;
        Ok(Self { file, acks, last: Line { number: last, node: node.to_owned(), run } })
    }

    fn next(&mut self) -> io::Result<()> {
        let begun = now();
        self.last.number += 1;
        self.file.write_all(format!("{}\n", self.last).as_bytes())?;
        self.file.sync_all()?;
        put(&mut self.acks, Event::Acked { number: self.last.number, run: self.last.run, begun, done: now() })
    }
}

/// One call, so that a line is there or not.
fn put(acks: &mut File, event: Event) -> io::Result<()> {
    acks.write_all(format!("{event}\n").as_bytes())
}

/// The last number in the file. A line that a crash has torn was not acknowledged, and is cut off.
fn last_number(file: &mut File) -> io::Result<u64> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let torn = (tail.len() - whole) as u64;
    if torn > 0 {
        file.set_len(size - torn)?;
    }
    let text = String::from_utf8_lossy(&tail[..whole]);
    let Some(last) = text.lines().next_back() else {
        return if size > TAIL { Err(io::Error::other("the file's end has no lines")) } else { Ok(0) };
    };
    last.parse::<Line>().map(|line| line.number).map_err(io::Error::other)
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::events;
    use super::*;
    use std::fs;

    #[test]
    fn it_counts_on_and_acknowledges() {
        let folder = std::env::temp_dir().join(format!("lab-writer-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (file, acks) = (folder.join("count"), folder.join("acks"));
        let mut first = Writer::open(&file, &acks, "n1").expect("a writer");
        first.next().expect("1");
        first.next().expect("2");
        let mut text = fs::read_to_string(&file).expect("the file");
        // A crash in the middle of the third.
        text += "3 n1";
        fs::write(&file, &text).expect("written");
        let mut second = Writer::open(&file, &acks, "n2").expect("a writer");
        second.next().expect("3");
        let text = fs::read_to_string(&file).expect("the file");
        let lines: Vec<Line> = text.lines().map(|line| line.parse().expect("a line")).collect();
        let short: Vec<_> = lines.iter().map(|line| (line.number, line.node.as_str())).collect();
        assert_eq!(short, [(1, "n1"), (2, "n1"), (3, "n2")]);
        let events = events(&fs::read_to_string(&acks).expect("the acknowledgements")).expect("events");
        let short: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Begun { last, .. } => ("begun", *last),
                Event::Acked { number, .. } => ("acked", *number),
            })
            .collect();
        assert_eq!(short, [("begun", 0), ("acked", 1), ("acked", 2), ("begun", 2), ("acked", 3)]);
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let path = std::env::temp_dir().join(format!("lab-writer-other-{}", std::process::id()));
        fs::write(&path, "some words\n").expect("written");
        let mut file = OpenOptions::new().read(true).append(true).open(&path).expect("open");
        assert!(last_number(&mut file).is_err());
        fs::remove_file(&path).expect("removed");
    }
}
