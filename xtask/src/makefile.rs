//! `make install` as it is, with programs that are empty files: what lies where, and who may stand in its way.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Installed(PathBuf);

impl Installed {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("storage-reactor-make-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let programs = folder.join("programs");
        fs::create_dir_all(&programs).unwrap();
        for program in ["reactord", "reactorctl", "prpt", "reactor-helper", "ocf-rs-wrapper", LIBRARY] {
            fs::write(programs.join(program), "").unwrap();
        }
        for page in ["reactord.1", "reactorctl.1", "prpt.1", "drbd-reactorctl.1", "storage-reactor.toml.5"] {
            fs::create_dir_all(folder.join("generated/man")).unwrap();
            fs::write(folder.join("generated/man").join(page), page).unwrap();
        }
        Self(folder)
    }

    /// Nothing is built: cargo is a program that does nothing, and so is strip unless a test wants to see it.
    fn make(&self, more: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        Command::new("make")
            .args(["install", "CARGO=true", "STRIP=true"])
            .arg(format!("PROGRAMS={}", self.0.join("programs").display()))
            .arg(format!("DESTDIR={}", self.0.join("root").display()))
            .arg(format!("GENERATED={}", self.0.join("generated").display()))
            .args(more)
            .env_remove("MAKEFLAGS")
            .current_dir(root)
            .output()
            .unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("root").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn link(&self, name: &str) -> String {
        fs::read_link(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}")).display().to_string()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// As cargo names it.
const LIBRARY: &str = "libreactor_storage_c.so";

const UNITS: &str = "lib/systemd/system";

#[test]
fn in_place_of_drbd_reactor_all_that_its_package_has_is_there() {
    let installed = Installed::new("compat");
    // A second time, and after an installation under our own names.
    for arguments in [&[][..], &["COMPAT=1"], &["COMPAT=1"]] {
        let output = installed.make(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The name by which systemd lists it, and which can be enabled, is drbd-reactor's.
    assert!(!installed.path(&format!("{UNITS}/drbd-reactor.service")).is_symlink());
    assert!(installed.read(&format!("{UNITS}/drbd-reactor.service")).contains("\nWantedBy=multi-user.target"));
    assert_eq!(installed.link(&format!("{UNITS}/storage-reactor.service")), "drbd-reactor.service");
    let drop_in = installed.read(&format!("{UNITS}/storage-reactor.service.d/drbd-reactor.conf"));
    assert!(drop_in.contains("ExecStart=/usr/sbin/drbd-reactor"));
    assert_eq!(installed.link("usr/sbin/drbd-reactor"), "reactord");
    assert_eq!(installed.link("usr/sbin/drbd-reactorctl"), "reactorctl");
    let completion = installed.read("usr/share/bash-completion/completions/drbd-reactorctl");
    assert!(completion.contains("drbd-reactorctl generate-completion bash"));
    assert!(installed.read("usr/share/bash-completion/completions/reactorctl").contains("COMPLETE"));
    assert!(installed.read("usr/share/snmp/mibs/STORAGE-REACTOR-DRBD-MIB.txt").contains("drbdTable OBJECT-TYPE"));
    assert!(
        installed.read("usr/lib/systemd/catalog/storage-reactor.catalog").contains("\nDefined-By: Storage Reactor")
    );
    let rules = installed.read("usr/share/storage-reactor/prometheus/storage-reactor.rules.yml");
    assert!(rules.contains("- alert: DrbdQuorumLost"));
    assert!(installed.read("usr/share/storage-reactor/grafana/storage-reactor.json").contains("\"panels\""));
    assert_eq!(installed.link("usr/share/man/man1/drbd-reactor.1"), "reactord.1");
    assert_eq!(installed.link("usr/share/man/man5/drbd-reactor.toml.5"), "storage-reactor.toml.5");
    assert_eq!(installed.read("usr/share/man/man5/drbd-reactor.toml.5"), "storage-reactor.toml.5");
    assert_eq!(installed.read("usr/share/man/man1/drbd-reactorctl.1"), "drbd-reactorctl.1");
    assert_eq!(installed.read("usr/share/man/man1/prpt.1"), "prpt.1");
    assert_eq!(fs::metadata(installed.path("usr/bin/prpt")).unwrap().mode() & 0o7777, 0o755);
    assert!(installed.read(&format!("{UNITS}/storage-reactor-doctor.service")).contains("doctor --nightly"));
    // At a shutdown it stops before the services: the generated units are before this target.
    assert!(installed.path(&format!("{UNITS}/storage-reactor-services.target")).exists());
    let service = installed.read(&format!("{UNITS}/drbd-reactor.service"));
    assert!(service.contains("\nWants=storage-reactor-services.target\nAfter=storage-reactor-services.target\n"));
    let mode = |name: &str| fs::metadata(installed.path(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("etc/drbd-reactor.toml"), mode("etc/drbd-reactor.d")), (0o640, 0o750));
    assert!(installed.read("etc/drbd-reactor.toml").contains("snippets = \"/etc/drbd-reactor.d\""));
    for folder in ["usr/share/doc/drbd-reactor", "usr/share/doc/drbd-reactor/examples"] {
        assert!(
            installed.read(&format!("{folder}/drbd-reactor-reload.path")).contains("PathChanged=/etc/drbd-reactor.d")
        );
        let service = installed.read(&format!("{folder}/drbd-reactor-reload.service"));
        assert!(service.contains("[Install]\nWantedBy=multi-user.target"), "{service}");
        assert!(service.contains("After=drbd-reactor.service"), "{service}");
    }
    // What an administrator has written stays.
    fs::write(installed.path("etc/drbd-reactor.toml"), "# mine").unwrap();
    assert!(installed.make(&["COMPAT=1"]).status.success());
    assert_eq!(installed.read("etc/drbd-reactor.toml"), "# mine");
    // And back to our own names.
    assert!(installed.make(&[]).status.success());
    assert_eq!(installed.link(&format!("{UNITS}/drbd-reactor.service")), "storage-reactor.service");
    assert!(!installed.path(&format!("{UNITS}/storage-reactor.service")).is_symlink());
}

#[test]
fn a_unit_of_drbd_reactors_package_is_left_to_it() {
    let installed = Installed::new("theirs");
    fs::create_dir_all(installed.path(UNITS)).unwrap();
    let unit = format!("{UNITS}/drbd-reactor.service");
    fs::write(installed.path(&unit), "[Unit]\nDescription=DRBD-Reactor Service\n").unwrap();
    let output = installed.make(&[]);
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("note: drbd-reactor.service stays")
    );
    assert!(installed.read(&unit).contains("DRBD-Reactor Service"));
    let output = installed.make(&["COMPAT=1"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("remove its package first"), "{output:?}");
    assert!(installed.read(&unit).contains("DRBD-Reactor Service"));
}

/// What a program in C or Python needs is where compilers, the linker and Python look for it.
#[test]
fn the_library_is_there_for_programs_in_c_and_python() {
    let installed = Installed::new("library");
    fs::write(installed.0.join("programs").join(LIBRARY), "the library").unwrap();
    assert!(installed.make(&[]).status.success() && installed.make(&[]).status.success(), "also a second time");
    assert_eq!(installed.link("usr/lib/libreactor_storage_c.so"), "libreactor_storage_c.so.0");
    assert_eq!(installed.read("usr/lib/libreactor_storage_c.so"), "the library");
    assert!(installed.read("usr/include/reactor_storage.h").contains("reactor_devices_read"));
    let module = installed.read("usr/lib/python3/dist-packages/reactor_storage.py");
    assert!(module.contains("\"libreactor_storage_c.so.0\""), "the module takes the version that it was written for");
    let mode = |name: &str| fs::metadata(installed.path(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("usr/lib/libreactor_storage_c.so.0"), mode("usr/include/reactor_storage.h")), (0o644, 0o644));
}

#[test]
fn every_program_is_stripped() {
    let installed = Installed::new("strip");
    let seen = installed.0.join("seen");
    let strip = format!("STRIP=echo strip >>{}; true", seen.display());
    let output = installed.make(&[&strip]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = output.lines().position(|line| line.starts_with("echo strip")).expect("strip is called");
    let call: String = output.lines().skip(line).take(2).collect();
    assert!(output.contains("--strip-unneeded") && output.contains("/usr/lib/libreactor_storage_c.so.0"), "{output}");
    for program in ["/reactord", "/reactorctl", "/usr/bin/prpt", "/reactor-helper", "/ocf-rs-wrapper"] {
        assert!(call.contains(program), "{program}: {call}");
    }
    assert!(!installed.make(&["STRIP=false"]).status.success(), "a strip that fails is not passed over");
    assert!(installed.make(&["STRIP="]).status.success());
}
