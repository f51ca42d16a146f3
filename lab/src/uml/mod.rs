//! Nodes as User-Mode Linux: a kernel that is an ordinary process, without rights, without /dev/kvm.
//!
//! A node's root file system is the image, read-only and shared, under a copy-on-write file of its own. Interfaces are
//! sockets to the switch, serial lines are sockets to the lab. The kernel's monitor (mconsole) is a datagram socket.

mod mconsole;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::backend::{AGENT, Backend, BackendError, NodeSpec, POWER, Request, SHELL, make_disks, net_fd};
use crate::image::UmlStart;
use crate::keeper::{Launch, MARK};
use crate::switch::mac;

/// The User-Mode Linux of this machine and the image its nodes run.
#[derive(Debug, Clone)]
pub struct Uml {
    /// The kernel: Debian's /usr/bin/linux.uml.
    pub kernel: PathBuf,
    /// What it needs to start.
    pub start: UmlStart,
    /// The folder with the kernel's modules, mounted in the nodes.
    pub modules: PathBuf,
    /// The image of the root file system. It must not change while a copy-on-write file refers to it.
    pub base: PathBuf,
    /// The cluster's run folder, by which its processes are known.
    pub run: PathBuf,
    /// The size of a data disk that has to be made, in MiB. The file is sparse.
    pub disk_mib: u64,
}

impl Uml {
    fn umid_dir(&self) -> PathBuf {
        self.run.join("umid")
    }

    /// Where the kernel keeps its pid and its monitor's socket. It empties the folder when it starts.
    fn monitor(&self, node: &NodeSpec) -> PathBuf {
        self.umid_dir().join(&node.name).join("mconsole")
    }
}

/// The kernel's letter of a data disk, counted from 1: the root file system is `a`.
fn letter(disk: u8) -> char {
    char::from(b'a' + disk.min(7))
}

impl Backend for Uml {
    fn prepare(&self, node: &NodeSpec) -> Result<(), BackendError> {
        for path in [&node.dir, &node.share, &self.umid_dir()] {
            fs::create_dir_all(path).map_err(|source| BackendError::Prepare { path: path.clone(), source })?;
        }
        make_disks(node, self.disk_mib)
    }

    fn launch(&self, node: &NodeSpec) -> Launch {
        let shown = |path: &Path| path.display().to_string();
        let mut args = vec![
            format!("umid={}", node.name),
            // The kernel appends to this without a slash of its own.
            format!("uml_dir={}/", shown(&self.umid_dir())),
            format!("mem={}M", node.memory_mib),
            format!("ubda={},{}", shown(&node.dir.join("root.cow")), shown(&self.base)),
            "root=/dev/ubda".to_owned(),
            "rw".to_owned(),
            "quiet".to_owned(),
            "pty.legacy_count=0".to_owned(),
            "con=null".to_owned(),
            "ssl=null".to_owned(),
            "con0=null,fd:{console}".to_owned(),
            format!("ssl0=fd:{{{AGENT}}}"),
            format!("ssl1=fd:{{{SHELL}}}"),
            format!("ssl2=fd:{{{POWER}}}"),
            format!("lab.name={}", node.name),
            format!("lab.mod={}", shown(&self.modules)),
            format!("lab.share={}", shown(&node.share)),
            format!("systemd.machine_id={}", node.machine_id),
        ];
        for (index, disk) in node.disks.iter().enumerate() {
            args.push(format!("ubd{}={}", letter(u8::try_from(index + 1).unwrap_or(u8::MAX)), shown(disk)));
        }
        for net in &node.nets {
            let fd = net_fd(*net);
            args.push(format!("vec{}:transport=fd,fd={{{fd}}},mac={},depth=128", net.0, mac(*net, node.port)));
            args.push(format!("lab.net{}={}/24", net.0, node.address(*net)));
        }
        args.extend(self.start.words.iter().chain(&node.words).cloned());
        let env = [
            // The nodes' memory is a file there; on a disk everything would be written back.
            ("TMPDIR", "/dev/shm".to_owned()),
            ("HOME", "/nonexistent".to_owned()),
            ("PATH", "/usr/bin:/bin".to_owned()),
            (MARK, shown(&self.run)),
        ];
        let env: BTreeMap<String, String> = env.map(|(name, value)| (name.to_owned(), value)).into();
        let library = self.start.library.clone();
        let program = self.kernel.clone();
        Launch { program, library, args, env, console: node.console(), fds: Vec::new(), panic: None }
    }

