//! A web server that says what it is told to say, and what it was told.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::LONG;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The text of its first notice.
    pub(crate) fn text(&self) -> String {
        self.json()["notices"][0]["text"].as_str().unwrap().to_owned()
    }
}

/// A server.
pub(crate) struct Web {
    pub(crate) port: u16,
    requests: Receiver<Request>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Web {
    pub(crate) fn start() -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// At a port where nobody has listened so far.
    pub(crate) fn start_at(port: u16) -> Self {
        Self::at(TcpListener::bind(("127.0.0.1", port)).unwrap())
    }

    fn at(listener: TcpListener) -> Self {
        let (port, (tx, requests)) = (listener.local_addr().unwrap().port(), channel());
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let of_thread = Arc::clone(&answers);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (tx, answers) = (tx.clone(), Arc::clone(&of_thread));
                std::thread::spawn(move || serve(socket.unwrap(), &tx, &answers));
            }
        });
        Self { port, requests, answers }
    }

    /// What it answers next, beginning with the status; then 200 again.
    pub(crate) fn answer(&self, answer: &str) {
        self.answers.lock().unwrap().push_back(answer.to_owned());
    }

    pub(crate) fn next(&self) -> Request {
        self.requests.recv_timeout(LONG).expect("a request")
    }

    /// What has come besides.
    pub(crate) fn rest(&self) -> usize {
        self.requests.try_iter().count()
    }
}

fn serve(socket: TcpStream, tx: &Sender<Request>, answers: &Mutex<VecDeque<String>>) {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    if reader.read_line(&mut head).unwrap_or(0) == 0 {
        return;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = answers.lock().unwrap().pop_front().unwrap_or_else(|| "200 OK\r\n\r\n".to_owned());
    // Told before it is answered: who has the answer may go on at once.
    let _ = tx.send(Request { head: head.trim_end().to_owned(), headers, body });
    let _ = reader.get_mut().write_all(format!("HTTP/1.1 {answer}").as_bytes());
}

/// A port where nobody listens.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
