//! All of a resource, as the daemon's pictures show it: what it was before, and what becomes of it.

use std::io::Write;
use std::time::{Duration, Instant};

use reactor_api::{PromotedStatus, Status};

use super::range::{Step, all};
use super::{Line, Printer};
use crate::cli::Place;
use crate::exit::Failure;
use crate::parts::takeover;
use crate::watching::{News, Then, Watching, Whom, may_come_back, understood};

/// See the module's head.
pub(crate) struct Whole<'o> {
    watching: Watching,
    pub(crate) resource: String,
    /// What the daemon said first.
    pub(crate) status: Status,
    /// What it said of the resource.
    pub(crate) before: PromotedStatus,
    /// Its steps, in the order of a start.
    pub(crate) steps: Vec<Step>,
    pub(crate) printer: Printer<'o>,
}

impl<'o> Whole<'o> {
    /// Begins to watch it.
    pub(crate) fn watch(place: &Place, resource: &str, is_json: bool, out: &'o mut dyn Write) -> Result<Self, Failure> {
        let whom = vec![Whom::Here(Box::new(place.clone()))];
        let watching = Watching::start(whom, &[resource.to_owned()], Then::Again);
        let status = watching.first()?;
        let missing = || Failure::NoSuchResource { resource: resource.to_owned() };
        let before = takeover::promoted(&status, resource).ok_or_else(missing)?;
        let steps = all(&before, takeover::is_primary_here(&status, resource));
        let about: Vec<String> = steps.iter().map(|step| step.about(resource)).collect();
        let printer = Printer::new(out, is_json, about.iter().map(String::as_str).chain([resource]));
        Ok(Self { watching, resource: resource.to_owned(), status, before, steps, printer })
    }

    /// What the daemon says of it next; `None` = the time is up. A daemon that is away is waited for.
    pub(crate) fn next(&mut self, end: Instant) -> Result<Option<PromotedStatus>, Failure> {
        while let Some((_, news)) = self.watching.next(Some(end)) {
            let status = match news {
                News::Picture(picture) => understood(picture)?,
                News::Ended(failure) if may_come_back(&failure) => {
                    self.say(&Line::warn(&self.resource, failure.chain()))?;
                    continue;
                }
                News::Ended(failure) => return Err(failure),
            };
            if let Some(report) = takeover::promoted(&status, &self.resource) {
                return Ok(Some(report));
            }
        }
        Ok(None)
    }

    /// Prints a line.
    pub(crate) fn say(&mut self, line: &Line) -> Result<(), Failure> {
        Ok(self.printer.say(line)?)
    }

    /// The same for several.
    pub(crate) fn say_all(&mut self, lines: &[Line]) -> Result<(), Failure> {
        lines.iter().try_for_each(|line| self.say(line))
    }
}

/// When a wait of so many seconds ends.
pub(crate) fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}
