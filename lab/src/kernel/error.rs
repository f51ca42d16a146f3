//! Why no kernel runs nodes here.

use crate::cluster::ClusterError;
use crate::image::ImageError;

/// Why no kernel runs nodes here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// There is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// This host cannot run nodes at all, whatever the kernel is.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// None boots.
    #[error("no User-Mode Linux kernel runs on this machine: {tried} (LAB_BACKEND=qemu runs nodes in QEMU, slower)")]
    NoneRuns {
        /// What was tried, and what came of it.
        tried: String,
    },
}
