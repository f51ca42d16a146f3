//! The pair that all tests share, and short words for what they ask it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::cluster::{Cluster, Node, Options};
use lab::pair::{FILES, NODES, Pair, PairOptions};
use libtest_mimic::Failed;
use tokio::runtime::Runtime;

use crate::counter;
use crate::image::image_with_package;
use crate::{handlers, side};

/// Far more than anything here takes but a boot.
pub(crate) const LONG: Duration = Duration::from_secs(180);
/// Far more than a boot and what follows it.
pub(crate) const BOOT: Duration = Duration::from_secs(300);

/// Ping every second, and wait 2 s for the answer.
pub(crate) const PINGS: &str = "ping-int 1; ping-timeout 20;";

pub(crate) type Done = Result<(), Failed>;

/// The promoter's file for `data`, with more lines for it.
pub(crate) fn data_toml(more: &str) -> String {
    format!(
        "[[promoter]]\n[promoter.resources.data]\nstart = [\"srv-data.mount\", \"counter.service\"]\n\
         fencing-promote-delay = 1\n{more}"
    )
}

/// Ends what a test has left that failed on its way.
const CALM: &str =
    "for name in side1 side2 side3; do reactorctl release $name; reactorctl clear $name; done >/dev/null 2>&1
     cd /etc/storage-reactor.d && find . ! -name data.toml -name '*.toml' -delete
     touch /run/go /run/gone /run/look; systemctl stop opener 2>/dev/null
     reactorctl release data 2>/dev/null; reactorctl clear data 2>/dev/null; true";

/// A file of the pair with more patience between the nodes: nothing here is about time, and the machine may be busy.
fn patient(name: &str) -> (String, String) {
    let (_, text) = FILES.into_iter().find(|(file, _)| *file == name).expect("a file of the pair");
    (name.to_owned(), text.replace("ping-int 1;", PINGS))
}

/// The pair of all tests.
pub(crate) struct Shared {
    runtime: Runtime,
    ground: Option<Ground>,
    /// The promoter has been given `data`.
    has_data: bool,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, ground: None, has_data: false }
    }

    /// Boots the pair, and sets it up.
    pub(crate) fn begin(&mut self) -> Done {
        self.ground = Some(self.runtime.block_on(Ground::up())?);
        Ok(())
    }

    /// Runs a test on the pair, with the counter running somewhere.
    pub(crate) fn on_pair(&mut self, test: impl AsyncFnOnce(&Ground) -> Done) -> Done {
        let give_data = !self.has_data;
        self.on_fresh_pair(async |ground| {
            if give_data {
                ground.snippet("data", &data_toml("")).await?;
                ground.active().await?;
            }
            test(ground).await
        })
    }

    /// The same for a test that gives the promoter `data` itself. What a failed test leaves is not the next one's.
    #[expect(clippy::print_stdout, reason = "a failed test says so at once, and what it took")]
    pub(crate) fn on_fresh_pair(&mut self, test: impl AsyncFnOnce(&Ground) -> Done) -> Done {
        self.has_data = true;
        let ground = self.ground.as_ref().ok_or("there is no pair")?;
        self.runtime.block_on(async {
            let began = Instant::now();
            let done = test(ground).await;
            println!("{:5.1} s", began.elapsed().as_secs_f64());
            match done {
                Ok(()) => Ok(()),
                Err(failed) => {
                    let story = ground.pair.story().await;
                    let calmed = ground.calm().await.err().and_then(|failed| failed.message().map(str::to_owned));
                    let calmed = calmed.map(|why| format!("\nand afterwards: {why}")).unwrap_or_default();
                    // Now, while the next tests run: what they all say is printed at the end. The reason last, below the long story.
                    println!("{story}{calmed}\n{}", failed.message().unwrap_or_default());
                    Err(failed)
                }
            }
        })
    }

    /// Ends the cluster; its folder stays if something failed.
    #[expect(clippy::print_stdout, reason = "a failed test has to say where to look")]
    pub(crate) fn end(&mut self, failed: bool) {
        let Some(mut ground) = self.ground.take() else { return };
        if failed {
            ground.cluster.keep();
            println!("consoles, journals and disks stay in {}", ground.cluster.folder().display());
        }
        let _inside = self.runtime.enter();
        drop(ground);
    }
}

/// The pair, and everything that a test does with it.
pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) pair: Pair,
}

