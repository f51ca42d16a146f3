//! Listening: both families and unix sockets, errors, and trying again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reactor_core::settings::{ListenAddress, PrometheusSettings};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch::Sender;
use tokio::time::{Instant, sleep};

use super::guests::Home;
use super::serve::Server;
use super::{Endpoint, ListenerState, ServerState};
use crate::chain::chain;
use crate::socket_file::{self, SocketFile};

/// Pauses between attempts: the first, and the longest.
const BIND_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How often it is looked for a group that is not there.
const GROUP_PAUSE: Duration = Duration::from_secs(10);

/// How often an error that goes on is logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 128;

/// One address.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Tcp {
        address: SocketAddr,
        /// Whether IPv6 is kept to itself, because IPv4 has a socket of its own. Else it is as the system is set.
        v6_only: bool,
        /// Whether it may be missing, because the machine may not have this family.
        optional: bool,
    },
    Unix {
        path: PathBuf,
        /// Who may read it beside root.
        group: Option<String>,
    },
}

/// A socket that listens.
enum Listening {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Removes the file at the end.
        _file: SocketFile,
        /// What is not as it should be although it listens.
        problem: Option<String>,
        /// The group that should be let in, and that there is not.
        missing: Option<String>,
    },
}

/// Why it does not listen.
struct NotListening {
    why: String,
    /// Whether nothing is wrong: the machine does not have this address family.
    absent: bool,
}

/// Listens for ever.
pub(super) async fn listen(mut wanted: Vec<Wanted>, state: Sender<ServerState>, server: Arc<Server>) {
    let mut tasks = tokio::task::JoinSet::new();
    state.send_modify(|state| {
        let new = |w: &Wanted| ListenerState { wanted: w.endpoint(), bound: None, problem: None, absent: false };
        state.listeners = wanted.iter().map(new).collect();
    });
    for number in 0..wanted.len() {
        let first = bind(&wanted[number]).await;
        if let Ok(Some(Endpoint::Tcp(bound))) = first.as_ref().map(Listening::endpoint) {
            // A free port was asked for: all addresses have the same one.
            for later in &mut wanted[number..] {
                if let Wanted::Tcp { address, .. } = later {
                    address.set_port(bound.port());
                }
            }
        }
        let wanted = wanted[number].clone();
        let listener = Listener { number, wanted, state: state.clone(), server: Arc::clone(&server) };
        tasks.spawn(listener.run(first));
    }
    while tasks.join_next().await.is_some() {}
}

/// What settings ask for.
pub(super) fn wanted(settings: &PrometheusSettings) -> Vec<Wanted> {
    let port = |ip, port, any| Wanted::Tcp { address: SocketAddr::new(ip, port), v6_only: any, optional: any };
    match &settings.address {
        ListenAddress::Tcp { ip: Some(ip), port: number } => vec![port(*ip, *number, false)],
        // A socket for each family, whatever net.ipv6.bindv6only says.
        ListenAddress::Tcp { ip: None, port: number } => {
            vec![port(Ipv6Addr::UNSPECIFIED.into(), *number, true), port(Ipv4Addr::UNSPECIFIED.into(), *number, true)]
        }
        ListenAddress::Unix(path) => {
            vec![Wanted::Unix { path: path.clone(), group: settings.socket_group.clone() }]
        }
    }
}

impl Wanted {
    fn endpoint(&self) -> Endpoint {
        match self {
            Self::Tcp { address, .. } => Endpoint::Tcp(*address),
            Self::Unix { path, .. } => Endpoint::Unix(path.clone()),
        }
    }
}

async fn bind(wanted: &Wanted) -> Result<Listening, NotListening> {
    match wanted {
        Wanted::Tcp { address, v6_only, optional } => match bind_tcp(*address, *v6_only) {
            Ok(listener) => Ok(Listening::Tcp(listener)),
            Err(error) => Err(NotListening { why: error.to_string(), absent: *optional && is_family_absent(&error) }),
        },
        Wanted::Unix { path, group } => {
            let (path, group) = (path.clone(), group.clone());
            // Its folder may hang.
            let bound = tokio::task::spawn_blocking(move || bind_unix(&path, group));
            let bound = bound.await.unwrap_or_else(|error| Err(error.to_string()));
            bound.map_err(|why| NotListening { why, absent: false })
        }
    }
}

fn bind_tcp(address: SocketAddr, v6_only: bool) -> io::Result<TcpListener> {
    let family = match address.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // The port of a daemon that ended a moment ago can be had at once.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if v6_only && family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    TcpListener::from_std(std::net::TcpListener::from(socket))
}

/// Nobody but root and the group can connect, at no moment.
fn bind_unix(path: &Path, group: Option<String>) -> Result<Listening, String> {
    let gid = group.as_deref().and_then(socket_file::group_named);
    let file = SocketFile::bind_with_group(path, gid).map_err(|error| chain(&error).to_string())?;
    let missing = group.filter(|_| gid.is_none());
    let problem = match &missing {
        Some(name) => Some(format!(
            "only root can read {}: there is no group {name} in /etc/group, make it: groupadd --system {name}",
            path.display()
        )),
        None => file.warnings.first().cloned(),
    };
    let listener = file.listener().and_then(UnixListener::from_std).map_err(|error| error.to_string())?;
    Ok(Listening::Unix { listener, _file: file, problem, missing })
}

