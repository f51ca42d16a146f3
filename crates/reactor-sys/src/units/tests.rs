use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// A folder of its own, removed at the end.
struct World {
    root: PathBuf,
    files: UnitFiles,
}

impl World {
    fn new(name: &str) -> Self {
        let root = crate::testing::open_to_all().join(format!("storage-reactor-units-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("run")).expect("a folder");
        let files = UnitFiles::new(&root.join("system"), &root.join("run/secrets"), &root.join("run/units.json"));
        Self { root, files }
    }

    fn write(&self, resource: &str, files: &[GeneratedFile]) -> Result<bool, String> {
        self.files.write(&ResourceName::new(resource), files)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).expect("a file")
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.root.join(path)).expect("a file").permissions().mode() & 0o7777
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn unit(path: &str, text: &str) -> GeneratedFile {
    GeneratedFile { place: FilePlace::Unit(PathBuf::from(path)), content: format!("{HEADER}\n{text}\n") }
}

fn secret(path: &str, text: &str) -> GeneratedFile {
    GeneratedFile { place: FilePlace::Secret(PathBuf::from(path)), content: format!("{HEADER}\n{text}\n") }
}

#[test]
fn writes_what_differs_and_says_so() {
    let world = World::new("writes");
    let files = [unit("a.service.d/reactor.conf", "[Unit]"), secret("a.env", "OCF_RESKEY_password=\"x\"")];
    assert_eq!(world.write("r0", &files), Ok(true));
    assert_eq!(world.read("system/a.service.d/reactor.conf"), format!("{HEADER}\n[Unit]\n"));
    assert_eq!((world.mode("system/a.service.d/reactor.conf"), world.mode("run/secrets/a.env")), (0o644, 0o600));
    assert_eq!(world.mode("run/secrets"), 0o700);
    assert_eq!(world.write("r0", &files), Ok(false), "equal files are not written again");
    fs::set_permissions(world.root.join("run/secrets/a.env"), fs::Permissions::from_mode(0o644)).expect("a mode");
    assert_eq!(world.write("r0", &files), Ok(true), "a mode that is too open is put right");
    assert_eq!(world.mode("run/secrets/a.env"), 0o600);
    assert_eq!(world.files.resources(), [ResourceName::new("r0")]);
    assert!(!world.has("system/a.service.d/reactor.conf.tmp"));
}

#[test]
fn what_is_no_longer_wanted_goes_with_its_folder() {
    let world = World::new("goes");
    let both = [unit("a.service.d/reactor.conf", "[Unit]"), unit("b.service.d/reactor.conf", "[Unit]")];
    world.write("r0", &both).expect("written");
    fs::write(world.root.join("system/b.service.d/mine.conf"), "[Unit]\n").expect("a file of the administrator");
    assert_eq!(world.write("r0", &[]), Ok(true));
    assert!(!world.has("system/a.service.d"), "empty");
    assert!(world.has("system/b.service.d/mine.conf"), "not ours");
    assert!(!world.has("system/b.service.d/reactor.conf"));
    assert!(world.files.resources().is_empty());
    assert_eq!(world.files.remove(&ResourceName::new("r0")), Ok(false));
}

#[test]
fn a_file_of_the_administrator_is_never_overwritten() {
    let world = World::new("foreign");
    fs::create_dir_all(world.root.join("system/a.service.d")).expect("a folder");
    fs::write(world.root.join("system/a.service.d/reactor.conf"), "[Unit]\n").expect("a file");
    let files = [unit("a.service.d/reactor.conf", "[Unit]"), unit("b.service.d/reactor.conf", "[Unit]")];
    let error = world.write("r0", &files).expect_err("an error");
    assert!(error.contains("a.service.d/reactor.conf: there is a file that was not generated"), "{error}");
    assert!(!error.contains("b.service"), "{error}");
    assert!(world.has("system/b.service.d/reactor.conf"), "one that fails does not keep the others");
    assert_eq!(world.read("system/a.service.d/reactor.conf"), "[Unit]\n");
}

#[test]
fn a_file_of_the_administrator_stays_however_often_it_is_tried() {
    let world = World::new("stays");
    fs::create_dir_all(world.root.join("system/a.service.d")).expect("a folder");
    fs::write(world.root.join("system/a.service.d/reactor.conf"), "[Unit]\n").expect("a file");
    let files = [unit("a.service.d/reactor.conf", "[Service]"), unit("b.service.d/reactor.conf", "[Unit]")];
    for _ in 0..3 {
        let error = world.write("r0", &files).expect_err("an error");
        assert!(error.contains("a.service.d/reactor.conf: there is a file that was not generated"), "{error}");
    }
    assert_eq!(world.files.remove(&ResourceName::new("r0")), Ok(true), "b is ours");
    assert_eq!(world.read("system/a.service.d/reactor.conf"), "[Unit]\n");
    assert!(!world.has("system/b.service.d"));
    assert!(world.files.resources().is_empty());
}

#[test]
fn a_file_that_another_resource_has_taken_over_stays() {
    let world = World::new("moved");
    let of = |resource: &str| [unit("app.service.d/reactor.conf", resource)];
    world.write("r1", &of("r1")).expect("written");
    // The unit moves from r1 to r0, and r0 comes first.
    assert_eq!(world.write("r0", &of("r0")), Ok(true));
    assert_eq!(world.write("r1", &[]), Ok(false), "nothing of it is left to remove");
    assert_eq!(world.read("system/app.service.d/reactor.conf"), format!("{HEADER}\nr0\n"));
    assert_eq!(world.files.leftovers(), Leftovers::default());
    assert_eq!(world.files.remove(&ResourceName::new("r0")), Ok(true));
    assert!(!world.has("system/app.service.d"));
}

#[test]
fn links_are_not_followed() {
    let world = World::new("links");
    fs::create_dir_all(world.root.join("system/a.service.d")).expect("a folder");
    fs::write(world.root.join("victim"), format!("{HEADER}\n")).expect("a file");
    symlink(world.root.join("victim"), world.root.join("system/a.service.d/reactor.conf")).expect("a link");
    symlink(world.root.join("victim"), world.root.join("system/a.service.d/reactor.conf.tmp")).expect("a link");
    symlink(world.root.join("run"), world.root.join("system/b.service.d")).expect("a link");
    let files = [unit("a.service.d/reactor.conf", "[Unit]"), unit("b.service.d/reactor.conf", "[Unit]")];
    let error = world.write("r0", &files).expect_err("an error");
    assert!(error.contains("a.service.d") && error.contains("b.service.d is not a folder"), "{error}");
    assert_eq!(world.read("victim"), format!("{HEADER}\n"));
}

#[test]
fn what_an_earlier_drbd_reactor_left_is_found_and_removed_on_request() {
    let world = World::new("leftovers");
    let left = unit("drbd-promote@old.service.d/reactor.conf", "[Service]");
    world.write("old", std::slice::from_ref(&left)).expect("written");
    fs::remove_file(world.root.join("run/units.json")).expect("the manifest of the old one is not there");
    world.write("r0", &[unit("a.service.d/reactor.conf", "[Unit]")]).expect("written");
    fs::create_dir_all(world.root.join("system/c.service.d")).expect("a folder");
    fs::write(world.root.join("system/c.service.d/reactor.conf"), "[Unit]\n").expect("a file");
    let path = world.root.join("system/drbd-promote@old.service.d/reactor.conf");
    let found = world.files.leftovers();
    assert_eq!((found.files.len(), &found.errors), (1, &Vec::new()));
    let file = &found.files[0];
    assert_eq!(
        (&file.path, file.unit.as_str(), file.resource.as_deref()),
        (&path, "drbd-promote@old.service", Some("old"))
    );
    assert_eq!(world.files.remove_leftovers(|_| false), Leftovers::default());
    assert!(path.exists());
    assert_eq!(world.files.remove_leftovers(|file| file.unit == "drbd-promote@old.service"), found);
    assert!(!world.has("system/drbd-promote@old.service.d"));
    assert!(world.has("system/a.service.d/reactor.conf") && world.has("system/c.service.d/reactor.conf"));
}

/// How a promotion ends is in a file of its own: it may not go before the service that it is for.
#[test]
fn a_file_that_was_left_is_needed_by_all_of_its_resource() {
    let world = World::new("needed");
    let left = [
        unit("srv.mount.d/reactor.conf", "[Unit]\nPartOf = drbd-services@a\\x2db.target"),
        unit("srv.mount.d/reactor-50-mount.conf", "[Unit]\nDefaultDependencies=no"),
        unit("drbd-demote-or-escalate@a\\x2db.service.d/reactor.conf", "[Unit]\nFailureAction=reboot-immediate"),
    ];
    world.write("a-b", &left).expect("written");
    fs::remove_file(world.root.join("run/units.json")).expect("the manifest of the old one is not there");
    let found = world.files.leftovers();
    assert_eq!(found.files.len(), 3, "{found:?}");
    for file in &found.files {
        assert_eq!(file.resource.as_deref(), Some("a\\x2db"), "{file:?}");
        let needed: Vec<String> = file.needed_by().iter().map(ToString::to_string).collect();
        assert_eq!(needed[1..], ["drbd-services@a\\x2db.target", "drbd-promote@a\\x2db.service"]);
        assert!(
            file.is_called("a-b") && file.is_called("a\\x2db") && file.is_called(&file.unit) && !file.is_called("b")
        );
    }
    let actions: Vec<_> = found.files.iter().filter_map(|file| file.failure_action.as_deref()).collect();
    assert_eq!(actions, ["reboot-immediate"]);
}

#[test]
fn an_earlier_drbd_reactor_is_taken_over() {
    let world = World::new("taken");
    fs::create_dir_all(world.root.join("system/a.service.d")).expect("a folder");
    fs::write(world.root.join("system/a.service.d/reactor.conf"), format!("{HEADER}\n[Unit]\nold\n")).expect("a file");
    assert_eq!(world.write("r0", &[unit("a.service.d/reactor.conf", "[Unit]")]), Ok(true));
    assert_eq!(world.files.leftovers(), Leftovers::default());
}

#[test]
fn a_broken_manifest_is_no_manifest() {
    let world = World::new("broken");
    fs::write(world.root.join("run/units.json"), "{").expect("a file");
    assert_eq!(world.write("r0", &[unit("a.service.d/reactor.conf", "[Unit]")]), Ok(true));
    assert_eq!(world.files.resources(), [ResourceName::new("r0")]);
}

/// Whoever could write the manifest could have any file removed by root.
#[test]
fn a_manifest_names_only_what_is_generated() {
    let world = World::new("escape");
    fs::create_dir_all(world.root.join("system")).expect("a folder");
    for victim in ["victim", "system/victim", "run/victim"] {
        fs::write(world.root.join(victim), "precious").expect("a file");
    }
    let absolute = world.root.join("victim");
    let manifest = format!(
        r#"{{"version":1,"resources":{{"r0":[{{"unit":"../victim"}},{{"unit":"victim"}},{{"unit":"{0}"}},{{"secret":"../victim"}},{{"secret":"{0}"}},
        {{"unit":"a.service.d/reactor.conf"}}]}}}}"#,
        absolute.display()
    );
    fs::write(world.root.join("run/units.json"), manifest).expect("a file");
    let error = world.write("r0", &[]).expect_err("it is told");
    assert!(error.contains("5 places where nothing is ever generated"), "{error}");
    for victim in ["victim", "system/victim", "run/victim"] {
        assert!(world.has(victim), "{victim}");
    }
    assert_eq!(world.write("r0", &[]), Ok(false), "they are not in the next one");
    // Nor is anything written there.
    let error = world.write("r0", &[unit("../victim", "[Unit]")]).expect_err("refused");
    assert!(error.contains("not a plain name"), "{error}");
    assert_eq!(world.read("victim"), "precious");
}

