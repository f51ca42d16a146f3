//! What `make deb` has made, installed by dpkg and started by systemd.

use lab::image::Options;

use crate::Shared;
use crate::cluster::{Done, LONG, check};

pub(crate) fn our_package_is_installed_and_runs(shared: &mut Shared) -> Done {
    if Options::from_env().packages.is_empty() {
        println!("SKIPPED: there is no package (`make deb`)");
        return check(std::env::var_os("CI").is_none(), "there is no package");
    }
    shared.on_cluster(async |cluster| {
        for node in cluster.nodes() {
            node.until("systemctl is-active storage-reactor.service", LONG).await?;
            let enabled = node.sh("systemctl is-enabled storage-reactor.service", LONG).await?;
            check(enabled == "enabled", "it is enabled")?;
            // The real DRBD of the node's kernel.
            let status = node.until("reactorctl status | grep 'DRBD 8.4'", LONG).await?;
            check(status.contains("DRBD 8.4"), &status)?;
            // What dpkg has, and what systemd-sysusers and systemd-tmpfiles were asked for.
            let differences = node.sh("dpkg --verify storage-reactor", LONG).await?;
            check(differences.is_empty(), &differences)?;
            node.sh("getent group storage-reactor", LONG).await?;
            let modes = node.sh("stat -c %a /etc/storage-reactor.toml /run/storage-reactor/secrets", LONG).await?;
            check(modes == "640\n700", &modes)?;
        }
        Ok(())
    })
}
