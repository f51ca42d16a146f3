//! Handlers of events, and answers to DRBD's own calls through `reactor-helper`.

use lab::cluster::Node;
use libtest_mimic::Failed;

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, holds};
use crate::side;

const RESOURCE: &str = "side4";

/// As in docs/umh.md, but that 8.4 does not tell the disk below: a snapshot before this node becomes sync target, gone after it. What fence-peer is asked, is answered.
const ANSWERS: &str = r#"[[umh]]
[[umh.helper]]
name = "snapshot"
on = "answer"
helper = "before-resync-target"
resource-name = "side4"
command = 'lvcreate --snapshot --size 4M --name "before-resync-$DRBD_MINOR" "$(drbdadm sh-ll-dev "$DRBD_RES_NAME")" && head -c 4 "/dev/vg/before-resync-$DRBD_MINOR" >/run/snapshot'

[[umh.helper]]
name = "snapshot-gone"
on = "answer"
helper = "after-resync-target"
resource-name = "side4"
command = 'lvremove --yes "/dev/vg/before-resync-$DRBD_MINOR"; echo removed >>/run/snapshot; exit 0'

[[umh.helper]]
name = "fence"
on = "answer"
helper = "fence-peer"
resource-name = "side4"
command = 'echo "$DRBD_PEER" >/run/fenced; exit 4'
"#;

/// This node must not become sync target.
const REFUSAL: &str = r#"[[umh]]
[[umh.helper]]
name = "never"
on = "answer"
helper = "before-resync-target"
resource-name = "side4"
command = "exit 1"

[[umh.helper]]
name = "fence"
on = "answer"
helper = "fence-peer"
resource-name = "side4"
command = "exit 4"
"#;

/// The program that DRBD calls. What is written to it is taken as it is, an end of line included.
const HELPER: &str = "/sys/module/drbd/parameters/usermode_helper";
/// Has DRBD call what it called before.
pub(crate) const HELPER_BACK: &str = "test ! -e /run/helper-before || { printf %s \"$(cat /run/helper-before)\" \
    >/sys/module/drbd/parameters/usermode_helper && rm /run/helper-before; }";

/// A resource whose disk is a volume of LVM, and DRBD calls `reactor-helper`.
async fn make(ground: &Ground) -> Done {
    let start = side::SIDES * side::SECTORS;
    let config = side::resource(4, "/dev/vg/side4", "fencing resource-only;");
    let lines = format!(
        "set -e\ndmsetup create pool --table \"0 65536 linear /dev/mapper/disk2 {start}\"\n\
         vgcreate -q vg /dev/mapper/pool\nlvcreate -q --yes --name side4 --size 8M vg\n\
         cat >/etc/drbd.d/side4.res <<'END'\n{config}\nEND\n\
         drbdadm create-md --force side4 2>&1\ndrbdadm up side4\n\
         cat {HELPER} >/run/helper-before\nprintf /usr/libexec/storage-reactor/reactor-helper >{HELPER}"
    );
    ground.both(&lines).await?;
    let [first, _] = ground.pair.nodes();
    let same = "until test \"$(drbdadm cstate side4)\" = Connected; do sleep 0.1; done; drbdadm new-current-uuid --clear-bitmap side4/0";
    first.sh(same, LONG).await?;
    Ok(())
}

/// The resource goes, and all below it.
pub(crate) const AWAY: &str = "test ! -e /etc/drbd.d/side4.res || { drbdadm down side4; rm /etc/drbd.d/side4.res; }
     test ! -e /dev/vg || vgremove -q --yes vg; test ! -e /dev/mapper/pool || dmsetup remove --retry pool";

/// One node writes while the other one does not listen; then that one comes back.
async fn writes_alone(first: &Node, second: &Node, word: &str) -> Done {
    second.sh("drbdadm disconnect side4", LONG).await?;
    let write = format!(
        "drbdadm disconnect side4; drbdadm primary side4 && \
         {{ echo {word}; cat /dev/zero; }} | dd of=/dev/drbd4 bs=64k count=16 iflag=fullblock oflag=direct status=none; drbdadm secondary side4"
    );
    first.sh(&write, LONG).await?;
    tokio::try_join!(first.sh("drbdadm connect side4", LONG), second.sh("drbdadm connect side4", LONG))?;
    Ok(())
}

