//! `reactorctl bridge`: the control protocol on standard input and output, for a reactorctl on another node.
//!
//! ```text
//! reactorctl elsewhere ── ssh ──▶ standard input ─▶ is it allowed? ─▶ socket of the daemon
//!                     ◀──────── standard output ◀──── answers ◀──────┘
//! ```
//!
//! Nothing is quoted for a shell, and answers are typed. What a key may do is said where the key is, in `authorized_keys`
//! (`command="reactorctl bridge --read-only"`), and checked here: what is not understood as one of our calls never reaches the daemon.
//!
//! One call at a time: the next is read when the last answer of the one before has gone out, so that a refusal of ours comes in its turn.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use clap::Args;
use reactor_api::call::{CallError, Method, Request, parse};
use reactor_api::framing::{Frames, MAX_REPLY_BYTES, MAX_REQUEST_BYTES};
use reactor_api::verb::Caller;
use rustix::event::{PollFd, PollFlags, poll};
use serde::Deserialize;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};

/// How long the daemon may take to be reached.
const WITHIN: Duration = Duration::from_secs(5);
/// Read at once.
const PIECE: usize = 64 * 1024;

/// Pass the control protocol from standard input to the daemon of this node and back, for reactorctl on another node (by ssh)
#[derive(Clone, Debug, Args)]
pub struct BridgeArgs {
    /// Let through only what changes nothing
    #[arg(long, conflicts_with = "allow")]
    pub read_only: bool,

    /// Let through what changes nothing, and these commands
    #[arg(long, value_name = "COMMAND", value_delimiter = ',')]
    pub allow: Vec<Allowed>,
}

/// Commands that change something, each with the calls that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Allowed {
    Start,
    Stop,
    Evict,
    Move,
    Restart,
    Drain,
    Undrain,
    Hold,
    Release,
    Clear,
    Leftovers,
    Reload,
}

impl Allowed {
    /// The verbs of the control socket.
    fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Start | Self::Release => &["Release"],
            Self::Stop => &["Stop"],
            Self::Evict => &["Yield"],
            // Whoever did not get it may have it again.
            Self::Move | Self::Restart => &["Yield", "Release"],
            Self::Drain => &["Drain"],
            Self::Undrain => &["Undrain"],
            Self::Hold => &["Hold"],
            Self::Clear => &["Clear"],
            Self::Leftovers => &["Leftovers"],
            Self::Reload => &["Reload"],
        }
    }
}

impl Run for BridgeArgs {
    fn run(&self, place: &Place, _: &mut dyn Write) -> Result<Exit, Failure> {
        let daemon = daemon::connect(place, WITHIN)?.into_stream()?;
        let input = io::stdin();
        // The protocol's bytes are not for people: nothing takes colours out of them.
        let out = io::stdout().lock();
        Bridge { rules: self.rules(), daemon, input: input.as_fd(), out }.serve()?;
        Ok(Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }

    fn is_for_people(&self) -> bool {
        false
    }
}

impl BridgeArgs {
    fn rules(&self) -> Rules {
        if self.read_only || !self.allow.is_empty() {
            let verbs = self.allow.iter().flat_map(|allowed| allowed.verbs()).copied().collect();
            Rules::Only(verbs)
        } else {
            Rules::Everything
        }
    }
}

/// What is let through. What the user of this process may do at all, the daemon asks the kernel.
#[derive(Debug)]
enum Rules {
    Everything,
    /// What changes nothing, and these verbs.
    Only(BTreeSet<&'static str>),
}

impl Rules {
    fn allow(&self, method: &Method, name: &str) -> Result<(), CallError> {
        match self {
            Self::Only(verbs) if method.caller() != Caller::Reader && !verbs.contains(name) => {
                Err(CallError::NotThisWay { method: name.to_owned() })
            }
            Self::Everything | Self::Only(_) => Ok(()),
        }
    }
}

struct Bridge<I, O> {
    rules: Rules,
    daemon: UnixStream,
    input: I,
    out: O,
}

/// The end of one side.
enum Over {
    Yes,
    No,
}

impl<I: AsFd, O: AsFd + Write> Bridge<I, O> {
    /// Until one side ends.
    fn serve(&mut self) -> io::Result<()> {
        let mut frames = Frames::new(MAX_REQUEST_BYTES);
        let mut bytes = vec![0; PIECE];
        loop {
            loop {
                let message = match frames.next_message() {
                    Ok(Some(message)) => message.to_vec(),
                    Ok(None) => break,
                    // Where the next call begins is not known.
                    Err(error) => return self.say(&CallError::NotACall { why: error.to_string() }.to_message()),
                };
                if let Over::Yes = self.call(&message)? {
                    return Ok(());
                }
            }
            match rustix::io::retry_on_intr(|| rustix::io::read(&self.input, bytes.as_mut_slice()))? {
                0 => return Ok(()),
                count => frames.push(&bytes[..count]),
            }
        }
    }

