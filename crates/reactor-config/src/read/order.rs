//! Orders of `start` that are rarely meant: what leans on something stands before it.

use std::ops::Range;

use reactor_core::settings::promoter::{Entry, StartEntry};

use super::walk::Reader;
use crate::finding::{Code, Related};

/// What an entry is, as far as its place in the list matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Layer {
    VolumeGroup,
    FileSystem,
    Container,
    Address,
}

impl Layer {
    fn words(self) -> &'static str {
        match self {
            Self::VolumeGroup => "a volume group",
            Self::FileSystem => "a file system",
            Self::Container => "a container",
            Self::Address => "an address",
        }
    }
}

/// What can be told by its agent.
fn layer(entry: &Entry) -> Option<Layer> {
    let StartEntry::Ocf { agent, .. } = &entry.what else { return None };
    Some(match agent.as_str() {
        "LVM-activate" | "LVM" => Layer::VolumeGroup,
        "Filesystem" => Layer::FileSystem,
        "lxc" | "docker" | "podman" | "ManageVE" => Layer::Container,
        "IPaddr2" | "IPaddr" => Layer::Address,
        _ => return None,
    })
}

/// The device that a file system is on, if that names its volume group.
fn is_on(entry: &Entry, vg: &Entry) -> bool {
    let value = |entry: &Entry, wanted: &str| match &entry.what {
        StartEntry::Ocf { parameters, .. } => {
            parameters.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone())
        }
        _ => None,
    };
    let (Some(device), Some(vg)) = (value(entry, "device"), value(vg, "vgname").or_else(|| value(vg, "volgrpname")))
    else {
        return false;
    };
    let mapped = vg.replace('-', "--");
    device.starts_with(&format!("/dev/{vg}/")) || device.starts_with(&format!("/dev/mapper/{mapped}-"))
}

/// Reports them.
pub(super) fn report(reader: &mut Reader<'_>, entries: &[(Entry, Range<usize>)]) {
    for (at, (entry, span)) in entries.iter().enumerate() {
        let Some(above) = layer(entry) else { continue };
        let later = entries[at + 1..].iter().filter_map(|later| Some((layer(&later.0)?, later)));
        let odd = later.filter(|(below, (later, _))| match (above, below) {
            (Layer::FileSystem, Layer::VolumeGroup) => is_on(entry, later),
            // Clients come when the address is there: what they come for should be there before.
            (Layer::Container | Layer::Address, Layer::FileSystem | Layer::VolumeGroup) => true,
            _ => false,
        });
        let Some((below, (_, later))) = odd.min_by_key(|(_, (_, span))| span.start) else { continue };
        let first = reader.location(later.clone());
        let message = format!("{} is started before {}, which it probably needs", above.words(), below.words());
        let finding = reader.warn(Code::Suspicious, span.clone(), message);
        finding.hint = Some("entries are started in the order of the list, and stopped in the other one".to_owned());
        finding.related.push(Related { location: first, label: "started later".to_owned() });
    }
}
