//! `reactorctl events parse`: recordings of a real machine, reports, and what is none.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use expect_test::expect;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::daemon::reactorctl;

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72").join(name)
}

fn parse(args: &[&str], files: &[&Path]) -> Output {
    reactorctl().env("TZ", "UTC").args(["events", "parse"]).args(args).args(files).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(args: &[&str], files: &[&Path]) -> Vec<Value> {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    text(&parse(&args, files)).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Severity, type, device and count of each.
fn told(events: &[Value]) -> Vec<String> {
    let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let line = |event: &Value| {
        let device = event["device"]["name"].as_str().unwrap_or("-");
        format!("{} {} {device} x{}", word(event, "severity"), word(event, "type"), event["count"])
    };
    events.iter().map(line).collect()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reactorctl-events-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_recording_is_told_in_lines_for_people() {
    let said = text(&parse(&["--severity", "notice"], &[&recording("scsi_medium.kmsg")]));
    expect![[r#"
        [   10.050000] critical SCSI_MEDIUM_ERROR sda: critical medium error, dev sda, sector 4656 op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2 (4 times)
        [   10.800000] error    BUF_IO_ERROR sda: Buffer I/O error on dev sda, logical block 582, async page read (2 times)
    "#]].assert_eq(&said);
    let said = text(&parse(&["--severity", "critical"], &[&recording("multipath.journal-all.txt")]));
    expect![[r#"
        [   95.612130] critical MPATH_ALL_PATHS_DOWN mpatha: mpatha: Entering recovery mode: max_retries=3
        [  102.531547] critical MPATH_QUEUE_OFF mpatha: mpatha: Disable queueing
        [  102.530000] critical FS_JOURNAL_ABORTED dm-1: Aborting journal on device dm-1-8.
        [  102.530000] critical BUF_WRITE_LOST dm-1: Buffer I/O error on dev dm-1, logical block 49153, lost sync page write
        [  102.530000] critical FS_JOURNAL_IO_ERROR dm-1: JBD2: I/O error when updating journal superblock for dm-1-8.
    "#]].assert_eq(&said);
}

#[test]
fn the_same_story_is_told_whatever_form_it_comes_in() {
    let forms = ["kmsg", "json", "journal-all.txt"].map(|form| {
        let events = json(&["--severity", "error"], &[&recording(&format!("scsi_medium.{form}"))]);
        for event in &events {
            let device = &event["device"];
            assert!(device["id"].is_string() && device["names"].is_array() && device["above"].is_array(), "{event}");
            assert!(event["message"].is_string(), "{event}");
        }
        (events[0]["time"].clone(), told(&events))
    });
    let [(kmsg, first), (json, second), (short, third)] = forms;
    assert!(!first.is_empty());
    assert_eq!((&first, &first), (&second, &third));
    // The journal knows the time of the wall; the others know how long the machine was up.
    assert_eq!((kmsg.as_f64(), short.as_f64()), (Some(10.05), Some(10.05)));
    assert!(json.as_str().is_some_and(|time| time.starts_with("2026-11-28T19:1") && time.ends_with('Z')), "{json}");
}

#[test]
fn the_standard_input_is_read_and_a_form_can_be_named() {
    let line = b"[    5.000001] EXT4-fs error (device sda1): ext4_find_entry:1658: inode #2: comm ls: reading directory lblock 0\r\n";
    let said = |args: &[&str], input: &[u8]| {
        let output = reactorctl().args(["events", "parse", "-"]).args(args).write_stdin(input).output().unwrap();
        text(&output)
    };
    let expected = "[    5.000001] critical FS_ERROR sda1: EXT4-fs error (device sda1): ext4_find_entry:1658: inode #2: comm ls: reading directory lblock 0\n";
    assert_eq!(said(&[], line), expected);
    assert_eq!(said(&["--format", "plain"], &line[15..]), expected.replace("[    5.000001]", "-"));
    assert_eq!(said(&["--format", "dmesg"], b"nothing\n"), "");
    assert_eq!(said(&[], b""), "");
}

/// Files of a report, in the folder of its name: the same failure in three logs, and another in one.
fn report() -> Vec<(&'static str, String)> {
    let journal = "Nov 29 20:00:01 n1 kernel: Aborting journal on device sda1-8.\n";
    let messages = "Nov 28 10:00:00 n1 multipathd[7]: checker failed path 8:48 in map mpatha\n";
    vec![
        ("sosreport-n1/sos_commands/kernel/dmesg", "[   12.000001] Aborting journal on device sda1-8.\n".to_owned()),
        ("sosreport-n1/sos_commands/logs/journalctl_--no-pager_--boot", format!("-- Logs begin --\n{journal}")),
        ("sosreport-n1/var/log/messages", format!("{messages}{journal}")),
        ("sosreport-n1/etc/passwd", "root:x:0:0::/root:/bin/sh\n".to_owned()),
    ]
}

fn tar(files: &[(&str, String)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        // 2026-11-30.
        header.set_mtime(1_795_996_800);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn a_report_is_read_as_a_folder_and_as_an_archive_and_nothing_is_told_twice() {
    let folder = Folder::new("report");
    let files = report();
    for (name, content) in &files {
        folder.write(&format!("folder/{name}"), content.as_bytes());
    }
    let archive = tar(&files);
    let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&archive).unwrap();
    let mut reports = vec![
        folder.0.join("folder"),
        folder.0.join("folder/sosreport-n1"),
        folder.write("report.tar", &archive),
        folder.write("report.tar.gz", &gz.finish().unwrap()),
    ];
    let xz = std::process::Command::new("xz").arg("--keep").arg(folder.0.join("report.tar")).status();
    if xz.is_ok_and(|status| status.success()) {
        reports.push(folder.0.join("report.tar.xz"));
    }
    for report in &reports {
        let mut said = told(&json(&[], &[report]));
        said.sort();
        assert_eq!(
            said,
            ["critical FS_JOURNAL_ABORTED sda1 x1", "error MPATH_PATH_FAILED sdd x1"],
            "{}",
            report.display()
        );
    }
    // Without another log dmesg is what there is.
    let only = folder.write("dmesg.tar", &tar(&files[..1]));
    assert_eq!(told(&json(&[], &[&only])), ["critical FS_JOURNAL_ABORTED sda1 x1"]);
}

#[test]
fn what_is_no_log_is_an_error_and_a_torn_one_is_told_as_far_as_it_goes() {
    let folder = Folder::new("none");
    let failed = |args: &[&str], file: &Path, says: &str, code: i32| {
        let output = parse(args, &[file]);
        let said = String::from_utf8_lossy(&output.stderr).replace(&folder.0.display().to_string(), "DIR");
        assert!(said.contains(says), "{said}");
        assert_eq!(output.status.code(), Some(code));
        String::from_utf8(output.stdout).unwrap()
    };
    let noise = folder.write("noise", &[0xff; 2000]);
    assert_eq!(failed(&[], &noise, "DIR/noise is no log whose form is known", 1), "");
    assert_eq!(failed(&[], &folder.0.join("none"), "can't read DIR/none: No such file", 1), "");
    let empty = folder.write("empty.tar", &tar(&[("etc/passwd", "root\n".to_owned())]));
    assert_eq!(failed(&[], &empty, "DIR/empty.tar has none of the logs", 1), "");
    assert_eq!(failed(&[], &folder.0, "has none of the logs that a sosreport has", 1), "");
    failed(&["--severity", "bad"], &noise, "info, notice, warning, error, critical", 2);
    failed(&["--format", "bad"], &noise, "one of kmsg, export", 2);
    let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::none());
    gz.write_all(b"[ 1.0] Aborting journal on device sda1-8.\n").unwrap();
    let bytes = gz.finish().unwrap();
    let torn = folder.write("torn.gz", &bytes[..bytes.len() - 9]);
    assert!(failed(&[], &torn, "can't read DIR/torn.gz", 1).contains("FS_JOURNAL_ABORTED sda1"));
}

#[test]
fn rules_of_the_configuration_and_of_peripetys_file_are_used() {
    let folder = Folder::new("rules");
    let peripety =
        "[[collector_regexs]]\nregex = '^multipath: ailing (?P<kdev>\\d+:\\d+)'\nevent_type = \"MY_PATH_AILING\"\n";
    folder.write("peripetyd.conf", peripety.as_bytes());
    let own = "[[events.rule]]\nprogram = \"shelfd\"\nregex = '^disk (?P<kdev>\\w+) is hot: (?P<celsius>\\d+)'\nevent-type = \"SHELF_HOT\"\nseverity = \"error\"\n";
    let config = folder.write("main.toml", format!("[[events]]\nperipety-conf = \"peripetyd.conf\"\n{own}").as_bytes());
    let log = "2026-11-28T19:10:05.000000+00:00 alpha kernel: multipath: ailing 8:48\n\
               2026-11-28T19:10:06.000000+00:00 alpha shelfd[7]: disk sdq is hot: 71\n";
    let log = folder.write("messages", log.as_bytes());
    let with = |config: &Path| {
        let output = reactorctl().arg("-c").arg(config).args(["events", "parse", "--json"]).arg(&log).output().unwrap();
        text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let events = with(&config);
    assert_eq!(told(&events), ["warning MY_PATH_AILING sdd x1", "error SHELF_HOT sdq x1"]);
    assert_eq!(events[1]["fields"]["celsius"], "71");
    assert_eq!(with(&folder.0.join("missing.toml")).len(), 0, "a log can be read without a configuration");
}

#[test]
fn the_catalogue_says_what_a_type_means_and_by_which_messages_it_is_known() {
    let catalogue = |args: &[&str]| reactorctl().args(["events", "catalogue"]).args(args).output().unwrap();
    let all = text(&catalogue(&[]));
    assert!(all.lines().count() > 150, "{all}");
    expect![[r#"
        MPATH_PATH_REINSTATED (notice, multipath)
          A path of a multipath map works again.
          Nothing.
          ends MPATH_PATH_FAILED, MPATH_FLAPPING, MPATH_CHECKER_DOWN, MPATH_ALL_PATHS_DOWN, MPATH_QUEUE_TIMEOUT, SCSI_DEVICE_OFFLINE, SCSI_DEVICE_OFFLINED

        mpath-reinstating (kernel)
          device-mapper: multipath: 253:3: Reinstating path 8:48.
          device-mapper: multipath: Reinstating path 8:48.

        multipathd-reinstated (multipathd)
          8:48: reinstated
          sdd : reinstate the path after err recovery time
          mpatha: sda - tur checker reports path is up

        uevent-path-reinstated (uevent)
          block change dm-3: DM_ACTION=PATH_REINSTATED DM_PATH=8:48 DM_NR_VALID_PATHS=2 DM_NAME=mpatha DM_UUID=mpath-36001405aabb
    "#]]
    .assert_eq(&text(&catalogue(&["mpath_path_reinstated"])));
    let json: Value = serde_json::from_str(&text(&catalogue(&["--json", "SCSI_MEDIUM_ERROR"]))).unwrap();
    assert_eq!(
        (json["types"][0]["severity"].as_str(), json["rules"][0]["name"].as_str()),
        (Some("critical"), Some("scsi-sense"))
    );
    assert_eq!(catalogue(&["NO_SUCH"]).status.code(), Some(2));
}

/// A path that failed and came back is over; what lasts at the end of the log is open.
#[test]
fn the_incidents_of_a_log_are_told_as_stories() {
    let said = text(&parse(&["--incidents"], &[&recording("scsi_medium.json")]));
    expect![[r#"
        3b9955d0cca7a746 (critical): SCSI_MEDIUM_ERROR on sda, 4 times
          2026-11-28T19:10:05.128145Z  critical SCSI_MEDIUM_ERROR on sda, 4 times, and it lasts (the cause, as far as can be told)
              critical medium error, dev sda, sector 4656 op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2
          2026-11-28T19:10:05.880596Z  error    BUF_IO_ERROR on sda, 2 times
              Buffer I/O error on dev sda, logical block 582, async page read
          means: The disk cannot read or write a sector.
          to do: Replace the disk; have the sector written anew from a copy until then.
          open: something of it lasts
    "#]].assert_eq(&said);
    let all = json(&["--incidents"], &[&recording("multipath.json")]);
    let ends: Vec<_> = all.iter().map(|incident| incident["end"]["how"].as_str().unwrap_or("open")).collect();
    assert_eq!(ends, ["open"], "one cause, and the file system is broken still");
    let quiet = text(&parse(&["--incidents"], &[&recording("oom.json")]));
    assert!(quiet.starts_with("no storage incident in it"), "{quiet}");
}
