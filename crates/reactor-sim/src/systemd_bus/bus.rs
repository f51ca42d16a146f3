//! The mock on the bus: method calls in, replies and signals out, one after the other in one task.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;

use futures_core::Stream;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use zbus::message::{Header, Type};
use zbus::{Connection, DynamicType, Message, MessageStream, ObjectPath, Variant};

use super::engine::{Effect, Engine, Exit, JobKind, Refusal, Signal, Snapshot};
use super::faults::Faults;
use super::name::{self, SYSTEMD};
use super::processes::{Event, Processes, Start};

const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

type Values = HashMap<&'static str, Variant<'static>>;

/// The manager on its bus.
#[derive(Debug)]
pub struct Manager {
    connection: Connection,
    engine: Engine,
    processes: Processes,
    timers: UnboundedSender<Event>,
    /// Connections that want signals.
    subscribers: BTreeSet<String>,
    /// Where the faults stand, and those of the message that is answered.
    faults_file: PathBuf,
    faults: Faults,
}

impl Manager {
    /// Nothing is read from the bus yet.
    pub fn new(
        connection: Connection,
        engine: Engine,
        processes: Processes,
        timers: UnboundedSender<Event>,
        faults_file: PathBuf,
    ) -> Self {
        let faults = Faults::default();
        Self { connection, engine, processes, timers, subscribers: BTreeSet::new(), faults_file, faults }
    }

    /// Takes systemd's name on the bus.
    pub async fn claim(&self) -> zbus::Result<()> {
        // Who leaves is no subscriber any more.
        let rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'";
        let dbus = "org.freedesktop.DBus";
        self.connection.call_method(Some(dbus), "/org/freedesktop/DBus", Some(dbus), "AddMatch", &rule).await?;
        self.connection.request_name(SYSTEMD).await
    }

