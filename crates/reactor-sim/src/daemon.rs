//! A real `reactord` as a child: its own temporary folder, its control socket, what `/proc` says of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reactor_api::client::{Client, ClientError};
use reactor_api::verbs::Status;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Generous: only a daemon that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that is removed with everything in it.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// A new folder for us only.
    pub fn new(name: &str) -> Result<Self> {
        let base = std::env::temp_dir();
        for attempt in 0..100 {
            let path = base.join(format!("{name}-{}-{attempt}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("creating {}", path.display())),
            }
        }
        bail!("no free name for a folder in {}", base.display())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only we may read and write.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("creating {}", path.display()))?;
        file.write_all(text.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Nothing can be done about a folder that stays, and the system cleans its temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port of the loopback that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A program beside the one that runs, or `given`.
pub fn program(given: Option<&Path>, name: &str) -> Result<PathBuf> {
    if let Some(path) = given {
        return path.canonicalize().with_context(|| format!("{name}: {}", path.display()));
    }
    let me = std::env::current_exe().context("finding my own program")?;
    let path = me.with_file_name(name);
    if !path.exists() {
        bail!("{} does not exist: build it first (cargo build --release)", path.display());
    }
    Ok(path)
}

/// The `[daemon]` table of a daemon that lives in `dir`. Its DRBD is made up: what the kernel says of the real one is not about it.
pub fn daemon_table(dir: &Path, node: &str) -> String {
    let dir = dir.display();
    format!(
        "[daemon]\nnode-name = \"{node}\"\nruntime-dir = \"{dir}/run\"\nstate-dir = \"{dir}/state\"\nunit-dir = \"{dir}/units\"\n\
         drbdsetup = \"{dir}/drbdsetup\"\ndrbdadm = \"{dir}/drbdadm\"\n\
         kernel-log = false\n"
    )
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    dir: PathBuf,
}

impl Daemon {
    /// Starts `reactord` with `config` in the folder `dir`; `args` come after `--config`. Its log goes to `log` in the folder.
    pub fn start(reactord: &Path, dir: &TempDir, config: &str, args: &[&str]) -> Result<Self> {
        for name in ["run", "state", "units"] {
            DirBuilder::new().mode(0o700).recursive(true).create(dir.path().join(name))?;
        }
        let config = dir.write("reactord.toml", config)?;
        let log = File::create(dir.path().join("log")).context("creating the log")?;
        let child = Command::new(reactord)
            .arg("--config")
            .arg(config)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", reactord.display()))?;
        Ok(Self { child, dir: dir.path().to_owned() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("run/control.sock")
    }

    /// Fails, with its log, if it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("reactord ended ({status}); its log:\n{}", self.log());
        }
        Ok(())
    }

    /// A connection to its control socket, as soon as it answers.
    pub fn control(&mut self) -> Result<Client> {
        self.within("its control socket", |daemon| match Client::connect(&daemon.socket(), PATIENCE) {
            Ok(client) => Ok(Some(client)),
            Err(ClientError::NotRunning { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    /// Its status, when `good` holds of it.
    pub fn status_when(&mut self, what: &str, good: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut client = self.control()?;
        self.within(what, |_| {
            let status = client.ask(&Status::default())?.status.value;
            Ok(good(&status).then_some(status))
        })
    }

    /// Waits until it has nothing more to do. It is not asked: with 1,000 resources an answer is megabytes.
    pub fn settle(&mut self) -> Result<()> {
        let mut before = self.cpu_ns()?;
        // On a busy machine it may not even have had its turn yet.
        std::thread::sleep(Duration::from_millis(20));
        self.within("reactord to be quiet", |daemon| {
            let now = daemon.cpu_ns()?;
            let quiet = now - before < 200_000;
            before = now;
            Ok(quiet.then_some(()))
        })
    }

    /// Fails if it did not understand `lines` lines, or if a configured plugin does not run.
    pub fn must_have_read(&mut self, lines: u64) -> Result<()> {
        let status = self.status_when("its status", |_| true)?;
        let read = status.pointer("/counters/lines").and_then(Value::as_u64).unwrap_or(0);
        if read != lines {
            bail!(
                "reactord says that it read {read} lines, but {lines} were printed; log of reactord:\n{}",
                self.log()
            );
        }
        for plugin in status.get("plugins").and_then(Value::as_array).into_iter().flatten() {
            if plugin.get("state").and_then(Value::as_str) != Some("running") {
                bail!("a plugin does not run: {plugin}; log of reactord:\n{}", self.log());
            }
        }
        Ok(())
    }

    /// Asks rarely, so that the asking does not count.
    fn within<T>(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.must_run()?;
            if let Some(answer) = ask(self)? {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!("waited {} s for {what}; log of reactord:\n{}", PATIENCE.as_secs(), self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// CPU time of all its threads, in nanoseconds.
    pub fn cpu_ns(&self) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid())).context("reading the threads of reactord")? {
            // A thread may end while we look: what it used is then not counted, and it is little.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            sum += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    /// How often its threads have slept so far: each time something wakes them.
    pub fn sleeps(&self) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid())).context("reading the threads of reactord")? {
            let Ok(text) = fs::read_to_string(task?.path().join("status")) else { continue };
            let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += count.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    /// The CPU time of its loop alone, which is its first thread, in nanoseconds.
    pub fn loop_cpu_ns(&self) -> Result<u64> {
        let (pid, context) = (self.pid(), "reading the loop of reactord");
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).context(context)?;
        text.split(' ').next().and_then(|ns| ns.parse().ok()).context(context)
    }

    /// The most memory that it ever had, in KiB.
    pub fn peak_kib(&self) -> Result<u64> {
        self.memory_kib("VmHWM:")
    }

    /// From now on [`peak_kib`](Self::peak_kib) is the most since now.
    pub fn forget_peak(&self) -> Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").context("resetting the peak of reactord's memory")
    }

    /// The memory that it has, in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        self.memory_kib("VmRSS:")
    }

    fn memory_kib(&self, key: &str) -> Result<u64> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid())).context("reading the memory of reactord")?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let line = line.with_context(|| format!("no {key} in its status"))?;
        line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{key} is no number"))
    }

    /// Ends it as systemd does, and waits for it.
    pub fn stop(mut self) -> Result<()> {
        self.end(Signal::TERM)
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(pid, signal).context("ending reactord")?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill().context("killing reactord")?;
                self.child.wait()?;
                bail!("reactord did not end within {} s after SIGTERM; its log:\n{}", PATIENCE.as_secs(), self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only after an error of ours: `stop` has waited for it.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
