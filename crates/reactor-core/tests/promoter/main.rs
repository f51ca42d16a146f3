//! The promoter, driven by a test in the place of DRBD and systemd. Every line of behaviour that drbd-reactor's users rely on, every
//! defect of it that ours must not have, and what is new.

mod alone;
mod behaviour;
mod beyond;
mod data;
mod drop_in;
mod explain;
mod failback;
mod failures;
mod forecast;
mod hang;
mod head_start;
mod health;
mod history;
mod lessons;
mod links;
mod operators;
mod outside;
mod quorum;
mod recordings;
mod reload;
mod shell;
mod simulated;
mod stack;
mod syncing;
mod tools;
mod whose_failure;
mod world;
