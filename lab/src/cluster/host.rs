//! Can this host run nodes? Said before the first boot, with what to do.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ClusterError, MOST_DISKS, MOST_NODES, Options};
use crate::image::{Emulator, Runner};

/// The variable that names the `lab` program.
const LAB_VARIABLE: &str = "LAB_BIN";
const SHM: &str = "/dev/shm";

/// Checks what the nodes need of the host.
pub(super) fn check(options: &Options) -> Result<(), ClusterError> {
    let cannot = |what: String| Err(ClusterError::Host { what });
    if options.nodes == 0 || options.nodes > MOST_NODES || options.disks > MOST_DISKS {
        return cannot(format!("a cluster has 1 to {MOST_NODES} nodes with up to {MOST_DISKS} data disks each"));
    }
    let image = &options.image;
    if !image.kernel.exists() {
        let package = if image.emulator().is_some() { "linux-image-amd64" } else { "user-mode-linux" };
        return cannot(format!("{} is missing (Debian: apt install {package})", image.kernel.display()));
    }
    if !image.modules.is_dir() {
        return cannot(format!("the kernel's modules are not in {}", image.modules.display()));
    }
    if !image.base.exists() {
        return cannot(format!("there is no image {} (`lab image` builds it)", image.base.display()));
    }
    let memory_mib = u64::from(options.nodes) * u64::from(options.memory_mib);
    match &image.runner {
        Runner::Qemu(emulator) => check_qemu(emulator, memory_mib),
        Runner::Uml(start) => {
            if start.uses_ptrace() {
                check_ptrace()?;
            }
            check_shm(memory_mib)
        }
    }
}

/// QEMU's nodes are ordinary processes with ordinary memory.
fn check_qemu(emulator: &Emulator, needed_mib: u64) -> Result<(), ClusterError> {
    let cannot = |what: String| Err(ClusterError::Host { what });
    for (path, package) in [(&emulator.program, "qemu-system-x86"), (&emulator.img, "qemu-utils")] {
        if !path.exists() {
            return cannot(format!("{} is missing (Debian: apt install {package})", path.display()));
        }
    }
    if !emulator.initrd.exists() {
        return cannot(format!(
            "there is no initramfs {} (`lab image --backend qemu` builds it)",
            emulator.initrd.display()
        ));
    }
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match available_mib(&text) {
        Some(free_mib) if free_mib < needed_mib => cannot(format!(
            "{free_mib} MiB of memory are available and the nodes need {needed_mib} MiB: take fewer nodes or less memory"
        )),
        _ => Ok(()),
    }
}

/// What /proc/meminfo says.
fn available_mib(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? >> 10)
}

/// A kernel that runs its processes under ptrace.
fn check_ptrace() -> Result<(), ClusterError> {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let root = rustix::process::geteuid().is_root();
    match scope.trim() {
        "3" => Err(ClusterError::Host { what: "ptrace is switched off (kernel.yama.ptrace_scope is 3)".to_owned() }),
        "2" if !root => {
            let what = "ptrace is for root only: sysctl kernel.yama.ptrace_scope=1, or run the lab as root".to_owned();
            Err(ClusterError::Host { what })
        }
        _ => Ok(()),
    }
}

/// The nodes' memory is a file there.
fn check_shm(needed_mib: u64) -> Result<(), ClusterError> {
    let cannot = |what: String| Err(ClusterError::Host { what });
    let Ok(stat) = rustix::fs::statvfs(SHM) else {
        return cannot(format!("there is no {SHM}: mount a tmpfs there, it holds the nodes' memory"));
    };
    if rustix::fs::access(SHM, rustix::fs::Access::WRITE_OK).is_err() {
        return cannot(format!("{SHM} cannot be written, it holds the nodes' memory"));
    }
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
        return cannot(format!("{SHM} is mounted noexec: mount -o remount,exec {SHM}"));
    }
    let free_mib = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
    if free_mib < needed_mib {
        return cannot(format!(
            "{SHM} has {free_mib} MiB left and the nodes' memory needs {needed_mib} MiB: take fewer nodes or less memory, \
             or enlarge it (mount -o remount,size=..., docker run --shm-size=...)"
        ));
    }
    Ok(())
}

/// The `lab` program: named by `LAB_BIN`, or beside the running program.
pub fn lab_program() -> Result<PathBuf, ClusterError> {
    if let Some(named) = std::env::var_os(LAB_VARIABLE) {
        return Ok(named.into());
    }
    let current = std::env::current_exe().unwrap_or_default();
    // A test program is in target/PROFILE/deps, what it tests in target/PROFILE.
    let near = current.ancestors().skip(1).take(2).map(|folder| folder.join("lab"));
    let found = near.into_iter().find(|path: &PathBuf| is_program(path));
    found.ok_or_else(|| ClusterError::Host {
        what: format!(
            "the lab program is not beside {} (cargo build -p lab), and {LAB_VARIABLE} is not set",
            current.display()
        ),
    })
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_from_meminfo() {
        assert_eq!(available_mib("MemTotal: 9 kB\nMemAvailable:    2097152 kB\n"), Some(2048));
        assert_eq!(available_mib("MemTotal: 9 kB\n"), None);
    }
}
