//! Whether every crate that we link may be linked into a program under the Apache licence.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::gate::Outcome;

/// Licences that ask for nothing but notices.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Asks cargo for the licence of every crate in `Cargo.lock`.
pub(crate) fn check(root: &Path) -> Result<Outcome> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("running cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or("none").to_owned();
    let bad: Vec<String> = packages
        .iter()
        .filter(|package| !allowed(&text(package, "license")))
        .map(|package| format!("{} {}: {}", text(package, "name"), text(package, "version"), text(package, "license")))
        .collect();
    if bad.is_empty() {
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::Failed(format!("licences that are not in the list of xtask/src/licences.rs:\n{}", bad.join("\n"))))
}

/// Whether an SPDX expression (also with the old `/` for `OR`) can be met by the list.
fn allowed(expression: &str) -> bool {
    let plain = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // A bracket around an alternative makes no difference to these rules as long as each part of an AND can be met by itself.
    plain.split(" AND ").all(|part| part.split(" OR ").any(|name| ALLOWED.contains(&name.trim())))
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn alternatives_and_sums() {
        assert!(allowed("MIT OR Apache-2.0"));
        assert!(allowed("MIT/GPL-3.0"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR MIT"));
        assert!(!allowed("GPL-3.0"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed("none"));
    }
}
