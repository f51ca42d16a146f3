//! Where drbd-utils has its shim: the installed `drbd-promote@.service` names it, and distributions differ (D47).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Folders of unit files, the strongest first.
const FOLDERS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

const UNIT: &str = "drbd-promote@.service";

const SHIM: &str = "/drbd-service-shim.sh";

/// Larger files are no unit files.
const MAX_BYTES: u64 = 1 << 20;

/// The path of the shim as the installed unit names it; nothing if there is no such unit. Blocks.
pub fn find() -> Option<String> {
    find_in(FOLDERS.iter().map(Path::new))
}

fn find_in<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Option<String> {
    folders.into_iter().find_map(|folder| {
        let path = folder.join(UNIT);
        // A link to /dev/null masks the unit, a FIFO would hold us up.
        if !std::fs::metadata(&path).ok()?.is_file() {
            return None;
        }
        let mut text = String::new();
        File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        in_unit(&text)
    })
}

/// The first program of `ExecStart=` (or another `Exec...=`) that is the shim.
fn in_unit(text: &str) -> Option<String> {
    let commands = text.lines().filter_map(|line| line.trim().strip_prefix("Exec")?.split_once('='));
    // Before the path there may be one of systemd's prefixes.
    let programs = commands.filter_map(|(_, command)| {
        command.trim().trim_start_matches(['-', '@', ':', '+', '!']).split_whitespace().next()
    });
    programs.filter(|program| program.starts_with('/') && program.ends_with(SHIM)).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d47_the_installed_unit_says_where_the_shim_is() {
        let unit = "[Service]\nType=oneshot\nExecCondition=/usr/libexec/drbd/scripts/drbd-service-shim.sh primary %I\nExecStart=/bin/true\n";
        assert_eq!(in_unit(unit).as_deref(), Some("/usr/libexec/drbd/scripts/drbd-service-shim.sh"));
        assert_eq!(
            in_unit("ExecStop=-/a/drbd-service-shim.sh secondary %I").as_deref(),
            Some("/a/drbd-service-shim.sh")
        );
        assert_eq!(in_unit("ExecStart=drbd-service-shim.sh x\n# ExecStart=/a/drbd-service-shim.sh"), None);
    }

    #[test]
    fn d47_without_the_unit_nothing_is_said() {
        let folder = std::env::temp_dir().join(format!("reactor-shim-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(find_in([folder.as_path()]), None);
        std::fs::write(folder.join(UNIT), "ExecStart=/x/drbd-service-shim.sh primary %I\n").unwrap();
        assert_eq!(find_in([Path::new("/nowhere"), folder.as_path()]).as_deref(), Some("/x/drbd-service-shim.sh"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
