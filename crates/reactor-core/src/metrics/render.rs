//! Resources as text.

use crate::model::objects::{Connection, Device, Path, PeerDevice, Resource};

use super::families::{CONNECTION, DEVICE, FAMILIES, Family, PATH, PEER_DEVICE, RESOURCE, Samples};
use super::text::{self, Number};
use super::{Choice, Enums, Extent};

/// Writes resources, one behind the other. It keeps its buffers, so that writing many costs few allocations.
#[derive(Debug, Default)]
pub(super) struct Renderer {
    /// The samples of all resources since [`begin`](Self::begin), family after family for each.
    out: Vec<u8>,
    /// Where each family of each resource ends.
    family_ends: Vec<usize>,
    labels: Labels,
}

/// `{name="r0",volume="0"...` of each object of a resource, one after the other, in the order of the families.
#[derive(Debug, Default)]
struct Labels {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Renderer {
    /// Forgets what was written.
    pub(super) fn begin(&mut self) {
        self.out.clear();
        self.family_ends.clear();
    }

    /// The samples of a family of the resource that was written as number `at`.
    pub(super) fn written(&self, at: usize, family: usize) -> &[u8] {
        let index = at * FAMILIES + family;
        let start = if index == 0 { 0 } else { self.family_ends[index - 1] };
        &self.out[start..self.family_ends[index]]
    }

    pub(super) fn resource(&mut self, resource: &Resource, choice: Choice) {
        let connections: Vec<&Connection> = resource.connections.values().map(|c| &**c).collect();
        let paths: Vec<&Path> = connections.iter().flat_map(|c| c.paths.values()).collect();
        let peer_devices: Vec<&PeerDevice> =
            connections.iter().flat_map(|c| c.peer_devices.values().map(|d| &**d)).collect();
        let devices: Vec<&Device> = resource.devices.values().map(|d| &**d).collect();
        self.labels.write(resource);
        let mut writer =
            Writer { out: &mut self.out, family_ends: &mut self.family_ends, labels: &self.labels, choice };
        let mut first = 0;
        first += writer.families(RESOURCE, first, &[resource]);
        first += writer.families(CONNECTION, first, &connections);
        first += writer.families(PATH, first, &paths);
        first += writer.families(PEER_DEVICE, first, &peer_devices);
        writer.families(DEVICE, first, &devices);
    }
}

impl Labels {
    fn of(&self, object: usize) -> &[u8] {
        let start = if object == 0 { 0 } else { self.ends[object - 1] };
        &self.text[start..self.ends[object]]
    }

    fn write(&mut self, resource: &Resource) {
        self.text.clear();
        self.ends.clear();
        self.object(&[("name", resource.name.as_str())]);
        // Parts begin as what they are parts of.
        for (peer, connection) in &resource.connections {
            let conn_name = connection.state.conn_name.as_ref().map_or("", |name| name.as_str());
            self.part(0, &[("conn_name", conn_name), ("peer_node_id", itoa::Buffer::new().format(peer.0))]);
        }
        for (number, connection) in resource.connections.values().enumerate() {
            for path in connection.paths.keys() {
                self.part(1 + number, &[("local", path.local.as_str()), ("peer", path.peer.as_str())]);
            }
        }
        for (number, connection) in resource.connections.values().enumerate() {
            for volume in connection.peer_devices.keys() {
                self.part(1 + number, &[("volume", itoa::Buffer::new().format(volume.0))]);
            }
        }
        for (volume, device) in &resource.devices {
            let mut digits = itoa::Buffer::new();
            let minor = device.state.minor.map_or("", |minor| digits.format(minor.0));
            self.part(0, &[("volume", itoa::Buffer::new().format(volume.0)), ("minor", minor)]);
        }
    }

    fn object(&mut self, labels: &[(&str, &str)]) {
        text::labels(&mut self.text, labels);
        // The brace is closed behind the label that a sample may have on top.
        self.text.pop();
        self.ends.push(self.text.len());
    }

    fn part(&mut self, whole: usize, labels: &[(&str, &str)]) {
        let start = if whole == 0 { 0 } else { self.ends[whole - 1] };
        self.text.extend_from_within(start..self.ends[whole]);
        for (name, value) in labels {
            self.text.push(b',');
            text::label(&mut self.text, name, value);
        }
        self.ends.push(self.text.len());
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    family_ends: &'a mut Vec<usize>,
    labels: &'a Labels,
    choice: Choice,
}

impl Writer<'_> {
    /// Writes the families of one kind of object; the labels of the first object have the number `first`. Returns how many
    /// objects there are.
    fn families<T>(&mut self, families: &[Family<T>], first: usize, objects: &[&T]) -> usize {
        for family in families {
            if self.wants(family) {
                for (number, object) in objects.iter().enumerate() {
                    self.samples(family, first + number, object);
                }
            }
            self.family_ends.push(self.out.len());
        }
        objects.len()
    }

    fn wants<T>(&self, family: &Family<T>) -> bool {
        (self.choice.extent == Extent::All || !family.rare)
            && (self.choice.enums == Enums::On || !matches!(family.samples, Samples::States { .. }))
    }

    fn samples<T>(&mut self, family: &Family<T>, object: usize, of: &T) {
        match &family.samples {
            Samples::Number(number) => {
                if let Some(number) = number(of) {
                    self.sample(family.name, object, None, number);
                }
            }
            Samples::Word { label, word } => self.sample(family.name, object, Some((label, word(of))), true.into()),
            Samples::States { known, word } => {
                let word = word(of);
                let mut found = false;
                for state in (0..).map_while(known) {
                    found |= state == word;
                    self.sample(family.name, object, Some((family.name, state)), (state == word).into());
                }
                // A state of a newer DRBD: still exactly one sample is 1.
                if !found {
                    self.sample(family.name, object, Some((family.name, word)), true.into());
                }
            }
            Samples::Set { label, known, words } => self.set(family.name, object, label, known, |each| words(of, each)),
        }
    }

    fn set(&mut self, name: &str, object: usize, label: &str, known: &[&str], words: impl Fn(&mut dyn FnMut(&str))) {
        let mut empty = true;
        words(&mut |_| empty = false);
        let with_zeros = self.choice.enums == Enums::On && self.choice.extent == Extent::All;
        if empty && !with_zeros {
            return;
        }
        for word in known {
            let mut holds = false;
            words(&mut |held| holds |= held == *word);
            if holds || with_zeros {
                self.sample(name, object, Some((label, word)), holds.into());
            }
        }
        // Words of a newer DRBD; nobody promises that it says each of them once.
        let mut others: Vec<String> = Vec::new();
        words(&mut |held| {
            if !known.contains(&held) && !others.iter().any(|other| other == held) {
                others.push(held.to_owned());
            }
        });
        for other in &others {
            self.sample(name, object, Some((label, other)), true.into());
        }
    }

    fn sample(&mut self, name: &str, object: usize, more: Option<(&str, &str)>, number: Number) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(self.labels.of(object));
        if let Some((label, word)) = more {
            self.out.push(b',');
            text::label(self.out, label, word);
        }
        self.out.push(b'}');
        text::value(self.out, number);
    }
}
