//! The tests on the shared cluster. Each leaves it as it was: all nodes on, no faults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::cluster::rundir::marked;
use lab::cluster::{Cluster, ClusterError, Options, Power};
use lab::keeper::Exit;
use lab::switch::{Net, PartsPerMillion};
use libtest_mimic::Failed;

use super::{Shared, image::image};

/// Far more than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);
const BOOT: Duration = Duration::from_secs(600);

pub(crate) type Done = Result<(), Failed>;

pub(crate) fn options(nodes: u8) -> Result<Options, String> {
    let mut options = Options::new(nodes, image()?);
    options.lab = Some(env!("CARGO_BIN_EXE_lab").into());
    Ok(options)
}

impl Shared {
    /// Boots the cluster.
    pub(crate) fn begin(&mut self) -> Done {
        self.cluster = Some(self.runtime.block_on(Cluster::up(&options(3)?))?);
        Ok(())
    }

    /// Runs a test on the cluster.
    pub(crate) fn on_cluster(&mut self, test: impl AsyncFnOnce(&Cluster) -> Done) -> Done {
        let cluster = self.cluster.as_ref().ok_or("there is no cluster")?;
        let done = self.runtime.block_on(test(cluster));
        // What a failed test leaves is not the next one's.
        cluster.heal_all()?;
        done
    }
}

pub(crate) fn check(holds: bool, what: &str) -> Done {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Does a ping from one node to an address come back?
async fn reaches(cluster: &Cluster, from: &str, to: &str, net: Net) -> Result<bool, Failed> {
    let address = cluster.node(to)?.address(net);
    // Several, one after the other: the first one after a fault may still wait for the address of the other.
    let ping = format!("for i in 1 2 3; do ping -q -c 1 -W 2 {address} && exit 0; done; exit 1");
    Ok(cluster.node(from)?.exec(&ping, LONG).await?.code == 0)
}

pub(crate) fn every_node_is_up_and_named(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        for node in cluster.nodes() {
            check(node.sh("cat /proc/sys/kernel/hostname", LONG).await? == node.name(), "the host name")?;
            let state = node.exec("systemctl is-system-running --wait", LONG).await?;
            let failed = node.sh("systemctl list-units --failed --no-legend", LONG).await?;
            check(state.code == 0, &format!("{}: failed units: {failed}", node.name()))?;
            check(node.sh("cat /etc/machine-id", LONG).await? == node.spec().machine_id, "the machine's id")?;
        }
        Ok(())
    })
}

pub(crate) fn all_reach_each_other_in_both_networks(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        for (from, to) in [("n1", "n2"), ("n2", "n3"), ("n3", "n1")] {
            check(reaches(cluster, from, to, Net::DATA).await?, &format!("{from} {to} data"))?;
            check(reaches(cluster, from, to, Net::MGMT).await?, &format!("{from} {to} management"))?;
        }
        Ok(())
    })
}

pub(crate) fn a_cut_takes_the_data_network_of_two_nodes_only(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        cluster.cut("n1", "n2")?;
        check(!reaches(cluster, "n1", "n2", Net::DATA).await?, "n1 still reaches n2")?;
        check(!reaches(cluster, "n2", "n1", Net::DATA).await?, "n2 still reaches n1")?;
        check(reaches(cluster, "n1", "n3", Net::DATA).await?, "n1 has lost n3")?;
        check(reaches(cluster, "n1", "n2", Net::MGMT).await?, "the management network is cut")?;
        cluster.heal("n1", "n2")?;
        check(reaches(cluster, "n1", "n2", Net::DATA).await?, "healed")?;
        cluster.isolate("n3")?;
        check(!reaches(cluster, "n3", "n1", Net::DATA).await?, "n3 is not isolated")?;
        check(!reaches(cluster, "n2", "n3", Net::DATA).await?, "n3 is not isolated")?;
        cluster.heal_all()?;
        check(reaches(cluster, "n3", "n1", Net::DATA).await?, "healed from isolation")
    })
}

pub(crate) fn a_one_way_cut_lets_the_other_way_pass(shared: &mut Shared) -> Done {
    const ECHOS: &str = "awk '/^Icmp:/ { n++; if (n == 2) print $10 }' /proc/net/snmp";
    shared.on_cluster(async |cluster| {
        check(reaches(cluster, "n2", "n1", Net::DATA).await?, "before")?;
        cluster.cut_one_way("n1", "n2")?;
        let before: u64 = cluster.node("n1")?.sh(ECHOS, LONG).await?.parse()?;
        check(!reaches(cluster, "n2", "n1", Net::DATA).await?, "the answers still come back")?;
        let after: u64 = cluster.node("n1")?.sh(ECHOS, LONG).await?.parse()?;
        check(after > before, "the requests do not arrive")?;
        cluster.heal("n1", "n2")?;
        check(reaches(cluster, "n2", "n1", Net::DATA).await?, "healed")
    })
}

