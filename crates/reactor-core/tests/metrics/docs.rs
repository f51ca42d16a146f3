//! docs/metrics.md and the code name the same metrics.

use std::collections::BTreeMap;

use reactor_core::drbd::types::{ConnectionState, DiskState, Role};
use reactor_core::metrics::catalogue;

pub(crate) const PAGE: &str = include_str!("../../../../docs/metrics.md");

pub(crate) fn is_metric(word: &str) -> bool {
    let prefix = ["drbd_", "drbdreactor_", "storage_reactor_"].iter().any(|prefix| word.starts_with(prefix));
    prefix && !word.ends_with('_') && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Every PromQL expression of the page: indented lines of its section (`or` goes on with the line before), and conditions of alerts.
pub(crate) fn expressions() -> Vec<String> {
    let (_, questions) = PAGE.split_once("## Questions and answers in PromQL\n").expect("the section");
    let (questions, rest) = questions.split_once("## What is worth an alert\n").expect("the section");
    let (alerts, _) = rest.split_once("\n## ").expect("another section");
    let mut all: Vec<String> = Vec::new();
    for line in questions.lines().filter_map(|line| line.strip_prefix("    ")) {
        match (line.strip_prefix("or "), all.last_mut()) {
            (Some(_), Some(last)) => *last = format!("{last} {line}"),
            _ => all.push(line.to_owned()),
        }
    }
    let conditions = alerts.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    all.extend(conditions.map(|(condition, _)| condition.replace("\\|", "|")));
    all
}

/// Name, then type and labels as the page says them. Rows: `| NAME | TYPE | LABELS | ...`.
fn page() -> BTreeMap<&'static str, (String, String, bool, bool)> {
    let mut rows = BTreeMap::new();
    for line in PAGE.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, ..] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        if is_metric(name) && ["gauge", "counter", "summary"].contains(&kind) {
            let labels = labels.replace(['`', ' '], "").replace('–', "");
            let marks = meaning.split_once(')').map_or("", |(marks, _)| marks.strip_prefix('(').unwrap_or_default());
            let marked = |mark| marks.split(", ").any(|one| one == mark);
            let row = (kind.to_owned(), labels, marked("enums"), marked("all"));
            assert!(rows.insert(name, row).is_none(), "{name} stands in the page twice");
        }
    }
    rows
}

#[test]
fn the_page_has_every_metric_and_no_other() {
    let mut page = page();
    for family in catalogue() {
        let row = page.remove(family.name).unwrap_or_else(|| panic!("docs/metrics.md does not have {}", family.name));
        let expected = (family.kind.as_str().to_owned(), family.labels.join(","), family.only_with_enums, family.rare);
        assert_eq!(row, expected, "{}", family.name);
    }
    assert!(page.is_empty(), "docs/metrics.md has metrics that do not exist: {page:?}");
}

/// Dashboards and rules of those who come from drbd-reactor find what they found, without a new key.
#[test]
fn what_drbd_reactor_has_is_never_opt_in() {
    let theirs = "drbdreactor_up drbd_version drbd_resource_resources drbd_resource_role drbd_resource_suspended \
        drbd_resource_maypromote drbd_resource_forceiofailures drbd_resource_promotionscore drbd_connection_state \
        drbd_connection_congested drbd_connection_apinflight_bytes drbd_connection_rsinflight_bytes \
        drbd_peerdevice_outofsync_bytes drbd_peerdevice_sent_bytes drbd_peerdevice_received_bytes drbd_device_state \
        drbd_device_client drbd_device_unintentionaldiskless drbd_device_quorum drbd_device_open drbd_device_alsuspended \
        drbd_device_size_bytes drbd_device_read_bytes_total drbd_device_written_bytes_total drbd_device_alwrites_total \
        drbd_device_bmwrites_total drbd_device_upperpending drbd_device_lowerpending";
    let all = catalogue();
    for name in theirs.split_whitespace() {
        let family = all.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(!family.rare, "{name}");
    }
    // What this page's own alerts ask for is there, too.
    for family in all.iter().filter(|family| family.rare) {
        let asked = expressions().into_iter().find(|expression| {
            expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == family.name)
        });
        assert_eq!(asked, None, "{}", family.name);
    }
}

#[test]
fn names_are_unique_and_help_texts_are_one_sentence() {
    let all = catalogue();
    for (number, family) in all.iter().enumerate() {
        assert!(all[..number].iter().all(|other| other.name != family.name), "{}", family.name);
        assert!(!family.help.is_empty() && !family.help.ends_with('.') && !family.help.contains('\n'), "{family:?}");
    }
}

/// A panel of drbd-reactor's dashboard asks for a state that does not exist.
#[test]
fn the_expressions_of_the_page_ask_for_what_exists() {
    let all = catalogue();
    let expressions = expressions();
    assert!(expressions.len() > 20, "{expressions:?}");
    for expression in &expressions {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for metric in words.filter(|word| is_metric(word)) {
            assert!(all.iter().any(|family| family.name == metric), "{metric} does not exist: {expression}");
        }
    }
    let words: Vec<&str> =
        expressions.iter().flat_map(|e| e.split('"').skip(1).step_by(2)).flat_map(|w| w.split('|')).collect();
    for word in words {
        let known = DiskState::from_word(word).is_known()
            || ConnectionState::from_word(word).is_known()
            || Role::from_word(word).is_known()
            || ["success", "aborted", "storage-reactor", "frozen"].contains(&word);
        assert!(known, "no state is called {word}");
    }
}
