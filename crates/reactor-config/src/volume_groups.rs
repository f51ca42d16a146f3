//! What is said of an entry that activates a volume group of LVM, given where the group is.

use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units::escape;
use reactor_storage::device::{DrbdDevice, Stacking};

use crate::finding::Severity;

/// What is said.
#[derive(Debug)]
pub(crate) struct Said {
    /// [`Severity::Note`] if nothing is wrong, or nothing is known.
    pub(crate) severity: Severity,
    /// What, as a sentence.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// Which list the entry is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// `start`: it runs where the resource is Primary.
    Start,
    /// `standby`: it runs where the resource is Secondary.
    Standby,
}

/// Judges. A group below DRBD is an error on whatever machine: no node may stop it while DRBD is up.
pub(crate) fn judge(resource: &ResourceName, group: &str, stacking: &Stacking, list: List) -> Said {
    let what = format!("the volume group `{group}` {stacking}");
    let (severity, then, hint) = match stacking {
        Stacking::Above { .. } if list == List::Standby => (
            Severity::Error,
            ": where the resource is Secondary nobody can read that",
            Some("an entry of `start` is what it can be".to_owned()),
        ),
        Stacking::Above { beside, .. } if beside.is_empty() => {
            (Severity::Note, ": it is activated after the promotion, as it has to be", None)
        }
        Stacking::Above { .. } => (
            Severity::Warning,
            ", which this resource does not replicate: other nodes lack a part of it",
            Some("pvmove what is there to DRBD's device, and vgreduce; or make it a volume of the resource".to_owned()),
        ),
        Stacking::Below { .. } => (
            Severity::Error,
            ": it has to be active before DRBD is up, and to stop it is to take the disk from DRBD",
            Some(format!(
                "take it out of the list: with `systemctl enable drbd-lvchange@{}.service` (drbd-utils) it is active before DRBD",
                escape(resource.as_str())
            )),
        ),
        Stacking::Past { .. } => (
            Severity::Warning,
            ": what is written there is not replicated, or DRBD can't have its disk",
            Some("let LVM not look at the disk below DRBD: the devices file (lvmdevices), or devices/global_filter in lvm.conf".to_owned()),
        ),
        Stacking::Elsewhere { .. } => (
            Severity::Warning,
            ": after the promotion something else is activated than what DRBD replicates",
            Some(format!("`pvs` and `reactorctl block {resource}` print what is built on what")),
        ),
        Stacking::Unknown { device } => {
            let hint = match device {
                DrbdDevice::Absent => "`drbdadm up` first, or check again where the resource is Primary",
                DrbdDevice::Holds(_) | DrbdDevice::HoldsOther(..) | DrbdDevice::Silent(_) => {
                    "check again where the resource is Primary and the services run"
                }
            };
            (Severity::Note, "", Some(hint.to_owned()))
        }
    };
    Said { severity, message: what + then, hint }
}
