//! What is read of one device, as text: nothing is judged here.

use std::collections::BTreeMap;

use super::names::Number;

/// Characters that are kept of each text.
pub const MAX_TEXT: usize = 1024;

/// Links that are kept of one device.
const MAX_LINKS: usize = 256;

/// What is read of one device. Whatever could not be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The kernel's name: that of the folder below `/sys/class/block`, with `/` for `!`.
    pub name: String,
    /// The text of `dev`, if that is a number.
    pub number: Option<Number>,
    /// Where its folder really is: `/devices/...`, without `/sys` before it.
    pub devpath: String,
    /// Text of files.
    pub attributes: BTreeMap<Attribute, String>,
    /// Those of udev's properties that are of use, by name: [`PROPERTIES`].
    pub properties: BTreeMap<&'static str, String>,
    /// The links that udev has made, without `/dev/` before them.
    pub links: Vec<String>,
    /// The devices that it is built on.
    pub slaves: Vec<Slave>,
    /// The controllers by which a namespace is reached.
    pub controllers: Vec<Controller>,
    /// What was odd.
    pub remarks: Vec<String>,
}

/// One of `slaves/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slave {
    /// The kernel's name.
    pub name: String,
    /// Device mapper's name of it, if it has one: it says what the device above does.
    pub dm_name: Option<String>,
}

/// A controller of NVMe.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Controller {
    /// The kernel's name: `nvme0`.
    pub name: String,
    /// `pcie`, `tcp`, `rdma`, `fc`, `loop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// `traddr=10.0.0.1,trsvcid=4420`, or where it is on the PCI bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of the subsystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nqn: Option<String>,
    /// `live`, `connecting`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $file:literal,)+) => {
        /// A text that the kernel has of a device, or of what it is reached by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Attribute {
            $($(#[$doc])* $name,)+
        }

        impl Attribute {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The file below the device's own folder; of what it is reached by, the name of the file where that is described.
            pub const fn file(self) -> &'static str {
                match self {
                    $(Self::$name => $file,)+
                }
            }
        }
    };
}

attributes! {
    /// In sectors of 512 bytes, whatever those of the device are.
    Size = "size",
    /// `1` if it can't be written.
    ReadOnly = "ro",
    /// `1` if nothing of it is shown below `/dev`.
    Hidden = "hidden",
    /// Counts whatever comes and goes by this name: 5.15 and later.
    DiskSequence = "diskseq",
    /// The number of a partition.
    Partition = "partition",
    /// A serial number: virtio, and others.
    Serial = "serial",
    /// Of an NVMe namespace.
    Wwid = "wwid",
    /// Of an NVMe namespace.
    Nguid = "nguid",
    /// Of an NVMe namespace.
    Eui = "eui",
    /// Of an NVMe namespace, and of persistent memory.
    Uuid = "uuid",
    /// Of the SCSI device.
    DeviceWwid = "device/wwid",
    /// Of the SCSI device, or of others.
    DeviceModel = "device/model",
    /// Of the SCSI device.
    DeviceVendor = "device/vendor",
    /// Of the SCSI device, or the controller: `running`, `offline`, `live`.
    DeviceState = "device/state",
    /// Of the NVMe controller.
    DeviceSerial = "device/serial",
    /// Of a SAS device.
    DeviceSasAddress = "device/sas_address",
    /// Of a card.
    DeviceCid = "device/cid",
    /// Of persistent memory.
    DeviceUuid = "device/uuid",
    /// Device mapper's.
    DmName = "dm/name",
    /// Device mapper's.
    DmUuid = "dm/uuid",
    /// `1` while it is suspended.
    DmSuspended = "dm/suspended",
    /// `raid1`, `linear`, ...
    MdLevel = "md/level",
    /// `clean`, `active`, `inactive`, ...
    MdState = "md/array_state",
    /// How many members are missing.
    MdDegraded = "md/degraded",
    /// `idle`, `resync`, `recover`, `check`, ...
    MdAction = "md/sync_action",
    /// How many members there should be.
    MdDisks = "md/raid_disks",
    /// Since 6.2.
    MdUuid = "md/uuid",
    /// The file behind a loop device.
    LoopFile = "loop/backing_file",
    /// Where in the file it begins.
    LoopOffset = "loop/offset",
    /// The name that the user of an nbd device gave it: 5.14 and later.
    NbdBackend = "backend",
    /// Of a bcache device.
    BcacheUuid = "bcache/backing_dev_uuid",
    /// `writethrough`, ...
    BcacheState = "bcache/state",
    /// The algorithm of a zram device.
    ZramAlgorithm = "comp_algorithm",
    /// Of an rbd device, below `/sys/bus/rbd/devices`.
    RbdPool = "pool",
    /// The namespace within the pool.
    RbdNamespace = "pool_ns",
    /// The image.
    RbdImage = "name",
    /// The snapshot of it, or `-`.
    RbdSnapshot = "current_snap",
    /// Of the cluster.
    RbdCluster = "cluster_fsid",
    /// `RESOURCE/VOLUME` of a DRBD device: where the symlink of its minor number leads, below `/sys/kernel/debug`.
    DrbdVolume = "drbd/minors",
    /// The driver of the SCSI host: `lpfc`, `iscsi_tcp`, `ahci`.
    HostDriver = "proc_name",
    /// Of the FC host.
    FcHostPort = "fc_host/port_name",
    /// `16 Gbit`.
    FcHostSpeed = "fc_host/speed",
    /// `Online`, `Linkdown`, ...
    FcHostState = "fc_host/port_state",
    /// Of the FC target.
    FcTargetPort = "fc_remote_ports/port_name",
    /// `Online`, `Blocked`, `Not Present`, ...
    FcTargetState = "fc_remote_ports/port_state",
    /// The IQN.
    IscsiTarget = "iscsi_session/targetname",
    /// The target portal group.
    IscsiTpgt = "iscsi_session/tpgt",
    /// open-iscsi's name of the interface.
    IscsiInterface = "iscsi_session/ifacename",
    /// `LOGGED_IN`, `FAILED`, ...
    IscsiState = "iscsi_session/state",
    /// The address that was configured.
    IscsiAddress = "iscsi_connection/persistent_address",
    /// The port that was configured.
    IscsiPort = "iscsi_connection/persistent_port",
    /// The address that the connection goes to, if nothing else is known.
    IscsiCurrentAddress = "iscsi_connection/address",
    /// The port that the connection goes to, if nothing else is known.
    IscsiCurrentPort = "iscsi_connection/port",
    /// Of the device at the end of the SAS link.
    SasAddress = "sas_device/sas_address",
}

