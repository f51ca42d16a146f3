//! Small DRBD resources on slices of the second disk, for what does not need the counter.
//!
//! They are made once and stay until the tests that take a node away: those have them down.

use std::fmt::Write;

use crate::ground::{Done, Ground, LONG, PINGS};

/// So many: side1, side2, ...
pub(crate) const SIDES: usize = 3;
/// The size of each.
pub(crate) const SECTORS: usize = 16384;

/// The names of all.
pub(crate) fn names() -> impl Iterator<Item = String> {
    (1..=SIDES).map(|number| format!("side{number}"))
}

/// DRBD's configuration of one.
pub(crate) fn resource(number: usize, disk: &str, fencing: &str) -> String {
    let port = 7000 + number;
    format!(
        "resource side{number} {{\n\
         net {{ protocol C; {PINGS} }}\n\
         disk {{ {fencing} c-plan-ahead 0; resync-rate 100M; }}\n\
         handlers {{ fence-peer /usr/local/sbin/lab-fence-peer; }}\n\
         device /dev/drbd{number};\ndisk {disk};\nmeta-disk internal;\n\
         on n1 {{ address 10.77.0.1:{port}; }}\non n2 {{ address 10.77.0.2:{port}; }}\n}}\n"
    )
}

/// Makes sure that they are there, each with a service of its own.
pub(crate) async fn ready(ground: &Ground) -> Done {
    // A node that was rebooted by a failed test has lost its slices.
    let whole = format!(
        "test -e /etc/drbd.d/side.res && test \"$(drbdadm cstate {} 2>/dev/null | sort -u)\" = Connected",
        names().collect::<Vec<_>>().join(" ")
    );
    if ground.both(&whole).await.is_ok() {
        return Ok(());
    }
    remove(ground).await?;
    let unit = "for i in 1 2 3; do printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/side$i.service; done";
    ground.both(&format!("{unit}; systemctl daemon-reload")).await?;
    make(ground).await
}

/// Connected and with the same data on both sides. Nobody promotes them.
async fn make(ground: &Ground) -> Done {
    let (mut lines, mut config) = ("set -e\n".to_owned(), String::new());
    for number in 1..=SIDES {
        let start = (number - 1) * SECTORS;
        writeln!(lines, "dmsetup create side{number} --table '0 {SECTORS} linear /dev/mapper/disk2 {start}'")?;
        // What a test has left on it that failed would keep `create-md` from it.
        writeln!(lines, "wipefs -qa /dev/mapper/side{number}")?;
        config += &resource(number, &format!("/dev/mapper/side{number}"), "fencing resource-only;");
    }
    let all = names().collect::<Vec<_>>().join(" ");
    write!(lines, "drbdadm create-md --force {all} 2>&1\ndrbdadm up {all}\n")?;
    ground.write("/etc/drbd.d/side.res", &config).await?;
    ground.both(&lines).await?;
    let [first, _] = ground.pair.nodes();
    let same = format!(
        "until test \"$(drbdadm cstate {all} | sort -u)\" = Connected; do sleep 0.1; done\n\
         for name in {all}; do drbdadm new-current-uuid --clear-bitmap $name/0; done"
    );
    first.sh(&same, LONG).await?;
    Ok(())
}

/// No promoter has any of them, nothing of them runs, and no failure is remembered.
pub(crate) async fn idle(ground: &Ground) -> Done {
    let all = names().collect::<Vec<_>>().join(" ");
    // A promotion that the stop meets may become one all the same, though its unit has ended: DRBD is asked once more.
    let lines = format!(
        "for name in {all}; do reactorctl clear $name; reactorctl release $name; done >/dev/null 2>&1\n\
         rm -f /etc/storage-reactor.d/side.toml; systemctl reload storage-reactor; {STOP}; systemctl reset-failed\n\
         for name in {all}; do drbdadm secondary $name || true; done",
    );
    ground.both(&lines).await?;
    let [first, _] = ground.pair.nodes();
    for name in names() {
        first.until(&format!("drbdadm role {name} | grep -x Secondary/Secondary"), LONG).await?;
    }
    Ok(())
}

/// A target has stopped before its units have: `systemctl stop` does not wait for those.
const STOP: &str = "systemctl stop 'drbd-services@side*.target'; systemctl stop 'drbd-promote@side*.service'";

/// All of them go: no service, no configuration.
pub(crate) async fn remove(ground: &Ground) -> Done {
    let all = names().collect::<Vec<_>>().join(" ");
    let lines = format!(
        "{STOP}; test ! -e /etc/drbd.d/side.res || drbdadm down {all}\n\
         rm -f /etc/drbd.d/side.res; systemctl reset-failed\n\
         for name in {all}; do test ! -e /dev/mapper/$name || dmsetup remove --retry $name; done"
    );
    ground.both(&lines).await?;
    Ok(())
}
