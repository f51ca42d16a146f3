//! `prpt monitor`: what happens from now on.

use std::io::{Read as _, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::formats::{Format, Reader};
use reactor_storage::pipeline::{Phase, Pipeline, Told};
use reactor_storage::record::Record;

use super::filter::Filter;
use super::journal::Journal;
use super::print::Printer;
use super::{EventArgs, Machine};
use crate::exit::Failure;

/// What is read at once.
const PIECE: usize = 64 * 1024;

/// Pieces that wait; the journal waits when there are more.
const MAX_WAITING: usize = 16;

/// Devices are read anew when something happens and they were read so long ago.
const FRESH: Duration = Duration::from_secs(5);

/// Show storage events as they happen
///
/// An event is shown when it begins. If it goes on, it is shown once more when it is over, with the same id and how often it was.
#[derive(Clone, Debug, Args)]
pub(super) struct MonitorArgs {
    /// Which events, and how they are printed.
    #[command(flatten)]
    pub(super) events: EventArgs,
}

impl MonitorArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let machine = self.events.machine.read()?;
        let rules = self.events.rules();
        let mut journal = Journal::follow(&rules)?;
        let pieces = read(&mut journal);
        let filter = self.events.filter(&machine.map);
        let printer = Printer::new(self.events.form.form(), out);
        let mut watch = Watch {
            args: &self.events,
            catalogue: Catalogue::built_in().with_rules(rules),
            machine,
            filter,
            printer,
            pipeline: Pipeline::new(),
            begun: Instant::now(),
            read: Instant::now(),
        };
        watch.run(&pieces)?;
        journal.finish()?;
        Err(Failure::Program {
            what: "journalctl".to_owned(),
            why: "it does not follow the journal any more".to_owned(),
        })
    }
}

/// What the journal says, by a thread of its own: events have their times even if nothing is said.
fn read(journal: &mut Journal) -> Receiver<Vec<u8>> {
    let mut output = journal.take_output();
    let (send, pieces) = sync_channel(MAX_WAITING);
    thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = output.read(&mut piece) {
            if send.send(piece[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    pieces
}

struct Watch<'w> {
    args: &'w EventArgs,
    catalogue: Catalogue,
    machine: Machine,
    filter: Filter,
    printer: Printer<'w>,
    pipeline: Pipeline,
    begun: Instant,
    /// When the devices were.
    read: Instant,
}

impl Watch<'_> {
    /// Until the journal ends.
    fn run(&mut self, pieces: &Receiver<Vec<u8>>) -> Result<(), Failure> {
        let mut reader = Reader::new(Format::Export);
        loop {
            let piece = match self.pipeline.next_deadline() {
                Some(at) => pieces.recv_timeout(Duration::from_micros(at.saturating_sub(self.now()))),
                None => pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let is_over = piece == Err(RecvTimeoutError::Disconnected);
            let mut each = |record: Record<'_>| {
                if self.catalogue.classify(&record).is_some() {
                    self.refresh();
                }
                let now = self.now();
                if let Some(finding) = self.catalogue.classify(&record) {
                    self.pipeline.take(&record, &finding, &self.machine.map, now);
                }
            };
            match piece {
                Ok(piece) => reader.push(&piece, &mut each),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => reader.end(&mut each),
            }
            let now = self.now();
            if is_over {
                self.pipeline.finish(&self.machine.map);
            } else {
                self.pipeline.expire(&self.machine.map, now);
            }
            self.tell()?;
            if is_over {
                return Ok(());
            }
        }
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Those that have gone stay known: most often that is what is told of.
    fn refresh(&mut self) {
        if self.read.elapsed() < FRESH {
            return;
        }
        self.read = Instant::now();
        if self.machine.read_again() {
            self.filter = self.args.filter(&self.machine.map);
        }
    }

    fn tell(&mut self) -> Result<(), Failure> {
        for Told { phase, event } in self.pipeline.told() {
            let is_told = match phase {
                Phase::Began => true,
                Phase::Grew => false,
                Phase::Ended => event.count > 1,
            };
            if is_told && self.filter.takes(&event) {
                self.printer.event(&event, &self.machine.map)?;
            }
        }
        Ok(self.printer.flush()?)
    }
}
