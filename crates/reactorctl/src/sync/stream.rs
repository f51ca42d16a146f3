//! What `reactorctl sync` and `reactorctl receive` say to each other over ssh. Every part is bounded, and nothing of it is believed before it is checked.
//!
//! ```text
//!  sync                                                        receive
//!    ── {"storage-reactor-sync":1,"resource":..,"files":[..]} ──▶  what there is: names, modes, sizes, checksums
//!    ◀── {"files":[{"state":"same"},{"state":"differs"},..]} ────  what it has, and what it takes
//!    ── {"send":[1,3]} ── content of 1 ── content of 3 ── end ──▶  read whole and checked, then written
//!    ◀── {"files":[{"state":"sent","backup":".."},..]} ──────────  how that went, for each that was sent
//! ```
//!
//! A line ends with a line end. Whoever can't go on says `{"error":"..."}` in place of an answer, and ends.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _, Write};

use serde::{Deserialize, Serialize};

use super::names;

/// Version of this.
pub(crate) const VERSION: u32 = 1;
/// Most files.
pub(crate) const MAX_FILES: usize = 64;
/// Longest file, in bytes.
pub(crate) const MAX_FILE: u64 = 4 << 20;
/// All files together, in bytes: they are kept in memory until the last one is checked.
pub(crate) const MAX_ALL: u64 = 16 << 20;
/// Longest line, in bytes.
const MAX_LINE: u64 = 256 << 10;
/// What follows the last content: without it the stream was cut off.
const END: &[u8] = b"end\n";

/// What is wrong with a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("the other side has ended in the middle")]
    Cut,
    #[error("a line is longer than {MAX_LINE} bytes")]
    LongLine,
    #[error("what the other side says is not understood")]
    NotUnderstood(#[source] serde_json::Error),
    #[error(
        "the other side speaks version {found} of this, and not {VERSION}: the same release of Storage Reactor has to be on both"
    )]
    Version { found: u32 },
    #[error("{0}")]
    Bad(String),
    #[error("the other side says: {0}")]
    Said(String),
    #[error("the checksum of {path} is wrong: it was changed on the way, or while it was read")]
    Checksum { path: String },
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

/// What there is to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Offer {
    #[serde(rename = "storage-reactor-sync")]
    pub(crate) version: u32,
    pub(crate) resource: String,
    pub(crate) files: Vec<Offered>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Offered {
    pub(crate) path: String,
    /// Permissions: nobody but the owner may write.
    pub(crate) mode: u32,
    /// Its group, by name; by number if it has no name there.
    pub(crate) group: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) files: Vec<Verdict>,
}

/// What became of a file, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Verdict {
    pub(crate) state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<String>,
}

impl Verdict {
    pub(crate) fn of(state: State) -> Self {
        Self { state, why: None, backup: None }
    }

    pub(crate) fn because(state: State, why: String) -> Self {
        Self { why: Some(why), ..Self::of(state) }
    }
}

/// How a file is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Same,
    Differs,
    Missing,
    /// It is not taken.
    Refused,
    Sent,
    /// It was taken, and could not be written.
    Failed,
}

impl State {
    pub(crate) fn is_wanted(self) -> bool {
        matches!(self, Self::Differs | Self::Missing)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Sending {
    send: Vec<usize>,
}

/// SHA-256, in hexadecimal.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Into a text, which does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Offer {
    /// Whether it is one that can be answered at all. Whether a file may be written is another question.
    fn check(&self) -> Result<(), StreamError> {
        let bad = |why: String| Err(StreamError::Bad(why));
        if self.version != VERSION {
            return Err(StreamError::Version { found: self.version });
        }
        if self.files.len() > MAX_FILES {
            return bad(format!("there are more than {MAX_FILES} files"));
        }
        let mut paths = BTreeSet::new();
        for file in &self.files {
            if let Err(why) = names::strict(&file.path) {
                return bad(format!("{:?} is not taken: {why}", file.path));
            }
            if !paths.insert(&file.path) {
                return bad(format!("{} is named twice", file.path));
            }
            if file.size > MAX_FILE {
                return bad(format!("{} is larger than {MAX_FILE} bytes", file.path));
            }
            if file.mode & !0o755 != 0 {
                return bad(format!("{} has permissions that are not taken: {:04o}", file.path, file.mode));
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return bad(format!("{} has no checksum", file.path));
            }
        }
        if self.files.iter().map(|file| file.size).sum::<u64>() > MAX_ALL {
            return bad(format!("all files together are larger than {MAX_ALL} bytes"));
        }
        Ok(())
    }
}

/// Reads a line, without its end.
fn line(input: &mut impl BufRead) -> Result<Vec<u8>, StreamError> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line).map_err(StreamError::Io)?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ if line.len() as u64 >= MAX_LINE => Err(StreamError::LongLine),
        _ => Err(StreamError::Cut),
    }
}

