//! Where a device is plugged in, by its path below `/sys`.

use super::names::{ScsiAddress, digits};

/// What the path says: `/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The SCSI address.
    pub scsi: Option<ScsiAddress>,
    /// The SCSI host.
    pub host: Option<u32>,
    /// The port of libata.
    pub ata: Option<u32>,
    /// The session of iSCSI.
    pub session: Option<u32>,
    /// The remote port of Fibre Channel: `7:0-4`.
    pub rport: Option<String>,
    /// The end of the SAS link: `end_device-0:0:1`.
    pub sas: Option<String>,
    /// Where it is on the USB: `1-1.2`.
    pub usb: Option<String>,
    /// The device of virtio: `virtio1`.
    pub virtio: Option<String>,
    /// The card: `mmc0:0001`.
    pub mmc: Option<String>,
    /// The controller of NVMe: `nvme0`.
    pub nvme: Option<String>,
    /// The PCI functions on the way, the nearest to the device last: `0000:05:00.0`.
    pub pci: Vec<String>,
}

/// Parts of a path that are looked at: bridges can be stacked, but not so high.
const MAX_PARTS: usize = 64;

impl Place {
    /// Reads the path.
    pub fn parse(devpath: &str) -> Self {
        let mut place = Self::default();
        for part in devpath.split('/').take(MAX_PARTS) {
            place.take(part);
        }
        place
    }

    fn take(&mut self, part: &str) {
        let number = |prefix: &str| part.strip_prefix(prefix).and_then(digits).and_then(|n| u32::try_from(n).ok());
        if let Some(host) = number("host") {
            self.host = Some(host);
        } else if let Some(port) = number("ata") {
            self.ata = Some(port);
        } else if let Some(session) = number("session") {
            self.session = Some(session);
        } else if let Some(rport) = part.strip_prefix("rport-") {
            self.rport = Some(rport.to_owned());
        } else if part.starts_with("end_device-") {
            self.sas = Some(part.to_owned());
        } else if number("virtio").is_some() {
            self.virtio = Some(part.to_owned());
        } else if number("nvme").is_some() {
            self.nvme = Some(part.to_owned());
        } else if part.starts_with("mmc") && part.contains(':') {
            self.mmc = Some(part.to_owned());
        } else if is_pci(part) {
            self.pci.push(part.to_owned());
        } else if is_usb(part) {
            self.usb = Some(part.to_owned());
        } else if let Ok(address) = part.parse() {
            self.scsi = Some(address);
        }
    }
}

/// `0000:05:00.0`; domains of more than four digits exist.
fn is_pci(part: &str) -> bool {
    let hex = |text: &str, least: usize| text.len() >= least && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = part.split(':');
    let (Some(domain), Some(bus), Some(slot), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Some((device, function)) = slot.split_once('.') else { return false };
    hex(domain, 4) && hex(bus, 2) && hex(device, 2) && hex(function, 1)
}

/// `1-1.2`: the bus, and the ports on the way; that of its interfaces has a `:`.
fn is_usb(part: &str) -> bool {
    part.split_once('-')
        .is_some_and(|(bus, ports)| digits(bus).is_some() && ports.split('.').all(|port| digits(port).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_where_the_device_is() {
        let disk = "/devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:1/2:0:1:0/block/sda/sda1";
        let place = Place::parse(disk);
        let scsi = ScsiAddress { host: 2, channel: 0, target: 1, lun: 0 };
        assert_eq!((place.scsi, place.host, place.ata), (Some(scsi), Some(2), Some(3)));
        assert_eq!(place.pci, ["0000:00:1f.2"]);

        let fc = Place::parse(
            "/devices/pci0000:00/0000:00:03.0/0000:05:00.0/host7/rport-7:0-4/target7:0:0/7:0:0:1/block/sdb",
        );
        assert_eq!((fc.rport.as_deref(), fc.pci.len()), (Some("7:0-4"), 2));
        let iscsi = Place::parse("/devices/platform/host3/session12/target3:0:0/3:0:0:0/block/sdc");
        assert_eq!((iscsi.session, iscsi.host), (Some(12), Some(3)));
        let usb = Place::parse(
            "/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1.4/2-1.4:1.0/host6/target6:0:0/6:0:0:0/block/sdd",
        );
        assert_eq!(usb.usb.as_deref(), Some("2-1.4"));
        let sas = Place::parse(
            "/devices/pci0000:00/0000:03:00.0/host0/port-0:0/end_device-0:0/target0:0:9/0:0:9:0/block/sde",
        );
        assert_eq!(sas.sas.as_deref(), Some("end_device-0:0"));
        let nvme = Place::parse("/devices/pci0000:00/0000:01:00.0/nvme/nvme3/nvme3n1");
        assert_eq!(nvme.nvme.as_deref(), Some("nvme3"));
        assert_eq!(Place::parse("/devices/virtual/block/dm-0"), Place::default());
        let card = Place::parse("/devices/platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0");
        assert_eq!(card.mmc.as_deref(), Some("mmc0:aaaa"));
    }
}
