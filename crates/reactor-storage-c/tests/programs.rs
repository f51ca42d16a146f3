//! Real programs: one in C that calls every function, and one in Python.

#![expect(clippy::unwrap_used, reason = "helpers of a test are a test")]
#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::{Expect, expect};

/// Where cargo has put the library: beside this test.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// A folder where the library has the name by which programs ask for it, as where it is installed.
fn installed(folder: &Path) -> PathBuf {
    let lib = folder.join("lib");
    std::fs::create_dir_all(&lib).unwrap();
    std::os::unix::fs::symlink(libraries().join("libreactor_storage_c.so"), lib.join("libreactor_storage_c.so.0"))
        .unwrap();
    lib
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// A machine, a log, and a file that is none.
fn arguments() -> [PathBuf; 3] {
    [here("../reactor-sysfs/tests/sysfs/fc-multipath"), here("tests/log.txt"), here("Cargo.toml")]
}

fn check(output: &Output, expect: &Expect) {
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    expect.assert_eq(&String::from_utf8_lossy(&output.stdout));
}

/// Removed in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn compile(source: &Path, program: &Path) {
    let compiled = Command::new("cc")
        .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(here("include"))
        .arg(source)
        .arg("-L")
        .arg(libraries())
        .args(["-lreactor_storage_c", "-o"])
        .arg(program)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

#[test]
fn the_program_of_the_manual_is_one() {
    let folder = Folder(std::env::temp_dir().join(format!("reactor-storage-c-manual-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let page = std::fs::read_to_string(here("../../docs/library.md")).unwrap();
    let program = page.split("```c\n").nth(1).unwrap().split("```").next().unwrap();
    let (log, source, made) = (here("tests/log.txt"), folder.0.join("manual.c"), folder.0.join("manual"));
    std::fs::write(&source, program.replace("/var/log/kern.log", log.to_str().unwrap())).unwrap();
    compile(&source, &made);
    let output = Command::new(&made).env("LD_LIBRARY_PATH", installed(&folder.0)).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("FS_READ_ONLY EXT4-fs (drbd1000)"), "{output:?}");
}

#[test]
fn a_program_in_c_reads_devices_and_events() {
    let folder = Folder(std::env::temp_dir().join(format!("reactor-storage-c-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let program = folder.0.join("example");
    compile(&here("tests/example.c"), &program);
    let output =
        Command::new(&program).args(arguments()).env("LD_LIBRARY_PATH", installed(&folder.0)).output().unwrap();
    check(
        &output,
        &expect![[r#"
        5 devices
        - dm-0
        - dm-1
        - drbd1000
        - sda
        - sdb
        drbd:r0/0 drbd drbd1000 /dev/drbd/by-res/r0/0 147:1000 - ext4 0c7e0000-1111-4222-8333-444455556666 10737152000 json:1
          0 /dev/drbd/by-res/r0/0
          0 /dev/disk/by-uuid/0c7e0000-1111-4222-8333-444455556666
          1 /srv/data
          3 LVM-VgVgVgVgVgVgVgVgVgVgVgVgVgVgVgVg00000000000000000000000000000001
          3 mpath-36001405aabbccdd00112233
          3 naa.6001405aabbccdd00112233
          3 naa.6001405aabbccdd00112233
          4 r0/0
          5 srv-data.mount
        error 3: no block device here is called "mpathz"; there is mpatha
        error 2: can't list /no/such/folder/sys/class/block: No such file or directory (os error 2)
        all events
        info SCSI_DISK_ATTACHED naa.6001405aabbccdd00112233 sda x1
        error MPATH_PATH_FAILED naa.6001405aabbccdd00112233 sdb x1
        error SCSI_DEVICE_OFFLINE naa.6001405aabbccdd00112233 sdb x1
        critical FS_READ_ONLY drbd:r0/0 drbd1000 x1
        notice MPATH_PATH_REINSTATED naa.6001405aabbccdd00112233 sdb x1
        error BLK_IO_ERROR name:sdz sdz x1
        events of what the file system is on, errors and worse, by a descriptor
        error 1: a severity is info, notice, warning, error or critical
        error MPATH_PATH_FAILED naa.6001405aabbccdd00112233 sdb x1
        error SCSI_DEVICE_OFFLINE naa.6001405aabbccdd00112233 sdb x1
        critical FS_READ_ONLY drbd:r0/0 drbd1000 x1
        events of one type, without devices
        error MPATH_PATH_FAILED name:sdb sdb x1
        error 5: this has the form of no log that is known: kmsg, dmesg, journalctl -o export or json, syslog
        error 4: can't open /no/such/log: No such file or directory (os error 2)
        error 1: a file descriptor is not negative
        error 1: a text is NULL, or is not UTF-8
        done
    "#]],
    );
}

#[test]
fn a_program_in_python_reads_devices_and_events() {
    let output = Command::new("python3")
        .arg("-B")
        .arg(here("tests/example.py"))
        .args(arguments())
        .env("PYTHONPATH", here("python"))
        .env("REACTOR_STORAGE_LIBRARY", libraries().join("libreactor_storage_c.so"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED: python3: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    check(
        &output,
        &expect![[r#"
        5 ['dm-0', 'dm-1', 'drbd1000', 'sda', 'sdb']
        drbd:r0/0 {'drbd': ['r0/0'], 'mounts': ['/srv/data'], 'units': ['srv-data.mount']}
        not found: no block device here is called "mpathz"; there is mpatha
        info SCSI_DISK_ATTACHED naa.6001405aabbccdd00112233 1
        error MPATH_PATH_FAILED naa.6001405aabbccdd00112233 1
        error SCSI_DEVICE_OFFLINE naa.6001405aabbccdd00112233 1
        critical FS_READ_ONLY drbd:r0/0 1
        notice MPATH_PATH_REINSTATED naa.6001405aabbccdd00112233 1
        error BLK_IO_ERROR name:sdz 1
        of one device, errors and worse, by a descriptor
        error MPATH_PATH_FAILED
        critical FS_READ_ONLY
        5 this has the form of no log that is known: kmsg, dmesg, journalctl -o export or json, syslog
        4 can't open /no/such/log: No such file or directory (os error 2)
        1 a severity is info, notice, warning, error or critical
        2 can't list /no/such/sys/class/block: No such file or directory (os error 2)
        there is no filter 'colour'
    "#]],
    );
}
