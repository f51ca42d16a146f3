//! Stand-ins for the units and the script of drbd-utils, for nodes whose systemd is a mock.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The script that the units call.
pub const SHIM: &str = "drbd-service-shim.sh";

const SCRIPT: &str = include_str!("../../units/drbd-service-shim.sh");

const UNITS: [(&str, &str); 5] = [
    ("drbd-promote@.service", include_str!("../../units/drbd-promote@.service")),
    ("drbd-services@.target", include_str!("../../units/drbd-services@.target")),
    ("drbd@.target", include_str!("../../units/drbd@.target")),
    ("drbd@.service", include_str!("../../units/drbd@.service")),
    ("drbd-demote-or-escalate@.service", include_str!("../../units/drbd-demote-or-escalate@.service")),
];

/// Writes the script into `bin`, where the node's look-alikes are, and the units that call it into `lib`. Gives the script's path.
pub fn write(bin: &Path, lib: &Path) -> Result<PathBuf> {
    let shim = bin.join(SHIM);
    fs::write(&shim, SCRIPT).with_context(|| format!("writing {}", shim.display()))?;
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755))?;
    for (name, text) in UNITS {
        let file = lib.join(name);
        let text = text.replace("@SHIM@ ", &format!("{} ", shim.display()));
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(shim)
}
