//! The cluster of all tests: three nodes with our package and a simulated DRBD, and a fourth one that simulates.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lab::cluster::{Cluster, Node, Options};
use libtest_mimic::Failed;
use tokio::runtime::Runtime;

use crate::image::image_with_package;
use crate::node::{self, Resource};

/// Far more than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(180);
const BOOT: Duration = Duration::from_secs(300);

/// The nodes of the simulated DRBD.
pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// Nothing happens to it.
const SIMULATOR: &str = "n4";
/// What the look-alikes are called where they are used.
const PROGRAMS: [&str; 5] = ["sim-drbd", "sim-drbdsetup", "sim-drbdadm", "sim-ctl", "sim-counter"];

pub(crate) type Done = Result<(), Failed>;

pub(crate) fn check(holds: bool, what: &str) -> Done {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// The cluster of all tests, booted by the first that runs.
pub(crate) struct Shared {
    runtime: Runtime,
    stage: Option<Stage>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, stage: None }
    }

    /// Runs a test, and has the cluster come to rest after it.
    pub(crate) fn on_stage(&mut self, test: impl AsyncFnOnce(&Stage) -> Done) -> Done {
        if self.stage.is_none() {
            let began = Instant::now();
            self.stage = Some(self.runtime.block_on(Stage::set())?);
            println!("the stage was set after {:.1?}", began.elapsed());
        }
        let stage = self.stage.as_ref().ok_or("there is no cluster")?;
        self.runtime.block_on(async {
            let began = Instant::now();
            let done = test(stage).await;
            let played = began.elapsed();
            let settled = stage.settle().await;
            println!("{played:.1?}, and {:.1?} to come to rest", began.elapsed() - played);
            // Why a test failed is more than what it has left.
            done.and(settled)
        })
    }

    /// The end of all tests.
    pub(crate) fn end(&mut self, failed: bool) {
        let Some(mut stage) = self.stage.take() else { return };
        if failed {
            stage.cluster.keep();
            println!("consoles, journals and disks stay in {}", stage.cluster.folder().display());
        }
    }
}

/// See the module's head.
pub(crate) struct Stage {
    cluster: Cluster,
}

impl Stage {
    async fn set() -> Result<Self, Failed> {
        let began = Instant::now();
        let mut options = Options::new(4, image_with_package()?);
        options.lab = Some(env!("CARGO_BIN_EXE_lab").into());
        options.boot_within = BOOT;
        let stage = Self { cluster: Cluster::up(&options).await? };
        let kit = stage.pack()?;
        let simulator = stage.node(SIMULATOR)?;
        simulator.push(&kit, "/root/quorum", LONG).await?;
        simulator.sh("sh /root/quorum/setup.sh simulator", LONG).await?;
        for name in NODES {
            stage.node(name)?.push(&kit, "/root/quorum", LONG).await?;
        }
        println!("the nodes have booted after {:.1?}", began.elapsed());
        stage.everywhere("sh /root/quorum/install.sh").await?;
        Ok(stage)
    }

