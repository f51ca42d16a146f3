//! peripety's words for what an event is, and which of ours they stand for.

use reactor_storage::event::{Event, Severity, Subsystem};

/// How bad, in peripety's words: those of syslog, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Emergency, "Emergency"),
        (Self::Alert, "Alert"),
        (Self::Critical, "Critical"),
        (Self::Error, "Error"),
        (Self::Warning, "Warning"),
        (Self::Notice, "Notice"),
        (Self::Info, "Info"),
        (Self::Debug, "Debug"),
    ];

    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(level, _)| *level == self).map_or("Unknown", |(_, word)| word)
    }

    /// Of a word in any case. peripety writes one of them wrong, and what it wrote is still there.
    pub(super) fn named(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("Ctritical") {
            return Some(Self::Critical);
        }
        Self::ALL.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(level, _)| level)
    }

    /// For the command line.
    pub(super) fn parse(word: &str) -> Result<Self, String> {
        Self::named(word).ok_or_else(|| format!("one of {}", Self::ALL.map(|(_, name)| name).join(", ")))
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Critical,
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
            Severity::Notice => Self::Notice,
            Severity::Info => Self::Info,
        }
    }
}

/// A part of storage: one of peripety's, or one that it did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubSystem {
    Scsi,
    DmDirtyLog,
    LvmThin,
    Multipath,
    FsExt4,
    FsJbd2,
    FsXfs,
    Nvme,
    Peripety,
    Other(Subsystem),
}

impl SubSystem {
    const THEIRS: [Self; 9] = [
        Self::Scsi,
        Self::DmDirtyLog,
        Self::LvmThin,
        Self::Multipath,
        Self::FsExt4,
        Self::FsJbd2,
        Self::FsXfs,
        Self::Nvme,
        Self::Peripety,
    ];

    pub(super) fn of(event: &Event) -> Self {
        match event.subsystem {
            Subsystem::Scsi => Self::Scsi,
            Subsystem::Thin => Self::LvmThin,
            Subsystem::Multipath => Self::Multipath,
            Subsystem::Ext4 if event.message.starts_with("JBD2:") => Self::FsJbd2,
            Subsystem::Ext4 => Self::FsExt4,
            Subsystem::Xfs => Self::FsXfs,
            Subsystem::Nvme => Self::Nvme,
            _ if event.kind == "MIRROR_LOG_FAILED" => Self::DmDirtyLog,
            other => Self::Other(other),
        }
    }

    /// The word in JSON.
    pub(super) fn json(self) -> &'static str {
        match self {
            Self::Scsi => "Scsi",
            Self::DmDirtyLog => "DmDirtyLog",
            Self::LvmThin => "LvmThin",
            Self::Multipath => "Multipath",
            Self::FsExt4 => "FsExt4",
            Self::FsJbd2 => "FsJbd2",
            Self::FsXfs => "FsXfs",
            Self::Nvme => "Nvme",
            Self::Peripety => "Peripety",
            Self::Other(_) => "Other",
        }
    }

    /// The word in text and on the command line.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Scsi => "SCSI",
            Self::DmDirtyLog => "DM-DirtyLog",
            Self::LvmThin => "LVM-ThinProvisioning",
            Self::Multipath => "Multipath",
            Self::FsExt4 => "ext4",
            Self::FsJbd2 => "jbd2",
            Self::FsXfs => "xfs",
            Self::Nvme => "NVMe",
            Self::Peripety => "Peripety",
            Self::Other(other) => other.as_str(),
        }
    }

    /// The word in text of a word in JSON.
    pub(super) fn text_of_json(json: &str) -> &str {
        Self::THEIRS.into_iter().find(|theirs| theirs.json() == json).map_or(json, |theirs| theirs.text())
    }

    /// For the command line: one of peripety's words or of ours, in any case; given in lower case.
    pub(super) fn parse(word: &str) -> Result<String, String> {
        let lower = word.to_ascii_lowercase();
        let theirs = || Self::THEIRS.into_iter().map(Self::text);
        let ours = || Subsystem::ALL.into_iter().map(Subsystem::as_str);
        if theirs().chain(ours()).any(|known| known.eq_ignore_ascii_case(word)) {
            return Ok(lower);
        }
        let mut words: Vec<&str> = theirs().collect();
        words.extend(ours().filter(|ours| !theirs().any(|theirs| theirs.eq_ignore_ascii_case(ours))));
        Err(format!("one of {}", words.join(", ")))
    }
}