pub(crate) fn delay_and_loss_are_seen_by_the_nodes(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        cluster.delay("n1", "n2", Duration::from_millis(40), Duration::ZERO)?;
        let target = cluster.node("n2")?.address(Net::DATA);
        let n1 = cluster.node("n1")?;
        let rtt = n1.sh(&format!("ping -q -c 3 -i 0.2 {target} | awk -F/ '/^rtt/ {{ print $4 }}'"), LONG).await?;
        check(rtt.split('=').next_back().unwrap_or_default().trim().parse::<f64>()? >= 80.0, &format!("rtt {rtt}"))?;
        cluster.heal("n1", "n2")?;
        cluster.link("n1", "n2", |link| link.loss = PartsPerMillion::from_percent(30.0))?;
        let ping = format!("ping -q -c 40 -i 0.05 -W 1 {target} | awk '/transmitted/ {{ print $4 }}'");
        let received: u32 = n1.sh(&ping, LONG).await?.parse()?;
        check((1..40).contains(&received), &format!("{received} of 40 came back"))?;
        cluster.heal("n1", "n2")?;
        Ok(())
    })
}

pub(crate) fn commands_have_their_code_and_their_time(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let n1 = cluster.node("n1")?;
        check(n1.exec("exit 7", LONG).await?.code == 7, "the exit code")?;
        let error = n1.sh("echo out; exit 3", LONG).await;
        check(matches!(error, Err(ClusterError::Command { code: 3, .. })), "a failure is an error of `sh`")?;
        let late = n1.exec("sleep 30", Duration::from_secs(1)).await;
        check(matches!(late, Err(ClusterError::Agent { .. })), "a command that takes too long")?;
        check(n1.sh("echo next", LONG).await? == "next", "the agent is there after that")?;
        let unknown = cluster.node("n9").err().map(|error| error.to_string());
        check(unknown.as_deref() == Some("no node is called n9 (there are n1, n2, n3)"), "an unknown node")
    })
}

pub(crate) fn files_and_folders_go_in_and_out(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let folder = cluster.folder().join("files");
        std::fs::create_dir_all(folder.join("in/sub"))?;
        let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        std::fs::write(folder.join("in/sub/file"), &content)?;
        let n1 = cluster.node("n1")?;
        n1.push(&folder.join("in"), "/root/in", LONG).await?;
        n1.sh("test -d /root/in/sub && cp /root/in/sub/file '/root/with space'", LONG).await?;
        n1.pull("/root/with space", &folder.join("out"), LONG).await?;
        check(std::fs::read(folder.join("out"))? == content, "the content")?;
        check(n1.sh("ls -A /lab | grep -c copy || true", LONG).await? == "0", "a copy is left in the shared folder")
    })
}

pub(crate) fn a_killed_node_keeps_what_was_synced(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let n2 = cluster.node("n2")?;
        n2.sh("echo kept > /root/synced && sync", LONG).await?;
        n2.kill().await?;
        check(n2.power() == Power::Off(Some(Exit::Signal(9))), &format!("{:?}", n2.power()))?;
        check(!reaches(cluster, "n1", "n2", Net::DATA).await?, "a dead node answers")?;
        let off = n2.exec("true", LONG).await;
        check(matches!(off, Err(ClusterError::Off { .. })), "a command on a node that is off")?;
        n2.boot(BOOT).await?;
        check(n2.sh("cat /root/synced", LONG).await? == "kept", "the file")?;
        check(reaches(cluster, "n1", "n2", Net::DATA).await?, "the network after the boot")
    })
}

pub(crate) fn a_node_that_hangs_is_silent_and_goes_on(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let n3 = cluster.node("n3")?;
        n3.sh("echo $$ > /dev/shm/before", LONG).await?;
        n3.hang()?;
        check(n3.power() == Power::Hung, "the state")?;
        check(!reaches(cluster, "n1", "n3", Net::DATA).await?, "it still answers")?;
        n3.resume()?;
        check(n3.sh("test -s /dev/shm/before && echo same", LONG).await? == "same", "it is the same boot")?;
        check(reaches(cluster, "n1", "n3", Net::DATA).await?, "it does not answer again")
    })
}

pub(crate) fn a_reboot_is_in_place(shared: &mut Shared) -> Done {
    const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";
    shared.on_cluster(async |cluster| {
        let n1 = cluster.node("n1")?;
        let (power, boot) = (n1.power(), n1.sh(BOOT_ID, LONG).await?);
        n1.reboot(BOOT).await?;
        check(n1.power() == power, "the process is another one")?;
        check(n1.sh(BOOT_ID, LONG).await? != boot, "the boot is the same")?;
        check(reaches(cluster, "n2", "n1", Net::DATA).await?, "the network after the reboot")
    })
}