pub(crate) fn drbd_asks_through_reactor_helper(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        make(ground).await?;
        ground.snippet("answers", ANSWERS).await?;
        let [first, second] = ground.pair.nodes();
        // Before the promotion of a node that is alone, DRBD asks for its peer to be fenced.
        writes_alone(first, second, "one.").await?;
        holds(first.sh("ls /run/fenced", LONG).await? == "/run/fenced", "fence-peer was not asked")?;
        second.until("grep removed /run/snapshot", LONG).await?;
        second.until("drbdadm dstate side4 | grep -x UpToDate/UpToDate", LONG).await?;
        writes_alone(first, second, "two.").await?;
        // The snapshot had the data from before.
        second.until("grep -a one.removed /run/snapshot", LONG).await?;
        let volumes = second.sh("lvs --noheadings -o name vg", LONG).await?;
        holds(volumes.trim() == RESOURCE, volumes)?;
        let said = second
            .sh("reactorctl status --json | jq -r '.handlers[] | \"\\(.rule) \\(.\"exit-code\")\"'", LONG)
            .await?;
        holds(said.contains("snapshot 0") && said.contains("snapshot-gone 0"), said)?;
        refused(ground).await?;
        counter::is_sound(ground).await
    })
}

/// How the data below DRBD begin, past the page cache: what DRBD writes there is not in it.
async fn below(node: &Node) -> Result<String, Failed> {
    Ok(node.sh("dd if=/dev/vg/side4 iflag=direct bs=4096 count=1 status=none | head -c 4", LONG).await?)
}

/// A handler that says no: the connection is dropped, and no block is written. Without the rule, drbdadm answers as ever.
async fn refused(ground: &Ground) -> Done {
    let [first, second] = ground.pair.nodes();
    ground.snippet("answers", REFUSAL).await?;
    writes_alone(first, second, "new.").await?;
    second.until("drbdadm cstate side4 | grep -x StandAlone", LONG).await?;
    holds(below(second).await? == "two.", "it was synchronised")?;
    ground.no_snippet("answers").await?;
    ground.both("drbdadm connect side4 2>/dev/null || true").await?;
    second.until("drbdadm dstate side4 | grep -x UpToDate/UpToDate", LONG).await?;
    holds(below(second).await? == "new.", "it was not synchronised")
}

pub(crate) fn a_handler_waits_and_looks_again(shared: &mut Shared) -> Done {
    const RULE: &str = r#"[[umh]]
[[umh.connection]]
name = "looks-again"
resource-name = "side4"
old.connection-state = "Connected"
new.connection-state = { value = "Connected", operator = "NotEquals" }
command = '''
until test -e /run/look; do sleep 0.1; done
drbdadm cstate "$DRBD_RES_NAME" | grep -qx Connected && { echo back >>/run/looked; exit 0; }
echo lost >>/run/looked
'''
"#;
    shared.on_pair(async |ground| {
        ground.snippet("looks", RULE).await?;
        let [first, second] = ground.pair.nodes();
        let cut = "drbdadm disconnect side4; until drbdadm cstate side4 | grep -qx StandAlone; do sleep 0.1; done";
        let join = "drbdadm connect side4; until drbdadm cstate side4 | grep -qx Connected; do sleep 0.1; done";
        // Short: when it looks, all is well.
        second.sh("drbdadm disconnect side4", LONG).await?;
        first.until("reactorctl changes --last 20 | grep 'side4 connection.*Connected ->'", LONG).await?;
        second.sh(join, LONG).await?;
        // One of the two is there a moment before the other.
        first.until("drbdadm cstate side4 | grep -x Connected", LONG).await?;
        first.sh("touch /run/look", LONG).await?;
        first.until("grep -x back /run/looked", LONG).await?;
        second.until("grep -x back /run/looked || touch /run/look", LONG).await?;
        // Long: it is as the event said.
        first.sh(cut, LONG).await?;
        first.until("grep -x lost /run/looked", LONG).await?;
        ground.no_snippet("looks").await?;
        unmake(ground).await?;
        side::remove(ground).await?;
        counter::is_sound(ground).await
    })
}

async fn unmake(ground: &Ground) -> Done {
    let lines = format!("set -e\n{HELPER_BACK}\n{AWAY}");
    ground.both(&lines).await?;
    Ok(())
}
