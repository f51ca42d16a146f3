//! Other programs, each with a limit of time: a tool that hangs must not keep a person waiting for ever.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Why a program has no output for us.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("can't run {program}")]
    Run {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{program} has not ended within {} s, and was killed", within.as_secs())]
    TimedOut { program: String, within: Duration },
}

/// Runs a program to its end and keeps what it prints; after `within` it is killed. `None` = however long it takes.
pub(crate) fn output(program: &Path, arguments: &[&str], within: Option<Duration>) -> Result<Output, ProgramError> {
    let name = || program.display().to_string();
    let failed = |source| ProgramError::Run { program: name(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let output = runtime.block_on(async {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
        match within {
            None => output.await.map_err(failed),
            Some(within) => match timeout(within, output).await {
                Ok(output) => output.map_err(failed),
                Err(_) => Err(ProgramError::TimedOut { program: name(), within }),
            },
        }
    });
    // One that can't be killed, because it hangs in the kernel, is not waited for.
    runtime.shutdown_background();
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_given_up_and_what_ends_is_heard() {
        let shell = Path::new("/bin/sh");
        let said = output(shell, &["-c", "echo a; echo b >&2; exit 3"], Some(Duration::from_secs(600))).unwrap();
        assert_eq!(
            (said.stdout.as_slice(), said.stderr.as_slice(), said.status.code()),
            (&b"a\n"[..], &b"b\n"[..], Some(3))
        );
        let error = output(shell, &["-c", "exec sleep 100000"], Some(Duration::from_millis(20))).unwrap_err();
        assert_eq!(error.to_string(), "/bin/sh has not ended within 0 s, and was killed");
        let error = output(Path::new("/nowhere/x"), &[], None).unwrap_err();
        assert_eq!(error.to_string(), "can't run /nowhere/x");
    }
}
