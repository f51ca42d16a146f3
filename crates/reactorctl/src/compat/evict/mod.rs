//! `evict`: what runs here is to run on another node.
//!
//! ```text
//! checks ─▶ kept off this node (hold, or mask) ─▶ stop ─▶ another node is Primary ─▶ free again ─▶ exit code 0
//!   │ no                                           │ fails     │ nobody in time          ▲
//!   ▼                                              └───────────┴─────────────────────────┴──▶ exit code 11
//! refused, with each reason
//! ```

mod checks;
mod keeper;
mod wait;

use std::path::PathBuf;

use clap::Args;
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units;
use reactor_core::settings::PluginSettings;
use reactor_core::settings::promoter::{FailureAction, Runner};

use super::{Act, Reach};
use crate::cli::Place;
use crate::drbd::{Known, PrimaryOn};
use crate::exit::{Exit, Failure};
use crate::interrupts::Interrupts;
use crate::io::Io;
use crate::snippets::{Snippet, Snippets, Wanted, content};
use crate::systemctl::Systemctl;
use keeper::{Keeper, Kept};
use wait::{Takeover, wait};

/// Have another node take over what promoters run here
#[derive(Clone, Debug, Args)]
pub struct EvictArgs {
    /// Seconds that another node has to take over
    #[arg(short, long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub delay: u32,

    /// Also if nobody seems able to take over, and with several plugins or resources in one snippet
    #[arg(short, long)]
    pub force: bool,

    /// Then keep it off this node, until evict --unmask
    #[arg(short, long)]
    pub keep_masked: bool,

    /// End what --keep-masked began; nothing is evicted
    #[arg(short, long, conflicts_with = "keep_masked")]
    pub unmask: bool,

    /// Only these snippets
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// A resource that may have to go.
struct Candidate {
    name: ResourceName,
    target: String,
    has_failure_action: bool,
}

impl Act for EvictArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let (selected, mut exit) = snippets.select_and_tell(&self.files, Wanted::Enabled, io)?;
        let mut candidates = Vec::new();
        for snippet in &selected {
            match self.candidates(&snippets, snippet, io)? {
                Ok(of_it) => candidates.extend(of_it),
                Err(failure) => {
                    exit = exit.or(failure.exit());
                    io.fail(&failure)?;
                }
            }
        }
        // A node that fails to demote those with a failure action is gone at once; the others shall be away by then.
        candidates.sort_by_key(|candidate| candidate.has_failure_action);
        for candidate in &candidates {
            // Meanwhile the one before has moved, which takes its time.
            let known = Known::ask(place, &snippets.daemon)?;
            let keeper = Keeper {
                place,
                systemctl: Systemctl::of(&snippets.daemon),
                unit_dir: &snippets.daemon.unit_dir,
                resource: candidate.name.as_str(),
                target: &candidate.target,
                by_daemon: known.is_promoted(candidate.name.as_str()),
            };
            let done = if self.unmask {
                keeper.clear(known.status.as_ref(), io).map(|()| Exit::Ok)
            } else {
                self.evict(&keeper, &known, &snippets, io)
            };
            match done {
                Ok(of_it) => exit = exit.or(of_it),
                Err(failure) => {
                    exit = exit.or(failure.exit());
                    io.fail(&failure)?;
                }
            }
        }
        Ok(exit)
    }

    fn reach(&self) -> Reach {
        Reach::ThisNode
    }
}

impl EvictArgs {
    /// The resources of a snippet, or why it is refused.
    fn candidates(
        &self,
        snippets: &Snippets,
        snippet: &Snippet,
        io: &mut Io<'_>,
    ) -> Result<Result<Vec<Candidate>, Failure>, Failure> {
        let content = content::read(snippet, snippets.mode);
        if let Some(error) = content.error {
            return Ok(Err(error.into()));
        }
        let is_promoter = |entry: &&_| {
            matches!(entry, reactor_core::settings::PluginEntry { settings: PluginSettings::Promoter(_), .. })
        };
        let promoters = content.plugins.iter().filter(is_promoter).count();
        let path = snippet.path.display();
        if promoters == 0 {
            // One that was named is meant; among all of them it is none of this command's business.
            let why = vec!["it has no promoter".to_owned()];
            return Ok(if self.files.is_empty() {
                Ok(Vec::new())
            } else {
                Err(Failure::Refused { what: path.to_string(), why })
            });
        }
        let resources: Vec<_> = content::promoted(&content.plugins).collect();
        let mut why = Vec::new();
        if content.plugins.len() > 1 {
            why.push("it has several plugins".to_owned());
        }
        if resources.len() > 1 {
            why.push("it has several resources".to_owned());
        }
        if !why.is_empty() && !self.force && !self.unmask {
            why.push("--force evicts all of them".to_owned());
            return Ok(Err(Failure::Refused { what: path.to_string(), why }));
        }
        let mut candidates = Vec::new();
        for (name, resource) in resources {
            if resource.runner == Runner::Shell {
                io.warn(&format!("{name} is run by a shell and has no target: it can't be evicted"))?;
                continue;
            }
            candidates.push(Candidate {
                name: name.clone(),
                target: units::target(name).to_string(),
                has_failure_action: resource.on_drbd_demote_failure != FailureAction::None,
            });
        }
        Ok(Ok(candidates))
    }

