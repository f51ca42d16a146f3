//! What keeps a resource from coming back while another node takes it over: a hold of the daemon, or systemd's mask where none runs.

use std::path::{Path, PathBuf};

use reactor_api::Status;
use reactor_api::verbs::{Hold, Release};

use crate::cli::Place;
use crate::daemon;
use crate::exit::Failure;
use crate::io::Io;
use crate::systemctl::Systemctl;

/// How the text of a hold of ours begins, so that it is known again.
const WHY: &str = "evict:";
/// What a masked unit is a link to.
const MASK: &str = "/dev/null";

/// One resource, kept off this node or not.
pub(super) struct Keeper<'k> {
    pub(super) place: &'k Place,
    pub(super) systemctl: Systemctl,
    pub(super) unit_dir: &'k Path,
    pub(super) resource: &'k str,
    pub(super) target: &'k str,
    /// Whether the daemon promotes it.
    pub(super) by_daemon: bool,
}

/// What was set, and is to be taken away again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// The daemon's hold.
    Held,
    /// systemd's mask.
    Masked,
    /// Somebody else holds it already.
    ByOthers,
}

impl Keeper<'_> {
    /// Keeps it off.
    pub(super) fn keep_off(&self) -> Result<Kept, Failure> {
        if self.by_daemon {
            let why = Some(format!("{WHY} another node takes it over").as_str().into());
            let outcome = daemon::ask(self.place, &Hold { resource: self.resource.into(), why })?;
            return Ok(if outcome.changed { Kept::Held } else { Kept::ByOthers });
        }
        self.systemctl.run(&["mask", "--runtime", self.target])?;
        self.systemctl.run(&["daemon-reload"])?;
        Ok(Kept::Masked)
    }

    /// Takes away what [`keep_off`](Self::keep_off) has set. The daemon then decides by itself; systemd is told to start what nobody has.
    pub(super) fn give_back(&self, kept: Kept, is_wanted_here: bool) -> Result<(), Failure> {
        match kept {
            Kept::ByOthers => Ok(()),
            Kept::Held => {
                daemon::ask(self.place, &Release { resource: self.resource.into(), command: Some("evict".into()) })
                    .map(|_| ())
            }
            Kept::Masked => {
                self.unmask()?;
                if is_wanted_here { Ok(self.systemctl.run(&["start", self.target])?) } else { Ok(()) }
            }
        }
    }

    /// Removes the runtime mask of the target. `false` if there is none.
    fn unmask(&self) -> Result<bool, Failure> {
        let link: PathBuf = self.unit_dir.join(self.target);
        // Anything else of that name is no mask, and none of our business.
        if !std::fs::read_link(&link).is_ok_and(|leads_to| leads_to == Path::new(MASK)) {
            return Ok(false);
        }
        let failed =
            |error: std::io::Error| Failure::Program { what: link.display().to_string(), why: error.to_string() };
        std::fs::remove_file(&link).map_err(failed)?;
        self.systemctl.run(&["daemon-reload"])?;
        Ok(true)
    }

    /// `--unmask`: what an evict before has left, this program's or drbd-reactor's.
    pub(super) fn clear(&self, status: Option<&Status>, io: &mut Io<'_>) -> Result<(), Failure> {
        let (resource, target) = (self.resource, self.target);
        let was_masked = self.unmask()?;
        if was_masked {
            writeln!(io.out, "Unmasked '{target}'")?;
        }
        let hold = status
            .and_then(|status| status.promoted.iter().find(|promoted| promoted.resource == resource))
            .and_then(|promoted| promoted.hold.as_ref());
        match hold {
            Some(hold) if hold.why.starts_with(WHY) => {
                daemon::ask(self.place, &Release { resource: resource.into(), command: Some("evict".into()) })?;
                writeln!(io.out, "Released '{resource}'")?;
            }
            Some(hold) => io.warn(&format!(
                "{resource} stays held: not by an evict, but by {} ({}); reactorctl release {resource}",
                hold.who, hold.why
            ))?,
            None if !was_masked => io.say(&format!("'{resource}' is neither masked nor held"))?,
            None => {}
        }
        if !self.by_daemon {
            self.systemctl.run(&["start", target])?;
        }
        Ok(())
    }
}
