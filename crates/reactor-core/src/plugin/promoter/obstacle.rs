//! What keeps a resource from running here, as a kind: sentences are for people, and whoever says what to do about it goes by this.

use crate::ids::UnitName;

/// What keeps a resource from being started here; the first one, if there are several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Which kind.
    pub kind: ObstacleKind,
    /// The unit that it is about.
    pub unit: Option<UnitName>,
}

impl From<ObstacleKind> for Obstacle {
    fn from(kind: ObstacleKind) -> Self {
        Self { kind, unit: None }
    }
}

impl Obstacle {
    /// About a unit.
    pub(super) fn of(kind: ObstacleKind, unit: &UnitName) -> Self {
        Self { kind, unit: Some(unit.clone()) }
    }
}

/// Each kind, and how status and JSON spell it.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// A kind of obstacle.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ObstacleKind {
            $($(#[$doc])* $name,)+
        }

        impl ObstacleKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// As status and JSON spell it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

kinds! {
    /// There is no news of DRBD.
    NoNews = "no-news",
    /// systemd is not heard.
    NoSystemd = "no-systemd",
    /// systemd has not said yet how a unit is.
    UnitNotTold = "unit-not-told",
    /// The generated unit files are not written.
    UnitFiles = "unit-files",
    /// The lower devices are not there, or not known yet.
    LowerDevices = "lower-devices",
    /// `drbdadm` has failed.
    DrbdadmFailed = "drbdadm-failed",
    /// An adjust has not ended.
    Adjusting = "adjusting",
    /// DRBD's options have not been read.
    OptionsNotRead = "options-not-read",
    /// DRBD has no resource of this name.
    NoResource = "no-resource",
    /// Another node is Primary.
    PeerPrimary = "peer-primary",
    /// Primary here, and somebody else has promoted it.
    NotOurs = "not-ours",
    /// Primary here, and no good data in reach.
    NoData = "no-data",
    /// Made Secondary by force, and still open.
    ForcedSecondary = "forced-secondary",
    /// No quorum.
    NoQuorum = "no-quorum",
    /// The disk here is not good, and reaches none that is.
    Disk = "disk",
    /// DRBD says may_promote:no, and nothing tells why.
    MayNotPromote = "may-not-promote",
    /// A unit is masked.
    UnitMasked = "unit-masked",
    /// A unit does not exist, or can't be loaded.
    UnitBroken = "unit-broken",
}

impl ObstacleKind {
    /// The one that is spelled so; `None` = a newer daemon knows more of them.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_word_of_its_own() {
        for kind in ObstacleKind::ALL {
            assert_eq!(ObstacleKind::of(kind.as_str()), Some(*kind));
        }
        assert_eq!(ObstacleKind::of("something-newer"), None);
    }
}
