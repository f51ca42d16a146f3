//! One datagram of the kernel's uevents: `ACTION@DEVPATH`, then `KEY=value`, each ended by a zero byte.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::DeviceName;
use crate::input::{Fact, Record};
use crate::subject::Subject;

/// Characters kept of each text: names are short, and the path of a device behind many bridges is not.
const MAX_TEXT: usize = 512;

/// What the kernel says of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Uevent {
    /// `add`, `remove`, `change`, `move`, `online`, `offline`, `bind`, `unbind`; whatever the kernel says.
    pub action: String,
    /// For example `block`.
    pub subsystem: String,
    /// Below `/sys`.
    pub devpath: String,
}

/// Why a datagram is none of the kernel's uevents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotUevent {
    /// udev's own messages, and whatever else is sent there.
    #[error("it does not begin with ACTION@DEVPATH")]
    Header,
    /// The kernel gives each device that it speaks of a subsystem.
    #[error("it has no SUBSYSTEM")]
    Subsystem,
}

/// Reads one datagram. Bytes that are not UTF-8 are replaced by U+FFFD, and long texts are cut.
///
/// # Errors
///
/// It is none.
pub fn parse(datagram: &[u8]) -> Result<Record, NotUevent> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(MAX_TEXT).collect::<String>();
    let mut parts = datagram.split(|byte| *byte == 0);
    let header = parts.next().unwrap_or_default();
    let at = header.iter().position(|byte| *byte == b'@').ok_or(NotUevent::Header)?;
    let (action, devpath) = (text(&header[..at]), text(&header[at + 1..]));
    if action.is_empty() || !devpath.starts_with('/') {
        return Err(NotUevent::Header);
    }
    let (mut subsystem, mut device) = (None, None);
    for part in parts {
        match part.iter().position(|byte| *byte == b'=').map(|at| (&part[..at], &part[at + 1..])) {
            Some((b"SUBSYSTEM", value)) if !value.is_empty() => subsystem = Some(text(value)),
            Some((b"DEVNAME", value)) if !value.is_empty() => device = Some(text(value)),
            _ => {}
        }
    }
    let subsystem = subsystem.ok_or(NotUevent::Subsystem)?;
    let subject = device.map_or(Subject::Node, |name| Subject::Device(DeviceName::new(&name)));
    Ok(Record { subject, fact: Fact::Uevent(Uevent { action, subsystem, devpath }) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datagram_of_the_kernel_is_read_and_nothing_else() {
        let disk = b"change@/devices/virtual/block/drbd1000\0ACTION=change\0DEVPATH=/devices/virtual/block/drbd1000\0SUBSYSTEM=block\0MAJOR=147\0MINOR=1000\0DEVNAME=drbd1000\0DEVTYPE=disk\0SEQNUM=4711\0";
        let record = parse(disk).unwrap();
        assert_eq!(record.subject, Subject::Device("drbd1000".into()));
        let Fact::Uevent(uevent) = record.fact else { panic!("{record:?}") };
        let said = (uevent.action.as_str(), uevent.subsystem.as_str(), uevent.devpath.as_str());
        assert_eq!(said, ("change", "block", "/devices/virtual/block/drbd1000"));
        assert_eq!(parse(b"add@/module/dm\0SUBSYSTEM=module\0").unwrap().subject, Subject::Node);
        assert_eq!(parse(b"libudev\0\xfe\xed\xca\xfe"), Err(NotUevent::Header));
        assert_eq!(parse(b"add@/module/dm\0SUBSYSTEM=\0"), Err(NotUevent::Subsystem));
        assert_eq!(parse(b""), Err(NotUevent::Header));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_what_is_kept_is_short(
            head in "[a-z]{0,4}@?/?", noise in proptest::collection::vec(any::<u8>(), 0..2000), with in any::<bool>(),
        ) {
            let mut datagram = head.into_bytes();
            datagram.extend(noise);
            if with {
                datagram.extend(b"\0SUBSYSTEM=block\0DEVNAME=");
                datagram.extend([b'x'; 3000]);
            }
            if let Ok(Record { subject, fact: Fact::Uevent(uevent) }) = parse(&datagram) {
                let short = |text: &str| text.chars().count() <= MAX_TEXT;
                prop_assert!(short(&uevent.action) && short(&uevent.subsystem) && short(&uevent.devpath));
                prop_assert!(short(&subject.to_string()));
            }
        }
    }
}
