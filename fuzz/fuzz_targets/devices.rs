//! What is read of a machine: udev's files, links, the mount table, and a name that someone types. A map is made of whatever they are, walks end, and
//! each device is found by its own name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_storage::device::{Attribute, DeviceMap, Facts, Number, Slave, parse_mounts};
use reactor_storage::event::Named;

fuzz_target!(|input: (Vec<(u8, u8, &str, &str)>, &str, &str)| {
    let (devices, mounts, typed) = input;
    let mut map = DeviceMap::new([], parse_mounts(mounts));
    for (at, (kind, below, devpath, text)) in devices.into_iter().take(32).enumerate() {
        let prefix = ["sd", "dm-", "nvme0c1n", "drbd", "md", "loop", "odd"][usize::from(kind) % 7];
        let mut facts = Facts::new(&format!("{prefix}{}", at % 8));
        facts.number = Some(Number { major: 8, minor: u32::from(below % 16) });
        facts.devpath = devpath.to_owned();
        facts.read_udev(text);
        let attribute = Attribute::ALL[usize::from(kind) % Attribute::ALL.len()];
        facts.set(attribute, text);
        facts.slaves = vec![Slave { name: format!("dm-{}", below % 8), dm_name: Some(devpath.to_owned()) }];
        map.set(&facts, at as u64);
    }
    let _ = map.find(typed);
    for device in map.devices() {
        assert_eq!(map.present(&device.name), Some(device));
        assert!(!map.resolve(&Named::Kernel(device.name.as_str().into())).is_empty());
        assert!(map.above(device).len() < map.len() + 1 && map.below(device).len() < map.len() + 1);
        let _ = map.summary(device);
    }
});
