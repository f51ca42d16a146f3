//! Resources as text.

use crate::model::objects::{Connection, Device, Path, PeerDevice, Resource};

use super::families::{CONNECTION, DEVICE, FAMILIES, Family, PATH, PEER_DEVICE, RESOURCE, Samples};
use super::text::{self, Number};
use super::{Choice, Enums, Extent};

/// Words of one set that this version does not know, at most: each is a sample.
const MOST_OTHERS: usize = 8;

/// The parts of a resource in the order of the families, and of the text within a family.
pub(super) struct Parts<'a> {
    resource: &'a Resource,
    connections: Vec<&'a Connection>,
    paths: Vec<&'a Path>,
    peer_devices: Vec<&'a PeerDevice>,
    devices: Vec<&'a Device>,
}

/// Something to do with each family of a resource.
pub(super) trait Visit {
    /// Family number `number` has a sample for each of `objects`; the first of them is object `first` of its resource.
    fn family<T>(&mut self, number: usize, family: &Family<T>, first: usize, objects: &[&T]);
}

impl<'a> Parts<'a> {
    pub(super) fn of(resource: &'a Resource) -> Self {
        let connections: Vec<&Connection> = resource.connections.values().map(|c| &**c).collect();
        Self {
            resource,
            paths: connections.iter().flat_map(|c| c.paths.values()).collect(),
            peer_devices: connections.iter().flat_map(|c| c.peer_devices.values().map(|d| &**d)).collect(),
            devices: resource.devices.values().map(|d| &**d).collect(),
            connections,
        }
    }

    pub(super) fn visit(&self, visitor: &mut impl Visit) {
        let mut next = (0, 0);
        visit_all(visitor, RESOURCE, &[self.resource], &mut next);
        visit_all(visitor, CONNECTION, &self.connections, &mut next);
        visit_all(visitor, PATH, &self.paths, &mut next);
        visit_all(visitor, PEER_DEVICE, &self.peer_devices, &mut next);
        visit_all(visitor, DEVICE, &self.devices, &mut next);
    }
}

/// `next`: the number of the next family, and of the next object.
fn visit_all<T>(visitor: &mut impl Visit, families: &[Family<T>], objects: &[&T], next: &mut (usize, usize)) {
    for family in families {
        visitor.family(next.0, family, next.1, objects);
        next.0 += 1;
    }
    next.1 += objects.len();
}

impl Choice {
    pub(super) fn wants<T>(self, family: &Family<T>) -> bool {
        (self.extent == Extent::All || !family.rare)
            && (self.enums == Enums::On || !matches!(family.samples, Samples::States { .. }))
    }
}

/// Where a number stands in the text, so that another one can be written there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// See [`Number::bits`].
    pub(super) bits: u64,
    /// The object of its resource.
    pub(super) object: u32,
    /// Where its digits begin, from the beginning of the row.
    pub(super) start: u32,
    /// How many there are.
    pub(super) digits: u32,
}

/// Writes resources, one behind the other. It keeps its buffers, so that writing many costs few allocations.
#[derive(Debug, Default)]
pub(super) struct Renderer {
    /// The samples of all resources since [`begin`](Self::begin), family after family for each.
    out: Vec<u8>,
    samples: Vec<Sample>,
    /// Where each family of each resource ends in both.
    ends: Vec<(usize, usize)>,
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
        self.samples.clear();
        self.ends.clear();
    }

    /// How many resources were written.
    pub(super) fn count(&self) -> usize {
        self.ends.len() / FAMILIES
    }

    /// A family of the resource that was written as number `at`: its text, and the numbers in it.
    pub(super) fn written(&self, at: usize, family: usize) -> (&[u8], &[Sample]) {
        let index = at * FAMILIES + family;
        let start = if index == 0 { (0, 0) } else { self.ends[index - 1] };
        let end = self.ends[index];
        (&self.out[start.0..end.0], &self.samples[start.1..end.1])
    }

    pub(super) fn resource(&mut self, parts: &Parts<'_>, choice: Choice) {
        self.labels.write(parts.resource);
        let Self { out, samples, ends, labels } = self;
        parts.visit(&mut Writer { begin: out.len(), out, samples, ends, labels, choice });
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
    samples: &'a mut Vec<Sample>,
    ends: &'a mut Vec<(usize, usize)>,
    labels: &'a Labels,
    choice: Choice,
    /// Where the family that is being written begins.
    begin: usize,
}

impl Visit for Writer<'_> {
    fn family<T>(&mut self, _: usize, family: &Family<T>, first: usize, objects: &[&T]) {
        self.begin = self.out.len();
        if self.choice.wants(family) {
            for (number, object) in objects.iter().enumerate() {
                self.samples(family, first + number, object);
            }
        }
        self.ends.push((self.out.len(), self.samples.len()));
    }
}

impl Writer<'_> {
    fn samples<T>(&mut self, family: &Family<T>, object: usize, of: &T) {
        match &family.samples {
            Samples::Number(number) => {
                if let Some(number) = number(of) {
                    self.number(family.name, object, number);
                }
            }
            Samples::Word { label, word } => self.sample(family.name, object, (label, word(of)), true),
            Samples::States { known, word } => {
                let word = word(of);
                let mut found = false;
                for state in (0..).map_while(known) {
                    found |= state == word;
                    self.sample(family.name, object, (family.name, state), state == word);
                }
                // A state of a newer DRBD: still exactly one sample is 1.
                if !found {
                    self.sample(family.name, object, (family.name, word), true);
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
                self.sample(name, object, (label, word), holds);
            }
        }
        // Words of a newer DRBD; nobody promises that it says each of them once.
        let mut others: Vec<String> = Vec::new();
        words(&mut |held| {
            if known.contains(&held) || others.iter().any(|other| other == held) {
                return;
            }
            // One more stands for all that there is no place for.
            match others.len() {
                MOST_OTHERS => others.push("other".to_owned()),
                0..MOST_OTHERS => others.push(held.to_owned()),
                _ => {}
            }
        });
        for other in &others {
            self.sample(name, object, (label, other), true);
        }
    }

    /// A sample whose state is a label.
    fn sample(&mut self, name: &str, object: usize, (label, word): (&str, &str), holds: bool) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(self.labels.of(object));
        self.out.push(b',');
        text::label(self.out, label, word);
        self.out.push(b'}');
        text::value(self.out, holds.into());
    }

    fn number(&mut self, name: &str, object: usize, number: Number) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(self.labels.of(object));
        self.out.extend_from_slice(b"} ");
        let start = self.out.len();
        text::digits(self.out, number);
        self.samples.push(Sample {
            bits: number.bits(),
            object: small(object),
            start: small(start - self.begin),
            digits: small(self.out.len() - start),
        });
        self.out.push(b'\n');
    }
}

/// A place in the text of a few resources.
pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("256 resources have less than 4 GiB of samples")
}
