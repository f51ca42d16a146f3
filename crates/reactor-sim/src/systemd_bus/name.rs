//! Names of units: their parts, specifiers, and their D-Bus object paths.

/// The interface prefix and bus name of systemd.
pub const SYSTEMD: &str = "org.freedesktop.systemd1";

const UNIT_PATH: &str = "/org/freedesktop/systemd1/unit/";

/// The kind of a unit: what comes after its last dot.
pub fn kind(unit: &str) -> &str {
    unit.rsplit_once('.').map_or("", |(_, kind)| kind)
}

/// `p` of `p@i.kind`, or all before the dot.
pub fn prefix(unit: &str) -> &str {
    let stem = stem(unit);
    stem.split_once('@').map_or(stem, |(prefix, _)| prefix)
}

/// `i` of `p@i.kind`; `None` = no instance of a template.
pub fn instance(unit: &str) -> Option<&str> {
    stem(unit).split_once('@').map(|(_, instance)| instance)
}

/// `p@.kind` of `p@i.kind`.
pub fn template(unit: &str) -> Option<String> {
    instance(unit).map(|_| format!("{}@.{}", prefix(unit), kind(unit)))
}

fn stem(unit: &str) -> &str {
    unit.rsplit_once('.').map_or(unit, |(stem, _)| stem)
}

/// Whether systemd would take it for the name of a unit.
pub fn is_valid(unit: &str) -> bool {
    let known = ["service", "target", "mount", "socket", "path", "timer", "device", "slice", "scope", "swap"];
    let good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    unit.len() < 256
        && known.contains(&kind(unit))
        && !stem(unit).is_empty()
        && !unit.starts_with('@')
        && unit.chars().all(good)
        && instance(unit) != Some("")
}

/// Undoes systemd's escaping: `-` is a slash, `\xNN` a byte.
pub fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let code =
            rest.strip_prefix("\\x").and_then(|hex| hex.get(..2)).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = code {
            out.push(byte);
            rest = &rest[4..];
            continue;
        }
        if c == '-' {
            out.push(b'/');
        } else {
            out.extend_from_slice(c.to_string().as_bytes());
        }
        rest = &rest[c.len_utf8()..];
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Replaces `%n %N %p %P %i %I %j %%`; what else begins with `%` stays as it is.
pub fn specifiers(text: &str, unit: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push_str(unit),
            Some('N') => out.push_str(stem(unit)),
            Some('p') => out.push_str(prefix(unit)),
            Some('P') => out.push_str(&unescape(prefix(unit))),
            Some('i') => out.push_str(instance(unit).unwrap_or_default()),
            Some('I') => out.push_str(&unescape(instance(unit).unwrap_or_default())),
            Some('j') => out.push_str(prefix(unit).rsplit('-').next().unwrap_or_default()),
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}

/// The D-Bus object path of a unit.
pub fn path(unit: &str) -> String {
    let mut out = UNIT_PATH.to_owned();
    for (index, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

/// The unit of a D-Bus object path.
pub fn of_path(path: &str) -> Option<String> {
    let mut rest = path.strip_prefix(UNIT_PATH)?;
    let mut out = Vec::new();
    while let Some(&byte) = rest.as_bytes().first() {
        if byte == b'_' {
            out.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = &rest[3..];
        } else {
            out.push(byte);
            rest = rest.get(1..)?;
        }
    }
    String::from_utf8(out).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_does() {
        let path = path("drbd-promote@r0.service");
        assert_eq!(path, "/org/freedesktop/systemd1/unit/drbd_2dpromote_40r0_2eservice");
        assert_eq!(of_path(&path).as_deref(), Some("drbd-promote@r0.service"));
        assert_eq!(of_path("/org/freedesktop/systemd1/unit/a_4"), None);
    }

    #[test]
    fn specifiers_know_the_escaped_and_the_plain_instance() {
        let unit = r"drbd-promote@my-res\x2d1.service";
        assert_eq!(
            specifiers("%i|%I|%p|%N|%%i|%z", unit),
            r"my-res\x2d1|my/res-1|drbd-promote|drbd-promote@my-res\x2d1|%i|%z"
        );
    }
}
