//! DRBD 9 as the user supplies it: a folder with a kernel, its modules with DRBD 9 among them, and drbd-utils.
//!
//! ```text
//! LAB_DRBD9_DIR/
//!   boot/vmlinuz-VERSION            the kernel, one
//!   lib/modules/VERSION/            its modules, after depmod: drbd.ko and drbd_transport_tcp.ko of DRBD 9 are among them
//!   packages/*.deb                  drbd-utils for Debian 12 (and what it needs that Debian 12 has not), or
//!   root/                           the files of drbd-utils as they are to be in the nodes: root/usr/sbin/drbdadm ...
//! ```
//!
//! `dpkg-deb -x linux-image-....deb DIR` and `make install INSTALL_MOD_PATH=DIR` lay it out like that.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::ImageError;
use super::tree::{Tree, names};

/// The variable that names the folder.
pub(super) const VARIABLE: &str = "LAB_DRBD9_DIR";
const MODULES: [&str; 2] = ["drbd", "drbd_transport_tcp"];
const TOOLS: [&str; 2] = ["drbdadm", "drbdsetup"];

/// A folder in which nothing is missing.
#[derive(Debug)]
pub(super) struct Drbd9 {
    pub(super) tree: Tree,
    /// Debian packages for the nodes.
    pub(super) packages: Vec<PathBuf>,
    /// Files for the nodes.
    pub(super) root: Option<PathBuf>,
}

impl Drbd9 {
    /// The files for the nodes: here, and there.
    pub(super) fn files(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut files = Vec::new();
        if let Some(root) = &self.root {
            walk(root, Path::new(""), &mut files);
        }
        files
    }
}

fn walk(root: &Path, below: &Path, files: &mut Vec<(PathBuf, PathBuf)>) {
    for name in names(&root.join(below)) {
        let (from, to) = (root.join(below).join(&name), below.join(&name));
        // A link to a file becomes the file.
        if from.is_dir() { walk(root, &to, files) } else { files.push((from, to)) }
    }
}

/// Checks the folder; the error names everything that is missing.
pub(super) fn find(folder: &Path) -> Result<Drbd9, ImageError> {
    let error = |missing: Vec<String>| ImageError::Drbd9 { folder: folder.to_owned(), missing: missing.join("; ") };
    if !folder.is_dir() {
        return Err(error(vec!["the folder itself is not there".to_owned()]));
    }
    let mut missing = Vec::new();
    let tree = match Tree::find(folder) {
        Ok(tree) => {
            missing.extend(missing_modules(&tree));
            Some(tree)
        }
        Err(more) => {
            missing.extend(more);
            None
        }
    };
    let packages: Vec<PathBuf> = names(&folder.join("packages"))
        .into_iter()
        .filter(|name| name.ends_with(".deb"))
        .map(|name| folder.join("packages").join(name))
        .collect();
    let root = Some(folder.join("root")).filter(|root| root.is_dir());
    missing.extend(missing_tools(folder, &packages, root.as_deref()));
    match tree {
        Some(tree) if missing.is_empty() => Ok(Drbd9 { tree, packages, root }),
        _ => Err(error(missing)),
    }
}

fn missing_modules(tree: &Tree) -> Vec<String> {
    let folder = tree.folder();
    let Some(modules) = tree.list().filter(|_| folder.join("modules.dep.bin").is_file()) else {
        let command = "depmod -b LAB_DRBD9_DIR VERSION";
        return vec![format!("{} (`{command}` makes it)", folder.join("modules.dep.bin").display())];
    };
    let mut missing = Vec::new();
    for name in MODULES {
        match modules.file(name) {
            None => missing.push(format!("the module {name}.ko below {}, known to depmod", folder.display())),
            Some(file) => {
                let path = folder.join(file);
                // A compressed one is taken as it is: the node says what it has.
                if let Some(version) = version(&path).filter(|version| !version.starts_with("9.")) {
                    missing.push(format!("{} is DRBD {version} and has to be DRBD 9", path.display()));
                }
            }
        }
    }
    missing
}

/// What a module says of its version.
fn version(module: &Path) -> Option<String> {
    const WORD: &[u8] = b"\0version=";
    let bytes = fs::read(module).ok()?;
    let start = bytes.windows(WORD.len()).position(|window| window == WORD)? + WORD.len();
    let text = bytes[start..].split(|byte| *byte == 0).next()?;
    String::from_utf8(text.to_owned()).ok()
}

