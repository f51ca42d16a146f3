//! Reads the standard output of drbdsetup: whole lines in large pieces, and the ends of bursts.
//!
//! This is the hot path of the daemon. What keeps it cheap:
//! - one `read` takes everything that is in the pipe, and the lines of it travel as one `String`;
//! - the timer that ends a burst ([`Precise`]) costs a system call for each burst, not for each line;
//! - when drbdsetup writes line by line for long (it flushes after each), reading at once would cost a wake-up per line. After
//!   [`BUSY_READS`] reads without a pause that emptied the pipe, the stream lets lines gather for [`GATHER`] before it reads an
//!   empty pipe again. A burst of normal size, and the first line after a pause, are read without any delay.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep_until};

use super::alarm::{Alarm, Precise};
use super::bursts::Bursts;
use super::lines::LineBuffer;
use super::pipe::Source;

/// Bytes per `read`: some 300 lines, which stay in the second-level cache until they are parsed.
const READ: usize = 64 * 1024;

/// So many reads that empty the pipe, without a pause, then lines may gather.
const BUSY_READS: u32 = 256;

/// How long lines gather in the pipe of a busy drbdsetup. The pipe holds several thousand.
const GATHER: Duration = Duration::from_millis(1);

/// What comes out of a stream.
#[derive(Debug)]
pub(crate) enum Item {
    /// Whole lines, and how many.
    Lines(String, usize),
    /// The burst is over.
    BurstEnd,
    /// Nothing more will come.
    End(io::Result<()>),
}

/// The standard output of drbdsetup.
pub(crate) struct Stream<R, A = Precise> {
    reader: R,
    buffer: LineBuffer,
    bursts: Bursts,
    /// Ends the burst.
    alarm: A,
    /// Reads that emptied the pipe since the last silence.
    busy: u32,
    /// Lines gather until then.
    gather_until: Option<Instant>,
    ended: bool,
}

impl<R: Source> Stream<R> {
    /// Needs a tokio runtime.
    pub(crate) fn new(reader: R) -> Self {
        Self::with_alarm(reader, Precise::new())
    }
}

impl<R: Source, A: Alarm> Stream<R, A> {
    fn with_alarm(reader: R, alarm: A) -> Self {
        Self {
            reader,
            buffer: LineBuffer::default(),
            bursts: Bursts::default(),
            alarm,
            busy: 0,
            gather_until: None,
            ended: false,
        }
    }

    /// The next item. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Item {
        loop {
            let now = Instant::now();
            if self.bursts.is_full(now) && self.bursts.end() {
                return Item::BurstEnd;
            }
            if let Some(lines) = self.buffer.take(self.bursts.room()) {
                self.bursts.lines(now, lines.count);
                return Item::Lines(lines.text, lines.count);
            }
            if self.ended {
                return Item::End(Ok(()));
            }
            match self.read().await {
                Some(Ok(0)) => self.ended = true,
                Some(Ok(count)) => {
                    if let Err(error) = self.note_read(count) {
                        self.ended = true;
                        return Item::End(Err(error));
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Item::End(Err(error));
                }
                None => {
                    self.busy = 0;
                    if self.bursts.end() {
                        return Item::BurstEnd;
                    }
                }
            }
        }
    }

    /// Lines that came another way belong to the present burst, or begin one.
    pub(crate) fn note_foreign_lines(&mut self, count: usize) {
        self.bursts.lines(Instant::now(), count);
    }

    /// Overlong lines so far.
    pub(crate) fn overlong(&self) -> u64 {
        self.buffer.overlong
    }

    /// Bytes of a line whose end never came.
    pub(crate) fn partial(&self) -> usize {
        self.buffer.partial()
    }

    /// One read; `None` = the burst's deadline came first.
    async fn read(&mut self) -> Option<io::Result<usize>> {
        if let Some(until) = self.gather_until {
            sleep_until(until).await;
            self.gather_until = None;
            if let Err(error) = self.reader.resume() {
                return Some(Err(error));
            }
        }
        let deadline = self.bursts.deadline();
        let space = self.buffer.space();
        space.reserve(READ);
        let mut limited = (&mut self.reader).take(READ as u64);
        let mut read = std::pin::pin!(limited.read_buf(space));
        let alarm = &mut self.alarm;
        // Written out rather than `select!`: data that is there wins over a deadline that has passed.
        poll_fn(|cx| {
            if let Poll::Ready(done) = read.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            deadline.map_or(Poll::Pending, |deadline| alarm.poll_until(deadline, cx).map(|()| None))
        })
        .await
    }

