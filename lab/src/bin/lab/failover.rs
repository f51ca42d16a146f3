//! `lab failover`: how long the service is away after each kind of fault, as a table.

use std::time::Duration;

use anyhow::Result;
use lab::chaos::failover::{Measured, middle};
use lab::chaos::plan::{Fault, Target};
use lab::chaos::{Chaos, ChaosError};
use lab::cluster::Cluster;
use lab::image::Image;

use crate::chaos::own_pair;
use crate::client::{Code, say};

/// Longer than anybody waits for the node.
const LONG: Duration = Duration::from_secs(3600);
const EVENTS: [(&str, Fault); 8] = [
    ("power cut", Fault::Kill(Target::Active)),
    ("kernel crash", Fault::Crash(Target::Active)),
    ("node hangs", Fault::Hang(Target::Active, LONG)),
    ("reboot", Fault::Reboot(Target::Active)),
    ("network cut", Fault::Cut),
    ("service killed", Fault::Service),
    ("evicted", Fault::Evict),
    ("disk fails", Fault::Disk(Target::Active)),
];
const HEAD: [&str; 8] = [
    "on the active node",
    "detection",
    "decision",
    "promotion",
    "start",
    "writes again after",
    "range",
    "without a write",
];

/// Measures, and prints a table for each `ping-int`.
pub(crate) async fn run(name: &str, ping_ints: &[u8], repeat: u32, markdown: bool, image: Image) -> Result<Code> {
    let mut cluster = own_pair(name, 0, image).await?;
    let code = tables(&cluster, ping_ints, repeat, markdown).await;
    if !matches!(code, Ok(0)) {
        cluster.keep();
        say(&format!(
            "journals, consoles and disks stay in {} (`lab clean` removes them)",
            cluster.folder().display()
        ))?;
    }
    code
}

async fn tables(cluster: &Cluster, ping_ints: &[u8], repeat: u32, markdown: bool) -> Result<Code> {
    let first = ping_ints.first().copied().unwrap_or(1);
    let chaos = Chaos::set_up(cluster, first).await?;
    for ping_int in ping_ints {
        chaos.set_ping_int(*ping_int).await?;
        let mut rows = vec![HEAD.map(str::to_owned)];
        for (event, fault) in EVENTS {
            match row(&chaos, event, fault, repeat).await {
                Ok(row) => {
                    say(&format!("ping-int {ping_int}: {}", row.join("  ")))?;
                    rows.push(row);
                }
                Err(ChaosError::Failed(lines)) => {
                    say(&format!("{event}, ping-int {ping_int}: {}", lines.join("\n")))?;
                    return Ok(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        say(&format!("\nping-int {ping_int}, in seconds:\n"))?;
        say(&if markdown { as_markdown(&rows) } else { in_columns(&rows) })?;
    }
    Ok(0)
}

async fn row(chaos: &Chaos<'_>, event: &str, fault: Fault, repeat: u32) -> Result<[String; 8], ChaosError> {
    let mut all: Vec<Measured> = Vec::new();
    for _ in 0..repeat.max(1) {
        all.push(chaos.fail_over(fault).await?);
    }
    let range = all.len() > 1;
    let Some((measured, least, most)) = middle(all) else { return Ok(HEAD.map(|_| String::new())) };
    let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
    let part = |part: Option<Duration>| part.map_or("-".to_owned(), seconds);
    Ok([
        event.to_owned(),
        part(measured.detection),
        part(measured.decision),
        part(measured.promotion),
        seconds(measured.start),
        seconds(measured.total),
        if range { format!("{} - {}", seconds(least), seconds(most)) } else { "-".to_owned() },
        seconds(measured.silence),
    ])
}

fn as_markdown(rows: &[[String; 8]]) -> String {
    let mut text = String::new();
    for (place, row) in rows.iter().enumerate() {
        text += &format!("| {} |\n", row.join(" | "));
        if place == 0 {
            text += &format!("|{}\n", " --- |".repeat(row.len()));
        }
    }
    text
}

fn in_columns(rows: &[[String; 8]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let line = |row: &[String; 8]| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<0$}", width(column)),
            _ => format!("{cell:>0$}", width(column)),
        });
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [HEAD.map(str::to_owned), HEAD.map(|head| head[..3].to_owned())];
        let columns = in_columns(&rows);
        let lines: Vec<_> = columns.lines().collect();
        assert_eq!(lines[0].len(), lines[1].len(), "{columns}");
        let markdown = as_markdown(&rows);
        assert!(markdown.lines().all(|line| line.matches('|').count() == 9), "{markdown}");
    }
}
