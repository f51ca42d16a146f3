//! Everything that can wake the loop.

use reactor_config::Finding;
use reactor_core::action::Done;
use reactor_core::ids::ResourceName;
use reactor_core::input::Input;
use reactor_sys::control::{Audited, BindError, ControlRequest, ControlSocket};
use reactor_sys::http::ScrapeRequest;
use reactor_sys::log::LogError;
use reactor_sys::units::Leftovers;

use super::configuration;
use super::memory::MemoryNews;

/// One thing that happened. Whoever waits for something new adds a variant here, its name in `kinds!`, who waits for it in
/// `Daemon::next_event`, and what is done then in `Daemon::handle`. A source needs none of it: it is one more channel of the inbox.
pub(super) enum Event {
    /// A source has news.
    Source(Input),
    /// Actions have their outcome, handlers aside.
    ActionsDone(Vec<Done>),
    /// News of systemd.
    Systemd(Input),
    /// A job of generated files is over.
    FilesWritten,
    /// A handler has ended.
    HandlerDone(Done),
    /// The disk has what promoters remember, or what they remembered.
    Memory(MemoryNews),
    /// The wall clock was set, or the time zone has been read.
    Clock,
    /// Resources whose generated files are there.
    UnitFiles(Vec<ResourceName>),
    /// What the configuration takes for granted about this machine, and is not so.
    Checked(Vec<Finding>),
    /// What an earlier drbd-reactor left.
    Leftovers(Leftovers),
    /// A client of the control socket asks.
    Request(ControlRequest),
    /// A client has asked for a change, and this became of it.
    Audited(Box<Audited>),
    /// A metrics server asks.
    Scrape(ScrapeRequest),
    /// The configuration has been read, or was compared with the files.
    Reload(configuration::News),
    /// Log files are open, or these are not.
    LogFiles(Vec<LogError>),
    /// There is a control socket, or not.
    ControlSocket(Result<ControlSocket, BindError>),
    /// A deadline of the core.
    Deadline,
    /// A deadline of the loop's own: see `due.rs`.
    Due,
    /// Somebody sent a signal.
    Signal(Wish),
}

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// SIGHUP: read the configuration.
    Reload,
    /// SIGUSR1: write what runs to the log.
    Dump,
    /// SIGTERM or SIGINT, by this name.
    Stop(&'static str),
}

/// Gives each kind of event a number, and the name that the metric has for it.
macro_rules! kinds {
    ($($variant:ident $name:literal,)*) => {
        #[derive(Clone, Copy)]
        enum Kind { $($variant),* }

        const NAMES: &[&str] = &[$($name),*];

        impl Event {
            fn kind(&self) -> Kind {
                match self { $(Self::$variant { .. } => Kind::$variant),* }
            }
        }
    };
}

kinds! {
    Source "source",
    ActionsDone "actions-done",
    Systemd "systemd",
    FilesWritten "files-written",
    HandlerDone "handler-done",
    Memory "memory",
    Clock "clock",
    UnitFiles "unit-files",
    Checked "checked",
    Leftovers "leftovers",
    Request "request",
    Audited "audited",
    Scrape "scrape",
    Reload "reload",
    LogFiles "log-files",
    ControlSocket "control-socket",
    Deadline "deadline",
    Due "due",
    Signal "signal",
}

/// How many events of each kind there were.
#[derive(Debug, Default)]
pub(super) struct Counts([u64; NAMES.len()]);

impl Counts {
    /// Counts one.
    pub(super) fn count(&mut self, event: &Event) {
        self.0[event.kind() as usize] += 1;
    }

    /// The name of each kind, and how many there were.
    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        NAMES.iter().copied().zip(self.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own_and_is_counted_under_it() {
        let mut counts = Counts::default();
        counts.count(&Event::Due);
        counts.count(&Event::Signal(Wish::Dump));
        counts.count(&Event::Signal(Wish::Reload));
        let counted: Vec<_> = counts.all().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("due", 1), ("signal", 2)]);
        let names: std::collections::BTreeSet<_> = NAMES.iter().collect();
        assert_eq!(names.len(), NAMES.len());
    }
}
