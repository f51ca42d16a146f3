//! One condition on one value.
//!
//! A value that DRBD does not report here (`None`: an older drbd-utils, DRBD 8.4) meets no condition, negative ones included:
//! we do not guess.

use std::borrow::Borrow;

use crate::drbd::types::{ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};
use crate::settings::umh::{Condition, Matcher};

/// A value as a regular expression sees it: the text that DRBD writes, `true`/`false`, or the decimal number.
pub(super) trait Text {
    /// Shows the text to `look`.
    fn text<R>(&self, look: impl FnOnce(&str) -> R) -> R;
}

impl Text for str {
    fn text<R>(&self, look: impl FnOnce(&str) -> R) -> R {
        look(self)
    }
}

impl Text for bool {
    fn text<R>(&self, look: impl FnOnce(&str) -> R) -> R {
        look(if *self { "true" } else { "false" })
    }
}

macro_rules! text_of_words {
    ($($word:ty),+) => {
        $(impl Text for $word {
            fn text<R>(&self, look: impl FnOnce(&str) -> R) -> R {
                look(self.as_str())
            }
        })+
    };
}

macro_rules! text_by_display {
    ($($shown:ty),+) => {
        $(impl Text for $shown {
            fn text<R>(&self, look: impl FnOnce(&str) -> R) -> R {
                look(&self.to_string())
            }
        })+
    };
}

text_of_words!(Role, DiskState, ConnectionState, ReplicationState);
text_by_display!(u32, u64, i32, Suspended, ResyncSuspended);

/// Whether `matcher` accepts `value`.
pub(super) fn accepts<T, V>(matcher: &Matcher<T>, value: &V) -> bool
where
    T: Borrow<V>,
    V: Text + PartialEq + ?Sized,
{
    match matcher {
        Matcher::In(wanted) => wanted.iter().any(|one| one.borrow() == value),
        Matcher::NotIn(unwanted) => unwanted.iter().all(|one| one.borrow() != value),
        Matcher::Matches(pattern) => value.text(|text| pattern.0.is_match(text)),
        Matcher::NotMatches(pattern) => !value.text(|text| pattern.0.is_match(text)),
    }
}

/// Whether `value` meets `condition`; a condition that nobody set is always met.
pub(super) fn meets<T, V>(condition: &Condition<T>, value: Option<&V>) -> bool
where
    T: Borrow<V>,
    V: Text + PartialEq + ?Sized,
{
    match (condition, value) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(matcher), Some(value)) => accepts(matcher, value),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::settings::umh::Pattern;

    fn pattern(text: &str) -> Pattern {
        Pattern(Regex::new(text).unwrap())
    }

    #[test]
    fn every_operator_on_words() {
        let failed = DiskState::Failed;
        let table = [
            (Matcher::In(vec![DiskState::Failed]), true),
            (Matcher::In(vec![DiskState::Diskless, DiskState::Failed]), true),
            (Matcher::In(vec![DiskState::UpToDate]), false),
            (Matcher::In(vec![]), false),
            (Matcher::NotIn(vec![DiskState::Failed]), false),
            (Matcher::NotIn(vec![DiskState::UpToDate, DiskState::Diskless]), true),
            (Matcher::Matches(pattern("^F")), true),
            (Matcher::Matches(pattern("^f")), false),
            (Matcher::NotMatches(pattern("Up")), true),
            (Matcher::NotMatches(pattern("led$")), false),
        ];
        for (matcher, expected) in table {
            assert_eq!(accepts(&matcher, &failed), expected, "{matcher:?}");
        }
    }

    #[test]
    fn a_word_of_a_newer_drbd_can_be_matched() {
        let future = DiskState::from_word("Quantum");
        assert!(accepts(&Matcher::In(vec![DiskState::from_word("Quantum")]), &future));
        assert!(accepts(&Matcher::NotIn(vec![DiskState::UpToDate]), &future));
        assert!(accepts(&Matcher::<DiskState>::Matches(pattern("^Qua")), &future));
    }

    #[test]
    fn numbers_flags_sets_and_strings_have_a_text() {
        assert!(accepts(&Matcher::<u32>::Matches(pattern("^1[0-9]$")), &17));
        assert!(accepts(&Matcher::<i32>::Matches(pattern("^-")), &-3));
        assert!(accepts(&Matcher::<bool>::Matches(pattern("true|false")), &true));
        assert!(accepts(&Matcher::<Suspended>::Matches(pattern("fencing")), &Suspended::from_word("no-data,fencing")));
        assert!(accepts(&Matcher::In(vec!["alpha".to_owned()]), "alpha"));
        assert!(!accepts(&Matcher::<String>::Matches(pattern("^b")), "alpha"));
    }

    #[test]
    fn what_drbd_does_not_say_meets_no_condition() {
        assert!(meets::<bool, bool>(&None, None));
        assert!(!meets(&Some(Matcher::In(vec![false])), None::<&bool>));
        assert!(!meets(&Some(Matcher::NotIn(vec![true])), None::<&bool>));
        assert!(!meets(&Some(Matcher::<bool>::NotMatches(pattern("x"))), None::<&bool>));
    }
}
