//! Those who read the history.

use super::*;

/// Counts what is logged.
struct Lines(Arc<std::sync::atomic::AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::INFO {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

struct HistoryFolder(std::path::PathBuf);

impl Drop for HistoryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An empty history that nobody writes any more.
fn a_history(name: &str) -> (HistoryFolder, crate::history::Ledgers) {
    let dir = crate::testing::open_to_all().join(format!("reactor-control-history-{name}-{}", std::process::id()));
    let limits = crate::history::Limits { max_age: LONG, max_bytes: 1 << 20 };
    let history = crate::history::History::start(&dir, "n1".to_owned(), limits);
    let ledgers = history.ledgers();
    assert!(history.finish(LONG));
    (HistoryFolder(dir), ledgers)
}

async fn asks_for_history(bench: &mut Bench, client: &mut TestClient, ledgers: &crate::history::Ledgers) {
    client.send("History", "").await;
    let ControlRequest::History(Asked { reply, .. }) = bench.next_request().await else { panic!("not a history") };
    reply.send(Ok(ledgers.clone())).unwrap();
}

/// Whoever may only read could fill the log of a daemon whose history can't be read.
#[tokio::test]
async fn a_history_that_can_not_be_read_is_told_to_the_client_and_not_to_the_log_each_time() {
    use tracing_subscriber::layer::SubscriberExt;
    let lines = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Lines(Arc::clone(&lines))));
    let mut bench = Bench::new(Limits::default());
    let (_folder, mut nowhere) = a_history("quiet");
    nowhere.dir = "/none/none".into();
    let mut client = bench.connect(OTHER_USER);
    for _ in 0..3 {
        asks_for_history(&mut bench, &mut client, &nowhere).await;
        assert_eq!(client.error().await, "io.storagereactor.Control.Refused");
    }
    assert_eq!(lines.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// The text of many entries is not made by the loop's thread, and for readers one at a time, as that of a status.
#[tokio::test]
async fn the_text_of_a_history_waits_for_its_turn() {
    let mut bench = Bench::new(Limits::default());
    let (_folder, ledgers) = a_history("turn");
    let shared = Arc::clone(&bench.shared);
    let turn = shared.made_for_readers.acquire().await.unwrap();
    let mut reader = bench.connect(OTHER_USER);
    asks_for_history(&mut bench, &mut reader, &ledgers).await;
    let mut own = bench.own();
    for _ in 0..3 {
        asks_for_history(&mut bench, &mut own, &ledgers).await;
        assert_eq!(own.reply().await.unwrap()["parameters"]["entries"], json!([]));
    }
    assert!(reader.stream.try_read(&mut [0; 1]).is_err(), "an answer before its turn");
    drop(turn);
    assert_eq!(reader.reply().await.unwrap()["parameters"]["entries"], json!([]));
}
