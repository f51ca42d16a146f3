//! Where the daemon is, where drbdadm is, and how long to wait.
//!
//! The kernel passes no options, so they stand in a small file of `name = value` lines: `reactor-helper.conf` beside the program,
//! else `/etc/storage-reactor-helper.conf`. Variables of the environment win; the kernel sets none of them, they are for trying
//! things out by hand. Nothing in here can fail: what is wrong is reported, and its default applies.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Default of `socket`.
const SOCKET: &str = "/run/storage-reactor/control.sock";

/// Default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Default of `wait`.
const WAIT: Duration = Duration::from_secs(3);

/// Longest `timeout`, seconds.
const MAX_TIMEOUT_S: u64 = 24 * 3600;

/// Default of `drbdadm`: the first of these that there is.
const DRBDADM: [&str; 2] = ["/usr/sbin/drbdadm", "/sbin/drbdadm"];

/// Name of the file beside the program.
const BESIDE: &str = "reactor-helper.conf";

/// The file otherwise.
const FILE: &str = "/etc/storage-reactor-helper.conf";

/// Longest file that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Everything that can be set.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// The daemon's control socket.
    pub(crate) socket: PathBuf,
    /// How long to wait for the daemon, all in all.
    pub(crate) timeout: Duration,
    /// How long of that to wait for a daemon that is being restarted.
    pub(crate) wait: Duration,
    /// The journal's socket.
    pub(crate) journal: PathBuf,
    /// What is wrong with the file or the environment.
    pub(crate) findings: Vec<String>,
    drbdadm: Option<PathBuf>,
}

impl Options {
    /// Reads the file and then the environment, which `variable` looks up.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut options = Self {
            socket: SOCKET.into(),
            timeout: TIMEOUT,
            wait: WAIT,
            journal: reactor_sys::log::journal::SOCKET.into(),
            findings: Vec::new(),
            drbdadm: None,
        };
        if let Some(file) = variable("STORAGE_REACTOR_HELPER_CONF").map(PathBuf::from).or_else(default_file) {
            match read_file(&file) {
                Ok(text) => options.take_text(&file, &text),
                Err(why) => options.findings.push(format!("{} is not used: {why}", file.display())),
            }
        }
        let named = [
            ("socket", "STORAGE_REACTOR_SOCKET"),
            ("drbdadm", "STORAGE_REACTOR_DRBDADM"),
            ("timeout", "STORAGE_REACTOR_HELPER_TIMEOUT"),
            ("wait", "STORAGE_REACTOR_HELPER_WAIT"),
            ("journal", "STORAGE_REACTOR_JOURNAL"),
        ];
        for (key, name) in named {
            if let Some(value) = variable(name)
                && let Err(why) = options.set(key, &value.to_string_lossy())
            {
                options.findings.push(format!("variable {name}: {why}"));
            }
        }
        options
    }

    /// The program to fall back to.
    pub(crate) fn drbdadm(&self) -> Option<PathBuf> {
        match &self.drbdadm {
            Some(path) => Some(path.clone()),
            None => DRBDADM.iter().map(PathBuf::from).find(|path| path.exists()),
        }
    }

    fn take_text(&mut self, file: &Path, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let result = match line.split_once('=') {
                Some((key, value)) => self.set(key.trim(), value.trim().trim_matches('"')),
                None => Err("no name = value".to_owned()),
            };
            if let Err(why) = result {
                self.findings.push(format!("{}:{}: {why}", file.display(), number + 1));
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let path = || match Path::new(value) {
            path if path.is_absolute() && !value.contains('\0') => Ok(path.to_path_buf()),
            _ => Err(format!("{key} must be an absolute path, not {value:?}")),
        };
        match key {
            "socket" => self.socket = path()?,
            "drbdadm" => self.drbdadm = Some(path()?),
            "journal" => self.journal = path()?,
            "timeout" => self.timeout = seconds(key, value, 1)?,
            "wait" => self.wait = seconds(key, value, 0)?,
            _ => return Err(format!("{key:?} is none of socket, drbdadm, timeout, wait, journal")),
        }
        Ok(())
    }
}

/// `5`, `5s`, `5 s`.
fn seconds(key: &str, value: &str, min: u64) -> Result<Duration, String> {
    match value.strip_suffix('s').unwrap_or(value).trim_end().parse() {
        Ok(seconds) if (min..=MAX_TIMEOUT_S).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("{key} must be {min} to {MAX_TIMEOUT_S} seconds, not {value:?}")),
    }
}

/// The file that applies if nobody names one; `None` if there is none.
fn default_file() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join(BESIDE));
    beside.into_iter().chain([PathBuf::from(FILE)]).find(|file| file.exists())
}

/// Reads a file that only root or we ourselves can have written: it says which program root runs.
fn read_file(path: &Path) -> Result<String, String> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let open = OpenOptions::new().read(true).custom_flags(i32::try_from(flags).unwrap_or(0)).open(path);
    let mut file: File = open.map_err(|error| error.to_string())?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if let Some(distrust) = reactor_trust::judge(&file, own).map_err(|error| error.to_string())? {
        return Err(format!("it {distrust}: {}", distrust.hint(path)));
    }
    let mut text = String::new();
    file.by_ref().take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &str) -> Options {
        let mut options = Options::read(|name| (name == "STORAGE_REACTOR_HELPER_CONF").then(|| "/dev/null".into()));
        options.findings.clear();
        options.take_text(Path::new("x.conf"), text);
        options
    }

    #[test]
    fn a_file_sets_what_it_names() {
        let text = "# comment\n\nsocket = /run/x.sock\ndrbdadm=\"/opt/drbdadm\"\n timeout = 5 s\n";
        let options = from_text(text);
        assert_eq!(options.findings, Vec::<String>::new());
        assert_eq!(options.socket, Path::new("/run/x.sock"));
        assert_eq!(options.drbdadm(), Some("/opt/drbdadm".into()));
        assert_eq!(options.timeout, Duration::from_secs(5));
    }

    #[test]
    fn what_is_wrong_is_named_and_costs_only_itself() {
        let options = from_text("socket = run/x.sock\ntimeout = 0\nsokcet = /x\nnonsense\ntimeout = 7\n");
        assert_eq!(
            options.findings,
            [
                "x.conf:1: socket must be an absolute path, not \"run/x.sock\"",
                "x.conf:2: timeout must be 1 to 86400 seconds, not \"0\"",
                "x.conf:3: \"sokcet\" is none of socket, drbdadm, timeout, wait, journal",
                "x.conf:4: no name = value",
            ]
        );
        assert_eq!(options.socket, Path::new(SOCKET));
        assert_eq!(options.timeout, Duration::from_secs(7));
    }

    #[test]
    fn the_environment_wins_and_a_file_that_is_none_is_reported() {
        let options = Options::read(|name| match name {
            "STORAGE_REACTOR_HELPER_CONF" => Some("/dev/null".into()),
            "STORAGE_REACTOR_SOCKET" => Some("/run/env.sock".into()),
            "STORAGE_REACTOR_HELPER_TIMEOUT" => Some("later".into()),
            _ => None,
        });
        assert_eq!(options.socket, Path::new("/run/env.sock"));
        assert_eq!(options.timeout, TIMEOUT);
        assert_eq!(
            options.findings,
            [
                "/dev/null is not used: it is no regular file",
                "variable STORAGE_REACTOR_HELPER_TIMEOUT: timeout must be 1 to 86400 seconds, not \"later\"",
            ]
        );
    }
}
