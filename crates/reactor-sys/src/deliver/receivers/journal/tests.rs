//! A journald of our own, in a namespace of its own, asked by journalctl.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reactor_core::notice::Message;
use reactor_storage::event::Severity;

use super::*;

/// One that runs as root of a user namespace, with a `/run` of its own, which is reached through its process.
struct Journald {
    child: Child,
    root: PathBuf,
}

impl Journald {
    /// `None` = this machine cannot do that.
    fn start() -> Option<Self> {
        let script = "mount -t tmpfs none /run && mkdir -p /run/systemd /run/log/journal && echo ready && \
                      exec $(ls /usr/lib/systemd/systemd-journald /lib/systemd/systemd-journald 2>/dev/null | head -1)";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut said = [0; 6];
        child.stdout.as_mut()?.read_exact(&mut said).ok()?;
        let root = PathBuf::from(format!("/proc/{}/root", child.id()));
        let journald = Self { child, root };
        let socket = journald.socket();
        let end = Instant::now() + Duration::from_secs(60);
        while !crate::log::journal::listens(&socket) {
            assert!(Instant::now() < end, "journald does not listen");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Some(journald)
    }

    fn socket(&self) -> PathBuf {
        self.root.join("run/systemd/journal/socket")
    }

    /// Entries that have all of these fields.
    fn ask(&self, matches: &[&str]) -> Vec<serde_json::Value> {
        let output = Command::new("journalctl")
            .args(["--no-pager", "-q", "-o", "json", "--all", "-D"])
            .arg(self.root.join("run/log/journal"))
            .args(matches)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn until(&self, count: usize, matches: &[&str]) -> Vec<serde_json::Value> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.ask(matches);
            if found.len() >= count || Instant::now() > end {
                return found;
            }
        }
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the kernel gives a user namespace no mounts, or there is no journald: said by name, and in CI nothing may be missing.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn journald() -> Option<Journald> {
    let started = Journald::start();
    if started.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "systemd-journald and user namespaces are needed in CI");
        println!("SKIPPED: journald: it can't be started in a namespace");
    }
    started
}

fn event() -> Event {
    let text = r#"{"id":"00112233445566aa","at":{"wall-us":1},"last":{"wall-us":2},"severity":"critical","type":"SCSI_MEDIUM_ERROR","subsystem":"scsi",
        "device":{"id":"naa.5000c500a1b2c3d4","kind":"scsi","name":"sdf","path":"/dev/disk/by-id/wwn-0x5000c500a1b2c3d4",
        "below":[{"id":"naa.1","name":"sdg","kind":"scsi"},{"id":"mpath-1","name":"mpatha","kind":"multipath"}]},"fields":{"sector":"1234","bad name":"x"},
        "message":"sd 6:0:0:0: [sdf] Add. Sense: Unrecovered read error","lines":["one","two"],"count":3,"source":"kernel"}"#;
    serde_json::from_str(text).unwrap()
}

fn notice(topic: Topic, what: &str, text: &str) -> Notice {
    Notice {
        unix_ms: 1_795_893_073_898,
        topic,
        what: what.to_owned(),
        severity: Severity::Critical,
        text: text.to_owned(),
        because: vec!["one\nPRIORITY=0".to_owned(), "two".to_owned()],
        resources: vec!["r0".to_owned(), "r1".to_owned()],
        incident: Some("i-1".to_owned()),
        event: (topic == Topic::Event).then(|| Box::new(event())),
    }
}

fn parcel(notices: Vec<Notice>) -> Parcel {
    Parcel::new(Message { receiver: "log".to_owned(), node: "n1".to_owned(), notices, left_out: 0 }).unwrap()
}