    fn note_read(&mut self, count: usize) -> io::Result<()> {
        if count == READ {
            return Ok(());
        }
        self.busy = self.busy.saturating_add(1);
        if self.busy > BUSY_READS {
            self.gather_until = Some(Instant::now() + GATHER);
            self.reader.pause()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::advance;

    use super::super::bursts::{LONGEST, MOST_LINES, SILENCE};
    use super::*;

    impl Source for tokio::io::DuplexStream {
        fn pause(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn resume(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// On the runtime's timer, whose time stands still and is moved.
    fn on_virtual_time<R: Source>(reader: R) -> Stream<R, std::pin::Pin<Box<tokio::time::Sleep>>> {
        Stream::with_alarm(reader, Box::pin(sleep_until(Instant::now())))
    }

    fn text(item: Item) -> String {
        match item {
            Item::Lines(text, _) => text,
            Item::BurstEnd => "(burst end)".into(),
            Item::End(_) => "(end)".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_burst_once() {
        let (mut pipe, reader) = tokio::io::duplex(1 << 16);
        let mut stream = on_virtual_time(reader);
        pipe.write_all(b"change a\nchange b\n").await.unwrap();
        assert_eq!(text(stream.next().await), "change a\nchange b\n");
        let before = Instant::now();
        assert_eq!(text(stream.next().await), "(burst end)");
        assert!(before.elapsed() >= SILENCE && before.elapsed() < LONGEST);
        // A second end without lines never comes: only the next line does.
        assert!(tokio::time::timeout(Duration::from_secs(60), stream.next()).await.is_err());
        pipe.write_all(b"change c\n").await.unwrap();
        assert_eq!(text(stream.next().await), "change c\n");
        assert_eq!(text(stream.next().await), "(burst end)");
        drop(pipe);
        assert_eq!(text(stream.next().await), "(end)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_without_a_pause_ends_after_its_longest_time() {
        let (mut pipe, reader) = tokio::io::duplex(1 << 16);
        let mut stream = on_virtual_time(reader);
        let start = Instant::now();
        let mut lines = 0;
        loop {
            pipe.write_all(b"change a\n").await.unwrap();
            match stream.next().await {
                Item::Lines(..) => lines += 1,
                Item::BurstEnd => break,
                Item::End(end) => panic!("{end:?}"),
            }
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(start.elapsed(), LONGEST);
        assert_eq!(lines, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_has_at_most_so_many_lines() {
        let (mut pipe, reader) = tokio::io::duplex(1 << 20);
        let mut stream = on_virtual_time(reader);
        pipe.write_all("change a\n".repeat(MOST_LINES + 10).as_bytes()).await.unwrap();
        drop(pipe);
        let mut in_bursts = vec![0];
        loop {
            match stream.next().await {
                Item::Lines(_, count) => *in_bursts.last_mut().unwrap() += count,
                Item::BurstEnd => in_bursts.push(0),
                Item::End(end) => break end.unwrap(),
            }
        }
        assert_eq!(in_bursts, [MOST_LINES, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_storm_of_single_lines_is_read_in_pieces() {
        let (mut pipe, reader) = tokio::io::duplex(1 << 20);
        let writer = async move {
            for _ in 0..BUSY_READS + 5000 {
                pipe.write_all(b"change a\n").await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let mut stream = on_virtual_time(reader);
        let mut pieces = 0;
        let mut lines = 0;
        let read = async {
            loop {
                match stream.next().await {
                    Item::Lines(_, count) => {
                        pieces += 1;
                        lines += count;
                    }
                    Item::BurstEnd => {}
                    Item::End(_) => break,
                }
            }
        };
        tokio::join!(writer, read);
        assert_eq!(lines, BUSY_READS as usize + 5000);
        assert!(pieces < BUSY_READS as usize + 1000, "{pieces} pieces");
    }
}
