//! Names and groups of users.
//!
//! First the files, then the name services (LDAP and the like) through `getent` and `id`. Those are asked by programs with a deadline and not by
//! the C library in this process: a directory that hangs then costs a child, which is killed, and never a thread of ours.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::drbd::command::{self, CommandError, Output};
use crate::thread;

/// How long the files or one program may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// Longest file that is read. What is in the rest the name services know.
const MAX_FILE: u64 = 16 << 20;
/// What a program may print: a group has many members.
const MAX_OUTPUT: usize = 4 << 20;
/// Readers of a file at once.
const READERS: usize = 4;
/// Longest name that is believed.
const MAX_NAME: usize = 256;

/// Why something about a user or a group can't be found out.
#[derive(Debug, Error)]
pub enum PeopleError {
    /// A program could not be run to its end.
    #[error("the name services do not answer")]
    Program(#[from] CommandError),
    /// It could be, and failed.
    #[error("{} failed ({status}) {complaint}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        complaint: String,
    },
}

/// A group with members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// Whom to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct People {
    /// The users of this machine.
    pub passwd: PathBuf,
    /// The groups of this machine.
    pub group: PathBuf,
    /// The program that asks the name services for one user or group.
    pub getent: PathBuf,
    /// The program that asks them for all groups of a user.
    pub id: PathBuf,
}

impl Default for People {
    fn default() -> Self {
        Self {
            passwd: PathBuf::from("/etc/passwd"),
            group: PathBuf::from("/etc/group"),
            getent: PathBuf::from("/usr/bin/getent"),
            id: PathBuf::from("/usr/bin/id"),
        }
    }
}

impl People {
    /// The number of a group; `None` = there is no such group.
    pub async fn group(&self, name: &str) -> Result<Option<u32>, PeopleError> {
        let number = |text: &str| text.lines().find_map(|line| line_of(line, name)?.split(':').nth(1)?.parse().ok());
        if let Some(gid) = number(&text_of(&self.group).await) {
            return Ok(Some(gid));
        }
        Ok(self.entry("group", name).await?.and_then(|text| number(&text)))
    }

    /// The name of a user; `None` = it has none.
    pub async fn user(&self, uid: u32) -> Result<Option<String>, PeopleError> {
        let wanted = uid.to_string();
        let name = |text: &str| {
            let mut names = text.lines().filter(|line| line.split(':').nth(2) == Some(&wanted));
            names.find_map(|line| line.split(':').next()).filter(|name| is_plain(name)).map(str::to_owned)
        };
        if let Some(name) = name(&text_of(&self.passwd).await) {
            return Ok(Some(name));
        }
        Ok(self.entry("passwd", &wanted).await?.and_then(|text| name(&text)))
    }

    /// Whether a user is a member of a group.
    pub async fn is_member(&self, user: &str, group: &Group) -> Result<bool, PeopleError> {
        let gid = group.gid.to_string();
        let users = text_of(&self.passwd).await;
        if users.lines().any(|line| line_of(line, user).is_some_and(|rest| rest.split(':').nth(2) == Some(&gid))) {
            return Ok(true);
        }
        let groups = text_of(&self.group).await;
        let has = |line: &str| line.rsplit(':').next().is_some_and(|members| members.split(',').any(|one| one == user));
        if groups.lines().any(|line| line.split(':').nth(2) == Some(&gid) && has(line)) {
            return Ok(true);
        }
        let output = run(&self.id, &["-G", "--", user]).await?;
        match output.status.code() {
            Some(0) => Ok(output.stdout.split_whitespace().any(|one| one == gid)),
            _ => Err(failed(&self.id, &output)),
        }
    }

    async fn entry(&self, database: &str, key: &str) -> Result<Option<String>, PeopleError> {
        let output = run(&self.getent, &[database, key]).await?;
        match output.status.code() {
            Some(0) => Ok(Some(output.stdout)),
            // No such entry.
            Some(2) => Ok(None),
            _ => Err(failed(&self.getent, &output)),
        }
    }
}

/// What follows the name in its line.
fn line_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.strip_prefix(name)?.strip_prefix(':')
}

/// A name goes into the log and into files that people read.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('-')
        && !name.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// A file; empty if it can't be read, or not in time: then the name services have it, or nobody.