    /// Serves until the bus is gone.
    pub async fn serve(
        &mut self,
        mut stream: MessageStream,
        events: &mut UnboundedReceiver<Event>,
    ) -> zbus::Result<()> {
        let interface = format!("{SYSTEMD}.Manager");
        loop {
            tokio::select! {
                message = next(&mut stream) => match message {
                    Some(Ok(message)) => self.message(&message, &interface).await?,
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
                Some(event) = events.recv() => {
                    self.event(event);
                    self.perform().await?;
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Exited { unit, token, exit } => {
                self.processes.reaped(&unit, token);
                self.engine.exited(&unit, token, exit);
            }
            Event::Ready { unit } => self.engine.ready(&unit),
            Event::Timer { unit, serial } => self.engine.timer(&unit, serial),
            Event::JobTimer { job } => self.engine.job_timer(job),
        }
    }

    async fn message(&mut self, message: &Message, manager: &str) -> zbus::Result<()> {
        let header = message.header();
        if message.message_type() == Type::Signal {
            if header.member().is_some_and(|member| member.as_str() == "NameOwnerChanged") {
                let (name, _, new): (String, String, String) = message.body().deserialize()?;
                if new.is_empty() {
                    self.subscribers.remove(&name);
                }
            }
            return Ok(());
        }
        if message.message_type() != Type::MethodCall {
            return Ok(());
        }
        let interface = header.interface().map_or("", |interface| interface.as_str());
        self.faults = Faults::read(&self.faults_file);
        let answer = match interface {
            PROPERTIES => self.property_call(message, &header).await,
            "org.freedesktop.DBus.Peer" => self.connection.reply(&header, &()).await.map_err(Failure::from),
            _ if interface == manager || interface.is_empty() => self.manager_call(message, &header).await,
            _ => Err(unknown(&header)),
        };
        match answer {
            Ok(()) => {}
            Err(Failure::Bus(error)) => return Err(error),
            Err(Failure::Refused(refusal)) => {
                self.connection.reply_error(&header, refusal.name.as_str(), &refusal.message).await?;
            }
        }
        self.engine.run();
        self.perform().await
    }

    async fn manager_call(&mut self, message: &Message, header: &Header<'_>) -> Result<(), Failure> {
        let body = message.body();
        let member = header.member().map_or("", |member| member.as_str());
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        match member {
            "Subscribe" => {
                if !self.subscribers.insert(sender) {
                    return Err(Refusal::new("AlreadySubscribed", "Client is already subscribed.").into());
                }
            }
            "Unsubscribe" => {
                if !self.subscribers.remove(&sender) {
                    return Err(Refusal::new("NotSubscribed", "Client is not subscribed.").into());
                }
            }
            "LoadUnit" | "GetUnit" => {
                let unit: String = arguments(body.deserialize())?;
                if member == "LoadUnit" {
                    self.engine.load(&unit)?;
                } else if self.engine.snapshot(&unit).is_none() {
                    return Err(Refusal::new("NoSuchUnit", format!("Unit {unit} not loaded.")).into());
                }
                self.perform().await?;
                return Ok(self.connection.reply(header, &object(name::path(&unit))).await?);
            }
            "StartUnit" | "StopUnit" | "RestartUnit" => {
                let (unit, _mode): (String, String) = arguments(body.deserialize())?;
                log(&format!("{member} {unit}"));
                let kind = match member {
                    "StartUnit" => JobKind::Start,
                    "StopUnit" => JobKind::Stop,
                    _ => JobKind::Restart,
                };
                let job = self.engine.queue(&unit, kind)?;
                // As with systemd: JobNew, then the reply, then what the job does.
                self.perform().await?;
                return Ok(self.connection.reply(header, &object(job_path(job))).await?);
            }
            "ResetFailedUnit" => self.engine.reset_failed(&arguments::<String>(body.deserialize())?)?,
            "FreezeUnit" => self.engine.freeze(&arguments::<String>(body.deserialize())?, true)?,
            "ThawUnit" => self.engine.freeze(&arguments::<String>(body.deserialize())?, false)?,
            "Reload" => {
                self.signal(MANAGER_PATH, "Manager", "Reloading", &true).await?;
                // As systemd: nothing else is done meanwhile.
                std::thread::sleep(self.faults.reload);
                self.engine.reload();
                self.perform().await?;
                self.signal(MANAGER_PATH, "Manager", "Reloading", &false).await?;
            }
            "GetUnitFileState" => {
                let unit: String = arguments(body.deserialize())?;
                let Some(state) = self.engine.file_state(&unit) else {
                    let name = "org.freedesktop.DBus.Error.FileNotFound".to_owned();
                    return Err(Refusal { name, message: "No such file or directory".to_owned() }.into());
                };
                return Ok(self.connection.reply(header, &state).await?);
            }
            "ListUnits" => return self.list_units(header).await,
            _ => return Err(unknown(header)),
        }
        self.perform().await?;
        Ok(self.connection.reply(header, &()).await?)
    }

    async fn list_units(&self, header: &Header<'_>) -> Result<(), Failure> {
        let kinds: BTreeMap<u32, &str> = self.engine.jobs().map(|(id, job)| (id, job.kind.as_str())).collect();
        let units = self.engine.names().filter_map(|name| self.engine.snapshot(name));
        let units = units.filter(|unit| self.faults.load.is_none() || !is_at_rest(unit));
        let rows: Vec<_> = units
            .map(|unit| {
                let kind = kinds.get(&unit.job).copied().unwrap_or_default();
                let states = (unit.load_state, unit.active_state, unit.sub_state);
                let path = object(name::path(&unit.id));
                let job = object(job_path(unit.job));
                (unit.id, unit.description, states.0, states.1, states.2, "", path, unit.job, kind, job)
            })
            .collect();
        Ok(self.connection.reply(header, &rows).await?)
    }

    async fn property_call(&mut self, message: &Message, header: &Header<'_>) -> Result<(), Failure> {
        let body = message.body();
        let path = header.path().map_or("", |path| path.as_str());
        let member = header.member().map_or("", |member| member.as_str());
        let (interface, property) = match member {
            "GetAll" => (arguments::<String>(body.deserialize())?, None),
            "Get" => {
                let (interface, property): (String, String) = arguments(body.deserialize())?;
                (interface, Some(property))
            }
            _ => return Err(unknown(header)),
        };
        if self.faults.any && property.is_none() && self.has_fault(path) {
            return Ok(());
        }
        let mut values = self.values(path, &interface).ok_or_else(|| {
            let name = "org.freedesktop.DBus.Error.UnknownInterface".to_owned();
            Failure::from(Refusal { name, message: format!("Unknown interface {interface} at {path}.") })
        })?;
        let Some(property) = property else { return Ok(self.connection.reply(header, &values).await?) };
        let Some(value) = values.remove(property.as_str()) else {
            let name = "org.freedesktop.DBus.Error.UnknownProperty".to_owned();
            return Err(Refusal { name, message: format!("Unknown property {interface}.{property}.") }.into());
        };
        Ok(self.connection.reply(header, &value).await?)
    }

    /// A question about a unit, with faults. `true` = it is never answered.
    fn has_fault(&self, path: &str) -> bool {
        let unit = name::of_path(path).unwrap_or_default();
        log(&format!("GetAll {unit}"));
        if let Some(time) = self.faults.load
            && self.engine.snapshot(&unit).is_none_or(|unit| is_at_rest(&unit))
        {
            std::thread::sleep(time);
        }
        self.faults.late.contains(&unit)
    }

    fn values(&mut self, path: &str, interface: &str) -> Option<Values> {
        let interface =
            if interface.is_empty() { "Unit" } else { interface.strip_prefix(SYSTEMD)?.strip_prefix('.')? };
        if path == MANAGER_PATH {
            return (interface == "Manager").then(|| Values::from([("Version", "257 (mock)".into())]));
        }
        let unit = name::of_path(path)?;
        // Who asks for a unit by its path has it loaded.
        self.engine.load(&unit).ok()?;
        let snapshot = self.engine.snapshot(&unit)?;
        match interface {
            "Unit" => Some(unit_values(&snapshot)),
            _ if interface.eq_ignore_ascii_case(name::kind(&unit)) => Some(kind_values(&snapshot)),
            _ => None,
        }
    }

    /// Carries out what the engine wants, until it wants nothing more.
    async fn perform(&mut self) -> zbus::Result<()> {
        loop {
            let effects = self.engine.effects();
            if effects.is_empty() {
                return Ok(());
            }
            for effect in effects {
                self.carry_out(effect).await?;
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> zbus::Result<()> {
        match effect {
            Effect::Spawn { unit, token, command, environment, main } => {
                let Some(service) = self.engine.service(&unit).cloned() else { return Ok(()) };
                let start =
                    Start { unit: &unit, token, command: &command, environment: &environment, service: &service, main };
                match self.processes.start(&start) {
                    Ok(pid) => self.engine.spawned(&unit, token, pid),
                    Err(error) => {
                        log(&format!("{unit}: cannot start {}: {error}", command.words.join(" ")));
                        self.engine.exited(&unit, token, Exit::Code(203));
                    }
                }
            }
            Effect::Kill { unit, signal } => {
                self.processes.signal(&unit, signal);
                if signal == Signal::Stop {
                    // Frozen is told when it is true.
                    self.processes.stopped(&unit).await;
                }
            }
            Effect::Timer { unit, serial, after } => self.later(after, Event::Timer { unit, serial }),
            Effect::JobTimer { job, after } => self.later(after, Event::JobTimer { job }),
            Effect::Changed(snapshot) => self.changed(&snapshot).await?,
            Effect::JobNew { job, unit } => {
                self.signal(MANAGER_PATH, "Manager", "JobNew", &(job, object(job_path(job)), unit)).await?;
            }
            Effect::JobRemoved { job, unit, result } => {
                log(&format!("{unit}: job {job} {result}"));
                self.signal(MANAGER_PATH, "Manager", "JobRemoved", &(job, object(job_path(job)), unit, result)).await?;
            }
            Effect::UnitNew(unit) => {
                let path = object(name::path(&unit));
                self.signal(MANAGER_PATH, "Manager", "UnitNew", &(unit, path)).await?;
            }
            Effect::UnitRemoved(unit) => {
                let path = object(name::path(&unit));
                self.signal(MANAGER_PATH, "Manager", "UnitRemoved", &(unit, path)).await?;
            }
            Effect::Log(line) => log(&line),
        }
        Ok(())
    }

    fn later(&self, after: std::time::Duration, event: Event) {
        let events = self.timers.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // Nobody listens when the mock ends.
            let _ = events.send(event);
        });
    }

    /// `PropertiesChanged`, first for the kind, then for the unit, with the properties that systemd tells.
    async fn changed(&self, unit: &Snapshot) -> zbus::Result<()> {
        if self.subscribers.is_empty() {
            return Ok(());
        }
        let path = name::path(&unit.id);
        let none: [&str; 0] = [];
        let kind = match name::kind(&unit.id) {
            "service" => Some("Service"),
            "mount" => Some("Mount"),
            _ => None,
        };
        if let Some(kind) = kind {
            let body = (format!("{SYSTEMD}.{kind}"), kind_values(unit), &none[..]);
            self.emit(&path, PROPERTIES, "PropertiesChanged", &body).await?;
        }
        let mut values = unit_values(unit);
        values.retain(|name, _| ["ActiveState", "SubState", "FreezerState", "Job"].contains(name));
        let body = (format!("{SYSTEMD}.Unit"), values, &none[..]);
        self.emit(&path, PROPERTIES, "PropertiesChanged", &body).await
    }

    async fn signal<B: Serialize + DynamicType>(
        &self,
        path: &str,
        interface: &str,
        name: &str,
        body: &B,
    ) -> zbus::Result<()> {
        if self.subscribers.is_empty() {
            return Ok(());
        }
        self.emit(path, &format!("{SYSTEMD}.{interface}"), name, body).await
    }

    async fn emit<B: Serialize + DynamicType>(
        &self,
        path: &str,
        interface: &str,
        name: &str,
        body: &B,
    ) -> zbus::Result<()> {
        self.connection.emit_signal(None::<&str>, path, interface, name, body).await
    }
}

async fn next(stream: &mut MessageStream) -> Option<zbus::Result<Message>> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

/// A call that is not answered as asked.
#[derive(Debug)]
enum Failure {
    Refused(Refusal),
    Bus(zbus::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        Self::Bus(error)
    }
}

fn arguments<T>(read: zbus::Result<T>) -> Result<T, Failure> {
    read.map_err(|error| {
        let name = "org.freedesktop.DBus.Error.InvalidArgs".to_owned();
        Refusal { name, message: error.to_string() }.into()
    })
}

/// systemd does not keep it in memory.
fn is_at_rest(unit: &Snapshot) -> bool {
    unit.active_state == "inactive" && unit.job == 0
}

fn unknown(header: &Header<'_>) -> Failure {
    let member = header.member().map_or("", |member| member.as_str());
    let name = "org.freedesktop.DBus.Error.UnknownMethod".to_owned();
    Refusal { name, message: format!("The mock has no method {member}.") }.into()
}

fn object(path: String) -> ObjectPath<'static> {
    ObjectPath::try_from(path).expect("paths are built from letters, digits and underscores")
}

fn job_path(job: u32) -> String {
    if job == 0 { "/".to_owned() } else { format!("{MANAGER_PATH}/job/{job}") }
}

fn unit_values(unit: &Snapshot) -> Values {
    let error = match &unit.load_error {
        Some(message) => (format!("{SYSTEMD}.LoadFailed"), message.clone()),
        None => (String::new(), String::new()),
    };
    Values::from([
        ("Id", unit.id.clone().into()),
        ("Names", vec![unit.id.clone()].into()),
        ("Description", unit.description.clone().into()),
        ("LoadState", unit.load_state.into()),
        ("LoadError", error.into()),
        ("ActiveState", unit.active_state.into()),
        ("SubState", unit.sub_state.into()),
        ("FreezerState", unit.freezer_state.into()),
        ("UnitFileState", unit.unit_file_state.clone().into()),
        ("FragmentPath", unit.fragment_path.clone().into()),
        ("DropInPaths", unit.drop_in_paths.clone().into()),
        ("CanFreeze", unit.can_freeze.into()),
        ("NeedDaemonReload", false.into()),
        ("Job", (unit.job, object(job_path(unit.job))).into()),
    ])
}

fn kind_values(unit: &Snapshot) -> Values {
    match name::kind(&unit.id) {
        "service" => Values::from([
            ("Result", unit.result.into()),
            ("MainPID", unit.main_pid.into()),
            ("NRestarts", unit.restarts.into()),
        ]),
        "mount" => Values::from([("Result", unit.result.into())]),
        _ => Values::new(),
    }
}

#[expect(clippy::print_stderr, reason = "the log of the mock")]
fn log(line: &str) {
    eprintln!("mock-systemd: {line}");
}
