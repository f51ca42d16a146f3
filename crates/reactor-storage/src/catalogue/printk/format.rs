//! A format of printk, as a pattern: what stands in it, and anything where it has a conversion.

/// Letters that a format must have to tell anything: `%s: %s` makes every line.
const TELLING: usize = 6;

/// The same where it only says who speaks, before a text that another format has made: `EXT4-fs (%s): %pV`.
const TELLING_HEAD: usize = 4;

/// One format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// What stands before the first conversion, between each two, and behind the last.
    pieces: Vec<String>,
}

impl Format {
    /// `None`: it tells nothing.
    pub(super) fn new(format: &str) -> Option<Self> {
        let (pieces, is_open) = pieces(format);
        let letters: usize = pieces.iter().flat_map(|piece| piece.chars()).filter(|c| c.is_alphabetic()).count();
        (letters >= if is_open { TELLING_HEAD } else { TELLING }).then_some(Self { pieces })
    }

    /// Whether it makes this line, which has a blank before it. A format that ends with a text of another one may make it.
    pub(super) fn makes(&self, line: &str) -> bool {
        let [first, rest @ ..] = &self.pieces[..] else { return false };
        let Some((last, between)) = rest.split_last() else { return line.trim() == first.trim() };
        let Some(mut left) = begin(line, first) else { return false };
        for piece in between {
            match left.find(piece.as_str()) {
                Some(at) => left = &left[at + piece.len()..],
                None => return false,
            }
        }
        left.trim_end().ends_with(last.trim_end())
    }
}

/// The line without what the format begins with. The blank before the line is the line's if the format wants one.
fn begin<'l>(line: &'l str, first: &str) -> Option<&'l str> {
    line.strip_prefix(first).or_else(|| line.strip_prefix(' ')?.strip_prefix(first))
}

/// What stands in a format between its conversions, and whether one of them is a text that was made elsewhere (`%pV`).
fn pieces(format: &str) -> (Vec<String>, bool) {
    let (mut pieces, mut is_open) = (vec![String::new()], false);
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            pieces.last_mut().expect("there is always one").push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            pieces.last_mut().expect("there is always one").push('%');
            continue;
        }
        while chars.next_if(|c| c.is_ascii_digit() || "-+ #.*".contains(*c)).is_some() {}
        while chars.next_if(|c| "hlLzjtq".contains(*c)).is_some() {}
        // What is meant by a pointer is said by the letters behind it: lib/vsprintf.c takes all that there are.
        if chars.next() == Some('p') {
            is_open |= chars.peek() == Some(&'V');
            while chars.next_if(char::is_ascii_alphanumeric).is_some() {}
        }
        pieces.push(String::new());
    }
    (pieces, is_open)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn makes(format: &str, line: &str) -> bool {
        Format::new(format).is_some_and(|format| format.makes(&format!(" {line}")))
    }

    #[test]
    fn a_format_makes_its_lines_and_no_others() {
        let failing = "device-mapper: multipath: %s: Failing path %s.\n";
        assert!(makes(failing, "device-mapper: multipath: 253:3: Failing path 8:48."));
        assert!(!makes(failing, "device-mapper: multipath: Failing path 8:48."));
        assert!(!makes(failing, "device-mapper: multipath: 253:3: Reinstating path 8:48."));
        assert!(makes("%s %s: detected conn error (%d)\n", "connection1:0: detected conn error (1020)"));
        assert!(makes(
            "%s %s: NVME-FC{%d}: controller connect complete\n",
            "nvme nvme1: NVME-FC{0}: controller connect complete"
        ));
        assert!(makes(
            "Buffer I/O error on dev %pg, logical block %llu%s\n",
            "Buffer I/O error on dev dm-0, logical block 7, async page read"
        ));
        assert!(makes("%s: Warning: %5.1lf%% of blocks are used\n", "sda: Warning: 85.2% of blocks are used"));
        assert!(makes("no conversion in it at all\n", "no conversion in it at all"));
        assert!(!makes("no conversion in it at all\n", "no conversion in it at all, or so"));
    }

    #[test]
    fn a_text_that_is_made_elsewhere_may_be_any_and_what_tells_nothing_is_none() {
        assert!(makes("%sEXT4-fs (%s): %pV\n", "EXT4-fs (sda1): Remounting filesystem read-only"));
        assert!(!makes("%sEXT4-fs (%s): %pV\n", "XFS (sda1): Ending clean mount"));
        for nothing in ["%s", "%s: %s\n", "%s%pV\n", "%s: %d err\n", "", "%"] {
            assert_eq!(Format::new(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_format_is_held_against_any_line(format in "[a-z%pVl0-9. \\\\]{0,60}", line in "\\PC{0,60}") {
            let _ = makes(&format, &line);
        }

        /// What is put in the place of conversions does not matter.
        #[test]
        fn a_line_that_was_made_of_a_format_is_found(texts in proptest::collection::vec("[a-z:]{1,8}", 3), number in any::<u32>()) {
            let line = format!("drive {}: it fails at {number} of {} ({})", texts[0], texts[1], texts[2]);
            prop_assert!(makes("drive %s: it fails at %u of %s (%-8.3s)\n", &line));
        }
    }
}
