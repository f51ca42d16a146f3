//! How a device is reached.

use std::fmt;

use serde::Serialize;

use super::facts::{Attribute, Controller, Facts};
use super::kind::Kind;
use super::place::Place;

/// How a device is reached, with what there is to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "type")]
pub enum Transport {
    /// Fibre Channel.
    Fc {
        /// WWPN of our port.
        #[serde(skip_serializing_if = "Option::is_none")]
        host_wwpn: Option<String>,
        /// WWPN of the target's port.
        #[serde(skip_serializing_if = "Option::is_none")]
        target_wwpn: Option<String>,
        /// As the kernel says it: `16 Gbit`.
        #[serde(skip_serializing_if = "Option::is_none")]
        speed: Option<String>,
        /// Of our port: `Online`.
        #[serde(skip_serializing_if = "Option::is_none")]
        port_state: Option<String>,
        /// Of the target's port, as we see it.
        #[serde(skip_serializing_if = "Option::is_none")]
        target_state: Option<String>,
        /// The kernel's name of the target's port: `7:0-4`.
        #[serde(skip_serializing_if = "Option::is_none")]
        rport: Option<String>,
    },
    /// iSCSI.
    Iscsi {
        /// The IQN.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// Address and port.
        #[serde(skip_serializing_if = "Option::is_none")]
        portal: Option<String>,
        /// The target portal group.
        #[serde(skip_serializing_if = "Option::is_none")]
        tpgt: Option<String>,
        /// open-iscsi's name of the interface.
        #[serde(skip_serializing_if = "Option::is_none")]
        iface: Option<String>,
        /// `LOGGED_IN`, `FAILED`, ...
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        /// The kernel's number of it.
        session: u32,
    },
    /// SAS.
    Sas {
        /// Of the device.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// The end of the link, as the kernel calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        end_device: Option<String>,
    },
    /// USB.
    Usb {
        /// Bus and ports: `1-1.2`.
        port: String,
    },
    /// A port of libata.
    Ata {
        /// Its number: `ata1` is 1.
        port: u32,
    },
    /// NVMe in a slot of this machine.
    NvmePcie {
        /// On the PCI bus.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// NVMe over Fabrics: of a namespace with several paths, the first of them.
    NvmeOf {
        /// `tcp`, `rdma`, `fc`, `loop`.
        transport: String,
        /// The target's address.
        #[serde(skip_serializing_if = "Option::is_none")]
        traddr: Option<String>,
        /// The target's port.
        #[serde(skip_serializing_if = "Option::is_none")]
        trsvcid: Option<String>,
        /// Our address.
        #[serde(skip_serializing_if = "Option::is_none")]
        host_traddr: Option<String>,
        /// Of the subsystem.
        #[serde(skip_serializing_if = "Option::is_none")]
        nqn: Option<String>,
    },
    /// virtio.
    Virtio {
        /// The device: `virtio1`.
        device: String,
    },
    /// A slot for cards.
    Mmc {
        /// The card: `mmc0:0001`.
        card: String,
    },
    /// Another SCSI host.
    Scsi {
        /// Its driver: `megaraid_sas`, `scsi_debug`.
        driver: String,
    },
}

impl Transport {
    /// Judges.
    pub(super) fn of(kind: Kind, facts: &Facts, place: &Place) -> Option<Self> {
        let text = |attribute| facts.attribute(attribute).map(str::to_owned);
        if matches!(kind, Kind::Nvme | Kind::NvmePath) || place.nvme.is_some() {
            return facts.controllers.first().map(|controller| nvme(controller, place));
        }
        if place.rport.is_some() || facts.attribute(Attribute::FcHostPort).is_some() {
            return Some(Self::Fc {
                host_wwpn: text(Attribute::FcHostPort),
                target_wwpn: text(Attribute::FcTargetPort),
                speed: text(Attribute::FcHostSpeed),
                port_state: text(Attribute::FcHostState),
                target_state: text(Attribute::FcTargetState),
                rport: place.rport.clone(),
            });
        }
        if let Some(session) = place.session {
            return Some(iscsi(session, facts));
        }
        let sas = text(Attribute::SasAddress).or_else(|| text(Attribute::DeviceSasAddress));
        if place.sas.is_some() || sas.is_some() {
            return Some(Self::Sas { address: sas, end_device: place.sas.clone() });
        }
        if let Some(card) = &place.mmc {
            return Some(Self::Mmc { card: card.clone() });
        }
        if let Some(port) = &place.usb {
            return Some(Self::Usb { port: port.clone() });
        }
        if let Some(port) = place.ata {
            return Some(Self::Ata { port });
        }
        // virtio_scsi has a SCSI host on a virtio device.
        if let Some(device) = &place.virtio {
            return Some(Self::Virtio { device: device.clone() });
        }
        text(Attribute::HostDriver).map(|driver| Self::Scsi { driver })
    }
}

fn iscsi(session: u32, facts: &Facts) -> Transport {
    let text = |attribute| facts.attribute(attribute).filter(|text| *text != "<NULL>").map(str::to_owned);
    let address = text(Attribute::IscsiAddress).or_else(|| text(Attribute::IscsiCurrentAddress));
    let port = text(Attribute::IscsiPort).or_else(|| text(Attribute::IscsiCurrentPort));
    let portal = address.map(|address| match (address.contains(':'), port) {
        (true, Some(port)) => format!("[{address}]:{port}"),
        (false, Some(port)) => format!("{address}:{port}"),
        (_, None) => address,
    });
    Transport::Iscsi {
        target: text(Attribute::IscsiTarget),
        portal,
        tpgt: text(Attribute::IscsiTpgt),
        iface: text(Attribute::IscsiInterface),
        state: text(Attribute::IscsiState),
        session,
    }
}

fn nvme(controller: &Controller, place: &Place) -> Transport {
    match controller.transport.as_deref() {
        None | Some("pcie") => {
            Transport::NvmePcie { address: controller.address.clone().or_else(|| place.pci.last().cloned()) }
        }
        Some(transport) => {
            let field = |name: &str| controller.field(name).map(str::to_owned);
            Transport::NvmeOf {
                transport: transport.to_owned(),
                traddr: field("traddr"),
                trsvcid: field("trsvcid"),
                host_traddr: field("host_traddr"),
                nqn: controller.nqn.clone(),
            }
        }
    }
}

impl Controller {
    /// A part of the address: `traddr`, `trsvcid`, `host_traddr`.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut parts = self.address.as_deref()?.split(',').filter_map(|part| part.split_once('='));
        parts.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// The address in short: `10.0.0.1:4420`, or all of it.
    pub fn short_address(&self) -> Option<String> {
        match (self.field("traddr"), self.field("trsvcid")) {
            (Some(address), Some(port)) => Some(format!("{address}:{port}")),
            (Some(address), None) => Some(address.to_owned()),
            (None, _) => self.address.clone(),
        }
    }
}

/// In one line, for people: `FC 0x500a0982... at 16 Gbit, Online`.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, parts): (&str, Vec<Option<&str>>) = match self {
            Self::Fc { target_wwpn, speed, port_state, .. } => {
                ("FC", vec![target_wwpn.as_deref(), speed.as_deref(), port_state.as_deref()])
            }
            Self::Iscsi { target, portal, .. } => ("iSCSI", vec![target.as_deref(), portal.as_deref()]),
            Self::Sas { address, end_device } => ("SAS", vec![address.as_deref().or(end_device.as_deref())]),
            Self::Usb { port } => ("USB", vec![Some(port)]),
            Self::Ata { port } => return write!(f, "ATA ata{port}"),
            Self::NvmePcie { address } => ("PCIe", vec![address.as_deref()]),
            Self::NvmeOf { transport, traddr, trsvcid, nqn, .. } => {
                write!(f, "NVMe/{transport}")?;
                if let Some(address) = traddr {
                    write!(f, " {address}")?;
                }
                if let Some(port) = trsvcid {
                    write!(f, ":{port}")?;
                }
                return nqn.as_ref().map_or(Ok(()), |nqn| write!(f, " {nqn}"));
            }
            Self::Virtio { device } => ("virtio", vec![Some(device)]),
            Self::Mmc { card } => ("MMC", vec![Some(card)]),
            Self::Scsi { driver } => ("SCSI", vec![Some(driver)]),
        };
        f.write_str(word)?;
        parts.into_iter().flatten().try_for_each(|part| write!(f, " {part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portal_has_brackets_around_ipv6() {
        let mut facts = Facts::new("sda");
        facts.set(Attribute::IscsiAddress, "fd00::1");
        facts.set(Attribute::IscsiPort, "3260");
        facts.set(Attribute::IscsiTarget, "iqn.2026-01.org.example:disk");
        let Transport::Iscsi { portal, .. } = iscsi(1, &facts) else { panic!() };
        assert_eq!(portal.as_deref(), Some("[fd00::1]:3260"));
        facts.set(Attribute::IscsiAddress, "10.0.0.1");
        assert_eq!(iscsi(1, &facts).to_string(), "iSCSI iqn.2026-01.org.example:disk 10.0.0.1:3260");
    }

    #[test]
    fn addresses_of_fabrics_are_taken_apart() {
        let controller = Controller {
            transport: Some("tcp".to_owned()),
            address: Some("traddr=10.0.0.1,trsvcid=4420,host_traddr=10.0.0.2,src_addr=".to_owned()),
            nqn: Some("nqn.2026-01.org.example:s".to_owned()),
            ..Controller::default()
        };
        assert_eq!(controller.field("host_traddr"), Some("10.0.0.2"));
        assert_eq!(controller.field("src_addr"), None);
        let transport = nvme(&controller, &Place::default());
        assert_eq!(transport.to_string(), "NVMe/tcp 10.0.0.1:4420 nqn.2026-01.org.example:s");
    }
}
