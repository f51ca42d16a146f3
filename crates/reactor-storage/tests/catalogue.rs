//! The catalogue against whole logs: what happened on a real kernel 7.2 is found, and ordinary logs are no trouble.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads recordings, and says where it can not go on"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proptest::prelude::*;
use reactor_storage::catalogue::{Catalogue, Finding, What, types};
use reactor_storage::event::{Named, Severity};
use reactor_storage::formats::{Format, Reader};
use reactor_storage::fuzzing::any_message;
use reactor_storage::record::{Origin, Record};

/// Up to here the recorded kernel only started.
const BOOTED_US: u64 = 2_800_000;

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72")
}

/// Calls `each` with every record of a recording.
fn read(name: &str, format: Format, mut each: impl FnMut(&Record<'_>)) {
    let bytes = fs::read(recordings().join(name)).unwrap();
    let mut reader = Reader::new(format);
    reader.push(&bytes, |record| each(&record));
    reader.end(|record| each(&record));
}

fn stories() -> Vec<String> {
    let names = fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut stories: Vec<_> = names.filter_map(|name| Some(name.strip_suffix(".kmsg")?.to_owned())).collect();
    stories.sort();
    stories
}

/// A device in few letters.
fn device(device: &Named<'_>) -> String {
    match device {
        Named::Number(major, minor) => format!("{major}:{minor}"),
        Named::Scsi(host, channel, target, lun) => format!("{host}:{channel}:{target}:{lun}"),
        Named::ScsiHost(host) => format!("host{host}"),
        Named::Ata(port, None) => format!("ata{port}"),
        Named::Ata(port, Some(device)) => format!("ata{port}.{device:02}"),
        Named::IscsiSession(session) => format!("session{session}"),
        Named::FcPort(port) => format!("rport-{port}"),
        Named::Drbd(resource, None) => format!("drbd {resource}"),
        Named::Drbd(resource, Some(volume)) => format!("drbd {resource}/{volume}"),
        Named::Kernel(name)
        | Named::NvmeController(name)
        | Named::Pci(name)
        | Named::Dm(name)
        | Named::Path(name)
        | Named::Id(name)
        | Named::Remote(name) => name.to_string(),
    }
}

/// A finding in one line.
fn line(finding: &Finding<'_>) -> String {
    let devices: Vec<_> = finding.devices.iter().map(|(role, named)| format!("{role} {}", device(named))).collect();
    let what = match finding.what {
        What::Event => "",
        What::Part => " (part)",
        What::Suppressed { .. } => " (left out)",
    };
    format!("{:<8} {}{what}: {}", finding.severity.as_str(), finding.event.name, devices.join(", "))
}

/// What is found in a log: each line once, in the order in which they came first, with how often.
#[derive(Default)]
struct Table {
    order: Vec<String>,
    counts: BTreeMap<String, u32>,
}

impl Table {
    fn add(&mut self, finding: &Finding<'_>) {
        let line = line(finding);
        let count = self.counts.entry(line.clone()).or_default();
        if *count == 0 {
            self.order.push(line);
        }
        *count += 1;
    }

    fn text(&self) -> String {
        self.order.iter().map(|line| format!("{:>4} {line}\n", self.counts[line])).collect()
    }
}

#[test]
fn what_happened_on_kernel_7_2_is_found() {
    let catalogue = Catalogue::built_in();
    let mut text = String::new();
    for story in stories() {
        let mut table = Table::default();
        read(&format!("{story}.journal-all.txt"), Format::ShortMonotonic, |record| {
            if let Some(finding) = catalogue.classify(record) {
                table.add(&finding);
            }
        });
        _ = writeln!(text, "== {story}\n{}", table.text());
    }
    expect_file!["catalogue/kernel72-journal.txt"].assert_eq(&text);
}

#[test]
fn what_the_kernel_had_in_its_buffer_is_found() {
    // All stories are of one boot, and each has what was still in the buffer: together they are the whole day.
    let mut records: BTreeMap<u64, String> = BTreeMap::new();
    for story in stories() {
        read(&format!("{story}.kmsg"), Format::Kmsg, |record| {
            if record.origin == Origin::Kernel {
                records.insert(record.place.sequence.unwrap(), record.text.to_string());
            }
        });
    }
    let catalogue = Catalogue::built_in();
    let mut table = Table::default();
    for text in records.values() {
        if let Some(finding) = catalogue.classify(&Record::new(Origin::Kernel, text.as_str())) {
            table.add(&finding);
        }
    }
    expect_file!["catalogue/kernel72-kmsg.txt"].assert_eq(&table.text());
}

#[test]
fn a_boot_is_no_trouble() {
    let catalogue = Catalogue::built_in();
    let mut lines = 0;
    for story in stories() {
        read(&format!("{story}.kmsg"), Format::Kmsg, |record| {
            if record.at.boot_us.is_none_or(|us| us > BOOTED_US) {
                return;
            }
            lines += 1;
            let severity = catalogue.classify(record).map(|finding| finding.severity);
            assert!(severity <= Some(Severity::Info), "{:?}: {}", severity, record.text);
        });
    }
    assert!(lines > 500, "only {lines} lines of boots");
}

/// Ordinary lines, each with its identifier.
fn ordinary() -> Vec<(&'static str, &'static str)> {
    let lines =
        include_str!("catalogue/ordinary.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line}"))).collect()
}

