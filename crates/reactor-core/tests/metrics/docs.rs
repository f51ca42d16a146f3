//! docs/metrics.md and the code name the same metrics.

use std::collections::BTreeMap;

use reactor_core::metrics::catalogue;

/// Name, then type and labels as the page says them. Rows: `| NAME | TYPE | LABELS | ...`.
fn page() -> BTreeMap<&'static str, (String, String, bool)> {
    let mut rows = BTreeMap::new();
    for line in include_str!("../../../../docs/metrics.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, ..] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        if !name.contains("KIND") {
            let labels = labels.replace(['`', ' '], "").replace('–', "");
            let row = (kind.to_owned(), labels, meaning.starts_with("(enums)"));
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
        let expected = (family.kind.as_str().to_owned(), family.labels.join(","), family.only_with_enums);
        assert_eq!(row, expected, "{}", family.name);
    }
    assert!(page.is_empty(), "docs/metrics.md has metrics that do not exist: {page:?}");
}

#[test]
fn names_are_unique_and_help_texts_are_one_sentence() {
    let all = catalogue();
    for (number, family) in all.iter().enumerate() {
        assert!(all[..number].iter().all(|other| other.name != family.name), "{}", family.name);
        assert!(!family.help.is_empty() && !family.help.ends_with('.') && !family.help.contains('\n'), "{family:?}");
    }
}
