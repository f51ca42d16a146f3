//! Which of several `key`, `key@nodes`, `key@deb2` counts on a node: the most specific one, and of two alike the later one.

use super::ini::Key;

/// Whose view it is, and of which service.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Who {
    /// Name of the service.
    pub(super) service: String,
    /// The node; empty if nobody knows of one.
    pub(super) node: String,
    /// Those that may run the service, in its order.
    pub(super) nodes: Vec<String>,
    /// Those of disaster recovery.
    pub(super) drpnodes: Vec<String>,
}

impl Who {
    /// The same, from another node.
    pub(super) fn on(&self, node: &str) -> Self {
        Self { node: node.to_owned(), ..self.clone() }
    }

    /// All nodes of the service.
    pub(super) fn everywhere(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().chain(&self.drpnodes)
    }

    /// How closely a scope names the node; `None` if it means others.
    fn rank(&self, scope: Option<&str>) -> Option<u8> {
        let is_among = |nodes: &[String]| nodes.iter().any(|node| is_same_node(node, &self.node));
        match scope {
            None => Some(0),
            Some(scope) => match scope.to_lowercase().as_str() {
                "nodes" => is_among(&self.nodes).then_some(1),
                "drpnodes" => is_among(&self.drpnodes).then_some(1),
                "flex_primary" => self.nodes.first().filter(|first| is_same_node(first, &self.node)).map(|_| 1),
                // A container is never this node.
                "encapnodes" => None,
                host => is_same_node(host, &self.node).then_some(2),
            },
        }
    }

    /// The one of `keys`, which have one name, that counts on the node.
    pub(super) fn pick<'k, T>(&self, keys: impl IntoIterator<Item = (T, &'k Key)>) -> Option<T> {
        let ranked = keys.into_iter().filter_map(|(id, key)| Some((self.rank(key.scope.as_deref())?, id)));
        // Of two that are equal the last one is the maximum.
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, id)| id)
    }
}

/// `deb1` and `deb1.example.com` are one node; two names with domains are compared whole.
pub(super) fn is_same_node(a: &str, b: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
    let both_long = a.contains('.') && b.contains('.');
    if both_long { a.eq_ignore_ascii_case(b) } else { !a.is_empty() && short(a) == short(b) }
}

#[cfg(test)]
mod tests {
    use super::super::ini::Document;
    use super::*;

    fn picked(text: &str, node: &str) -> Option<String> {
        let document = Document::parse(&format!("[a]\n{text}"));
        let who = Who {
            node: node.to_owned(),
            nodes: vec!["n1".to_owned(), "n2.example.com".to_owned()],
            drpnodes: vec!["dr1".to_owned()],
            ..Who::default()
        };
        who.pick(document.keys.iter().map(|key| (key.value.clone(), key)))
    }

    #[test]
    fn the_most_specific_counts_and_of_two_alike_the_later() {
        let text =
            "k@n2 = host\nk = plain\nk@nodes = nodes\nk@drpnodes = drp\nk@flex_primary = first\nk@encapnodes = no\n";
        for (node, value) in
            [("n2", "host"), ("N2.example.com", "host"), ("n1", "first"), ("dr1", "drp"), ("x", "plain")]
        {
            assert_eq!(picked(text, node).as_deref(), Some(value), "{node}");
        }
        assert_eq!(picked("k = 1\nk = 2\n", "n1").as_deref(), Some("2"));
        assert_eq!(picked("k@n1 = 1\nk = 2\n", "n1").as_deref(), Some("1"));
        assert_eq!(picked("k@n1 = 1\n", "n2"), None);
    }

    #[test]
    fn a_node_has_a_name_with_and_without_its_domain() {
        assert!(is_same_node("a", "A.example.com") && is_same_node("a.x", "a"));
        assert!(!is_same_node("a.x", "a.y") && !is_same_node("", "") && !is_same_node("a", "b"));
    }
}