fn say(output: &mut impl Write, what: &impl Serialize) -> Result<(), StreamError> {
    let mut text = serde_json::to_vec(what).map_err(StreamError::NotUnderstood)?;
    text.push(b'\n');
    output.write_all(&text).and_then(|()| output.flush()).map_err(StreamError::Io)
}

/// Reads what is offered.
pub(crate) fn read_offer(input: &mut impl BufRead) -> Result<Offer, StreamError> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "storage-reactor-sync")]
        version: u32,
    }
    let line = line(input)?;
    // Another version may have other keys.
    let head: Head = serde_json::from_slice(&line).map_err(StreamError::NotUnderstood)?;
    if head.version != VERSION {
        return Err(StreamError::Version { found: head.version });
    }
    let offer: Offer = serde_json::from_slice(&line).map_err(StreamError::NotUnderstood)?;
    offer.check()?;
    Ok(offer)
}

pub(crate) fn write_offer(output: &mut impl Write, offer: &Offer) -> Result<(), StreamError> {
    offer.check()?;
    say(output, offer)
}

/// Reads the answer to an offer of so many files, or to so many that were sent.
pub(crate) fn read_answer(input: &mut impl BufRead, files: usize) -> Result<Vec<Verdict>, StreamError> {
    let answer: Answer = serde_json::from_slice(&line(input)?).map_err(StreamError::NotUnderstood)?;
    match answer.error {
        Some(error) => Err(StreamError::Said(error)),
        None if answer.files.len() != files => Err(StreamError::Bad("its answer is about other files".to_owned())),
        None => Ok(answer.files),
    }
}

pub(crate) fn write_answer(output: &mut impl Write, answer: &Answer) -> Result<(), StreamError> {
    say(output, answer)
}

/// Reads the contents of those that are sent, all of them, and checks them. `is_wanted`: by the place in the offer.
pub(crate) fn read_contents(
    input: &mut impl BufRead,
    offer: &Offer,
    is_wanted: impl Fn(usize) -> bool,
) -> Result<Vec<(usize, Vec<u8>)>, StreamError> {
    let Sending { send } = serde_json::from_slice(&line(input)?).map_err(StreamError::NotUnderstood)?;
    if !send.is_sorted_by(|one, next| one < next) || !send.iter().all(|&at| at < offer.files.len() && is_wanted(at)) {
        return Err(StreamError::Bad("it sends what is not wanted".to_owned()));
    }
    let mut contents = Vec::new();
    for at in send {
        let file = &offer.files[at];
        let mut bytes = Vec::new();
        input.by_ref().take(file.size).read_to_end(&mut bytes).map_err(StreamError::Io)?;
        if bytes.len() as u64 != file.size {
            return Err(StreamError::Cut);
        }
        if checksum(&bytes) != file.sha256 {
            return Err(StreamError::Checksum { path: file.path.clone() });
        }
        contents.push((at, bytes));
    }
    let mut end = Vec::new();
    input.by_ref().take(END.len() as u64).read_to_end(&mut end).map_err(StreamError::Io)?;
    if end == END { Ok(contents) } else { Err(StreamError::Cut) }
}

