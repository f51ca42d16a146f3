//! What was decided for a machine, kept in the cache.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Candidate;
use super::candidate::Origin;
use crate::image::store::Store;

/// The file in the cache.
const FILE: &str = "kernels.json";
/// So many machines are remembered: a cache may be shared by several.
const MOST: usize = 32;

/// What a decision depends on, besides the kernels themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    processor: String,
    /// By the processor's features, some of which a hypervisor may hide.
    features: u32,
    kernel: String,
}

impl Machine {
    pub(super) fn here() -> Self {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Self::of(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), kernel)
    }

    fn of(cpuinfo: &str, kernel: String) -> Self {
        let field = |name: &str| {
            let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(key, _)| key.trim() == name).map_or("?", |(_, value)| value.trim())
        };
        let processor = format!(
            "{}, family {} model {} stepping {}",
            field("model name"),
            field("cpu family"),
            field("model"),
            field("stepping")
        );
        Self { processor, features: crc32fast::hash(field("flags").as_bytes()), kernel }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, Linux {}", self.processor, self.kernel)
    }
}

/// What came of a kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A node was up after this time.
    Boots {
        /// In seconds.
        seconds: f64,
    },
    /// It does not run here.
    SetAside {
        /// What was seen.
        why: String,
    },
    /// It could not be tried.
    NotThere {
        /// Why.
        why: String,
    },
}

/// A kernel that was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// `ORIGIN-WAY`.
    pub name: String,
    /// The package's version; empty if there is none.
    pub version: String,
    /// What came of it.
    pub outcome: Outcome,
}

impl Tried {
    pub(super) fn not_there(origin: Origin, why: String) -> Self {
        Self { name: origin.name().to_owned(), version: String::new(), outcome: Outcome::NotThere { why } }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.version.is_empty() { String::new() } else { format!(" {}", self.version) };
        match &self.outcome {
            Outcome::Boots { seconds } => write!(f, "{}{version} runs: a node was up after {seconds:.1} s", self.name),
            Outcome::SetAside { why } => write!(f, "{}{version} does not run here: {why}", self.name),
            Outcome::NotThere { why } => write!(f, "{}: {why}", self.name),
        }
    }
}

/// All that was tried, in one line.
pub(super) fn sentences(tried: &[Tried]) -> String {
    tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Decision {
    machine: Option<Machine>,
    /// What `LAB_KERNEL` said.
    wanted: String,
    /// `ORIGIN-WAY`; none if none runs.
    chosen: Option<String>,
    pub(super) tried: Vec<Tried>,
}

impl Decision {
    /// None runs, which is not kept.
    pub(super) fn none(tried: Vec<Tried>) -> Self {
        Self { machine: None, wanted: String::new(), chosen: None, tried }
    }

    /// The kernel, as far as it is still on the disk.
    pub(super) fn chosen(&self, store: &Store) -> Option<Candidate> {
        Candidate::named(store, self.chosen.as_deref()?)
    }

    /// Whether it is about what is on the disk now: versions move on.
    pub(super) fn still_holds(&self, store: &Store) -> bool {
        let Some(name) = &self.chosen else { return true };
        let version = self.tried.iter().find(|tried| tried.name == *name).map(|tried| &tried.version);
        self.chosen(store).is_some_and(|candidate| Some(&candidate.version) == version)
    }

    pub(super) fn sentence(&self, candidate: &Candidate) -> String {
        let others = self.tried.iter().filter(|tried| tried.name != candidate.name()).collect::<Vec<_>>();
        let took = self.tried.iter().find_map(|tried| match tried.outcome {
            Outcome::Boots { seconds } if tried.name == candidate.name() => Some(seconds),
            _ => None,
        });
        let why = match others.last() {
            None if !self.wanted.is_empty() => "LAB_KERNEL asks for it, and it runs here".to_owned(),
            None => "it is the newest, and runs here".to_owned(),
            Some(_) => {
                format!("the newest that runs here; {}", sentences(&others.into_iter().cloned().collect::<Vec<_>>()))
            }
        };
        let took = took.map(|seconds| format!(", a node is up after {seconds:.1} s")).unwrap_or_default();
        format!("the nodes run {candidate}{took}: {why}")
    }
}

/// All decisions in the cache.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Decisions {
    decisions: Vec<Decision>,
}

