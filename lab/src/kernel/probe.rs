//! One boot of one node, which shows whether a kernel runs here.

use std::path::Path;
use std::time::{Duration, Instant};

use super::decision::Outcome;
use super::{Candidate, KernelError};
use crate::cluster::{Cluster, ClusterError, Options};

/// A kernel that runs is up in seconds; an old one on a machine with much else to do may take a minute.
const BOOT: Duration = Duration::from_secs(150);
/// What a node of the tests has to be able to do besides: DRBD, and a reboot in place, where the kernel starts itself once more.
const TASKS: &str = "modprobe drbd && test -e /proc/drbd";

/// Boots a node. Only what is the kernel's own fault is an outcome; that this host cannot run nodes at all is an error.
pub(super) fn boot(candidate: &Candidate, base: &Path) -> Result<Outcome, KernelError> {
    let image = candidate.image(base);
    // A thread has no runtime around it, whoever calls.
    let tried = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ClusterError::Line { node: "n1".to_owned(), source })?;
        runtime.block_on(try_it(image))
    });
    match tried.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
        Ok(seconds) => Ok(Outcome::Boots { seconds }),
        Err(
            error @ (ClusterError::Host { .. }
            | ClusterError::RunDir(_)
            | ClusterError::Switch(_)
            | ClusterError::Line { .. }
            | ClusterError::Killed { .. }),
        ) => Err(error.into()),
        Err(error) => Ok(Outcome::SetAside { why: sentence(&error) }),
    }
}

async fn try_it(image: crate::image::Image) -> Result<f64, ClusterError> {
    let mut options = Options::new(1, image);
    options.name = format!("try-{}", options.name);
    options.boot_within = BOOT;
    let began = Instant::now();
    let cluster = Cluster::up(&options).await?;
    let took = began.elapsed();
    let node = cluster.node("n1")?;
    node.sh(TASKS, BOOT).await?;
    node.reboot(BOOT).await?;
    Ok((took.as_secs_f64() * 10.0).round() / 10.0)
}

/// What went wrong, without the console's many lines.
fn sentence(error: &ClusterError) -> String {
    match error {
        ClusterError::Boot { why, console, .. } => match last_words(console) {
            Some(words) => format!("{why}, and its console ends with \"{words}\""),
            None => format!("{why}, and its console is empty"),
        },
        ClusterError::Command { command, output, .. } => {
            format!("`{command}` fails in a node: {}", output.lines().last().unwrap_or("it says nothing"))
        }
        other => super::suite::chain(other).lines().next().unwrap_or_default().to_owned(),
    }
}

/// What a kernel says when it panics, or its last line.
fn last_words(console: &str) -> Option<String> {
    let panic = console.lines().rev().find_map(|line| line.split_once("Kernel panic - not syncing: "));
    let last = || console.lines().rev().map(str::trim).find(|line| !line.is_empty());
    panic.map(|(_, words)| words).or_else(last).map(|words| words.trim().chars().take(160).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_sentence_however_long_its_console_is() {
        let console =
            "a\n[    1.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\nCPU: 0\n RIP: 1\n";
        let error = ClusterError::Boot {
            node: "n1".to_owned(),
            why: "crashed (kernel panic)".to_owned(),
            console: console.to_owned(),
        };
        let words = "Attempted to kill init! exitcode=0x0000000b";
        assert_eq!(sentence(&error), format!("crashed (kernel panic), and its console ends with \"{words}\""));
        assert_eq!(last_words("one\ntwo\n\n").as_deref(), Some("two"));
        assert_eq!(last_words("\n"), None);
    }
}