fn missing_tools(folder: &Path, packages: &[PathBuf], root: Option<&Path>) -> Vec<String> {
    let packed =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("drbd-utils_"));
    if packages.iter().any(packed) {
        return Vec::new();
    }
    let Some(root) = root else {
        let (packages, root) = (folder.join("packages"), folder.join("root"));
        return vec![format!(
            "drbd-utils: {}/drbd-utils_*.deb, or its files in {}",
            packages.display(),
            root.display()
        )];
    };
    let places = ["usr/sbin", "sbin", "usr/local/sbin"];
    let absent = TOOLS.iter().filter(|tool| !places.iter().any(|place| root.join(place).join(tool).is_file()));
    absent.map(|tool| format!("{tool} in {}", root.join(places[0]).display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with everything, made up.
    fn made_up(name: &str) -> PathBuf {
        let folder = crate::image::store::test_folder(name);
        let put = |path: &str, bytes: &[u8]| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        put("boot/vmlinuz-6.1.0-99-amd64", b"kernel");
        put("boot/config-6.1.0-99-amd64", b"");
        let modules = "lib/modules/6.1.0-99-amd64";
        put(&format!("{modules}/modules.dep"), b"updates/drbd.ko:\nupdates/drbd_transport_tcp.ko: updates/drbd.ko\n");
        put(&format!("{modules}/modules.dep.bin"), b"");
        put(&format!("{modules}/updates/drbd.ko"), b"ELF\0license=GPL\0version=9.2.11\0srcversion=X\0");
        put(&format!("{modules}/updates/drbd_transport_tcp.ko"), b"ELF\0version=9.2.11\0");
        put("packages/drbd-utils_9.28.0-1_amd64.deb", b"");
        folder
    }

    fn missing(folder: &Path) -> String {
        find(folder).unwrap_err().to_string()
    }

    #[test]
    fn a_complete_folder_is_taken() {
        let folder = made_up("drbd9");
        let drbd9 = find(&folder).unwrap();
        assert_eq!(drbd9.tree.version, "6.1.0-99-amd64");
        assert_eq!(drbd9.packages.len(), 1);
        assert!(drbd9.root.is_none());
        // The files of drbd-utils will do as well.
        fs::remove_dir_all(folder.join("packages")).unwrap();
        for tool in ["usr/sbin/drbdadm", "sbin/drbdsetup"] {
            let path = folder.join("root").join(tool);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let drbd9 = find(&folder).unwrap();
        assert!(drbd9.packages.is_empty());
        let there: Vec<PathBuf> = drbd9.files().into_iter().map(|(_, to)| to).collect();
        assert_eq!(there, [Path::new("sbin/drbdsetup"), Path::new("usr/sbin/drbdadm")]);
        fs::remove_file(folder.join("root/sbin/drbdsetup")).unwrap();
        assert!(missing(&folder).contains("drbdsetup in"), "{}", missing(&folder));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn everything_that_is_missing_is_named_with_its_place() {
        let error = missing(Path::new("/no/such/folder"));
        assert!(error.contains("LAB_DRBD9_DIR") && error.contains("/no/such/folder"), "{error}");
        let folder = crate::image::store::test_folder("drbd9-empty");
        let error = missing(&folder);
        for part in ["boot/vmlinuz-VERSION", "drbd-utils_*.deb", "root"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn modules_of_another_kernel_or_none_are_told() {
        let folder = made_up("drbd9-modules");
        let modules = folder.join("lib/modules/6.1.0-99-amd64");
        fs::write(modules.join("modules.dep"), "updates/drbd.ko:\n").unwrap();
        assert!(missing(&folder).contains("the module drbd_transport_tcp.ko below"), "{}", missing(&folder));
        fs::remove_file(modules.join("modules.dep.bin")).unwrap();
        assert!(missing(&folder).contains("depmod -b"), "{}", missing(&folder));
        fs::rename(&modules, folder.join("lib/modules/5.10.0")).unwrap();
        assert!(missing(&folder).contains("(there is 5.10.0)"), "{}", missing(&folder));
        fs::write(folder.join("boot/vmlinuz-2"), "").unwrap();
        assert!(missing(&folder).contains("there is vmlinuz-2, vmlinuz-6.1.0-99-amd64"), "{}", missing(&folder));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_module_of_debians_kernel_is_not_drbd_9() {
        let folder = made_up("drbd9-old");
        let module = folder.join("lib/modules/6.1.0-99-amd64/updates/drbd.ko");
        fs::write(module, b"ELF\0version=8.4.11\0").unwrap();
        assert!(missing(&folder).contains("drbd.ko is DRBD 8.4.11 and has to be DRBD 9"), "{}", missing(&folder));
        fs::remove_dir_all(folder).unwrap();
    }
}
