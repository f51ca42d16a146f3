//! One connection after the other, kept up; the states of the followed units, read and followed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reactor_core::ids::UnitName;
use reactor_core::input::Input;
use reactor_core::settings::Bus;
use reactor_core::systemd::{ActiveState, BusEvent, LoadState, UnitNews, UnitState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tracing::{debug, info};
use zbus::export::futures_core::Stream;
use zbus::message::{Sequence, Type};
use zbus::{Connection, Message, MessageStream, connection};
use zbus::{OwnedObjectPath, OwnedVariant};

use super::jobs::Jobs;
use super::pulse::SILENT;
use super::reads::Reads;
use super::state::{UNIT, UNIT_PATH, patch, path, result_interface};
use super::{Calls, Live, MANAGER, MANAGER_PATH, SYSTEMD, Wanted};

/// Between two tries to connect.
const BACK_OFF: Duration = Duration::from_millis(100);
/// The same at most.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// Pieces of text from the bus that are taken in before they are told.
const BATCH: usize = 256;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const DBUS: &str = "org.freedesktop.DBus";

/// The task of a link: connects, follows, and connects again.
pub(super) async fn keep_up(
    bus: Bus,
    followed: watch::Receiver<Wanted>,
    live: watch::Sender<Option<Live>>,
    news: mpsc::Sender<Input>,
) {
    let mut wait = BACK_OFF;
    loop {
        let why = match open(&bus).await {
            Ok(connection) => {
                let mut session = Session::new(connection, followed.clone(), news.clone());
                let error = session.run(&live).await;
                if session.was_up {
                    wait = BACK_OFF;
                }
                error
            }
            Err(error) => error,
        };
        live.send_replace(None);
        debug!(why, "no connection to systemd");
        if news.send(Input::Bus(BusEvent::Down { why })).await.is_err() {
            return;
        }
        sleep(wait).await;
        wait = (wait * 2).min(BACK_OFF_MAX);
    }
}

async fn open(bus: &Bus) -> Result<Connection, String> {
    let builder = match bus {
        Bus::System => connection::Builder::system(),
        Bus::Session => connection::Builder::session(),
        Bus::Address(address) => connection::Builder::address(address.as_str()),
    };
    match timeout(SILENT, builder.build()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the bus does not answer".to_owned()),
    }
}

/// A unit that is followed.
#[derive(Default)]
struct Followed {
    /// Since when: a unit that was left out meanwhile has another number.
    number: u64,
    /// As it was told.
    told: Option<UnitState>,
    /// It has been read: all of it is known.
    is_read: bool,
    now: UnitState,
    /// Position on the wire of the last signal about it.
    signal: Option<Sequence>,
    /// The same of the last answer that was taken.
    answer: Option<Sequence>,
}

/// What systemd answered.
enum Answer {
    Unit(Reading),
    /// All units that it has in its memory.
    List(Result<Vec<Row>, String>),
}

/// What a reading found.
struct Reading {
    number: u64,
    unit: UnitName,
    /// The state, and the position of the reply on the wire.
    result: Result<(UnitState, Option<Sequence>), String>,
}

/// A row of `ListUnits`: name, description, load, active and sub state, followed unit, path, job, its type, its path.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

struct Session {
    connection: Connection,
    jobs: Arc<Jobs>,
    calls: Arc<Calls>,
    wanted: watch::Receiver<Wanted>,
    news: mpsc::Sender<Input>,
    units: BTreeMap<UnitName, Followed>,
    by_path: HashMap<String, UnitName>,
    answers: JoinSet<Answer>,
    reads: Reads,
    /// systemd has read its units again: what it has in its memory is compared with what is known.
    list_due: bool,
    is_listing: bool,
    /// Units whose state is not as it was told.
    changed: BTreeSet<UnitName>,
    /// Jobs that have ended: path and result.
    ended: Vec<(String, String)>,
    was_up: bool,
}

impl Session {
    fn new(connection: Connection, wanted: watch::Receiver<Wanted>, news: mpsc::Sender<Input>) -> Self {
        Self {
            connection,
            jobs: Arc::default(),
            calls: Arc::new(Calls::new()),
            wanted,
            news,
            units: BTreeMap::new(),
            by_path: HashMap::new(),
            answers: JoinSet::new(),
            reads: Reads::default(),
            list_due: false,
            is_listing: false,
            changed: BTreeSet::new(),
            ended: Vec::new(),
            was_up: false,
        }
    }

    /// Until the connection is of no use any more; gives why.
    async fn run(&mut self, live: &watch::Sender<Option<Live>>) -> String {
        let mut stream = MessageStream::from(&self.connection);
        // Answers to these come by the stream too, so it is read beside them.
        let subscribe = subscribe(self.connection.clone());
        tokio::pin!(subscribe);
        loop {
            tokio::select! {
                result = &mut subscribe => match result {
                    Ok(()) => break,
                    Err(why) => return why,
                },
                message = next(&mut stream) => if let Err(why) = self.take(message) { return why },
            }
        }
        // What came before the promise is looked at first: that systemd came only now is not told as up, down and up again.
        while let Some(message) = next_now(&mut stream).await {
            if let Err(why) = self.take(message) {
                return why;
            }
        }
        let (doubtful, mut doubts) = mpsc::unbounded_channel();
        let (connection, jobs, calls) = (self.connection.clone(), Arc::clone(&self.jobs), Arc::clone(&self.calls));
        live.send_replace(Some(Live { connection, jobs, calls, doubtful }));
        self.was_up = true;
        if self.news.send(Input::Bus(BusEvent::Up)).await.is_err() {
            return nobody();
        }
        self.follow_wanted();
        let calls = Arc::clone(&self.calls);
        loop {
            self.begin_reads();
            if let Err(why) = self.tell().await {
                return why;
            }
            let wake = self.deadline();
            tokio::select! {
                message = next(&mut stream) => {
                    if let Err(why) = self.take(message) { return why }
                    // What is there already is told together.
                    for _ in 0..BATCH {
                        match next_now(&mut stream).await {
                            Some(message) => if let Err(why) = self.take(message) { return why },
                            None => break,
                        }
                    }
                }
                Some(answer) = self.answers.join_next() => match answer {
                    Ok(Answer::Unit(reading)) => self.read(reading),
                    Ok(Answer::List(rows)) => self.listed(rows),
                    Err(error) => return format!("internal error: {error}"),
                },
                Some(unit) = doubts.recv() => if self.units.contains_key(&unit) {
                    self.reads.want(&unit);
                },
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.follow_wanted(),
                    Err(_) => return nobody(),
                },
                // A call begins: it may be the only thing that is waited for.
                () = calls.begins() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {
                    if let Err(why) = self.look() { return why }
                }
            }
        }
    }

    fn follow_wanted(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let numbers: BTreeMap<&UnitName, u64> = wanted.iter().map(|(unit, number)| (unit, *number)).collect();
        self.units.retain(|unit, followed| numbers.get(unit) == Some(&followed.number));
        let units = &self.units;
        self.by_path.retain(|_, unit| units.contains_key(unit));
        self.reads.retain(|unit| units.contains_key(unit));
        self.changed.retain(|unit| units.contains_key(unit));
        for (unit, number) in wanted {
            if !self.units.contains_key(&unit) {
                self.by_path.insert(path(unit.as_str()), unit.clone());
                self.reads.want(&unit);
                self.units.insert(unit, Followed { number, ..Followed::default() });
            }
        }
    }

    /// Begins readings that are due, few at once.
    fn begin_reads(&mut self) {
        if self.list_due && !self.is_listing {
            (self.list_due, self.is_listing) = (false, true);
            self.answers.spawn(list(self.connection.clone()));
        }
        let now = Instant::now();
        let pulse = self.calls.pulse();
        while let Some((number, unit)) = self.reads.next(now, &pulse) {
            self.answers.spawn(read(self.connection.clone(), number, unit));
        }
    }

    /// When to look without news.
    fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let pulse = self.calls.pulse();
        let busy = self.reads.busy_since().into_iter().chain(self.calls.busy_since()).min();
        let probe = busy.and_then(|busy| pulse.probe_at(busy));
        let times = [self.reads.deadline(now, &pulse), probe, pulse.dead_at()];
        times.into_iter().flatten().min()
    }

    /// Looks at what is late, and whether systemd is there at all.
    fn look(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let pulse = self.calls.pulse();
        if pulse.dead_at().is_some_and(|at| at <= now) {
            return Err(format!("systemd has answered nothing for {} s", SILENT.as_secs()));
        }
        let busy = self.reads.busy_since().into_iter().chain(self.calls.busy_since()).min();
        if busy.and_then(|busy| pulse.probe_at(busy)).is_some_and(|at| at <= now) {
            self.calls.probed(now);
            let connection = self.connection.clone();
            tokio::spawn(async move {
                // Whatever the answer is, it is one, and it comes by the stream.
                let peer = "org.freedesktop.DBus.Peer";
                let _ = connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(peer), "Ping", &()).await;
            });
        }
        for unit in self.reads.look(now, &pulse) {
            info!(%unit, "systemd answers, but not about this unit: it is asked again");
        }
        Ok(())
    }

    /// A reading ended.
    fn read(&mut self, reading: Reading) {
        let Reading { number, unit, result } = reading;
        self.reads.ended(Instant::now(), number, &unit, result.is_ok());
        let Some(followed) = self.units.get_mut(&unit) else { return };
        let (state, position) = match result {
            Ok(read) => read,
            Err(error) => return debug!(%unit, error, "can't read a unit: it is asked about again"),
        };
        // The answer to an earlier question that was late.
        if position.is_some() && position < followed.answer {
            return;
        }
        // A signal that came after the reply knows better, but not everything.
        if position.is_some() && position < followed.signal {
            return self.reads.want(&unit);
        }
        followed.answer = position;
        followed.now = state;
        followed.is_read = true;
        self.changed.insert(unit);
    }

    /// systemd has read its units again. What it has in its memory is compared, at the cost of one call; the others are not loaded only to be
    /// looked at, but when there is nothing else to do.
    fn listed(&mut self, rows: Result<Vec<Row>, String>) {
        self.is_listing = false;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                debug!(error, "systemd does not list its units: all are read");
                return self.units.keys().for_each(|unit| self.reads.want(unit));
            }
        };
        let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.0.as_str(), row)).collect();
        for (unit, followed) in &self.units {
            let now = &followed.now;
            match rows.get(unit.as_str()) {
                Some(row) if followed.is_read && is_same(now, row) => {}
                None if followed.is_read && now.load == LoadState::Loaded && is_at_rest(now) => {
                    self.reads.look_later(unit);
                }
                _ => self.reads.want(unit),
            }
        }
    }

    /// Tells what changed; then the ends of jobs, which came after it.
    async fn tell(&mut self) -> Result<(), String> {
        let mut news = Vec::new();
        for unit in std::mem::take(&mut self.changed) {
            let Some(followed) = self.units.get_mut(&unit) else { continue };
            if !followed.is_read || followed.told.as_ref() == Some(&followed.now) {
                continue;
            }
            followed.told = Some(followed.now.clone());
            news.push(UnitNews { unit, state: followed.now.clone() });
        }
        if !news.is_empty() {
            self.news.send(Input::Units(news)).await.map_err(|_| nobody())?;
        }
        for (job, result) in self.ended.drain(..) {
            self.jobs.removed(&job, &result);
        }
        Ok(())
    }

    /// Takes a message of the bus in.
    fn take(&mut self, message: Option<zbus::Result<Message>>) -> Result<(), String> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("the connection was closed".to_owned()),
        };
        self.calls.heard(Instant::now());
        let header = message.header();
        if header.message_type() != Type::Signal {
            return Ok(());
        }
        let member = header.member().map(zbus::names::MemberName::as_str).unwrap_or_default();
        match (header.interface().map(zbus::names::InterfaceName::as_str).unwrap_or_default(), member) {
            (PROPERTIES, "PropertiesChanged") => self.properties(header.path().map(zbus::ObjectPath::as_str), &message),
            (MANAGER, "JobRemoved") => {
                if let Ok((_, job, _, result)) = message.body().deserialize::<(u32, OwnedObjectPath, String, String)>()
                {
                    self.ended.push((job.to_string(), result));
                }
            }
            (MANAGER, "Reloading") if matches!(message.body().deserialize::<bool>(), Ok(false)) => self.list_due = true,
            (DBUS, "NameOwnerChanged") => {
                if let Ok((name, _, owner)) = message.body().deserialize::<(String, String, String)>()
                    && name == SYSTEMD
                {
                    return Err(if owner.is_empty() { "systemd left the bus" } else { "systemd came anew" }.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn properties(&mut self, path: Option<&str>, message: &Message) {
        let Some(unit) = path.and_then(|path| self.by_path.get(path)) else { return };
        let Some(followed) = self.units.get_mut(unit) else { return };
        type Body = (String, HashMap<String, OwnedVariant>, Vec<String>);
        let Ok((_, properties, _)) = message.body().deserialize::<Body>() else { return };
        followed.signal = Some(message.recv_position());
        patch(&mut followed.now, &properties);
        self.changed.insert(unit.clone());
    }
}

/// Signals that are wanted, and systemd's promise to send them.
async fn subscribe(connection: Connection) -> Result<(), String> {
    let manager = |member: &str| {
        format!("type='signal',sender='{SYSTEMD}',path='{MANAGER_PATH}',interface='{MANAGER}',member='{member}'")
    };
    let rules = [
        manager("JobRemoved"),
        manager("Reloading"),
        format!(
            "type='signal',sender='{SYSTEMD}',interface='{PROPERTIES}',member='PropertiesChanged',path_namespace='{}'",
            UNIT_PATH.trim_end_matches('/')
        ),
        format!("type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{SYSTEMD}'"),
    ];
    let work = async {
        for rule in &rules {
            connection.call_method(Some(DBUS), "/org/freedesktop/DBus", Some(DBUS), "AddMatch", &(rule,)).await?;
        }
        connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), "Subscribe", &()).await
    };
    match timeout(SILENT, work).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("systemd does not answer".to_owned()),
    }
}