/// What peripety called all that a SCSI disk says beside the two for which it had words.
const SENSE: &str = "SCSI_SENSE_KEY";

/// peripety's name of what happened, or ours where it had none.
pub(super) fn event_type(event: &Event) -> &str {
    match event.kind.as_str() {
        "MPATH_PATH_FAILED" => "DM_MPATH_PATH_FAILED",
        "MPATH_PATH_REINSTATED" => "DM_MPATH_PATH_REINSTATED",
        "MIRROR_LOG_FAILED" if event.fields.get("what").is_some_and(|what| what == "write") => {
            "DM_DIRTY_LOG_WRITE_FAILED"
        }
        "MIRROR_LOG_FAILED" => "DM_DIRTY_LOG_READ_FAILED",
        "SCSI_UNALIGNED_COMPLETION" => "SCSI_UNALIGNED_PARTIAL_COMPLETION",
        "SCSI_SPINUP" | "SCSI_SPINUP_FAILED" => "SCSI_SPINNING_UP_DISK",
        "SCSI_DEVICE_OFFLINED" if event.message.contains("Medium access timeout") => {
            "SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK"
        }
        "SCSI_SENSE"
        | "SCSI_ABORTED_COMMAND"
        | "SCSI_NOT_READY"
        | "SCSI_DATA_PROTECT"
        | "SCSI_ILLEGAL_REQUEST"
        | "SCSI_UNIT_ATTENTION"
        | "SCSI_RECOVERED_ERROR"
        | "SCSI_COPY_ABORTED"
            if event.fields.contains_key("key") =>
        {
            SENSE
        }
        "FS_READ_ONLY" => "FS_REMOUNT_READ_ONLY",
        "FS_WRITEBACK_ERROR" => "FS_IO_ERROR",
        ours => ours,
    }
}

/// All names by which an event can be asked for: peripety's, ours, and those of lines that peripety had for events of their own.
pub(super) fn event_types(event: &Event) -> Vec<&str> {
    let mut types = vec![event_type(event), event.kind.as_str()];
    if event.subsystem == Subsystem::Scsi {
        types.extend(event.fields.contains_key("key").then_some(SENSE));
        types.extend(event.fields.contains_key("asc").then_some("SCSI_ADDITIONAL_SENSE_CODE"));
    }
    types
}

/// peripety's name of a field, and what it wrote there.
pub(super) fn field<'a>(name: &'a str, value: &'a str) -> (&'a str, &'a str) {
    match name {
        "key" => ("sense_key", value),
        "form" => ("is_deferred", value),
        "sector_size" => ("sector_sz", value),
        "data_mode" => ("data_mode", data_mode(value)),
        "path" => ("blk_major_minor", value),
        _ => (name, value),
    }
}