async fn text_of(path: &Path) -> String {
    let file = path.to_path_buf();
    let read = move || {
        let mut bytes = Vec::new();
        let _ = std::fs::File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    thread::run(path, READERS, DEADLINE, read).await.unwrap_or_default()
}

async fn run(program: &Path, args: &[&str]) -> Result<Output, PeopleError> {
    Ok(command::run(program, args, DEADLINE, MAX_OUTPUT).await?)
}

fn failed(program: &Path, output: &Output) -> PeopleError {
    let complaint = output.stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    PeopleError::Failed {
        program: program.to_path_buf(),
        status: output.status,
        complaint: complaint.trim().chars().take(200).collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A machine with two users of its own and a directory of others.
    pub(crate) struct Machine(PathBuf, pub(crate) People);

    impl Machine {
        pub(crate) fn new(name: &str, getent: &str, id: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("storage-reactor-people-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            let file = |name: &str, text: &str, mode: u32| {
                let path = folder.join(name);
                fs::write(&path, text).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                path
            };
            let people = People {
                passwd: file(
                    "passwd",
                    "root:x:0:0::/:/bin/sh\nbroken\nanna:x:1000:1000::/:/bin/sh\nbert:x:1001:50::/:/bin/sh\nod\td:x:7:7::/:/\n",
                    0o644,
                ),
                group: file(
                    "group",
                    "root:x:0:\noperators-2:x:51:anna\noperators:x:50:annabel,anna\nodd:x:many:\n",
                    0o644,
                ),
                getent: file("getent", &format!("#!/bin/sh\n{getent}\n"), 0o755),
                id: file("id", &format!("#!/bin/sh\n{id}\n"), 0o755),
            };
            Self(folder, people)
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn group(name: &str, gid: u32) -> Group {
        Group { name: name.to_owned(), gid }
    }

    #[tokio::test]
    async fn the_files_of_the_machine_are_enough_for_who_is_in_them() {
        let machine = Machine::new("files", "exit 1", "exit 1");
        let people = &machine.1;
        assert_eq!(people.group("operators").await.unwrap(), Some(50));
        assert_eq!(people.user(1000).await.unwrap().as_deref(), Some("anna"));
        assert_eq!(people.user(0).await.unwrap().as_deref(), Some("root"));
        // As a member, and as one's own group.
        for user in ["anna", "bert"] {
            assert!(people.is_member(user, &group("operators", 50)).await.unwrap(), "{user}");
        }
        // No name that may not be in a log, and what a broken directory says is an error, not a no.
        assert!(people.user(7).await.is_err());
        assert!(people.group("others").await.is_err());
        assert!(people.is_member("ann", &group("operators", 50)).await.is_err());
    }

    #[tokio::test]
    async fn the_directory_knows_the_others() {
        let machine = Machine::new(
            "directory",
            "case \"$1 $2\" in
                'group far') echo 'far:*:7000:cleo';; 'passwd 7001') echo 'cleo:*:7001:7001::/:/bin/sh';; *) exit 2;; esac",
            "test \"$*\" = '-G -- cleo' && echo 7001 7000 || exit 1",
        );
        let people = &machine.1;
        assert_eq!(people.group("far").await.unwrap(), Some(7000));
        assert_eq!(people.group("nowhere").await.unwrap(), None);
        assert_eq!(people.user(7001).await.unwrap().as_deref(), Some("cleo"));
        assert_eq!(people.user(7002).await.unwrap(), None);
        assert!(people.is_member("cleo", &group("far", 7000)).await.unwrap());
        assert!(!people.is_member("cleo", &group("operators", 50)).await.unwrap());
    }

    /// This machine's own programs speak as they are read here.
    #[tokio::test]
    async fn the_real_programs_are_understood() {
        let people = People { passwd: PathBuf::from("/none"), group: PathBuf::from("/none"), ..People::default() };
        assert_eq!(people.group("root").await.unwrap(), Some(0));
        assert_eq!(people.group("no-such-group-at-all").await.unwrap(), None);
        assert_eq!(people.user(0).await.unwrap().as_deref(), Some("root"));
        assert!(people.is_member("root", &group("root", 0)).await.unwrap());
        assert!(!people.is_member("root", &group("nobody", 4_000_000_000)).await.unwrap());
    }
}
