//! Looks at this node for `reactorctl doctor`: facts that no event tells. Every program has a deadline, every file a bound, and what can't be looked
//! at is said; nothing is judged here (`reactor_core::doctor`) and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reactor_api::survey::{FileFacts, NodeFacts, ResourceFacts, UnitFile};
use reactor_core::settings::{DaemonSettings, PluginSettings, Settings};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::chain::chain;
use crate::drbd::{command, config84, options};
use crate::printk_index;
use crate::thread;

/// How long a program, or a look at a folder, may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// What a program may print.
const MAX_OUTPUT: usize = 16 << 20;
/// Files of one folder that are looked at, in the order of their names.
const MAX_FILES: usize = 1000;
/// Longest file.
const MAX_FILE: u64 = 4 << 20;
/// Units that a promoter makes or uses.
const UNITS: [&str; 5] =
    ["drbd-services@", "drbd-promote@", "ocf.rs@", "storage-reactor-command@", "storage-reactor-standby@"];

/// For whom it is. Checksums tell a secret that can be guessed to whoever tries all that it may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// Whoever may read every file of this machine, or reads with nothing but its own permissions.
    Root,
    /// Somebody else: is told nothing of a file that not everybody may read, but that it is there.
    Other,
}

/// Where to look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// `drbdadm`.
    pub drbdadm: PathBuf,
    /// `drbdsetup`.
    pub drbdsetup: PathBuf,
    /// The folder of our snippets.
    pub snippets: Option<PathBuf>,
    /// DRBD's own configuration: files, and folders of them.
    pub drbd: Vec<PathBuf>,
    /// Where administrators put units, masks and drop-ins.
    pub units: Vec<PathBuf>,
    /// The parameter of DRBD's module.
    pub usermode_helper: PathBuf,
    /// The formats of the kernel's messages; `None`: nobody wants to know of storage events.
    pub printk_index: Option<PathBuf>,
}

impl Places {
    /// Those of a daemon with these settings.
    pub fn of(settings: &Settings) -> Self {
        let DaemonSettings { drbdadm, drbdsetup, unit_dir, .. } = &settings.daemon;
        let mut units = vec![PathBuf::from("/etc/systemd/system"), PathBuf::from("/run/systemd/system")];
        if !units.contains(unit_dir) {
            units.push(unit_dir.clone());
        }
        Self {
            drbdadm: drbdadm.clone(),
            drbdsetup: drbdsetup.clone(),
            snippets: settings.snippets.clone(),
            drbd: vec![PathBuf::from("/etc/drbd.conf"), PathBuf::from("/etc/drbd.d")],
            units,
            usermode_helper: PathBuf::from("/sys/module/drbd/parameters/usermode_helper"),
            printk_index: has_events(settings).then(|| PathBuf::from(printk_index::FOLDER)),
        }
    }
}

fn has_events(settings: &Settings) -> bool {
    settings.plugins.iter().any(|entry| matches!(entry.settings, PluginSettings::Events(_)))
}

/// Looks. Ends within a minute, whatever hangs.
pub async fn look(node: &str, places: &Places, reader: Reader) -> NodeFacts {
    let on_disk = {
        let places = places.clone();
        thread::run(Path::new("survey of files"), 1, DEADLINE, move || on_disk(&places, reader))
    };
    let (on_disk, resources) = tokio::join!(on_disk, resources(places));
    let late = || NodeFacts { unknown: vec!["files: the disk does not answer".to_owned()], ..NodeFacts::default() };
    let mut facts = on_disk.unwrap_or_else(late);
    facts.resources = resources.unwrap_or_else(|why| {
        facts.unknown.push(format!("DRBD's options: {why}"));
        Vec::new()
    });
    node.clone_into(&mut facts.node);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    facts.now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    facts
}

