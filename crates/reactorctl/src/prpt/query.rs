//! `prpt query`: what the journal has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};

use clap::Args;
use jiff::{Timestamp, Zoned};
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::event::{Event, Severity};
use reactor_storage::formats::{Format, Reader};
use reactor_storage::record::Record;

use super::filter::Filter;
use super::journal::Journal;
use super::print::Printer;
use super::stored::Stories;
use super::{EventArgs, Machine, since};
use crate::commands::events::parse::story::Story;
use crate::exit::Failure;

/// What is read at once.
const PIECE: usize = 64 * 1024;

/// Show the storage events that the journal has
///
/// Those that peripety itself has written are shown, too.
#[derive(Clone, Debug, Args)]
pub(super) struct QueryArgs {
    /// From when on: today, yesterday, 2018-05-21, '2018-05-21 10:11:12', or with a zone 2018-05-21T10:11:12Z
    #[arg(long, value_name = "WHEN", value_parser = |text: &str| since::parse(text, &Zoned::now()))]
    pub(super) since: Option<Timestamp>,

    /// Which events, and how they are printed.
    #[command(flatten)]
    pub(super) events: EventArgs,
}

impl QueryArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let machine = self.events.machine.read()?;
        let filter = self.events.filter(&machine.map);
        let printer = Printer::new(self.events.form.form(), out);
        let telling = RefCell::new(Telling { filter, stories: Stories::new(self.since)?, printer });
        let rules = self.events.rules();
        let mut journal = Journal::query(self.since, &rules)?;
        let catalogue = Catalogue::built_in().with_rules(rules);
        let records = tell_all(&mut journal, &catalogue, &machine, &telling)?;
        journal.finish()?;
        let Telling { filter, mut stories, mut printer } = telling.into_inner();
        while let Some(stored) = stories.next_before(None) {
            if filter.takes_stored(&stored) {
                printer.stored(&stored)?;
            }
        }
        stories.finish()?;
        let has_read = records > 0 || !printer.is_silent();
        if has_read || self.events.force || rustix::process::geteuid().is_root() { Ok(()) } else { Err(forbidden()) }
    }
}

/// Tells what the journal has, and gives how many messages it has.
fn tell_all(
    journal: &mut Journal,
    catalogue: &Catalogue,
    machine: &Machine,
    telling: &RefCell<Telling<'_>>,
) -> Result<u64, Failure> {
    // In earlier boots the names may have been other devices'.
    let unknown = DeviceMap::default();
    let (mut told_before, mut told_now) = (BTreeMap::new(), BTreeMap::new());
    let mut tell_before = |event: &Event| telling.borrow_mut().event(event, &unknown);
    let mut tell_now = |event: &Event| telling.borrow_mut().event(event, &machine.map);
    let mut before = Story::new(catalogue, &unknown, Severity::Info, &mut told_before, &mut tell_before);
    let mut now = Story::new(catalogue, &machine.map, Severity::Info, &mut told_now, &mut tell_now);
    let mut between = None;
    let mut each = |record: Record<'_>| {
        if machine.is_of_this_boot(&record) {
            between.get_or_insert_with(|| before.end());
            now.record(&record);
        } else if between.is_none() {
            before.record(&record);
        } else {
            // Clocks go wrong: it has to be told where it stands.
            now.record(&record);
        }
        before.is_heard() && now.is_heard()
    };
    let mut output = journal.take_output();
    let mut reader = Reader::new(Format::Export);
    let mut piece = vec![0; PIECE];
    let mut is_heard = true;
    while is_heard {
        let length = output.read(&mut piece).map_err(|error| unread(&error))?;
        if length == 0 {
            break;
        }
        reader.push(&piece[..length], |record| is_heard &= each(record));
    }
    reader.end(|record| {
        each(record);
    });
    match between {
        Some(result) => result?,
        None => before.end()?,
    }
    now.end()?;
    Ok(reader.counts().records)
}

/// Prints what is wanted, with peripety's own events between.
struct Telling<'w> {
    filter: Filter,
    stories: Stories,
    printer: Printer<'w>,
}

impl Telling<'_> {
    fn event(&mut self, event: &Event, map: &DeviceMap) -> io::Result<()> {
        if let Some(wall_us) = event.at.wall_us {
            while let Some(stored) = self.stories.next_before(Some(wall_us)) {
                if self.filter.takes_stored(&stored) {
                    self.printer.stored(&stored)?;
                }
            }
        }
        self.stories.remember(event);
        if self.filter.takes(event) { self.printer.event(event, map) } else { Ok(()) }
    }
}

fn unread(error: &io::Error) -> Failure {
    Failure::Program { what: "journalctl".to_owned(), why: error.to_string() }
}

fn forbidden() -> Failure {
    Failure::Program {
        what: "the journal".to_owned(),
        why: "nothing in it may be read by this user: root and the groups systemd-journal and adm may read all of it (with -f this is no error)"
            .to_owned(),
    }
}
