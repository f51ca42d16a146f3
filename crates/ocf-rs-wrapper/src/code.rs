//! What an agent's exit code means (OCF resource agent API 1.1).

use std::fmt;

/// An exit code of an agent, by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    /// 0: done; of a monitor: it runs.
    Success,
    /// 1: it failed, whatever the reason.
    Generic,
    /// 2: a parameter is wrong.
    Args,
    /// 3: the agent does not know this action.
    Unimplemented,
    /// 4: a right is missing.
    Permission,
    /// 5: a program or file that the agent needs is not on this machine.
    Installed,
    /// 6: a parameter is wrong on every machine.
    Configured,
    /// 7: it does not run, and nothing is left of it.
    NotRunning,
    /// 8: it runs, in the promoted role.
    RunningPromoted,
    /// 9: it failed in the promoted role.
    FailedPromoted,
    /// 190: it runs, but not well.
    Degraded,
    /// 191: it runs in the promoted role, but not well.
    DegradedPromoted,
    /// A number that the API does not define.
    Other(u8),
}

impl Code {
    /// The meaning of a number.
    pub(crate) fn new(number: u8) -> Self {
        match number {
            0 => Self::Success,
            1 => Self::Generic,
            2 => Self::Args,
            3 => Self::Unimplemented,
            4 => Self::Permission,
            5 => Self::Installed,
            6 => Self::Configured,
            7 => Self::NotRunning,
            8 => Self::RunningPromoted,
            9 => Self::FailedPromoted,
            190 => Self::Degraded,
            191 => Self::DegradedPromoted,
            other => Self::Other(other),
        }
    }

    /// Its number.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Generic => 1,
            Self::Args => 2,
            Self::Unimplemented => 3,
            Self::Permission => 4,
            Self::Installed => 5,
            Self::Configured => 6,
            Self::NotRunning => 7,
            Self::RunningPromoted => 8,
            Self::FailedPromoted => 9,
            Self::Degraded => 190,
            Self::DegradedPromoted => 191,
            Self::Other(number) => number,
        }
    }

    /// Whether the service runs, well or not.
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Success | Self::RunningPromoted) || self.is_degraded()
    }

    /// Whether the service runs, but not well.
    pub(crate) fn is_degraded(self) -> bool {
        matches!(self, Self::Degraded | Self::DegradedPromoted)
    }

    /// Its name in words.
    fn words(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Generic => "error",
            Self::Args => "bad parameter",
            Self::Unimplemented => "action not known to the agent",
            Self::Permission => "not permitted",
            Self::Installed => "something it needs is not installed",
            Self::Configured => "not configured",
            Self::NotRunning => "not running",
            Self::RunningPromoted => "running promoted",
            Self::FailedPromoted => "failed promoted",
            Self::Degraded => "running degraded",
            Self::DegradedPromoted => "running promoted degraded",
            Self::Other(_) => "a code that OCF does not define",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number(), self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for number in 0..=u8::MAX {
            assert_eq!(Code::new(number).number(), number);
            assert_eq!(Code::new(number).is_running(), [0, 8, 190, 191].contains(&number), "{number}");
        }
        assert_eq!(Code::NotRunning.to_string(), "7 (not running)");
    }
}
