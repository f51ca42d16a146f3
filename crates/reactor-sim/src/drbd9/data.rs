//! What is on the disks: generations of data and how many acknowledged writes each holds.
//!
//! DRBD tells by UUIDs whether one disk's data is an earlier state of another's. The model knows the truth: a tree of
//! generations. Who is promoted and writes begins a new one, so two nodes that both write diverge.

/// A state of the data of one volume: a generation, and how many records it holds, those of its ancestors included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) generation: usize,
    pub(super) writes: u64,
}

/// A generation: where it branched off.
#[derive(Clone, Copy, Debug)]
struct Generation {
    from: Option<Version>,
}

/// How the data of two disks relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    /// The first is an earlier state of the second.
    Earlier,
    /// The first is a later state of the second.
    Later,
    Diverged,
}

/// All generations of a cluster.
#[derive(Debug)]
pub(super) struct Lineage {
    generations: Vec<Generation>,
}

impl Lineage {
    /// The data that every disk begins with.
    pub(super) const FIRST: Version = Version { generation: 0, writes: 0 };

    pub(super) fn new() -> Self {
        Self { generations: vec![Generation { from: None }] }
    }

    /// Begins a generation on top of `from`.
    pub(super) fn branch(&mut self, from: Version) -> Version {
        self.generations.push(Generation { from: Some(from) });
        Version { generation: self.generations.len() - 1, writes: from.writes }
    }

    /// Whether `old` is `new` or an earlier state of it.
    pub(super) fn contains(&self, new: Version, old: Version) -> bool {
        let mut at = new;
        loop {
            if at.generation == old.generation {
                return old.writes <= at.writes;
            }
            match self.generations[at.generation].from {
                Some(from) => at = from,
                None => return false,
            }
        }
    }

    pub(super) fn relation(&self, one: Version, other: Version) -> Relation {
        if one == other {
            return Relation::Equal;
        }
        let (before, after) = (self.contains(other, one), self.contains(one, other));
        // Two generations without a write of their own hold the same records.
        if (before && after) || ((before || after) && one.writes == other.writes) {
            return Relation::Equal;
        }
        match (before, after) {
            (true, _) => Relation::Earlier,
            (false, true) => Relation::Later,
            (false, false) => self.without_own_writes(one, other),
        }
    }

    /// Neither is in the other's line; they diverged only if both were written since the fork.
    fn without_own_writes(&self, one: Version, other: Version) -> Relation {
        let fork = self.fork(one, other);
        match (one.writes == fork.writes, other.writes == fork.writes) {
            (true, true) => Relation::Equal,
            (true, false) => Relation::Earlier,
            (false, true) => Relation::Later,
            (false, false) => Relation::Diverged,
        }
    }

    /// The newest state that both contain.
    pub(super) fn fork(&self, one: Version, other: Version) -> Version {
        let mut at = one;
        loop {
            if let Some(common) = self.within(other, at) {
                return common;
            }
            match self.generations[at.generation].from {
                Some(from) => at = from,
                None => return Self::FIRST,
            }
        }
    }

    /// The part of `version`'s generation that is in the line of `line`.
    fn within(&self, line: Version, version: Version) -> Option<Version> {
        let mut at = line;
        loop {
            if at.generation == version.generation {
                return Some(Version { generation: at.generation, writes: at.writes.min(version.writes) });
            }
            at = self.generations[at.generation].from?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_written_on_two_nodes_diverges_and_on_one_does_not() {
        let mut lineage = Lineage::new();
        let mut one = lineage.branch(Lineage::FIRST);
        one.writes += 3;
        let old = one;
        let mut two = lineage.branch(one);
        assert_eq!(lineage.relation(one, two), Relation::Equal);
        two.writes += 1;
        assert_eq!(lineage.relation(one, two), Relation::Earlier);
        one.writes += 1;
        assert_eq!(lineage.relation(one, two), Relation::Diverged);
        assert_eq!(lineage.fork(one, two), old);
    }
}