impl Listening {
    fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(Endpoint::Tcp),
            Self::Unix { _file: file, .. } => Some(Endpoint::Unix(file.path().to_owned())),
        }
    }

    /// What is not as it should be although it listens.
    fn problem(&self) -> Option<String> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix { problem, .. } => problem.clone(),
        }
    }

    /// Waits until there is the group that was missed.
    async fn group_appears(&self) {
        let Self::Unix { missing: Some(name), .. } = self else { return std::future::pending().await };
        loop {
            sleep(GROUP_PAUSE).await;
            let name = name.clone();
            let found = tokio::task::spawn_blocking(move || socket_file::group_named(&name));
            if let Ok(Some(_)) = found.await {
                return;
            }
        }
    }

    /// Waits for a connection, and hands it to the server.
    async fn accept(&self, server: &Arc<Server>) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                let (socket, from) = listener.accept().await?;
                // The last piece of an answer must not wait for the acknowledgement of the one before.
                let _ = socket.set_nodelay(true);
                server.take(socket, Home::of(from.ip()));
            }
            Self::Unix { listener, .. } => {
                let (socket, _) = listener.accept().await?;
                // Who cannot be asked is nobody in particular.
                let user = socket.peer_cred().map_or(u32::MAX, |peer| peer.uid());
                server.take(socket, Home::User(user));
            }
        }
        Ok(())
    }
}

struct Listener {
    number: usize,
    wanted: Wanted,
    state: Sender<ServerState>,
    server: Arc<Server>,
}

impl Listener {
    async fn run(self, first: Result<Listening, NotListening>) {
        let mut next = first;
        let mut pause = Pause::new(BIND_PAUSE);
        let mut told = None;
        loop {
            let error = match next {
                Ok(listening) => {
                    pause = Pause::new(BIND_PAUSE);
                    told = None;
                    self.listening(&listening);
                    tokio::select! {
                        error = self.accept(&listening) => NotListening { why: error.to_string(), absent: false },
                        () = listening.group_appears() => {
                            drop(listening);
                            next = bind(&self.wanted).await;
                            continue;
                        }
                    }
                }
                Err(error) => error,
            };
            self.not_listening(error, &mut told);
            sleep(pause.next()).await;
            next = bind(&self.wanted).await;
        }
    }

    fn set(&self, change: impl FnOnce(&mut ListenerState)) {
        self.state.send_modify(|state| change(&mut state.listeners[self.number]));
    }

    fn listening(&self, listening: &Listening) {
        let bound = listening.endpoint().unwrap_or_else(|| self.wanted.endpoint());
        let problem = listening.problem();
        tracing::info!(address = %bound, "serving metrics");
        if let Some(problem) = &problem {
            tracing::warn!(address = %bound, problem, "not everybody can read the metrics who should");
        }
        self.set(|state| (state.bound, state.problem, state.absent) = (Some(bound), problem, false));
    }

    fn not_listening(&self, NotListening { why, absent }: NotListening, told: &mut Option<String>) {
        let address = self.wanted.endpoint();
        let problem = format!("cannot listen on {address}: {why}");
        if told.as_ref() != Some(&problem) {
            match absent {
                true => tracing::debug!(%address, error = why, "this machine does not have this address family"),
                false => tracing::warn!(%address, error = why, "cannot listen for metrics, trying again"),
            }
            *told = Some(problem.clone());
        }
        self.set(|state| {
            state.bound = None;
            state.problem = (!absent).then_some(problem);
            state.absent = absent;
        });
    }

    /// Accepts until the socket is of no use any more. Whatever else goes wrong, for example too many open files, passes.
    async fn accept(&self, listening: &Listening) -> io::Error {
        let mut pause = Pause::new(ACCEPT_PAUSE);
        let mut failing = false;
        let mut logged: Option<Instant> = None;
        loop {
            let error = match listening.accept(&self.server).await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        pause = Pause::new(ACCEPT_PAUSE);
                        self.set(|state| state.problem = listening.problem());
                    }
                    // Its request is read before the next one comes: whoever asks at once is never taken for one who says nothing.
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(error) => error,
            };
            self.server.health().accept_errors += 1;
            match error.kind() {
                // The client's doing; the next one may be fine.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => continue,
                _ if is_socket_broken(&error) => return error,
                _ => {}
            }
            failing = true;
            let problem = format!("cannot accept connections on {}: {error}", self.wanted.endpoint());
            self.set(|state| state.problem = Some(problem));
            if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
                logged = Some(Instant::now());
                tracing::warn!(address = %self.wanted.endpoint(), %error, "cannot accept metrics connections, trying again");
            }
            sleep(pause.next()).await;
        }
    }
}

/// A pause that doubles.
struct Pause {
    next: Duration,
    longest: Duration,
}

impl Pause {
    fn new((first, longest): (Duration, Duration)) -> Self {
        Self { next: first, longest }
    }

    fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }
}

fn is_family_absent(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(Errno::raw_os_error).map(Some).contains(&error.raw_os_error())
}

fn is_socket_broken(error: &io::Error) -> bool {
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK].map(Errno::raw_os_error).map(Some).contains(&error.raw_os_error())
}