#[test]
fn what_others_could_have_written_is_not_believed() {
    let world = World::new("distrusted");
    world.write("r0", &[unit("a.service.d/reactor.conf", "[Unit]")]).expect("written");
    let mode = |path: &str, mode| {
        fs::set_permissions(world.root.join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    // The manifest: then nothing is known, and it is told and replaced.
    mode("run/units.json", 0o666);
    assert!(world.files.resources().is_empty());
    let error = world.write("r1", &[unit("b.service.d/reactor.conf", "[Unit]")]).expect_err("it is told");
    assert!(error.contains("units.json can be written by others"), "{error}");
    assert_eq!((world.mode("run/units.json"), world.files.resources()), (0o600, vec![ResourceName::new("r1")]));
    // A generated file, and its folder: not ours to believe or to write to.
    mode("system/b.service.d/reactor.conf", 0o646);
    assert_eq!(world.write("r1", &[unit("b.service.d/reactor.conf", "[Unit]")]), Ok(true));
    assert_eq!(world.mode("system/b.service.d/reactor.conf"), 0o644);
    mode("system/b.service.d", 0o777);
    let error = world.write("r1", &[unit("b.service.d/reactor.conf", "[Service]")]).expect_err("refused");
    assert!(error.contains("b.service.d can be written by others"), "{error}");
    mode("system/b.service.d", 0o755);
    // The folders of secrets and of units.
    fs::create_dir_all(world.root.join("run/secrets")).expect("a folder");
    mode("run/secrets", 0o777);
    let error = world.write("r2", &[secret("a.env", "OCF_RESKEY_password=\"x\"")]).expect_err("refused");
    assert!(error.contains("run/secrets can be written by others") && !world.has("run/secrets/a.env"), "{error}");
    mode("system", 0o1777);
    assert!(world.write("r3", &[unit("c.service.d/reactor.conf", "[Unit]")]).is_err());
    // A link in place of a folder.
    mode("system", 0o755);
    fs::remove_dir_all(world.root.join("run/secrets")).expect("removed");
    fs::create_dir_all(world.root.join("elsewhere")).expect("a folder");
    symlink(world.root.join("elsewhere"), world.root.join("run/secrets")).expect("a link");
    assert!(world.write("r2", &[secret("a.env", "OCF_RESKEY_password=\"x\"")]).is_err());
    assert!(!world.has("elsewhere/a.env"));
}
