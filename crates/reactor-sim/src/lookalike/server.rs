//! The simulator process: one thread that owns the cluster, and a task per connection.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use reactor_core::ids::Mono;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::protocol::{Reply, Request};
use super::spec::Spec;
use super::world::{Seat, World};
use crate::drbd9::Cluster;

/// Where the simulator listens.
#[derive(Debug)]
pub enum Listener {
    /// On a Unix socket, whose file is removed at the end.
    Unix(UnixListener, PathBuf),
    /// On TCP.
    Tcp(TcpListener),
}

/// What a connection tells the thread that owns the cluster.
enum News {
    Joined(Seat, UnboundedSender<Reply>),
    Asked(Seat, Request),
    Left(Seat),
}

impl Listener {
    /// Listens on a Unix socket, or on `tcp:HOST:PORT` (port 0: any; see [`Listener::address`]).
    pub async fn bind(socket: &str) -> Result<Self> {
        let cannot = || format!("listening on {socket}");
        match socket.strip_prefix("tcp:") {
            Some(address) => Ok(Self::Tcp(TcpListener::bind(address).await.with_context(cannot)?)),
            None => Ok(Self::Unix(UnixListener::bind(Path::new(socket)).with_context(cannot)?, PathBuf::from(socket))),
        }
    }

    /// What clients connect to.
    pub fn address(&self) -> Result<String> {
        match self {
            Self::Unix(_, path) => Ok(path.display().to_string()),
            Self::Tcp(listener) => Ok(format!("tcp:{}", listener.local_addr()?)),
        }
    }

    async fn accept(&self, seat: Seat, news: &UnboundedSender<News>) {
        // A connection that failed while it was made is the client's trouble.
        match self {
            Self::Unix(listener, _) => {
                if let Ok((stream, _)) = listener.accept().await {
                    attend(seat, stream.into_split(), news.clone());
                }
            }
            Self::Tcp(listener) => {
                if let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    attend(seat, stream.into_split(), news.clone());
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The real time as the model counts it: a moment of the wall clock is a whole second of virtual time zero plus the rest.
struct Clock {
    began: Instant,
    offset: Duration,
}

impl Clock {
    fn start() -> (Self, u64) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let offset = Duration::from_nanos(u64::from(wall.subsec_nanos()));
        (Self { began: Instant::now(), offset }, wall.as_secs())
    }

    fn now(&self) -> Mono {
        Mono::ZERO.after(self.began.elapsed() + self.offset)
    }

    fn instant(&self, at: Mono) -> tokio::time::Instant {
        (self.began + Duration::from_nanos(at.0).saturating_sub(self.offset)).into()
    }
}

/// Serves a cluster until it is told to quit or `end` is done.
pub async fn serve(listener: Listener, spec: &Spec, end: impl Future<Output = ()>) -> Result<()> {
    let model = spec.cluster()?;
    let mut cluster = if spec.settled { Cluster::settled(model, spec.seed) } else { Cluster::new(model, spec.seed) };
    let (clock, epoch) = Clock::start();
    cluster.set_wall_epoch(epoch);
    let mut world = World::new(cluster);
    let (send, mut news) = unbounded_channel();
    let mut seat: Seat = 0;
    tokio::pin!(end);
    while !world.quit {
        let next = world.cluster.next_at().map(|at| clock.instant(at));
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut end => break,
            () = listener.accept(seat, &send) => seat += 1,
            Some(first) = news.recv() => {
                // What happened before it was asked comes first.
                world.advance(clock.now());
                hear(&mut world, first, &mut news);
            }
            () = due => {}
        }
        world.advance(clock.now());
    }
    Ok(())
}

fn hear(world: &mut World, first: News, more: &mut UnboundedReceiver<News>) {
    let mut next = Some(first);
    while let Some(news) = next {
        match news {
            News::Joined(seat, out) => world.join(seat, out),
            News::Asked(seat, request) => world.ask(seat, request),
            News::Left(seat) => world.leave(seat),
        }
        next = more.try_recv().ok();
    }
}

/// Reads what a client asks and writes what it is told. A slow reader holds up nobody: its replies wait in memory.
fn attend<R, W>(seat: Seat, (read, write): (R, W), news: UnboundedSender<News>)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (out, replies) = unbounded_channel();
    // The owner has ended only when the process ends.
    let _ = news.send(News::Joined(seat, out.clone()));
    let writer = tokio::spawn(write_replies(write, replies));
    tokio::spawn(async move {
        let refuse = out.downgrade();
        drop(out);
        let mut writer = writer;
        tokio::select! {
            () = read_requests(seat, read, &news, &refuse) => {}
            _ = &mut writer => {}
        }
        let _ = news.send(News::Left(seat));
    });
}

async fn read_requests<R: AsyncRead + Unpin>(
    seat: Seat,
    read: R,
    news: &UnboundedSender<News>,
    refuse: &tokio::sync::mpsc::WeakUnboundedSender<Reply>,
) {
    /// No request is longer.
    const MOST: u64 = 64 * 1024;
    let mut read = BufReader::new(read);
    let mut line = String::new();
    loop {
        line.clear();
        match (&mut read).take(MOST).read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => match serde_json::from_str(&line) {
                Ok(request) => {
                    let _ = news.send(News::Asked(seat, request));
                }
                Err(error) => {
                    if let Some(out) = refuse.upgrade() {
                        let _ = out.send(Reply::bad(1, format!("the simulator does not understand that: {error}\n")));
                    }
                }
            },
        }
    }
}

async fn write_replies<W: AsyncWrite + Unpin>(mut write: W, mut replies: UnboundedReceiver<Reply>) {
    while let Some(reply) = replies.recv().await {
        let Ok(mut line) = serde_json::to_vec(&reply) else { return };
        line.push(b'\n');
        if write.write_all(&line).await.is_err() {
            return;
        }
    }
    let _ = write.shutdown().await;
}
