//! Where this machine has drbd-utils' `drbd-service-shim.sh`: distributions put it in different places.

use std::path::{Path, PathBuf};

/// The unit that calls it.
const UNIT: &str = "drbd-promote@.service";

/// Its name.
const SHIM: &str = "drbd-service-shim.sh";

/// Where systemd looks for units, first come first served.
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Path of the shim as the installed unit names it; `None` = there is no such unit, or it names none. The folder of generated units is
/// one of systemd's, and looked at first.
pub fn find(unit_dir: &Path) -> Option<String> {
    find_in(std::iter::once(unit_dir.to_owned()).chain(FOLDERS.iter().map(PathBuf::from)))
}

fn find_in(folders: impl Iterator<Item = PathBuf>) -> Option<String> {
    let mut units = folders.map(|folder| folder.join(UNIT));
    units.find_map(|unit: PathBuf| std::fs::read_to_string(unit).ok().as_deref().and_then(in_unit))
}

/// The first path in an `Exec...=` line that ends in the shim's name.
pub fn in_unit(text: &str) -> Option<String> {
    let commands = text.lines().filter_map(|line| {
        let (key, command) = line.split_once('=')?;
        key.trim().starts_with("Exec").then_some(command)
    });
    let words =
        commands.flat_map(str::split_whitespace).map(|word| word.trim_start_matches(['@', '-', ':', '+', '!', '|']));
    let is_shim =
        |word: &&str| Path::new(word).is_absolute() && Path::new(word).file_name().is_some_and(|name| name == SHIM);
    words.into_iter().find(is_shim).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_comes_from_the_unit() {
        let unit = "[Service]\nType=oneshot\n# ExecStop=/no/drbd-service-shim.sh\n\
                    ExecCondition = -/usr/libexec/drbd/drbd-service-shim.sh primary %I\n";
        assert_eq!(in_unit(unit).as_deref(), Some("/usr/libexec/drbd/drbd-service-shim.sh"));
        assert_eq!(in_unit("[Service]\nExecStop=/bin/true\nExecStart=drbd-service-shim.sh primary\n"), None);
    }

    #[test]
    fn the_first_folder_that_has_it_counts() {
        let root = std::env::temp_dir().join(format!("storage-reactor-shim-{}", std::process::id()));
        for (folder, path) in [("b", "/b/drbd-service-shim.sh"), ("c", "/c/drbd-service-shim.sh")] {
            std::fs::create_dir_all(root.join(folder)).expect("a folder");
            std::fs::write(root.join(folder).join(UNIT), format!("[Service]\nExecStop={path} secondary %I\n"))
                .expect("a unit");
        }
        let found = find_in(["a", "b", "c"].iter().map(|folder| root.join(folder)));
        std::fs::remove_dir_all(&root).expect("removed");
        assert_eq!(found.as_deref(), Some("/b/drbd-service-shim.sh"));
    }
}