    fn call(&mut self, message: &[u8]) -> io::Result<Over> {
        let request = match understand(message)
            .and_then(|(request, name)| self.rules.allow(&request.method, &name).map(|()| request))
        {
            Ok(request) => request,
            Err(error) => {
                let over = if let CallError::NotACall { .. } = error { Over::Yes } else { Over::No };
                self.say(&error.to_message())?;
                return Ok(over);
            }
        };
        self.daemon.write_all(message)?;
        self.daemon.write_all(&[0])?;
        if request.oneway { Ok(Over::No) } else { self.answers() }
    }

    /// Passes on all answers to one call.
    fn answers(&mut self) -> io::Result<Over> {
        let mut frames = Frames::new(MAX_REPLY_BYTES);
        let mut bytes = vec![0; PIECE];
        loop {
            if let Over::Yes = self.wait()? {
                return Ok(Over::Yes);
            }
            let count = self.daemon.read(&mut bytes)?;
            if count == 0 {
                return Ok(Over::Yes);
            }
            self.say(&bytes[..count])?;
            frames.push(&bytes[..count]);
            while let Some(answer) = frames.next_message().map_err(io::Error::other)? {
                if !continues(answer) {
                    return Ok(Over::No);
                }
            }
        }
    }

    /// Until the daemon says something, or nobody reads any more: a stream has no other end. Who has no more to ask may still want to read.
    fn wait(&self) -> io::Result<Over> {
        let mut ends = [PollFd::new(&self.daemon, PollFlags::IN), PollFd::new(&self.out, PollFlags::empty())];
        rustix::io::retry_on_intr(|| poll(&mut ends, None))?;
        let gone = ends[1].revents().intersects(PollFlags::HUP | PollFlags::ERR);
        Ok(if gone { Over::Yes } else { Over::No })
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

/// A call, and its name without the interface.
fn understand(message: &[u8]) -> Result<(Request, String), CallError> {
    #[derive(Deserialize)]
    struct Named {
        method: String,
    }
    let request = parse(message)?;
    let named: Named =
        serde_json::from_slice(message).map_err(|error| CallError::NotACall { why: error.to_string() })?;
    let name = named.method.rsplit('.').next().unwrap_or_default().to_owned();
    Ok((request, name))
}

/// Whether another answer follows. What can't be read is the last one: the client says what is wrong with it.
fn continues(answer: &[u8]) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        continues: bool,
    }
    serde_json::from_slice::<Answer>(answer).unwrap_or_default().continues
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::thread::spawn;

    use serde_json::{Value, json};

    use super::*;

    /// What the other side of a bridge reads when it says `calls`, and what came to a daemon that answers each call with its own words, a stream
    /// with two answers.
    fn over(args: &BridgeArgs, calls: &[u8]) -> (Vec<Value>, Vec<Value>) {
        let (daemon, mut served) = UnixStream::pair().unwrap();
        let (input, mut client) = UnixStream::pair().unwrap();
        let serve = spawn(move || {
            let mut frames = Frames::new(MAX_REQUEST_BYTES);
            let (mut bytes, mut came) = (vec![0; PIECE], Vec::new());
            while let Ok(count @ 1..) = served.read(&mut bytes) {
                frames.push(&bytes[..count]);
                while let Some(message) = frames.next_message().unwrap() {
                    let call: Value = serde_json::from_slice(message).unwrap();
                    if call["more"] == true {
                        served.write_all(&reply(&json!({ "parameters": { "at": 1 }, "continues": true }))).unwrap();
                    }
                    if call["oneway"] != true {
                        served.write_all(&reply(&json!({ "parameters": { "to": call["method"] } }))).unwrap();
                    }
                    came.push(call);
                }
            }
            came
        });
        let (out, mut read) = UnixStream::pair().unwrap();
        let calls = calls.to_vec();
        let ask = spawn(move || {
            // Who is refused hears no more.
            let _ = client.write_all(&calls).and_then(|()| client.shutdown(Shutdown::Write));
        });
        let listen = spawn(move || {
            let mut said = Vec::new();
            read.read_to_end(&mut said).map(|_| said).unwrap()
        });
        Bridge { rules: args.rules(), daemon, input: input.as_fd(), out }.serve().unwrap();
        drop(input);
        ask.join().unwrap();
        let out = listen.join().unwrap();
        let said = out.split(|byte| *byte == 0).filter(|text| !text.is_empty());
        (said.map(|text| serde_json::from_slice(text).unwrap()).collect(), serve.join().unwrap())
    }

