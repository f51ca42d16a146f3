//! Why there is no image, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A file of the cache, or one that goes into the image, cannot be used.
    #[error("cannot {what} {}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is not enough room for what has to be built.
    #[error("{} has {free_mib} MiB left and the image takes {needed_mib} MiB while it is built: make room, or set LAB_CACHE", .path.display())]
    Full {
        /// The cache.
        path: PathBuf,
        /// What is left.
        free_mib: u64,
        /// What is needed.
        needed_mib: u64,
    },
    /// A program is missing.
    #[error("{program} is needed to {purpose} and is not there; on Debian: apt install {package}")]
    Missing {
        /// Which one.
        program: &'static str,
        /// For what.
        purpose: &'static str,
        /// Where Debian has it.
        package: &'static str,
    },
    /// Whoever we are may not build an image.
    #[error(
        "building the image needs root, or a user namespace with a range of user ids, which this user has not got ({why}): \
         run it as root once, or add the user to /etc/subuid and /etc/subgid and install uidmap"
    )]
    Rights {
        /// What was refused.
        why: String,
    },
    /// Nobody said where Debian's packages are.
    #[error(
        "this machine's apt has no sources of Debian {suite}, which the nodes run: name a mirror, for example \
         LAB_MIRROR=http://MIRROR/debian"
    )]
    NoMirror {
        /// The release.
        suite: &'static str,
    },
    /// A package of the node's system cannot be fetched.
    #[error(
        "Debian's packages cannot be fetched: {said}; is {mirror} reachable from here? \
         A proxy is taken from http_proxy or apt's configuration, another mirror from LAB_MIRROR (the whole story is in {})",
        .log.display()
    )]
    Fetch {
        /// Where they should come from.
        mirror: String,
        /// The last words.
        said: String,
        /// All words.
        log: PathBuf,
    },
    /// A step of the building failed.
    #[error("cannot {step}: {said} (the whole story is in {})", .log.display())]
    Step {
        /// Which one.
        step: &'static str,
        /// The last words.
        said: String,
        /// All words.
        log: PathBuf,
    },
    /// A variable of the environment has no value that means something.
    #[error("{variable} is {value:?}, which is none of {known}")]
    Value {
        /// Which variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it can be.
        known: &'static str,
    },
    /// Machines with other processors are not run by QEMU here.
    #[error(
        "nodes run by QEMU are x86_64 machines, this machine is {architecture}: use User-Mode Linux (LAB_BACKEND=uml)"
    )]
    Architecture {
        /// What this machine is.
        architecture: &'static str,
    },
    /// A kernel cannot run nodes.
    #[error("the kernel in {} cannot run nodes, it lacks {missing}", .folder.display())]
    Kernel {
        /// Where it is.
        folder: PathBuf,
        /// What it lacks.
        missing: String,
    },
    /// The user's DRBD 9 is not complete.
    #[error("LAB_DRBD9_DIR={} is not complete, missing: {missing} (docs/lab.md says what belongs there)", .folder.display())]
    Drbd9 {
        /// The folder.
        folder: PathBuf,
        /// All that is missing.
        missing: String,
    },
    /// DRBD 9 is for a kernel of the user's, which User-Mode Linux does not run.
    #[error("LAB_DRBD9_DIR is set, and its kernel needs QEMU: --backend qemu, or LAB_BACKEND=qemu")]
    Drbd9NeedsQemu,
    /// The agent was linked with a C library that the node's system is too old for.
    #[error(
        "{} does not run in the node's system (Debian 12): {said}; it was probably linked with a newer C library. \
         Build a static one: `rustup target add x86_64-unknown-linux-musl`, then \
         `cargo build -p lab --bin lab-agent --target x86_64-unknown-linux-musl`, and name it with LAB_AGENT",
        .agent.display()
    )]
    Agent {
        /// The program.
        agent: PathBuf,
        /// The last words.
        said: String,
    },
}
