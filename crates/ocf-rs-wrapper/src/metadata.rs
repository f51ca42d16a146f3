//! Reads what an agent says about itself: the timeouts of its actions and the names of its parameters.
//!
//! A reader of its own, and not an XML crate: agents print their meta-data from shell scripts, and some of it is not well-formed (a bare
//! `&` or `<` in a text, no root element). A strict parser would lose all timeouts by that. Only start tags with their attributes
//! count here; comments, CDATA and texts are passed over. It never fails and never panics.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::span;

/// What an agent says about itself.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MetaData {
    actions: Vec<Action>,
    /// Its parameters, and whether each must be given.
    pub(crate) parameters: BTreeMap<String, Need>,
}

/// Whether a parameter must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Without it the agent does not work.
    Required,
    /// It has a default.
    Optional,
}

#[derive(Debug, PartialEq)]
struct Action {
    name: String,
    timeout: Option<Duration>,
    /// `OCF_CHECK_LEVEL` that this line is for.
    depth: u32,
}

impl MetaData {
    /// Reads the answer to `meta-data`; `None` = there is no action in it, so it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        for tag in Tags(text) {
            let get = |name: &str| tag.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
            match (tag.name, get("name")) {
                ("action", Some(name)) => found.actions.push(Action {
                    name: name.to_owned(),
                    timeout: get("timeout").and_then(span::parse).filter(|timeout| !timeout.is_zero()),
                    depth: get("depth").and_then(|depth| depth.trim().parse().ok()).unwrap_or(0),
                }),
                ("parameter", Some(name)) => {
                    let required = matches!(get("required").unwrap_or_default(), "1" | "true" | "yes");
                    let need = if required { Need::Required } else { Need::Optional };
                    found.parameters.insert(name.to_owned(), need);
                }
                _ => {}
            }
        }
        (!found.actions.is_empty()).then_some(found)
    }

    /// The timeout that the agent advises for an action at this check level. Of several lines the longest counts.
    pub(crate) fn timeout(&self, action: &str, level: u32) -> Option<Duration> {
        let lines = || self.actions.iter().filter(|line| line.name == action);
        let exact = lines().filter(|line| line.depth == level).filter_map(|line| line.timeout).max();
        exact.or_else(|| lines().filter_map(|line| line.timeout).max())
    }
}

/// The start tags of a text.
struct Tags<'a>(&'a str);

/// `<name key="value" ...>`
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, String)>,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let (_, rest) = self.0.split_once('<')?;
            if let Some(inside) = rest.strip_prefix("!--") {
                self.0 = after(inside, "-->");
            } else if let Some(inside) = rest.strip_prefix("![CDATA[") {
                self.0 = after(inside, "]]>");
            } else if let Some((tag, rest)) = tag(rest) {
                self.0 = rest;
                return Some(tag);
            } else {
                // An end tag, a declaration, or a `<` that stands for itself.
                self.0 = rest;
            }
        }
    }
}

/// What follows the mark; nothing if there is none.
fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or("", |(_, rest)| rest)
}

/// The tag that begins here (after its `<`), and what follows it.
fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let (name, mut rest) = name(text)?;
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(end) = rest.strip_prefix("/>").or_else(|| rest.strip_prefix('>')) {
            return Some((Tag { name, attributes }, end));
        }
        let (key, tail) = self::name(rest)?;
        let tail = tail.trim_start().strip_prefix('=')?.trim_start();
        let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, tail) = tail[1..].split_once(quote)?;
        attributes.push((key, text_of(value)));
        rest = tail;
    }
}

/// A name at the beginning, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    name.starts_with(|c: char| c.is_alphabetic() || c == '_').then_some((name, rest))
}

/// The five named references; all others stay as they are.
fn text_of(value: &str) -> String {
    if !value.contains('&') {
        return value.to_owned();
    }
    let value = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    value.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str, action: &str, level: u32) -> Option<u64> {
        MetaData::parse(text).and_then(|data| data.timeout(action, level)).map(|timeout| timeout.as_secs())
    }

    #[test]
    fn timeouts_by_action_and_check_level() {
        let text = r#"<?xml version="1.0"?>
            <!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
            <resource-agent name='X' version="1.0"><actions>
            <action name="start" timeout="60s"/>
            <action timeout = '240' name = "stop" ></action>
            <action name="monitor" depth="0" timeout="20s" interval="10s" role="Promoted" />
            <action name="monitor" depth="0" timeout="30s" interval="11s" role="Unpromoted" />
            <action name="monitor" depth="10" timeout="2min" interval="10s" />
            <action name="meta-data" timeout="5" />
            <action name="reload" timeout="0"/>
            <!-- <action name="start" timeout="1s"/> -->
            <![CDATA[ <action name="start" timeout="2s"/> ]]>
            </actions></resource-agent>"#;
        for (action, level, expected) in [
            ("start", 0, Some(60)),
            ("stop", 0, Some(240)),
            ("monitor", 0, Some(30)),
            ("monitor", 10, Some(120)),
            // A level that the agent does not list: the longest is safe.
            ("monitor", 20, Some(120)),
            ("meta-data", 0, Some(5)),
            ("reload", 0, None),
            ("promote", 0, None),
        ] {
            assert_eq!(seconds(text, action, level), expected, "{action} {level}");
        }
    }

    #[test]
    fn parameters_and_which_are_needed() {
        let text = r#"<parameter name="device" required="1"><content type="string" default="a &amp; b"/></parameter>
            <parameter name="options" unique="0" required="0"/><action name="start"/>"#;
        let data = MetaData::parse(text).unwrap();
        let expected = [("device", Need::Required), ("options", Need::Optional)];
        assert_eq!(data.parameters, expected.map(|(name, need)| (name.to_owned(), need)).into());
    }

    #[test]
    fn what_is_not_well_formed_costs_only_itself() {
        let text = "<longdesc>if a < b && c <> d, see <http://x> or <action name=start timeout=\"1\"> \
                    <parameter name=\"p</parameter> \"/>\n<action name=\"start\" timeout=\"7s\"/>";
        assert_eq!(seconds(text, "start", 0), Some(7));
        for text in
            ["", "usage: agent {start|stop}", "<action", "<action name=\"start", "<!-- <action name=\"start\"/>"]
        {
            assert_eq!(MetaData::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[<>/='\"a-c &;!\\[\\]\u{e9}-]{0,80}") {
            let _ = MetaData::parse(&text);
            let _ = MetaData::parse(&format!("<action name=\"start\" {text}"));
        }
    }
}
