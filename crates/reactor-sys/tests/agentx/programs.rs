//! net-snmp's programs, with a configuration of their own on the loopback.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use crate::{DEADLINE, until};

/// A folder that goes with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("agentx-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program of Debian's packages snmpd, snmp, snmptrapd or smitools; `cargo xtask ci` fetches them.
pub(crate) fn program(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/usr");
    let found =
        folders.chain([tools.join("sbin"), tools.join("bin")]).map(|folder| folder.join(name)).find(|p| p.is_file());
    let found = found.unwrap_or_else(|| {
        panic!("{name} is needed: install Debian's packages snmpd, snmp, snmptrapd and smitools, or run `make test`, which fetches them")
    });
    let mut command = Command::new(&found);
    // It may be found by `PATH`, which names the folder in another way. Without its libraries it would not even start.
    if let (Ok(tools), Ok(found)) = (tools.canonicalize(), found.canonicalize())
        && found.starts_with(&tools)
    {
        let libraries = fs::read_dir(tools.join("lib")).into_iter().flatten().flatten().map(|entry| entry.path());
        command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries.chain([tools.join("lib")])).unwrap());
    }
    // Names are of no interest, and Debian's packages have no MIB files.
    command.env("MIBS", "").stdin(Stdio::null());
    command
}

pub(crate) fn free_tcp() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn free_udp() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A master agent.
pub(crate) struct Snmpd {
    folder: Folder,
    child: Option<Child>,
    port: u16,
    /// As `address` of `[[agentx]]`.
    pub(crate) master: String,
}

impl Snmpd {
    /// One that is not started yet, and listens for subagents by TCP.
    pub(crate) fn by_tcp(name: &str) -> Self {
        let port = free_tcp();
        Self::new(name, &format!("tcp:127.0.0.1:{port}"), format!("localhost:{port}"), "")
    }

    /// The same by a unix socket.
    pub(crate) fn by_socket(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("agentx-{name}-{}.socket", std::process::id()));
        let path = path.display();
        Self::new(name, &path.to_string(), format!("unix:{path}"), "")
    }

    /// The same by TCP, with more configuration.
    pub(crate) fn with(name: &str, more: &str) -> Self {
        let port = free_tcp();
        Self::new(name, &format!("tcp:127.0.0.1:{port}"), format!("127.0.0.1:{port}"), more)
    }

    fn new(name: &str, socket: &str, master: String, more: &str) -> Self {
        let (folder, port) = (Folder::new(name), free_udp());
        let text = format!(
            "agentAddress udp:127.0.0.1:{port}\nrocommunity public 127.0.0.1\nrwcommunity private 127.0.0.1\n\
             master agentx\nagentXSocket {socket}\nagentXTimeout 30\n{more}\n"
        );
        fs::write(folder.path().join("snmpd.conf"), text).unwrap();
        Self { folder, child: None, port, master }
    }

    pub(crate) fn start(&mut self) {
        let folder = self.folder.path();
        let log = fs::File::create(folder.join("log")).unwrap();
        let child = program("snmpd")
            .args(["-f", "-Lo", "-C", "-c"])
            .arg(folder.join("snmpd.conf"))
            .arg("-p")
            .arg(folder.join("pid"))
            .env("SNMP_PERSISTENT_DIR", folder.join("persistent"))
            .env("SNMPCONFPATH", folder)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("an answer of snmpd", || {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("snmpd ended with {status}: {}", fs::read_to_string(self.folder.path().join("log")).unwrap());
            }
            self.ask("snmpget", &["-t", "1", "1.3.6.1.2.1.1.3.0"]).contains("1.3.6.1.2.1.1.3.0").then_some(())
        });
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// What a manager is told, errors too.
    pub(crate) fn ask(&self, name: &str, arguments: &[&str]) -> String {
        self.ask_as("public", name, arguments)
    }

    pub(crate) fn ask_as(&self, community: &str, name: &str, arguments: &[&str]) -> String {
        let output = program(name)
            .args(["-v2c", "-c", community, "-On", "-t", "20", "-r", "0", &format!("127.0.0.1:{}", self.port)])
            .args(arguments)
            .env("SNMP_PERSISTENT_DIR", self.folder.path().join("persistent"))
            .env("SNMPCONFPATH", self.folder.path())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        self.stop();
        if let Some(path) = self.master.strip_prefix("unix:") {
            let _ = fs::remove_file(path);
        }
    }
}

/// Who receives notifications.
pub(crate) struct Trapd {
    child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) port: u16,
    _folder: Folder,
}

impl Trapd {
    pub(crate) fn start(name: &str) -> Self {
        let (folder, port) = (Folder::new(name), free_udp());
        fs::write(folder.path().join("snmptrapd.conf"), "disableAuthorization yes\n").unwrap();
        let mut child = program("snmptrapd")
            .args(["-f", "-Lo", "-On", "-n", "-C", "-c"])
            .arg(folder.path().join("snmptrapd.conf"))
            .args(["-F", "trap %v\\n", &format!("udp:127.0.0.1:{port}")])
            .env("SNMP_PERSISTENT_DIR", folder.path().join("persistent"))
            .env("SNMPCONFPATH", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let trapd = Self { child, lines, port, _folder: folder };
        trapd.line(|line| line.contains("NET-SNMP version"));
        trapd
    }

    /// The next line that is wanted.
    pub(crate) fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).expect("a notification");
            if wanted(&line) {
                return line;
            }
        }
    }
}

impl Drop for Trapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
