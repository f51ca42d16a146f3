//! User-Mode Linux of another suite of Debian than this machine's, with the C library of that suite.
//!
//! apt fetches it with lists and archives of its own, in the cache, and checks the suite's signature by Debian's keyring. The machine's own apt
//! knows nothing of it, and no rights are needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::image::root::{log_of, program, said, step};
use crate::image::store::Store;

/// Fetches and unpacks: the suite, the mirror, the keyring or "", then versions that nobody needs again.
const SCRIPT: &str = include_str!("suite.sh");
/// How the script says that the suite has a version that is known already.
const KNOWN: i32 = 73;
/// Debian's keys, where its package `debian-archive-keyring` has them.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Fetches it into a folder of the store, unless the suite has only a version that was tried already; else says why it cannot.
pub(super) fn fetch(store: &Store, suite: &str, folder: &str, known: &[String]) -> Result<bool, String> {
    for tool in ["apt-get", "dpkg-deb"] {
        if program(tool).is_none() {
            return Err(format!("there is no {tool} to fetch it with"));
        }
    }
    let mirror = mirror().ok_or("this machine's apt has no sources of Debian: LAB_MIRROR names a mirror")?;
    let draft = store.draft(folder).map_err(|error| chain(&error))?;
    let log = log_of(store, folder);
    let keyring = KEYRINGS.iter().find(|path| Path::new(path).is_file()).copied().unwrap_or_default();
    let mut script = Command::new("sh");
    script.args(["-euc", SCRIPT, "sh", suite, &mirror, keyring]).args(known);
    script.current_dir(draft.path("")).env("LC_ALL", "C.UTF-8");
    let ended = step(&mut script, &log).map_err(|error| chain(&error))?;
    if ended.code() == Some(KNOWN) {
        return Ok(false);
    }
    if !ended.success() {
        return Err(format!("it cannot be fetched: {} (all of it is in {})", said(&log), log.display()));
    }
    store.keep_as(&draft, folder).map_err(|error| chain(&error))?;
    Ok(true)
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// Debian's mirror: that of `LAB_MIRROR`, or the one of this machine's apt.
fn mirror() -> Option<String> {
    let given = std::env::var("LAB_MIRROR").ok().filter(|mirror| mirror.contains("://") && !mirror.contains(' '));
    given.or_else(|| {
        // The first knows more, but only once the lists are there.
        let with_labels = targets(&[], "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(SITE)")?;
        of_labels(&with_labels).or_else(|| of_sites(&targets(&["--no-release-info"], "$(COMPONENT)|$(SITE)")?))
    })
}

/// What apt's sources name.
fn targets(options: &[&str], format: &str) -> Option<String> {
    let mut ask = Command::new(program("apt-get").unwrap_or_else(|| PathBuf::from("apt-get")));
    ask.arg("indextargets").args(options).args(["--format", format, "Created-By: Packages"]);
    let output = ask.stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn of_labels(lines: &str) -> Option<String> {
    lines.lines().find_map(|line| line.strip_prefix("Debian|Debian|main|")).map(tidy)
}

fn of_sites(lines: &str) -> Option<String> {
    let sites = lines.lines().filter_map(|line| line.strip_prefix("main|"));
    sites.map(tidy).find(|site| site.ends_with("/debian"))
}

fn tidy(site: &str) -> String {
    site.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_mirror_is_told_from_others() {
        let labels = "Node Source||main|https://n/node\nDebian|Debian-Security|main|http://m/debian-security\nDebian|Debian|main|http://m/debian/\n";
        assert_eq!(of_labels(labels).as_deref(), Some("http://m/debian"));
        assert_eq!(of_labels("Ubuntu|Ubuntu|main|http://u/ubuntu\n"), None);
        let sites =
            "main|http://u/ubuntu\ncontrib|http://m/debian\nmain|http://m/debian-security\nmain|http://m/debian/\n";
        assert_eq!(of_sites(sites).as_deref(), Some("http://m/debian"));
        assert_eq!(of_sites(""), None);
    }
}
