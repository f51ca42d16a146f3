//! `prpt query`: what the journal has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::path::PathBuf;

use clap::Args;
use jiff::{Timestamp, Zoned};
use reactor_core::settings::Mode;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::event::{Event, Severity};
use reactor_storage::formats::{Format, Reader};
use reactor_storage::record::Record;

use super::filter::Filter;
use super::journal::Journal;
use super::kept::Kept;
use super::print::Printer;
use super::stored::Stories;
use super::{EventArgs, Machine, since};
use crate::cli::Place;
use crate::commands::events::parse::story::Story;
use crate::config;
use crate::exit::Failure;

/// What is read at once.
const PIECE: usize = 64 * 1024;

/// Show the storage events that the journal has
///
/// Those that peripety itself has written are shown, too, and those that the daemon has stored, if this user may read its state folder.
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
        let (stories, kept) = (Stories::new(self.since)?, Kept::open(self.store().as_deref(), self.since));
        let telling = RefCell::new(Telling { filter, stories, kept, printer });
        let rules = self.events.rules();
        let mut journal = Journal::query(self.since, &rules)?;
        let catalogue = Catalogue::built_in().with_rules(rules);
        let records = tell_all(&mut journal, &catalogue, &machine, &telling)?;
        journal.finish()?;
        let mut telling = telling.into_inner();
        telling.kept_before(None)?;
        let Telling { filter, mut stories, mut printer, .. } = telling;
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

impl QueryArgs {
    /// The state folder of the daemon of this machine.
    fn store(&self) -> Option<PathBuf> {
        let config = self.events.config.as_ref();
        let is_here = self.events.machine.root.is_none() || config.is_some();
        is_here.then(|| config::state_dir(&Place::new(Mode::Native, config, None)))
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
    kept: Kept,
    printer: Printer<'w>,
}

impl Telling<'_> {
    fn event(&mut self, event: &Event, map: &DeviceMap) -> io::Result<()> {
        if let Some(wall_us) = event.at.wall_us {
            self.kept_before(Some(wall_us))?;
        }
        self.kept.was_told(event);
        self.one(event, map)
    }

    /// What the daemon has stored, and the journal does not have.
    fn kept_before(&mut self, wall_us: Option<u64>) -> io::Result<()> {
        let unknown = DeviceMap::default();
        while let Some(stored) = self.kept.next_before(wall_us) {
            self.one(&stored.told.event, &unknown)?;
        }
        Ok(())
    }

    fn one(&mut self, event: &Event, map: &DeviceMap) -> io::Result<()> {
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
