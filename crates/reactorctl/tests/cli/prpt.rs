//! `prpt`: recordings of a real machine in the place of the journal, machines that were kept as folders, and a real journal where one can be made.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use expect_test::{expect, expect_file};
use reactor_storage::event::{Event, Severity};
use reactor_storage::record::Stamp;
use serde_json::{Map, Value, json};

use crate::stored_events::{event, news, start};

/// Prints a file for each question. Follows what the test writes into a FIFO.
const FAKE: &str = r#"echo "$*" >> "$dir/args"
case "$*" in
*IS_PERIPETY=TRUE*) exec cat "$dir/stored" ;;
*--follow*) exec cat "$dir/fifo" ;;
*) exec cat "$dir/journal" ;;
esac
"#;

struct Fake(PathBuf);

impl Fake {
    /// A machine whose journal has these recordings.
    fn new(name: &str, recordings: &[&str]) -> Self {
        let fake = Self::with_script(name, FAKE);
        let all: Vec<u8> = recordings.iter().flat_map(|name| export(name)).flatten().collect();
        std::fs::write(fake.0.join("journal"), all).unwrap();
        std::fs::write(fake.0.join("stored"), "").unwrap();
        fake
    }

    /// Another process writes the script: a descriptor of ours that is open for writing could reach a child of another test, and then it can't be
    /// executed.
    fn with_script(name: &str, body: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("prpt-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let mut sh = Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(dir.join("journalctl"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("#!/bin/sh\ndir='{}'\n{body}", dir.display());
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
        Self(dir)
    }

    fn fifo(&self) -> PathBuf {
        let path = self.0.join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    fn prpt(&self, args: &[&str]) -> Command {
        let mut command = prpt(args);
        command.env("PATH", format!("{}:{}", self.0.display(), std::env::var("PATH").unwrap()));
        command
    }

    fn says(&self, args: &[&str]) -> String {
        text(&self.prpt(args).output().unwrap())
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "Json"]).collect();
        self.says(&args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The types of the events.
    fn types(&self, args: &[&str]) -> Vec<String> {
        self.json(args).iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn prpt(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prpt"));
    command.env_remove("CLICOLOR_FORCE").env("TZ", "UTC").args(args);
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A machine that was kept as a folder.
fn kept(tree: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reactor-sysfs/tests/sysfs").join(tree);
    path.to_str().unwrap().to_owned()
}

/// The entries of a recording, in the journal's export format.
fn export(recording: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72").join(recording);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| entry(&serde_json::from_str(line).unwrap())).collect()
}

fn entry(fields: &Map<String, Value>) -> Vec<u8> {
    let mut bytes = format!("__CURSOR={}\n", fields["__CURSOR"].as_str().unwrap()).into_bytes();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "__CURSOR") {
        let value = value.as_str().unwrap();
        bytes.extend(name.bytes());
        if value.contains('\n') {
            bytes.push(b'\n');
            bytes.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend(value.bytes());
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes
}

#[test]
fn query_prints_lines_as_peripety_did() {
    let fake = Fake::new("text", &["scsi_medium.json", "dm_error_xfs.json", "multipath.json"]);
    let said = fake.says(&["query", "--severity", "error", "--root", &kept("fc-multipath")]);
    expect_file!["prpt/query.txt"].assert_eq(&said);
    assert_eq!(
        said,
        fake.says(&["query", "--severity", "ERROR", "--format", "basic", "-f", "--root", &kept("fc-multipath")])
    );
    let args = std::fs::read_to_string(fake.0.join("args")).unwrap();
    assert!(args.contains("_TRANSPORT=kernel + _UID=0 SYSLOG_IDENTIFIER=multipathd "), "{args}");
    assert!(args.contains("_UID=0 IS_PERIPETY=TRUE") && !args.contains("--since"), "{args}");
}

/// The journal may be shorter than what the daemon keeps.
#[test]
fn what_only_the_daemon_has_stored_is_told_in_its_place_and_nothing_twice() {
    let fake = Fake::new("kept", &["scsi_medium.json"]);
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72/scsi_medium.json");
    let parsed = crate::daemon::reactorctl().args(["events", "parse", "--json"]).arg(recording).output().unwrap();
    let parsed: Vec<Value> = text(&parsed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let state = fake.0.join("state");
    let mut history = start(&state);
    let old = || event(1, "00000000000000aa", "FS_READ_ONLY", Severity::Critical, "sdz");
    history.write(SystemTime::now(), &news(old(), None));
    for known in &parsed {
        let wall_us = known["at"]["wall-us"].as_u64();
        let at = Stamp { wall_us, boot_us: None };
        let id = known["id"].as_str().unwrap().to_owned();
        history.write(SystemTime::now(), &news(Event { id, at, last: at, ..old() }, None));
    }
    assert!(history.finish(Duration::from_secs(300)));
    let of_journal = fake.types(&["query", "--root", &kept("fc-multipath")]);
    assert_eq!(of_journal.len(), parsed.len());
    let config = fake.0.join("main.toml");
    std::fs::write(&config, format!("[daemon]\nstate-dir = \"{}\"\n", state.display())).unwrap();
    let config = config.to_str().unwrap();
    let all = fake.types(&["query", "--root", &kept("fc-multipath"), "-c", config]);
    assert_eq!(all[0], "FS_REMOUNT_READ_ONLY", "{all:?}");
    assert_eq!(all[1..], of_journal);
    let since = fake.types(&["query", "--root", &kept("fc-multipath"), "-c", config, "--since", "2024-11-21 04:00:00"]);
    assert_eq!(since, of_journal);
}

#[test]
fn json_has_peripetys_keys() {
    let fake = Fake::new("json", &["multipath.json"]);
    let root = kept("fc-multipath");
    let pretty = fake.says(&["query", "--event-type", "DM_MPATH_PATH_FAILED", "--root", &root, "-J"]);
    expect_file!["prpt/path-failed.json"].assert_eq(&pretty);
    assert_eq!(
        pretty,
        fake.says(&["query", "--event-type", "mpath_path_failed", "--root", &root, "--format", "JsonPretty"])
    );
    let events = fake.json(&["query", "--event-type", "DM_MPATH_PATH_FAILED", "--root", &root]);
    let documents: Vec<Value> =
        serde_json::Deserializer::from_str(&pretty).into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(events, documents);
}

#[test]
fn filters_hold_together_and_their_values_each() {
    let fake = Fake::new("filters", &["scsi_medium.json", "multipath.json", "dm_error_ext4.json", "oom.json"]);
    let types = |args: &[&str]| {
        let root = kept("fc-multipath");
        let mut types = fake.types(&[&["query", "--root", &root], args].concat());
        types.sort();
        types.dedup();
        types.join(" ")
    };
    assert_eq!(types(&["--event-type", "FS_ERROR", "SCSI_MEDIUM_ERROR"]), "FS_ERROR SCSI_MEDIUM_ERROR");
    assert_eq!(types(&["--event-type", "FS_ERROR", "--event-type", "SCSI_MEDIUM_ERROR"]), "FS_ERROR SCSI_MEDIUM_ERROR");
    assert_eq!(types(&["--event-type", "FS_ERROR", "SCSI_MEDIUM_ERROR", "--sub-system", "EXT4"]), "FS_ERROR");
    // A line that was an event of its own with peripety.
    assert_eq!(types(&["--event-type", "SCSI_ADDITIONAL_SENSE_CODE", "--severity", "critical"]), "SCSI_MEDIUM_ERROR");
    assert_eq!(types(&["--sub-system", "JBD2"]), "FS_JOURNAL_IO_ERROR");
    let critical = types(&["--severity", "Critical"]);
    assert!(critical.contains("SCSI_MEDIUM_ERROR") && !critical.contains("BUF_IO_ERROR"), "{critical}");
    for word in ["Ctritical", "Alert", "Emergency"] {
        assert_eq!(types(&["--severity", word]), critical, "{word}");
    }
    assert_eq!(types(&["--severity", "Debug"]), types(&[]));
    assert!(types(&["--severity", "Notice"]).len() < types(&[]).len());
}

#[test]
fn a_device_stands_for_what_is_above_and_below_it() {
    let fake = Fake::new("blk", &["multipath.json"]);
    let of = |blk: &str| {
        let root = kept("fc-multipath");
        let mut types = fake.types(&["query", "--root", &root, "--severity", "error", "--blk", blk]);
        types.dedup();
        types.join(" ")
    };
    let all = [
        "DM_MPATH_PATH_FAILED SCSI_DEVICE_OFFLINE DM_MPATH_PATH_FAILED SCSI_DEVICE_OFFLINE DM_MPATH_PATH_FAILED",
        "MPATH_ALL_PATHS_DOWN BLK_IO_ERROR",
        "FS_JOURNAL_ABORTED BUF_WRITE_LOST FS_JOURNAL_IO_ERROR",
    ]
    .join(" ");
    for blk in ["mpatha", "/dev/mapper/mpatha", "36001405aabbccdd00112233", "r0", "/srv/data"] {
        assert_eq!(of(blk), all, "{blk}");
    }
    // sda has the WWID of sdb, but its path is another one.
    assert_eq!(of("8:0"), of("sda"));
    // A device that is not here any more is a name.
    assert_eq!(of("/dev/sdzz"), "");
    let gone = Fake::new("gone", &["scsi_medium.json"]);
    let root = kept("nvme");
    for blk in ["sda", "/dev/sda"] {
        assert_eq!(
            gone.types(&["query", "--root", &root, "--severity", "critical", "--blk", blk]),
            ["SCSI_MEDIUM_ERROR"]
        );
    }
}

#[test]
fn names_of_another_boot_are_no_devices_of_this_one() {
    let fake = Fake::new("boots", &["multipath.json"]);
    let root = fake.0.join("root");
    let copied = Command::new("cp").arg("-a").arg(kept("fc-multipath")).arg(&root).status().unwrap();
    assert!(copied.success());
    let boot = root.join("proc/sys/kernel/random");
    std::fs::create_dir_all(&boot).unwrap();
    let wwid = |boot_id: &str| {
        std::fs::write(boot.join("boot_id"), boot_id).unwrap();
        let args = ["query", "--event-type", "MPATH_PATH_FAILED", "--root", root.to_str().unwrap()];
        fake.json(&args)[0]["cur_blk_info"]["wwid"].as_str().unwrap().to_owned()
    };
    assert_eq!(wwid("1c42149f-82cc-4172-b7a2-c1fd0abc0a25\n"), "naa.6001405aabbccdd00112233");
    assert_eq!(wwid("2222149f-82cc-4172-b7a2-c1fd0abc0a25\n"), "name:sda@5:0:0:0");
}

#[test]
fn what_peripety_wrote_is_shown_between_and_no_line_twice() {
    let fake = Fake::new("stored", &["multipath.json"]);
    let stored = |timestamp: &str, severity: &str, event_type: &str, raw_msg: &str| {
        let disk = json!({ "wwid": "naa.1", "blk_type": "Scsi", "blk_path": "/dev/sdq", "owners": [] });
        let map =
            json!({ "wwid": "mpath-1", "blk_type": "DmMultipath", "blk_path": "/dev/mapper/old", "owners": [disk] });
        let event = json!({
            "hostname": "n1", "severity": severity, "sub_system": "Multipath", "timestamp": timestamp, "event_id": "e",
            "event_type": event_type, "blk_info": map, "msg": "", "raw_msg": raw_msg, "extension": {},
        });
        format!("{}\n", json!({ "__CURSOR": "s=1", "JSON": event.to_string() }))
    };
    let bytes: Vec<u8> = stored("2026-11-28T23:59:59Z", "Unknown", "LAST", "last\u{1b}[2J").into_bytes();
    let last: Value = serde_json::from_slice(&bytes).unwrap();
    let last = json!({ "JSON": last["JSON"].as_str().unwrap().as_bytes() });
    let lines = [
        stored("2026-11-28T20:00:00.5+01:00", "Ctritical", "FIRST", "first"),
        "this is no entry\n{\"JSON\":null}\n".to_owned(),
        // The same line as one of ours.
        stored(
            "2026-11-28T19:11:21.528564+00:00",
            "Warning",
            "DM_MPATH_PATH_FAILED",
            "device-mapper: multipath: 254:1: Failing path 8:0.",
        ),
        stored("2026-11-28T19:11:22Z", "Info", "BETWEEN", "between"),
        format!("{last}\n"),
    ];
    std::fs::write(fake.0.join("stored"), lines.concat()).unwrap();
    let root = kept("fc-multipath");
    let query = |args: &[&str]| {
        fake.types(&[&["query", "--root", &root, "--sub-system", "multipath"], args].concat()).join(" ")
    };
    assert_eq!(
        query(&["--severity", "info", "--event-type", "first", "last", "between", "DM_MPATH_PATH_FAILED"]),
        "FIRST DM_MPATH_PATH_FAILED BETWEEN DM_MPATH_PATH_FAILED DM_MPATH_PATH_FAILED LAST"
    );
    assert_eq!(query(&["--blk", "/dev/sdq"]), "FIRST BETWEEN LAST");
    assert_eq!(query(&["--blk", "mpath-1", "--severity", "critical"]), "FIRST LAST");
    let said = fake.says(&["query", "--root", &root, "--blk", "old"]);
    expect![[r#"
        Sat, 28 Nov 2026 19:00:00 +0000 n1 Multipath first
        Sat, 28 Nov 2026 19:11:22 +0000 n1 Multipath between
        Sat, 28 Nov 2026 23:59:59 +0000 n1 Multipath last�[2J
    "#]]
    .assert_eq(&said);
}

#[test]
fn since_is_told_to_the_journal() {
    let fake = Fake::new("since", &["scsi_medium.json"]);
    for (since, told) in [
        ("2018-05-21", "--since=@1526860800.000000"),
        ("2018-05-21 10:11:12", "--since=@1526897472.000000"),
        ("2018-05-21T10:11:12.25+08:00", "--since=@1526868672.250000"),
    ] {
        fake.says(&["query", "--since", since, "--root", &kept("nvme")]);
        let args = std::fs::read_to_string(fake.0.join("args")).unwrap();
        assert_eq!(args.lines().rev().take(2).filter(|args| args.contains(told)).count(), 2, "{since}: {args}");
    }
    let said = failure(&fake.prpt(&["query", "--since", "soon"]).output().unwrap());
    assert!(said.contains("today, yesterday, 2018-05-21"), "{said}");
}

#[test]
fn monitor_shows_an_event_when_it_begins_and_when_it_is_over() {
    let fake = Fake::new("monitor", &[]);
    let fifo = fake.fifo();
    let root = kept("nvme");
    let args = ["monitor", "--severity", "critical", "--format", "Json", "--root", &root];
    let mut child = fake.prpt(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Opens when the other end is read.
    let mut journal = File::options().write(true).open(fifo).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    for entry in export("scsi_medium.json") {
        journal.write_all(&entry).unwrap();
    }
    let first = next();
    assert_eq!((&first["event_type"], &first["extension"]["count"]), (&json!("SCSI_MEDIUM_ERROR"), &Value::Null));
    // It goes on until nothing more comes.
    drop(journal);
    let last = next();
    assert_eq!((&last["event_id"], &last["extension"]["count"]), (&first["event_id"], &json!("4")));
    assert!(lines.next().is_none());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "Error: journalctl: it does not follow the journal any more\n"
    );
    let args = std::fs::read_to_string(fake.0.join("args")).unwrap();
    assert!(args.contains("--follow --lines=0"), "{args}");
}

#[test]
fn who_reads_no_more_has_enough() {
    let fake =
        Fake::with_script("enough", "case \"$*\" in *IS_PERIPETY=TRUE*) exit 0 ;; *) exec cat \"$dir/fifo\" ;; esac\n");
    let fifo = fake.fifo();
    let mut child =
        fake.prpt(&["query", "--root", &kept("nvme")]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut journal = File::options().write(true).open(fifo).unwrap();
    drop(child.stdout.take());
    for entry in export("scsi_medium.json") {
        // The reader of this may have gone, too.
        if journal.write_all(&entry).is_err() {
            break;
        }
    }
    drop(journal);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn what_journalctl_complains_about_is_said() {
    let fake = Fake::with_script("complaint", "echo 'Failed to open the journal' >&2\nexit 1\n");
    let said = failure(&fake.prpt(&["query", "--root", &kept("nvme")]).output().unwrap());
    assert_eq!(said, "Error: journalctl: Failed to open the journal\n");
    let said = failure(&prpt(&["query", "--root", &kept("nvme")]).env("PATH", "/nowhere").output().unwrap());
    assert!(said.starts_with("Error: journalctl: No such file or directory"), "{said}");
    // Without entries some versions fail, and say nothing.
    let silent = Fake::with_script("silent", "exit 1\n");
    assert_eq!(silent.says(&["query", "-f", "--root", &kept("nvme")]), "");
}

#[test]
fn info_shows_a_device_by_any_name() {
    let root = kept("fc-multipath");
    let info = |device: &str| text(&prpt(&["info", device, "--root", &root]).output().unwrap());
    let mpatha = info("/dev/mapper/mpatha");
    expect![[r#"
        blk_path : /dev/mapper/mpatha
        preferred_blk_path : /dev/mapper/mpatha
        blk_type : Device Mapper Multipath
        wwid : mpath-36001405aabbccdd00112233
        transport_id :
        uuid :
        mount_point :
        owners :
          blk_path : /dev/sda
          preferred_blk_path : /dev/disk/by-path/pci-0000:05:00.0-fc-0x500a0982aa000001-lun-0
          blk_type : SCSI
          wwid : naa.6001405aabbccdd00112233
          transport_id : 0x10000000c9a00006,0x500a0982aa000001
          uuid :
          mount_point :
          blk_path : /dev/sdb
          preferred_blk_path : /dev/disk/by-path/pci-0000:05:00.1-fc-0x500a0982aa000002-lun-0
          blk_type : SCSI
          wwid : naa.6001405aabbccdd00112233
          transport_id : 0x10000000c9a00007,0x500a0982aa000002
          uuid :
          mount_point :
    "#]]
    .assert_eq(&mpatha);
    for name in ["mpatha", "253:0", "dm-0", "mpath-36001405aabbccdd00112233", "36001405aabbccdd00112233"] {
        assert_eq!(info(name), mpatha, "{name}");
    }
    let json = text(&prpt(&["info", "/srv/data", "--format", "Json", "--root", &root]).output().unwrap());
    let drbd: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&drbd["wwid"], &drbd["mount_point"], &drbd["kind"]),
        (&json!("drbd:r0/0"), &json!("/srv/data"), &json!("drbd"))
    );
    assert_eq!(drbd["owners"][0]["owners"][0]["owners"][1]["blk_path"], "/dev/sdb");
    let iscsi = text(&prpt(&["info", "sda", "--format", "Json", "--root", &kept("iscsi")]).output().unwrap());
    let iscsi: Value = serde_json::from_str(&iscsi).unwrap();
    expect!["10.0.0.1,3260,1,iqn.2026-01.org.example:disk1,default"].assert_eq(iscsi["transport_id"].as_str().unwrap());
    let said = failure(&prpt(&["info", "mpathb", "--root", &root]).output().unwrap());
    assert_eq!(said, "Error: no block device here is called \"mpathb\"; there is mpatha\n");
}

#[test]
fn every_machine_can_be_listed() {
    let list =
        |tree: &str, args: &[&str]| text(&prpt(&[&["list", "--root", &kept(tree)], args].concat()).output().unwrap());
    expect![[r#"
        /dev/mapper/mpatha : mpath-36001405aabbccdd00112233
          /dev/sda : naa.6001405aabbccdd00112233
          /dev/sdb : naa.6001405aabbccdd00112233

        /dev/mapper/vg--a-data : LVM-VgVgVgVgVgVgVgVgVgVgVgVgVgVgVgVg00000000000000000000000000000001
          /dev/mapper/mpatha : mpath-36001405aabbccdd00112233
          /dev/sda : naa.6001405aabbccdd00112233
          /dev/sdb : naa.6001405aabbccdd00112233

        /dev/drbd1000 : drbd:r0/0 : /srv/data
          /dev/mapper/vg--a-data : LVM-VgVgVgVgVgVgVgVgVgVgVgVgVgVgVgVg00000000000000000000000000000001
          /dev/mapper/mpatha : mpath-36001405aabbccdd00112233
          /dev/sda : naa.6001405aabbccdd00112233
          /dev/sdb : naa.6001405aabbccdd00112233
    "#]]
    .assert_eq(&list("fc-multipath", &[]));
    // Devices in a circle, values that are none: each is listed.
    for tree in ["broken", "many-kinds", "md-raid1", "nvme", "nvme-tcp", "sas-usb", "virtio-crypt", "iscsi"] {
        let objects = list(tree, &["--format", "Json"]);
        let paths: Vec<Value> =
            objects.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["blk_path"].take()).collect();
        assert!(!paths.is_empty(), "{tree}");
        let details = list(tree, &["-D"]);
        for path in paths {
            assert!(details.contains(&format!("blk_path : {}\n", path.as_str().unwrap())), "{tree}: {path}");
        }
    }
}

#[test]
fn without_a_command_it_helps_and_a_wrong_word_is_an_error() {
    assert!(text(&prpt(&[]).output().unwrap()).contains("Usage: prpt"));
    for (args, says) in [
        (&["info"][..], "<DEVICE>"),
        (&["query", "--severity", "bad"], "Emergency, Alert, Critical"),
        (&["query", "--sub-system", "tape"], "DM-DirtyLog"),
        (&["query", "-J", "--format", "Json"], "cannot be used with"),
        (&["list", "-D", "-J"], "cannot be used with"),
    ] {
        let said = failure(&prpt(args).output().unwrap());
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

/// A real journalctl, and a journal that a real systemd-journal-remote has written.
#[test]
fn a_real_journal_is_read() {
    let remote = std::env::var_os("JOURNAL_REMOTE").map(PathBuf::from);
    let remote = remote.unwrap_or_else(|| PathBuf::from("/lib/systemd/systemd-journal-remote"));
    if !remote.exists() || Command::new("journalctl").arg("--version").output().is_err() {
        return;
    }
    let real = std::env::var("PATH").unwrap();
    let fake = Fake::with_script(
        "real",
        &format!("shift\nPATH='{real}' exec journalctl --directory=\"$dir/journal\" \"$@\"\n"),
    );
    let journal = fake.0.join("journal");
    std::fs::create_dir_all(&journal).unwrap();
    let mut child = Command::new(remote)
        .arg("--output")
        .arg(journal.join("test.journal"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&export("multipath.json").concat()).unwrap();
    assert!(child.wait().unwrap().success());
    let args = ["query", "--root", &kept("fc-multipath"), "--event-type", "DM_MPATH_PATH_FAILED"];
    assert_eq!(fake.types(&args), ["DM_MPATH_PATH_FAILED"; 2]);
    assert_eq!(fake.types(&[&args[..], &["--since", "2026-11-28T19:11:25Z"]].concat()), ["DM_MPATH_PATH_FAILED"]);
}
