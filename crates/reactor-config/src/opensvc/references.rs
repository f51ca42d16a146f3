//! `{nodename}`, `{env.x}`, `{fs#1.mnt}`, `{env.devs[0]}`, `{#nodes}`: what they stand for, as far as the file says it.
//!
//! What the file does not say is an error with the reason, and so is what OpenSVC computes (`$(...)`). Braces with anything else between them are text,
//! for example in a command with awk.

use std::cell::Cell;

use super::class::{Class, class, index};
use super::ini::{Document, KeyId, MAX_VALUE, SectionId};
use super::scope::Who;

/// How deep references of references go.
const MAX_DEPTH: usize = 8;
/// How many references are followed for all values of a file.
pub(super) const BUDGET: usize = 20_000;
/// How many references are followed for one value.
const MAX_STEPS: usize = 500;

/// Longest text between braces that is taken for a reference, in bytes.
const MAX_REFERENCE: usize = 200;

/// Follows the references of one value.
pub(super) struct Resolver<'d> {
    document: &'d Document,
    who: &'d Who,
    /// The section in which the value stands.
    section: SectionId,
    /// Keys that were named.
    pub(super) used: Vec<KeyId>,
    steps: usize,
    /// How many more may be followed for all values together.
    budget: &'d Cell<usize>,
}

impl<'d> Resolver<'d> {
    pub(super) fn new(document: &'d Document, who: &'d Who, section: SectionId, budget: &'d Cell<usize>) -> Self {
        Self { document, who, section, used: Vec::new(), steps: 0, budget }
    }

    /// `text` with what its references stand for; or why that is not known.
    pub(super) fn expand(&mut self, text: &str) -> Result<String, String> {
        self.expand_at(text, 0)
    }

    fn expand_at(&mut self, text: &str, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err("its references go too deep, or in a circle".to_owned());
        }
        if text.contains("$(") {
            return Err("`$(...)` is computed by OpenSVC".to_owned());
        }
        // Each brace is followed to its end.
        if text.matches('{').count() > MAX_STEPS {
            return Err("it has too many references".to_owned());
        }
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            expanded.push_str(before);
            let Some(end) = closing(after) else {
                expanded.push('{');
                rest = after;
                continue;
            };
            let inner = self.expand_at(&after[..end], depth + 1)?;
            if is_reference(&inner) {
                expanded.push_str(&self.resolve(&inner, depth)?);
            } else {
                expanded.extend(["{", &inner, "}"]);
            }
            if expanded.len() > MAX_VALUE {
                return Err(format!("it becomes longer than {MAX_VALUE} bytes"));
            }
            rest = &after[end + 1..];
        }
        expanded.push_str(rest);
        if expanded.len() > MAX_VALUE {
            return Err(format!("it becomes longer than {MAX_VALUE} bytes"));
        }
        Ok(expanded)
    }

    fn resolve(&mut self, reference: &str, depth: usize) -> Result<String, String> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.budget.get() == 0 {
            return Err("it has too many references".to_owned());
        }
        self.budget.set(self.budget.get() - 1);
        let unknown = |why: &str| format!("`{{{reference}}}`{why}");
        let (counts, name) = reference.strip_prefix('#').map_or((false, reference), |name| (true, name));
        let (name, element) = match name.split_once('[') {
            Some((name, element)) => {
                let element = element.strip_suffix(']').and_then(|element| element.parse::<usize>().ok());
                (name, Some(element.ok_or_else(|| unknown(" has an index that is no number"))?))
            }
            None => (name, None),
        };
        if let Some(device) = self.device(name, element, depth)? {
            return Ok(device);
        }
        let value = self.value(name, depth)?.ok_or_else(|| unknown(" is nothing that the file says"))?;
        match (counts, element) {
            (true, _) => Ok(value.split_whitespace().count().to_string()),
            (false, Some(at)) => {
                let element = value.split_whitespace().nth(at);
                element.map(str::to_owned).ok_or_else(|| unknown(" has no such element"))
            }
            (false, None) => Ok(value),
        }
    }

    /// What a name without an index stands for; `None` if the file does not say it.
    fn value(&mut self, name: &str, depth: usize) -> Result<Option<String>, String> {
        let who = self.who;
        let short = || who.node.split('.').next().unwrap_or_default().to_owned();
        let known = match name.to_lowercase().as_str() {
            "nodename" if !who.node.is_empty() => Some(who.node.clone()),
            "short_nodename" if !who.node.is_empty() => Some(short()),
            "svcname" | "name" => Some(who.service.clone()),
            "nodes" if !who.nodes.is_empty() => Some(who.nodes.join(" ")),
            "drpnodes" if !who.drpnodes.is_empty() => Some(who.drpnodes.join(" ")),
            "rid" => Some(self.document.section(self.section).folded.clone()),
            "rindex" => index(&self.document.section(self.section).folded).map(str::to_owned),
            _ => None,
        };
        if known.is_some() {
            return Ok(known);
        }
        // Names of sections have dots, too: the last one divides.
        let (section, key) = match name.rsplit_once('.') {
            Some((section, key)) => (self.document.find(section), key),
            None => (self.document.find("DEFAULT"), name),
        };
        let Some(id) = section.and_then(|section| pick(self.document, self.who, section, key)) else { return Ok(None) };
        self.used.push(id);
        let value = &self.document.key_of(id).value;
        self.expand_at(value, depth + 1).map(Some)
    }

    /// `disk#0.exposed_devs[0]`: the device that a resource makes, where it has a name that does not change.
    fn device(&mut self, name: &str, element: Option<usize>, depth: usize) -> Result<Option<String>, String> {
        let Some((section, key)) = name.rsplit_once('.') else { return Ok(None) };
        if !key.eq_ignore_ascii_case("exposed_devs") || element != Some(0) {
            return Ok(None);
        }
        let Some(id) = self.document.find(section) else { return Ok(None) };
        let folded = &self.document.section(id).folded;
        let of_section = |key: &str| format!("{folded}.{key}");
        let driver = match class(folded) {
            Class::Drbd => Some("drbd".to_owned()),
            Class::Disk => self.value(&of_section("type"), depth)?,
            _ => None,
        };
        match driver.as_deref() {
            Some("drbd") => {
                let resource = self.value(&of_section("res"), depth)?;
                Ok(resource.map(|resource| format!("/dev/drbd/by-res/{resource}/0")))
            }
            Some("lv") => {
                let group = self.value(&of_section("vg"), depth)?;
                let volume = self.value(&of_section("name"), depth)?;
                Ok(group.zip(volume).map(|(group, volume)| format!("/dev/{group}/{volume}")))
            }
            _ => Ok(None),
        }
    }
}

