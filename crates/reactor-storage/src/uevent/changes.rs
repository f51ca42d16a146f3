//! What is another than before on a device that the kernel has sent a uevent of: md and SCSI don't say it in the uevent itself.

use super::lines::line;
use crate::device::{Device, Md};

/// What has changed of one device, as lines that the catalogue has rules for. Of two different devices nothing can be said.
pub fn differences(before: &Device, now: &Device) -> Vec<String> {
    let mut lines = Vec::new();
    if before.id != now.id || before.name != now.name {
        return lines;
    }
    if let (Some(was), Some(is)) = (&before.md, &now.md) {
        array(&now.name, was, is, &mut lines);
    }
    if let (Some(was), Some(is)) = (&before.state, &now.state)
        && was != is
        && before.scsi_address.is_some()
    {
        lines.push(line("block", &now.name, [("device/state", is.as_str())]));
    }
    lines
}

fn array(name: &str, was: &Md, is: &Md, lines: &mut Vec<String>) {
    if let (Some(before), Some(now)) = (was.degraded, is.degraded)
        && before != now
    {
        let (now, disks) = (now.to_string(), is.disks.unwrap_or(0).to_string());
        lines.push(line("block", name, [("md/degraded", now.as_str()), ("md/raid_disks", &disks)]));
    }
    for (file, was, is) in [("md/array_state", &was.state, &is.state), ("md/sync_action", &was.action, &is.action)] {
        if let (Some(was), Some(is)) = (was, is)
            && was != is
        {
            lines.push(line("block", name, [(file, is.as_str())]));
        }
    }
}
