//! What hangs, and does not stop the daemon: disks, sockets that nobody reads, programs that the kernel can't read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, FileType};
use rustix::process::Signal;
use serde_json::json;
use support::{Daemon, Folder};

/// Prints an empty dump, then lives until its standard input is closed.
const NOTHING: &str = "echo '2026-11-21T03:06:17.369716+00:00 exists -'\nexec cat";

/// Holds a lease on a file, in place of a disk that hangs: whoever opens it, the kernel to run it included, waits until the lease is given back
/// or the kernel takes it after 45 s.
struct Lease(Child);

impl Lease {
    fn take(path: &Path) -> Self {
        let program = "import fcntl, signal, sys\n\
             signal.signal(signal.SIGIO, signal.SIG_IGN)\n\
             file = open(sys.argv[1])\n\
             fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
             print('taken', flush=True)\n\
             sys.stdin.readline()\n\
             held = fcntl.fcntl(file, fcntl.F_GETLEASE) != fcntl.F_UNLCK\n\
             print('held' if held else 'lost', flush=True)\n\
             fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)\n\
             file.close()\n\
             print('given back', flush=True)\n";
        let mut holder = Command::new("python3")
            .args(["-c", program])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = Self::line(&mut holder);
        assert_eq!(line, "taken");
        Self(holder)
    }

    fn line(holder: &mut Child) -> String {
        let mut line = String::new();
        // Byte by byte: what comes after the line is for the next one.
        BufReader::with_capacity(1, holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Gives it back; whether it was held until now.
    fn give_back(mut self) -> bool {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        let held = Self::line(&mut self.0) == "held";
        assert_eq!(Self::line(&mut self.0), "given back");
        self.0.wait().unwrap();
        held
    }
}

/// The thread that starts a program waits until the kernel has read it, and that was the loop.
#[test]
fn a_program_that_the_kernel_cannot_read_does_not_stop_the_loop() {
    let folder = Folder::new("exec-hangs");
    folder.drbd(NOTHING);
    folder.main_file("");
    let lease = Lease::take(&folder.path().join("drbdadm"));
    // The daemon asks drbdadm for its version before all else.
    let daemon = Daemon::start(&folder, &[]);
    assert_eq!(daemon.status()["source"]["state"], "starting");
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    assert_eq!(daemon.status()["source"]["state"], "starting", "drbdadm still hangs");
    assert!(lease.give_back(), "all this was answered while it hung");
    daemon.status_until("it goes on", |status| status["source"]["kernel-version"] == "9.3.3");
    assert!(daemon.stop().success());
}

/// The start waited for the files of local time without a limit.
#[test]
fn local_time_that_cannot_be_read_is_utc_until_it_can() {
    let folder = Folder::new("zone-hangs");
    folder.drbd(NOTHING);
    folder.main_file("");
    let zone = folder.path().join("zone");
    rustix::fs::mknodat(CWD, &zone, FileType::Fifo, 0o600.into(), 0).unwrap();
    let daemon = Daemon::start_with(&folder, &[("TZ", &format!(":{}", zone.display()))]);
    daemon.status_until("DRBD is followed", |status| status["source"]["state"] == "up");
    assert!(daemon.log().contains("times of day are UTC until it can"), "{}", daemon.log());
    // Who reads it now gets no zone: that is UTC, too.
    drop(fs::OpenOptions::new().write(true).open(&zone).unwrap());
    assert!(daemon.stop().success());
}

/// The control socket that could not be made at the start is tried again by a reload. It asked who serves there, on the loop and without a limit.
#[test]
fn a_control_socket_that_somebody_holds_who_hangs_does_not_stop_the_loop() {
    let folder = Folder::new("control-hangs");
    folder.drbd(NOTHING);
    folder.write("no-folder", "");
    let main = fs::read_to_string(folder.main_file("")).unwrap();
    let run = format!("{}/run", folder.path().display());
    folder.write("main.toml", &main.replace(&run, &format!("{}/no-folder/run", folder.path().display())));
    let daemon = Daemon::start(&folder, &[]);
    daemon.log_until("no control socket");
    // Somebody who listens, takes nobody, and has no room for more who wait.
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let hangs = UnixListener::bind(format!("{run}/control.sock")).unwrap();
    rustix::net::listen(&hangs, 0).unwrap();
    let _waits = std::os::unix::net::UnixStream::connect(format!("{run}/control.sock")).unwrap();
    folder.write("main.toml", &main);
    daemon.signal(Signal::HUP);
    daemon.log_until("another daemon already serves");
    daemon.wait_notify("READY=1");
    drop(hangs);
    daemon.signal(Signal::HUP);
    daemon.wait_notify("READY=1");
    daemon.status_until("it answers", |status| status["source"]["state"] == "up");
    assert!(daemon.stop().success());
}

/// A log file that can't be opened, and one that is a FIFO, cost nothing but themselves; a reload opens them anew.
#[test]
fn log_files_are_opened_by_a_thread_and_a_reload_waits_for_them() {
    let folder = Folder::new("log-reload");
    folder.drbd(NOTHING);
    let dir = folder.path().display();
    folder.main_file(&format!("[[log]]\n[[log]]\nfile = \"{dir}/fifo\"\n[[log]]\nfile = \"{dir}/good\"\n"));
    rustix::fs::mknodat(CWD, folder.path().join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let daemon = Daemon::start(&folder, &[]);
    daemon.log_until("can't log as configured");
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    fs::rename(folder.path().join("good"), folder.path().join("good.1")).unwrap();
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    // What logrotate relies on: after the answer nothing goes to the old one.
    assert!(folder.path().join("good").exists());
    assert!(daemon.stop().success());
}
