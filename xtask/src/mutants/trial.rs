//! Does anything notice a mutant?

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::tree::Program;

/// What takes so many times longer than without a mutant hangs.
const PATIENCE: u32 = 20;
/// Not less, in seconds: the machine may be busy.
const LEAST_PATIENCE: u64 = 20;
/// Ends as `timeout` does when the time is over.
const TIMED_OUT: i32 = 124;

/// The programs that look, with more for their environment.
pub(super) struct Trial<'a> {
    programs: &'a [Program],
    environment: &'a [(&'a str, &'a str)],
    limit: Duration,
}

impl<'a> Trial<'a> {
    /// They pass without a mutant, else they can say nothing of one.
    pub(super) fn new(programs: &'a [Program], environment: &'a [(&'a str, &'a str)]) -> Result<Self> {
        let mut trial = Self { programs, environment, limit: Duration::from_secs(3600) };
        let began = Instant::now();
        ensure!(!trial.notices(None)?, "the tests fail without a mutant");
        trial.limit = (began.elapsed() * PATIENCE).max(Duration::from_secs(LEAST_PATIENCE));
        Ok(trial)
    }

    /// Looks at each, on all processors; whether it was noticed.
    pub(super) fn run(&self, ids: &[usize]) -> Result<BTreeMap<usize, bool>> {
        let next = AtomicUsize::new(0);
        let noticed = Mutex::new(BTreeMap::new());
        let work = || -> Result<()> {
            while let Some(&id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                let seen = self.notices(Some(id))?;
                noticed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(id, seen);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let count = thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
        })?;
        Ok(noticed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// One that hangs is noticed, too.
    fn notices(&self, id: Option<usize>) -> Result<bool> {
        for program in self.programs {
            let mut command = Command::new("timeout");
            command.args(["--kill-after=5", &self.limit.as_secs().to_string()]).arg(&program.path).arg("--quiet");
            command.current_dir(&program.folder).envs(self.environment.iter().copied()).env_remove("MUTANT");
            if let Some(id) = id {
                command.env("MUTANT", id.to_string());
            }
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let ended = command.status().with_context(|| format!("running {}", program.path.display()))?;
            if !ended.success() {
                ensure!(id.is_some() || ended.code() != Some(TIMED_OUT), "the tests take more than an hour");
                return Ok(true);
            }
        }
        Ok(false)
    }
}
