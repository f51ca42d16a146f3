//! Made-up and recorded DRBD, for tests, the benchmark and the demo. Nothing of this runs in production.
//!
//! - [`workload`]: events2 text of any size, the same for the same seed;
//! - [`stub`]: what the look-alike `drbdsetup` and the program that drives it say to each other;
//! - [`daemon`]: a real `reactord` as a child, with its folder, its control socket and its `/proc` numbers;
//! - [`drbd9`]: a model of a DRBD 9 cluster on virtual time;
//! - [`lookalike`]: that model in real time behind look-alikes of `drbdsetup` and `drbdadm`, for real daemons;
//! - [`systemd_bus`]: a mock of systemd on a bus of its own, with real processes;
//! - [`world`]: a whole cluster of cores on virtual time, with faults and invariants;
//! - [`certificates`]: authorities and certificates for TLS;
//! - [`counter`]: what the service of the demo writes down;
//! - [`http`]: a client that fetches `/metrics` and nothing else.
//!
//! The programs: `stub-drbdsetup` (look-alike), `stub-handler` (says when it was started), `bench` (the table of speed and memory),
//! `demo` (a cluster that fails over, told), `demo-counter` (its service), `mock-systemd`, `sim-drbd`, `sim-drbdsetup`, `sim-drbdadm`, `sim-ctl`,
//! `sim-counter` (see [`lookalike`]), `sim` (seeds of the [`world`]).

pub mod certificates;
pub mod clock;
pub mod counter;
pub mod daemon;
pub mod drbd9;
pub mod http;
pub mod lookalike;
pub mod rng;
pub mod stub;
pub mod systemd_bus;
pub mod workload;
pub mod world;
