//! One resource as text.

use std::sync::Arc;

use crate::model::objects::{Connection, Resource};

use super::Enums;
use super::families::{CONNECTION, DEVICE, FAMILIES, Family, PATH, PEER_DEVICE, RESOURCE, Samples};
use super::text::{self, Number};

/// All samples of one resource or of several, family after family, without headers.
#[derive(Debug)]
pub(super) struct Text {
    text: Box<[u8]>,
    /// Where each family ends.
    ends: [usize; FAMILIES],
}

impl Text {
    /// The samples of all of `texts`, of the first one first.
    pub(super) fn joined(texts: &[Arc<Self>]) -> Self {
        let mut text = Vec::with_capacity(texts.iter().map(|part| part.text.len()).sum());
        let ends = std::array::from_fn(|family| {
            texts.iter().for_each(|part| text.extend_from_slice(part.family(family)));
            text.len()
        });
        Self { text: text.into(), ends }
    }

    /// The samples of family number `family`.
    pub(super) fn family(&self, family: usize) -> &[u8] {
        let start = if family == 0 { 0 } else { self.ends[family - 1] };
        &self.text[start..self.ends[family]]
    }

    /// All samples.
    pub(super) fn all(&self) -> &[u8] {
        &self.text
    }
}

/// Writes resources. It keeps its buffers, so that writing many costs few allocations.
#[derive(Debug, Default)]
pub(super) struct Renderer {
    out: Vec<u8>,
    /// `{name="r0",volume="0"...` of each object of the resource, one after the other, in the order of the families.
    labels: Vec<u8>,
    ends: Vec<usize>,
}

impl Renderer {
    pub(super) fn resource(&mut self, resource: &Resource, enums: Enums) -> Text {
        self.out.clear();
        self.write_labels(resource);
        let mut ends = [0; FAMILIES];
        let mut writer = Writer {
            out: &mut self.out,
            ends: &mut ends,
            family: 0,
            labels: &self.labels,
            label_ends: &self.ends,
            enums,
        };
        writer.families(RESOURCE, 0, || std::iter::once(resource));
        let mut objects = 1;
        objects += writer.families(CONNECTION, objects, || resource.connections.values().map(|c| &**c));
        objects += writer.families(PATH, objects, || resource.connections.values().flat_map(|c| c.paths.values()));
        objects += writer.families(PEER_DEVICE, objects, || {
            resource.connections.values().flat_map(|c| c.peer_devices.values().map(|d| &**d))
        });
        writer.families(DEVICE, objects, || resource.devices.values().map(|d| &**d));
        Text { text: self.out.as_slice().into(), ends }
    }

    fn write_labels(&mut self, resource: &Resource) {
        self.labels.clear();
        self.ends.clear();
        let name = resource.name.as_str();
        self.object(&[("name", name)]);
        let peers: Vec<(&Connection, &str, String)> = resource
            .connections
            .iter()
            .map(|(peer, c)| (&**c, c.state.conn_name.as_ref().map_or("", |name| name.as_str()), peer.to_string()))
            .collect();
        for (_, conn_name, peer) in &peers {
            self.object(&[("name", name), ("conn_name", conn_name), ("peer_node_id", peer)]);
        }
        for (connection, conn_name, peer) in &peers {
            for path in connection.paths.keys() {
                self.object(&[
                    ("name", name),
                    ("conn_name", conn_name),
                    ("peer_node_id", peer),
                    ("local", path.local.as_str()),
                    ("peer", path.peer.as_str()),
                ]);
            }
        }
        for (connection, conn_name, peer) in &peers {
            for volume in connection.peer_devices.keys() {
                let volume = itoa::Buffer::new().format(volume.0).to_owned();
                self.object(&[("name", name), ("conn_name", conn_name), ("peer_node_id", peer), ("volume", &volume)]);
            }
        }
        for (volume, device) in &resource.devices {
            let minor = device.state.minor.map(|minor| minor.to_string());
            let volume = volume.to_string();
            self.object(&[("name", name), ("volume", &volume), ("minor", minor.as_deref().unwrap_or_default())]);
        }
    }

    fn object(&mut self, labels: &[(&str, &str)]) {
        text::labels(&mut self.labels, labels);
        // The brace is closed behind the label that a sample may have on top.
        self.labels.pop();
        self.ends.push(self.labels.len());
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    ends: &'a mut [usize; FAMILIES],
    family: usize,
    labels: &'a [u8],
    label_ends: &'a [usize],
    enums: Enums,
}

impl Writer<'_> {
    /// Writes the families of one kind of object; the labels of the first object have the number `first`. Returns how many
    /// objects there are.
    fn families<'t, T: 't, I>(&mut self, families: &[Family<T>], first: usize, objects: impl Fn() -> I) -> usize
    where
        I: Iterator<Item = &'t T>,
    {
        for family in families {
            if self.enums == Enums::On || !matches!(family.samples, Samples::States { .. }) {
                for (number, object) in objects().enumerate() {
                    self.samples(family, first + number, object);
                }
            }
            self.ends[self.family] = self.out.len();
            self.family += 1;
        }
        objects().count()
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
        if empty && self.enums == Enums::Off {
            return;
        }
        for word in known {
            let mut holds = false;
            words(&mut |held| holds |= held == *word);
            if holds || self.enums == Enums::On {
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
        let start = if object == 0 { 0 } else { self.label_ends[object - 1] };
        let labels = &self.labels[start..self.label_ends[object]];
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(labels);
        if let Some((label, word)) = more {
            self.out.push(b',');
            text::label(self.out, label, word);
        }
        self.out.push(b'}');
        text::value(self.out, number);
    }
}
