//! Forms of names: numbers, SCSI addresses, LVM's names in device mapper's, systemd's of mount points.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A device number. As text, and in JSON, `8:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Number {
    /// Of the driver.
    pub major: u32,
    /// Of the device.
    pub minor: u32,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.to_string()
    }
}

impl FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let parsed = text.trim().split_once(':').and_then(|(major, minor)| {
            Some(Self { major: digits(major)?.try_into().ok()?, minor: digits(minor)?.try_into().ok()? })
        });
        parsed.ok_or(NotANumber)
    }
}

impl TryFrom<String> for Number {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, NotANumber> {
        text.parse()
    }
}

/// It is no device number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device number is MAJOR:MINOR")]
pub struct NotANumber;

/// Where a SCSI device is. As text, and in JSON, `6:0:0:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ScsiAddress {
    /// The adapter.
    pub host: u32,
    /// Its channel.
    pub channel: u32,
    /// The device on it.
    pub target: u32,
    /// The unit of that.
    pub lun: u64,
}

impl fmt::Display for ScsiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.host, self.channel, self.target, self.lun)
    }
}

impl From<ScsiAddress> for String {
    fn from(address: ScsiAddress) -> Self {
        address.to_string()
    }
}

impl FromStr for ScsiAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let mut parts = text.trim().split(':').map(digits);
        let mut next = || parts.next().flatten().ok_or(NotAnAddress);
        let small = |number: u64| u32::try_from(number).map_err(|_| NotAnAddress);
        let address = Self { host: small(next()?)?, channel: small(next()?)?, target: small(next()?)?, lun: next()? };
        if parts.next().is_some() { Err(NotAnAddress) } else { Ok(address) }
    }
}

impl TryFrom<String> for ScsiAddress {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

/// It is no SCSI address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SCSI address is HOST:CHANNEL:TARGET:LUN")]
pub struct NotAnAddress;

/// Digits alone: no sign, no blank.
pub(super) fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The volume group and the logical volume of device mapper's name of a logical volume: `vg--a-lv` is `lv` of `vg-a`. A hyphen of a name is doubled
/// there, and a single one stands between names; what comes behind the second is LVM's own.
pub fn vg_and_lv(dm_name: &str) -> Option<(String, String)> {
    let mut parts = vec![String::new()];
    let mut chars = dm_name.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '-' && chars.next_if_eq(&'-').is_none() {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let mut parts = parts.into_iter().filter(|part| !part.is_empty());
    Some((parts.next()?, parts.next()?))
}

/// systemd's mount unit of a mount point: `/srv/a-b` is `srv-a\x2db.mount`.
pub fn mount_unit(point: &str) -> String {
    let path: Vec<&str> = point.split('/').filter(|part| !part.is_empty()).collect();
    if path.is_empty() {
        return "-.mount".to_owned();
    }
    let mut unit = String::new();
    for (at, part) in path.iter().enumerate() {
        if at > 0 {
            unit.push('-');
        }
        for (within, byte) in part.bytes().enumerate() {
            let plain = byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'.');
            let leading_dot = byte == b'.' && at == 0 && within == 0;
            if plain && !leading_dot {
                unit.push(char::from(byte));
            } else {
                unit += &format!("\\x{byte:02x}");
            }
        }
    }
    unit + ".mount"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_are_digits_and_colons() {
        assert_eq!("8:48".parse(), Ok(Number { major: 8, minor: 48 }));
        for wrong in ["8", "8:", ":8", "8:4:8", "+8:1", "8: 1", "99999999999:1", ""] {
            assert_eq!(wrong.parse::<Number>(), Err(NotANumber), "{wrong}");
        }
        let address = ScsiAddress { host: 6, channel: 0, target: 1, lun: 4_611_686_018_427_387_904 };
        assert_eq!("6:0:1:4611686018427387904".parse(), Ok(address));
        for wrong in ["6:0:0", "6:0:0:0:0", "6:0:0:x", "-1:0:0:0"] {
            assert_eq!(wrong.parse::<ScsiAddress>(), Err(NotAnAddress), "{wrong}");
        }
    }

    #[test]
    fn hyphens_of_volume_groups_are_single_again() {
        let names = |name| vg_and_lv(name).map(|(vg, lv)| format!("{vg}/{lv}"));
        assert_eq!(names("vg-lv").as_deref(), Some("vg/lv"));
        assert_eq!(names("vg--a-lv--b").as_deref(), Some("vg-a/lv-b"));
        assert_eq!(names("vg-pool-tpool").as_deref(), Some("vg/pool"));
        assert_eq!(names("mpatha"), None);
        assert_eq!(names("--"), None);
        assert_eq!(names(""), None);
    }

    #[test]
    fn mount_units_are_named_as_systemd_names_them() {
        assert_eq!(mount_unit("/"), "-.mount");
        assert_eq!(mount_unit("/srv/a-b"), "srv-a\\x2db.mount");
        assert_eq!(mount_unit("/.snap/x.y"), "\\x2esnap-x.y.mount");
        assert_eq!(mount_unit("/mnt/ü b"), "mnt-\\xc3\\xbc\\x20b.mount");
    }
}
