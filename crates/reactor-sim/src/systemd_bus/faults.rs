//! What the mock does badly, as real systemd does on busy nodes: read from the file `faults` in its folder, one fault a line.
//!
//! ```text
//! late UNIT    GetAll of this unit is never answered
//! load MS      units that are inactive and have no job are not in memory: ListUnits leaves them out, and each GetAll loads them, which
//!              takes so long; nobody is answered meanwhile
//! reload MS    Reload takes so long; nobody is answered meanwhile
//! ```
//!
//! While the file is there each GetAll is logged as `GetAll UNIT`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The faults of this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// There is a file.
    pub any: bool,
    /// Units that are never answered about.
    pub late: BTreeSet<String>,
    /// How long it takes to load a unit; `None` = all are in memory.
    pub load: Option<Duration>,
    /// How long a reload takes.
    pub reload: Duration,
}

/// Where the faults of a mock stand.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("faults")
}

impl Faults {
    /// Reads the file; none = no fault.
    pub fn read(file: &Path) -> Self {
        let Ok(text) = fs::read_to_string(file) else { return Self::default() };
        let mut faults = Self { any: true, ..Self::default() };
        for (what, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            let time = || Duration::from_millis(value.parse().unwrap_or(0));
            match what {
                "late" => {
                    faults.late.insert(value.to_owned());
                }
                "load" => faults.load = Some(time()),
                "reload" => faults.reload = time(),
                _ => {}
            }
        }
        faults
    }
}
