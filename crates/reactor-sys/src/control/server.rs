//! The server: accepts, reads calls, asks the loop, writes answers. It has deadlines for everything that a client does.

mod events;
mod history;
mod streams;
mod survey;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reactor_api::call::{CallError, Method, Request, parse, reply};
use reactor_api::framing::{Frames, MAX_REQUEST_BYTES, TooLong};
use reactor_api::parameter::Described;
use reactor_api::verb::{AsStream, ByLoop, Caller, FromSnapshot, Limit, Verb};
use reactor_api::verbs::{self, Call};
use reactor_api::{INTERFACE, SERVICE_INTERFACE, for_each_verb};
use reactor_core::api;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::audit::{Audited, CallOutcome, Flood};
use super::request::{Asked, ControlRequest, Foresight, Peer, Served};
use super::roles::Roles;
use super::snapshot::{Lending, Lent};
use crate::socket_file::{Door, SocketFile as ControlSocket};

/// Readers who ask for a status within this time get the same.
const SAME_STATUS: Duration = Duration::from_millis(100);

/// Answers that are made at a time, for readers and for the privileged: the machine has other things to do.
const MADE_FOR_READERS: usize = 1;
const MADE_FOR_PRIVILEGED: usize = 2;

/// Pause before a group that is not known is looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

/// Pause after `accept` failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What clients may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of users that can only read.
    pub readers: usize,
    /// Connections of operators that found no place among the readers. Apart: readers cannot lock out those who steer.
    pub operators: usize,
    /// Connections of root and the daemon's own user. Apart: readers cannot lock out a `reactor-helper` that DRBD waits for.
    pub privileged: usize,
    /// How long a connection may say nothing between two calls.
    pub idle: Duration,
    /// How long a call may take to arrive.
    pub read: Duration,
    /// How long an answer may take to be read; of a long one, each piece of 64 KiB.
    pub write: Duration,
    /// How long a status may take to be read.
    pub status: Duration,
    /// How long the loop has for an answer that it has at hand.
    pub answer: Duration,
    /// The same if something is read, written or asked for it.
    pub long: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 64,
            operators: 16,
            privileged: 256,
            idle: Duration::from_secs(60),
            read: Duration::from_secs(10),
            write: Duration::from_secs(10),
            status: Duration::from_secs(60),
            answer: Limit::SHORT,
            long: Limit::LONG,
        }
    }
}

impl Limits {
    /// How long an answer may take.
    fn of(&self, limit: Limit) -> Duration {
        match limit {
            Limit::Short => self.answer,
            Limit::Long => self.long,
            Limit::Given(time) => time.saturating_add(self.answer),
        }
    }
}

/// What `GetInfo` says.
#[derive(Clone, Debug)]
pub struct ServiceInfo {
    /// Name of the program.
    pub product: String,
    /// Its version.
    pub version: String,
}

/// The ways to the loop.
#[derive(Clone, Debug)]
pub struct ToLoop {
    /// What is asked, a channel of [`REQUEST_QUEUE`](super::REQUEST_QUEUE) places.
    pub requests: mpsc::Sender<ControlRequest>,
    /// Who has asked for a change, and what became of it, a channel of [`AUDIT_QUEUE`](super::AUDIT_QUEUE) places; `None` = nobody keeps it.
    pub audits: Option<mpsc::Sender<Audited>>,
}

impl From<mpsc::Sender<ControlRequest>> for ToLoop {
    /// Nobody keeps what was asked.
    fn from(requests: mpsc::Sender<ControlRequest>) -> Self {
        Self { requests, audits: None }
    }
}

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    info: ServiceInfo,
    limits: Limits,
    to_loop: ToLoop,
    own_uid: u32,
    roles: Roles,
    flood: Flood,
    readers: Arc<Semaphore>,
    operators: Arc<Semaphore>,
    privileged: Arc<Semaphore>,
    /// Whose request the loop has: one reader at a time, so that nobody waits for all of them.
    readers_turn: Semaphore,
    /// The same for those who steer: they don't wait for readers.
    operators_turn: Semaphore,
    made_for_readers: Semaphore,
    made_for_privileged: Semaphore,
    /// Looks at this node, for those who are not root: each starts programs. Apart from the turns of requests, for one may take a minute.
    surveys: Semaphore,
    surveys_for_privileged: Semaphore,
    lending: Lending,
    /// What the last reader was told.
    last: Mutex<Option<Arc<Lent>>>,
}

