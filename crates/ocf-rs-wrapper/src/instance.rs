//! The instance that the agent is told: systemd's escaping is undone.

use std::fmt::Write;

/// What the agent gets as `OCF_RESOURCE_INSTANCE`, from the unit's name (`%n`) and the variable of the same name.
///
/// The unit sets the variable to `%i`, which is escaped. A variable that is not the escaped instance of this unit was set by somebody
/// on purpose, and stays as it is. An instance with a `/` in it stays escaped: agents make file names of it.
pub(crate) fn of(unit: &str, variable: Option<&str>) -> String {
    let escaped = from_unit(unit);
    match variable.filter(|value| !value.is_empty()) {
        Some(value) if value != escaped => value.to_owned(),
        Some(_) | None => unescape(escaped).unwrap_or_else(|| escaped.to_owned()),
    }
}

/// `I` of `ocf.rs@I.service`; a name that is not one of a template stands for itself.
fn from_unit(unit: &str) -> &str {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    name.split_once('@').map_or(name, |(_, instance)| instance)
}

/// Undoes `systemd-escape`; `None` if the outcome cannot be part of a file name.
fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'-', _) => (b'/', tail),
            (b'\\', [b'x', high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, tail),
                _ => (first, tail_of(rest)),
            },
            _ => (first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    let text = String::from_utf8(bytes).ok()?;
    let usable = !text.is_empty() && !text.contains(|c: char| c == '/' || c.is_control());
    usable.then_some(text)
}

fn tail_of(bytes: &[u8]) -> &[u8] {
    &bytes[1..]
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A text in one line, for logs.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => line.push(' '),
            c if c.is_control() => {
                // Cannot fail: a String grows.
                let _ = write!(line, "\\x{:02x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_is_not_escaped() {
        let unit = r"ocf.rs@fs\x2dmy_res\x2d1.service";
        for (unit, variable, expected) in [
            (unit, Some(r"fs\x2dmy_res\x2d1"), "fs-my_res-1"),
            (unit, None, "fs-my_res-1"),
            (unit, Some(""), "fs-my_res-1"),
            // Somebody used %I: no second round.
            (unit, Some("fs-my_res-1"), "fs-my_res-1"),
            (unit, Some("mine"), "mine"),
            ("ocf.rs@vip_r0.service", Some("vip_r0"), "vip_r0"),
            // A slash would lead an agent into another folder.
            ("ocf.rs@a-b.service", Some("a-b"), "a-b"),
            (r"ocf.rs@a\x0ab.service", None, r"a\x0ab"),
            (r"ocf.rs@a\xZZ.service", None, r"a\xZZ"),
            (r"ocf.rs@a\x2.service", None, r"a\x2"),
            (r"ocf.rs@a\xff.service", None, r"a\xff"),
            ("test", None, "test"),
        ] {
            assert_eq!(of(unit, variable), expected, "{unit} {variable:?}");
        }
    }
}
