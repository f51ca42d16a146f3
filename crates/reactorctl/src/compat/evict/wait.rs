//! Waiting for another node to be Primary.

use std::io::IsTerminal as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use reactor_core::settings::DaemonSettings;

use super::keeper::Keeper;
use crate::drbd::{Known, PrimaryOn, Resource};
use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::io::Io;

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(200);

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Takeover {
    /// That node is Primary.
    By(String),
    /// Nobody in time.
    Nobody,
    /// This node is still Primary.
    StillHere,
    /// A person ended it.
    Interrupted,
    /// It could not be stopped, or nothing could be found out.
    Failed,
}

pub(super) fn wait(
    keeper: &Keeper<'_>,
    daemon: &DaemonSettings,
    seconds: u32,
    noted: &Interrupts,
    io: &mut Io<'_>,
) -> Result<Takeover, Failure> {
    let name = keeper.resource;
    io.say(&format!("Waiting up to {seconds} s for another node to take over '{name}'..."))?;
    let counts = std::io::stderr().is_terminal();
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let mut shown = u64::MAX;
    let outcome = loop {
        // A daemon that is just started again, for example, is asked again.
        let now = Known::ask(keeper.place, daemon);
        let resource = now.as_ref().ok().and_then(|now| now.resources.get(name));
        let primary_on = resource.map_or(PrimaryOn::Unknown, Resource::primary_on);
        if let PrimaryOn::Node(node) = primary_on {
            break Takeover::By(node);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            now?;
            break if primary_on == PrimaryOn::ThisNode { Takeover::StillHere } else { Takeover::Nobody };
        }
        if noted.came() {
            break Takeover::Interrupted;
        }
        if counts && left.as_secs() < shown {
            shown = left.as_secs();
            write!(io.err, "\r{} s ", shown + 1)?;
            io.err.flush()?;
        }
        sleep(PAUSE.min(left));
    };
    if counts && shown != u64::MAX {
        write!(io.err, "\r")?;
    }
    Ok(outcome)
}
