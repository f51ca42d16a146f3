//! Which entries an action is about, in the order in which it comes to them.

use reactor_api::PromotedStatus;
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units;

/// The name by which the promotion is one of the steps.
pub(crate) const DRBD: &str = "drbd";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Start,
    Stop,
}

/// One step: the promotion, or an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// `drbd`, or what the entry is called.
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) is_active: bool,
    /// Its failure ends nothing.
    pub(crate) optional: bool,
    /// Steps with the same number are done together.
    pub(crate) group: Option<u32>,
}

impl Step {
    /// What lines call it.
    pub(crate) fn about(&self, resource: &str) -> String {
        if self.name == DRBD { format!("drbd:{resource}") } else { self.name.clone() }
    }
}

/// All steps of a resource, in the order of a start.
pub(crate) fn all(report: &PromotedStatus, is_primary: bool) -> Vec<Step> {
    let promotion = Step {
        name: DRBD.to_owned(),
        unit: units::promote(&ResourceName::new(&report.resource)).to_string(),
        is_active: is_primary,
        optional: false,
        group: None,
    };
    let entries = report.units.iter().map(|unit| Step {
        name: if unit.entry.is_empty() { unit.unit.clone() } else { unit.entry.clone() },
        unit: unit.unit.clone(),
        is_active: unit.active == "active",
        optional: unit.optional,
        group: unit.group,
    });
    std::iter::once(promotion).chain(entries).collect()
}

/// What was asked for does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RangeError {
    #[error("it has no entry {wanted}, but {}", known.join(", "))]
    NoSuchEntry { wanted: String, known: Vec<String> },
    #[error("`--from {from}` comes after `--upto {upto}`")]
    Backwards { from: String, upto: String },
    #[error("{} {} not up, and {first} needs {}", down.join(", "), if down.len() == 1 { "is" } else { "are" }, if down.len() == 1 { "it" } else { "them" })]
    NotUpBefore { first: String, down: Vec<String> },
    #[error("{} {} up, and {} {first}", up.join(", "), if up.len() == 1 { "is" } else { "are" }, if up.len() == 1 { "needs" } else { "need" })]
    UpAfter { first: String, up: Vec<String> },
}

/// The place of an entry: its name, its unit, with or without its suffix, or its number, counted from 1; 0 is the promotion.
fn place(steps: &[Step], wanted: &str) -> Result<usize, RangeError> {
    let is_it = |step: &Step| {
        step.name == wanted || step.unit == wanted || step.unit.rsplit_once('.').is_some_and(|(stem, _)| stem == wanted)
    };
    let by_number = || wanted.parse::<usize>().ok().filter(|number| *number < steps.len());
    steps.iter().position(is_it).or_else(by_number).ok_or_else(|| RangeError::NoSuchEntry {
        wanted: wanted.to_owned(),
        known: steps.iter().map(|step| step.name.clone()).collect(),
    })
}

/// The whole of a `parallel` that a place is in.
fn widened(steps: &[Step], at: usize) -> (usize, usize) {
    let Some(group) = steps[at].group else { return (at, at) };
    let is_in = |step: &Step| step.group == Some(group);
    let first = steps.iter().position(is_in).unwrap_or(at);
    (first, steps.iter().rposition(is_in).unwrap_or(at))
}

/// The steps from one to another, both included, in the order in which `verb` comes to them: a stop goes the other way round. What an action
/// leaves out has to be as it needs it: before a start all up, after a stop all down.
pub(crate) fn select(
    verb: Verb,
    steps: &[Step],
    from: Option<&str>,
    upto: Option<&str>,
) -> Result<Vec<Step>, RangeError> {
    let last = steps.len() - 1;
    let begin = from.map(|from| place(steps, from)).transpose()?;
    let end = upto.map(|upto| place(steps, upto)).transpose()?;
    let (low, high) = match verb {
        Verb::Start => (begin.unwrap_or(0), end.unwrap_or(last)),
        Verb::Stop => (end.unwrap_or(0), begin.unwrap_or(last)),
    };
    if low > high {
        let name = |at: Option<&str>| at.unwrap_or_default().to_owned();
        return Err(RangeError::Backwards { from: name(from), upto: name(upto) });
    }
    let (low, high) = (widened(steps, low).0, widened(steps, high).1);
    let name = |steps: &[Step], is_active: bool| -> Vec<String> {
        let of = steps.iter().filter(|step| step.is_active == is_active && !step.optional);
        of.map(|step| step.name.clone()).collect()
    };
    let chosen = steps[low..=high].to_vec();
    match verb {
        Verb::Start => {
            let down = name(&steps[..low], false);
            if !down.is_empty() {
                return Err(RangeError::NotUpBefore { first: chosen[0].name.clone(), down });
            }
            Ok(chosen)
        }
        Verb::Stop => {
            let up = name(&steps[high + 1..], true);
            if !up.is_empty() {
                return Err(RangeError::UpAfter { first: steps[high].name.clone(), up });
            }
            Ok(chosen.into_iter().rev().collect())
        }
    }
}