impl Ground {
    /// Boots and sets up everything; the promoter has nothing to do yet.
    async fn up() -> Result<Self, Failed> {
        let mut options = Options::new(2, image_with_package()?);
        options.lab = Some(env!("CARGO_BIN_EXE_lab").into());
        options.boot_within = BOOT;
        options.disks = 2;
        let cluster = Cluster::up(&options).await?;
        let pair = PairOptions {
            promoter: Some("# later\n".to_owned()),
            files: vec![("counter.service".to_owned(), counter::UNIT.to_owned()), patient("data.res")],
            ..PairOptions::default()
        };
        let pair = Pair::set_up(&cluster, &pair).await?;
        Ok(Self { cluster, pair })
    }

    /// Both nodes as every test may expect them.
    async fn calm(&self) -> Done {
        for node in self.pair.nodes() {
            if node.power() == lab::cluster::Power::Hung {
                node.resume()?;
            }
            node.boot(BOOT).await?;
        }
        self.both(&format!("{CALM}\n{}\n{}", handlers::HELPER_BACK, handlers::AWAY)).await?;
        self.pair.reload_promoter(Some(&data_toml(""))).await?;
        side::remove(self).await?;
        self.both("rm -f /run/go /run/gone /run/look /run/looked").await?;
        self.pair.settle(&self.cluster, BOOT).await?;
        Ok(())
    }

    /// The node that runs the counter.
    pub(crate) async fn active(&self) -> Result<(&Arc<Node>, &Arc<Node>), Failed> {
        let active = self.pair.active(LONG).await?;
        Ok((active, self.pair.other(active.name())))
    }

    /// The pair is whole again, and the counter runs on this node.
    pub(crate) async fn whole_on(&self, name: &str) -> Done {
        let active = self.pair.settle(&self.cluster, BOOT).await?;
        holds(active.name() == name, format!("the counter runs on {}, not on {name}", active.name()))
    }

    /// The same on both nodes at once; what they print.
    pub(crate) async fn both(&self, command: &str) -> Result<[String; 2], Failed> {
        let [first, second] = self.pair.nodes();
        let (first, second) = tokio::try_join!(first.sh(command, LONG), second.sh(command, LONG))?;
        Ok([first, second])
    }

    /// A file on both nodes, which a power cut does not take.
    pub(crate) async fn write(&self, path: &str, text: &str) -> Done {
        self.both(&format!("cat >{path} <<'END OF FILE'\n{text}\nEND OF FILE\nsync {path}")).await?;
        Ok(())
    }

    /// A snippet on both nodes, which are to take it.
    pub(crate) async fn snippet(&self, name: &str, text: &str) -> Done {
        self.write(&format!("/etc/storage-reactor.d/{name}.toml"), text).await?;
        self.reload().await
    }

    /// The snippet goes.
    pub(crate) async fn no_snippet(&self, name: &str) -> Done {
        self.both(&format!("rm /etc/storage-reactor.d/{name}.toml")).await?;
        self.reload().await
    }

    pub(crate) async fn reload(&self) -> Done {
        self.both("systemctl reload storage-reactor").await?;
        Ok(())
    }

    /// The services of a resource leave this node for the other one.
    pub(crate) async fn evict(&self, node: &Node, resource: &str) -> Done {
        let target = format!("drbd-services@{resource}.target");
        node.sh(&format!("reactorctl hold {resource} --why moving && systemctl stop {target}"), LONG).await?;
        self.pair.other(node.name()).until(&format!("systemctl -q is-active {target}"), LONG).await?;
        node.sh(&format!("reactorctl release {resource}"), LONG).await?;
        Ok(())
    }

    /// The main process of a unit on each node, 0 where it does not run.
    pub(crate) async fn pids(&self, unit: &str) -> Result<BTreeMap<&'static str, u32>, Failed> {
        let pids = self.both(&format!("systemctl show --value -p MainPID {unit}")).await?;
        let parsed: Result<Vec<u32>, _> = pids.iter().map(|pid| pid.parse()).collect();
        Ok(NODES.into_iter().zip(parsed?).collect())
    }
}

/// A fact, or what is wrong.
pub(crate) fn holds(is: bool, what: impl Into<String>) -> Done {
    if is { Ok(()) } else { Err(what.into().into()) }
}

/// The report of `reactorctl why` as it is.
pub(crate) async fn why(node: &Node, resource: &str) -> Result<serde_json::Value, Failed> {
    Ok(serde_json::from_str(&node.sh(&format!("reactorctl why {resource} --json"), LONG).await?)?)
}

/// Waits until a condition of jq holds for that report.
pub(crate) async fn until_why(node: &Node, resource: &str, condition: &str) -> Done {
    let look = format!("reactorctl why {resource} --json >/run/why && jq -e '{condition}' /run/why");
    match node.until(&look, LONG).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = node.sh(&format!("reactorctl why {resource}"), LONG).await?;
            Err(format!("never on {}: {condition}: {error}\n{said}", node.name()).into())
        }
    }
}
