//! `reactorctl mon`: all resources on all nodes of the context, in one table: a row for each resource, a column for each node.
//!
//! A node that stops answering keeps what it has said last, with a mark: old news are better than none, if they are known to be old.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use clap::Args;
use reactor_api::Status;
use reactor_core::names::same;
use serde_json::{Value, json};

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};
use crate::nodes::context::{self, Node};
use crate::parts::cluster::{self, Answer, Availability, ByResource, Here, by_resource};
use crate::parts::promoted;
use crate::parts::which::Which;
use crate::problems::Severity;
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, harmless};
use crate::text::{WIDTH, wrapped};

/// Stands beside what a node said before it stopped answering.
const OLD: char = '?';
/// Between two columns.
const GAP: usize = 2;

/// Show all resources on all nodes of the context: a row for each resource, a column for each node
#[derive(Clone, Debug, Args)]
pub struct MonArgs {
    /// Which resources
    #[command(flatten)]
    pub which: Which,

    /// Go on, and show whatever changes
    #[arg(short, long)]
    pub watch: bool,

    /// As JSON, one object; with --watch one for each change
    #[arg(long)]
    pub json: bool,
}

/// What is known of a node.
#[derive(Debug)]
struct Column {
    name: String,
    /// What it has said last.
    said: Option<Status>,
    /// Why it says nothing now.
    silent: Option<String>,
}

impl Column {
    fn new(node: &Node) -> Self {
        Self { name: harmless(&node.name).into_owned(), said: None, silent: None }
    }

    fn hear(&mut self, answer: &Answer) {
        match cluster::understood(answer) {
            Ok(status) => (self.said, self.silent) = (Some(status), None),
            Err(why) => self.silent = Some(why),
        }
    }

    fn has_spoken(&self) -> bool {
        self.said.is_some() || self.silent.is_some()
    }
}

impl Run for MonArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let nodes = match &place.node {
            Some(node) => vec![node.clone()],
            None => context::needed(&place.context)?,
        };
        let mut columns: Vec<Column> = nodes.iter().map(Column::new).collect();
        if self.watch {
            return self.follow(&nodes, &mut columns, out);
        }
        let answers = cluster::ask(&nodes, &self.which.request());
        for (column, answer) in columns.iter_mut().zip(&answers) {
            column.hear(answer);
        }
        out.write_all(self.picture(&columns)?.as_bytes())?;
        cluster::exit(&answers, &self.which.names())
    }
}

impl MonArgs {
    fn follow(&self, nodes: &[Node], columns: &mut [Column], out: &mut dyn Write) -> Result<Exit, Failure> {
        cluster::follow(nodes, &self.which.names(), self.json, out, |number, answer| {
            columns[number].hear(answer);
            // The first picture is of all.
            columns.iter().all(Column::has_spoken).then(|| self.picture(columns)).transpose().map_err(Failure::from)
        })
    }

