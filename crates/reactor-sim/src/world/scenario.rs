//! A failing seed as a folder, so that it can be read, replayed and kept:
//!
//! - `README.md`: the seed, what did not hold, how to run it again;
//! - `story.txt`: everything that happened, in order;
//! - `NODE-LIFE.inputs`: what each life of a daemon was told, one input a line with its time.
//!
//! A seed is its own recording: [`replay`] makes the world again from `seed.txt` and says what comes of it now.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::daemon::Tape;
use super::plan::NODES;
use super::{Bug, Plan, Violation, World};

/// Writes the folder of a seed; gives its story.
pub fn write(folder: &Path, seed: u64, bug: Option<Bug>) -> Result<(String, Option<Violation>)> {
    let plan = Plan::of(seed);
    let mut story = plan.summary.join("\n");
    story.push('\n');
    let mut world = World::new(plan, bug, true);
    let violation = world.run();
    story.push_str(world.story());
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let put = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    };
    let bug_name = bug.map_or("", Bug::name);
    let said = violation.as_ref().map_or_else(|| "nothing: it holds".to_owned(), ToString::to_string);
    let arguments = if bug_name.is_empty() { String::new() } else { format!(" --bug {bug_name}") };
    let readme = format!(
        "# seed {seed}\n\n{said}\n\n`cargo run --profile sim -p reactor-sim --bin sim -- --story {seed}{arguments}` tells it again.\n"
    );
    put("README.md", &readme)?;
    put("seed.txt", &format!("{seed} {bug_name}\n"))?;
    put("story.txt", &story)?;
    for (name, text) in world.tapes() {
        put(&format!("{name}.inputs"), &text)?;
    }
    if let Some(violation) = &violation {
        story.push_str(&format!("\n{violation}\n"));
    }
    Ok((story, violation))
}

/// Runs what a folder holds.
pub fn replay(folder: &Path) -> Result<Option<Violation>> {
    let file = folder.join("seed.txt");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let mut words = text.split_whitespace();
    let seed = words.next().unwrap_or_default().parse().with_context(|| format!("{}: no number", file.display()))?;
    Ok(super::run(seed, words.next().and_then(Bug::named)).violation)
}

impl World {
    /// What each life of a daemon was told, by node and life.
    fn tapes(&self) -> Vec<(String, String)> {
        let running = self.machines.iter().enumerate();
        let running = running.filter_map(|(node, machine)| machine.daemon.as_deref().map(|daemon| (node, daemon)));
        let ended = self.lives.iter().map(|(node, daemon)| (*node, &**daemon));
        ended
            .chain(running)
            .map(|(node, daemon)| {
                let mut text = format!("# {} from {}\n", NODES[node], daemon.started);
                for (at, tape) in &daemon.tape {
                    let _ = match tape {
                        Tape::Configure(_) => writeln!(text, "{at} configure"),
                        Tape::Step(input) => writeln!(text, "{at} {input:?}"),
                    };
                }
                (format!("{}-{}", NODES[node], daemon.life), text)
            })
            .collect()
    }
}
