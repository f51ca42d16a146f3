//! The monitor of a User-Mode Linux kernel: one datagram there, one or more back.
//!
//! A request is three words in the machine's byte order (magic, version, length) and 512 bytes of text; an answer is
//! three words (error, more to come, length) and 512 bytes of text.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

const MAGIC: u32 = 0xcafe_babe;
const VERSION: u32 = 2;
const TEXT: usize = 512;
const HEADER: usize = 12;
/// A kernel that hangs never answers.
const WITHIN: Duration = Duration::from_secs(5);

/// What the kernel says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) refused: bool,
    pub(super) text: String,
}

/// Sends a command and waits for the whole answer, on a socket bound to `reply_to` for that long.
pub(super) fn ask(monitor: &Path, reply_to: &Path, command: &str) -> io::Result<Answer> {
    let request = request(command)?;
    let _none = fs::remove_file(reply_to);
    let socket = UnixDatagram::bind(reply_to)?;
    let answer = converse(&socket, monitor, &request);
    let _left = fs::remove_file(reply_to);
    answer
}

fn converse(socket: &UnixDatagram, monitor: &Path, request: &[u8]) -> io::Result<Answer> {
    socket.set_read_timeout(Some(WITHIN))?;
    socket.set_write_timeout(Some(WITHIN))?;
    socket.send_to(request, monitor)?;
    let mut answer = Answer { refused: false, text: String::new() };
    loop {
        let mut buffer = [0; HEADER + TEXT];
        let length = socket.recv(&mut buffer)?;
        let (refused, more, text) = parse(&buffer[..length])?;
        answer.refused |= refused;
        answer.text.push_str(&text);
        if !more {
            return Ok(answer);
        }
    }
}

fn request(command: &str) -> io::Result<Vec<u8>> {
    // The kernel wants a closing NUL within the text.
    if command.len() >= TEXT {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "longer than the monitor's 511 bytes"));
    }
    let length = u32::try_from(command.len()).unwrap_or(u32::MAX);
    let mut request: Vec<u8> = [MAGIC, VERSION, length].into_iter().flat_map(u32::to_ne_bytes).collect();
    request.extend_from_slice(command.as_bytes());
    request.resize(HEADER + TEXT, 0);
    Ok(request)
}

/// Refused, more to come, and the text.
fn parse(datagram: &[u8]) -> io::Result<(bool, bool, String)> {
    let word = |at: usize| {
        let bytes = datagram.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_ne_bytes)
    };
    let (Some(error), Some(more), Some(length)) = (word(0), word(4), word(8)) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "shorter than an answer's head"));
    };
    let text = &datagram[HEADER..];
    let text = &text[..text.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
    let text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
    Ok((error != 0, more != 0, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(words: [u32; 3], text: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    #[test]
    fn a_request_has_its_head_and_a_fixed_length() {
        let request = request("cad").unwrap();
        assert_eq!(request.len(), 524);
        assert_eq!(request[8..12], 3_u32.to_ne_bytes());
        assert_eq!(request[12..16], *b"cad\0");
        assert!(super::request(&"x".repeat(512)).is_err());
    }

    #[test]
    fn answers_are_read_whatever_their_length_says() {
        assert_eq!(parse(&answer([0, 0, 3], "OK\0")).unwrap(), (false, false, "OK".to_owned()));
        assert_eq!(parse(&answer([1, 1, 99], "no such")).unwrap(), (true, true, "no such".to_owned()));
        assert!(parse(&[0; 11]).is_err());
    }

    #[test]
    fn an_answer_in_parts_is_put_together() {
        let dir = std::env::temp_dir().join(format!("lab-mconsole-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let monitor = UnixDatagram::bind(dir.join("mconsole")).unwrap();
        let kernel = std::thread::spawn(move || {
            let mut buffer = [0; 600];
            let (_, from) = monitor.recv_from(&mut buffer).unwrap();
            let to = from.as_pathname().unwrap();
            monitor.send_to(&answer([0, 1, 2], "on"), to).unwrap();
            monitor.send_to(&answer([0, 0, 1], "e"), to).unwrap();
        });
        let answer = ask(&dir.join("mconsole"), &dir.join("reply"), "version").unwrap();
        kernel.join().unwrap();
        assert_eq!(answer, Answer { refused: false, text: "one".to_owned() });
        assert!(!dir.join("reply").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
