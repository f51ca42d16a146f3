//! sshd on the nodes, and a context that names them: the way from `reactorctl` of one node to the daemons of the others.

use std::time::Duration;

use lab::cluster::Node;
use libtest_mimic::Failed;

/// Far more than it takes.
const LONG: Duration = Duration::from_secs(180);

/// Lets root of every node in at this one, and writes a context with all of `names` for it. By the management network, which no fault touches.
///
/// All nodes are of one image, so the key of its sshd is everybody's: it is also the one that root shows.
pub(crate) async fn set_up(node: &Node, names: &[&str]) -> Result<(), Failed> {
    let context: String = names.iter().map(|name| format!("[nodes.{name}]\nhostname = \"{name}-mgmt\"\n")).collect();
    let lines = format!(
        "set -e; key=/etc/ssh/ssh_host_ed25519_key
         mkdir -p -m 700 /root/.ssh; mkdir -p /root/.config/reactorctl
         install -m 600 $key /root/.ssh/id_ed25519; install -m 600 $key.pub /root/.ssh/authorized_keys
         echo \"* $(cat $key.pub)\" >/root/.ssh/known_hosts
         cat >/root/.config/reactorctl/default.toml <<'END'\n{context}\nEND
         sync; systemctl start ssh"
    );
    node.sh(&lines, LONG).await?;
    Ok(())
}
