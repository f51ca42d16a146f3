//! What a device is reached by: hosts, ports, sessions, controllers. Many devices share one, so that each is read once in a listing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reactor_storage::device::{Attribute, Controller, Place};

use crate::file::{self, MAX_ATTRIBUTE};

/// Texts of one host, port or session.
type Texts = Vec<(Attribute, String)>;

/// What was read of hosts, ports, sessions and controllers.
pub(crate) struct Reach {
    sys: PathBuf,
    texts: BTreeMap<PathBuf, Texts>,
    controllers: BTreeMap<String, Controller>,
}

const FC_HOST: &[Attribute] = &[Attribute::FcHostPort, Attribute::FcHostSpeed, Attribute::FcHostState];
const FC_PORT: &[Attribute] = &[Attribute::FcTargetPort, Attribute::FcTargetState];
const SESSION: &[Attribute] =
    &[Attribute::IscsiTarget, Attribute::IscsiTpgt, Attribute::IscsiInterface, Attribute::IscsiState];
const CONNECTION: &[Attribute] =
    &[Attribute::IscsiAddress, Attribute::IscsiPort, Attribute::IscsiCurrentAddress, Attribute::IscsiCurrentPort];
const RBD: &[Attribute] =
    &[Attribute::RbdPool, Attribute::RbdNamespace, Attribute::RbdImage, Attribute::RbdSnapshot, Attribute::RbdCluster];

impl Reach {
    /// Nothing was read yet.
    pub(crate) fn new(sys: &Path) -> Self {
        Self { sys: sys.to_owned(), texts: BTreeMap::new(), controllers: BTreeMap::new() }
    }

    /// What there is to know of the way to a SCSI device.
    pub(crate) fn scsi(&mut self, place: &Place, mut take: impl FnMut(Attribute, &str)) {
        let mut texts = |folder: String, attributes| self.texts(&folder, attributes, &mut take);
        if let Some(host) = place.host {
            texts(format!("class/scsi_host/host{host}"), &[Attribute::HostDriver]);
        }
        if let (Some(host), Some(rport)) = (place.host, &place.rport) {
            texts(format!("class/fc_host/host{host}"), FC_HOST);
            texts(format!("class/fc_remote_ports/rport-{rport}"), FC_PORT);
        }
        if let Some(session) = place.session {
            texts(format!("class/iscsi_session/session{session}"), SESSION);
            texts(format!("class/iscsi_connection/connection{session}:0"), CONNECTION);
        }
        if let Some(end) = &place.sas {
            texts(format!("class/sas_device/{end}"), &[Attribute::SasAddress]);
        }
    }

    /// What there is to know of an image of Ceph.
    pub(crate) fn rbd(&mut self, number: &str, mut take: impl FnMut(Attribute, &str)) {
        self.texts(&format!("bus/rbd/devices/{number}"), RBD, &mut take);
    }

    fn texts(&mut self, folder: &str, attributes: &[Attribute], take: &mut impl FnMut(Attribute, &str)) {
        let folder = self.sys.join(folder);
        let texts = self.texts.entry(folder).or_insert_with_key(|folder| {
            let read = |attribute: &Attribute| {
                // The first part of these names says in which class they stand.
                let file = attribute.file().rsplit('/').next().unwrap_or_default();
                Some((*attribute, file::text(&folder.join(file), MAX_ATTRIBUTE).ok()??))
            };
            attributes.iter().filter_map(read).collect()
        });
        texts.iter().for_each(|(attribute, text)| take(*attribute, text));
    }

    /// The controllers of a namespace, by the folder around its own: that of the one controller, or of the subsystem, which has links to all.
    pub(crate) fn controllers(&mut self, around: &str) -> Vec<Controller> {
        let own = around.rsplit('/').next().unwrap_or_default();
        if is_controller(own) {
            return vec![self.controller(own)];
        }
        let names = file::names(&self.sys.join(around.trim_start_matches('/'))).unwrap_or_default();
        names.iter().filter(|name| is_controller(name)).map(|name| self.controller(name)).collect()
    }

    fn controller(&mut self, name: &str) -> Controller {
        if let Some(known) = self.controllers.get(name) {
            return known.clone();
        }
        let folder = self.sys.join("class/nvme").join(name);
        let text = |file: &str| {
            let text = file::text(&folder.join(file), MAX_ATTRIBUTE).ok()??;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let controller = Controller {
            name: name.to_owned(),
            transport: text("transport"),
            address: text("address"),
            nqn: text("subsysnqn"),
            state: text("state"),
        };
        self.controllers.insert(name.to_owned(), controller.clone());
        controller
    }
}

/// `nvme0`, and neither `nvme0n1` nor `nvme-subsys0`.
fn is_controller(name: &str) -> bool {
    name.strip_prefix("nvme").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}
