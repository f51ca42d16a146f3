//! Block devices, as `reactorctl block --json` prints them. The types themselves are in `reactor-storage`, which nothing of the control socket needs.

use schemars::JsonSchema;

/// The devices, and what was odd.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
pub(super) struct Block {
    /// All of them; with ID the one that was found, then others that are called so.
    devices: Vec<Device>,
    /// What was odd, and is not of one device.
    remarks: Vec<String>,
}

/// A block device.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Device {
    /// The stable id, which is the same after a reboot and by another name, if the device has any such.
    id: String,
    /// What kind of device: `scsi`, `nvme`, `multipath`, `partition`, `drbd`, ..., `other`.
    kind: String,
    /// The device number, `8:0`.
    number: Option<String>,
    /// The kernel's name.
    name: String,
    /// The path to use for it.
    path: String,
    /// All links that udev has made.
    links: Vec<String>,
    /// All ids that are known.
    ids: Ids,
    /// Of a partition, its number.
    partition: Option<u32>,
    /// How it is reached.
    transport: Option<Transport>,
    /// Host, channel, target, unit: `6:0:0:0`.
    scsi_address: Option<String>,
    /// What the device says of itself: `running`, `offline`, `live`.
    state: Option<String>,
    /// The controllers by which a namespace of NVMe is reached.
    controllers: Option<Vec<Controller>>,
    /// In bytes.
    size: Option<u64>,
    /// Whether it can't be written.
    read_only: bool,
    /// What is on it.
    file_system: Option<FileSystem>,
    /// Where it is mounted.
    mounts: Vec<Mount>,
    /// Device mapper's part.
    dm: Option<Dm>,
    /// md's part.
    md: Option<Md>,
    /// DRBD's part.
    drbd: Option<Drbd>,
    /// The file behind a loop device.
    file: Option<String>,
    /// Units of systemd that use it.
    units: Vec<String>,
    /// What was odd.
    remarks: Option<Vec<String>>,
    /// All that is built on it, the nearest first.
    above: Vec<Related>,
    /// All that it is built on, the nearest first.
    below: Vec<Related>,
    /// What it carries, itself or by what is built on it.
    carries: Carries,
    /// When it has gone, in microseconds since 1970.
    gone_us: Option<u64>,
}

/// Ids of a device.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Ids {
    /// The kernel's WWID.
    wwid: Option<String>,
    /// The serial number.
    serial: Option<String>,
    /// udev's serial number.
    udev_serial: Option<String>,
    /// udev's World Wide Name.
    wwn: Option<String>,
    /// Of NVMe.
    nguid: Option<String>,
    /// Of NVMe.
    eui: Option<String>,
    /// Of the device.
    uuid: Option<String>,
    /// Device mapper's.
    dm_uuid: Option<String>,
    /// md's, in mdadm's form.
    md_uuid: Option<String>,
    /// Of the partition.
    partition_uuid: Option<String>,
    /// Of the partition.
    partition_label: Option<String>,
    /// Of the partition table.
    partition_table_uuid: Option<String>,
    /// udev's name of where it is plugged in.
    by_path: Option<String>,
    /// Who made it.
    vendor: Option<String>,
    /// What it is sold as.
    model: Option<String>,
}

/// How a device is reached: which keys there are depends on `type`.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Transport {
    /// `fc`, `iscsi`, `sas`, `usb`, `ata`, `nvme-pcie`, `nvme-of`, `virtio`, `mmc`, or `scsi`.
    r#type: String,
    /// FC: WWPN of our port.
    host_wwpn: Option<String>,
    /// FC: WWPN of the target's port.
    target_wwpn: Option<String>,
    /// FC: as the kernel says it.
    speed: Option<String>,
    /// FC: of our port.
    port_state: Option<String>,
    /// FC: of the target's port.
    target_state: Option<String>,
    /// FC: the kernel's name of the target's port.
    rport: Option<String>,
    /// iSCSI: the IQN.
    target: Option<String>,
    /// iSCSI: address and port.
    portal: Option<String>,
    /// iSCSI: the target portal group.
    tpgt: Option<String>,
    /// iSCSI: open-iscsi's name of the interface.
    iface: Option<String>,
    /// iSCSI: `LOGGED_IN`, `FAILED`, ...
    state: Option<String>,
    /// iSCSI: the kernel's number.
    session: Option<u32>,
    /// SAS: of the device. NVMe in a slot: on the PCI bus.
    address: Option<String>,
    /// SAS: the end of the link.
    end_device: Option<String>,
    /// USB: bus and ports. ATA: the number of the port.
    port: Option<Port>,
    /// NVMe over Fabrics: `tcp`, `rdma`, `fc`, `loop`.
    transport: Option<String>,
    /// NVMe over Fabrics: the target's address.
    traddr: Option<String>,
    /// NVMe over Fabrics: the target's port.
    trsvcid: Option<String>,
    /// NVMe over Fabrics: our address.
    host_traddr: Option<String>,
    /// NVMe over Fabrics: of the subsystem.
    nqn: Option<String>,
    /// virtio: the device.
    device: Option<String>,
    /// MMC: the card.
    card: Option<String>,
    /// Other SCSI hosts: the driver.
    driver: Option<String>,
}

/// A port.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is of interest")]
enum Port {
    /// `1-1.2`.
    Usb(String),
    /// `ata1` is 1.
    Ata(u32),
}

/// A controller of NVMe.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Controller {
    /// The kernel's name.
    name: String,
    /// `pcie`, `tcp`, `rdma`, `fc`, `loop`.
    transport: Option<String>,
    /// As the kernel says it.
    address: Option<String>,
    /// Of the subsystem.
    nqn: Option<String>,
    /// `live`, `connecting`, ...
    state: Option<String>,
}

/// What is on a device.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct FileSystem {
    /// `xfs`, `LVM2_member`, `crypto_LUKS`, ...
    r#type: String,
    /// Its UUID.
    uuid: Option<String>,
    /// Its label.
    label: Option<String>,
}

/// A mount point.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Mount {
    /// The folder.
    path: String,
    /// The type of the file system.
    fs_type: String,
    /// Whether it is mounted read-only, or has become so.
    read_only: bool,
}

/// Device mapper's part.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Dm {
    /// Its name.
    name: String,
    /// Of a logical volume, the volume group.
    vg: Option<String>,
    /// Of a logical volume, its name.
    lv: Option<String>,
    /// Whether all I/O to it waits.
    suspended: bool,
}

/// md's part.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Md {
    /// `raid1`, ...
    level: Option<String>,
    /// `clean`, `active`, ...
    state: Option<String>,
    /// `idle`, `resync`, `recover`, ...
    action: Option<String>,
    /// How many members there should be.
    disks: Option<u32>,
    /// How many of them are missing.
    degraded: Option<u32>,
}

/// DRBD's part.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Drbd {
    /// The resource.
    resource: Option<String>,
    /// The volume.
    volume: Option<u32>,
    /// DRBD's minor number.
    minor: Option<u32>,
}

/// Another device.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Related {
    /// Its stable id.
    id: String,
    /// Device mapper's name, or the kernel's.
    name: String,
    /// What kind of device.
    kind: String,
}

/// What a device carries: what is hit if it fails.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Carries {
    /// Volumes of DRBD: `r0/0`.
    drbd: Option<Vec<String>>,
    /// Mount points.
    mounts: Option<Vec<String>>,
    /// Units of systemd.
    units: Option<Vec<String>>,
}