    fn evict(&self, keeper: &Keeper<'_>, known: &Known, snippets: &Snippets, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let name = keeper.resource;
        let Some(resource) = known.resources.get(name) else {
            return Err(Failure::Refused { what: name.to_owned(), why: vec!["DRBD does not have it here".to_owned()] });
        };
        match resource.primary_on() {
            PrimaryOn::ThisNode => {}
            PrimaryOn::Node(node) => {
                io.say(&format!("'{name}' is active on node '{node}': nothing to evict"))?;
                return Ok(Exit::Ok);
            }
            PrimaryOn::Unknown if self.files.is_empty() => {
                io.say(&format!("'{name}' is not active on this node: nothing to evict"))?;
                return Ok(Exit::Ok);
            }
            PrimaryOn::Unknown => {
                let why = vec!["it is not Primary on this node, nor on another one that this node sees".to_owned()];
                return Err(Failure::Refused { what: name.to_owned(), why });
            }
        }
        let objections = checks::objections(resource);
        if !objections.is_empty() && !self.force {
            return Err(Failure::Refused { what: name.to_owned(), why: objections });
        }
        for objection in objections {
            io.warn(&objection)?;
        }
        let noted = Interrupts::noted()?;
        io.say(&format!("Evicting '{name}'..."))?;
        io.say("not checked: whether another node is set up to run it, and does not hold it")?;
        let kept = keeper.keep_off()?;
        let takeover = self.move_away(keeper, snippets, &noted, io);
        let takeover = match takeover {
            Ok(takeover) => takeover,
            Err(failure) => {
                io.fail(&failure)?;
                Takeover::Failed
            }
        };
        self.conclude(keeper, kept, &takeover, io)
    }

    /// Stops it, and waits for another node.
    fn move_away(
        &self,
        keeper: &Keeper<'_>,
        snippets: &Snippets,
        noted: &Interrupts,
        io: &mut Io<'_>,
    ) -> Result<Takeover, Failure> {
        keeper.systemctl.run(&["stop", keeper.target])?;
        wait(keeper, &snippets.daemon, self.delay, noted, io)
    }

    /// Says how it ended, and frees the resource again unless it is to stay off.
    fn conclude(&self, keeper: &Keeper<'_>, kept: Kept, takeover: &Takeover, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let name = keeper.resource;
        let exit = match takeover {
            Takeover::By(node) => {
                writeln!(io.out, "Node '{node}' took over '{name}'")?;
                Exit::Ok
            }
            Takeover::Nobody => {
                io.warn(&format!("no other node took over '{name}' within {} s", self.delay))?;
                Exit::NotTakenOver
            }
            Takeover::StillHere => {
                io.warn(&format!(
                    "'{name}' is still Primary on this node: something holds it open (reactorctl why {name})"
                ))?;
                Exit::NotTakenOver
            }
            Takeover::Interrupted => {
                io.warn(&format!("interrupted while '{name}' was moved"))?;
                Exit::NotTakenOver
            }
            Takeover::Failed => Exit::NotTakenOver,
        };
        if self.keep_masked && matches!(takeover, Takeover::By(_) | Takeover::Nobody) {
            let by = if kept == Kept::Masked { "masked" } else { "held" };
            writeln!(io.out, "'{name}' stays {by} on this node: evict --unmask ends that")?;
            return Ok(exit);
        }
        if kept == Kept::ByOthers {
            io.warn(&format!("'{name}' was held before, and stays so"))?;
        }
        if let Err(failure) = keeper.give_back(kept, exit != Exit::Ok) {
            io.warn(&format!("'{name}' could not be freed: it stays off this node until evict --unmask"))?;
            return Err(failure);
        }
        if exit != Exit::Ok && kept == Kept::Held {
            io.say(&format!("'{name}' is released: this node may start it again"))?;
        }
        Ok(exit)
    }
}
