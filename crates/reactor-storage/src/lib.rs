//! Storage events: messages of the kernel and of storage tools in, events and incidents with stable device identity out.
//!
//! ```text
//!   bytes ─▶ formats ─▶ Record ─▶ catalogue ─▶ Finding ─▶ pipeline ─▶ Event ─▶ incidents ─▶ Incident
//!           kmsg, journal,        one pass     type,      DeviceMap:  lines of            events of
//!           dmesg, syslog         over rules   fields     which disk  one failure         one cause
//! ```
//!
//! Every stage is a plain function of what is passed in: there is no I/O, no clock and no thread here. The map of block devices is an argument
//! ([`device::DeviceMap`]); whoever uses the crate reads it from sysfs, or makes one up.

pub mod catalogue;
pub mod device;
pub mod event;
pub mod formats;
pub mod fuzzing;
pub mod incidents;
pub mod pipeline;
pub mod record;
pub mod uevent;