pub(crate) fn a_crash_is_seen_and_survived(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let n2 = cluster.node("n2")?;
        let exit = n2.crash().await?;
        check(exit == Exit::Signal(6), &format!("{exit:?}"))?;
        n2.boot(BOOT).await?;
        check(reaches(cluster, "n1", "n2", Net::DATA).await?, "the network after the boot")
    })
}

pub(crate) fn a_disk_in_use_fails_and_is_mended(shared: &mut Shared) -> Done {
    const READ: &str = "dd if=/dev/mapper/disk1 of=/dev/null bs=4096 count=1 iflag=direct";
    shared.on_cluster(async |cluster| {
        let n3 = cluster.node("n3")?;
        n3.sh("echo data | dd of=/dev/mapper/disk1 conv=fsync status=none", LONG).await?;
        n3.sh("systemd-run --quiet --unit=holder sh -c 'exec sleep 1000 < /dev/mapper/disk1'", LONG).await?;
        n3.fail_disk(1).await?;
        check(n3.exec(READ, LONG).await?.code != 0, "the disk still works")?;
        n3.repair_disk(1).await?;
        n3.sh("systemctl stop holder", LONG).await?;
        check(n3.sh("head -c 4 /dev/mapper/disk1", LONG).await? == "data", "the disk's content")?;
        check(matches!(n3.fail_disk(2).await, Err(ClusterError::NoDisk { .. })), "a disk that is not there")
    })
}

pub(crate) fn a_node_can_switch_another_one_off(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let (n1, n2) = (cluster.node("n1")?, cluster.node("n2")?);
        check(n1.sh("lab-power status n2", LONG).await? == "ok n2 on", "the status")?;
        check(n1.exec("lab-power off n9", LONG).await?.code == 1, "an unknown node")?;
        check(n1.sh("lab-power off n2", LONG).await? == "ok n2 off", "the answer")?;
        check(n2.power() == Power::Off(Some(Exit::Signal(9))), "the node")?;
        check(n1.sh("lab-power off n2", LONG).await? == "ok n2 off", "off stays off")?;
        check(n1.sh("lab-power on n2", LONG).await? == "ok n2 on", "the answer")?;
        // The boot is under way: this one waits for its end, or for the rest of it.
        n2.boot(BOOT).await?;
        check(reaches(cluster, "n1", "n2", Net::DATA).await?, "the network after the boot")
    })
}

pub(crate) fn a_disk_is_pulled_unless_it_is_in_use(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let n1 = cluster.node("n1")?;
        let device = n1.disk_device(1);
        let name = device.trim_start_matches("/dev/");
        // Where the image maps the disk, it is in use by that.
        let _no_map = n1.exec("dmsetup remove disk1", LONG).await?;
        n1.sh(&format!("echo data | dd of={device} conv=fsync status=none"), LONG).await?;
        if !n1.pulls_disks_in_use() {
            n1.sh(&format!("systemd-run --quiet --unit=holder sh -c 'exec sleep 1000 < {device}'"), LONG).await?;
            let open = format!("ls -l /proc/$(systemctl show -P MainPID holder)/fd/0 | grep -q {name}");
            n1.until(&open, LONG).await?;
            check(n1.remove_disk(1).await.is_err(), "a disk in use is pulled")?;
            n1.sh("systemctl stop holder", LONG).await?;
        }
        n1.remove_disk(1).await?;
        check(n1.exec(&format!("head -c 4 {device}"), LONG).await?.code != 0, "the disk is still there")?;
        n1.add_disk(1).await?;
        // The name is a file again before it is a disk.
        let content = format!("test -b {device} && head -c 4 {device}");
        check(n1.until(&content, LONG).await? == "data", "the disk's content")
    })
}

pub(crate) fn a_clean_end_leaves_nothing(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        check(cluster.folder().exists() && !marked(cluster.folder()).is_empty(), "before")?;
        Ok(())
    })?;
    let cluster = shared.cluster.take().ok_or("there is no cluster")?;
    let folder: PathBuf = cluster.folder().into();
    let exits = shared.runtime.block_on(cluster.down())?;
    check(exits.len() == 3 && exits.iter().all(|(_, exit)| exit.is_clean()), &format!("{exits:?}"))?;
    nothing_is_left(&folder)
}

/// No process with the folder's mark, and no folder.
pub(crate) fn nothing_is_left(folder: &Path) -> Done {
    check(marked(folder).is_empty(), "a process is left")?;
    check(!folder.exists(), "the folder is left")
}
