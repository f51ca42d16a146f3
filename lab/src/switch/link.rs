//! One direction of one pair of nodes: what happens to the frames on it.

use std::fmt;
use std::time::Duration;

/// A share of frames, exact and comparable where a float is neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartsPerMillion(pub u32);

impl PartsPerMillion {
    /// From per cent; what is below 0 or above 100 becomes that bound.
    #[must_use]
    pub fn from_percent(percent: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        Self((percent.clamp(0.0, 100.0) * 10_000.0).round() as u32)
    }
}

impl fmt::Display for PartsPerMillion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 10_000.0)
    }
}

/// A link that goes down and comes up by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flap {
    /// The first moment of the first down time.
    pub since: Duration,
    /// How long it is down.
    pub down: Duration,
    /// How long it is up after that, before it is down again.
    pub up: Duration,
}

impl Flap {
    /// Is the link down at this moment?
    #[must_use]
    pub fn is_down(self, now: Duration) -> bool {
        let period = (self.down + self.up).as_nanos();
        let Some(into) = now.saturating_sub(self.since).as_nanos().checked_rem(period) else {
            return false;
        };
        into < self.down.as_nanos()
    }
}

/// The faults of one direction. The default is a link that works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Nothing passes.
    pub cut: bool,
    /// Nothing passes, now and then.
    pub flap: Option<Flap>,
    /// Each frame takes this long.
    pub delay: Duration,
    /// Each frame takes up to this much longer or shorter than `delay`; order is kept.
    pub jitter: Duration,
    /// This share of the frames is lost.
    pub loss: PartsPerMillion,
}

impl Link {
    /// Does the link carry anything at this moment?
    #[must_use]
    pub fn is_open(&self, now: Duration) -> bool {
        !self.cut && !self.flap.is_some_and(|flap| flap.is_down(now))
    }
}

/// A link's faults in words, for `lab status`.
#[derive(Debug)]
pub struct LinkState<'a>(pub &'a Link);

impl fmt::Display for LinkState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.0;
        let mut words = Vec::new();
        if link.cut {
            words.push("cut".to_owned());
        }
        if let Some(flap) = link.flap {
            words.push(format!("flapping ({:?} down, {:?} up)", flap.down, flap.up));
        }
        if link.delay > Duration::ZERO || link.jitter > Duration::ZERO {
            words.push(format!("delay {:?} +- {:?}", link.delay, link.jitter));
        }
        if link.loss > PartsPerMillion::default() {
            words.push(format!("loss {}", link.loss));
        }
        if words.is_empty() { f.write_str("ok") } else { f.write_str(&words.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flapping_begins_with_the_down_time_and_repeats() {
        let ms = Duration::from_millis;
        let flap = Flap { since: ms(1000), down: ms(200), up: ms(300) };
        let down: Vec<u64> = (10..25).map(|i| i * 100).filter(|at| flap.is_down(ms(*at))).collect();
        assert_eq!(down, [1000, 1100, 1500, 1600, 2000, 2100]);
    }

    #[test]
    fn a_flap_without_a_period_is_no_fault() {
        let flap = Flap { since: Duration::ZERO, down: Duration::ZERO, up: Duration::ZERO };
        assert!(!flap.is_down(Duration::from_secs(1)));
    }

    #[test]
    fn per_cent_are_exact_and_bounded() {
        let parts = [0.0, 0.5, 10.0, 100.0, 250.0, -3.0].map(|p| PartsPerMillion::from_percent(p).0);
        assert_eq!(parts, [0, 5_000, 100_000, 1_000_000, 1_000_000, 0]);
        assert_eq!(PartsPerMillion(5_000).to_string(), "0.5 %");
    }

    #[test]
    fn the_state_names_every_fault() {
        let mut link = Link::default();
        assert_eq!(LinkState(&link).to_string(), "ok");
        link.cut = true;
        link.loss = PartsPerMillion(20_000);
        link.delay = Duration::from_millis(50);
        assert_eq!(LinkState(&link).to_string(), "cut, delay 50ms +- 0ns, loss 2 %");
    }
}
