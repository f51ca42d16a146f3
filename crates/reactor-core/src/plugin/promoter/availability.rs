//! Whether a service is up, as one word made of many: OpenSVC's algebra, which its users know from `print status`.
//!
//! What does not apply is neutral, `warn` absorbs everything, and what is up beside what is down is `warn`. What belongs to a node that does not
//! run the service, as a Secondary, is `stdby up`: it is no fault that the rest of it is down. How well it is (a peer that is missing, an optional
//! entry that has failed) is no part of it: that would keep a good node from being used.

use std::fmt;

/// The value of one part, or of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, PartialOrd, Ord)]
pub enum Availability {
    /// Not known.
    #[default]
    Undef,
    /// It does not apply here.
    NotApplicable,
    /// It runs.
    Up,
    /// It does not run.
    Down,
    /// Its parts contradict each other.
    Warn,
    /// It runs, as it should on a node that does not run the service.
    StandbyUp,
    /// It does not run, as it should on a node that does not run the service.
    StandbyDown,
}

impl Availability {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Undef, Self::NotApplicable, Self::Up, Self::Down, Self::Warn, Self::StandbyUp, Self::StandbyDown];

    /// As status and JSON spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undef => "undef",
            Self::NotApplicable => "n/a",
            Self::Up => "up",
            Self::Down => "down",
            Self::Warn => "warn",
            Self::StandbyUp => "stdby up",
            Self::StandbyDown => "stdby down",
        }
    }

    /// What all parts come to, whatever their order.
    pub fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut has = [false; Self::ALL.len()];
        for part in parts {
            has[part as usize] = true;
        }
        let has = |part: Self| has[part as usize];
        let (up, down) = (has(Self::Up), has(Self::Down));
        let (standby_up, standby_down) = (has(Self::StandbyUp), has(Self::StandbyDown));
        match () {
            () if has(Self::Warn) || (up && (down || standby_down)) || (standby_up && standby_down) => Self::Warn,
            () if up => Self::Up,
            () if standby_down => Self::StandbyDown,
            () if standby_up => Self::StandbyUp,
            () if down => Self::Down,
            () if has(Self::NotApplicable) => Self::NotApplicable,
            () => Self::Undef,
        }
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Availability::{self, Down, NotApplicable, StandbyDown, StandbyUp, Undef, Up, Warn};

    /// The table of two, as OpenSVC has it.
    #[test]
    fn the_truth_table_of_two() {
        let order = [Undef, NotApplicable, Up, Down, Warn, StandbyUp, StandbyDown];
        #[rustfmt::skip]
        let table = [
            [Undef,         NotApplicable, Up,   Down,        Warn, StandbyUp, StandbyDown],
            [NotApplicable, NotApplicable, Up,   Down,        Warn, StandbyUp, StandbyDown],
            [Up,            Up,            Up,   Warn,        Warn, Up,        Warn],
            [Down,          Down,          Warn, Down,        Warn, StandbyUp, StandbyDown],
            [Warn,          Warn,          Warn, Warn,        Warn, Warn,      Warn],
            [StandbyUp,     StandbyUp,     Up,   StandbyUp,   Warn, StandbyUp, Warn],
            [StandbyDown,   StandbyDown,   Warn, StandbyDown, Warn, Warn,      StandbyDown],
        ];
        for (row, one) in order.into_iter().enumerate() {
            for (column, other) in order.into_iter().enumerate() {
                assert_eq!(Availability::of_all([one, other]), table[row][column], "{one} and {other}");
            }
        }
    }

    /// OpenSVC adds part by part, with two values in between that it shows as others. Told here in another way, as a check of the closed form.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Added {
        Plain(Availability),
        /// Up beside what is up as standby; shown as up.
        StandbyUpAndUp,
        /// Down beside what is up as standby; shown as stdby up.
        StandbyUpAndDown,
    }

    impl Added {
        fn add(self, part: Availability) -> Self {
            use Added::{Plain, StandbyUpAndDown, StandbyUpAndUp};
            match (self, part) {
                (_, Warn) | (Plain(Warn), _) => Plain(Warn),
                (one, Undef | NotApplicable) if one != Plain(Undef) => one,
                (Plain(Undef | NotApplicable), part) => Plain(part),
                (Plain(Up), Up) => Plain(Up),
                (Plain(Up), StandbyUp) | (Plain(StandbyUp), Up) | (StandbyUpAndUp, Up | StandbyUp) => StandbyUpAndUp,
                (Plain(Down), Down) => Plain(Down),
                (Plain(Down), StandbyUp) | (Plain(StandbyUp), Down) | (StandbyUpAndDown, Down | StandbyUp) => {
                    StandbyUpAndDown
                }
                (Plain(Down | StandbyDown), StandbyDown) | (Plain(StandbyDown), Down) => Plain(StandbyDown),
                (Plain(StandbyUp), StandbyUp) => Plain(StandbyUp),
                _ => Plain(Warn),
            }
        }

        fn shown(self) -> Availability {
            match self {
                Self::Plain(value) => value,
                Self::StandbyUpAndUp => Up,
                Self::StandbyUpAndDown => StandbyUp,
            }
        }
    }

    #[test]
    fn part_by_part_comes_to_the_same_in_any_order() {
        let mut sequences: Vec<Vec<Availability>> = vec![vec![]];
        let mut seen = 0;
        for _ in 0..5 {
            let longer = |one: &Vec<Availability>| {
                Availability::ALL.map(|next| one.iter().copied().chain([next]).collect::<Vec<_>>())
            };
            sequences = sequences.iter().flat_map(longer).collect();
            for parts in &sequences {
                let added = parts.iter().fold(Added::Plain(Undef), |sum, part| sum.add(*part));
                assert_eq!(added.shown(), Availability::of_all(parts.iter().copied()), "{parts:?}");
                seen += 1;
            }
        }
        assert_eq!(seen, 19_607);
    }
}
