//! `reactorctl events query`: the storage events that the daemon has stored.
//!
//! ```text
//!  this node's daemon, page by page ─┐
//!  no daemon: its file ──────────────┴─▶ events, the newest first ─▶ turned round ─▶ one line each, or JSON
//! ```

use std::io::Write;

use clap::Args;
use reactor_api::WireEvent;
use reactor_api::client::Client;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::QueryEvents;
use reactor_api::words::Last;
use reactor_core::api;
use reactor_sys::history::HistoryError;
use reactor_sys::history::events::literal_keys;
use reactor_sys::history::events::read::{EventQuery, Order};
use reactor_sys::history::read::Reader;

use super::print::print;
use super::wanted::{WantedArgs, Words};
use crate::cli::Place;
use crate::commands::Run;
use crate::commands::history::{is_away, next, say, when};
use crate::config;
use crate::daemon;
use crate::exit::{Exit, Failure};

/// Events that are shown if nobody says how many.
const LIMIT: u64 = 100;

/// The same with `--since`, which is a bound itself.
const LIMIT_SINCE: u64 = 10_000;

/// Show the storage events that the daemon has stored
///
/// If no daemon answers, the file that it has written is read, which is for root.
#[derive(Clone, Debug, Args)]
pub struct QueryArgs {
    /// Which events, and how they are printed.
    #[command(flatten)]
    pub wanted: WantedArgs,

    /// From then on: a time ago (`2h`, `3d`), or a time in UTC (`11:30` today, `2026-11-29`, `2026-11-29T10:00`)
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    pub since: Option<u64>,

    /// Until then
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    pub until: Option<u64>,

    /// The last N events [default: 100; with --since 10000]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub limit: Option<u64>,

    /// The newest first
    #[arg(short, long)]
    pub reverse: bool,
}

impl Run for QueryArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let form = self.wanted.form();
        let mut kept = Vec::new();
        let mut take = |event: WireEvent| {
            // As they come, whoever has enough ends it.
            if self.reverse {
                return Ok(print(&event, form, out)?);
            }
            kept.push(event);
            Ok(())
        };
        self.each(place, &mut take)?;
        for event in kept.iter().rev() {
            print(event, form, out)?;
        }
        Ok(Exit::Ok)
    }

    fn is_for_people(&self) -> bool {
        !self.wanted.json && !self.wanted.json_pretty
    }
}

impl QueryArgs {
    fn limit(&self) -> u64 {
        self.limit.unwrap_or(if self.since.is_some() { LIMIT_SINCE } else { LIMIT })
    }

    /// Hands on each, the newest first.
    fn each(&self, place: &Place, take: &mut dyn FnMut(WireEvent) -> Result<(), Failure>) -> Result<(), Failure> {
        let Words { severity, types, subsystems, device, incident } = self.wanted.words();
        let (since_ms, until_ms, last) = (self.since, self.until, Some(Last(self.limit())));
        let oldest_first = None;
        let verb =
            QueryEvents { severity, types, subsystems, device, incident, since_ms, until_ms, last, oldest_first };
        let mut count = 0_u64;
        let asked = daemon::connect_if_it_answers(place, verb.limit().client()).and_then(|mut client| {
            ask(&mut client, &verb, &mut |event| {
                count += 1;
                take(event)
            })
        });
        match asked {
            Err(failure) if count == 0 && place.node.is_none() && is_away(&failure) => {
                let dir = config::state_dir(place);
                let reader = Reader::open(&dir).map_err(|source| Failure::History { source })?;
                let file = reader.path().display().to_string();
                let why = failure.chain();
                say(&format!("{why}; this is read from {file}, up to where the daemon has written it"))?;
                self.read_file(&reader, take)
            }
            asked => asked,
        }
    }

    fn read_file(
        &self,
        reader: &Reader,
        take: &mut dyn FnMut(WireEvent) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let failed = |source: HistoryError| Failure::History { source };
        let query = self.query(reader)?;
        let (mut from, mut left) = (None, usize::try_from(self.limit()).unwrap_or(usize::MAX));
        loop {
            let page = reader.events(&query, Order::NewestFirst, from).map_err(failed)?;
            for event in page.events.iter().take(left) {
                take(api::event::stored(&event.told, event.number))?;
            }
            left = left.saturating_sub(page.events.len());
            match page.next.filter(|_| left > 0) {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// As the daemon would make it: a device is looked for by its ids if it is known here, else by its name.
    fn query(&self, reader: &Reader) -> Result<EventQuery, Failure> {
        let WantedArgs { severity, types, subsystems, device, incident, .. } = &self.wanted;
        let incident = match incident {
            None => None,
            Some(id) => {
                let named = reader.incidents_named(id).map_err(|source| Failure::History { source })?;
                match named.as_slice() {
                    [] => Some(id.clone()),
                    [only] => Some(only.id.clone()),
                    _ => {
                        let why = format!("more than one incident has an id that begins with {id}");
                        return Err(Failure::NoSuchIncident { why });
                    }
                }
            }
        };
        Ok(EventQuery {
            severity: *severity,
            types: types.clone(),
            subsystems: subsystems.clone(),
            devices: device.as_deref().map(ids),
            since_us: self.since.map(|ms| ms.saturating_mul(1000)),
            until_us: self.until.map(|ms| ms.saturating_mul(1000).saturating_add(999)),
            incident,
        })
    }
}

fn ids(name: &str) -> Vec<String> {
    let map = reactor_sysfs::Reader::new("/").list().map(reactor_sysfs::Listing::into_map);
    let found = map.ok().and_then(|map| {
        let found = map.find(name).ok()?;
        Some(std::iter::once(found.device).chain(found.also).map(|device| device.id.clone()).collect())
    });
    found.unwrap_or_else(|| literal_keys(name))
}

/// Hands on each event of a question, as its pages come.
pub(super) fn ask(
    client: &mut Client,
    verb: &QueryEvents,
    take: &mut dyn FnMut(WireEvent) -> Result<(), Failure>,
) -> Result<(), Failure> {
    client.ask_for_more(verb)?;
    loop {
        let (events, continues) = next::<WireEvent>(client, "events")?;
        events.into_iter().try_for_each(&mut *take)?;
        if !continues {
            return Ok(());
        }
    }
}
