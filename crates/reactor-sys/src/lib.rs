//! All I/O of Storage Reactor. Sources and executors are tasks that only send [`Input`](reactor_core::input::Input) and receive
//! actions; nothing here decides anything.

pub mod agents;
pub mod agentx;
pub mod chain;
pub mod control;
pub mod deliver;
mod document;
pub mod drbd;
pub mod examine;
pub mod exec;
pub mod facts;
pub mod history;
pub mod http;
pub mod kernel_log;
pub mod log;
pub mod memory;
mod newest;
pub mod notify;
pub mod people;
pub mod printk_index;
pub mod record;
mod socket_file;
pub mod standing;
mod state_file;
pub mod storage;
pub mod survey;
pub mod systemd;
mod thread;
pub mod uevents;
pub mod units;
mod volume_groups;
pub mod wall;

#[cfg(test)]
mod testing;
