//! Block devices: what each is, the id by which it is known again, and what is built on it.
//!
//! ```text
//!   sysfs, udev, mountinfo ─▶ Facts ─▶ Device ─▶ DeviceMap ─▶ find("sda"), resolve(Named), above, below, Summary
//!   (read by someone else)    text     meaning   indices,
//!                                                 who has gone
//! ```
//!
//! There is no I/O here: whoever uses it hands in [`Facts`], one for each device, and the text of the mount table.
//!
//! # The stable id
//!
//! [`Device::id`] is the same after a reboot and after another name was given, as far as the device says anything that is. The first of these that
//! there is:
//!
//! | device | id |
//! | --- | --- |
//! | DRBD | `drbd:RESOURCE/VOLUME`; without a known resource `drbd:MINOR` |
//! | dm | its dm uuid, whole: `mpath-3600...`, `LVM-...`, `CRYPT-...`; without one `dm-name-NAME` |
//! | partition | the id of its disk, and `-partN` |
//! | SCSI, NVMe | the WWID that the kernel has of it: `naa.600...`, `t10....`, `eui....`, `uuid....`; blanks become one `-` |
//! | path of native NVMe multipath | that of the namespace, `-path-`, and the address of the controller |
//! | md | `md-uuid-` and the array's |
//! | mmc, bcache, pmem | `mmc-CID`, `bcache-UUID`, `pmem-UUID` |
//! | rbd | `rbd:CLUSTER/POOL/IMAGE`, with the namespace and the snapshot if it has them |
//! | loop | `loop:FILE` |
//! | nbd | `nbd:BACKEND`, if the kernel knows it |
//! | zram, RAM disks | `name-NAME` |
//! | any with a serial number | `BUS-SERIAL`, as udev names it below `/dev/disk/by-id`; `virtio-SERIAL` |
//! | any else | `ptuuid-` (partition table), `fs-uuid-` (file system or other content), `path-` (where it is plugged in), at last `name-NAME` |
//!
//! Those of SCSI, of dm and of their partitions are peripety's. Paths of one multipath disk have one WWID, as they are one disk.

mod build;
mod called;
mod facts;
mod find;
mod group;
mod identity;
mod index;
mod kind;
mod map;
mod mounts;
mod names;
mod near;
mod order;
mod place;
mod summary;
#[cfg(test)]
mod tests;
mod transport;

pub use build::{Device, Dm, DrbdName, FileSystem, Ids, Md};
pub use called::{Called, MAX_CALLED};
pub use facts::{Attribute, Controller, Facts, MAX_TEXT, PROPERTIES, Slave};
pub use find::{Found, NotFound};
pub use group::{Because, ConfiguredVolume, DrbdDevice, PhysicalVolume, Stacking, Stacks};
pub use kind::Kind;
pub use map::{DeviceMap, DrbdVolume, MAX_GONE};
pub use mounts::{Mount, MountPoint, parse as parse_mounts};
pub use names::{Number, ScsiAddress, mount_unit, vg_and_lv};
pub use place::Place;
pub use summary::{Carries, Related, Report, Summary};
pub use transport::Transport;
