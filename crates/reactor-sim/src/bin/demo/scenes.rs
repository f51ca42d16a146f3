//! The story: what is done to the cluster, and what has to come of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};

use crate::layout::Layout;
use crate::machine;
use crate::stage::{Stage, say};
use crate::writes::{length, longest_gap};

/// How long the counter writes in peace between two scenes.
const PEACE: Duration = Duration::from_millis(700);
/// How long nobody has quorum.
const DARK: Duration = Duration::from_millis(1200);

/// One line of the table at the end.
pub(crate) struct Row {
    /// What happened.
    what: &'static str,
    /// Who wrote before and after.
    who: String,
    /// The longest time without an acknowledged write.
    gap: SignedDuration,
    /// Where it went.
    because: String,
}

/// Plays everything, and returns the table.
pub(crate) fn play(stage: &mut Stage<'_>, layout: &Layout) -> Result<Vec<Row>> {
    start(stage, layout)?;
    Ok(vec![
        power_cut(stage, layout)?,
        daemon_killed(stage, layout)?,
        network_cut(stage, layout)?,
        everybody_alone(stage, layout)?,
    ])
}

fn start(stage: &mut Stage<'_>, layout: &Layout) -> Result<()> {
    stage.scene("the cluster starts")?;
    for node in layout.nodes() {
        machine::power_on(layout, node)?;
    }
    stage.until("the counter to write somewhere", |stage| stage.writer.is_some())?;
    stage.until("all nodes to be well", |stage| (0..stage.facts.len()).all(|node| stage.is_well(node)))?;
    stage.pass(PEACE)
}

fn power_cut(stage: &mut Stage<'_>, layout: &Layout) -> Result<Row> {
    let (victim, name) = active(stage)?;
    stage.scene(&format!("the power of {name} is cut, where the counter runs"))?;
    let mark = stage.mark;
    machine::power_off(&layout.nodes()[victim])?;
    layout.control(&["kill", name])?;
    stage.forget(victim);
    let row = take_over(stage, "power cut", victim, mark)?;
    stage.pass(PEACE)?;

    stage.scene(&format!("{name} has power again"))?;
    layout.control(&["boot", name])?;
    machine::power_on(layout, &layout.nodes()[victim])?;
    all_well(stage)?;
    stage.pass(PEACE)?;
    Ok(row)
}

fn daemon_killed(stage: &mut Stage<'_>, layout: &Layout) -> Result<Row> {
    let (node, name) = active(stage)?;
    stage.scene(&format!("the daemon of {name} is killed, where the counter runs now"))?;
    let mark = stage.mark;
    machine::kill_daemon(&layout.nodes()[node])?;
    stage.forget(node);
    stage.until("the daemon to be back", move |stage| stage.facts[node].state == "running" && stage.is_well(node))?;
    let writes = stage.writes.iter().filter(|written| written.at >= mark).count();
    stage.tell(&format!("{name}'s daemon is back and finds everything as it should be; {writes} writes meanwhile"));
    stage.pass(PEACE)?;
    let (one, next) = longest_gap(&stage.writes, mark, Timestamp::now()).context("no writes")?;
    ensure!(stage.writer == Some(node), "the counter moved, although only a daemon was killed");
    Ok(Row {
        what: "daemon killed",
        who: format!("{name} -> {name}"),
        gap: length(&one, &next),
        because: "a restart of the daemon stops nothing".to_owned(),
    })
}

fn network_cut(stage: &mut Stage<'_>, layout: &Layout) -> Result<Row> {
    let (victim, name) = active(stage)?;
    stage.scene(&format!("the network of {name} is cut"))?;
    let mark = stage.mark;
    layout.control(&["isolate", name])?;
    let row = take_over(stage, "network cut", victim, mark)?;
    stage.until("the services to be stopped where there is no quorum", move |stage| {
        stage.facts[victim].state == "standby"
    })?;
    stage.pass(PEACE)?;

    stage.scene(&format!("the network of {name} is mended"))?;
    layout.control(&["heal"])?;
    all_well(stage)?;
    stage.pass(PEACE)?;
    Ok(row)
}

