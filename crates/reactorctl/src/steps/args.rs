//! The arguments that `start`, `stop` and `restart` have in common.

use clap::Args;

use super::range::{RangeError, Step, Verb, select};

/// Which part, and how it is told.
#[derive(Clone, Debug, Default, Args)]
pub struct RangeArgs {
    /// Begin with this entry: its name in `status`, its unit, its number, or `drbd`. A part of a resource leaves it held
    #[arg(long, value_name = "ENTRY")]
    pub from: Option<String>,

    /// End with this entry. A part of a resource leaves it held
    #[arg(long, value_name = "ENTRY")]
    pub upto: Option<String>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Each line as a JSON object: `after-ms`, `about`, `level`, `text`
    #[arg(long)]
    pub json: bool,
}

impl RangeArgs {
    /// Whether only a part is asked for.
    pub(crate) fn is_a_part(&self) -> bool {
        self.from.is_some() || self.upto.is_some()
    }

    /// The steps, in the order of the action.
    pub(crate) fn select(&self, verb: Verb, steps: &[Step]) -> Result<Vec<Step>, RangeError> {
        select(verb, steps, self.from.as_deref(), self.upto.as_deref())
    }

    /// As it was written, for people who find the hold.
    pub(crate) fn written(&self) -> String {
        let from = self.from.as_ref().map(|from| format!(" --from {from}"));
        let upto = self.upto.as_ref().map(|upto| format!(" --upto {upto}"));
        format!("{}{}", from.unwrap_or_default(), upto.unwrap_or_default())
    }
}
