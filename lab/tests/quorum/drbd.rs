//! The DRBD of the nodes: what the tests do to it, and what they ask of it.
//!
//! It is simulated, by a node to which nothing happens. Where `LAB_DRBD9_DIR` names a real one, which needs QEMU, it is that one.

use std::sync::Arc;

use libtest_mimic::Failed;
use tokio::task::JoinSet;

use crate::node::RESOURCES;
use crate::stage::{Done, LONG, NODES, SIMULATOR, Stage, check};

/// Succeeds where a real DRBD has all its peers, all its data, and one Primary for each resource.
const WHOLE: &str = "test \"$(drbdadm cstate all | sort -u)\" = Connected && \
     test \"$(drbdadm dstate all | tr / '\\n' | sort -u)\" = UpToDate && \
     for name in web db log app home; do \
         test $(drbdsetup status $name | grep -c role:Primary) = 1 || { drbdsetup status $name; exit 1; }; done";

/// Whose DRBD it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drbd {
    /// That of `reactor-sim`.
    Simulated,
    /// LINBIT's, in the kernel of the nodes.
    Real,
}

impl Drbd {
    /// The one that is asked for.
    pub(crate) fn asked_for() -> Self {
        let folder = std::env::var_os("LAB_DRBD9_DIR").filter(|folder| !folder.is_empty());
        if folder.is_some() { Self::Real } else { Self::Simulated }
    }

    /// In the words of `install.sh`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Real => "real",
        }
    }
}

impl Stage {
    /// Does something to the simulated one, in the words of `sim-ctl`.
    async fn sim(&self, words: &str) -> Result<String, Failed> {
        Ok(self.node(SIMULATOR)?.sh(&format!("sim-ctl {words}"), LONG).await?)
    }

    /// Takes a node's connections to all others.
    pub(crate) async fn isolate(&self, name: &str) -> Done {
        if self.drbd == Drbd::Simulated {
            return self.sim(&format!("isolate {name}")).await.map(drop);
        }
        for other in self.others(name) {
            self.cluster.cut(name, other)?;
        }
        Ok(())
    }

    /// Takes all connections between all nodes.
    pub(crate) async fn cut_all(&self) -> Done {
        self.isolate("n1").await?;
        self.isolate("n2").await
    }

    /// Gives all connections back.
    pub(crate) async fn heal(&self) -> Done {
        match self.drbd {
            Drbd::Simulated => self.sim("heal").await.map(drop),
            Drbd::Real => Ok(self.cluster.heal_all()?),
        }
    }

    /// Cuts a node's power, and that of its DRBD.
    pub(crate) async fn power_cut(&self, name: &str) -> Done {
        let node = self.node(name)?;
        if self.drbd == Drbd::Real {
            return Ok(node.kill().await?);
        }
        let words = format!("kill {name}");
        let (cut, told) = tokio::join!(node.kill(), self.sim(&words));
        cut?;
        told.map(drop)
    }

    /// Waits until a resource is Primary on one of these nodes, and gives which.
    pub(crate) async fn until_primary(&self, resource: &str, nodes: &[&str]) -> Result<String, Failed> {
        if self.drbd == Drbd::Real {
            return self.first_primary(resource, nodes).await;
        }
        let choice = nodes.join("|");
        let command = format!(
            "says=$(sim-ctl status); awk '$2 == \"{resource}\" && $3 == \"Primary\" && $1 ~ /^({choice})$/ {{ print $1; exit }}' <<<\"$says\" | \
             grep . || {{ echo \"$says\"; exit 1; }}"
        );
        Ok(self.node(SIMULATOR)?.until(&command, LONG).await?)
    }

    async fn first_primary(&self, resource: &str, nodes: &[&str]) -> Result<String, Failed> {
        let mut looks = JoinSet::new();
        for name in nodes {
            let node = Arc::clone(self.cluster.node(name)?);
            let look = format!("test \"$(drbdadm role {resource})\" = Primary");
            looks.spawn(async move { node.until(&look, LONG).await.map(|_| node.name().to_owned()) });
        }
        let mut last = Failed::from(format!("nobody may be Primary of {resource}"));
        while let Some(ended) = looks.join_next().await {
            match ended? {
                Ok(name) => return Ok(name),
                // It may be off.
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// Waits until two nodes are Primary that do not see each other, one of which has no quorum.
    pub(crate) async fn until_two_primaries(&self, resource: &str, nodes: [&str; 2]) -> Done {
        if self.drbd == Drbd::Real {
            for name in nodes {
                self.first_primary(resource, &[name]).await?;
            }
            return Ok(());
        }
        let both = format!(
            "test $(sim-ctl status | awk '$2 == \"{resource}\" && $3 == \"Primary\"' | wc -l) = 2 || {{ sim-ctl status; exit 1; }}"
        );
        self.node(SIMULATOR)?.until(&both, LONG).await?;
        Ok(())
    }

    /// Waits until each resource is Primary on one node, connected, and has all data everywhere.
    pub(crate) async fn until_whole(&self) -> Done {
        if self.drbd == Drbd::Real {
            return self.until_everywhere(WHOLE).await;
        }
        let settled = format!(
            "says=$(sim-ctl status); awk '\
               {{ rows += NR > 1; primaries += $3 == \"Primary\"; good += $4 == \"UpToDate\" && $5 == \"yes\" }} \
               /Connecting|StandAlone|Unconnected|Failure|power/ {{ bad = 1 }} \
               END {{ exit bad || rows != {all} || good != rows || primaries != {one} }}' <<<\"$says\" || {{ echo \"$says\"; exit 1; }}",
            all = 3 * RESOURCES.len(),
            one = RESOURCES.len(),
        );
        self.node(SIMULATOR)?.until(&settled, LONG).await?;
        Ok(())
    }

    /// Checks that nothing is lost of what was acknowledged.
    pub(crate) async fn check_data(&self) -> Done {
        if self.drbd == Drbd::Simulated {
            let truth = self.sim("truth").await?;
            check(!truth.contains("\"diverged\":true"), &format!("two nodes wrote the same data: {truth}"))?;
            let sound = truth.matches("\"lost-writes\":0").count() == RESOURCES.len();
            return check(sound, &format!("writes are lost: {truth}"));
        }
        for resource in RESOURCES {
            let last = format!(
                "awk '$3 > last {{ last = $3 }} END {{ print last + 0 }}' /var/log/counter-{resource} 2>/dev/null || echo 0"
            );
            let acknowledged = self.everywhere(&last).await?;
            let primary = self.until_primary(resource, &NODES).await?;
            let read = format!("head -c 32 /dev/drbd/by-res/{resource}/0 | tr -cd 0-9");
            let has: u64 = self.node(&primary)?.sh(&read, LONG).await?.parse()?;
            for (name, number) in NODES.iter().zip(acknowledged) {
                let sound = number.parse::<u64>()? <= has;
                check(sound, &format!("{name} has acknowledged {number} of {resource}, {primary} has {has}"))?;
            }
        }
        Ok(())
    }
}
