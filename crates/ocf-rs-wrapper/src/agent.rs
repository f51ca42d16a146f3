//! The agent's file: which one, and whether root may run it.
//!
//! Who can write the agent, or one of the folders on the way to it, becomes root by it. So a file that anybody else could have written is
//! refused, with the path that is at fault.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::code::Code;

/// Where agents are if nobody says otherwise.
pub(crate) const OCF_ROOT: &str = "/usr/lib/ocf";

/// A program that may be run.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its file.
    pub(crate) path: PathBuf,
    /// Its name: that of the file.
    pub(crate) kind: String,
    /// Its provider: the name of the folder.
    pub(crate) provider: String,
}

/// Why an agent cannot be run.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    /// The variable is not set.
    #[error(
        "the environment variable AGENT is not set: it must be the path of the agent, like {OCF_ROOT}/resource.d/heartbeat/IPaddr2; \
         storage-reactor writes it into the unit's reactor.conf"
    )]
    NoVariable,
    /// A relative path.
    #[error("AGENT={path}: it must be an absolute path, like {OCF_ROOT}/resource.d/heartbeat/IPaddr2")]
    Relative {
        /// As it is set.
        path: PathBuf,
    },
    /// It cannot be looked at.
    #[error(
        "agent {path}: there is no such file; install the package that has it, often resource-agents, or correct vendor and name of the agent in `start`"
    )]
    Missing {
        /// Of the agent.
        path: PathBuf,
    },
    /// It cannot be looked at.
    #[error("can't look at {path} on the way to the agent")]
    Unreadable {
        /// The agent or a folder on the way to it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder or something else.
    #[error("agent {path}: it is no regular file; `start` needs the name of an agent, as in ocf:heartbeat:IPaddr2")]
    NoFile {
        /// Of the agent.
        path: PathBuf,
    },
    /// The x bit is missing.
    #[error("agent {path}: it is not executable (mode {mode:04o}); chmod 0755 makes it so")]
    NotExecutable {
        /// Of the agent.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "agent refused, because {path} belongs to uid {uid}, who could put anything there; chown root makes it safe"
    )]
    Owner {
        /// What belongs to them.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Somebody else may write it.
    #[error(
        "agent refused, because others than the owner may write {path} (mode {mode:04o}); chmod go-w makes it safe"
    )]
    Writable {
        /// What they may write.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

impl AgentError {
    /// What the wrapper exits with.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::NoVariable | Self::Relative { .. } => Code::Configured,
            Self::Missing { .. } | Self::Unreadable { .. } | Self::NoFile { .. } | Self::NotExecutable { .. } => {
                Code::Installed
            }
            Self::Owner { .. } | Self::Writable { .. } => Code::Permission,
        }
    }
}

impl Agent {
    /// Looks at what `AGENT` names.
    pub(crate) fn new(variable: Option<PathBuf>) -> Result<Self, AgentError> {
        let path = variable.filter(|path| !path.as_os_str().is_empty()).ok_or(AgentError::NoVariable)?;
        if !path.is_absolute() {
            return Err(AgentError::Relative { path });
        }
        let real = fs::canonicalize(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => AgentError::Missing { path: path.clone() },
            _ => AgentError::Unreadable { path: path.clone(), source },
        })?;
        let meta = look(&real)?;
        if !meta.is_file() {
            return Err(AgentError::NoFile { path });
        }
        let mode = meta.mode() & 0o7777;
        if mode & 0o111 == 0 {
            return Err(AgentError::NotExecutable { path, mode });
        }
        trust(&real, &meta, 0o022)?;
        // A link to it, and the folders of the link, decide as well what is run.
        for (folder, above) in folders(&path).chain(folders(&real)) {
            let meta = look(folder)?;
            let sticky = meta.mode() & 0o1000 != 0;
            let forbidden = if sticky {
                0
            } else if above == 0 {
                0o022
            } else {
                0o002
            };
            trust(folder, &meta, forbidden)?;
        }
        let last = |path: Option<&Path>| {
            path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        Ok(Self { kind: last(Some(&path)), provider: last(path.parent()), path })
    }
}