    fn picture(&self, columns: &[Column]) -> io::Result<String> {
        let said = columns.iter().filter_map(|column| Some((column.name.as_str(), column.said.as_ref()?)));
        let rows = by_resource(said, &self.which.names());
        let mut text = Vec::new();
        if self.json {
            writeln!(text, "{}", document(columns, &rows))?;
        } else {
            render(columns, &rows, &mut text)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// `{"nodes": {"n1": {"answers": true, "said": "2026-..."}}, "resources": {"r0": {"n1": {"state": "running", "role": "Primary", "problem": null}}}}`.
fn document(columns: &[Column], rows: &ByResource<'_>) -> Value {
    let nodes: BTreeMap<&str, Value> = columns
        .iter()
        .map(|column| {
            let said = column.said.as_ref().map(|status| status.now.as_str());
            let silent = column.silent.as_deref();
            (column.name.as_str(), json!({ "answers": silent.is_none(), "said": said, "error": silent }))
        })
        .collect();
    let here = |here: &Here<'_>| {
        json!({
            "state": here.promoted.map(|promoted| &promoted.state),
            "role": here.drbd.map(|drbd| &drbd.fields.role),
            "severity": here.worst().map(|(severity, _)| cluster::severity_word(severity).0),
            "problem": here.worst().map(|(_, what)| what),
        })
    };
    let row = |nodes: &BTreeMap<&str, Here<'_>>| -> BTreeMap<String, Value> {
        nodes.iter().map(|(node, it)| ((*node).to_owned(), here(it))).collect()
    };
    let resources: BTreeMap<&str, _> = rows.iter().map(|(name, nodes)| (*name, row(nodes))).collect();
    json!({ "nodes": nodes, "resources": resources })
}

/// A cell: a mark of how bad it is, what it is, and whether that is old.
fn cell(here: Option<&Here<'_>>, is_old: bool) -> (String, Style) {
    let Some(here) = here else { return (if is_old { format!("  {OLD}") } else { "  -".to_owned() }, DIM) };
    let state = match (here.promoted, here.drbd) {
        (Some(promoted), Some(drbd)) if drbd.fields.role == "Primary" && !holds_it(&promoted.state) => {
            format!("{}, Primary", promoted::state(promoted))
        }
        (Some(promoted), _) => promoted::state(promoted),
        (None, Some(drbd)) => drbd.fields.role.clone(),
        (None, None) => "-".to_owned(),
    };
    let (mark, style) = match here.worst().map(|(severity, _)| severity) {
        Some(Severity::Bad) => ('!', BAD),
        Some(Severity::Degraded) => ('*', WARN),
        Some(Severity::Note) => ('-', Style::new()),
        None if matches!(state.as_str(), "running" | "Primary") => (' ', GOOD),
        None => (' ', Style::new()),
    };
    if is_old { (format!("{mark} {state} {OLD}"), DIM) } else { (format!("{mark} {state}"), style) }
}

/// Whether a promoter that says this has it Primary, which need not be said then.
fn holds_it(state: &str) -> bool {
    matches!(state, "running" | "starting" | "stopping" | "frozen" | "promoting")
}

/// As many tables beside each other as there is room for columns, then what is wrong.
fn render(columns: &[Column], rows: &ByResource<'_>, out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        writeln!(out, "{DIM}no resources{END}")?;
    }
    let length = |text: &str| text.chars().count();
    let cells = |column: &Column| -> Vec<(String, Style)> {
        let old = column.silent.is_some();
        let of_peers = |nodes: &BTreeMap<&str, Here<'_>>| {
            nodes.values().filter_map(cluster::primary_peer).any(|peer| same(peer, &column.name))
        };
        let of_row = |nodes: &BTreeMap<&str, Here<'_>>| match nodes.get(column.name.as_str()) {
            // It says nothing itself.
            None if old && of_peers(nodes) => (format!("  Primary {OLD}"), WARN),
            here => cell(here, old),
        };
        rows.values().map(of_row).collect()
    };
    let columns_of: Vec<(&Column, Vec<(String, Style)>)> = columns.iter().map(|it| (it, cells(it))).collect();
    let width = |(column, cells): &(&Column, Vec<(String, Style)>)| {
        // The name stands above the words, not above the marks.
        cells.iter().map(|(text, _)| length(text)).chain([length(&column.name) + 2]).max().unwrap_or(0)
    };
    let names = rows.keys().map(|name| length(name)).max().unwrap_or(0);
    for (at, group) in groups(&columns_of, |column| GAP + width(column), WIDTH.saturating_sub(names)).enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        write!(out, "{:names$}", "")?;
        // Nothing stands behind the last one.
        let wide = |at: usize, column| if at + 1 == group.len() { 0 } else { width(column) };
        for (at, column) in group.iter().enumerate() {
            let wide = wide(at, column).saturating_sub(2);
            write!(out, "{:GAP$}  {NAME}{:wide$}{END}", "", column.0.name)?;
        }
        writeln!(out)?;
        for (number, name) in rows.keys().enumerate() {
            write!(out, "{NAME}{name:names$}{END}")?;
            for (at, column) in group.iter().enumerate() {
                let ((text, style), wide) = (&column.1[number], wide(at, column));
                write!(out, "{:GAP$}{style}{text:wide$}{END}", "")?;
            }
            writeln!(out)?;
        }
    }
    trouble(columns, rows, out)
}

/// Each problem of a resource once for each node that has it, then the nodes that do not answer.
fn trouble(columns: &[Column], rows: &ByResource<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut lines: Vec<(Severity, String)> = Vec::new();
    let is_whole = columns.iter().all(|column| column.silent.is_none());
    for (name, nodes) in rows {
        let availability = Availability::of(nodes, &BTreeMap::new(), is_whole);
        if availability.health().is_some() {
            let each = cluster::what_each_says(nodes).join(", ");
            let each = if each.is_empty() { each } else { format!(": {each}") };
            lines.push((Severity::Bad, format!("{name} {}{each}", availability.words().0)));
        }
        let problems = availability.problems(nodes);
        lines.extend(problems.map(|(severity, what, node)| (severity, format!("{what} (on {node})"))));
    }
    lines.sort_by_key(|(severity, _)| *severity);
    if !lines.is_empty() || columns.iter().any(|column| column.silent.is_some()) {
        writeln!(out)?;
    }
    for (severity, text) in lines {
        let (mark, style) = severity.mark();
        said(mark, style, &text, out)?;
    }
    for column in columns {
        let Some(why) = &column.silent else { continue };
        let old = column
            .said
            .as_ref()
            .map_or("nothing is known of it".to_owned(), |status| format!("what stands there is of {}", status.now));
        said(OLD, BAD, &format!("{}: {why}; {old}", column.name), out)?;
    }
    Ok(())
}