impl Shared {
    /// For connections whose requests go to `to_loop`.
    pub fn new(info: ServiceInfo, limits: Limits, to_loop: impl Into<ToLoop>) -> Self {
        Self {
            info,
            limits,
            to_loop: to_loop.into(),
            own_uid: rustix::process::geteuid().as_raw(),
            roles: Roles::default(),
            flood: Flood::default(),
            readers: Arc::new(Semaphore::new(limits.readers)),
            operators: Arc::new(Semaphore::new(limits.operators)),
            privileged: Arc::new(Semaphore::new(limits.privileged)),
            readers_turn: Semaphore::new(1),
            operators_turn: Semaphore::new(1),
            made_for_readers: Semaphore::new(MADE_FOR_READERS),
            made_for_privileged: Semaphore::new(MADE_FOR_PRIVILEGED),
            surveys: Semaphore::new(1),
            surveys_for_privileged: Semaphore::new(1),
            lending: Lending::default(),
            last: Mutex::default(),
        }
    }
}

/// The running server. Dropping it ends all connections and removes the socket.
#[derive(Debug)]
pub struct ControlServer {
    socket: ControlSocket,
    task: JoinHandle<()>,
    shared: Arc<Shared>,
    door: Door,
    /// Looks up the group of the operators.
    looking: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Serves `socket`.
    pub fn start(
        socket: ControlSocket,
        info: ServiceInfo,
        limits: Limits,
        to_loop: impl Into<ToLoop>,
    ) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener()?)?;
        let shared = Arc::new(Shared::new(info, limits, to_loop));
        let (door, task) = (socket.door(), tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Self { socket, task, shared, door, looking: None })
    }

    /// Whose members are operators from now on: those of this group, or nobody. It is looked up beside the loop, again each minute while it is not
    /// known. Until then nobody is an operator; one that was known stays it.
    pub fn set_operators(&mut self, group: Option<&str>) {
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
        self.shared.roles.name(group);
        let (shared, door, group) = (Arc::clone(&self.shared), self.door.clone(), group.map(str::to_owned));
        self.looking = Some(tokio::spawn(let_operators_in(shared, door, group)));
    }

    /// Path of the socket.
    pub fn path(&self) -> &Path {
        self.socket.path()
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
        self.task.abort();
    }
}