#[test]
fn ordinary_logs_are_no_trouble() {
    let catalogue = Catalogue::built_in();
    let mut wrong = String::new();
    for (identifier, text) in ordinary() {
        let origin = if identifier == "kernel" { Origin::Kernel } else { Origin::Program(identifier) };
        let record = Record::new(origin, text);
        if let Some(finding) = catalogue.classify(&record).filter(|finding| finding.severity > Severity::Info) {
            _ = writeln!(wrong, "{identifier}: {text}: {}", line(&finding));
        }
    }
    assert_eq!(wrong, "");
    assert!(ordinary().len() >= 300, "only {} lines", ordinary().len());
}

#[test]
fn what_only_the_kernel_says_is_nothing_when_others_say_it() {
    let catalogue = Catalogue::built_in();
    for note in reactor_storage::catalogue::notes().iter().filter(|note| note.of == "kernel") {
        for sample in note.wordings.iter().flat_map(|wording| wording.samples) {
            for program in ["sh", "systemd-journald", "containerd", "postgres", "sudo"] {
                assert_eq!(catalogue.classify(&Record::new(Origin::Program(program), *sample)), None, "{sample}");
            }
        }
    }
}

#[test]
fn samples_say_what_they_say() {
    let catalogue = Catalogue::built_in();
    let mut text = String::new();
    for note in reactor_storage::catalogue::notes() {
        let origin = match note.of.split(", ").next().unwrap() {
            "kernel" => Origin::Kernel,
            "uevent" => Origin::Uevent,
            program => Origin::Program(program),
        };
        for sample in note.wordings.iter().flat_map(|wording| wording.samples) {
            let record = Record::new(origin, *sample);
            let finding = catalogue.classify(&record).unwrap();
            let fields: Vec<_> = finding.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let joined = finding.joined.map(|key| format!("\n    joined {key:?}")).unwrap_or_default();
            _ = writeln!(text, "{sample:?}\n    {}\n    {}{joined}", line(&finding), fields.join("; "));
        }
    }
    expect_file!["catalogue/samples.txt"].assert_eq(&text);
}

#[test]
fn blanks_and_line_ends_around_a_message_do_not_count() {
    let catalogue = Catalogue::built_in();
    for text in ["JBD2: recovery failed", "  JBD2: recovery failed \n", "\tJBD2: recovery failed\0"] {
        assert!(catalogue.classify(&Record::new(Origin::Kernel, text)).is_some(), "{text:?}");
    }
}

#[test]
fn a_message_of_any_length_is_looked_at_up_to_a_limit() {
    let catalogue = Catalogue::built_in();
    let long = "\u{e9}".repeat(100_000);
    let text = format!("EXT4-fs error (device sda1): ext4_lookup:1: comm {long}: bad");
    let record = Record::new(Origin::Kernel, text);
    let finding = catalogue.classify(&record).unwrap();
    assert!(finding.event.is("FS_ERROR"));
    assert!(finding.fields.iter().map(|(_, value)| value.len()).sum::<usize>() < 10_000);
}

#[test]
fn types_are_told_apart_by_their_names() {
    let names: Vec<_> = types::all().map(|event| event.name.as_ref()).collect();
    assert!(names.len() > 150, "{}", names.len());
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')));
}

/// Pieces that lines are made of.
fn piece() -> impl Strategy<Value = String> {
    let samples: Vec<String> = reactor_storage::catalogue::notes()
        .iter()
        .flat_map(|note| note.wordings.iter().flat_map(|wording| wording.samples.iter().map(|text| (*text).to_owned())))
        .collect();
    prop_oneof![
        "\\PC{0,20}",
        "[ \t\n\0:.(){}\\[\\]]{1,6}",
        proptest::sample::select(samples.clone()),
        (proptest::sample::select(samples), 0..200_usize, 0..200_usize).prop_map(|(text, from, to)| {
            let (from, to) = (from.min(text.len()), to.min(text.len()));
            text.get(from.min(to)..from.max(to)).unwrap_or_default().to_owned()
        }),
    ]
}

proptest! {
    #[test]
    fn any_text_is_classified_the_same_by_one_pass_and_by_trying_every_wording(
        pieces in proptest::collection::vec(piece(), 1..5),
        bytes in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        thread_local!(static CATALOGUE: Catalogue = Catalogue::built_in());
        let text = [pieces.concat().as_bytes(), &bytes].concat();
        CATALOGUE.with(|catalogue| any_message(catalogue, &text));
    }
}
