//! Keeps what connections use as the files are: a renewed certificate and another password are taken without a restart.
//!
//! ```text
//!   first ── good ──▶ current ◀── good ── looked at (a connection came, a second has passed, a file is another one)
//!     ▲ │                │                      │
//!     └─┘ broken: not    └── broken: it stays, and that is a problem
//!         served, again
//! ```

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, timeout};

use super::load::{Loaded, Stamp, load};
use super::{Fault, Web, tls};
use crate::thread;

/// How often the files are looked at, at most, and how often they are read again while none of them is good.
const LOOK: Duration = Duration::from_secs(1);

/// How long a connection waits for that. A folder may hang; then it is looked on in the background.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long reading may take before it is said that it hangs.
const HANGS: Duration = Duration::from_secs(10);

/// The present of one file.
pub(in super::super) struct Keeper {
    path: PathBuf,
    state: Mutex<State>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keeper of {}", self.path.display())
    }
}

struct State {
    web: Arc<Web>,
    files: Vec<(PathBuf, Stamp)>,
    looked: Instant,
    /// Somebody is looking; the others go on with what there is.
    is_looking: bool,
    /// Why what is in the files now is not used.
    problem: Option<String>,
}

/// Ends a look, however it ends.
struct Looking(Arc<Keeper>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.state().is_looking = false;
    }
}

impl Keeper {
    /// Waits until there is a good file. `tell` is told why there is none, each time it is something else.
    pub(in super::super) async fn first(path: PathBuf, tell: impl Fn(&str)) -> Arc<Self> {
        let mut told = None;
        loop {
            match read(path.clone()).await {
                Ok(Loaded { web, files, warnings }) => {
                    log(&path, &warnings);
                    let (web, looked) = (Arc::new(web), Instant::now());
                    let state = State { web, files, looked, is_looking: false, problem: None };
                    return Arc::new(Self { path, state: Mutex::new(state) });
                }
                Err(fault) => {
                    let problem = fault.to_string();
                    if told.as_ref() != Some(&problem) {
                        tracing::error!(error = problem, "metrics are not served: the web configuration is not usable");
                        tell(&problem);
                        told = Some(problem);
                    }
                }
            }
            sleep(LOOK).await;
        }
    }

    /// What a connection uses that comes now.
    pub(in super::super) async fn now(self: &Arc<Self>) -> Arc<Web> {
        {
            let mut state = self.state();
            if state.is_looking || state.looked.elapsed() < LOOK {
                return Arc::clone(&state.web);
            }
            state.looked = Instant::now();
            state.is_looking = true;
        }
        let looking = Looking(Arc::clone(self));
        // In a task of its own: if the disk is slow, nobody waits for the end, but the end is not lost.
        let look = tokio::spawn(async move { looking.0.look().await });
        let _ = timeout(PATIENCE, look).await;
        Arc::clone(&self.state().web)
    }

    async fn look(&self) {
        let files = self.state().files.clone();
        let is_same = move || files.iter().all(|(path, stamp)| Stamp::now(path) == Some(*stamp));
        if thread::run(&self.path, 1, HANGS, is_same).await.unwrap_or(false) {
            self.state().problem = None;
            return;
        }
        let taken = read(self.path.clone()).await.and_then(|loaded| self.take(loaded));
        if let Err(fault) = taken {
            let problem = format!("{fault}; the last good version is used");
            let mut state = self.state();
            if state.problem.as_ref() != Some(&problem) {
                tracing::error!(error = problem, "the new web configuration of the metrics is not usable");
                state.problem = Some(problem);
            }
        }
    }

    /// Takes a new one, unless it opens what was closed: a file that is being written is short for a moment.
    fn take(&self, Loaded { web, files, warnings }: Loaded) -> Result<(), Fault> {
        let mut state = self.state();
        if let Some(what) = state.web.is_closed_by_more_than(&web) {
            return Err(Fault::new(
                format!("{} does not ask for {what} any more", self.path.display()),
                format!("if you want it so, restart storage-reactor; else write the {what} again"),
            ));
        }
        log(&self.path, &warnings);
        tracing::info!(path = %self.path.display(), "the web configuration of the metrics was read again");
        (state.web, state.files, state.problem) = (Arc::new(web), files, None);
        Ok(())
    }

    /// When the server's certificate ends.
    pub(in super::super) fn not_after(&self) -> Option<SystemTime> {
        self.state().web.good.map(|(_, end)| end)
    }

    /// Whether the files are used as they are.
    pub(in super::super) fn is_present(&self) -> bool {
        self.state().problem.is_none()
    }

    /// What a person should look at.
    pub(in super::super) fn problems(&self) -> Vec<String> {
        let state = self.state();
        let now = SystemTime::now();
        let ends = state.web.good.and_then(|(begin, end)| tls::ends("use", begin, end, now));
        state.problem.iter().cloned().chain(ends.map(|fault| fault.to_string())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the file in a thread, with an end.
async fn read(path: PathBuf) -> Result<Loaded, Fault> {
    let hangs = || {
        let what = format!("{} can't be read: its disk did not answer for {} s", path.display(), HANGS.as_secs());
        Fault::new(what, "look at the disk that it is on")
    };
    let asked = path.clone();
    thread::run(&path, 1, HANGS, move || load(&asked)).await.unwrap_or_else(|| Err(hangs()))
}

fn log(path: &std::path::Path, warnings: &[Fault]) {
    for warning in warnings {
        tracing::warn!(path = %path.display(), problem = %warning, "web configuration of the metrics");
    }
}
