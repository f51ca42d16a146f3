//! The cluster of all tests: three nodes with our package, and a fourth one that simulates their DRBD.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lab::cluster::{Cluster, Node, Options};
use libtest_mimic::Failed;
use tokio::runtime::Runtime;

use crate::drbd::Drbd;
use crate::image::image_with_package;
use crate::node::{self, Resource};

/// Far more than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(180);
const BOOT: Duration = Duration::from_secs(300);

/// The nodes of the tests.
pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// Simulates their DRBD. Nothing happens to it.
pub(crate) const SIMULATOR: &str = "n4";
/// What the look-alikes are called where they are used.
const PROGRAMS: [&str; 5] = ["sim-drbd", "sim-drbdsetup", "sim-drbdadm", "sim-ctl", "sim-counter"];

pub(crate) type Done = Result<(), Failed>;

pub(crate) fn check(holds: bool, what: &str) -> Done {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// The cluster of all tests.
pub(crate) struct Shared {
    runtime: Runtime,
    stage: Option<Stage>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, stage: None }
    }

    /// Boots the cluster, and sets it up.
    pub(crate) fn begin(&mut self) -> Done {
        let began = Instant::now();
        self.stage = Some(self.runtime.block_on(Stage::set())?);
        println!("the stage was set after {:.1?}", began.elapsed());
        Ok(())
    }

    /// Runs a test, and has the cluster come to rest after it.
    pub(crate) fn on_stage(&mut self, test: impl AsyncFnOnce(&Stage) -> Done) -> Done {
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
    pub(crate) cluster: Cluster,
    pub(crate) drbd: Drbd,
}

impl Stage {
    async fn set() -> Result<Self, Failed> {
        let began = Instant::now();
        let drbd = Drbd::asked_for();
        // A real one needs no node that simulates it, but a disk for each resource besides the one of the tests.
        let (nodes, disks) = if drbd == Drbd::Simulated { (4, None) } else { (3, Some(6)) };
        let mut options = Options::new(nodes, image_with_package()?);
        options.disks = disks.unwrap_or(options.disks);
        options.lab = Some(env!("CARGO_BIN_EXE_lab").into());
        options.boot_within = BOOT;
        let stage = Self { cluster: Cluster::up(&options).await?, drbd };
        let kit = stage.pack()?;
        if drbd == Drbd::Simulated {
            let simulator = stage.node(SIMULATOR)?;
            simulator.push(&kit, "/root/quorum", LONG).await?;
            simulator.sh("sh /root/quorum/setup.sh simulator", LONG).await?;
        }
        for name in NODES {
            stage.node(name)?.push(&kit, "/root/quorum", LONG).await?;
        }
        println!("the nodes have booted after {:.1?}", began.elapsed());
        stage.everywhere(&format!("sh /root/quorum/install.sh {}", drbd.word())).await?;
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

    /// Runs a command on all three at the same time.
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

    /// The node on which a resource runs. DRBD says so before the daemon there does, and until then the daemon may call it standby.
    pub(crate) async fn runs_on(&self, resource: &str) -> Result<&'static str, Failed> {
        self.until_primary(resource, &NODES).await?;
        // Where it starts first it need not stay: a preferred node whose daemon was later takes it back.
        let [first, second, third] = NODES;
        tokio::select! {
            runs = self.until_runs(resource, first) => runs.map(|()| first),
            runs = self.until_runs(resource, second) => runs.map(|()| second),
            runs = self.until_runs(resource, third) => runs.map(|()| third),
        }
    }

    // ---- power ----

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
        self.heal().await?;
        for name in NODES {
            self.boot(name).await?;
        }
        self.until_everywhere(node::IN_PEACE).await?;
        self.until_whole().await?;
        self.check_data().await
    }
}