    fn ask(&self, node: &NodeSpec, request: &Request) -> Result<(), BackendError> {
        let command = match request {
            Request::PowerButton => "cad".to_owned(),
            Request::Crash => "sysrq c".to_owned(),
            Request::RemoveDisk(disk) => format!("remove ubd{}", letter(*disk)),
            Request::AddDisk(disk) => {
                let file = disk.checked_sub(1).and_then(|index| node.disks.get(usize::from(index)));
                let Some(file) = file else {
                    let answer = format!("it has {} data disks", node.disks.len());
                    return Err(BackendError::Refused { node: node.name.clone(), request: request.clone(), answer });
                };
                format!("config ubd{}={}", letter(*disk), file.display())
            }
        };
        let reply_to = node.dir.join("monitor");
        let answer = mconsole::ask(&self.monitor(node), &reply_to, &command)
            .map_err(|source| BackendError::Silent { node: node.name.clone(), request: request.clone(), source })?;
        if answer.refused {
            let answer = answer.text.trim_end().to_owned();
            return Err(BackendError::Refused { node: node.name.clone(), request: request.clone(), answer });
        }
        Ok(())
    }

    fn disk_device(&self, disk: u8) -> String {
        format!("/dev/ubd{}", letter(disk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(dir: &Path) -> (Uml, NodeSpec) {
        let uml = Uml {
            kernel: "/usr/bin/linux.uml".into(),
            start: UmlStart { library: None, words: vec!["seccomp=on".into()] },
            modules: "/usr/lib/uml/modules".into(),
            base: "/cache/base.img".into(),
            run: dir.into(),
            disk_mib: 64,
        };
        (uml, NodeSpec::second(dir, "lab.extra=1"))
    }

    #[test]
    fn the_command_line_has_every_disk_net_and_line() {
        let (uml, spec) = node(Path::new("/run/lab"));
        let args = uml.launch(&spec).args;
        for expected in [
            "ubda=/run/lab/n2/root.cow,/cache/base.img",
            "ubdb=/run/lab/n2/disk1",
            "ubdc=/run/lab/n2/disk2",
            "vec0:transport=fd,fd={net0},mac=02:00:00:00:00:02,depth=128",
            "vec1:transport=fd,fd={net1},mac=02:00:00:00:01:02,depth=128",
            "lab.net0=10.77.0.2/24",
            "lab.net1=10.78.0.2/24",
            "ssl0=fd:{agent}",
            "lab.extra=1",
            "seccomp=on",
        ] {
            assert!(args.iter().any(|arg| arg == expected), "{expected} is not in {args:#?}");
        }
    }

    #[test]
    fn disks_are_made_once_and_keep_their_content() {
        let dir = std::env::temp_dir().join(format!("lab-uml-{}", std::process::id()));
        let (uml, spec) = node(&dir);
        uml.prepare(&spec).unwrap();
        assert_eq!(fs::metadata(&spec.disks[1]).unwrap().len(), 64 << 20);
        fs::write(&spec.disks[0], b"data").unwrap();
        uml.prepare(&spec).unwrap();
        assert_eq!(fs::read(&spec.disks[0]).unwrap(), b"data");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_disk_that_is_not_there_is_refused_without_asking_the_kernel() {
        let (uml, spec) = node(Path::new("/nonexistent"));
        let error = uml.ask(&spec, &Request::AddDisk(3)).unwrap_err();
        assert_eq!(error.to_string(), "cannot add disk 3 on n2: it has 2 data disks");
        assert!(matches!(uml.ask(&spec, &Request::PowerButton), Err(BackendError::Silent { .. })));
    }
}
