//! Listening: both families, errors, and trying again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reactor_core::settings::ListenAddress;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::TcpListener;
use tokio::sync::watch::Sender;
use tokio::time::{Instant, sleep};

use super::serve::Server;
use super::{ListenerState, ServerState};

/// Pauses between attempts: the first, and the longest.
const BIND_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How often an error that goes on is logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 128;

/// One address.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    address: SocketAddr,
    /// Whether IPv6 is kept to itself, because IPv4 has a socket of its own. Else it is as the system is set.
    v6_only: bool,
    /// Whether it may be missing, because the machine may not have this family.
    optional: bool,
}

/// Listens for ever.
pub(super) async fn listen(address: ListenAddress, state: Sender<ServerState>, server: Arc<Server>) {
    let mut wanted = wanted(&address);
    let mut tasks = tokio::task::JoinSet::new();
    state.send_modify(|state| {
        let new = |w: &Wanted| ListenerState { wanted: w.address, bound: None, problem: None, absent: false };
        state.listeners = wanted.iter().map(new).collect();
    });
    for number in 0..wanted.len() {
        let first = bind(wanted[number]);
        if let Ok(Ok(bound)) = first.as_ref().map(TcpListener::local_addr) {
            // A free port was asked for: all addresses have the same one.
            wanted[number..].iter_mut().for_each(|w| w.address.set_port(bound.port()));
        }
        let listener = Listener { number, wanted: wanted[number], state: state.clone(), server: Arc::clone(&server) };
        tasks.spawn(listener.run(first));
    }
    while tasks.join_next().await.is_some() {}
}

fn wanted(address: &ListenAddress) -> Vec<Wanted> {
    let one = |ip, any| Wanted { address: SocketAddr::new(ip, address.port), v6_only: any, optional: any };
    match address.ip {
        Some(ip) => vec![one(ip, false)],
        // A socket for each family, whatever net.ipv6.bindv6only says.
        None => vec![one(Ipv6Addr::UNSPECIFIED.into(), true), one(Ipv4Addr::UNSPECIFIED.into(), true)],
    }
}

fn bind(wanted: Wanted) -> io::Result<TcpListener> {
    let family = match wanted.address.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // The port of a daemon that ended a moment ago can be had at once.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if wanted.v6_only && family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &wanted.address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    TcpListener::from_std(std::net::TcpListener::from(socket))
}

struct Listener {
    number: usize,
    wanted: Wanted,
    state: Sender<ServerState>,
    server: Arc<Server>,
}

impl Listener {
    async fn run(self, first: io::Result<TcpListener>) {
        let mut next = first;
        let mut pause = Pause::new(BIND_PAUSE);
        let mut told = None;
        loop {
            let error = match next {
                Ok(listener) => {
                    pause = Pause::new(BIND_PAUSE);
                    told = None;
                    self.listening(&listener);
                    self.accept(&listener).await
                }
                Err(error) => error,
            };
            self.not_listening(&error, &mut told);
            sleep(pause.next()).await;
            next = bind(self.wanted);
        }
    }

    fn set(&self, change: impl FnOnce(&mut ListenerState)) {
        self.state.send_modify(|state| change(&mut state.listeners[self.number]));
    }

    fn listening(&self, listener: &TcpListener) {
        let bound = listener.local_addr().unwrap_or(self.wanted.address);
        tracing::info!(address = %bound, "serving metrics");
        self.set(|state| (state.bound, state.problem, state.absent) = (Some(bound), None, false));
    }

    fn not_listening(&self, error: &io::Error, told: &mut Option<String>) {
        let address = self.wanted.address;
        let problem = format!("cannot listen on {address}: {error}");
        let absent = self.wanted.optional && is_family_absent(error);
        if told.as_ref() != Some(&problem) {
            match absent {
                true => tracing::debug!(%address, %error, "this machine does not have this address family"),
                false => tracing::warn!(%address, %error, "cannot listen for metrics, trying again"),
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
    async fn accept(&self, listener: &TcpListener) -> io::Error {
        let mut pause = Pause::new(ACCEPT_PAUSE);
        let mut failing = false;
        let mut logged: Option<Instant> = None;
        loop {
            let error = match listener.accept().await {
                Ok((socket, from)) => {
                    if std::mem::take(&mut failing) {
                        pause = Pause::new(ACCEPT_PAUSE);
                        self.set(|state| state.problem = None);
                    }
                    self.server.take(socket, from.ip());
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
            let problem = format!("cannot accept connections on {}: {error}", self.wanted.address);
            self.set(|state| state.problem = Some(problem));
            if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
                logged = Some(Instant::now());
                tracing::warn!(address = %self.wanted.address, %error, "cannot accept metrics connections, trying again");
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