/// What the disk says. Blocks.
fn on_disk(places: &Places, reader: Reader) -> NodeFacts {
    let mut facts = NodeFacts::default();
    let mut closed: Vec<PathBuf> = Vec::new();
    let mut look = |path: &Path, ending: &str| match files_of(path, ending) {
        Ok(paths) => {
            for path in paths {
                let file = if reader == Reader::Root || is_open(&path) {
                    file(&path).unwrap_or_else(|error| {
                        facts.unknown.push(format!("{}: {error}", path.display()));
                        untold(&path)
                    })
                } else {
                    closed.push(path.clone());
                    untold(&path)
                };
                facts.files.push(file);
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => facts.unknown.push(format!("{}: {error}", path.display())),
    };
    if let Some(snippets) = &places.snippets {
        look(snippets, ".toml");
    }
    for path in &places.drbd {
        look(path, "");
    }
    for folder in &places.units {
        match unit_files(folder) {
            Ok(units) => facts.units.extend(units),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => facts.unknown.push(format!("{}: {error}", folder.display())),
        }
    }
    if let [first, ..] = &closed[..] {
        let (count, first) = (closed.len(), first.display());
        facts
            .unknown
            .push(format!("{count} files that not everybody may read, the first is {first}: only root compares them"));
    }
    facts.wordings = places.printk_index.as_deref().map(printk_index::wordings);
    facts.usermode_helper = fs::read_to_string(&places.usermode_helper).ok().map(|text| text.trim().to_owned());
    facts
}

/// The file itself, or those of a folder that end so; never those that an editor or a package left.
fn files_of(path: &Path, ending: &str) -> std::io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = if ending.is_empty() {
            [".res", ".conf"].iter().any(|one| name.ends_with(one))
        } else {
            name.ends_with(ending)
        };
        if wanted && !name.starts_with('.') && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    paths.truncate(MAX_FILES);
    Ok(paths)
}

/// Whether everybody on this machine may read it, by this name. A link may lead into a folder that nobody else may enter.
fn is_open(path: &Path) -> bool {
    let may = |path: &Path, mode| fs::metadata(path).is_ok_and(|found| found.mode() & mode != 0);
    let may_enter = |path: &Path| path.ancestors().skip(1).all(|folder| may(folder, 0o001));
    fs::canonicalize(path).is_ok_and(|file| may(&file, 0o004) && may_enter(&file)) && may_enter(path)
}

/// It is there, and that is all that is said.
fn untold(path: &Path) -> FileFacts {
    FileFacts { path: path.display().to_string(), ..FileFacts::default() }
}

fn file(path: &Path) -> std::io::Result<FileFacts> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(FileFacts { path: path.display().to_string(), bytes: bytes.len() as u64, checksum: checksum(&bytes) })
}

/// FNV-1a with 128 bits.
fn checksum(bytes: &[u8]) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let sum = bytes.iter().fold(BASIS, |sum, byte| (sum ^ u128::from(*byte)).wrapping_mul(PRIME));
    format!("{sum:032x}")
}

/// Masks and drop-ins of the units that a promoter makes or uses. What we or drbd-reactor generated is in it, too.
fn unit_files(folder: &Path) -> std::io::Result<Vec<UnitFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !UNITS.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let mask = fs::read_link(&path).is_ok_and(|target| target == Path::new("/dev/null"));
        let unit = match name.strip_suffix(".d") {
            Some(unit) if path.is_dir() && fs::read_dir(&path)?.next().is_some() => unit.to_owned(),
            None if mask => name.clone(),
            Some(_) | None => continue,
        };
        found.push(UnitFile { path: path.display().to_string(), unit, mask });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.truncate(MAX_FILES);
    Ok(found)
}

/// DRBD's options as the kernel has them. Only DRBD 9 prints them so.
async fn resources(places: &Places) -> Result<Vec<ResourceFacts>, String> {
    let ask = async |program: &Path, args: &[&str]| {
        let output = command::run(program, args, DEADLINE, MAX_OUTPUT).await;
        let output = output.map_err(|error| chain(&error).to_string())?;
        let complaint = output.stderr.lines().next().unwrap_or_default().trim().to_owned();
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(format!("{} ({}) {complaint}", program.display(), output.status))
        }
    };
    let shown = ask(&places.drbdsetup, &["show", "--show-defaults", "--json"]).await?;
    let mut all = aside(move || parse(&shown)).await??;
    // Without it nothing but the handlers is missing.
    if all.iter().any(fences)
        && let Ok(dump) = ask(&places.drbdadm, &["dump-xml"]).await
    {
        let mut handlers = aside(move || config84::fence_peers_of(&dump)).await?;
        for resource in &mut all {
            resource.fence_peer = handlers.remove(&resource.name);
        }
    }
    Ok(all)
}

