//! What DRBD writes into the kernel's log about a split brain. Only these lines are looked for.
//!
//! ```text
//!   drbd r0/0 drbd50 n2: Split-Brain detected but unresolved, dropping connection!        (DRBD 9)
//!   block drbd0: Split-Brain detected but unresolved, dropping connection!                (DRBD 8.4)
//!   drbd r0/0 drbd0: Split-Brain detected but unresolved, dropping connection!            (DRBD 8.4 of newer kernels)
//!   ...: Split-Brain detected, manually solved. Sync from this node                       it is over (also: `automatically solved`)
//!   drbd r0 n2: conn( Connecting -> Connected ) ...                                       the same
//! ```
//!
//! Source: `drbd_receiver.c` of DRBD, and recordings of both versions.

use serde::{Deserialize, Serialize};

use crate::ids::{ConnName, DeviceName, ResourceName};
use crate::input::{Fact, Record};
use crate::subject::Subject;

/// Characters of a name that are kept: DRBD's own limit is 128.
const MAX_NAME: usize = 128;

/// A line about a split brain. Its record is about the resource, or with DRBD 8.4 about the device, of which the only peer is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SplitBrainLine {
    /// The peer, as DRBD calls it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<ConnName>,
    /// The two are connected again, or DRBD has solved it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_over: bool,
    /// It was in the log before the daemon began to read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_old: bool,
}

/// Reads the text of one message; `None` = it is about something else.
pub fn parse(text: &str, is_old: bool) -> Option<Record> {
    let (place, said) = text.split_once(": ")?;
    let place =
        place.strip_prefix("drbd ").map(Place::Drbd9).or_else(|| place.strip_prefix("block ").map(Place::Drbd84))?;
    let is_over = if said.starts_with("Split-Brain detected but unresolved") {
        false
    } else if said.starts_with("Split-Brain detected,") || is_connected(said) {
        true
    } else {
        return None;
    };
    let (subject, peer) = place.read()?;
    Some(Record { subject, fact: Fact::SplitBrain(SplitBrainLine { peer, is_over, is_old }) })
}

/// Whether it says that the connection is established: ` conn( WHATEVER -> Connected )`.
fn is_connected(said: &str) -> bool {
    let change = said.find("conn( ").and_then(|at| said[at..].split_once(" )"));
    change.is_some_and(|(change, _)| change.ends_with("-> Connected"))
}

/// What a message says it is about.
enum Place<'a> {
    Drbd9(&'a str),
    Drbd84(&'a str),
}

impl Place<'_> {
    fn read(self) -> Option<(Subject, Option<ConnName>)> {
        let is_name = |name: &str| !name.is_empty() && name.len() <= MAX_NAME;
        match self {
            // `RESOURCE[/VOLUME DEVICE] PEER`; newer kernels' DRBD 8.4 writes `RESOURCE/VOLUME DEVICE`, and has one peer.
            Self::Drbd9(place) => {
                let mut words = place.split(' ');
                let first = words.next()?;
                let resource = first.split('/').next().filter(|name| is_name(name))?;
                let is_volume = first.contains('/') && words.next()?.starts_with("drbd");
                let peer = words.next_back().filter(|name| is_name(name)).map(ConnName::new);
                // Without a volume and without a peer it is about the resource as a whole.
                (is_volume || peer.is_some()).then(|| (Subject::Resource(ResourceName::new(resource)), peer))
            }
            Self::Drbd84(place) => {
                place.strip_prefix("drbd")?.parse::<u32>().ok()?;
                Some((Subject::Device(DeviceName::new(place)), None))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text, false) {
            None => "-".to_owned(),
            Some(Record { subject, fact: Fact::SplitBrain(line) }) => {
                format!(
                    "{subject} {} {}",
                    line.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string()),
                    line.is_over
                )
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_of_both_versions_are_read_and_others_are_not() {
        for (text, expected) in [
            ("drbd s0/0 drbd50 n2: Split-Brain detected but unresolved, dropping connection!", "s0 n2 false"),
            ("drbd s0/0 drbd50 n2: Split-Brain detected, manually solved. Sync from this node", "s0 n2 true"),
            (
                "drbd s0/0 drbd50 n2: Split-Brain detected, 1 primaries, automatically solved. Sync from peer node",
                "s0 n2 true",
            ),
            ("drbd s0 n2: conn( Connecting -> Connected ) peer( Unknown -> Secondary ) [connected]", "s0 n2 true"),
            ("block drbd0: Split-Brain detected but unresolved, dropping connection!", "drbd0 - false"),
            ("drbd side3/0 drbd3: Split-Brain detected but unresolved, dropping connection!", "side3 - false"),
            ("drbd side3/0 drbd3: conn( SyncSource -> Connected ) pdsk( Inconsistent -> UpToDate )", "side3 - true"),
            ("block drbd0: conn( SyncSource -> Connected ) pdsk( Inconsistent -> UpToDate )", "drbd0 - true"),
            ("drbd s0 n2: conn( Connecting -> Disconnecting ) [connect-failed]", "-"),
            ("drbd s0 n2: conn( Connected -> NetworkFailure ) peer( Secondary -> Unknown )", "-"),
            ("block drbdX: Split-Brain detected but unresolved, dropping connection!", "-"),
            ("drbd : Split-Brain detected but unresolved, dropping connection!", "-"),
            ("drbd s0: Split-Brain detected but unresolved, dropping connection!", "-"),
            ("usb 1-1: drbd s0/0 drbd50 n2: Split-Brain detected but unresolved", "-"),
            ("", "-"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_kernel_says_is_no_reason_to_panic(text in "(drbd |block |)[a-z0-9/ :äconn(->)]{0,60}") {
            let _ = parse(&text, true);
        }
    }
}
