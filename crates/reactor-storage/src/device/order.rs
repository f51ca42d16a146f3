//! The order in which people look for a device: `sda10` behind `sda9`.

use super::build::Device;
use super::map::DeviceMap;

impl DeviceMap {
    /// All devices that are there, in the order in which people count: `dm-2` before `dm-10`.
    pub fn in_order(&self) -> Vec<&Device> {
        let mut devices: Vec<&Device> = self.devices().collect();
        devices.sort_by_cached_key(|device| counting(device.short_name()));
        devices
    }
}

/// Text and numbers by turns.
fn counting(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(text_end);
        let number_end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(number_end);
        parts.push((text.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = after;
    }
    parts
}
