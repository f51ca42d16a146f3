//! Invariants of a snapshot. In release builds what is touched is checked where it is touched (`snapshot.rs`); here is the check of
//! everything, for debug builds and tests.

use crate::ids::Volume;

use super::snapshot::Snapshot;

impl Snapshot {
    /// Every broken invariant, as a sentence.
    pub(super) fn check(&self, generation: u64) -> Vec<String> {
        let mut broken = Vec::new();
        let mut with_minor = 0;
        for (name, resource) in self.resources.iter() {
            if resource.name != *name {
                broken.push(format!("{name} is filed under its name, but calls itself {}", resource.name));
            }
            if resource.generation > generation {
                broken.push(format!("{name} is of generation {}, later than now ({generation})", resource.generation));
            }
            for (volume, device) in &resource.devices {
                let Some(minor) = device.state.minor else { continue };
                with_minor += 1;
                if self.minors.get(&minor) != Some(&(name.clone(), *volume)) {
                    broken.push(format!("minor {minor} of {name}/{volume} is filed under another device"));
                }
            }
            for (peer, connection) in &resource.connections {
                let without_device: Vec<&Volume> =
                    connection.peer_devices.keys().filter(|volume| !resource.devices.contains_key(volume)).collect();
                if !without_device.is_empty() {
                    broken.push(format!("{name} has peer devices of {peer} without a device: {without_device:?}"));
                }
            }
        }
        if with_minor != self.minors.len() {
            broken.push(format!("{with_minor} devices have a minor, but {} minors are filed", self.minors.len()));
        }
        broken
    }
}
