//! `lab chaos`: rounds of random faults, told in a line each.

use std::time::Instant;

use anyhow::Result;
use lab::chaos::plan::Round;
use lab::chaos::{Chaos, ChaosError};
use lab::cluster::{Cluster, Options};
use lab::image::Image;

use crate::client::{Code, say};

/// What is asked for.
pub(crate) struct Wanted {
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    pub(crate) first: u32,
    pub(crate) keep: bool,
}

impl Wanted {
    fn plans(&self) -> impl Iterator<Item = (u32, Round)> {
        let seed = self.seed;
        (self.first..self.first.saturating_add(self.rounds)).map(move |number| (number, Round::draw(seed, number)))
    }
}

/// Shows what would be done.
pub(crate) fn plan(wanted: &Wanted) -> Result<Code> {
    for (number, round) in wanted.plans() {
        say(&format!("round {number}: {round}"))?;
    }
    Ok(0)
}

/// Runs the rounds on a pair of its own. The first that fails is the last: what it leaves is kept.
pub(crate) async fn run(name: &str, wanted: &Wanted, image: Image) -> Result<Code> {
    let mut cluster = own_pair(name, wanted.seed, image).await?;
    if wanted.keep {
        cluster.keep();
    }
    let began = Instant::now();
    let code = rounds(&cluster, wanted).await;
    if !matches!(code, Ok(0)) {
        cluster.keep();
    }
    if wanted.keep || !matches!(code, Ok(0)) {
        say(&format!(
            "journals (n1/share/journal.log), consoles, acknowledgements and disks stay in {} (`lab clean` removes them)",
            cluster.folder().display()
        ))?;
    }
    if let Ok(0) = code {
        let (rounds, seed) = (wanted.rounds, wanted.seed);
        say(&format!("{rounds} rounds of seed {seed} passed in {:.0} s", began.elapsed().as_secs_f64()))?;
    }
    code
}

/// Boots the two nodes of a run.
pub(crate) async fn own_pair(name: &str, seed: u64, image: Image) -> Result<Cluster> {
    let mut options = Options::new(2, image);
    name.clone_into(&mut options.name);
    options.seed = seed;
    options.lab = Some(std::env::current_exe()?);
    say("booting two nodes (10 to 30 s) ...")?;
    Ok(Cluster::up(&options).await?)
}

async fn rounds(cluster: &Cluster, wanted: &Wanted) -> Result<Code> {
    let chaos = match Chaos::set_up(cluster, 1).await {
        Ok(chaos) => chaos,
        Err(error) => {
            say(&format!("the pair does not come up: {error}"))?;
            return Ok(1);
        }
    };
    for (number, round) in wanted.plans() {
        let began = Instant::now();
        match chaos.round(&round).await {
            Ok(passed) => {
                let (before, after) = &passed.moved;
                let moved = if before == after { format!("{after} goes on") } else { format!("{before} -> {after}") };
                say(&format!(
                    "round {number}: {round}\n  passed in {:.0} s: {moved}; {:.1} s without a write; whole {:.1} s after it was mended; \
                     {} acknowledged, none lost",
                    began.elapsed().as_secs_f64(),
                    passed.outage.as_secs_f64(),
                    passed.whole.as_secs_f64(),
                    passed.checked.acked,
                ))?;
            }
            Err(error) => {
                say(&format!("round {number}: {round}\n  FAILED. What was done, and what the nodes said:"))?;
                let lines = match error {
                    ChaosError::Failed(lines) => lines,
                    other => vec![other.to_string()],
                };
                for line in lines {
                    say(&format!("  {line}"))?;
                }
                say(&format!(
                    "story.txt has more. Again: lab chaos --seed {} --first {number} --rounds 1",
                    wanted.seed
                ))?;
                return Ok(1);
            }
        }
    }
    Ok(0)
}
