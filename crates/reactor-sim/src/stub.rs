//! What the look-alike `drbdsetup` is told, and what it and the program that drives it say to each other.
//!
//! Settings come from `stub.conf` beside the program (as it was called: usually a symbolic link in a temporary folder) and from the
//! environment, which wins: `events = 1000` is `REACTOR_STUB_EVENTS=1000`.
//!
//! With `control` it connects to that Unix socket after its dump and is driven by lines: see [`Command`]. Each is answered by a [`Done`].

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::workload::Shape;

/// Its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StubSettings {
    /// `resources`, `volumes`, `peers`.
    pub shape: Shape,
    /// `seed` of the workload.
    pub seed: u64,
    /// `events`: how many to print after the dump, without being asked.
    pub events: u64,
    /// `rate`: events per second; 0 = as fast as they are read.
    pub rate: u64,
    /// `control`: the socket of the program that drives it.
    pub control: Option<PathBuf>,
    /// `kernel`: version of the DRBD module that `drbdadm --version` reports, for example `9.3.3`.
    pub kernel: Version,
    /// `utils`: version of drbd-utils.
    pub utils: Version,
}

impl Default for StubSettings {
    fn default() -> Self {
        Self {
            shape: Shape { resources: 1, volumes: 1, peers: 2 },
            seed: 1,
            events: 0,
            rate: 0,
            control: None,
            kernel: Version(9, 3, 3),
            utils: Version(9, 34, 0),
        }
    }
}

impl StubSettings {
    /// `stub.conf` in `folder`, if there is one, then the environment.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut settings = Self::default();
        let file = folder.join("stub.conf");
        if let Ok(text) = std::fs::read_to_string(&file) {
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let (key, value) =
                    line.split_once('=').with_context(|| format!("{}: no `=` in {line}", file.display()))?;
                settings.set(key.trim(), value.trim())?;
            }
        }
        for (key, value) in std::env::vars() {
            if let Some(key) = key.strip_prefix("REACTOR_STUB_") {
                settings.set(&key.to_lowercase(), &value)?;
            }
        }
        Ok(settings)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let number = || value.parse::<u64>().with_context(|| format!("{key}: {value} is no number"));
        let small = || value.parse::<u32>().with_context(|| format!("{key}: {value} is no number"));
        match key {
            "resources" => self.shape.resources = small()?,
            "volumes" => self.shape.volumes = small()?,
            "peers" => self.shape.peers = small()?,
            "seed" => self.seed = number()?,
            "events" => self.events = number()?,
            "rate" => self.rate = number()?,
            "control" => self.control = Some(PathBuf::from(value)),
            "kernel" => self.kernel = value.parse()?,
            "utils" => self.utils = value.parse()?,
            _ => bail!("stub-drbdsetup has no setting {key}"),
        }
        Ok(())
    }
}

/// A version of DRBD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u8, pub u8, pub u8);

impl Version {
    /// As `drbdadm --version` prints it for programs: `0x090303`.
    pub fn code(self) -> String {
        format!("{:#08x}", u32::from(self.0) << 16 | u32::from(self.1) << 8 | u32::from(self.2))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<u8> = text.split('.').map(str::parse).collect::<Result<_, _>>().context("not a version")?;
        let [major, minor, patch] = parts[..] else { bail!("{text} is no version: three numbers are needed") };
        Ok(Self(major, minor, patch))
    }
}

/// What it can be asked to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `run N`: so many events as fast as they are read.
    Run(u64),
    /// `rate R N`: so many events, R each second.
    Rate(u64, u64),
    /// `poll`: new numbers of every object, in one write.
    Poll,
    /// `role INDEX WORD`: a resource becomes Primary or Secondary. No other event touches the role of the last resource.
    Role(u32, bool),
    /// `may FIRST COUNT WORD`: so many resources may be promoted or may not, in one burst, which is one write.
    May(u32, u32, bool),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(events) => write!(f, "run {events}"),
            Self::Rate(rate, events) => write!(f, "rate {rate} {events}"),
            Self::Poll => f.write_str("poll"),
            Self::Role(index, true) => write!(f, "role {index} Primary"),
            Self::Role(index, false) => write!(f, "role {index} Secondary"),
            Self::May(first, count, may) => write!(f, "may {first} {count} {}", if *may { "yes" } else { "no" }),
        }
    }
}

impl FromStr for Command {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["run", events] => Self::Run(events.parse()?),
            ["rate", rate, events] => Self::Rate(rate.parse()?, events.parse()?),
            ["poll"] => Self::Poll,
            ["role", index, role] => Self::Role(index.parse()?, role == "Primary"),
            ["may", first, count, word] => Self::May(first.parse()?, count.parse()?, word == "yes"),
            _ => bail!("stub-drbdsetup does not know {text:?}"),
        })
    }
}

/// A command was carried out, or (the first one) the dump was printed, and the pipe is empty: all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Lines printed since the start, the dump included.
    pub lines: u64,
    /// `CLOCK_MONOTONIC` just before the (first) write, in nanoseconds.
    pub written_ns: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "done {} {}", self.lines, self.written_ns)
    }
}

impl FromStr for Done {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["done", lines, written] = words[..] else { bail!("stub-drbdsetup answers {text:?}") };
        Ok(Self { lines: lines.parse()?, written_ns: written.parse()? })
    }
}

/// The driver's side of the connection.
#[derive(Debug)]
pub struct Driver(BufReader<UnixStream>);

impl Driver {
    /// Takes the connection that the look-alike made.
    pub fn new(stream: UnixStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// Waits for the answer to a command, or for the end of the dump.
    pub fn wait(&mut self) -> Result<Done> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            bail!("stub-drbdsetup ended: did the daemon end?");
        }
        line.trim().parse()
    }

    /// Asks for something, and does not wait for it.
    pub fn ask(&mut self, command: Command) -> Result<()> {
        writeln!(self.0.get_mut(), "{command}").context("stub-drbdsetup ended: did the daemon end?")
    }

    /// Asks for something and waits until it is printed.
    pub fn tell(&mut self, command: Command) -> Result<Done> {
        self.ask(command)?;
        self.wait()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let role = [Command::Role(3, true), Command::Role(3, false)];
        let may = [Command::May(0, 10, true), Command::May(4, 1, false)];
        for command in [Command::Run(5), Command::Rate(20_000, 7), Command::Poll].into_iter().chain(role).chain(may) {
            assert_eq!(command.to_string().parse::<Command>().unwrap(), command);
        }
        let done = Done { lines: 12, written_ns: 345 };
        assert_eq!(done.to_string().parse::<Done>().unwrap(), done);
        assert!("jump".parse::<Command>().is_err());
    }

    #[test]
    fn versions_look_as_drbdadm_prints_them() {
        assert_eq!("9.34.0".parse::<Version>().unwrap().code(), "0x092200");
        assert_eq!(Version(8, 4, 11).code(), "0x08040b");
    }
}