    fn reply(value: &Value) -> Vec<u8> {
        reactor_api::framing::message(value)
    }

    fn call(name: &str, parameters: &Value) -> Vec<u8> {
        reply(&json!({ "method": format!("io.storagereactor.Control.{name}"), "parameters": parameters }))
    }

    fn args(read_only: bool, allow: &[Allowed]) -> BridgeArgs {
        BridgeArgs { read_only, allow: allow.to_vec() }
    }

    #[test]
    fn calls_and_answers_go_through_in_their_order() {
        let calls = [
            call("Ping", &json!({})),
            reply(&json!({ "method": "io.storagereactor.Control.Changes", "more": true })),
            reply(
                &json!({ "method": "io.storagereactor.Control.Clear", "parameters": { "resource": "r0" }, "oneway": true }),
            ),
            call("Hold", &json!({ "resource": "r0" })),
        ];
        let (said, came) = over(&args(false, &[]), &calls.concat());
        assert_eq!(came.len(), 4);
        let to = |name: &str| json!({ "parameters": { "to": format!("io.storagereactor.Control.{name}") } });
        assert_eq!(
            said,
            [to("Ping"), json!({ "parameters": { "at": 1 }, "continues": true }), to("Changes"), to("Hold")]
        );
    }

    #[test]
    fn what_is_not_allowed_never_reaches_the_daemon() {
        let hold = call("Hold", &json!({ "resource": "r0" }));
        let calls = [hold.clone(), call("Ping", &json!({})), call("Release", &json!({ "resource": "r0" }))].concat();
        for (args, through) in [
            (args(true, &[]), ["Ping"].as_slice()),
            (args(false, &[Allowed::Hold]), &["Hold", "Ping"]),
            (args(false, &[Allowed::Start, Allowed::Hold]), &["Hold", "Ping", "Release"]),
        ] {
            let (said, came) = over(&args, &calls);
            let came: Vec<&str> = came.iter().filter_map(|call| call["method"].as_str()?.rsplit('.').next()).collect();
            assert_eq!((said.len(), came.as_slice()), (3, through));
            let refused = said.iter().filter(|answer| answer["error"] == "io.storagereactor.Control.PermissionDenied");
            assert_eq!(refused.count(), 3 - through.len());
        }
        // With `remove` a call that reads is one that changes.
        let leftovers = [call("Leftovers", &json!({})), call("Leftovers", &json!({ "remove": true }))].concat();
        assert_eq!(over(&args(true, &[]), &leftovers).1.len(), 1);
    }

    #[test]
    fn what_is_no_call_of_ours_is_answered_here() {
        let odd = [
            call("Explode", &json!({})),
            call("Hold", &json!({ "resource": 7 })),
            reply(&json!({ "method": "Hold" })),
            b"{}\0".to_vec(),
            call("Ping", &json!({})),
        ];
        let (said, came) = over(&args(false, &[]), &odd.concat());
        let errors: Vec<&str> = said.iter().filter_map(|answer| answer["error"].as_str()?.rsplit('.').next()).collect();
        assert_eq!(errors, ["MethodNotFound", "InvalidParameter", "MethodNotFound", "InvalidParameter"]);
        // After what is no call at all nobody knows what the rest is.
        assert_eq!(came.len(), 0);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let (said, came) = over(&args(false, &[]), &vec![b'x'; MAX_REQUEST_BYTES + 2]);
        assert_eq!((said.len(), came.len()), (1, 0));
    }

    #[test]
    fn a_stream_ends_when_nobody_reads_it_any_more() {
        let (daemon, mut served) = UnixStream::pair().unwrap();
        let (input, mut client) = UnixStream::pair().unwrap();
        let (out, read) = UnixStream::pair().unwrap();
        client.write_all(&reply(&json!({ "method": "io.storagereactor.Control.Changes", "more": true }))).unwrap();
        let bridge = spawn(move || {
            Bridge { rules: Rules::Everything, daemon, input: input.as_fd(), out }.serve().unwrap();
        });
        let mut byte = [0];
        served.read_exact(&mut byte).unwrap();
        drop(read);
        bridge.join().unwrap();
    }
}
