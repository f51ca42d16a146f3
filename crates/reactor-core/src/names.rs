//! Names of nodes. An administrator may write `alpha` where `uname -n` or DRBD says `alpha.example.com`, and the other way round.

use std::collections::BTreeSet;

/// Whether two names mean the same node: equal, or one is the other's first label.
pub fn same(a: &str, b: &str) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    a == b || (a.contains('.') != b.contains('.') && first(a) == first(b))
}

/// Place of a node in a list; the length of the list if it is not in it.
pub(crate) fn index(list: &[String], node: &str) -> usize {
    let exact = list.iter().position(|name| name == node);
    exact.or_else(|| list.iter().position(|name| same(name, node))).unwrap_or(list.len())
}

/// Names of the list that are none of the `known` nodes.
pub(crate) fn strangers<'a>(list: &'a [String], known: &BTreeSet<&str>) -> Vec<&'a str> {
    let stranger = |name: &&String| !known.iter().any(|node| same(name, node));
    list.iter().filter(stranger).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_names_are_the_same_node() {
        let list = ["alpha".to_owned(), "bravo.example.com".to_owned()];
        assert!(same("n1", "n1.example.com") && same("n1", "n1"));
        assert!(!same("n1.example.com", "n1.example.org") && !same("n1", "n2"));
        assert_eq!(index(&list, "alpha"), 0);
        assert_eq!(index(&list, "alpha.example.com"), 0);
        assert_eq!(index(&list, "bravo"), 1);
        assert_eq!(index(&list, "bravo.elsewhere.org"), 2, "two long names must be equal");
        assert_eq!(index(&list, "charlie"), 2);
        assert_eq!(index(&[], "charlie"), 0);
        assert_eq!(strangers(&list, &BTreeSet::from(["alpha", "charlie"])), ["bravo.example.com"]);
    }
}