/// The folders above a file, with their distance from it.
fn folders(path: &Path) -> impl Iterator<Item = (&Path, usize)> {
    path.ancestors().skip(1).zip(0..)
}

fn look(path: &Path) -> Result<Metadata, AgentError> {
    fs::metadata(path).map_err(|source| AgentError::Unreadable { path: path.to_owned(), source })
}

/// It must belong to root or to us, and nobody of `forbidden` (mode bits) may write it.
fn trust(path: &Path, meta: &Metadata, forbidden: u32) -> Result<(), AgentError> {
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != own {
        return Err(AgentError::Owner { path: path.to_owned(), uid: meta.uid() });
    }
    let mode = meta.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(AgentError::Writable { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ocf-agent-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("vendor")).unwrap();
            mode(&path, 0o755);
            mode(&path.join("vendor"), 0o755);
            fs::write(path.join("vendor/Agent"), "#!/bin/sh\n").unwrap();
            mode(&path.join("vendor/Agent"), 0o755);
            Self(path)
        }

        fn check(&self, file: &str) -> Result<Agent, String> {
            Agent::new(Some(self.0.join(file))).map_err(|error| {
                let shown = error.to_string().replace(&*self.0.to_string_lossy(), "DIR");
                format!("{}: {shown}", error.code().number())
            })
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_good_agent_and_its_names() {
        let folder = Folder::new("good");
        let agent = folder.check("vendor/Agent").unwrap();
        assert_eq!((agent.kind.as_str(), agent.provider.as_str()), ("Agent", "vendor"));
        symlink("Agent", folder.0.join("vendor/Other")).unwrap();
        assert_eq!(folder.check("vendor/Other").unwrap().kind, "Other");
    }

    #[test]
    fn what_is_no_agent_is_refused_with_what_to_do() {
        let folder = Folder::new("bad");
        assert!(
            folder.check("vendor/Missing").unwrap_err().starts_with("5: agent DIR/vendor/Missing: there is no such")
        );
        assert!(folder.check("vendor").unwrap_err().starts_with("5: agent DIR/vendor: it is no regular file"));
        assert!(matches!(Agent::new(None), Err(AgentError::NoVariable)));
        assert!(matches!(Agent::new(Some("".into())), Err(AgentError::NoVariable)));
        assert!(matches!(Agent::new(Some("a/b".into())), Err(AgentError::Relative { .. })));
        mode(&folder.0.join("vendor/Agent"), 0o644);
        let said = folder.check("vendor/Agent").unwrap_err();
        assert_eq!(said, "5: agent DIR/vendor/Agent: it is not executable (mode 0644); chmod 0755 makes it so");
    }

    #[test]
    fn what_others_may_write_is_refused() {
        let folder = Folder::new("others");
        let refused = |at: &str, mode: &str| {
            format!(
                "4: agent refused, because others than the owner may write DIR{at} (mode {mode}); chmod go-w makes it safe"
            )
        };
        mode(&folder.0.join("vendor/Agent"), 0o775);
        assert_eq!(folder.check("vendor/Agent").unwrap_err(), refused("/vendor/Agent", "0775"));
        mode(&folder.0.join("vendor/Agent"), 0o755);
        mode(&folder.0.join("vendor"), 0o775);
        assert_eq!(folder.check("vendor/Agent").unwrap_err(), refused("/vendor", "0775"));
        mode(&folder.0.join("vendor"), 0o755);
        mode(&folder.0, 0o777);
        assert_eq!(folder.check("vendor/Agent").unwrap_err(), refused("", "0777"));
        // Nobody can rename what belongs to another there.
        mode(&folder.0, 0o1777);
        assert!(folder.check("vendor/Agent").is_ok());
        // A link from such a folder: its owner counts, and here that is us.
        symlink("vendor/Agent", folder.0.join("Link")).unwrap();
        assert!(folder.check("Link").is_ok());
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        let folder = Folder::new("owner");
        if std::os::unix::fs::chown(folder.0.join("vendor"), Some(65534), None).is_err() {
            println!("SKIPPED: an agent of another user (not root)");
            return;
        }
        let said = folder.check("vendor/Agent").unwrap_err();
        assert!(said.starts_with("4: agent refused, because DIR/vendor belongs to uid 65534"), "{said}");
    }
}
