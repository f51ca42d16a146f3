//! Identifiers. Each is a type of its own, ordered, and displayed as DRBD writes it.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A string id that is shared, not copied: cloning it costs one reference count.
macro_rules! name {
    ($(#[$doc:meta])* $id:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(Arc<str>);

        impl $id {
            /// Takes the name as it was read; see the type for what it may contain.
            pub fn new(name: &str) -> Self {
                Self(Arc::from(name))
            }

            /// The name as DRBD writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl serde::Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|name| Self::new(&name))
            }
        }

        impl Borrow<str> for $id {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $id {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

name! {
    /// Name of a DRBD resource.
    ///
    /// Names come from the kernel and are data: DRBD's `strict_names` (on by default) limits them to
    /// `[A-Za-z0-9+-._]`, but it can be switched off. Never build shell text or a path from one.
    ResourceName
}

name! {
    /// Name of a connection: the peer's host name as DRBD's configuration spells it (`peer` with DRBD 8.4).
    ConnName
}

name! {
    /// One end of a path as DRBD prints it, for example `ipv4:10.77.0.1:7001`.
    PathAddress
}

name! {
    /// Name of a device as the kernel spells it below `/dev`, for example `sda` or `dm-3`.
    DeviceName
}

name! {
    /// Name of a systemd unit with its suffix, for example `drbd-services@r0.target`.
    UnitName
}

macro_rules! number {
    ($(#[$doc:meta])* $id:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $id(pub $inner);

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// Number of a volume within its resource.
    Volume(u32)
}

number! {
    /// Minor number of a DRBD device: `/dev/drbdMINOR`, unique on a node.
    Minor(u32)
}

number! {
    /// DRBD's node id of a peer, unique within a resource. Always 0 with DRBD 8.4, where it identifies nothing.
    PeerNodeId(u32)
}

number! {
    /// One action that the core asked for. It comes back in exactly one [`Done`](crate::action::Done).
    ActionId(u64)
}

number! {
    /// One running plugin. A number is never used twice in the life of a daemon.
    InstanceId(u64)
}

number! {
    /// Number of a state change, counted from the start of the daemon without gaps.
    EventSeq(u64)
}

/// Time since the daemon started, in nanoseconds. It never goes back, and it can be written to a recording.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// The start of the daemon.
    pub const ZERO: Self = Self(0);

    /// This moment plus `duration`; the far end of time if that overflows.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` until this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Mono {
    /// Seconds with milliseconds, as the log and `replay` print them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1000)
    }
}
