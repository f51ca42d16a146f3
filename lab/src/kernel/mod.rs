//! Which kernel the nodes run: the newest that boots on this machine.
//!
//! ```text
//!   User-Mode Linux of Debian unstable, testing, stable, then of this machine's own release; then QEMU
//!        each fetched only when those before it were set aside
//!   each with its processes under seccomp, if it can, then under ptrace
//!   a boot decides  ──▶  kernels.json in the cache: by processor, kernel of this machine, version of the package
//! ```
//!
//! A list of processors would be out of date with the next one. A kernel that cannot run its first program says so within seconds, so each
//! is tried once, with the image that the tests use, and what was found is kept. No version is expected anywhere.

mod candidate;
mod decision;
mod elf;
mod error;
mod probe;
mod suite;

use std::path::{Path, PathBuf};

use crate::image::store::Store;
use crate::image::{self, Image, ImageError, Kind, Options, Runner, UmlStart};

pub use candidate::Candidate;
pub use decision::{Outcome, Tried};
pub use error::KernelError;

use candidate::Origin;
use decision::{Decision, Decisions, Machine};

/// The variable that says which kernels may be taken.
const VARIABLE: &str = "LAB_KERNEL";

/// What nodes run here, and why.
#[derive(Debug)]
pub struct Choice {
    /// What they run.
    pub image: Image,
    /// In one sentence.
    pub what: String,
    /// What was tried on this machine, in order; nothing if there was nothing to decide.
    pub tried: Vec<Tried>,
    machine: Machine,
}

impl Choice {
    /// The whole story, for a person: a sentence, the machine, and a line for everything that was tried.
    #[must_use]
    pub fn explanation(&self) -> String {
        let mut text = format!("{}\nthis machine: {}\n", self.what, self.machine);
        for tried in &self.tried {
            text.push_str(&format!("  {tried}\n"));
        }
        if !self.tried.is_empty() {
            text.push_str("`lab image --newest` fetches what is newest now and decides again\n");
        }
        text
    }
}