fn data_mode(text: &str) -> &str {
    let known = [
        ("journalled", "journalled"),
        ("ordered", "ordered"),
        ("writeback", "writeback"),
        ("without journal", "no_journal"),
    ];
    known.into_iter().find(|(part, _)| text.contains(part)).map_or("unknown", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use reactor_storage::catalogue::Catalogue;
    use reactor_storage::device::DeviceMap;
    use reactor_storage::pipeline::Pipeline;
    use reactor_storage::record::{Origin, Record};

    use super::*;

    fn event(line: &str) -> Event {
        let (catalogue, map) = (Catalogue::built_in(), DeviceMap::default());
        let record = Record::new(Origin::Kernel, line);
        let finding = catalogue.classify(&record).expect("it is about storage");
        let mut pipeline = Pipeline::new();
        pipeline.take(&record, &finding, &map, 0);
        pipeline.finish(&map);
        pipeline.told().pop().expect("it is an event").event
    }

    #[test]
    fn what_peripety_had_a_name_for_has_that_name() {
        for (line, name, sub_system) in [
            ("device-mapper: multipath: 253:3: Failing path 8:48.", "DM_MPATH_PATH_FAILED", "Multipath"),
            ("device-mapper: multipath: 253:3: Reinstating path 8:48.", "DM_MPATH_PATH_REINSTATED", "Multipath"),
            (
                "device-mapper: dirty region log: 253:2: Failed to read header on dirty region log device",
                "DM_DIRTY_LOG_READ_FAILED",
                "DM-DirtyLog",
            ),
            (
                "device-mapper: dirty region log: 253:2: Failed to write header on dirty region log device",
                "DM_DIRTY_LOG_WRITE_FAILED",
                "DM-DirtyLog",
            ),
            (
                "sd 0:0:0:0: [sda] Unaligned partial completion (resid=13312, sector_sz=4096)",
                "SCSI_UNALIGNED_PARTIAL_COMPLETION",
                "SCSI",
            ),
            ("sd 0:0:0:0: [sda] Spinning up disk.....ready", "SCSI_SPINNING_UP_DISK", "SCSI"),
            ("sd 6:0:0:0: [sdf] tag#2 Sense Key : Medium Error [current] ", "SCSI_MEDIUM_ERROR", "SCSI"),
            ("sd 6:0:0:0: [sdf] tag#2 Sense Key : Hardware Error [current] ", "SCSI_HARDWARE_ERROR", "SCSI"),
            ("sd 6:0:0:0: [sdf] tag#2 Sense Key : Not Ready [current] ", "SCSI_SENSE_KEY", "SCSI"),
            (
                "sd 0:0:0:0: [sda] tag#5 Medium access timeout failure. Offlining disk!",
                "SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK",
                "SCSI",
            ),
            ("EXT4-fs (dm-1): mounted filesystem with ordered data mode. Quota mode: none.", "FS_MOUNTED", "ext4"),
            ("EXT4-fs (sda1): Remounting filesystem read-only", "FS_REMOUNT_READ_ONLY", "ext4"),
            ("XFS (dm-0): Unmounting Filesystem", "FS_UNMOUNTED", "xfs"),
            ("dm-0: writeback error on inode 131, offset 0, sector 6432", "FS_IO_ERROR", "fs"),
            ("JBD2: Detected IO errors while flushing file data on sdf-8", "FS_IO_ERROR", "jbd2"),
        ] {
            let event = event(line);
            assert_eq!((event_type(&event), SubSystem::of(&event).text()), (name, sub_system), "{line}: {event:?}");
        }
    }

    #[test]
    fn every_word_for_how_bad_is_taken() {
        for word in ["Emergency", "ALERT", "Ctritical", "critical", "Error", "Warning", "Notice", "Info", "debug"] {
            assert!(Level::parse(word).is_ok(), "{word}");
        }
        assert_eq!(Level::parse("Ctritical"), Ok(Level::Critical));
        assert!(Level::parse("bad").unwrap_err().contains("Emergency, Alert, Critical"));
    }

    #[test]
    fn sub_systems_have_peripetys_words_and_ours() {
        for word in [
            "SCSI",
            "DM-DIRTYLOG",
            "LVM-THINPROVISIONING",
            "MULTIPATH",
            "EXT4",
            "XFS",
            "NVME",
            "JBD2",
            "PERIPETY",
            "md",
        ] {
            assert_eq!(SubSystem::parse(word), Ok(word.to_ascii_lowercase()));
        }
        assert!(SubSystem::parse("tape").is_err());
    }

    #[test]
    fn fields_have_peripetys_names() {
        assert_eq!(field("key", "Medium Error"), ("sense_key", "Medium Error"));
        assert_eq!(field("data_mode", "with ordered data mode"), ("data_mode", "ordered"));
        assert_eq!(field("data_mode", "without journal"), ("data_mode", "no_journal"));
        assert_eq!(field("sector", "1"), ("sector", "1"));
    }
}
