//! Groups by name: their numbers are not the same on all nodes. Only those of `/etc/group`; others go by their number.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The file.
const FILE: &str = "/etc/group";
/// It is not read further.
const MAX_BYTES: u64 = 4 << 20;

/// Name and number of each group of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Groups(Vec<(String, u32)>);

impl Groups {
    /// Those of this machine; none if the file can't be read.
    pub(crate) fn here() -> Self {
        let mut text = Vec::new();
        // What can't be read has no names.
        let _ = File::open(Path::new(FILE)).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Self {
        let group = |line: &str| {
            let mut parts = line.split(':');
            let (name, number) = (parts.next()?, parts.nth(1)?.parse().ok()?);
            (!name.is_empty() && !name.starts_with(['#', '+', '-'])).then(|| (name.to_owned(), number))
        };
        Self(text.lines().filter_map(group).collect())
    }

    /// What a group is called, or its number.
    pub(crate) fn name(&self, number: u32) -> String {
        let found = self.0.iter().find(|(_, known)| *known == number);
        found.map_or_else(|| number.to_string(), |(name, _)| name.clone())
    }

    /// Its number here; `None` = there is no such group.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
        // The highest number means "leave it as it is".
        found.or_else(|| name.parse().ok()).filter(|number| *number != u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_goes_by_its_name_and_without_one_by_its_number() {
        let groups = Groups::parse("root:x:0:\n# wheel:x:10:\npostgres:x:114:alice,bob\n+nis:x:9:\nbroken\nodd:x:y:\n");
        assert_eq!((groups.name(114), groups.name(9), groups.name(7)), ("postgres".into(), "9".into(), "7".into()));
        assert_eq!(
            (groups.number("postgres"), groups.number("root"), groups.number("9")),
            (Some(114), Some(0), Some(9))
        );
        assert_eq!((groups.number("wheel"), groups.number("-1"), groups.number("4294967295")), (None, None, None));
    }
}
