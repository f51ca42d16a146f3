//! Names that may have been meant.

/// Names longer than this are not compared: nobody types them.
const MAX_WORD: usize = 64;

/// Names that are proposed.
const MAX_NEAR: usize = 5;

/// Those of `names` that `word` may have been meant for: that begin or end with it, or differ by a slip or two; the nearest first.
pub(super) fn near<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let wanted: Vec<char> = fold(word);
    if wanted.is_empty() || wanted.len() > MAX_WORD {
        return Vec::new();
    }
    let allowed = (wanted.len() / 3).clamp(1, 2);
    let mut found: Vec<(usize, &str)> = names.filter_map(|name| Some((apart(&wanted, name, allowed)?, name))).collect();
    found.sort_unstable();
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().take(MAX_NEAR).map(|(_, name)| name.to_owned()).collect()
}

fn fold(word: &str) -> Vec<char> {
    word.chars().take(MAX_WORD + 1).map(|c| c.to_ascii_lowercase()).collect()
}

/// How far apart they are, if they are near.
fn apart(wanted: &[char], name: &str, allowed: usize) -> Option<usize> {
    let name = fold(name);
    if wanted.len() > 2 && (name.starts_with(wanted) || name.ends_with(wanted)) {
        return Some(allowed);
    }
    if name.len().abs_diff(wanted.len()) > allowed {
        return None;
    }
    Some(slips(wanted, &name)).filter(|slips| *slips <= allowed)
}

/// Characters that are inserted, deleted, or replaced.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = last[0];
        last[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = before + usize::from(x != y);
            before = last[j + 1];
            last[j + 1] = replaced.min(last[j] + 1).min(before + 1);
        }
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_beginnings_are_near() {
        let names = ["sda", "sdb", "sda1", "mpatha", "mpathb", "nvme0n1", "wwn-0x6001405aabb"];
        let of = |word| near(word, names.into_iter());
        assert_eq!(of("mpathc"), ["mpatha", "mpathb"]);
        assert_eq!(of("nvme0"), ["nvme0n1"]);
        assert_eq!(of("6001405aabb"), ["wwn-0x6001405aabb"]);
        assert_eq!(of("elephant"), [""; 0]);
        assert_eq!(of(""), [""; 0]);
        assert_eq!(of(&"a".repeat(200)), [""; 0]);
    }
}