/// Of a thousand resources there is a lot to read: in a thread, for whoever asks may be the daemon's loop.
async fn aside<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    spawn_blocking(read).await.map_err(|error| error.to_string())
}

fn parse(shown: &str) -> Result<Vec<ResourceFacts>, String> {
    let value: Value = serde_json::from_str(shown).map_err(|error| format!("drbdsetup show: {error}"))?;
    Ok(value.as_array().into_iter().flatten().filter_map(resource).collect())
}

fn fences(resource: &ResourceFacts) -> bool {
    resource.connections.values().any(|net| net.get("fencing").is_some_and(|fencing| fencing != "dont-care"))
}

fn resource(value: &Value) -> Option<ResourceFacts> {
    let words = |value: Option<&Value>| -> BTreeMap<String, String> {
        let object = value.and_then(Value::as_object);
        // What begins with `_` is no option, and what is secret stays here.
        let open =
            object.into_iter().flatten().filter(|(key, _)| !key.starts_with('_') && key.as_str() != "shared-secret");
        open.filter_map(|(key, value)| Some((key.clone(), options::word(value)?))).collect()
    };
    let volumes = value["_this_host"]["volumes"].as_array().into_iter().flatten();
    let connections = value["connections"].as_array().into_iter().flatten();
    Some(ResourceFacts {
        name: value["resource"].as_str()?.to_owned(),
        options: words(value.get("options")),
        volumes: volumes
            .filter_map(|volume| Some((u32::try_from(volume["volume_nr"].as_u64()?).ok()?, words(volume.get("disk")))))
            .collect(),
        connections: connections
            .filter_map(|connection| {
                Some((connection["net"]["_name"].as_str()?.to_owned(), words(connection.get("net"))))
            })
            .collect(),
        fence_peer: None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                crate::testing::open_to_all().join(format!("storage-reactor-survey-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(checksum(b""), "6c62272e07bb014262b821756295c58d");
        assert_eq!(checksum(b"a"), "d228cb696f1a8caf78912b704e4a8964");
    }

    const SHOW: &str = r#"[{"resource":"r0","options":{"auto-promote":false,"quorum":"majority"},
        "_this_host":{"node-id":0,"volumes":[{"volume_nr":0,"disk":{"on-io-error":"detach"}}]},
        "connections":[{"_peer_node_id":1,"net":{"_name":"n2","ping-int":10,"shared-secret":"x","fencing":"resource-only"}}]}]"#;

    #[tokio::test]
    async fn files_units_and_options_are_found_and_no_secret() {
        let folder = Folder::new("all");
        folder.write("snippets/a.toml", "a = 1\n", 0o600);
        folder.write("snippets/b.toml.disabled", "", 0o600);
        folder.write("drbd.d/r0.res", "resource r0 {}\n", 0o644);
        folder.write("drbd.d/r0.res~", "", 0o644);
        folder.write("units/drbd-services@r0.target.d/x.conf", "", 0o644);
        folder.write("units/other.service.d/x.conf", "", 0o644);
        fs::create_dir_all(folder.0.join("units/drbd-promote@empty.service.d")).unwrap();
        symlink("/dev/null", folder.0.join("units/drbd-promote@r1.service")).unwrap();
        symlink("/lib/x", folder.0.join("units/drbd-promote@r2.service")).unwrap();
        let dump = "echo '<config><resource name=\"r0\"><section name=\"handlers\"><option name=\"fence-peer\" value=\"/f\"/></section></resource></config>'";
        let places = Places {
            drbdadm: folder.write("drbdadm", &format!("#!/bin/sh\n{dump}\n"), 0o755),
            drbdsetup: folder.write("drbdsetup", &format!("#!/bin/sh\ncat <<'X'\n{SHOW}\nX\n"), 0o755),
            snippets: Some(folder.0.join("snippets")),
            drbd: vec![folder.0.join("drbd.conf"), folder.0.join("drbd.d")],
            units: vec![folder.0.join("units"), folder.0.join("none")],
            usermode_helper: folder.write("helper", "disabled\n", 0o444),
            printk_index: None,
        };
        let facts = look("n1", &places, Reader::Root).await;
        let names = |paths: Vec<&String>| -> Vec<String> {
            paths.iter().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(names(facts.files.iter().map(|file| &file.path).collect()), ["a.toml", "r0.res"]);
        let units: Vec<_> = facts.units.iter().map(|unit| (unit.unit.as_str(), unit.mask)).collect();
        assert_eq!(units, [("drbd-promote@r1.service", true), ("drbd-services@r0.target", false)]);
        assert_eq!((facts.node.as_str(), facts.usermode_helper.as_deref()), ("n1", Some("disabled")));
        let resource = &facts.resources[0];
        assert_eq!(
            (resource.options["auto-promote"].as_str(), resource.volumes[&0]["on-io-error"].as_str()),
            ("no", "detach")
        );
        assert_eq!(
            (resource.connections["n2"]["ping-int"].as_str(), resource.fence_peer.as_deref()),
            ("10", Some("/f"))
        );
        assert!(!resource.connections["n2"].contains_key("shared-secret"));
        assert_eq!(facts.unknown, Vec::<String>::new());
    }

    /// A checksum of a file with a password in it is a way to try passwords.
    #[test]
    fn a_reader_is_told_nothing_of_what_is_in_a_file_that_it_may_not_read() {
        let folder = Folder::new("closed");
        let mut drbd = vec![
            folder.write("open/a.res", "a", 0o644),
            folder.write("open/b.res", "b", 0o640),
            folder.write("closed/c.res", "c", 0o644),
        ];
        fs::set_permissions(folder.0.join("closed"), Permissions::from_mode(0o750)).unwrap();
        let link = folder.0.join("open/d.res");
        symlink(folder.0.join("closed/c.res"), &link).unwrap();
        drbd.push(link);
        let nowhere = folder.0.join("none");
        let places = Places {
            drbdadm: nowhere.clone(),
            drbdsetup: nowhere.clone(),
            snippets: None,
            drbd,
            units: Vec::new(),
            usermode_helper: nowhere,
            printk_index: None,
        };
        let told = |reader| {
            let facts = on_disk(&places, reader);
            let told: Vec<bool> = facts.files.iter().map(|file| !file.checksum.is_empty() || file.bytes > 0).collect();
            (told, facts.unknown)
        };
        assert_eq!(told(Reader::Root), (vec![true; 4], Vec::new()));
        let (of_files, unknown) = told(Reader::Other);
        assert_eq!(of_files, [true, false, false, false]);
        assert_eq!(unknown.len(), 1, "{unknown:?}");
        assert!(unknown[0].starts_with("3 files that not everybody may read"), "{unknown:?}");
    }

    #[tokio::test]
    async fn what_can_not_be_looked_at_is_said() {
        let folder = Folder::new("unknown");
        let places = Places {
            drbdadm: folder.0.join("none"),
            drbdsetup: folder.write("drbdsetup", "#!/bin/sh\necho 'no module' >&2; exit 20\n", 0o755),
            snippets: None,
            drbd: Vec::new(),
            units: Vec::new(),
            usermode_helper: folder.0.join("none"),
            printk_index: None,
        };
        let facts = look("n1", &places, Reader::Root).await;
        assert_eq!(facts.unknown.len(), 1);
        assert!(facts.unknown[0].contains("(exit status: 20) no module"), "{facts:?}");
        assert_eq!(facts.usermode_helper, None);
    }
}
