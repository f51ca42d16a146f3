//! DRBD's words. Variant name = the word in the events2 line.
//!
//! A word that we do not know (a newer DRBD) is kept as it came in the `Other` variant: it is shown, compared and exported
//! like any other word, and nothing else of its line is lost.

use std::fmt;
use std::sync::Arc;

macro_rules! words {
    ($(#[$doc:meta])* $id:ident = $default:ident { $($word:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $id {
            $(
                #[doc = concat!("`", stringify!($word), "`")]
                $word,
            )+
            /// A word of a newer DRBD, as it came.
            Other(Arc<str>),
        }

        impl $id {
            /// All words that we know, in DRBD's order.
            pub const KNOWN: &'static [Self] = &[$(Self::$word),+];

            /// The word as DRBD writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => stringify!($word),)+
                    Self::Other(word) => word,
                }
            }

            /// The value that a word names; `Other` if we do not know it.
            pub fn from_word(word: &str) -> Self {
                match word {
                    $(stringify!($word) => Self::$word,)+
                    _ => Self::Other(Arc::from(word)),
                }
            }

            /// Whether this is a word that we know.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl Default for $id {
            /// What drbd-reactor takes as "old" when it sees an object for the first time.
            fn default() -> Self {
                Self::$default
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Role of a node for a resource.
    Role = Unknown { Unknown, Primary, Secondary }
}

words! {
    /// State of a local disk or of a peer's disk, worst first.
    DiskState = DUnknown {
        Diskless, Attaching, Detaching, Failed, Negotiating, Inconsistent, Outdated, DUnknown, Consistent, UpToDate,
    }
}

words! {
    /// State of a connection.
    ConnectionState = StandAlone {
        StandAlone, Disconnecting, Unconnected, Timeout, BrokenPipe, NetworkFailure, ProtocolError, TearDown, Connecting,
        Connected,
    }
}

words! {
    /// Replication state of a peer device.
    ReplicationState = Off {
        Off, Established, StartingSyncS, StartingSyncT, WFBitMapS, WFBitMapT, WFSyncUUID, SyncSource, SyncTarget, VerifyS,
        VerifyT, PausedSyncS, PausedSyncT, Ahead, Behind,
    }
}

/// A set of words written as `no` or as a comma list, for example `suspended:no-data,fencing`.
macro_rules! word_set {
    ($(#[$doc:meta])* $id:ident { $($flag:ident = $word:literal @ $bit:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $id {
            bits: u8,
            /// Words of a newer DRBD, as they came, joined by commas.
            other: Option<Arc<str>>,
        }

        impl $id {
            $(
                #[doc = concat!("The set with just `", $word, "`.")]
                pub const $flag: Self = Self { bits: 1 << $bit, other: None };
            )+

            /// All words that we know.
            pub const KNOWN: &'static [&'static str] = &[$($word),+];

            /// The set that a comma list names; `no` is the empty set, `yes` (older drbd-utils) is kept as it came.
            pub fn from_word(list: &str) -> Self {
                let mut set = Self::default();
                if list == "no" {
                    return set;
                }
                let mut other = String::new();
                for word in list.split(',') {
                    match word {
                        $($word => set.bits |= 1 << $bit,)+
                        "" | "no" => {}
                        _ => {
                            if !other.is_empty() {
                                other.push(',');
                            }
                            other.push_str(word);
                        }
                    }
                }
                if !other.is_empty() {
                    set.other = Some(Arc::from(other.as_str()));
                }
                set
            }

            /// Whether no word is in the set: DRBD prints `no`.
            pub fn is_empty(&self) -> bool {
                self.bits == 0 && self.other.is_none()
            }

            /// Whether all known words of `other` are in this set.
            pub fn contains(&self, other: &Self) -> bool {
                self.bits & other.bits == other.bits
            }

            /// Words that we do not know, joined by commas.
            pub fn unknown(&self) -> Option<&str> {
                self.other.as_deref()
            }

            /// The words in DRBD's order; nothing for the empty set.
            pub fn words(&self) -> impl Iterator<Item = &str> {
                let known = [$((1u8 << $bit, $word)),+];
                known
                    .into_iter()
                    .filter(|(bit, _)| self.bits & bit != 0)
                    .map(|(_, word)| word)
                    .chain(self.other.as_deref().into_iter().flat_map(|list| list.split(',')))
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.is_empty() {
                    return f.pad("no");
                }
                let mut first = true;
                for word in self.words() {
                    if !first {
                        f.write_str(",")?;
                    }
                    first = false;
                    f.write_str(word)?;
                }
                Ok(())
            }
        }
    };
}

word_set! {
    /// Why I/O on a resource is suspended; empty when it is not.
    Suspended { USER = "user" @ 0, NO_DATA = "no-data" @ 1, FENCING = "fencing" @ 2, QUORUM = "quorum" @ 3 }
}

word_set! {
    /// Why a resync is paused; empty when it is not.
    ResyncSuspended { USER = "user" @ 0, PEER = "peer" @ 1, DEPENDENCY = "dependency" @ 2 }
}

word_set! {
    /// What blocks I/O on a device at this moment: the layer above or below. It flickers with normal I/O.
    Blocked { UPPER = "upper" @ 0, LOWER = "lower" @ 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for word in ["Diskless", "UpToDate", "FromTheFuture"] {
            assert_eq!(DiskState::from_word(word).as_str(), word);
        }
        assert!(!DiskState::from_word("FromTheFuture").is_known());
    }

    #[test]
    fn sets_keep_every_word() {
        for list in ["no", "user", "no-data,fencing", "quorum", "user,moon", "moon,mars"] {
            assert_eq!(Suspended::from_word(list).to_string(), list);
        }
        assert!(Suspended::from_word("no-data,fencing").contains(&Suspended::FENCING));
        assert_eq!(Suspended::from_word("user,moon").unknown(), Some("moon"));
    }
}
