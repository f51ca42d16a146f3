//! Whatever happens to the lab's process, its nodes end with it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::cluster::rundir::{RunDir, marked};
use libtest_mimic::Failed;

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
        // The keeper, the kernel and its helpers; QEMU has none.
        let fewest = if image.emulator().is_some() { 1 } else { 3 };
        let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["--cluster", &name, "serve", "1", "--given", &serde_json::to_string(&image)?])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        until("the node starts", || marked(&folder).len() > fewest)?;
        let processes = marked(&folder);
        let keepers: Vec<_> = processes.into_iter().filter(|pid| is_keeper(*pid)).collect();
        lab.kill()?;
        if with_keeper {
            for keeper in keepers {
                rustix::process::kill_process(keeper, rustix::process::Signal::KILL)?;
            }
        } else {
            until("every process has ended", || marked(&folder).is_empty())?;
        }
        lab.wait()?;
        drop(ours);
        // The next start cleans up; this one is somebody else's.
        drop(RunDir::create(&RunDir::base(), &format!("after{}", std::process::id()))?);
        until("every process has ended", || marked(&folder).is_empty())?;
        nothing_is_left(&folder)?;
    }
    Ok(())
}

fn is_keeper(pid: rustix::process::Pid) -> bool {
    let command = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    command.split(|byte| *byte == 0).nth(1) == Some(lab::keeper::KEEP.as_bytes())
}
