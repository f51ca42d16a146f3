//! What several commands do or print: no command is here, and no command needs to look like another.
//!
//! `cluster`: what all nodes say of each resource. `outcome`: what became of a call. `promoted`, `tree`: one promoted or DRBD resource for people.
//! `incident`: storage incidents. `race`: the plans of several nodes. `takeover`: whether another node could take over. `upstream`: the unit files of drbd-reactor.
//! `whereabouts`: where a resource is by now. `which`: the arguments that name the resources to show.

pub(crate) mod cluster;
pub(crate) mod incident;
pub(crate) mod outcome;
pub(crate) mod promoted;
pub(crate) mod race;
pub(crate) mod takeover;
pub(crate) mod tree;
pub(crate) mod upstream;
pub(crate) mod whereabouts;
pub(crate) mod which;
