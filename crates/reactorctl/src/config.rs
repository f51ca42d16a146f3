//! What `reactorctl` wants of the configuration: whether it is good, what it says, and where the daemon lives.

use std::path::PathBuf;

use reactor_core::settings::Settings;

use crate::cli::Place;
use crate::exit::Failure;

/// The outcome of a check.
#[derive(Debug)]
pub(crate) struct Checked {
    /// How many files were read.
    pub(crate) files: u64,
    /// How many findings are errors.
    pub(crate) errors: u64,
    /// How many findings are warnings.
    pub(crate) warnings: u64,
    /// The findings with the lines of the files and carets.
    pub(crate) report: String,
    /// What would run; of files with errors nothing.
    pub(crate) settings: Option<Settings>,
}

/// Checks `files` alone, or the whole configuration of `place` if there are none.
pub(crate) fn check(place: &Place, files: &[PathBuf]) -> Result<Checked, Failure> {
    // Joined with reactor-config when that is there.
    let _ = files;
    let path = place.config.clone();
    Err(Failure::Configuration { path })
}

/// The runtime folder of the daemon. With a configuration that cannot be read it is the default: the daemon that runs may still
/// be reached there, and `status` then says what is wrong with the file.
pub(crate) fn runtime_dir(place: &Place) -> PathBuf {
    let settings = check(place, &[]).ok().and_then(|checked| checked.settings);
    settings.map_or_else(|| PathBuf::from("/run/storage-reactor"), |settings| settings.daemon.runtime_dir)
}