fn said(mark: char, style: Style, text: &str, out: &mut dyn Write) -> io::Result<()> {
    for (at, line) in wrapped(text, WIDTH - 4).iter().enumerate() {
        if at == 0 {
            writeln!(out, "{style}{mark}{END} {line}")?;
        } else {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

/// In groups of neighbours that are not wider than `room` together; one that is wider stands alone.
fn groups<T>(all: &[T], width: impl Fn(&T) -> usize, room: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = all;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut used = 0;
        let fits = rest.iter().take_while(|one| {
            used += width(one);
            used <= room
        });
        let (group, others) = rest.split_at(fits.count().max(1));
        rest = others;
        Some(group)
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use reactor_api::PromotedStatus;

    use super::*;
    use crate::testing::{BAD as IN_TROUBLE, GOOD as WELL, status_of};

    fn column(name: &str, said: Option<Status>, silent: Option<&str>) -> Column {
        Column { name: name.to_owned(), said, silent: silent.map(str::to_owned) }
    }

    fn running(mut status: Status) -> Status {
        let (resource, state) = ("r0".to_owned(), "running".to_owned());
        status.promoted.push(PromotedStatus { resource, state, ..PromotedStatus::default() });
        status
    }

    fn drawn(columns: &[Column]) -> String {
        let said = columns.iter().filter_map(|column| Some((column.name.as_str(), column.said.as_ref()?)));
        let rows = by_resource(said, &[]);
        let mut out = Vec::new();
        render(columns, &rows, &mut out).unwrap();
        let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        assert!(text.lines().all(|line| line.trim_end() == line && line.chars().count() <= WIDTH), "{text}");
        text
    }

    #[test]
    fn a_row_is_a_resource_and_a_column_a_node() {
        let columns = [
            column("n1", Some(running(status_of(WELL))), None),
            column("n2", Some(status_of(IN_TROUBLE)), None),
            column("n3", Some(status_of(WELL)), Some("not reached: no route to host")),
            column("n4", None, Some("not reached: no answer within 3 s")),
        ];
        expect![[r#"
                  n1         n2           n3           n4
            a     -        ! Primary      ?            ?
            b     -        ! Secondary    ?            ?
            r0    running    -            Primary ?    ?

            ! a: I/O is suspended: quorum (on n2)
            ! b Primary on n2, says n2
            ! b: all I/O fails until the last opener has closed it: it was demoted by
                force (on n2)
            ? n3: not reached: no route to host; what stands there is of
                2026-11-21T05:52:10.000Z
            ? n4: not reached: no answer within 3 s; nothing is known of it
        "#]]
        .assert_eq(&drawn(&columns));
    }

    #[test]
    fn what_is_too_wide_goes_on_below() {
        let name = |number: u32| format!("a-node-with-a-long-name-{number}");
        let columns: Vec<Column> =
            (1..=4).map(|number| column(&name(number), Some(running(status_of(WELL))), None)).collect();
        expect![[r#"
                  a-node-with-a-long-name-1    a-node-with-a-long-name-2
            r0    running                      running

                  a-node-with-a-long-name-3    a-node-with-a-long-name-4
            r0    running                      running
        "#]]
        .assert_eq(&drawn(&columns));
    }

    #[test]
    fn a_node_that_comes_back_is_not_old_any_more() {
        let mut one = column("n1", None, None);
        one.hear(&Err("not reached".to_owned()));
        assert!(one.has_spoken() && one.said.is_none());
        let status = serde_json::to_value(status_of(WELL)).unwrap();
        one.hear(&Ok(status));
        assert!(one.said.is_some() && one.silent.is_none());
        one.hear(&Err("not reached".to_owned()));
        assert_eq!((cell(None, true).0.as_str(), cell(None, false).0.as_str()), ("  ?", "  -"));
        assert!(one.said.is_some() && one.silent.is_some());
    }
}
