//! The same unit in two resources: each would start and stop it for the other, and the unit's dependencies would tie both together.
//!
//! One resource keeps the unit: the one that has it already, at start the first one. The other one goes on with its last good version,
//! if it has one that does not clash; otherwise it is left out. Everything else runs.

use std::collections::{BTreeMap, BTreeSet};

use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::plugin::promoter::units::unit_of;
use reactor_core::settings::promoter::{PromotedResource, Runner};

use crate::finding::{Code, Finding, Severity};
use crate::read::Claim;
use crate::source::Location;

/// A promoted resource of one of the files.
pub(crate) struct Candidate<'f> {
    pub(crate) claim: &'f Claim,
    pub(crate) settings: &'f PromotedResource,
    /// What runs of it now, from the same file.
    pub(crate) running: Option<&'f PromotedResource>,
}

/// What becomes of a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is taken.
    Taken,
    /// What ran before goes on.
    LastGood,
    /// It is left out.
    Dropped,
}

/// The units of a resource, in the order of `start` and then `standby`.
pub(crate) fn units<'s>(
    resource: &'s ResourceName,
    settings: &'s PromotedResource,
) -> impl Iterator<Item = UnitName> + use<'s> {
    let entries = settings.start.iter().chain(&settings.standby).filter(|_| settings.runner == Runner::Systemd);
    entries.map(move |entry| unit_of(resource, &entry.what))
}

impl Candidate<'_> {
    fn units(&self) -> impl Iterator<Item = UnitName> {
        units(&self.claim.resource, self.settings)
    }

    fn runs(&self, unit: &UnitName) -> bool {
        self.running.is_some_and(|running| units(&self.claim.resource, running).any(|running| running == *unit))
    }
}

/// One clash: candidate, unit, and the candidate that keeps it.
struct Clash {
    loser: usize,
    /// Its place in `start` and `standby` of the loser.
    entry: usize,
    unit: UnitName,
    winner: usize,
}

/// Decides about all candidates, in their order.
pub(crate) fn settle(candidates: &[Candidate<'_>], findings: &mut Vec<Finding>) -> Vec<Fate> {
    let clashes = clashes(candidates);
    let losers: BTreeSet<usize> = clashes.iter().map(|clash| clash.loser).collect();
    let mut fates = vec![Fate::Taken; candidates.len()];
    // What a loser ran before must not clash with what is taken now, nor with what another loser goes on with.
    let winners = candidates.iter().enumerate().filter(|(index, _)| !losers.contains(index));
    let mut taken: BTreeSet<UnitName> = winners.flat_map(|(_, candidate)| candidate.units()).collect();
    for index in losers {
        fates[index] = Fate::Dropped;
        let Some(running) = candidates[index].running else { continue };
        let before: Vec<UnitName> = units(&candidates[index].claim.resource, running).collect();
        if before.iter().all(|unit| !taken.contains(unit)) {
            taken.extend(before);
            fates[index] = Fate::LastGood;
        }
    }
    findings.extend(clashes.iter().map(|clash| explain(clash, candidates, fates[clash.loser])));
    fates
}

fn clashes(candidates: &[Candidate<'_>]) -> Vec<Clash> {
    let mut claims: BTreeMap<UnitName, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        for (entry, unit) in candidate.units().enumerate() {
            claims.entry(unit).or_default().push((index, entry));
        }
    }
    let mut clashes = Vec::new();
    for (unit, claims) in claims {
        let runs = claims.iter().find(|(index, _)| candidates[*index].runs(&unit));
        let winner = runs.or(claims.first()).map_or(0, |(index, _)| *index);
        // A unit twice in one list is an error of that list, and told there.
        for &(loser, entry) in claims.iter().filter(|(index, _)| *index != winner) {
            clashes.push(Clash { loser, entry, unit: unit.clone(), winner });
        }
    }
    clashes.sort_by_key(|clash| (clash.loser, clash.entry));
    clashes
}

fn explain(clash: &Clash, candidates: &[Candidate<'_>], fate: Fate) -> Finding {
    let (loser, winner) = (&candidates[clash.loser], &candidates[clash.winner]);
    let fate = match fate {
        Fate::LastGood => "goes on as it was before",
        Fate::Taken | Fate::Dropped => "is ignored",
    };
    let message = format!(
        "the unit `{}` is already started by the resource `{}`: the resource `{}` {fate}",
        clash.unit, winner.claim.resource, loser.claim.resource
    );
    let at = place(loser, clash.entry);
    let entry = winner.units().position(|unit| unit == clash.unit).unwrap_or(0);
    Finding::at(Severity::Error, Code::Duplicate, &at.source, at.span, message)
        .label("second resource")
        .hint("a unit may be in one resource only: give this resource a unit of its own, for example an instance of a template")
        .related(place(winner, entry), "started here")
}

/// Where an entry of `start` is written; the name of the resource if that is not known.
fn place(candidate: &Candidate<'_>, entry: usize) -> Location {
    candidate.claim.start.get(entry).unwrap_or(&candidate.claim.location).clone()
}
