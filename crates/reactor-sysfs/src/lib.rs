//! What this machine, or a folder that looks like one, says of its block devices: text in, [`Facts`] out, nothing is judged.
//!
//! ```text
//!   ROOT/sys/class/block/*        ─┐
//!   ROOT/sys/class/{fc_host,...}   ├─▶ Reader ─▶ Facts of each device, mounts, remarks ─▶ reactor_storage::device::DeviceMap
//!   ROOT/run/udev/data/b*          │
//!   ROOT/proc/self/mountinfo      ─┘
//!   ROOT/run/lvm/pvs_online/*     ───▶ physical volumes that LVM wrote down
//! ```
//!
//! A device is never opened. Reads are bounded. Files that are missing, can't be read, or vanish while others are read are normal: the device is
//! listed with what there is, and what is odd becomes a remark.

mod disk;
mod file;
mod reach;
mod reader;

pub use reactor_storage::device::Facts;
pub use reader::{Listing, ListingError, Reader};