/// Looks the group up, and lets its members connect.
async fn let_operators_in(shared: Arc<Shared>, door: Door, group: Option<String>) {
    let mut said = false;
    loop {
        let known = match &group {
            None => Ok(None),
            Some(name) => shared.roles.look_up(name).await.map(Some),
        };
        if let (Err(why), false) = (&known, std::mem::replace(&mut said, true)) {
            warn!(group, why, "the group of the operators is not known: nobody but root steers services");
        }
        door.want(known.clone().unwrap_or_default());
        let opening = door.clone();
        // In a thread: the runtime folder may hang.
        match tokio::task::spawn_blocking(move || opening.apply()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if known == Ok(None) => debug!(%error, "cannot take the access list off the control socket"),
            Ok(Err(error)) => {
                warn!(group, %error, "the control socket can't be opened to the operators: their members must be in the group of its file, too");
            }
            Err(error) => warn!(%error, "opening the control socket to the operators failed"),
        }
        if known.is_ok() {
            return;
        }
        sleep(LOOK_UP_AGAIN).await;
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted.and_then(|(stream, _)| Ok((peer(&stream)?, stream))) {
            Ok((peer, stream)) => {
                failing = false;
                connections.spawn(serve_connection(stream, peer, Arc::clone(&shared)));
            }
            Err(error) => {
                if !failing {
                    warn!(%error, "cannot accept a control connection");
                }
                failing = true;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who is at the other end. By tokio, not by rustix: a peer in a foreign PID namespace has the pid 0, which only tokio can say.
fn peer(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = stream.peer_cred()?;
    let pid = credentials.pid().filter(|&pid| pid != 0);
    Ok(Peer { uid: credentials.uid(), gid: credentials.gid(), user: None, pid })
}

/// Serves one connection until it ends or breaks a limit. Whose it is was asked of the kernel before.
pub async fn serve_connection(stream: UnixStream, peer: Peer, shared: Arc<Shared>) {
    let (reader, writer) = stream.into_split();
    let privileged = peer.is_privileged(shared.own_uid);
    let mut connection = Connection {
        reader,
        writer,
        frames: Frames::new(MAX_REQUEST_BYTES),
        peer: peer.clone(),
        privileged,
        outcome: None,
        shared: Arc::clone(&shared),
    };
    let end = match place(&shared, &peer, privileged).await {
        Some(_place) => connection.run().await,
        None => connection.write(&CallError::Unavailable { why: "too many connections" }.to_message()).await,
    };
    if let Err(end) = end {
        debug!(uid = peer.uid, pid = peer.pid, %end, "control connection ended");
    }
}

/// A place for a connection. Whether somebody is an operator takes a look-up, so it is asked only of those who find no other.
async fn place(shared: &Shared, peer: &Peer, privileged: bool) -> Option<OwnedSemaphorePermit> {
    let places = if privileged { &shared.privileged } else { &shared.readers };
    match Arc::clone(places).try_acquire_owned() {
        Ok(place) => Some(place),
        Err(_) if privileged => None,
        Err(_) => {
            // First the place, then the question: so many ask at once at most.
            let place = Arc::clone(&shared.operators).try_acquire_owned().ok()?;
            shared.roles.check_operator(peer).await.is_ok().then_some(place)
        }
    }
}

/// Why a connection ends before the client says so.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("client said nothing")]
    Idle,
    #[error("call did not arrive in time")]
    SlowCall,
    #[error("client does not read")]
    SlowReader,
    #[error("client sends where nobody reads")]
    Unasked,
    #[error("daemon is stopping")]
    Stopping,
    #[error(transparent)]
    TooLong(#[from] TooLong),
    #[error(transparent)]
    Call(CallError),
    #[error("connection broke: {0}")]
    Broken(io::Error),
}

/// Why a call is not answered as it should be.
enum Fault {
    /// The client gets an error, and the connection goes on.
    Call(CallError),
    /// The connection ends.
    End(End),
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<End> for Fault {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// How the server answers verbs of one kind. What the loop says becomes text here, and each kind keeps to its own limits.
trait Serve<V: Served> {
    async fn serve(connection: &mut Connection, call: V, oneway: bool) -> Result<(), Fault>;
}

impl<V> Serve<V> for ByLoop
where
    V: Served<Answer = Result<<V as Verb>::Reply, CallError>>,
    ControlRequest: From<Asked<V>>,
{
    async fn serve(connection: &mut Connection, call: V, oneway: bool) -> Result<(), Fault> {
        let answer = json!(connection.request(call).await??);
        // Before it is written: who asked may be gone, and it is done all the same.
        connection.outcome = Some(CallOutcome::of_reply(&answer));
        Ok(connection.say(&reply(&answer, false), oneway).await?)
    }
}

impl Serve<verbs::Status> for FromSnapshot {
    async fn serve(connection: &mut Connection, call: verbs::Status, oneway: bool) -> Result<(), Fault> {
        // The answer is all it is.
        if oneway {
            return Ok(());
        }
        let snapshot = connection.snapshot().await?;
        Ok(connection.status(snapshot, call.resources, false).await?)
    }
}

impl Serve<verbs::Plan> for FromSnapshot {
    async fn serve(connection: &mut Connection, call: verbs::Plan, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let event = call.event.clone();
        let Foresight { what_if, now } = *connection.request(call).await??;
        let make = move || what_if.forecast(event.as_ref()).map(|forecast| api::plan(&forecast, now));
        let plan = connection.beside_the_loop(make).await?;
        let plan = plan.map_err(|why| CallError::Refused { why: why.to_string() })?;
        let answer = verbs::PlanReply { plan: Described::of(&plan) };
        Ok(connection.say(&reply(&json!(answer), false), oneway).await?)
    }
}

impl Serve<verbs::Survey> for FromSnapshot {
    async fn serve(connection: &mut Connection, call: verbs::Survey, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let text = connection.survey(call).await?;
        Ok(connection.write(&text).await?)
    }
}

impl Serve<verbs::Changes> for AsStream {
    async fn serve(connection: &mut Connection, call: verbs::Changes, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let subscription = connection.request(call).await?;
        Ok(connection.changes(subscription).await?)
    }
}

impl Serve<verbs::Watch> for AsStream {
    async fn serve(connection: &mut Connection, call: verbs::Watch, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let first = connection.request(call.clone()).await?;
        Ok(connection.watch(&call, first).await?)
    }
}

impl Serve<verbs::History> for AsStream {
    async fn serve(connection: &mut Connection, call: verbs::History, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let ledgers = connection.request(call.clone()).await??;
        connection.history(&call, ledgers).await
    }
}

impl Serve<verbs::Spans> for AsStream {
    async fn serve(connection: &mut Connection, call: verbs::Spans, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let ledgers = connection.request(call.clone()).await??;
        connection.spans(&call, &ledgers).await
    }
}

impl Serve<verbs::QueryEvents> for AsStream {
    async fn serve(connection: &mut Connection, call: verbs::QueryEvents, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let known = connection.request(call.clone()).await??;
        connection.query_events(&call, known).await
    }
}

impl Serve<verbs::MonitorEvents> for AsStream {
    async fn serve(connection: &mut Connection, call: verbs::MonitorEvents, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let known = connection.request(call.clone()).await??;
        connection.monitor_events(&call, known).await
    }
}

impl Serve<verbs::Incidents> for FromSnapshot {
    async fn serve(connection: &mut Connection, call: verbs::Incidents, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let known = connection.request(call.clone()).await?;
        let text = connection.incidents(&call, known).await?;
        Ok(connection.write(&text).await?)
    }
}

impl Serve<verbs::BlockInfo> for FromSnapshot {
    async fn serve(connection: &mut Connection, call: verbs::BlockInfo, oneway: bool) -> Result<(), Fault> {
        if oneway {
            return Ok(());
        }
        let blocks = connection.request(call.clone()).await?;
        let text = connection.block_info(&call, blocks).await?;
        Ok(connection.write(&text).await?)
    }
}

macro_rules! serve {
    ($($verb:ident),+) => {
        impl Connection {
            async fn verb(&mut self, call: Call, oneway: bool) -> Result<(), Fault> {
                match call {
                    $(Call::$verb(call) => <verbs::$verb as Verb>::Answered::serve(self, call, oneway).await,)+
                }
            }
        }
    };
}
for_each_verb!(serve);

struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    frames: Frames,
    peer: Peer,
    privileged: bool,
    /// What became of the call that is being answered.
    outcome: Option<CallOutcome>,
    shared: Arc<Shared>,
}

impl Connection {
    async fn run(&mut self) -> Result<(), End> {
        while let Some(call) = self.next_call().await? {
            match call {
                Ok(call) => self.answer(call).await?,
                Err(error @ CallError::NotACall { .. }) => {
                    self.write(&error.to_message()).await?;
                    return Err(End::Call(error));
                }
                Err(error) => self.write(&error.to_message()).await?,
            }
        }
        Ok(())
    }

    /// The next call; `None` when the client has closed.
    async fn next_call(&mut self) -> Result<Option<Result<Request, CallError>>, End> {
        let limits = self.shared.limits;
        let mut partial = self.frames.is_partial();
        let mut deadline = Instant::now() + if partial { limits.read } else { limits.idle };
        loop {
            if let Some(message) = self.frames.next_message()? {
                return Ok(Some(parse(message)));
            }
            let mut bytes = [0; 16 * 1024];
            let late = if partial { End::SlowCall } else { End::Idle };
            let count = tokio::time::timeout_at(deadline, self.reader.read(&mut bytes)).await.map_err(|_| late)?;
            match count.map_err(End::Broken)? {
                0 => return Ok(None),
                count => self.frames.push(&bytes[..count]),
            }
            // The time for a call runs from its first byte: a client that sends a byte now and then gains nothing.
            if !partial {
                partial = true;
                deadline = Instant::now() + limits.read;
            }
        }
    }

    async fn answer(&mut self, Request { method, oneway }: Request) -> Result<(), End> {
        let caller = method.caller();
        let audited = match &method {
            Method::Verb(call) if caller > Caller::Reader => {
                self.name_peer().await;
                Some((Audited::new(call, self.peer.clone()), call.is_audited()))
            }
            Method::Verb(_) | Method::GetInfo | Method::GetInterfaceDescription(_) => None,
        };
        self.outcome = None;
        let done = match self.may(caller).await {
            Ok(()) => self.serve(method, oneway).await,
            Err(error) => Err(error.into()),
        };
        if let Some((audited, always)) = audited {
            self.audit(audited, always, &done).await;
        }
        match done {
            Ok(()) => Ok(()),
            Err(Fault::End(end)) => Err(end),
            Err(Fault::Call(error)) => self.say(&error.to_message(), oneway).await,
        }
    }

    /// Who asks, by name.
    async fn name_peer(&mut self) {
        if self.peer.user.is_none() && self.peer.uid != 0 {
            self.peer.user = self.shared.roles.user(self.peer.uid).await;
        }
    }

    /// Whether this peer may make calls that are for `caller`. Asked anew for each: a reload may have named another group.
    async fn may(&self, caller: Caller) -> Result<(), CallError> {
        let whom = match caller {
            _ if self.privileged => return Ok(()),
            Caller::Reader => return Ok(()),
            Caller::Operator => match self.shared.roles.check_operator(&self.peer).await {
                Ok(()) => return Ok(()),
                Err(whom) => whom,
            },
            Caller::Root => "root".to_owned(),
        };
        Err(CallError::PermissionDenied { who: self.peer.who(), whom })
    }

    /// Hands out who asked for what, and what became of it. `always` = also if it was not refused to this peer.
    async fn audit(&mut self, mut audited: Audited, always: bool, done: &Result<(), Fault>) {
        audited.outcome = match (self.outcome.take(), done) {
            (Some(outcome), _) => outcome,
            (None, Err(Fault::Call(error))) => CallOutcome::of_error(error),
            (None, Err(Fault::End(end))) => CallOutcome::Unknown { why: end.to_string() },
            (None, Ok(())) => CallOutcome::Done { text: String::new() },
        };
        let denied = matches!(audited.outcome, CallOutcome::Denied { .. });
        let Some(audits) = self.shared.to_loop.audits.as_ref().filter(|_| always || denied) else { return };
        let Some(unsaid) = self.shared.flood.say(Instant::now().into_std(), &audited.outcome) else { return };
        (audited.at, audited.unsaid) = (SystemTime::now(), unsaid);
        // A loop that does not take it within the time of an answer has other troubles, and this is one client's task.
        if timeout(self.shared.limits.answer, audits.send(audited)).await.is_err() {
            warn!("the loop takes no more audit lines: one is lost");
        }
    }

    async fn serve(&mut self, method: Method, oneway: bool) -> Result<(), Fault> {
        let text = match method {
            Method::GetInfo => self.info(),
            Method::GetInterfaceDescription(text) => reply(&json!({ "description": text }), false),
            Method::Verb(call) => return self.verb(call, oneway).await,
        };
        Ok(self.say(&text, oneway).await?)
    }

    /// Writes a whole answer, if it is wanted.
    async fn say(&mut self, message: &[u8], oneway: bool) -> Result<(), End> {
        if oneway { Ok(()) } else { self.write(message).await }
    }

    fn info(&self) -> Vec<u8> {
        let ServiceInfo { product, version } = &self.shared.info;
        reply(
            &json!({
                "vendor": "Storage Reactor",
                "product": product,
                "version": version,
                "url": "",
                "interfaces": [SERVICE_INTERFACE, INTERFACE],
            }),
            false,
        )
    }

    /// What the status is made of. Readers who come in a crowd share one.
    async fn snapshot(&self) -> Result<Arc<Lent>, CallError> {
        let within = self.shared.limits.answer;
        // Which resources are wanted is looked at when the text is made.
        let ask = async || Ok(self.shared.lending.lend(self.request(verbs::Status::default()).await?));
        if self.privileged {
            return ask().await;
        }
        let late = CallError::TimedOut { seconds: within.as_secs() };
        let mut last = timeout(within, self.shared.last.lock()).await.map_err(|_| late)?;
        if let Some(snapshot) = &*last {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = ask().await?;
        *last = Some(Arc::clone(&snapshot));
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            sleep(SAME_STATUS).await;
            *shared.last.lock().await = None;
        });
        Ok(snapshot)
    }

    /// Makes an answer on a thread of its own: few at a time, and none on the loop's.
    async fn beside_the_loop<T: Send + 'static>(&self, make: impl FnOnce() -> T + Send + 'static) -> Result<T, End> {
        let shared = &self.shared;
        let turns = if self.privileged { &shared.made_for_privileged } else { &shared.made_for_readers };
        let _turn = turns.acquire().await.map_err(|_| End::Stopping)?;
        tokio::task::spawn_blocking(make).await.map_err(|_| End::Stopping)
    }

    /// Puts a request into the loop's queue and waits for the answer: the time limit is for both together.
    async fn request<V: Served>(&self, call: V) -> Result<V::Answer, CallError>
    where
        ControlRequest: From<Asked<V>>,
    {
        let within = self.shared.limits.of(call.limit());
        let (sender, receiver) = oneshot::channel();
        let steers = call.caller() > Caller::Reader;
        let request = Asked { peer: self.peer.clone(), call, reply: sender };
        let stopping = CallError::Unavailable { why: "daemon is stopping" };
        let exchange = async {
            // Never closed; and if it were, asking is harmless.
            let turns = if steers { &self.shared.operators_turn } else { &self.shared.readers_turn };
            let _turn = if self.privileged { None } else { turns.acquire().await.ok() };
            self.shared.to_loop.requests.send(request.into()).await.map_err(|_| stopping.clone())?;
            receiver.await.map_err(|_| stopping)
        };
        timeout(within, exchange).await.unwrap_or(Err(CallError::TimedOut { seconds: within.as_secs() }))
    }

    async fn write(&mut self, message: &[u8]) -> Result<(), End> {
        let written = timeout(self.shared.limits.write, self.writer.write_all(message)).await;
        written.map_err(|_| End::SlowReader)?.map_err(End::Broken)
    }
}

#[cfg(test)]
mod tests;
