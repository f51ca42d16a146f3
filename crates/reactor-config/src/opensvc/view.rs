//! The document as one node sees it: one value for each name, with its references followed, and what became of the others.

use std::cell::Cell;

use super::Options;
use super::class::{Class, class};
use super::dropped;
use super::ini::{Document, Key, KeyId, Section, SectionId};
use super::ledger::{Fate, KeyReport, Ledger};
use super::references::{BUDGET, Resolver, pick};
use super::scope::{Who, is_same_node};
use super::words;

/// Keys of `[DEFAULT]` that are about a container.
pub(super) const OF_THE_CONTAINER: [&str; 2] = ["mode", "vm_name"];
/// Most keys that are named in one sentence.
const MAX_NAMED: usize = 10;
/// Most nodes of a service.
const MAX_NODES: usize = 64;

/// A value that counts on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) id: KeyId,
    /// With its references followed.
    pub(super) text: String,
}

/// What there is of a name.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Value(Value),
    /// It has a reference that can't be followed.
    Unresolved {
        id: KeyId,
        why: String,
    },
}

/// The document, read by one node, and what became of its keys so far.
pub(super) struct View<'d> {
    document: &'d Document,
    who: Who,
    ledger: Ledger,
    notes: Vec<String>,
    /// The service is of the time before 1.8, or not known to be later.
    is_old: bool,
    /// How many references may still be followed.
    budget: Cell<usize>,
    /// Why nothing is written.
    nothing: Option<String>,
    /// Values that were asked for and have a reference that can't be followed: of which section, the key, and why.
    unresolved: Vec<(SectionId, KeyId, String)>,
}

impl<'d> View<'d> {
    /// Finds out from which node it is seen, and which nodes there are.
    pub(super) fn new(document: &'d Document, options: &Options) -> Self {
        let node = options.node.clone().unwrap_or_else(|| options.host.clone());
        let who = Who { service: service_name(&options.service), node, ..Who::default() };
        let is_old = !document.all().any(|(_, section)| class(&section.folded) == Class::Disk);
        let mut view = Self {
            document,
            who,
            ledger: Ledger::new(document),
            notes: Vec::new(),
            is_old,
            budget: Cell::new(BUDGET),
            nothing: None,
            unresolved: Vec::new(),
        };
        view.read_nodes();
        if options.node.is_none() && !view.has_node() {
            if let Some(first) = view.who.nodes.first().or(view.who.drpnodes.first()).cloned() {
                view.note(format!(
                    "As seen from {first}, the first node of the service, because this host is none of them: --node NODE asks for another view."
                ));
                view.who.node = first;
                // They may have a scope.
                view.read_nodes();
            }
        } else if let Some(node) = &options.node
            && !view.has_node()
        {
            let nodes = words::and(&view.who.everywhere().cloned().collect::<Vec<_>>());
            view.note(format!("{node} is none of the nodes of the service ({nodes}): only keys without a scope, or with its name, count."));
        }
        view
    }

    fn has_node(&self) -> bool {
        self.who.everywhere().any(|node| is_same_node(node, &self.who.node))
    }

    /// `nodes` and `drpnodes`: without them no scope is understood.
    fn read_nodes(&mut self) {
        let Some(default) = self.document.find("DEFAULT") else { return };
        self.who.nodes = self.node_list(default, &["nodes"], "`preferred-nodes`, in the same order");
        let why = "nodes of disaster recovery: `sync` copies to them, and they are not preferred";
        self.who.drpnodes = self.node_list(default, &["drpnodes", "drpnode"], why);
    }

    fn node_list(&mut self, section: SectionId, names: &[&str], why: &str) -> Vec<String> {
        let mut nodes: Vec<String> = Vec::new();
        for name in names {
            let Some(value) = self.take(section, name, why) else { continue };
            let listed = words::list(&value.text);
            if let Some(bad) = listed.iter().find(|name| !words::is_node_name(name)) {
                let why = if bad == "*" {
                    "`*` means the nodes of OpenSVC's cluster, which the file does not name".to_owned()
                } else {
                    "not names of nodes".to_owned()
                };
                self.dropped(value.id, why);
                continue;
            }
            for node in listed {
                if !nodes.contains(&node) && nodes.len() < MAX_NODES {
                    nodes.push(node);
                }
            }
        }
        nodes
    }

