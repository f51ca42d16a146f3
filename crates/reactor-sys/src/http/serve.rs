//! One connection: routes, answers, and its end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use reactor_core::metrics::health::HttpHealth;
use reactor_core::metrics::{Body, Choice};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::answer::Answer;
use super::guests::{Guests, Home, Place};
use super::peek::Peeked;
use super::scrape::{ScrapeHandle, Wanted};
use super::texts::Texts;
use super::watch::{Watch, Watched};
use super::web::{Keeper, Verdict, Web};
use super::{Limits, gzip};

/// Bytes of a request's headers, and of what is buffered before it is sent.
const BUFFER: usize = 16 * 1024;

/// Connections that are told that there are too many, at a time; what comes on top is closed without a word.
const TURNED_AWAY: usize = 16;

/// How long a client that is turned away has to read that.
const TURN_AWAY_TIME: Duration = Duration::from_secs(1);

/// How often it is logged that somebody could not come in.
const TELL_EVERY: Duration = Duration::from_secs(60);

const TEXT: &str = "text/plain; charset=utf-8";

/// As drbd-reactor writes it.
const METRICS: &str = "text/plain;version=0.0.4";

const HTML: &str = "text/html; charset=utf-8";

const INDEX: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Storage Reactor</title></head>\n<body>\n<h1>Storage Reactor ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<p>State of the DRBD resources of this node, and of the daemon that watches them.</p>\n<ul>\n",
    "<li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n",
    "<li><a href=\"/healthz\">/healthz</a>: 200 if these metrics are the present, 503 if not</li>\n",
    "</ul>\n</body></html>\n",
);

const TOO_MANY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";

const PLAIN: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 37\r\nConnection: close\r\n\r\nthis port speaks HTTPS, use https://\n";

/// A connection of any kind.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for T {}

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) limits: Limits,
    scrapes: ScrapeHandle,
    health: Mutex<HttpHealth>,
    guests: Arc<Guests>,
    texts: Texts,
    turned_away: Arc<Semaphore>,
    /// TLS and passwords, if they are asked for; known before the first connection.
    keeper: OnceLock<Arc<Keeper>>,
    /// When somebody who could not come in was logged last.
    told: Mutex<Option<Instant>>,
}

impl Server {
    pub(super) fn new(choice: Choice, limits: Limits, scrapes: ScrapeHandle) -> Self {
        Self {
            limits,
            scrapes,
            health: Mutex::default(),
            guests: Arc::default(),
            texts: Texts::new(choice, limits.old_texts),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            keeper: OnceLock::new(),
            told: Mutex::default(),
        }
    }

    /// From now on connections are as this says.
    pub(super) fn keep(&self, keeper: Arc<Keeper>) {
        // Called once, before anything listens.
        let _ = self.keeper.set(keeper);
    }

    /// What says how connections are.
    pub(super) fn kept(&self) -> Option<&Arc<Keeper>> {
        self.keeper.get()
    }

    /// To count something. Never held across an await.
    pub(super) fn health(&self) -> MutexGuard<'_, HttpHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted, and what is now.
    pub(super) fn counted(&self) -> HttpHealth {
        HttpHealth {
            connections: self.guests.count() as u64,
            web_config_ok: self.kept().map(|keeper| keeper.is_present()),
            certificate_ends_s: self.kept().and_then(|keeper| keeper.not_after()).map(unix_seconds),
            ..*self.health()
        }
    }