/// What nodes run here. The image is built, and the kernel decided on, if they are not there; `tell` hears what takes long.
pub fn image(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<Image, KernelError> {
    choose(options, tell).map(|choice| choice.image)
}

/// The same, with the reasons.
pub fn choose(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<Choice, KernelError> {
    let machine = Machine::here();
    let by_qemu = |why: &str, tell: &mut dyn FnMut(&str)| {
        let image = image::for_qemu(options, tell)?;
        let what = format!("the nodes run {} in QEMU: {why}", image.kernel.display());
        Ok(Choice { image, what, tried: Vec::new(), machine: machine.clone() })
    };
    match &options.backend {
        Kind::Qemu => by_qemu("it was asked for", tell),
        Kind::Best if image::drbd9_folder().is_some() => by_qemu("LAB_DRBD9_DIR has a kernel for it", tell),
        Kind::Uml if image::drbd9_folder().is_some() => Err(ImageError::Drbd9NeedsQemu.into()),
        Kind::Other(value) => {
            let value = value.clone();
            Err(ImageError::Value { variable: image::BACKEND_VARIABLE, value, known: "uml, qemu" }.into())
        }
        Kind::Uml | Kind::Best => {
            let wanted = Wanted::from_env()?;
            let base = image::base(options, tell)?;
            let store = Store::open(&options.cache)?;
            let known = Decisions::of(&store).find(&machine, &wanted.0);
            let decision = match known.filter(|known| known.still_holds(&store)) {
                Some(known) => known,
                None => decide(&store, &machine, &wanted, &base, tell)?,
            };
            match decision.chosen(&store) {
                Some(candidate) => Ok(Choice {
                    what: decision.sentence(&candidate),
                    image: candidate.image(&base),
                    tried: decision.tried,
                    machine,
                }),
                None if options.backend == Kind::Best => {
                    let choice = by_qemu("no User-Mode Linux kernel runs on this machine; QEMU is much slower", tell)?;
                    Ok(Choice { tried: decision.tried, ..choice })
                }
                None => Err(KernelError::NoneRuns { tried: decision::sentences(&decision.tried) }),
            }
        }
    }
}

/// What nodes run with this User-Mode Linux, which is taken as it is; on this image, or on the one that is built.
pub fn image_with(
    kernel: PathBuf,
    modules: PathBuf,
    base: Option<&Path>,
    options: &Options,
    tell: &mut dyn FnMut(&str),
) -> Result<Image, KernelError> {
    let base = base.map_or_else(|| image::base(options, tell), |base| Ok(base.to_owned()))?;
    Ok(Image { kernel, modules, base, runner: Runner::Uml(UmlStart::default()) })
}

/// Forgets what was fetched and decided, so that the next choice is made anew.
pub fn forget(options: &Options) -> Result<(), KernelError> {
    let store = Store::open(&options.cache)?;
    let _locked = store.lock(&mut |_| ())?;
    candidate::forget(&store);
    Decisions::forget(&store);
    Ok(())
}

/// The first of these that boots this image here, and what was found of it and of those before it.
pub fn first_that_boots(
    candidates: impl IntoIterator<Item = Candidate>,
    base: &Path,
    tell: &mut dyn FnMut(&str),
) -> Result<(Option<Candidate>, Vec<Tried>), KernelError> {
    let mut tried: Vec<Tried> = Vec::new();
    for candidate in candidates {
        tell(&format!("trying {candidate}"));
        let outcome = probe::boot(&candidate, base)?;
        let boots = matches!(outcome, Outcome::Boots { .. });
        let entry = Tried { name: candidate.name(), version: candidate.version.clone(), outcome };
        tell(&entry.to_string());
        tried.push(entry);
        if boots {
            return Ok((Some(candidate), tried));
        }
    }
    Ok((None, tried))
}

/// Tries one after the other, and keeps what was found.
fn decide(
    store: &Store,
    machine: &Machine,
    wanted: &Wanted,
    base: &Path,
    tell: &mut dyn FnMut(&str),
) -> Result<Decision, KernelError> {
    let _locked = store.lock(tell)?;
    // Somebody else may have decided while we waited.
    if let Some(known) = Decisions::of(store).find(machine, &wanted.0).filter(|known| known.still_holds(store)) {
        return Ok(known);
    }
    let mut tried: Vec<Tried> = Vec::new();
    for origin in Origin::ALL {
        if !wanted.may_be(origin) {
            continue;
        }
        let versions: Vec<String> = tried.iter().map(|tried| tried.version.clone()).collect();
        let kernel = match origin.kernel(store, &versions, tell) {
            Ok(kernel) => kernel,
            Err(why) => {
                tried.push(Tried::not_there(origin, why));
                continue;
            }
        };
        let ways = kernel.into_iter().flat_map(candidate::Kernel::ways).filter(|way| wanted.takes(way));
        let (chosen, more) = first_that_boots(ways, base, tell)?;
        tried.extend(more);
        if let Some(chosen) = chosen {
            return Ok(Decisions::of(store).keep(store, machine, &wanted.0, Some(chosen.name()), tried));
        }
    }
    // What could not even be fetched may be there the next time: only what was tried by a boot is a reason to remember that none runs.
    let booted = tried.iter().any(|tried| matches!(tried.outcome, Outcome::SetAside { .. }));
    if !booted {
        return Ok(Decision::none(tried));
    }
    Ok(Decisions::of(store).keep(store, machine, &wanted.0, None, tried))
}

/// Which kernels may be taken: all, or those that the variable names.
struct Wanted(String);

impl Wanted {
    fn from_env() -> Result<Self, KernelError> {
        Self::of(&std::env::var(VARIABLE).unwrap_or_default())
    }

    fn of(text: &str) -> Result<Self, KernelError> {
        let origin = text.split_once('-').map_or(text, |(origin, _)| origin);
        let way = text.split_once('-').map(|(_, way)| way);
        let known = Origin::ALL.iter().any(|known| known.name() == origin);
        if !text.is_empty() && (!known || way.is_some_and(|way| !candidate::WAYS.contains(&way))) {
            let known = "unstable, testing, stable, own, each also with -seccomp or -ptrace behind it";
            return Err(ImageError::Value { variable: VARIABLE, value: text.to_owned(), known }.into());
        }
        Ok(Self(text.to_owned()))
    }

    fn may_be(&self, origin: Origin) -> bool {
        self.0.is_empty() || self.0.split('-').next() == Some(origin.name())
    }

    fn takes(&self, candidate: &Candidate) -> bool {
        self.0.is_empty() || !self.0.contains('-') || candidate.name() == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_an_origin_or_one_way_of_it() {
        assert!(Wanted::of("").unwrap().may_be(Origin::Own));
        let stable = Wanted::of("stable").unwrap();
        assert!(stable.may_be(Origin::Stable) && !stable.may_be(Origin::Unstable));
        let way = Wanted::of("unstable-ptrace").unwrap();
        assert!(way.may_be(Origin::Unstable) && !way.may_be(Origin::Own));
        for wrong in ["sid", "unstable-kvm", "7.2", "-"] {
            let error = Wanted::of(wrong).err().expect("it is refused").to_string();
            assert!(error.contains(VARIABLE) && error.contains("unstable"), "{error}");
        }
    }
}
