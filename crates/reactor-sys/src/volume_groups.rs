//! Where volume groups of LVM are, seen from DRBD's resources: DRBD's configuration by drbdadm, everything else by files of the kernel, udev
//! and LVM. No device is opened, and LVM's programs, which open all of them, are not run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use reactor_core::facts::Fact;
use reactor_core::ids::ResourceName;
use reactor_storage::device::{ConfiguredVolume, DeviceMap, PhysicalVolume, Stacking, Stacks};
use reactor_sysfs::Reader;
use tokio::time::timeout;

use crate::chain::chain;
use crate::drbd::command;
use crate::facts::{DEADLINE, MAX_OUTPUT, complaint, unknown};
use crate::thread;

/// What was asked for, with the answer.
type Answers = BTreeMap<(ResourceName, String), Fact<Stacking>>;

/// Finds out, within twice [`DEADLINE`].
pub(crate) async fn ask(wanted: &BTreeSet<(ResourceName, String)>, drbdadm: &Path, root: &Path) -> Answers {
    if wanted.is_empty() {
        return Answers::new();
    }
    let all = |fact: Fact<Stacking>| wanted.iter().map(|wanted| (wanted.clone(), fact.clone())).collect();
    let (map, noted) = match listed(root).await {
        Ok(listed) => listed,
        Err(why) => return all(unknown(why)),
    };
    let resources: BTreeSet<&ResourceName> = wanted.iter().map(|(resource, _)| resource).collect();
    let Ok(configured) = timeout(DEADLINE, configured(&resources, drbdadm)).await else {
        return all(unknown(format!("{} gives no answer within {} s", drbdadm.display(), DEADLINE.as_secs())));
    };
    let volumes: Vec<ConfiguredVolume> = configured.values().flatten().flatten().cloned().collect();
    let stacks = Stacks { map: &map, volumes: &volumes, noted: &noted };
    let answer = |(resource, group): &(ResourceName, String)| {
        let stacking = stacks.stacking(resource.as_str(), group);
        let is_sure = matches!(stacking, Stacking::Above { .. } | Stacking::Below { .. });
        match configured.get(resource) {
            // Without DRBD's configuration nothing says that the group is not below it.
            Some(Err(why)) if !is_sure => unknown(why.clone()),
            _ => Fact::Known(stacking),
        }
    };
    wanted.iter().map(|wanted| (wanted.clone(), answer(wanted))).collect()
}

/// In a thread: the folder of udev may be on a file system that hangs, when it is one that was kept.
async fn listed(root: &Path) -> Result<(DeviceMap, Vec<PhysicalVolume>), String> {
    let reader = Reader::new(root);
    let look = move || reader.list().map(|listing| (listing.into_map(), reader.physical_volumes()));
    let listed = thread::run(&root.join("sys/class/block"), 1, DEADLINE, look).await;
    let listed = listed.ok_or_else(|| format!("block devices: no answer within {} s", DEADLINE.as_secs()))?;
    listed.map_err(|error| chain(&error).to_string())
}

/// The volumes of each resource, or why they are not known.
async fn configured<'r>(
    resources: &BTreeSet<&'r ResourceName>,
    drbdadm: &Path,
) -> BTreeMap<&'r ResourceName, Result<Vec<ConfiguredVolume>, String>> {
    let mut configured = BTreeMap::new();
    for resource in resources {
        configured.insert(*resource, volumes(resource, drbdadm).await);
    }
    configured
}

/// A line for each volume from both, in the same order.
async fn volumes(resource: &ResourceName, drbdadm: &Path) -> Result<Vec<ConfiguredVolume>, String> {
    if resource.as_str().starts_with('-') {
        return Err(format!("{resource} is no name of a resource: drbdadm would take it for an option"));
    }
    let minors = lines("sh-minor", resource, drbdadm).await?;
    let disks = lines("sh-ll-dev", resource, drbdadm).await?;
    let odd = || format!("drbdadm tells of {} volumes of {resource} and of {} disks", minors.len(), disks.len());
    if minors.len() != disks.len() {
        return Err(odd());
    }
    let volume = |(minor, disk): (&String, &String)| {
        let minor = minor.parse().map_err(|_| odd())?;
        let disk = PathBuf::from(disk).is_absolute().then(|| disk.clone());
        Ok(ConfiguredVolume { resource: resource.to_string(), minor, disk })
    };
    minors.iter().zip(&disks).map(volume).collect()
}

