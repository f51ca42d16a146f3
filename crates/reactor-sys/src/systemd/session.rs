//! One connection after the other, kept up; the states of the followed units, read and followed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reactor_core::ids::UnitName;
use reactor_core::input::Input;
use reactor_core::settings::Bus;
use reactor_core::systemd::{BusEvent, LoadState, UnitNews, UnitState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;
use zbus::export::futures_core::Stream;
use zbus::message::{Sequence, Type};
use zbus::{Connection, Message, MessageStream, connection};
use zbus::{OwnedObjectPath, OwnedVariant};

use super::jobs::Jobs;
use super::state::{UNIT, UNIT_PATH, patch, path, result_interface};
use super::{CALL, Live, MANAGER, MANAGER_PATH, SYSTEMD};

/// Between two tries to connect.
const BACK_OFF: Duration = Duration::from_millis(100);
/// The same at most.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// Units that are read at once.
const READS: usize = 64;
/// Pieces of text from the bus that are taken in before they are told.
const BATCH: usize = 256;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const DBUS: &str = "org.freedesktop.DBus";

/// The task of a link: connects, follows, and connects again.
pub(super) async fn keep_up(
    bus: Bus,
    followed: watch::Receiver<BTreeSet<UnitName>>,
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
    match timeout(CALL, builder.build()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the bus does not answer".to_owned()),
    }
}

/// A unit that is followed.
#[derive(Default)]
struct Followed {
    /// As it was told.
    told: Option<UnitState>,
    /// It has been read: all of it is known.
    is_read: bool,
    now: UnitState,
    /// Position on the wire of the last signal about it.
    position: Option<Sequence>,
    /// A reading is under way or due.
    reading: bool,
    /// It has to be read once more after the reading that is under way.
    again: bool,
}

/// What a reading found.
struct Reading {
    unit: UnitName,
    /// The state, and the position of the reply on the wire.
    result: Result<(UnitState, Option<Sequence>), String>,
}

struct Session {
    connection: Connection,
    jobs: Arc<Jobs>,
    wanted: watch::Receiver<BTreeSet<UnitName>>,
    news: mpsc::Sender<Input>,
    units: BTreeMap<UnitName, Followed>,
    by_path: HashMap<String, UnitName>,
    reads: JoinSet<Reading>,
    due: BTreeSet<UnitName>,
    /// Units whose state is not as it was told.
    changed: BTreeSet<UnitName>,
    was_up: bool,
}

impl Session {
    fn new(connection: Connection, wanted: watch::Receiver<BTreeSet<UnitName>>, news: mpsc::Sender<Input>) -> Self {
        Self {
            connection,
            jobs: Arc::default(),
            wanted,
            news,
            units: BTreeMap::new(),
            by_path: HashMap::new(),
            reads: JoinSet::new(),
            due: BTreeSet::new(),
            changed: BTreeSet::new(),
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
        let (doubtful, mut doubts) = mpsc::unbounded_channel();
        live.send_replace(Some(Live { connection: self.connection.clone(), jobs: Arc::clone(&self.jobs), doubtful }));
        self.follow_wanted();
        loop {
            self.begin_reads();
            if let Err(why) = self.tell().await {
                return why;
            }
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
                Some(reading) = self.reads.join_next() => match reading {
                    Ok(reading) => if let Err(why) = self.read(reading) { return why },
                    Err(error) => return format!("internal error: {error}"),
                },
                Some(unit) = doubts.recv() => if self.units.contains_key(&unit) {
                    self.due.insert(unit);
                },
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.follow_wanted(),
                    Err(_) => return "nobody follows units any more".to_owned(),
                },
            }
        }
    }

    fn follow_wanted(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        self.units.retain(|unit, _| wanted.contains(unit));
        self.by_path.retain(|_, unit| wanted.contains(unit));
        for unit in wanted {
            if !self.units.contains_key(&unit) {
                self.by_path.insert(path(unit.as_str()), unit.clone());
                self.units.insert(unit.clone(), Followed::default());
                self.due.insert(unit);
            }
        }
        self.due.retain(|unit| self.units.contains_key(unit));
        self.changed.retain(|unit| self.units.contains_key(unit));
    }

    /// Begins readings that are due, some at once.
    fn begin_reads(&mut self) {
        while self.reads.len() < READS {
            let Some(unit) = self.due.pop_first() else { return };
            if let Some(followed) = self.units.get_mut(&unit) {
                if std::mem::replace(&mut followed.reading, true) {
                    followed.again = true;
                    continue;
                }
                self.reads.spawn(read(self.connection.clone(), unit));
            }
        }
    }

    /// A reading ended.
    fn read(&mut self, reading: Reading) -> Result<(), String> {
        let Some(followed) = self.units.get_mut(&reading.unit) else { return Ok(()) };
        followed.reading = false;
        let (state, position) = reading.result?;
        // A signal that came after the reply knows better, but not everything.
        if std::mem::take(&mut followed.again) || (position.is_some() && followed.position > position) {
            followed.position = None;
            self.due.insert(reading.unit);
            return Ok(());
        }
        followed.now = state;
        followed.is_read = true;
        self.changed.insert(reading.unit);
        Ok(())
    }

    /// Tells what changed; `Up` once everything has been read.
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
        let gone = |_| "nobody follows units any more".to_owned();
        if !news.is_empty() {
            self.news.send(Input::Units(news)).await.map_err(gone)?;
        }
        if !self.was_up && self.due.is_empty() && self.units.values().all(|followed| followed.told.is_some()) {
            self.was_up = true;
            self.news.send(Input::Bus(BusEvent::Up)).await.map_err(gone)?;
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
                    self.jobs.removed(job.as_str(), &result);
                }
            }
            // It has read its units again: anything may be different.
            (MANAGER, "Reloading") if matches!(message.body().deserialize::<bool>(), Ok(false)) => {
                self.due.extend(self.units.keys().cloned());
            }
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
        followed.position = Some(message.recv_position());
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
    match timeout(CALL, work).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("systemd does not answer".to_owned()),
    }
}

/// Reads one unit; systemd loads it if it has to.
async fn read(connection: Connection, unit: UnitName) -> Reading {
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
    let result = match timeout(CALL, work).await {
        Ok(result) => result,
        Err(_) => Err(format!("systemd does not answer about {unit}")),
    };
    Reading { unit, result }
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
