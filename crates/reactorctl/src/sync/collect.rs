//! What goes to other nodes: the .res file, as DRBD's own tools know it, the snippet that has the promoter, and what `sync` lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::settings::promoter::SyncSettings;
use reactor_core::settings::{PluginSettings, Settings};
use reactor_trust::{Content, Folder};

use super::groups::Groups;
use super::stream::{MAX_ALL, MAX_FILE, MAX_FILES, Offer, Offered, VERSION, checksum};
use super::{chain, names, ways};
use crate::program;

/// How long drbdadm may take.
const DRBDADM: Duration = Duration::from_secs(10);

/// What there is to send, and what can't be.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) offer: Offer,
    /// By the place in the offer.
    pub(crate) contents: Vec<Vec<u8>>,
    /// One sentence each.
    pub(crate) errors: Vec<String>,
}

/// The file with the promoter of a resource, and what its `sync` says; `None` = no promoter has it.
pub(crate) fn promoter<'a>(settings: &'a Settings, resource: &str) -> Option<(&'a Path, Option<&'a SyncSettings>)> {
    settings.plugins.iter().find_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => {
            let promoted = promoter.resources.get(&ResourceName::new(resource))?;
            Some((entry.file.as_path(), promoted.sync.as_ref()))
        }
        _ => None,
    })
}

/// Collects. `main`: the main file, which is not sent.
pub(crate) fn collect(
    settings: &Settings,
    main: &Path,
    resource: &str,
    snippet: &Path,
    sync: &SyncSettings,
) -> Collected {
    let mut errors = Vec::new();
    let mut paths: Vec<PathBuf> = Vec::new();
    match res_file(&settings.daemon.drbdadm, resource) {
        Ok(path) => paths.push(path),
        Err(why) => errors.push(why),
    }
    paths.extend(sync.files.iter().cloned());
    if snippet == main {
        errors.push(format!(
            "its promoter is in {}, which is not sent, because the rest of it is about this node: move it to a snippet",
            main.display()
        ));
    } else {
        // Behind the files that it takes for granted.
        paths.push(snippet.to_owned());
    }
    let mut collected = Collected {
        offer: Offer { version: VERSION, resource: resource.to_owned(), files: Vec::new() },
        contents: Vec::new(),
        errors,
    };
    let groups = Groups::here();
    let mut seen = BTreeSet::new();
    for path in paths.iter().filter(|path| seen.insert(path.as_path())) {
        match read(path, &groups) {
            Ok((offered, bytes)) => collected.add(offered, bytes),
            Err(why) => collected.errors.push(format!("{}: {why}", path.display())),
        }
    }
    collected
}

impl Collected {
    fn add(&mut self, file: Offered, bytes: Vec<u8>) {
        let all: u64 = self.offer.files.iter().map(|file| file.size).sum();
        if self.offer.files.len() >= MAX_FILES {
            self.errors.push(format!("{}: there are more than {MAX_FILES} files", file.path));
        } else if all + file.size > MAX_ALL {
            self.errors.push(format!("{}: with it, all files are larger than {MAX_ALL} bytes", file.path));
        } else {
            self.offer.files.push(file);
            self.contents.push(bytes);
        }
    }
}

/// Where DRBD's tools say that a resource is defined.
fn res_file(drbdadm: &Path, resource: &str) -> Result<PathBuf, String> {
    if resource.starts_with('-') {
        return Err(format!("{resource} is no name of a resource: drbdadm would take it for an option"));
    }
    let said = program::output(drbdadm, &["dump-xml", resource], Some(DRBDADM)).map_err(|error| chain(&error))?;
    if !said.status.success() {
        let stderr = String::from_utf8_lossy(&said.stderr);
        let why = stderr.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it does not say why");
        return Err(format!("{} dump-xml {resource} ({}): {why}", drbdadm.display(), said.status));
    }
    reactor_sys::drbd::defined_in(&String::from_utf8_lossy(&said.stdout), resource)
}

/// A file that nobody else could have written: what one could would be root's word on another node.
fn read(path: &Path, groups: &Groups) -> Result<(Offered, Vec<u8>), String> {
    let text = path.to_str().ok_or("its name is no text")?;
    names::strict(text)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err("it has no folder".to_owned());
    };
    let missing = || "there is no such file".to_owned();
    let folder = Folder::open(folder).map_err(|error| chain(&error))?.ok_or_else(missing)?;
    ways::judge(folder.path())?;
    let content = folder.read(name, MAX_FILE).map_err(|error| chain(&error))?.ok_or_else(missing)?;
    let Content { bytes, mode, gid, .. } = content;
    let offered = Offered {
        path: text.to_owned(),
        // Nobody over there gets more than its owner may give here.
        mode: mode & 0o755,
        group: groups.name(gid),
        size: bytes.len() as u64,
        sha256: checksum(&bytes),
    };
    Ok((offered, bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn the_res_file_goes_first_the_snippet_last_and_what_cannot_go_is_said() {
        let scratch = Scratch::new("collect");
        let path = |name: &str| scratch.0.join(name);
        let put = |name: &str, text: &str, mode: u32| {
            fs::write(path(name), text).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
            path(name)
        };
        let res = put("r0.res", "resource r0 {}", 0o664);
        let snippet = put("r0.toml", "# r0", 0o640);
        let (file, large) = (put("a.conf", "a", 0o600), put("large", "", 0o644));
        fs::File::options().write(true).open(&large).unwrap().set_len(MAX_FILE + 1).unwrap();
        symlink(&file, path("link")).unwrap();
        let xml = format!("<resource name=\"r0\" conf-file-line=\"{}:1\"/>", res.display());
        let drbdadm = put("drbdadm", &format!("#!/bin/sh\n[ \"$*\" = 'dump-xml r0' ] && echo '{xml}'\n"), 0o755);
        let mut settings = Settings::of_plugins(reactor_core::settings::Mode::Native, Vec::new());
        settings.daemon.drbdadm = drbdadm;
        let files = vec![file.clone(), file, path("link"), large, path("none"), path("none/a")];
        let sync = SyncSettings { files, ..SyncSettings::default() };
        let main = path("main.toml");
        let collected = collect(&settings, &main, "r0", &snippet, &sync);
        let names: Vec<&str> =
            collected.offer.files.iter().map(|file| file.path.rsplit('/').next().unwrap_or_default()).collect();
        assert_eq!(names, ["r0.res", "a.conf", "r0.toml"]);
        assert_eq!(collected.offer.files.iter().map(|file| file.mode).collect::<Vec<_>>(), [0o644, 0o600, 0o640]);
        assert_eq!(collected.contents[2], b"# r0");
        let errors: Vec<String> =
            collected.errors.iter().map(|error| error.replace(&scratch.0.display().to_string(), "DIR")).collect();
        assert_eq!(
            errors,
            [
                "DIR/link: DIR/link is not a regular file: nothing is read or written through it",
                "DIR/large: DIR/large is larger than 4194304 bytes",
                "DIR/none: there is no such file",
                "DIR/none/a: there is no such file",
            ]
        );
        let collected = collect(&settings, &main, "--help", &main, &SyncSettings::default());
        assert!(collected.errors[0].contains("for an option"), "{:?}", collected.errors);
        let collected = collect(&settings, &main, "r1", &main, &SyncSettings::default());
        assert!(collected.offer.files.is_empty());
        assert!(collected.errors[0].contains("dump-xml r1 (exit status: 1)"), "{:?}", collected.errors);
        assert!(collected.errors[1].contains("move it to a snippet"), "{:?}", collected.errors);
    }
}
