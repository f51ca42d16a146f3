//! One connection: routes, answers, and its end.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use reactor_core::metrics::health::HttpHealth;
use reactor_core::metrics::{Body, Choice};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use super::Limits;
use super::answer::Answer;
use super::guests::{Guests, Home, Place};
use super::scrape::{ScrapeHandle, Wanted};
use super::texts::Texts;
use super::watch::{Watch, Watched};

/// Bytes of a request's headers, and of what is buffered before it is sent.
const BUFFER: usize = 16 * 1024;

/// Connections that are told that there are too many, at a time; what comes on top is closed without a word.
const TURNED_AWAY: usize = 16;

/// How long a client that is turned away has to read that.
const TURN_AWAY_TIME: Duration = Duration::from_secs(1);

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
        }
    }

    /// To count something. Never held across an await.
    pub(super) fn health(&self) -> MutexGuard<'_, HttpHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted, and what is now.
    pub(super) fn counted(&self) -> HttpHealth {
        HttpHealth { connections: self.guests.count() as u64, ..*self.health() }
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

/// Serves a connection until it ends, its deadline comes, or it has to give way.
async fn connection(server: Arc<Server>, socket: impl Socket, place: Place) {
    let watch = Watch::new(Arc::clone(&server), Arc::clone(&place.seat));
    let io = TokioIo::new(Watched { io: socket, watch: watch.clone() });
    let service = service_fn(|request| {
        watch.requested();
        respond(&server, request, &watch)
    });
    let mut http = http1::Builder::new();
    // The deadlines are ours, see `watch`.
    http.header_read_timeout(None).max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(io, service));
    let mut alarm = pin!(sleep_until(watch.deadline()));
    let mut gives_way = pin!(place.seat.ended());
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
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
    .await;
    match &ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(error = %crate::chain::chain(error), "metrics client went away"),
        None => tracing::debug!("metrics client was too slow or silent"),
    }
    let mut health = server.health();
    health.timed_out += u64::from(ended.is_none());
    health.scrapes_failed += u64::from(watch.is_scraping());
}

/// Says that there are too many, and waits until that is read: closing with unread input would take it back.
async fn turn_away(mut socket: impl Socket, place: OwnedSemaphorePermit) {
    let told = async {
        socket.write_all(TOO_MANY.as_bytes()).await?;
        socket.shutdown().await?;
        let mut unread = [0; 1024];
        while socket.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether it arrived does not matter to us.
    let _ = timeout(TURN_AWAY_TIME, told).await;
    drop(place);
}

/// Answers one request. A body that came with it is not read: hyper ends the connection if there is more than a little.
async fn respond(server: &Server, request: Request<Incoming>, watch: &Watch) -> Result<Response<Answer>, Infallible> {
    let text = |status, kind, text: String| answer(status, kind, Answer::text(text, watch.clone()));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = match request.uri().path() {
        "/metrics" | "/healthz" | "/" if !reads => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "use GET or HEAD\n".to_owned());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        "/metrics" => metrics(server, request.method(), watch).await,
        "/healthz" => {
            let (status, said) = healthz(server).await;
            text(status, TEXT, said)
        }
        "/" => text(StatusCode::OK, HTML, INDEX.to_owned()),
        _ => text(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /healthz and /\n".to_owned()),
    };
    Ok(response)
}

async fn metrics(server: &Server, method: &Method, watch: &Watch) -> Response<Answer> {
    let since = Instant::now();
    let wanted = Wanted::Metrics { have: server.texts.generation() };
    match server.scrapes.ask(wanted, server.limits.answer).await {
        Ok(mut scrape) => {
            let text = server.texts.take(scrape.resources);
            text.given_up.iter().for_each(|number| server.guests.end_readers(*number));
            scrape.health.http = server.counted();
            if method == Method::GET {
                watch.scrape(since, *text.number);
            }
            let body = Body::new(text.snapshot, &scrape.health);
            answer(StatusCode::OK, METRICS, Answer::metrics(body, text.number, watch.clone()))
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
