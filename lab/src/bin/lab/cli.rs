//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::wire::DiskOrder;

/// The cluster's name if none is given.
pub(crate) const CLUSTER: &str = "lab";

/// A cluster of real Linux nodes on this machine, without root: to try a resource on, and to break it
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    version,
    max_term_width = 100,
    after_help = "A newcomer's way is docs/lab.md: an HA pair, broken by hand."
)]
pub(crate) struct Cli {
    /// The cluster's name; several can run side by side
    #[arg(long, global = true, default_value = CLUSTER, value_parser = name)]
    pub(crate) cluster: String,
    /// What runs the nodes: uml, or qemu for Debian's own kernel, NVMe, SCSI, several CPUs, DRBD 9 [default: LAB_BACKEND, or
    /// User-Mode Linux if it runs on this machine]
    #[arg(long, global = true, value_parser = ["uml", "qemu"])]
    pub(crate) backend: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build what the nodes run, unless it is there: the only thing that needs root or user namespaces
    Image {
        /// Say which kernel the nodes run, why, and what else was tried
        #[arg(long)]
        explain: bool,
        /// Fetch the newest kernels once more, and decide anew which of them runs here
        #[arg(long)]
        newest: bool,
    },
    /// A pair that runs a service on DRBD, and one power cut, told with times; it is left running, to be broken by hand
    Demo(Up),
    /// Boot a cluster; it runs until `lab down`
    Up(Up),
    /// Show nodes and the faults between them
    Status,
    /// Power all nodes off and remove everything of the cluster
    Down {
        /// Do not wait for a clean shutdown
        #[arg(long)]
        force: bool,
    },
    /// Run a command in a node; its exit code is this one's
    Exec {
        /// The node: n1, n2, ...
        node: String,
        /// Give up after this time; the command may go on in the node
        #[arg(long, default_value = "60s", value_parser = duration)]
        timeout: Duration,
        /// One word is a shell line, several are a command with arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Open a shell in a node; `exit` or Ctrl-] leaves it
    Shell {
        /// The node
        node: String,
    },
    /// Show a node's console: the kernel's messages and what systemd says while it boots
    Console {
        /// The node
        node: String,
    },
    /// Copy a file or a folder into a node
    Push {
        /// The node
        node: String,
        /// On this machine
        from: PathBuf,
        /// In the node
        to: String,
    },
    /// Copy a file or a folder out of a node
    Pull {
        /// The node
        node: String,
        /// In the node
        from: String,
        /// On this machine
        to: PathBuf,
    },
    /// Cut the data network between two nodes
    Cut(Between),
    /// Cut a node off from all others
    Isolate {
        /// The node
        node: String,
    },
    /// Take every fault off the data network, or off the link between two nodes
    Heal {
        /// One node
        #[arg(requires = "b")]
        a: Option<String>,
        /// The other one
        b: Option<String>,
    },
    /// Delay every frame between two nodes
    Delay {
        #[command(flatten)]
        between: Between,
        /// How long, such as 50ms
        #[arg(value_parser = duration)]
        delay: Duration,
        /// Up to this much longer or shorter
        #[arg(long, default_value = "0ms", value_parser = duration)]
        jitter: Duration,
    },
    /// Lose frames between two nodes
    Loss {
        #[command(flatten)]
        between: Between,
        /// How many, in per cent
        percent: f64,
    },
    /// Let the link between two nodes go down and up again and again
    Flap {
        #[command(flatten)]
        between: Between,
        /// How long it is down
        #[arg(long, default_value = "2s", value_parser = duration)]
        down: Duration,
        /// How long it is up
        #[arg(long, default_value = "5s", value_parser = duration)]
        up: Duration,
    },
    /// Write every frame of the data network to a pcap file
    Capture {
        /// The file; without one, the capture ends
        file: Option<PathBuf>,
    },
    /// Cut the power
    Kill(Nodes),
    /// Power on
    Boot(Nodes),
    /// Shut down cleanly and power off
    Off(Nodes),
    /// Reboot cleanly
    Reboot(Nodes),
    /// Let the kernel panic
    Crash(Nodes),
    /// Stop the machine where it is
    Hang(Nodes),
    /// Let a machine that hangs go on
    Resume(Nodes),
    /// Break a data disk, or mend it
    Disk {
        /// What to do
        order: DiskOrder,
        /// The node
        node: String,
        /// Which disk, from 1
        #[arg(default_value_t = 1)]
        disk: u8,
    },
    /// Break a pair at random while its service writes, round after round, and check that nothing is lost
    Chaos {
        /// How many rounds, of 20 to 60 s each
        #[arg(long, default_value_t = 10)]
        rounds: u32,
        /// The faults follow from it
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Begin with this round of the seed
        #[arg(long, default_value_t = 1)]
        first: u32,
        /// Show the rounds and do nothing
        #[arg(long)]
        plan: bool,
        /// Keep consoles, journals and disks in any case
        #[arg(long)]
        keep: bool,
    },
    /// Measure how long a pair's service is away after each kind of fault, and what takes so long
    Failover {
        /// DRBD's ping-int in seconds, one table for each
        #[arg(long, value_delimiter = ',', default_value = "1,10", value_parser = clap::value_parser!(u8).range(1..=120))]
        ping_int: Vec<u8>,
        /// Do each fault so often; the one in the middle is shown
        #[arg(long, default_value_t = 1)]
        repeat: u32,
        /// Print the tables for a document
        #[arg(long)]
        markdown: bool,
    },
    /// Remove what failed tests have kept and what dead processes have left
    Clean,
    /// The cluster's process
    #[command(hide = true)]
    Serve(Up),
    /// A machine's keeper
    #[command(hide = true, name = lab::keeper::KEEP)]
    Keep,
    /// Becomes a machine
    #[command(hide = true, name = lab::keeper::RUN_NODE)]
    RunNode {
        /// The C library that it is started with
        #[arg(long)]
        library: Option<String>,
        program: PathBuf,
        #[arg(last = true)]
        args: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// How many nodes: n1, n2, ...
    #[arg(default_value_t = 2)]
    pub(crate) nodes: u8,
    /// Data disks of each node
    #[arg(long, default_value_t = 1)]
    pub(crate) disks: u8,
    /// The size of a data disk in MiB; the files are sparse
    #[arg(long, default_value_t = 256)]
    pub(crate) disk_mib: u64,
    /// The memory of a node in MiB
    #[arg(long, default_value_t = 384)]
    pub(crate) memory_mib: u32,
    /// For everything random in the network: loss and jitter
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Another image of the root file system than that of `lab image`
    #[arg(long)]
    pub(crate) image: Option<PathBuf>,
    /// Another User-Mode Linux kernel than that of `lab image`
    #[arg(long, conflicts_with = "backend")]
    pub(crate) kernel: Option<PathBuf>,
    /// Its modules [default: ../lib/uml/modules beside the kernel's folder, as Debian's package has them]
    #[arg(long, requires = "kernel")]
    pub(crate) modules: Option<PathBuf>,
    /// Keep consoles, journals and disks after `lab down`
    #[arg(long)]
    pub(crate) keep: bool,
    /// All of what the nodes run, as `lab up` tells the cluster's process
    #[arg(long, hide = true)]
    pub(crate) given: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Between {
    /// From this node
    pub(crate) a: String,
    /// To this one, and back
    pub(crate) b: String,
    /// Only from the first to the second node
    #[arg(long)]
    pub(crate) one_way: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Nodes {
    /// Which nodes
    #[arg(required = true)]
    pub(crate) nodes: Vec<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |_| "a number with a unit is needed, such as 50ms, 1.5s or 2min".to_owned();
    let duration: jiff::SignedDuration = text.parse().map_err(wrong)?;
    Duration::try_from(duration).map_err(wrong)
}

/// A name that is one plain word of a path.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 20 && text.chars().all(plain) && !text.starts_with('-') {
        return Ok(text.to_owned());
    }
    Err("a cluster's name has up to 20 letters, digits, - and _".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        for wrong in ["", "5", "ms", "5 parsec", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_belongs_to_the_command_in_the_node_is_left_alone() {
        let cli = Cli::parse_from(["lab", "exec", "n1", "--", "ls", "-l", "--help"]);
        let Command::Exec { command, .. } = cli.command else { panic!("{cli:?}") };
        assert_eq!(command, ["ls", "-l", "--help"]);
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for wrong in ["..", "a/b", "", "-x"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