    /// Puts together what a node gets.
    fn pack(&self) -> Result<PathBuf, Failed> {
        let kit = self.cluster.folder().join("quorum");
        std::fs::create_dir_all(kit.join("promoters"))?;
        // What is for people, and what the tests have in place of it or besides.
        for folder in ["quorum", "tests/quorum/kit", "tests/quorum/kit/promoters"] {
            let to = if folder.ends_with("promoters") { kit.join("promoters") } else { kit.clone() };
            for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    std::fs::copy(entry.path(), to.join(entry.file_name()))?;
                }
            }
        }
        let program = std::env::current_exe()?;
        // Without what only a debugger reads it is a tenth; where nothing can do that, all of it.
        let stripped = Command::new("strip").arg("-o").arg(kit.join("program")).arg(&program).status();
        if !stripped.is_ok_and(|status| status.success()) {
            std::fs::copy(&program, kit.join("program"))?;
        }
        for name in PROGRAMS {
            symlink("program", kit.join(name))?;
        }
        Ok(kit)
    }

    pub(crate) fn node(&self, name: &str) -> Result<&Node, Failed> {
        Ok(self.cluster.node(name)?)
    }

    /// Runs a command on all nodes of the simulated DRBD at the same time.
    pub(crate) async fn everywhere(&self, command: &str) -> Result<[String; 3], Failed> {
        let [a, b, c] = NODES.map(|name| async move { Ok::<_, Failed>(self.node(name)?.sh(command, LONG).await?) });
        let (a, b, c) = tokio::join!(a, b, c);
        Ok([a?, b?, c?])
    }

    /// Waits until a command succeeds on all of them.
    pub(crate) async fn until_everywhere(&self, command: &str) -> Done {
        let [a, b, c] = NODES.map(|name| async move { Ok::<_, Failed>(self.node(name)?.until(command, LONG).await?) });
        let (a, b, c) = tokio::join!(a, b, c);
        a.and(b).and(c).map(drop)
    }

    /// The other two.
    pub(crate) fn others(&self, name: &str) -> Vec<&'static str> {
        NODES.into_iter().filter(|other| *other != name).collect()
    }

    // ---- the simulated DRBD ----

    /// Does something to it, in the words of `sim-ctl`.
    pub(crate) async fn sim(&self, words: &str) -> Result<String, Failed> {
        Ok(self.node(SIMULATOR)?.sh(&format!("sim-ctl {words}"), LONG).await?)
    }

    /// Waits until a resource is Primary on one of these nodes, and gives which.
    pub(crate) async fn until_primary(&self, resource: &str, nodes: &[&str]) -> Result<String, Failed> {
        let choice = nodes.join("|");
        let command = format!(
            "says=$(sim-ctl status); found=$(awk '$2 == \"{resource}\" && $3 == \"Primary\" {{ print $1 }}' <<<\"$says\"); \
             case $found in {choice}) echo $found;; *) echo \"$says\"; exit 1;; esac"
        );
        Ok(self.node(SIMULATOR)?.until(&command, LONG).await?)
    }

    /// The node on which a resource runs.
    pub(crate) async fn runs_on(&self, resource: &str) -> Result<&'static str, Failed> {
        let found = self.until_primary(resource, &NODES).await?;
        Ok(NODES.into_iter().find(|name| *name == found).ok_or("an unknown node")?)
    }

    /// Takes all connections between all nodes.
    pub(crate) async fn cut_all(&self) -> Done {
        let cut = "sim-ctl isolate n1 && sim-ctl isolate n2";
        self.node(SIMULATOR)?.sh(cut, LONG).await?;
        Ok(())
    }

    // ---- power ----

    /// Cuts a node's power, and that of its simulated DRBD.
    pub(crate) async fn power_cut(&self, name: &str) -> Done {
        let words = format!("kill {name}");
        let (cut, told) = tokio::join!(self.node(name)?.kill(), self.sim(&words));
        cut?;
        told?;
        Ok(())
    }

    /// Boots it. It tells the simulator by itself that it has power again.
    pub(crate) async fn boot(&self, name: &str) -> Done {
        self.node(name)?.boot(BOOT).await?;
        Ok(())
    }

    /// Waits until a node has come back from a reboot that nobody here has ordered.
    pub(crate) async fn until_rebooted(&self, name: &str, before: u64) -> Done {
        let agent = self.node(name)?.agent()?;
        agent.ready(before, BOOT).await?;
        self.node(name)?.exec("systemctl is-system-running --wait", BOOT).await?;
        Ok(())
    }

    // ---- peace ----

    /// Moves a resource: it is held everywhere else, and stopped where it runs.
    pub(crate) async fn move_to(&self, resource: &str, name: &str) -> Done {
        let from = self.runs_on(resource).await?;
        if from == name {
            return Ok(());
        }
        for other in self.others(name) {
            self.node(other)?.sh(&format!("reactorctl hold {resource}"), LONG).await?;
        }
        self.node(from)?.sh(&format!("systemctl stop drbd-services@{resource}.target"), LONG).await?;
        self.until_primary(resource, &[name]).await?;
        for other in self.others(name) {
            self.node(other)?.sh(&format!("reactorctl release {resource}"), LONG).await?;
        }
        self.until_runs(resource, name).await
    }

    /// Waits until a resource runs on a node, by what its daemon says.
    pub(crate) async fn until_runs(&self, resource: &str, name: &str) -> Done {
        Resource::new(self.node(name)?, resource).until("running").await
    }

    /// Everything works, nothing is held or blocked, and each resource runs on one node. And nothing that was acknowledged is lost.
    async fn settle(&self) -> Done {
        self.sim("heal").await?;
        for name in NODES {
            self.boot(name).await?;
        }
        let settled = format!(
            "says=$(sim-ctl status); awk '\
               {{ rows += NR > 1; primaries += $3 == \"Primary\"; good += $4 == \"UpToDate\" && $5 == \"yes\" }} \
               /Connecting|StandAlone|Unconnected|Failure|power/ {{ bad = 1 }} \
               END {{ exit bad || rows != {all} || good != rows || primaries != {one} }}' <<<\"$says\" || {{ echo \"$says\"; exit 1; }}",
            all = 3 * node::RESOURCES.len(),
            one = node::RESOURCES.len(),
        );
        self.until_everywhere(node::IN_PEACE).await?;
        self.node(SIMULATOR)?.until(&settled, LONG).await?;
        let truth = self.sim("truth").await?;
        check(!truth.contains("\"diverged\":true"), &format!("two nodes wrote the same data: {truth}"))?;
        check(truth.matches("\"lost-writes\":0").count() == node::RESOURCES.len(), &format!("writes are lost: {truth}"))
    }
}