/// The key of a section that counts on the node.
pub(super) fn pick(document: &Document, who: &Who, section: SectionId, name: &str) -> Option<KeyId> {
    let keys = document.named(section, &name.to_lowercase()).iter();
    who.pick(keys.map(|id| (*id, document.key_of(*id))))
}

/// Where the brace ends that was opened just before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Whether what stands between braces may be a reference.
fn is_reference(text: &str) -> bool {
    let begins = text.trim_start_matches('#').starts_with(|c: char| c.is_ascii_alphabetic());
    begins && text.len() <= MAX_REFERENCE && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.#@[]:/-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[DEFAULT]\nbase = /srv\n[env]\na = {env.b}x\nb@n2 = two\nb = one\nloop = {env.loop}\n\
        devs =\n\t/dev/a\n\t/dev/b\nwhich = a\nbig = {env.huge}{env.huge}{env.huge}\nhuge = {env.much}{env.much}\n\
        [fs#1]\nmnt = {base}/{svcname}\n[disk#0]\ntype = drbd\nres = r0\n[disk#1]\ntype = lv\nvg = vg\nname = {name}\n[drbd#4]\nres = old\n";

    fn expand(text: &str) -> Result<String, String> {
        let document = Document::parse(&format!("{FILE}[env]\nmuch = {}\n", "x".repeat(4000)));
        let who =
            Who { service: "web".into(), node: "n2.x".into(), nodes: vec!["n1".into(), "n2".into()], ..Who::default() };
        let section = document.find("fs#1").unwrap();
        Resolver::new(&document, &who, section, &Cell::new(BUDGET)).expand(text)
    }

    #[test]
    fn what_the_file_says_is_put_in_its_place() {
        for (text, value) in [
            ("{nodename} {short_nodename} {svcname} {name}", "n2.x n2 web web"),
            ("{env.a}", "twox"),
            ("{env.devs[1]} {#env.devs} {#nodes} {nodes[0]}", "/dev/b 2 2 n1"),
            ("{fs#1.mnt} {FS#1.MNT} {rindex} {rid} {base}", "/srv/web /srv/web 1 fs#1 /srv"),
            ("{env.{env.which}}", "twox"),
            ("{disk#0.exposed_devs[0]} {disk#1.exposed_devs[0]}", "/dev/drbd/by-res/r0/0 /dev/vg/web"),
            ("{drbd#4.exposed_devs[0]}", "/dev/drbd/by-res/old/0"),
            ("awk '{ print $1 }' {} {1} { {", "awk '{ print $1 }' {} {1} { {"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_say_is_named() {
        for (text, why) in [
            ("{clusternodes}", "`{clusternodes}` is nothing that the file says"),
            ("{env.nothing}", "`{env.nothing}` is nothing"),
            ("{drpnodes}", "`{drpnodes}` is nothing"),
            ("{safe://x/y}", "`{safe://x/y}` is nothing"),
            ("{env.devs[2]}", "`{env.devs[2]}` has no such element"),
            ("{env.devs[x]}", "has an index that is no number"),
            ("{disk#0.exposed_devs[1]}", "is nothing that the file says"),
            ("$(1 + {rindex})", "computed by OpenSVC"),
            ("{env.loop}", "go too deep"),
            ("{env.big}", "longer than"),
            ("{{{{{{{{{{{{{{{a}}}}}}}}}}}}}}}", "go too deep"),
        ] {
            let error = expand(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(expand(&"{rid}".repeat(MAX_STEPS + 1)).unwrap_err().contains("too many"));
    }
}
