//! Compressed metrics are the metrics.

use std::process::{Command, Stdio};

use super::*;

/// Asks with these headers; the head of the answer, and the body as it came, without chunks.
fn fetch(socket: &mut TcpStream, headers: &str) -> (String, Vec<u8>) {
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").unwrap();
    let mut head = Vec::new();
    let line = |socket: &mut TcpStream| {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            socket.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    };
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(line(socket).into_bytes());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let length = usize::from_str_radix(line(socket).trim(), 16).unwrap();
            let begin = body.len();
            body.resize(begin + length, 0);
            socket.read_exact(&mut body[begin..]).unwrap();
            assert_eq!(line(socket), "\r\n");
            if length == 0 {
                break;
            }
        }
    } else {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        body.resize(length.parse().unwrap(), 0);
        socket.read_exact(&mut body).unwrap();
    }
    (head, body)
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut reader = flate2::bufread::GzDecoder::new(bytes);
    reader.read_to_string(&mut text).unwrap();
    assert!(reader.into_inner().is_empty(), "one member, and nothing behind it");
    text
}

/// Without the lines about the daemon itself, of which some count the scrapes.
fn of_drbd(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.contains("storage_reactor_")).collect()
}

#[test]
fn what_is_compressed_is_the_text_through_all_changes() {
    // More than two groups of neighbours; each request finds something changed in one of them.
    let (server, address) = serve_changing(600, Limits::default());
    let mut socket = connect(address);
    for _ in 0..5 {
        let (head, zipped) = fetch(&mut socket, "Accept-Encoding: gzip\r\n");
        assert!(head.contains("content-encoding: gzip\r\n") && head.contains("vary: accept-encoding\r\n"), "{head}");
        assert!(head.contains("content-type: text/plain;version=0.0.4\r\n"));
        let text = gunzip(&zipped);
        assert!(zipped.len() * 5 < text.len(), "{} of {}", zipped.len(), text.len());
        let (head, plain) = fetch(&mut socket, "");
        assert!(!head.contains("content-encoding") && head.contains("vary: accept-encoding\r\n"), "{head}");
        // Between the two only numbers have changed.
        let names = |text: &str| of_drbd(text).iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
        let (text, plain): (Vec<String>, Vec<String>) = (names(&text), names(&String::from_utf8(plain).unwrap()));
        assert!(text == plain);
    }
    until("all are counted", || server.health().scrapes == 10);
    assert_eq!(server.health().scrapes_failed, 0);
}

#[test]
fn the_second_who_asks_for_it_gets_the_same_without_work() {
    let (_server, address) = serve_resources(300, Limits::default());
    let mut socket = connect(address);
    let plain = String::from_utf8(fetch(&mut socket, "").1).unwrap();
    for headers in ["Accept-Encoding: gzip\r\n", "Accept-Encoding: br, gzip;q=0.9\r\n", "Accept-Encoding: *\r\n"] {
        let text = gunzip(&fetch(&mut socket, headers).1);
        assert!(of_drbd(&text) == of_drbd(&plain), "{headers}");
    }
    for headers in ["Accept-Encoding: identity\r\n", "Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: deflate\r\n"] {
        let (head, body) = fetch(&mut socket, headers);
        assert!(!head.contains("content-encoding"), "{headers}");
        assert!(of_drbd(&String::from_utf8(body).unwrap()) == of_drbd(&plain));
    }
    // Of what is only asked about, the length is known.
    write!(socket, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
    let head = reply(&mut socket, false).unwrap();
    assert!(head.status == 200 && head.header("content-length").is_some());
    assert_eq!(request(&mut socket, "GET", "/healthz").unwrap().body, "ok\n");
}

#[test]
fn real_readers_read_it() {
    let (_server, address) = serve_resources(300, Limits::default());
    let url = format!("http://{address}/metrics");
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the text.
    for arguments in [&["--compressed"][..], &["--compressed", "--http1.0"]] {
        let curl = Command::new("curl")
            .args(["-sS", "--noproxy", "*"])
            .args(arguments)
            .arg(&url)
            .stdin(Stdio::null())
            .output();
        match curl {
            Ok(answer) => {
                let text = String::from_utf8(answer.stdout).unwrap();
                assert!(text.contains("drbd_resource_maypromote{name=\"r299\"} 1\n"), "{arguments:?}");
                assert!(text.contains("storage_reactor_http_accept_errors_total 0\n"), "{arguments:?}");
            }
            Err(error) => skip("curl", &error.to_string()),
        }
    }
    // gzip checks the sum and the length.
    let (_, zipped) = fetch(&mut connect(address), "Accept-Encoding: gzip\r\n");
    let child = Command::new("gzip").arg("-t").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    match child {
        Ok(mut child) => {
            child.stdin.take().unwrap().write_all(&zipped).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        }
        Err(error) => skip("gzip", &error.to_string()),
    }
}

/// Who stops reading in the middle costs nobody anything, and the next one gets all.
#[test]
fn a_reader_that_goes_away_in_the_middle_leaves_no_half_pieces() {
    let (server, address) = serve_resources(2000, Limits::default());
    for _ in 0..5 {
        let mut socket = connect(address);
        write!(socket, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
        socket.read_exact(&mut [0; 100]).unwrap();
    }
    let text = gunzip(&fetch(&mut connect(address), "Accept-Encoding: gzip\r\n").1);
    assert!(text.contains("drbd_resource_maypromote{name=\"r1999\"} 1\n"));
    until("nobody is left", || server.health().connections <= 1);
}
