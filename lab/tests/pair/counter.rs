//! The service that writes, and what must be true of what it wrote.

use std::collections::HashMap;

use libtest_mimic::Failed;

use crate::ground::{Done, Ground, LONG, holds};

/// Writes a number and its node's name twice in a second. When the number is on the disks of DRBD, it is acknowledged in a file
/// on the host, which no fault of a node reaches.
pub(crate) const UNIT: &str = r#"[Unit]
Description=Counts, and acknowledges what is written

[Service]
ExecStart=/bin/sh -c 'n=$(tail -n 1 /srv/data/count | cut -d" " -f1); while sleep 0.5; do n=$((n + 1)); \
    echo "$n %H ." >>/srv/data/count && sync /srv/data/count || exit 1; echo "$n %H" >>/lab/acknowledged; done'
"#;

/// Every number that any node has acknowledged until now.
fn acknowledged(ground: &Ground) -> Result<Vec<(u64, String)>, Failed> {
    let mut all = Vec::new();
    for node in ground.pair.nodes() {
        let text = std::fs::read_to_string(node.spec().share.join("acknowledged")).unwrap_or_default();
        for line in text.lines() {
            let (number, name) = line.split_once(' ').ok_or_else(|| format!("acknowledged: {line:?}"))?;
            all.push((number.parse()?, name.to_owned()));
        }
    }
    Ok(all)
}

/// The counter runs on one node only, goes on counting there, and has every acknowledged number, once, from the node that wrote it.
pub(crate) async fn is_sound(ground: &Ground) -> Done {
    let (active, standby) = ground.active().await?;
    let idle = standby.exec("systemctl -q is-active counter", LONG).await?;
    holds(idle.code != 0, "the counter runs on both nodes")?;
    let acknowledged = acknowledged(ground)?;
    let count = active.sh("cat /srv/data/count", LONG).await?;
    let mut written = HashMap::new();
    let mut last = 0;
    for line in count.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [number, name, "."] = words[..] else { return Err(format!("a line is {line:?}").into()) };
        let number: u64 = number.parse()?;
        holds(number == last + 1, format!("{number} follows {last}"))?;
        last = number;
        written.insert(number, name);
    }
    for (number, name) in &acknowledged {
        let found = written.get(number);
        holds(
            found.is_some_and(|writer| writer == name),
            format!("{name} has acknowledged {number}, the file has {found:?}"),
        )?;
    }
    holds(!acknowledged.is_empty(), "nothing was acknowledged")
}