/// The same in pieces: what is done together.
pub(crate) fn together(steps: &[Step]) -> Vec<&[Step]> {
    steps.chunk_by(|one, next| one.group.is_some() && one.group == next.group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` in front: it is active; `?`: it is optional; a digit behind: its group.
    fn steps(text: &str) -> Vec<Step> {
        let step = |word: &str| {
            let name = word.trim_start_matches(['+', '?']);
            let group = name.chars().last().and_then(|last| last.to_digit(10));
            Step {
                name: name.to_owned(),
                unit: format!("{name}.service"),
                is_active: word.contains('+'),
                optional: word.contains('?'),
                group,
            }
        };
        text.split(' ').map(step).collect()
    }

    fn names(verb: Verb, all: &str, from: Option<&str>, upto: Option<&str>) -> Result<String, String> {
        let chosen = select(verb, &steps(all), from, upto).map_err(|error| error.to_string())?;
        Ok(chosen.into_iter().map(|step| step.name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_start_goes_up_and_a_stop_down() {
        let ok = |names: &str| Ok(names.to_owned());
        let down = "drbd a b c";
        assert_eq!(names(Verb::Start, down, None, None), ok("drbd a b c"));
        assert_eq!(names(Verb::Start, down, None, Some("b.service")), ok("drbd a b"));
        assert_eq!(names(Verb::Start, down, None, Some("drbd")), ok("drbd"));
        assert_eq!(names(Verb::Start, down, None, Some("1")), ok("drbd a"));
        let up = "+drbd +a +b +c";
        assert_eq!(names(Verb::Start, up, Some("b"), None), ok("b c"));
        assert_eq!(names(Verb::Start, up, Some("b"), Some("b")), ok("b"));
        assert_eq!(names(Verb::Stop, up, None, None), ok("c b a drbd"));
        assert_eq!(names(Verb::Stop, up, None, Some("b")), ok("c b"));
        assert_eq!(names(Verb::Stop, "+drbd +a +b c", Some("b"), Some("a")), ok("b a"));
    }

    #[test]
    fn a_parallel_is_done_as_a_whole() {
        let all = "+drbd a x1 y1 b";
        assert_eq!(names(Verb::Start, all, None, Some("x1")), Ok("drbd a x1 y1".to_owned()));
        assert_eq!(names(Verb::Stop, "+drbd +a +x1 +y1 b", Some("x1"), Some("x1")), Ok("y1 x1".to_owned()));
        let steps = steps("drbd a x1 y1 z2 b");
        let sizes: Vec<usize> = together(&steps).iter().map(|together| together.len()).collect();
        assert_eq!(sizes, [1, 1, 2, 1, 1]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = |verb, all, from, upto| names(verb, all, from, upto).unwrap_err();
        assert_eq!(error(Verb::Start, "drbd a b", None, Some("x")), "it has no entry x, but drbd, a, b");
        assert_eq!(error(Verb::Start, "drbd a b", Some("b"), Some("a")), "`--from b` comes after `--upto a`");
        assert_eq!(error(Verb::Stop, "drbd a b", Some("a"), Some("b")), "`--from a` comes after `--upto b`");
        assert_eq!(error(Verb::Start, "+drbd a b", Some("b"), None), "a is not up, and b needs it");
        assert_eq!(error(Verb::Start, "drbd a b", Some("b"), None), "drbd, a are not up, and b needs them");
        assert_eq!(error(Verb::Stop, "+drbd +a +b", Some("a"), None), "b is up, and needs a");
        assert!(names(Verb::Start, "+drbd ?a b", Some("b"), None).is_ok(), "what is optional is needed by nobody");
    }
}
