//! Devices as trees: below each line what is built on it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use reactor_storage::device::{Device, DeviceMap};

use super::table::{clean, size};
use crate::style::{DIM, END, NAME};

/// Lines deeper than this are left out: no stack of devices is as high.
const MAX_DEPTH: usize = 32;

/// All of them: first what is built on nothing, then what only a circle leads to.
pub(super) fn all(map: &DeviceMap, out: &mut dyn Write) -> io::Result<()> {
    let devices = map.in_order();
    let mut tree = Tree { map, only: None, shown: BTreeSet::new() };
    for device in devices.iter().filter(|device| map.next_below(device).is_empty()) {
        tree.print(device, &mut Vec::new(), out)?;
    }
    for device in devices {
        if !tree.shown.contains(&device.name) {
            tree.print(device, &mut Vec::new(), out)?;
        }
    }
    Ok(())
}

/// One of them, with what it is built on and what is built on it.
pub(super) fn of(map: &DeviceMap, device: &Device, out: &mut dyn Write) -> io::Result<()> {
    let below = map.below(device);
    let related = below.iter().copied().chain(map.above(device)).chain([device]);
    let only: BTreeSet<String> = related.map(|device| device.name.clone()).collect();
    let mut tree = Tree { map, only: Some(only), shown: BTreeSet::new() };
    let roots: Vec<&Device> = below.into_iter().filter(|below| map.next_below(below).is_empty()).collect();
    if roots.is_empty() {
        return tree.print(device, &mut Vec::new(), out);
    }
    roots.into_iter().try_for_each(|root| tree.print(root, &mut Vec::new(), out))
}

struct Tree<'m> {
    map: &'m DeviceMap,
    only: Option<BTreeSet<String>>,
    shown: BTreeSet<String>,
}

impl Tree<'_> {
    /// `lasts`: of each line that leads here, whether it is the last below its own.
    fn print(&mut self, device: &Device, lasts: &mut Vec<bool>, out: &mut dyn Write) -> io::Result<()> {
        let lines: String = match lasts.split_last() {
            Some((last, before)) => {
                let before: String = before.iter().map(|last| if *last { "   " } else { "│  " }).collect();
                before + if *last { "└─ " } else { "├─ " }
            }
            None => String::new(),
        };
        let is_new = self.shown.insert(device.name.clone());
        let above: Vec<&Device> = self
            .map
            .next_above(device)
            .into_iter()
            .filter(|above| self.only.as_ref().is_none_or(|only| only.contains(&above.name)))
            .collect();
        let size = device.size.map(|bytes| format!("  {}", size(bytes))).unwrap_or_default();
        let mounts: String = device.mounts.iter().map(|mount| format!("  {}", mount.path)).collect();
        let transport = device.transport.as_ref().filter(|_| lasts.is_empty());
        let transport = transport.map(|transport| format!("  {transport}")).unwrap_or_default();
        let drbd = device.drbd_volume().map(|volume| format!("  {volume}")).unwrap_or_default();
        let again = if is_new || above.is_empty() { "" } else { "  (shown above)" };
        let rest = clean(&format!("{}{size}{drbd}{transport}{mounts}", device.kind));
        writeln!(out, "{lines}{NAME}{}{END}  {rest}{DIM}{again}{END}", clean(device.short_name()))?;
        if !is_new || lasts.len() >= MAX_DEPTH {
            return Ok(());
        }
        for (at, next) in above.iter().enumerate() {
            lasts.push(at + 1 == above.len());
            self.print(next, lasts, out)?;
            lasts.pop();
        }
        Ok(())
    }
}