#[test]
fn a_real_journal_finds_notices_by_our_fields_and_by_peripetys() {
    let Some(journald) = journald() else { return };
    let mut journal = Journal::new(&journald.socket());
    let notices = vec![
        notice(Topic::Event, "SCSI_MEDIUM_ERROR", "sdf cannot be read\nPRIORITY=7"),
        notice(Topic::Drbd, "connection-lost", "r0 lost its peer"),
    ];
    let parcel = parcel(notices);
    let (mut told, until) = (0, Instant::now() + Duration::from_secs(60));
    journal.deliver(&parcel, &mut told, until).unwrap();
    assert_eq!(told, 2);
    let found = journald.until(1, &[&format!("MESSAGE_ID={}", EVENT.0)]);
    let entry = &found[0];
    for (field, value) in [
        ("MESSAGE", "sdf cannot be read PRIORITY=7"),
        ("PRIORITY", "2"),
        ("SYSLOG_IDENTIFIER", "storage-reactor"),
        ("NOTICE_ID", &parcel.notice_id(0)),
        ("TOPIC", "event"),
        ("WHAT", "SCSI_MEDIUM_ERROR"),
        ("SEVERITY", "critical"),
        ("INCIDENT", "i-1"),
        ("IS_PERIPETY", "TRUE"),
        ("EVENT_TYPE", "SCSI_MEDIUM_ERROR"),
        ("EVENT_ID", "00112233445566aa"),
        ("SUB_SYSTEM", "SCSI"),
        ("DEV_WWID", "naa.5000c500a1b2c3d4"),
        ("DEV_PATH", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"),
        ("EXT_SECTOR", "1234"),
        ("EXT_BAD_NAME", "x"),
    ] {
        assert_eq!(entry[field], value, "{field} of {entry}");
    }
    assert_eq!(entry["OWNERS_WWIDS"], serde_json::json!(["naa.1", "mpath-1"]));
    assert_eq!(entry["OWNERS_PATHS"], serde_json::json!(["/dev/sdg", "/dev/mapper/mpatha"]));
    assert_eq!(entry["RESOURCE"], serde_json::json!(["r0", "r1"]));
    assert_eq!(entry["BECAUSE"], serde_json::json!(["one PRIORITY=0", "two"]));
    assert!(entry["ADVICE"].as_str().is_some_and(|advice| !advice.is_empty()));
    let json: Event = serde_json::from_str(entry["JSON"].as_str().unwrap()).unwrap();
    assert_eq!(json, event());
    assert_eq!(journald.until(1, &["RESOURCE=r1", "WHAT=connection-lost"]).len(), 1);
    assert_eq!(journald.ask(&["DEV_WWID=naa.5000c500a1b2c3d4"]).len(), 1);
}

#[test]
fn a_journal_that_is_away_is_waited_for_and_nothing_of_a_message_comes_twice() {
    let path = std::env::temp_dir().join(format!("reactor-notify-journal-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let mut journal = Journal::new(&path);
    let parcel = parcel((0..50).map(|number| notice(Topic::Drbd, "x", &number.to_string())).collect());
    let until = || Instant::now() + Duration::from_secs(60);
    let mut told = 0;
    assert!(journal.deliver(&parcel, &mut told, until()).unwrap_err().why.contains("No such file"));
    let socket = UnixDatagram::bind(&path).unwrap();
    // It takes a few, and reads nothing.
    let why = journal.deliver(&parcel, &mut told, Instant::now() + Duration::from_millis(20)).unwrap_err();
    assert!(told > 0 && told < 50, "{told}: {why:?}");
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        (0..50).map(|_| socket.recv(&mut buffer).map(|size| buffer[..size].to_vec()).unwrap()).collect::<Vec<_>>()
    });
    journal.deliver(&parcel, &mut told, until()).unwrap();
    let entries = reader.join().unwrap();
    let ids: std::collections::BTreeSet<_> = entries.into_iter().collect();
    assert_eq!(ids.len(), 50, "each came once");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn every_kind_of_notice_has_an_id_and_the_catalogue_knows_it() {
    let catalogue = include_str!("../../../../../../dist/storage-reactor.catalog");
    let ids = [EVENT, INCIDENT, INCIDENT_OVER, DRBD, PROMOTER, DAEMON].map(|id| id.0);
    let entries: std::collections::BTreeSet<&str> =
        catalogue.lines().filter_map(|line| line.strip_prefix("-- ")).map(str::trim).collect();
    assert_eq!(entries, ids.into_iter().collect());
    understood(catalogue, &ids);
    for topic in Topic::ALL {
        assert!(ids.contains(&MessageId::of(&notice(topic, "x", "y")).0));
    }
    assert_eq!(MessageId::of(&notice(Topic::Incident, "over", "y")), INCIDENT_OVER);
}

/// What journalctl makes of the catalogue.
fn understood(catalogue: &str, ids: &[&str]) {
    let root = std::env::temp_dir().join(format!("reactor-notify-catalogue-{}", std::process::id()));
    let folder = root.join("usr/lib/systemd/catalog");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("storage-reactor.catalog"), catalogue).unwrap();
    let ask = |what: &str| Command::new("journalctl").arg(format!("--root={}", root.display())).arg(what).output();
    if let Ok(made) = ask("--update-catalog") {
        assert!(made.status.success() && made.stderr.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
        let text = String::from_utf8(ask("--dump-catalog").unwrap().stdout).unwrap();
        for id in ids {
            assert!(text.contains(&format!("-- {id}\nSubject: ")), "{id} in {text}");
        }
        assert_eq!(text.matches("Defined-By: Storage Reactor").count(), ids.len());
    }
    std::fs::remove_dir_all(root).unwrap();
}
