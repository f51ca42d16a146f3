//! `lab demo`: a pair that runs a service on DRBD, one power cut, told with times; then it is the user's to break.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::cluster::rundir::RunDir;
use lab::image::Image;
use lab::pair::{FILES, NODES};

use crate::cli::Up;
use crate::client::{self, Code, ask, say};
use crate::wire::{PowerOrder, Request};

/// Longest wait for anything in a node.
const PATIENCE: Duration = Duration::from_secs(120);

/// Boots the pair, shows one take-over, and leaves it running.
pub(crate) async fn demo(cluster: &str, up: &Up, image: &Image) -> Result<Code> {
    ensure!(up.nodes == 2, "the demo is a pair: DRBD 8.4 has two nodes");
    client::up(cluster, up, image).await?;
    let demo = Demo { cluster };
    demo.set_up().await?;
    let active = demo.active().await?;
    say(&format!("\nThe service `counter` writes a number once in a second on {active}:"))?;
    demo.run(active, "tail -n 2 /srv/data/count; reactorctl why data | head -n 2").await?;
    demo.power_cut(active).await?;
    let prefix = if cluster == "lab" { "lab".to_owned() } else { format!("lab --cluster {cluster}") };
    say(&format!(
        "\nThe pair is yours. docs/lab.md says what can be broken, and what happens then; for a start:\n  \
         {prefix} exec n1 reactorctl status\n  {prefix} cut n1 n2\n  {prefix} shell n2\n  {prefix} heal; {prefix} boot n1\n  {prefix} down"
    ))?;
    Ok(0)
}

struct Demo<'a> {
    cluster: &'a str,
}

impl Demo<'_> {
    async fn set_up(&self) -> Result<()> {
        say("making DRBD's resource `data`, a file system on it, and a service that counts ...")?;
        for node in NODES {
            // The folder that the node has at /lab.
            let folder = RunDir::base().join(self.cluster).join(node).join("share/pair");
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            for (name, text) in FILES {
                fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
            }
            let installed = "command -v reactorctl >/dev/null || { echo \"storage-reactor is not in the image: make deb\"; exit 1; }";
            self.run(node, installed).await?;
            let last = if node == NODES[1] { "last" } else { "" };
            self.run(node, &format!("cp -r /lab/pair /root/ && sh /root/pair/setup.sh {last} >/root/setup.log 2>&1 || {{ cat /root/setup.log; exit 1; }}")).await?;
        }
        for node in NODES {
            self.run(node, "cp /root/pair/data.toml /etc/storage-reactor.d/ && reactorctl reload >/dev/null").await?;
        }
        Ok(())
    }

    /// A line of shell, which has to succeed.
    async fn run(&self, node: &str, line: &str) -> Result<()> {
        let code = self.code(node, line).await?;
        if code != 0 {
            bail!("on {node}, `{line}` ended with {code}; `lab down` ends the cluster");
        }
        Ok(())
    }

    async fn code(&self, node: &str, line: &str) -> Result<Code> {
        let (node, command) = (node.to_owned(), line.to_owned());
        ask(self.cluster, &Request::Exec { node, command, within: PATIENCE }).await
    }

    /// Who runs the service; waits until somebody does.
    async fn active(&self) -> Result<&'static str> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            for node in NODES {
                // The service has been there for a moment, and has written.
                if self.code(node, "systemctl -q is-active counter && test -s /srv/data/count").await? == 0 {
                    return Ok(node);
                }
            }
        }
        bail!("the service does not start: `lab exec n1 reactorctl why data` says why")
    }

    async fn power_cut(&self, active: &'static str) -> Result<()> {
        let other = if active == NODES[0] { NODES[1] } else { NODES[0] };
        say(&format!(
            "\nNow the power of {active} is cut. {other} has to miss it, to switch it off for certain, and to take over ..."
        ))?;
        let power = |order| Request::Power { nodes: vec![active.to_owned()], order };
        ask(self.cluster, &power(PowerOrder::Kill)).await?;
        let began = Instant::now();
        self.run(other, "until grep -qs \" $(uname -n) \" /srv/data/count; do sleep 0.1; done").await?;
        say(&format!("{other} counts on, {:.1} s after the power cut:", began.elapsed().as_secs_f64()))?;
        self.run(other, "tail -n 3 /srv/data/count; reactorctl why data | sed -n '/^Last decisions/,$p'").await?;
        say(&format!("\n{active} gets its power back, and what it has missed ..."))?;
        ask(self.cluster, &power(PowerOrder::Boot)).await?;
        self.run(
            other,
            "until test \"$(drbdadm dstate data)\" = UpToDate/UpToDate; do sleep 0.2; done; drbdadm status data",
        )
        .await
    }
}
