//! `generate-completion`: what a shell needs to complete our words.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Act, OldCli, Reach};
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::io::Io;

/// Print the script with which a shell completes the commands
#[derive(Clone, Debug, Args)]
pub struct GenerateCompletionArgs {
    /// The shell
    #[arg(value_name = "SHELL", default_value = "bash")]
    pub shell: Shell,
}

impl Act for GenerateCompletionArgs {
    fn act(&self, _place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        // It panics if it can't write, and a reader that has enough is no reason to.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut OldCli::command(), "drbd-reactorctl", &mut script);
        io.out.write_all(&script)?;
        Ok(Exit::Ok)
    }

    fn reach(&self) -> Reach {
        Reach::ThisNode
    }
}
