//! A mock of systemd's manager (`org.freedesktop.systemd1`) on a bus of its own, for tests and for the demo cluster. It needs no root.
//!
//! - [`mod@file`], [`load`], [`name`]: unit files, drop-ins, names;
//! - [`engine`]: the rules, without process, clock or bus;
//! - [`processes`]: it really starts what the units say;
//! - [`faults`]: what it does badly when a test wants that;
//! - [`bus`]: D-Bus; [`harness`]: the program `mock-systemd` with its `dbus-daemon` as a child.
//!
//! Where it differs from systemd:
//!
//! - no cgroups: a unit is the process groups of its commands. What leaves them (`setsid`) is not seen. When the main process has ended, what is
//!   left in its group is killed at once. Freezing is SIGSTOP to the groups, and there is no `freezing` and `thawing` in between;
//! - processes run as the user of the mock, with its environment besides that of the unit; credentials and sandboxes are ignored;
//! - a mount or a unit of another kind than service becomes active by itself, and a mount without a unit file does not exist;
//! - units are not unloaded when nobody needs them; `Reload` unloads those whose files are gone;
//! - no limit of starts (`StartLimitBurst=`), no conditions and assertions but `ExecCondition=`, no `FailureAction=` (told in the log only);
//! - `.wants` and `.requires` folders only say whether a unit is enabled; they start nothing;
//! - of the job modes only `replace` exists (the argument is not looked at); a transaction with a contradiction takes what it met first;
//! - `PropertiesChanged` is sent at each step; systemd may leave out steps that fall into one turn of its loop.

pub mod bus;
pub mod engine;
pub mod faults;
pub mod file;
pub mod harness;
pub mod load;
pub mod name;
pub mod processes;

pub use harness::Harness;