pub(crate) fn write_contents<'a>(
    output: &mut impl Write,
    contents: impl Iterator<Item = (usize, &'a [u8])> + Clone,
) -> Result<(), StreamError> {
    say(output, &Sending { send: contents.clone().map(|(at, _)| at).collect() })?;
    for (_, bytes) in contents {
        output.write_all(bytes).map_err(StreamError::Io)?;
    }
    output.write_all(END).and_then(|()| output.flush()).map_err(StreamError::Io)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn offered(path: &str, content: &[u8]) -> Offered {
        let size = content.len() as u64;
        Offered { path: path.to_owned(), mode: 0o644, group: "root".to_owned(), size, sha256: checksum(content) }
    }

    fn offer(files: Vec<Offered>) -> Offer {
        Offer { version: VERSION, resource: "r0".to_owned(), files }
    }

    fn read(text: &[u8]) -> Result<Offer, String> {
        read_offer(&mut &*text).map_err(|error| error.to_string())
    }

    fn line_of(offer: &Offer) -> Vec<u8> {
        let mut text = serde_json::to_vec(offer).unwrap();
        text.push(b'\n');
        text
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(checksum(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_is_offered_and_sent_is_what_is_read() {
        let files: [(&str, &[u8]); 3] = [("/a", b"one\n"), ("/b", b""), ("/c", b"end\nend\n")];
        let offer = offer(files.iter().map(|(path, content)| offered(path, content)).collect());
        let mut stream = Vec::new();
        write_offer(&mut stream, &offer).unwrap();
        write_contents(&mut stream, [(0, files[0].1), (2, files[2].1)].into_iter()).unwrap();
        let mut input = stream.as_slice();
        assert_eq!(read_offer(&mut input).unwrap(), offer);
        let contents = read_contents(&mut input, &offer, |at| at != 1).unwrap();
        assert_eq!(contents, [(0, b"one\n".to_vec()), (2, b"end\nend\n".to_vec())]);
        let verdict = Verdict { backup: Some("/x".to_owned()), ..Verdict::of(State::Sent) };
        let answer = Answer { error: None, files: vec![verdict, Verdict::because(State::Failed, "full".to_owned())] };
        let mut said = Vec::new();
        write_answer(&mut said, &answer).unwrap();
        assert_eq!(read_answer(&mut said.as_slice(), 2).unwrap(), answer.files);
        assert!(read_answer(&mut said.as_slice(), 3).is_err());
        let why = read_answer(&mut &b"{\"error\":\"no\"}\n"[..], 2).unwrap_err();
        assert_eq!(why.to_string(), "the other side says: no");
    }

    #[test]
    fn an_offer_is_refused_as_a_whole() {
        let with = |change: fn(&mut Offered)| {
            let mut file = offered("/etc/a", b"x");
            change(&mut file);
            offer(vec![offered("/etc/good", b"x"), file])
        };
        let table: [(Offer, &str); 10] = [
            (with(|file| file.path = "/etc/../a".to_owned()), "\"/etc/../a\" is not taken: it has a part `..`"),
            (with(|file| file.path = "etc/a".to_owned()), "\"etc/a\" is not taken: it is not absolute"),
            (with(|file| file.path = "/etc/a\n".to_owned()), "\"/etc/a\\n\" is not taken: it has control characters"),
            (with(|file| file.path = "/etc/good".to_owned()), "/etc/good is named twice"),
            (with(|file| file.size = MAX_FILE + 1), "/etc/a is larger than 4194304 bytes"),
            (with(|file| file.mode = 0o664), "/etc/a has permissions that are not taken: 0664"),
            (with(|file| file.mode = 0o4755), "/etc/a has permissions that are not taken: 4755"),
            (with(|file| file.sha256.clear()), "/etc/a has no checksum"),
            (offer(vec![offered("/a", b""); MAX_FILES + 1]), "there are more than 64 files"),
            (
                offer((0..5).map(|at| Offered { size: MAX_FILE, ..offered(&format!("/{at}"), b"") }).collect()),
                "all files together are larger than 16777216 bytes",
            ),
        ];
        for (offer, why) in table {
            assert_eq!(read(&line_of(&offer)).unwrap_err(), why);
            // Who sends makes the same mistakes before a node is asked.
            assert!(write_offer(&mut Vec::new(), &offer).is_err());
        }
        assert!(read(b"{\"storage-reactor-sync\":2,\"more\":1}\n").unwrap_err().contains("version 2"));
        assert!(read(b"{}\n").unwrap_err().contains("not understood"));
        assert!(read(b"").unwrap_err().contains("in the middle"));
        assert!(read(&vec![b'x'; 300 << 10]).unwrap_err().contains("longer than"));
    }

    #[test]
    fn contents_that_are_cut_changed_or_not_wanted_are_refused() {
        let offer = offer(vec![offered("/a", b"one"), offered("/b", b"two")]);
        let read = |text: &[u8]| {
            let mut input = text;
            read_contents(&mut input, &offer, |at| at == 1).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"{\"send\":[1]}\ntwoend\n").unwrap(), [(1, b"two".to_vec())]);
        assert_eq!(read(b"{\"send\":[]}\nend\n").unwrap(), []);
        let whole = b"{\"send\":[1]}\ntwoend\n";
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]).unwrap_err(), "the other side has ended in the middle", "{length}");
        }
        assert!(read(b"{\"send\":[1]}\ntwxend\n").unwrap_err().starts_with("the checksum of /b is wrong"));
        for sent in ["[0]", "[1,1]", "[2]", "[1,0]"] {
            let text = format!("{{\"send\":{sent}}}\ntwotwoend\n");
            assert_eq!(read(text.as_bytes()).unwrap_err(), "it sends what is not wanted", "{sent}");
        }
        assert!(read(b"{\"send\":[-1]}\nend\n").unwrap_err().contains("not understood"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>, wanted: bool, at in any::<proptest::sample::Index>()) {
            let offer = offer(vec![offered("/a", b"one")]);
            let mut stream = line_of(&offer);
            let cut = at.index(stream.len());
            stream.splice(cut.., bytes.iter().copied());
            let _ = read_offer(&mut stream.as_slice());
            let _ = read_answer(&mut bytes.as_slice(), 1);
            if let Ok(contents) = read_contents(&mut bytes.as_slice(), &offer, |_| wanted) {
                assert!(contents.is_empty() || wanted);
            }
        }
    }
}
