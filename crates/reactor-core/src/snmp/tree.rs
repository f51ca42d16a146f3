//! All that can be asked, in order.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::ids::ResourceName;
use crate::metrics::Health;
use crate::metrics::health::PromotedHealth;
use crate::model::objects::Resource;

use super::columns::{self, CONNECTION, Column, ConnectionRow, DEVICE, DeviceRow, PEER, PROMOTED, PeerRow, SCALARS};
use super::table::{Index, Row, Table};
use super::{Oid, PeerStates, Value};

/// What is known at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a, R> {
    /// The resources by name, as [`Node::snapshot`](crate::model::Node::snapshot) has them; `None` = they are as they were.
    pub resources: Option<&'a [R]>,
    /// How the daemon is.
    pub health: &'a Health,
}

/// What there is under an identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    /// A value.
    Value(&'a Value),
    /// There is such an object, but not this one of it.
    NoSuchInstance,
    /// There is nothing like it.
    NoSuchObject,
}

/// Everything that one agent serves.
#[derive(Debug)]
pub struct Tree {
    peers: PeerStates,
    scalars: BTreeMap<Oid, Value>,
    devices: Table,
    connections: Table,
    peer_devices: Table,
    promoted: Table,
    known: BTreeMap<ResourceName, Known>,
    resources: usize,
}

/// The rows of a resource.
#[derive(Debug, Default)]
struct Known {
    generation: u64,
    devices: Vec<Index>,
    connections: Vec<Index>,
    peer_devices: Vec<Index>,
}

impl Tree {
    /// One that knows nothing.
    pub fn new(peers: PeerStates) -> Self {
        let shown = |number: &u32| peers == PeerStates::Shown || !columns::is_of_peers(*number);
        let device_columns = DEVICE.iter().map(|column| column.number).filter(shown).collect();
        Self {
            peers,
            scalars: BTreeMap::new(),
            devices: Table::new(columns::DEVICE_TABLE.entry(), device_columns),
            connections: Table::new(columns::CONNECTION_TABLE.entry(), numbers(CONNECTION)),
            peer_devices: Table::new(columns::PEER_TABLE.entry(), numbers(PEER)),
            promoted: Table::new(columns::PROMOTED_TABLE.entry(), numbers(PROMOTED)),
            known: BTreeMap::new(),
            resources: 0,
        }
    }

    /// Takes over what is known now.
    pub fn refresh(&mut self, facts: &Facts<'_, impl Borrow<Resource>>) {
        if let Some(resources) = facts.resources {
            self.resources = resources.len();
            self.refresh_resources(resources);
        }
        self.refresh_promoted(&facts.health.promoted);
        self.scalars = SCALARS
            .iter()
            .filter_map(|scalar| Some((scalar.instance(), (scalar.of)(facts.health, self.resources)?)))
            .collect();
    }

    fn refresh_resources(&mut self, resources: &[impl Borrow<Resource>]) {
        let names: BTreeSet<&str> = resources.iter().map(|resource| resource.borrow().name.as_str()).collect();
        let gone: Vec<ResourceName> =
            self.known.keys().filter(|name| !names.contains(name.as_str())).cloned().collect();
        let is_new = |resource: &&Resource| {
            self.known.get(&resource.name).is_none_or(|known| known.generation != resource.generation)
        };
        let changed: Vec<&Resource> = resources.iter().map(Borrow::borrow).filter(is_new).collect();
        // First what goes: a minor may belong to another resource now.
        for name in gone.iter().chain(changed.iter().map(|resource| &resource.name)) {
            self.forget(name);
        }
        for resource in changed {
            self.write(resource);
        }
    }

    fn forget(&mut self, name: &ResourceName) {
        let Some(known) = self.known.remove(name) else { return };
        known.devices.iter().for_each(|index| self.devices.remove(index));
        known.connections.iter().for_each(|index| self.connections.remove(index));
        known.peer_devices.iter().for_each(|index| self.peer_devices.remove(index));
    }

    fn write(&mut self, resource: &Resource) {
        let mut known = Known { generation: resource.generation, ..Known::default() };
        let shows_peers = self.peers == PeerStates::Shown;
        for (volume, device) in &resource.devices {
            let Some(minor) = device.state.minor else { continue };
            let row = DeviceRow::new(resource, *volume, device);
            let shown = DEVICE.iter().filter(|column| shows_peers || !columns::is_of_peers(column.number));
            let values: Row = shown.map(|column| (column.of)(&row)).collect();
            let index: Index = Box::new([minor.0]);
            self.devices.insert(index.clone(), values);
            known.devices.push(index);
        }
        if shows_peers {
            self.write_peers(resource, &mut known);
        }
        self.known.insert(resource.name.clone(), known);
    }

    fn write_peers(&mut self, resource: &Resource, known: &mut Known) {
        for (peer, connection) in &resource.connections {
            let row = ConnectionRow { resource, peer: *peer, connection };
            if let Some(index) = columns::index_of_name(resource.name.as_str(), &[peer.0]) {
                self.connections.insert(index.clone(), values(CONNECTION, |of| of(&row)));
                known.connections.push(index);
            }
            for (volume, peer_device) in &connection.peer_devices {
                let minor = resource.devices.get(volume).and_then(|device| device.state.minor);
                let Some(minor) = minor else { continue };
                let row = PeerRow { connection: &row, volume: *volume, minor, peer_device };
                let index: Index = Box::new([minor.0, peer.0]);
                self.peer_devices.insert(index.clone(), values(PEER, |of| of(&row)));
                known.peer_devices.push(index);
            }
        }
    }

    /// They change without any news of DRBD, and are few.
    fn refresh_promoted(&mut self, promoted: &[PromotedHealth]) {
        let mut indexes = BTreeSet::new();
        for one in promoted {
            if let Some(index) = columns::index_of_name(&one.name, &[]) {
                self.promoted.insert(index.clone(), values(PROMOTED, |of| of(one)));
                indexes.insert(index);
            }
        }
        self.promoted.retain(|index| indexes.contains(index));
    }

    /// The value of `oid`.
    pub fn get(&self, oid: &[u32]) -> Found<'_> {
        let tables = self.tables();
        if let Some(value) = self.scalars.get(oid).or_else(|| tables.iter().find_map(|table| table.get(oid))) {
            return Found::Value(value);
        }
        let is_known = tables.iter().any(|table| table.has_column(oid))
            || SCALARS.iter().any(|scalar| oid.starts_with(&scalar.object()));
        if is_known { Found::NoSuchInstance } else { Found::NoSuchObject }
    }

    /// The first instance behind `oid`; `None` = there is nothing behind it.
    pub fn next(&self, oid: &[u32]) -> Option<(Oid, &Value)> {
        let scalar = self.scalars.range::<[u32], _>((Bound::Excluded(oid), Bound::Unbounded)).next();
        let scalar = scalar.map(|(oid, value)| (oid.clone(), value));
        // In the order of their identifiers.
        let row = self.tables().into_iter().find_map(|table| table.next(oid));
        match (scalar, row) {
            (Some(scalar), Some(row)) => Some(if scalar.0 < row.0 { scalar } else { row }),
            (scalar, row) => scalar.or(row),
        }
    }

    fn tables(&self) -> [&Table; 4] {
        [&self.devices, &self.connections, &self.peer_devices, &self.promoted]
    }
}

fn numbers<F>(columns: &[Column<F>]) -> Vec<u32> {
    columns.iter().map(|column| column.number).collect()
}

fn values<F>(columns: &[Column<F>], value: impl Fn(&F) -> Option<Value>) -> Row {
    columns.iter().map(|column| value(&column.of)).collect()
}