    pub(super) fn document(&self) -> &'d Document {
        self.document
    }

    pub(super) fn who(&self) -> &Who {
        &self.who
    }

    pub(super) fn section(&self, id: SectionId) -> &'d Section {
        self.document.section(id)
    }

    pub(super) fn is_old(&self) -> bool {
        self.is_old
    }

    /// What counts on the node under a name. The keys that do not count are told.
    pub(super) fn find(&mut self, section: SectionId, name: &str) -> Found {
        let Some(id) = pick(self.document, &self.who, section, name) else {
            self.tell_others(section, name, None);
            return Found::Nothing;
        };
        self.tell_others(section, name, Some(id));
        match self.expanded(&self.who, id) {
            Ok((text, used)) => {
                let of = self.key(id).written.clone();
                let of_section = self.section(section).name.clone();
                for used in used.into_iter().filter(|used| *used != id) {
                    if self.ledger.is_open(used) {
                        self.taken(used, format!("put in the place of its reference in {of_section}.{of}"));
                    }
                }
                Found::Value(Value { id, text })
            }
            Err(why) => {
                self.unresolved.push((section, id, why.clone()));
                Found::Unresolved { id, why }
            }
        }
    }

    fn expanded(&self, who: &Who, id: KeyId) -> Result<(String, Vec<KeyId>), String> {
        let key = self.key(id);
        let mut resolver = Resolver::new(self.document, who, key.section, &self.budget);
        resolver.expand(&without_remark(key)).map(|text| (text, resolver.used))
    }

    /// Keys of the same name that do not count here.
    fn tell_others(&mut self, section: SectionId, name: &str, winner: Option<KeyId>) {
        let document = self.document;
        for id in document.named(section, &name.to_lowercase()).iter().filter(|id| Some(**id) != winner) {
            let key = document.key_of(*id);
            if !self.ledger.is_open(*id) {
                continue;
            }
            // Others are told at the end.
            if let Some(winner) = winner.map(|winner| document.key_of(winner))
                && key.again.is_none()
                && is_for(&self.who, key)
            {
                self.dropped(*id, format!("line {} is more specific, and counts on {}", winner.line, self.node_name()));
            }
        }
    }

    fn node_name(&self) -> &str {
        if self.who.node.is_empty() { "this node" } else { &self.who.node }
    }

    /// The value of a name, which is taken; one that is not known is dropped, and told.
    pub(super) fn take(&mut self, section: SectionId, name: &str, why: &str) -> Option<Value> {
        match self.find(section, name) {
            Found::Nothing => None,
            Found::Value(value) => {
                self.taken(value.id, why);
                Some(value)
            }
            Found::Unresolved { id, why } => {
                self.dropped(id, why);
                None
            }
        }
    }

    /// The first of several names that has a value.
    pub(super) fn take_any(&mut self, section: SectionId, names: &[&str], why: &str) -> Option<Value> {
        names.iter().find_map(|name| self.take(section, name, why))
    }

    /// What counts under a name on another node, or on this one. Nothing is told of it.
    pub(super) fn on(&self, node: &str, section: SectionId, name: &str) -> Option<String> {
        let who = self.who.on(node);
        let id = pick(self.document, &who, section, name)?;
        self.expanded(&who, id).ok().map(|(text, _)| text)
    }

    /// All keys of a name, in any scope; of several with the same scope the last one.
    pub(super) fn all_of(&self, section: SectionId, name: &str) -> Vec<KeyId> {
        let keys = self.document.named(section, name).iter().copied();
        keys.filter(|id| self.key(*id).again.is_none()).collect()
    }

    /// Why a value of a resource's section is not known, if one that was asked for is not.
    pub(super) fn unresolved_in(&self, section: SectionId) -> Option<String> {
        // What is in there is of the service, or of many resources.
        let is_default = class(&self.section(section).folded) == Class::Default;
        self.unresolved_of(|of, _| of == section && !is_default)
    }

    /// The same of one key.
    pub(super) fn unresolved_key(&self, section: SectionId, name: &str) -> Option<String> {
        self.unresolved_of(|of, key| of == section && key.name == name)
    }

    fn unresolved_of(&self, is_meant: impl Fn(SectionId, &Key) -> bool) -> Option<String> {
        let (_, id, why) = self.unresolved.iter().find(|(of, id, _)| is_meant(*of, self.key(*id)))?;
        Some(format!("`{}` is not known: {why}", words::one_line(&self.key(*id).written)))
    }

    pub(super) fn key(&self, id: KeyId) -> &'d Key {
        self.document.key_of(id)
    }

    pub(super) fn taken(&mut self, id: KeyId, why: impl Into<String>) {
        self.ledger.set(id, Fate::Taken, why);
    }

    pub(super) fn changed(&mut self, id: KeyId, why: impl Into<String>) {
        self.ledger.set(id, Fate::Changed, why);
    }

    pub(super) fn dropped(&mut self, id: KeyId, why: impl Into<String>) {
        self.ledger.set(id, Fate::Dropped, why);
    }

    /// What was taken of a section is not: its entry could not be made.
    pub(super) fn undo(&mut self, section: SectionId, why: &str) {
        if class(&self.section(section).folded) != Class::Default {
            return self.ledger.undo(self.document, section, why);
        }
        // The container of 1.x; the rest of the section is of the service.
        for name in OF_THE_CONTAINER {
            for id in self.all_of(section, name) {
                self.dropped(id, why);
            }
        }
    }

    /// The same for the whole file.
    pub(super) fn undo_all(&mut self, why: &str) {
        for (section, _) in self.document.all() {
            self.ledger.undo(self.document, section, why);
        }
        self.nothing = Some(why.to_owned());
    }

    /// Whether it is for this node, and no other line is instead.
    pub(super) fn counts(&self, id: KeyId) -> bool {
        let key = self.key(id);
        pick(self.document, &self.who, key.section, &key.name) == Some(id)
    }

    /// Says something that is about no single key. The same is said once.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What is to know, and what became of each key.
    pub(super) fn close(self) -> (Vec<String>, Vec<KeyReport>) {
        let document = self.document;
        let node = self.node_name().to_owned();
        let nothing = self.nothing;
        let rest = |id: KeyId| {
            let key = document.key_of(id);
            if let Some(why) = &nothing {
                return why.clone();
            }
            if let Some(line) = key.again {
                return format!("line {line} says it again, and the last one counts");
            }
            dropped::reason(&document.section(key.section).folded, key, is_for(&self.who, key), &node)
        };
        let mut notes = self.notes;
        if nothing.is_none() {
            notes.extend(differences(document, &self.who, &self.ledger));
        }
        let mut keys = self.ledger.close(document, rest);
        for (key, report) in document.keys.iter().zip(&mut keys) {
            if has_remark(key) {
                report.reason.push_str("; what follows ` ;` is a remark");
            }
        }
        (notes, keys)
    }
}

