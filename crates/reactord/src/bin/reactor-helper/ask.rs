//! Asks the daemon: one request, one reply, and one deadline over all of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use reactor_api::client::{Client, ClientError, Refusal, Reply, connect, is_timeout};
use reactor_api::verbs::{Helper, HelperReply};
use reactor_api::words::HelperEnv;

use crate::options::Options;

/// Longest reply that is read.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(50);

/// DRBD's only variable without its prefix: which nodes have good data, for `fence-peer`.
const UP_TO_DATE_NODES: &str = "UP_TO_DATE_NODES";

/// A call of the kernel.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// Name of the helper, for example `before-resync-target`.
    pub(crate) helper: String,
    /// The resource, or `minor-N` with DRBD 8.4.
    pub(crate) object: String,
    env: BTreeMap<String, String>,
}

/// What the daemon says.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// A handler ran: exit with its code.
    Exit(u8),
    /// drbdadm is to answer.
    Fallback(String),
}

/// Why the daemon gave no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    Connect(PathBuf, io::Error),
    Talk(io::Error),
    Timeout(Duration),
    Reply(String),
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(socket, error) => write!(f, "the daemon is not at {}: {error}", socket.display()),
            Self::Talk(error) => write!(f, "the connection to the daemon broke: {error}"),
            Self::Timeout(limit) => write!(f, "the daemon did not answer within {} s", limit.as_secs()),
            Self::Reply(why) => write!(f, "the daemon's reply makes no sense: {why}"),
        }
    }
}

impl Call {
    /// The call that these arguments are; `None` if they are no call of DRBD.
    pub(crate) fn new(arguments: &[OsString], env: impl Iterator<Item = (OsString, OsString)>) -> Option<Self> {
        let [helper, object] = arguments else { return None };
        let env = env
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with("DRBD_") || name == UP_TO_DATE_NODES);
        Some(Self { helper: helper.to_str()?.to_owned(), object: object.to_str()?.to_owned(), env: env.collect() })
    }

    /// The request, which gives the daemon a little less time than we have: its own answer tells more than our timeout.
    fn request(&self, time: Duration) -> Helper {
        let time = time - (time / 10).min(Duration::from_secs(1));
        Helper {
            helper: self.helper.as_str().into(),
            object: self.object.as_str().into(),
            env: HelperEnv(self.env.clone()),
            timeout_ms: time.into(),
        }
    }
}

/// Asks, and waits for the answer until the timeout.
pub(crate) fn daemon(options: &Options, call: &Call) -> Result<Answer, AskError> {
    let deadline = Deadline { at: Instant::now() + options.timeout, limit: options.timeout };
    let mut client = Client::over(connect_in_time(options, &deadline)?, MAX_REPLY_BYTES);
    client.set_end(deadline.at);
    let answer = client.send_verb(&call.request(deadline.left()?)).and_then(|()| client.next_answer());
    understand(answer.map_err(|error| deadline.error(error))?).map_err(AskError::Reply)
}

/// The moment at which we give up.
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// What is left; never zero.
    fn left(&self) -> Result<Duration, AskError> {
        match self.at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(AskError::Timeout(self.limit)),
        }
    }

    /// What an error of the client is to us.
    fn error(&self, error: ClientError) -> AskError {
        match error {
            ClientError::TimedOut { .. } => AskError::Timeout(self.limit),
            ClientError::Broken { source } => AskError::Talk(source),
            ClientError::Closed => AskError::Talk(io::ErrorKind::UnexpectedEof.into()),
            other => AskError::Reply(other.to_string()),
        }
    }
}

/// Connects. While the daemon is being restarted, the folder of its socket stays: then it is worth a little patience, because
/// drbdadm does not know the rules. Without the folder there is no daemon to wait for.
fn connect_in_time(options: &Options, deadline: &Deadline) -> Result<UnixStream, AskError> {
    let patience = Instant::now() + options.wait;
    loop {
        let error = match connect(&options.socket, deadline.left()?) {
            Ok(stream) => return Ok(stream),
            Err(error) if is_timeout(&error) => return Err(AskError::Timeout(options.timeout)),
            Err(error) => error,
        };
        let away = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        let restarting = away && options.socket.parent().is_some_and(Path::exists);
        if !restarting || Instant::now() + RETRY > patience.min(deadline.at) {
            return Err(AskError::Connect(options.socket.clone(), error));
        }
        thread::sleep(RETRY);
    }
}

fn understand(answer: Result<Reply, Refusal>) -> Result<Answer, String> {
    let refused = |Refusal { name, parameters }| format!("error {name:?} {parameters}");
    let Reply { parameters, .. } = answer.map_err(refused)?;
    match serde_json::from_value(parameters).map_err(|error| error.to_string())? {
        HelperReply { exit: Some(code), .. } => {
            u8::try_from(code).map(Answer::Exit).map_err(|_| "its exit code is none".to_owned())
        }
        HelperReply { fallback: Some(why), .. } => Ok(Answer::Fallback(why)),
        HelperReply { .. } => Err("it has neither exit nor fallback".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_drbds_own_variables_are_passed_on() {
        let env =
            [("DRBD_PEER_NODE_ID", "1"), ("UP_TO_DATE_NODES", "0x00000003"), ("PATH", "/bin"), ("LD_PRELOAD", "x")];
        let env = env.into_iter().map(|(name, value)| (name.into(), value.into()));
        let call = Call::new(&os(&["fence-peer", "r0"]), env).unwrap();
        assert_eq!(call.env.keys().collect::<Vec<_>>(), ["DRBD_PEER_NODE_ID", "UP_TO_DATE_NODES"]);
        // Byte for byte what the daemon of any version is asked.
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        Client::over(ours, MAX_REPLY_BYTES).send_verb(&call.request(Duration::from_secs(60))).unwrap();
        let mut request = String::new();
        theirs.read_to_string(&mut request).unwrap();
        assert_eq!(
            request,
            "{\"method\":\"io.storagereactor.Control.Helper\",\"parameters\":{\"env\":{\"DRBD_PEER_NODE_ID\":\"1\",\
             \"UP_TO_DATE_NODES\":\"0x00000003\"},\"helper\":\"fence-peer\",\"object\":\"r0\",\"timeout_ms\":59000}}\0"
        );
    }

    #[test]
    fn other_arguments_are_no_call() {
        for words in [&["adjust"][..], &["adjust", "r0", "x"], &[]] {
            assert_eq!(Call::new(&os(words), std::iter::empty()), None);
        }
    }

    #[test]
    fn every_reply_is_understood_or_refused() {
        let understood = |text: &str| {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(format!("{text}\0").as_bytes()).unwrap();
            let answer = Client::over(theirs, MAX_REPLY_BYTES).next_answer();
            answer.map_err(|error| error.to_string()).and_then(understand)
        };
        assert_eq!(understood(r#"{"parameters":{"exit":4,"rule":"x"}}"#), Ok(Answer::Exit(4)));
        assert_eq!(
            understood(r#"{"parameters":{"exit":null,"fallback":"no rule"}}"#),
            Ok(Answer::Fallback("no rule".to_owned()))
        );
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"parameters":{}}"#,
            r#"{"parameters":{"exit":256}}"#,
            r#"{"parameters":{"exit":-1}}"#,
            r#"{"parameters":{"exit":1.5}}"#,
            r#"{"error":"org.varlink.service.PermissionDenied","parameters":{}}"#,
        ] {
            assert!(understood(wrong).is_err(), "{wrong}");
        }
    }
}
