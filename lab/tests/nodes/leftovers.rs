//! Whatever happens to the lab's process, its nodes end with it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::cluster::rundir::{RunDir, marked};
use libtest_mimic::Failed;
use rustix::process::Pid;

use super::Shared;
use super::cluster::nothing_is_left;
use super::image::image;

const LONG: Duration = Duration::from_secs(60);

/// Asks until it is so; for what no event tells.
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failed> {
    let until = Instant::now() + LONG;
    while !holds() {
        if Instant::now() > until {
            return Err(format!("waited in vain until {what}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The cluster's process is killed while a node boots; then so is the keeper at the same time.
pub(crate) fn a_killed_lab_leaves_nothing(_: &mut Shared) -> Result<(), Failed> {
    let image = image()?;
    for with_keeper in [false, true] {
        let name = format!("dies{}", std::process::id());
        let folder = RunDir::base().join(&name);
        let (ours, theirs) = UnixStream::pair()?;
        // The kernel and the first program in the node; QEMU has only itself.
        let fewest = if image.emulator().is_some() { 1 } else { 2 };
        let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["--cluster", &name, "serve", "1", "--given", &serde_json::to_string(&image)?])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        // Programs in a node may have no environment to be marked by, but they are of the machine's process group.
        let machine = || marked(&folder).into_iter().find(|pid| group(*pid) == Some(*pid) && !is_keeper(*pid));
        until("the node starts", || machine().is_some_and(|machine| members(machine).len() >= fewest))?;
        let group = machine().ok_or("the node has ended")?;
        let keepers: Vec<_> = marked(&folder).into_iter().filter(|pid| is_keeper(*pid)).collect();
        lab.kill()?;
        if with_keeper {
            for keeper in keepers {
                rustix::process::kill_process(keeper, rustix::process::Signal::KILL)?;
            }
        } else {
            until("every process has ended", || marked(&folder).is_empty() && members(group).is_empty())?;
        }
        lab.wait()?;
        drop(ours);
        // The next start cleans up; this one is somebody else's.
        drop(RunDir::create(&RunDir::base(), &format!("after{}", std::process::id()))?);
        until("every process has ended", || marked(&folder).is_empty() && members(group).is_empty())?;
        nothing_is_left(&folder)?;
    }
    Ok(())
}

/// The process group, unless the process has ended.
fn group(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // Behind the name, which may have anything in it: the state, the parent, the group.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let ended = fields.next()?.starts_with(['Z', 'X']);
    Pid::from_raw(fields.nth(1)?.parse().ok()?).filter(|_| !ended)
}

fn members(of: Pid) -> Vec<Pid> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| group(*pid) == Some(of)).collect()
}

fn is_keeper(pid: Pid) -> bool {
    let command = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    command.split(|byte| *byte == 0).nth(1) == Some(lab::keeper::KEEP.as_bytes())
}