/// The properties of udev that are of use.
pub const PROPERTIES: [&str; 29] = [
    "DEVTYPE",
    "DM_NAME",
    "DM_UUID",
    "DM_SERIAL",
    "DM_WWN",
    "ID_BUS",
    "ID_FS_LABEL",
    "ID_FS_LABEL_ENC",
    "ID_FS_TYPE",
    "ID_FS_UUID",
    "ID_FS_UUID_ENC",
    "ID_MODEL",
    "ID_NAME",
    "ID_PART_ENTRY_NAME",
    "ID_PART_ENTRY_NUMBER",
    "ID_PART_ENTRY_UUID",
    "ID_PART_TABLE_UUID",
    "ID_PATH",
    "ID_SCSI_SERIAL",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_VENDOR",
    "ID_WWN",
    "ID_WWN_WITH_EXTENSION",
    "MD_DEVNAME",
    "MD_LEVEL",
    "MD_NAME",
    "MD_UUID",
    "ID_USB_SERIAL_SHORT",
];

impl Facts {
    /// A device of which only the name is known.
    pub fn new(name: &str) -> Self {
        Self { name: cut(&name.replace('!', "/")), ..Self::default() }
    }

    /// Reads udev's file of the device, `/run/udev/data/bMAJOR:MINOR`: `S:` is a link, `E:` a property, and the rest is udev's own.
    pub fn read_udev(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(link) = line.strip_prefix("S:") {
                if self.links.len() < MAX_LINKS && !link.is_empty() {
                    self.links.push(unescape(link));
                }
            } else if let Some((key, value)) = line.strip_prefix("E:").and_then(|line| line.split_once('='))
                && !value.is_empty()
                && let Some(known) = PROPERTIES.iter().find(|known| **known == key)
            {
                self.properties.insert(known, cut(value));
            }
        }
    }

    /// A text of the kernel, if there is one.
    pub fn attribute(&self, attribute: Attribute) -> Option<&str> {
        self.attributes.get(&attribute).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A property of udev, if there is one.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// Takes a text of the kernel: without the line end and blanks around it, and only so long.
    pub fn set(&mut self, attribute: Attribute, text: &str) {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        if !text.is_empty() {
            self.attributes.insert(attribute, cut(text));
        }
    }
}

/// The beginning of a text.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// `\040` of the mount table, and `\x20` of udev, are a blank.
pub(super) fn unescape(text: &str) -> String {
    let text = cut(text);
    if !text.contains('\\') {
        return text;
    }
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let number = |from: usize, radix| {
            let digits = text.get(at + from..at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, radix).ok()
        };
        let escaped = match (byte, bytes.get(at + 1)) {
            (b'\\', Some(b'x')) => number(2, 16),
            (b'\\', Some(b'0'..=b'3')) => number(1, 8),
            _ => None,
        };
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_udevs_file_the_links_and_the_known_properties_are_kept() {
        let mut facts = Facts::new("cciss!c0d0");
        facts.read_udev(
            "S:disk/by-label/a\\x20b\nW:3\nI:1234\nE:ID_FS_TYPE=xfs\nE:ID_SERIAL=\nE:NO_SUCH=1\nG:systemd\nS:\nE:\n",
        );
        assert_eq!(facts.name, "cciss/c0d0");
        assert_eq!(facts.links, ["disk/by-label/a b"]);
        assert_eq!(facts.properties.into_iter().collect::<Vec<_>>(), [("ID_FS_TYPE", "xfs".to_owned())]);
    }

    #[test]
    fn escapes_are_undone_and_nothing_else_is() {
        assert_eq!(unescape(r"a\040b\x41\134"), r"a bA\");
        assert_eq!(unescape(r"\x4 \04 \xzz \"), r"\x4 \04 \xzz \");
        assert_eq!(unescape(r"\xffü"), "\u{fffd}ü");
        assert_eq!(cut(&"ü".repeat(MAX_TEXT + 1)).chars().count(), MAX_TEXT);
    }
}