impl Decisions {
    /// What is not there or cannot be read is decided anew.
    pub(super) fn of(store: &Store) -> Self {
        let text = fs::read_to_string(path(store)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) fn find(self, machine: &Machine, wanted: &str) -> Option<Decision> {
        self.decisions.into_iter().find(|known| known.machine.as_ref() == Some(machine) && known.wanted == wanted)
    }

    /// Keeps a decision in place of the last one for the same machine. A cache that cannot be written is asked again the next time.
    pub(super) fn keep(
        mut self,
        store: &Store,
        machine: &Machine,
        wanted: &str,
        chosen: Option<String>,
        tried: Vec<Tried>,
    ) -> Decision {
        let decision = Decision { machine: Some(machine.clone()), wanted: wanted.to_owned(), chosen, tried };
        self.decisions.retain(|known| known.machine != decision.machine || known.wanted != decision.wanted);
        self.decisions.insert(0, decision.clone());
        self.decisions.truncate(MOST);
        let draft = path(store).with_extension("new");
        let written = serde_json::to_string_pretty(&self).map_err(std::io::Error::from);
        let _not_ours = written.and_then(|text| fs::write(&draft, text)).and_then(|()| fs::rename(&draft, path(store)));
        decision
    }

    pub(super) fn forget(store: &Store) {
        let _none = fs::remove_file(path(store));
    }
}

fn path(store: &Store) -> PathBuf {
    store.path(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::store::test_folder;

    const EPYC: &str = "processor : 0\nvendor_id : AuthenticAMD\ncpu family : 26\nmodel : 2\nmodel name : AMD EPYC\nstepping : 1\nflags : fpu sse\n\nprocessor : 1\nmodel name : other\n";

    fn tried(name: &str, outcome: Outcome) -> Tried {
        Tried { name: name.to_owned(), version: "1".to_owned(), outcome }
    }

    #[test]
    fn a_machine_is_its_processor_with_its_features_and_its_kernel() {
        let machine = Machine::of(EPYC, "6.18".to_owned());
        assert_eq!(machine.to_string(), "AMD EPYC, family 26 model 2 stepping 1, Linux 6.18");
        assert_ne!(machine, Machine::of(&EPYC.replace("fpu sse", "fpu sse amx_tile"), "6.18".to_owned()));
        assert_ne!(machine, Machine::of(EPYC, "6.19".to_owned()));
        let _unknown = Machine::of("", String::new());
    }

    #[test]
    fn a_decision_is_for_its_machine_and_the_kernels_that_may_be_taken() {
        let folder = test_folder("decisions");
        let store = Store::open(&folder).unwrap();
        let (here, there) = (Machine::of(EPYC, "1".to_owned()), Machine::of(EPYC, "2".to_owned()));
        let found = vec![tried("stable-ptrace", Outcome::SetAside { why: "it panics".to_owned() })];
        Decisions::of(&store).keep(&store, &here, "", None, found.clone());
        Decisions::of(&store).keep(&store, &there, "", Some("own-ptrace".to_owned()), Vec::new());
        assert_eq!(Decisions::of(&store).find(&here, "").unwrap().tried, found);
        assert_eq!(Decisions::of(&store).find(&there, "").unwrap().chosen.as_deref(), Some("own-ptrace"));
        assert_eq!(Decisions::of(&store).find(&here, "own"), None);
        fs::write(path(&store), "{").unwrap();
        assert_eq!(Decisions::of(&store).find(&here, ""), None);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_kernel_that_is_not_on_the_disk_any_more_is_decided_on_anew() {
        let folder = test_folder("holds");
        let store = Store::open(&folder).unwrap();
        let none = Decision::none(Vec::new());
        assert!(none.still_holds(&store), "that none runs holds until it is forgotten");
        let gone = Decision { chosen: Some("unstable-seccomp".to_owned()), ..none };
        assert!(!gone.still_holds(&store));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_was_tried_is_a_sentence_each() {
        let all = [
            tried("unstable-seccomp", Outcome::SetAside { why: "it panics".to_owned() }),
            Tried::not_there(Origin::Testing, "it cannot be fetched".to_owned()),
            tried("stable-ptrace", Outcome::Boots { seconds: 2.25 }),
        ];
        assert_eq!(
            sentences(&all),
            "unstable-seccomp 1 does not run here: it panics; testing: it cannot be fetched; \
             stable-ptrace 1 runs: a node was up after 2.2 s"
        );
    }
}