/// The service's name as a part of names of files and units.
fn service_name(name: &str) -> String {
    let harmless = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(harmless).take(100).collect();
    let name = name.trim_start_matches(['.', '-', '_']);
    if name.is_empty() { "service".to_owned() } else { name.to_owned() }
}

/// Keys whose values are commands, in which ` ;` is a part.
const COMMANDS: [&str; 6] = ["start", "stop", "check", "info", "command", "run_command"];

/// The value without a remark behind ` ;`, which ConfigParser of the first versions left out.
fn without_remark(key: &Key) -> String {
    if COMMANDS.contains(&key.name.as_str()) {
        return key.value.clone();
    }
    let before = |line: &str| {
        line.split([' ', '\t'])
            .map(str::to_owned)
            .take_while(|word| !word.starts_with(';'))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let lines: Vec<String> = key.value.lines().map(|line| before(line).trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Whether there is a remark.
fn has_remark(key: &Key) -> bool {
    !COMMANDS.contains(&key.name.as_str()) && [" ;", "\t;"].iter().any(|sign| key.value.contains(sign))
}

/// Whether a key is for the node at all.
fn is_for(who: &Who, key: &Key) -> bool {
    who.pick([((), key)]).is_some()
}

/// What other nodes see otherwise: here one file is for all of them.
fn differences(document: &Document, who: &Who, ledger: &Ledger) -> Option<String> {
    let of_others = document.keys.iter().enumerate().filter(|(at, key)| {
        let is_of_a_resource =
            !matches!(class(&document.section(key.section).folded), Class::Other(_) | Class::Unknown);
        ledger.is_open(KeyId(*at)) && is_of_a_resource && !is_for(who, key) && !dropped::is_known(&key.name)
    });
    let names: Vec<String> =
        of_others.map(|(_, key)| format!("{}.{}", document.section(key.section).name, key.written)).collect();
    if names.is_empty() {
        return None;
    }
    let more = if names.len() > MAX_NAMED { ", ..." } else { "" };
    let shown = names.iter().take(MAX_NAMED).map(|name| words::one_line(name)).collect::<Vec<_>>().join(", ");
    Some(format!(
        "Other nodes have other values ({shown}{more}), and here one file is for all of them: what differs has to get the same name on every node, or each node gets a file of its own \
         (--node)."
    ))
}