fn nobody() -> String {
    "nobody follows units any more".to_owned()
}

/// Whether a row says of a unit what is known of it.
fn is_same(known: &UnitState, row: &Row) -> bool {
    let (_, _, load, active, sub, _, _, job, ..) = row;
    known.load.as_str() == load && known.active.as_str() == active && known.sub == *sub && known.job == (*job != 0)
}

/// Whether a unit may be out of systemd's memory.
fn is_at_rest(known: &UnitState) -> bool {
    !known.job && known.active == ActiveState::Inactive
}

/// All units that systemd has in its memory; none is loaded for that.
async fn list(connection: Connection) -> Answer {
    let reply = connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), "ListUnits", &()).await;
    Answer::List(reply.and_then(|reply| reply.body().deserialize()).map_err(|error| error.to_string()))
}

/// Reads one unit; systemd loads it if it has to. How long that may take is for the session to say.
async fn read(connection: Connection, number: u64, unit: UnitName) -> Answer {
    let work = async {
        let object = path(unit.as_str());
        let mut state = UnitState::default();
        let all = (UNIT,);
        let get_all = connection.call_method(Some(SYSTEMD), object.clone(), Some(PROPERTIES), "GetAll", &all);
        let reply = match get_all.await {
            Ok(reply) => reply,
            Err(error) if is_unknown(&error) => {
                // systemd has no object for a name that is not that of a unit.
                state.load = LoadState::NotFound;
                return Ok((state, None));
            }
            Err(error) => return Err(error.to_string()),
        };
        let position = Some(reply.recv_position());
        let properties = reply.body().deserialize().map_err(|error| error.to_string())?;
        patch(&mut state, &properties);
        if let Some(interface) = result_interface(unit.as_str()) {
            let which = (interface, "Result");
            let call = connection.call_method(Some(SYSTEMD), object.clone(), Some(PROPERTIES), "Get", &which);
            // A unit that could not be loaded has no properties of its type.
            if let Ok(reply) = call.await
                && let Ok(value) = reply.body().deserialize::<OwnedVariant>()
            {
                patch(&mut state, &HashMap::from([("Result".to_owned(), value)]));
            }
        }
        Ok((state, position))
    };
    let result = work.await;
    Answer::Unit(Reading { number, unit, result })
}

fn is_unknown(error: &zbus::Error) -> bool {
    use zbus::DBusError as _;
    let name = match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => error.name().to_string(),
        _ => return false,
    };
    ["UnknownObject", "NoSuchUnit", "InvalidArgs", "UnknownMethod"].iter().any(|word| name.ends_with(word))
}

async fn next(stream: &mut MessageStream) -> Option<zbus::Result<Message>> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

/// The next message if it is there already; `None` = it is not.
async fn next_now(stream: &mut MessageStream) -> Option<Option<zbus::Result<Message>>> {
    poll_fn(|cx| {
        std::task::Poll::Ready(match Pin::new(&mut *stream).poll_next(cx) {
            std::task::Poll::Ready(message) => Some(message),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
