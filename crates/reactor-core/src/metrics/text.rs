//! The words of the text format: headers, labels, numbers.

/// Type of a metric family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows; starts at 0 again with DRBD or with the daemon.
    Counter,
    /// A sum and a count.
    Summary,
}

impl Kind {
    /// The word in the TYPE line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Summary => "summary",
        }
    }
}

/// Value of a sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    /// A whole number.
    Whole(u64),
    /// One that may be below zero.
    Signed(i64),
    /// Any other; written with at most six digits behind the point. Not finite = no sample.
    Real(f64),
}

impl Number {
    /// Something that is equal for numbers that are written alike. A family has one kind of numbers.
    pub(super) fn bits(self) -> u64 {
        match self {
            Self::Whole(number) => number,
            Self::Signed(number) => number.cast_unsigned(),
            Self::Real(number) => number.to_bits(),
        }
    }
}

impl From<bool> for Number {
    fn from(flag: bool) -> Self {
        Self::Whole(u64::from(flag))
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

/// TYPE comes before HELP, as drbd-reactor has it.
pub(super) fn header(out: &mut Vec<u8>, name: &str, kind: Kind, help: &str) {
    for part in ["# TYPE ", name, " ", kind.as_str(), "\n# HELP ", name, " "] {
        out.extend_from_slice(part.as_bytes());
    }
    escape(out, help, b"\\\n");
    out.push(b'\n');
}

/// Bytes that a label's value may have. Names of DRBD have 127 at most; what comes from elsewhere may have any number.
const LONGEST: usize = 256;

/// Of a longer one, the bytes that are kept; behind them comes a sum of all of it, so that two that begin alike stay two.
const KEPT: usize = LONGEST - 24;

/// `LABEL="VALUE"`, the value escaped, and not longer than [`LONGEST`].
pub(super) fn label(out: &mut Vec<u8>, label: &str, value: &str) {
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(b"=\"");
    if value.len() <= LONGEST {
        escape(out, value, b"\\\n\"");
    } else {
        let end = (0..=KEPT).rev().find(|end| value.is_char_boundary(*end)).unwrap_or_default();
        escape(out, &value[..end], b"\\\n\"");
        out.extend_from_slice(format!("...{:016x}", sum(value)).as_bytes());
    }
    out.push(b'"');
}

/// FNV-1a: the same on every node and in every version.
fn sum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `{A="..",B=".."}`, or nothing without labels.
pub(super) fn labels(out: &mut Vec<u8>, labels: &[(&str, &str)]) {
    let mut before = b'{';
    for (name, value) in labels {
        out.push(before);
        label(out, name, value);
        before = b',';
    }
    if !labels.is_empty() {
        out.push(b'}');
    }
}

/// ` VALUE` and the end of the line.
pub(super) fn value(out: &mut Vec<u8>, number: Number) {
    out.push(b' ');
    digits(out, number);
    out.push(b'\n');
}

/// A number.
pub(super) fn digits(out: &mut Vec<u8>, number: Number) {
    match number {
        // Almost all numbers of a quiet cluster.
        Number::Whole(digit @ 0..=9) => out.push(b'0' + digit as u8),
        Number::Whole(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Number::Signed(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Number::Real(number) => out.extend_from_slice(((number * 1e6).round() / 1e6).to_string().as_bytes()),
    }
}

fn escape(out: &mut Vec<u8>, text: &str, special: &[u8]) {
    if !text.bytes().any(|byte| special.contains(&byte)) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'\n' if special.contains(&byte) => out.extend_from_slice(b"\\n"),
            _ if special.contains(&byte) => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn label_values_are_escaped() {
        let text = written(|out| labels(out, &[("name", "a\"b\\c\nd"), ("other", "é")]));
        assert_eq!(text, r#"{name="a\"b\\c\nd",other="é"}"#);
    }

    #[test]
    fn a_long_value_is_cut_and_stays_another_than_those_that_begin_alike() {
        let of = |value: &str| written(|out| label(out, "name", value));
        let fits = "x".repeat(LONGEST);
        assert_eq!(of(&fits), format!("name=\"{fits}\""));
        for longer in ["x".repeat(LONGEST + 1), "é".repeat(40_000), "\"\n".repeat(30_000)] {
            let (cut, other) = (of(&longer), of(&(longer.clone() + "y")));
            // Escaping doubles at most what is kept.
            assert!(cut.len() < 2 * LONGEST && cut.starts_with("name=\"") && cut.ends_with('"'), "{cut}");
            assert_ne!(cut, other);
        }
    }

    #[test]
    fn numbers() {
        let check = |number, expected: &str| assert_eq!(written(|out| value(out, number)), format!(" {expected}\n"));
        check(Number::Whole(0), "0");
        check(Number::Whole(10), "10");
        check(Number::Whole(u64::MAX), "18446744073709551615");
        check(Number::Signed(-3), "-3");
        check(Number::Real(99.99 / 100.0), "0.9999");
        check(Number::Real(0.000_001), "0.000001");
        check(Number::Real(1e9), "1000000000");
    }

    #[test]
    fn a_header_is_two_lines_whatever_the_help_says() {
        let text = written(|out| header(out, "x_total", Kind::Counter, "a\nb\\c \"d\""));
        assert_eq!(text, "# TYPE x_total counter\n# HELP x_total a\\nb\\\\c \"d\"\n");
    }
}