fn everybody_alone(stage: &mut Stage<'_>, layout: &Layout) -> Result<Row> {
    let (before, name) = active(stage)?;
    stage.scene("the switch dies: every node is alone, and none has quorum")?;
    let mark = stage.mark;
    for node in layout.nodes() {
        layout.control(&["isolate", &node.name])?;
    }
    stage.until("quorum to be lost everywhere", |stage| {
        stage.facts.iter().all(|facts| !facts.quorum && facts.state == "standby")
    })?;
    stage.pass(DARK)?;
    for (node, facts) in stage.facts.clone().iter().enumerate() {
        let text = format!("{}: {}, because {}", stage.name(node), facts.state, facts.because.join("; "));
        stage.tell(&text);
    }

    stage.writer = None;
    stage.scene("there is a new switch")?;
    let healed = stage.mark;
    layout.control(&["heal"])?;
    stage.until("the counter to write again", move |stage| (0..stage.facts.len()).any(|node| stage.wrote(node)))?;
    let after = stage.writer.context("nobody writes")?;
    let (one, next) = longest_gap(&stage.writes, mark, Timestamp::now()).context("no writes")?;
    all_well(stage)?;
    stage.pass(PEACE)?;
    Ok(Row {
        what: "no quorum",
        who: format!("{name} -> {}", stage.name(if after == before { before } else { after })),
        gap: length(&one, &next),
        because: format!("{} s after the network was back", seconds(next.at.duration_since(healed))),
    })
}

/// Waits until another node writes, and says where the time went.
fn take_over(stage: &mut Stage<'_>, what: &'static str, victim: usize, mark: Timestamp) -> Result<Row> {
    stage.until("another node to take over", move |stage| {
        (0..stage.facts.len()).any(|node| node != victim && stage.wrote(node))
    })?;
    stage.catch_up()?;
    let after = stage.writer.context("nobody writes")?;
    let (one, next) = longest_gap(&stage.writes, mark, Timestamp::now()).context("no writes")?;
    let moments = stage.moments[after];
    let mut parts = Vec::new();
    let mut last = mark;
    let steps = [
        ("until DRBD noticed", moments.noticed),
        ("until the survivors agreed", moments.may_promote),
        ("until it was decided", moments.decided),
        ("to promote", moments.primary),
        ("to start", Some(next.at)),
    ];
    for (name, at) in steps {
        let Some(at) = at.filter(|at| *at >= last) else { continue };
        parts.push(format!("{} {name}", seconds(at.duration_since(last))));
        last = at;
    }
    let gap = length(&one, &next);
    let because = parts.join(", ");
    say(&format!("{:>7}  no acknowledged write for {} s: {because}", "", seconds(gap)))?;
    Ok(Row { what, who: format!("{} -> {}", stage.name(victim), stage.name(after)), gap, because })
}

fn all_well(stage: &mut Stage<'_>) -> Result<()> {
    stage.until("all nodes to be well again", |stage| (0..stage.facts.len()).all(|node| stage.is_well(node)))?;
    stage.tell("all nodes are connected, with good data and quorum");
    Ok(())
}

fn active<'a>(stage: &Stage<'a>) -> Result<(usize, &'a str)> {
    let node = stage.writer.context("the counter runs nowhere")?;
    Ok((node, stage.name(node)))
}

/// The table and the judgement; an error if anything is wrong with the data.
pub(crate) fn sum_up(stage: &Stage<'_>, layout: &Layout, rows: &[Row]) -> Result<()> {
    say("\n== summary")?;
    for row in rows {
        say(&format!("  {:<14} {:<9} no write for {:>6} s   {}", row.what, row.who, seconds(row.gap), row.because))?;
    }
    let judgement = &stage.judgement;
    say(&format!(
        "\n  {} writes were acknowledged, {} refused. Lost: {}. Written twice: {}. The counter stands at {}.",
        judgement.acknowledged, judgement.refused, judgement.lost, judgement.twice, judgement.last
    ))?;
    let truth: serde_json::Value = serde_json::from_str(&layout.control(&["truth"])?).context("the truth")?;
    ensure!(truth.pointer("/0/diverged") == Some(&false.into()), "the data of two nodes diverged");
    ensure!(truth.pointer("/0/lost-writes") == Some(&0.into()), "the disks have lost acknowledged writes");
    ensure!(judgement.lost == 0, "acknowledged writes were lost");
    ensure!(judgement.twice == 0, "two nodes wrote at once");
    Ok(())
}

fn seconds(duration: SignedDuration) -> String {
    format!("{:.2}", duration.as_secs_f64())
}