async fn lines(verb: &str, resource: &ResourceName, drbdadm: &Path) -> Result<Vec<String>, String> {
    let mut command = command::command(drbdadm, [verb, resource.as_str()]);
    command.env("LC_ALL", "C");
    let output = command::run_command(command, drbdadm, DEADLINE, MAX_OUTPUT).await;
    let output = output.map_err(|error| chain(&error).to_string())?;
    if !output.status.success() {
        return Err(format!("drbdadm {verb}: {}", complaint(&output)));
    }
    let lines = output.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A machine as a folder: DRBD's device of `data` on `sdb`, and a drbdadm.
    struct Machine(PathBuf);

    impl Machine {
        fn new(name: &str, drbdadm: &str) -> Self {
            let root = std::env::temp_dir().join(format!("storage-reactor-groups-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            let machine = Self(root);
            machine.write("sys/class/block/sdb/dev", "8:16\n");
            machine.write("sys/class/block/drbd0/dev", "147:0\n");
            machine.write("run/udev/data/b147:0", "S:drbd/by-res/data/0\nE:ID_FS_TYPE=LVM2_member\n");
            machine.write("drbdadm", &format!("#!/bin/sh\n{drbdadm}\n"));
            fs::set_permissions(machine.0.join("drbdadm"), Permissions::from_mode(0o755)).unwrap();
            machine
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        async fn ask(&self, group: &str) -> Fact<Stacking> {
            let wanted = [(ResourceName::new("data"), group.to_owned())].into();
            let answers = ask(&wanted, &self.0.join("drbdadm"), &self.0).await;
            answers.into_values().next().unwrap()
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn said(fact: &Fact<Stacking>) -> String {
        match fact {
            Fact::Known(stacking) => stacking.to_string(),
            other => format!("{other:?}"),
        }
    }

    const TWO_VOLUMES: &str = "case \"$*\" in 'sh-minor data') echo 0; echo 1 ;; \
        'sh-ll-dev data') echo /dev/sdb; echo /dev/vg_low/r0 ;; *) exit 9 ;; esac";

    #[tokio::test]
    async fn drbdadm_and_files_say_where_a_group_is() {
        let machine = Machine::new("where", TWO_VOLUMES);
        assert_eq!(
            said(&machine.ask("vg_low").await),
            "is below DRBD (DRBD's configuration has /dev/vg_low/r0 as its disk)"
        );
        assert_eq!(
            said(&machine.ask("vg_data").await),
            "is not active here, so it is not known whether it is on DRBD or below it: \
             drbd0 holds a physical volume of LVM, of which group is not said"
        );
        machine.write("run/lvm/pvs_online/abcdef", "147:0\nvg:vg_data\ndev:/dev/drbd0\n");
        machine.write("run/lvm/pvs_online/odd", "no number\n");
        assert_eq!(said(&machine.ask("vg_data").await), "is on DRBD (LVM knows drbd0 as its physical volume)");
    }

    /// Without DRBD's configuration, a group that looks as if it had nothing to do with DRBD could be below it.
    #[tokio::test]
    async fn without_drbds_configuration_only_what_is_sure_is_said() {
        let bad = "echo 'data.res:3: Parse error' >&2; exit 10";
        let machine = Machine::new("no-config", bad);
        let why = "drbdadm sh-minor: data.res:3: Parse error";
        assert_eq!(machine.ask("vg_data").await, unknown(why));
        machine.write("run/lvm/pvs_online/abcdef", "8:16\nvg:vg_data\n");
        assert_eq!(machine.ask("vg_data").await, unknown(why), "it looks as if it were elsewhere");
        machine.write("run/lvm/pvs_online/abcdef", "147:0\nvg:vg_data\n");
        assert_eq!(said(&machine.ask("vg_data").await), "is on DRBD (LVM knows drbd0 as its physical volume)");
    }

    #[tokio::test]
    async fn a_name_is_never_an_option() {
        let machine = Machine::new("dash", "exec touch \"${0%/*}/ran\"");
        let why = volumes(&ResourceName::new("--help"), &machine.0.join("drbdadm")).await.unwrap_err();
        assert!(why.contains("for an option") && !machine.0.join("ran").exists(), "{why}");
    }

    #[tokio::test]
    async fn odd_answers_are_no_answers() {
        let odd = "case $1 in sh-minor) echo 0 ;; *) echo /dev/sdb; echo /dev/sdc ;; esac";
        let machine = Machine::new("odd", odd);
        assert_eq!(machine.ask("vg_data").await, unknown("drbdadm tells of 1 volumes of data and of 2 disks"));
        let machine = Machine::new("no-devices", TWO_VOLUMES);
        fs::remove_dir_all(machine.0.join("sys")).unwrap();
        let fact = machine.ask("vg_data").await;
        assert!(matches!(&fact, Fact::Unknown { why } if why.starts_with("can't list ")), "{fact:?}");
        assert!(ask(&BTreeSet::new(), Path::new("/nowhere"), Path::new("/nowhere")).await.is_empty());
    }
}