    /// Says once a minute at most why somebody could not come in: a scraper that is set up wrongly comes again and again.
    fn tell(&self, why: &dyn std::fmt::Display, from: Home) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            tracing::debug!(error = %why, %from, "a metrics client could not come in");
            return;
        }
        *told = Some(Instant::now());
        tracing::warn!(error = %why, %from, "a metrics client could not come in; others are told at level debug for a minute");
    }

    /// Takes a new connection, or turns it away.
    pub(super) fn take(self: &Arc<Self>, socket: impl Socket, from: Home) {
        if let Some(place) = self.guests.admit(&self.limits, from) {
            tokio::spawn(connection(Arc::clone(self), socket, place));
            return;
        }
        self.health().refused += 1;
        if let Ok(place) = Arc::clone(&self.turned_away).try_acquire_owned() {
            tokio::spawn(turn_away(socket, place));
        }
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Serves a connection until it ends, its deadline comes, or it has to give way.
async fn connection(server: Arc<Server>, socket: impl Socket, place: Place) {
    let watch = Watch::new(Arc::clone(&server), Arc::clone(&place.seat));
    let web = match server.kept() {
        Some(keeper) => Some(keeper.now().await),
        None => None,
    };
    let Some(tls) = web.and_then(|web| web.tls.clone()) else {
        return converse(&server, socket, &watch, &place, None).await;
    };
    let mut entry = pin!(enter(&tls, socket));
    let failed = match until_deadline(&watch, &place, entry.as_mut()).await {
        Some(Ok(socket)) => {
            watch.came_in();
            return converse(&server, socket, &watch, &place, Some(&tls)).await;
        }
        Some(Err(error)) => Some(error),
        None => None,
    };
    let mut health = server.health();
    health.handshakes_failed += 1;
    health.timed_out += u64::from(failed.is_none());
    drop(health);
    if let Some(error) = failed {
        server.tell(&error, place.home);
    }
}

/// The handshake.
async fn enter<T: Socket>(tls: &TlsAcceptor, socket: T) -> std::io::Result<TlsStream<Peeked<T>>> {
    let socket = Peeked::new(socket).await?;
    if !socket.is_tls() {
        say(socket, PLAIN).await;
        return Err(std::io::Error::other("it does not speak TLS"));
    }
    tls.accept(socket).await
}

/// Runs something until it ends; `None` = its deadline came, or it had to give way.
async fn until_deadline<T>(watch: &Watch, place: &Place, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut gives_way) = (pin!(work), pin!(place.seat.ended()));
    let mut alarm = pin!(sleep_until(watch.deadline()));
    poll_fn(|cx| {
        if let Poll::Ready(ended) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        if gives_way.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let deadline = watch.deadline();
        if deadline != alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Answers the requests of a connection that came in by `door`; `None` = in the clear.
async fn converse(server: &Arc<Server>, socket: impl Socket, watch: &Watch, place: &Place, door: Option<&TlsAcceptor>) {
    let io = TokioIo::new(Watched { io: socket, watch: watch.clone() });
    let service = service_fn(|request| {
        watch.requested();
        respond(server, request, watch, place.home, door)
    });
    let mut http = http1::Builder::new();
    // The deadlines are ours, see `watch`.
    http.header_read_timeout(None).max_buf_size(BUFFER);
    // Dropped at the end: whoever sees the connection closed finds it counted.
    let mut connection = pin!(http.serve_connection(io, service));
    let ended = until_deadline(watch, place, connection.as_mut()).await;
    match &ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(error = %crate::chain::chain(error), "metrics client went away"),
        None => tracing::debug!("metrics client was too slow or silent"),
    }
    let mut health = server.health();
    health.timed_out += u64::from(ended.is_none());
    health.scrapes_failed += u64::from(watch.is_scraping());
}

/// Says that there are too many.
async fn turn_away(socket: impl Socket, place: OwnedSemaphorePermit) {
    say(socket, TOO_MANY).await;
    drop(place);
}

/// Says something, and waits until that is read: closing with unread input would take it back.
async fn say(mut socket: impl Socket, what: &str) {
    let told = async {
        socket.write_all(what.as_bytes()).await?;
        socket.shutdown().await?;
        let mut unread = [0; 1024];
        while socket.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether it arrived does not matter to us.
    let _ = timeout(TURN_AWAY_TIME, told).await;
}

/// Answers one request, if whoever asks may.
async fn respond(
    server: &Server,
    request: Request<Incoming>,
    watch: &Watch,
    home: Home,
    door: Option<&TlsAcceptor>,
) -> Result<Response<Answer>, Infallible> {
    let Some(keeper) = server.kept() else { return Ok(answer_to(server, &request, watch).await) };
    let web = keeper.now().await;
    let text = |status, said: &str| answer(status, TEXT, Answer::text(said.to_owned(), watch.clone()));
    let is_same_door = match (door, &web.tls) {
        (Some(door), Some(tls)) => Arc::ptr_eq(door.config(), tls.config()),
        (door, tls) => door.is_none() && tls.is_none(),
    };
    let mut response = if door.is_none() && web.tls.is_some() {
        // It came before TLS was asked for.
        text(StatusCode::BAD_REQUEST, "this port speaks HTTPS, use https://\n")
    } else if !web.has_room() {
        text(StatusCode::TOO_MANY_REQUESTS, "too many requests, see rate_limit in the web configuration file\n")
    } else if judge(&web, &request, watch, home).await == Verdict::Refused {
        server.health().unauthorized += 1;
        if request.headers().contains_key(AUTHORIZATION) {
            server.tell(&"wrong user or password", home);
        }
        let mut response = text(StatusCode::UNAUTHORIZED, "a user and a password are needed\n");
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"storage-reactor\""));
        response
    } else {
        answer_to(server, &request, watch).await
    };
    response.headers_mut().extend(web.headers.iter().cloned());
    if !is_same_door {
        // Whoever stays connected would never see a renewed certificate, nor be asked for another one.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Whether a request may be answered. Until that is known, it gives way to others.
async fn judge(web: &Web, request: &Request<Incoming>, watch: &Watch, home: Home) -> Verdict {
    watch.waits_at_the_door();
    let verdict = web.users.judge(request.headers().get(AUTHORIZATION), home).await;
    watch.requested();
    verdict
}

/// Answers one request. A body that came with it is not read: hyper ends the connection if there is more than a little.
async fn answer_to(server: &Server, request: &Request<Incoming>, watch: &Watch) -> Response<Answer> {
    let text = |status, kind, text: String| answer(status, kind, Answer::text(text, watch.clone()));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" | "/healthz" | "/" if !reads => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "use GET or HEAD\n".to_owned());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        "/metrics" => metrics(server, request, watch).await,
        "/healthz" => {
            let (status, said) = healthz(server).await;
            text(status, TEXT, said)
        }
        "/" => text(StatusCode::OK, HTML, INDEX.to_owned()),
        _ => text(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /healthz and /\n".to_owned()),
    }
}

async fn metrics(server: &Server, request: &Request<Incoming>, watch: &Watch) -> Response<Answer> {
    let since = Instant::now();
    let wanted = Wanted::Metrics { have: server.texts.generation() };
    match server.scrapes.ask(wanted, server.limits.answer).await {
        Ok(mut scrape) => {
            let text = server.texts.take(scrape.resources);
            text.given_up.iter().for_each(|number| server.guests.end_readers(*number));
            scrape.health.http = server.counted();
            let is_get = *request.method() == Method::GET;
            if is_get {
                watch.scrape(since, *text.number);
            }
            // Of what is only asked about, the length of the plain text is known without any work.
            let press = (is_get && gzip::is_wanted(request.headers())).then(|| server.texts.press(&text));
            let body = Body::new(text.snapshot, &scrape.health);
            let mut response = match press {
                None => answer(StatusCode::OK, METRICS, Answer::metrics(body, text.number, watch.clone())),
                Some(press) => {
                    let gzip = Answer::gzip(body, text.number, press, watch.clone());
                    let mut response = answer(StatusCode::OK, METRICS, gzip);
                    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    response
                }
            };
            response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
            response
        }
        Err(why) => {
            server.health().scrapes_failed += 1;
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, Answer::text(format!("{why}\n"), watch.clone()))
        }
    }
}

async fn healthz(server: &Server) -> (StatusCode, String) {
    let problems = match server.scrapes.ask(Wanted::Health, server.limits.answer).await {
        Ok(scrape) => scrape.health.problems(),
        Err(error) => vec![error.to_string()],
    };
    if problems.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.into_iter().map(|problem| problem + "\n").collect())
}

fn answer(status: StatusCode, kind: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
