//! Values as OpenSVC writes them, and what they have to be here.

use std::net::IpAddr;
use std::time::Duration;

/// Longest remark in the configuration.
const MAX_REMARK: usize = 300;

/// `true`, `Yes`, `1`; `None` if it is neither.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" | "none" | "" => Some(false),
        _ => None,
    }
}

/// Words between blanks, commas and line ends.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A name as `uname -n` may print it.
pub(super) fn is_node_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    starts && text.len() <= 253 && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

/// A name that may be a part of the name of a unit.
pub(super) fn is_plain_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    starts && text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// An absolute path without `..` and without anything that lists or patterns are made of.
pub(super) fn is_path(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "*?[]{}'\"\\$`;&|<>()!#".contains(c);
    let parts = text.split('/').skip(1);
    text.starts_with('/')
        && text.len() <= 1000
        && !text.contains(odd)
        && parts.into_iter().all(|part| part != ".." && part != ".")
}

/// The same of a file: it does not end with a `/`.
pub(super) fn is_file_path(text: &str) -> bool {
    is_path(text) && !text.ends_with('/')
}

/// `/srv/a/` is `/srv/a`, and `//srv///a`, too.
pub(super) fn tidy_path(text: &str) -> String {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

/// Whether `inner` is `outer`, or below it: both as [`tidy_path`] has them.
pub(super) fn is_below(inner: &str, outer: &str) -> bool {
    outer == "/" || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A time: a number is so many of `unit` seconds, or text with units as in `1m30s`. `None` if it is none, or longer than a year.
pub(super) fn duration(text: &str, unit: u64) -> Option<Duration> {
    let text = text.trim();
    let seconds = |text: &str| {
        let number: f64 = text.parse().ok()?;
        Duration::try_from_secs_f64(number * unit as f64).ok()
    };
    let found = seconds(text).or_else(|| crate::units::parse_duration(text).ok())?;
    (found <= Duration::from_secs(366 * 86_400)).then_some(found)
}

/// `5min`: the largest unit that has no fraction, down to milliseconds.
pub(super) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    crate::units::show_ms(ms)
}

/// A netmask as its number of bits: `24`, or `255.255.255.0`. `None` if it is none, or not for such an address.
pub(super) fn prefix(text: &str, address: IpAddr) -> Option<u8> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let text = text.trim().trim_start_matches('/');
    if let Ok(prefix) = text.parse::<u8>() {
        return (1..=bits).contains(&prefix).then_some(prefix);
    }
    let IpAddr::V4(mask) = text.parse().ok()? else { return None };
    let mask = mask.to_bits();
    (address.is_ipv4() && mask != 0 && mask.leading_ones() + mask.trailing_zeros() == 32)
        .then(|| u8::try_from(mask.leading_ones()).unwrap_or(32))
}

/// The name of a network interface.
pub(super) fn is_interface(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=15).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with(['.', '-'])
}

/// A value as one line of a remark: no line ends, no control characters, not too long.
pub(super) fn one_line(text: &str) -> String {
    let harmless = |c: char| if c.is_control() || ('\u{200e}'..='\u{206f}').contains(&c) { ' ' } else { c };
    let mut line: String = text.chars().map(harmless).take(MAX_REMARK).collect();
    if text.chars().count() > MAX_REMARK {
        line.push_str("...");
    }
    line
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and(words: &[String]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netmask_is_bits_or_dotted() {
        let v4 = "192.0.2.1".parse().unwrap();
        let v6 = "2001:db8::1".parse().unwrap();
        assert_eq!(["24", "255.255.255.0", "255.255.255.255"].map(|mask| prefix(mask, v4)), [24, 24, 32].map(Some));
        assert_eq!(["0", "0.0.0.0"].map(|mask| prefix(mask, v4)), [None; 2]);
        assert_eq!(["33", "255.0.255.0", "x", ""].map(|mask| prefix(mask, v4)), [None; 4]);
        assert_eq!([prefix("64", v6), prefix("255.255.255.0", v6)], [Some(64), None]);
    }

    #[test]
    fn times_are_numbers_or_have_units() {
        let show = |text| duration(text, 1).map(show_duration);
        assert_eq!(
            ["5", "0.5", "1m30s", "5min", "1h"].map(|text| show(text).unwrap()),
            ["5s", "500ms", "90s", "5min", "1h"]
        );
        assert_eq!(["", "x", "-1", "nan", "inf", "1e300", "500d"].map(show), [const { None }; 7]);
        assert_eq!(duration("10", 60), Some(Duration::from_secs(600)));
    }

    #[test]
    fn paths_are_plain() {
        assert!(is_path("/srv/a b").then_some(()).is_none());
        assert!(["/", "/srv/a-b_c.d", "/dev/vg/lv", "//a/"].into_iter().all(is_path));
        assert!(!["", "srv", "/a/../b", "/a/./b", "/a*", "/a;b", "/a\u{7}"].into_iter().any(is_path));
        assert_eq!(tidy_path("//srv//a/"), "/srv/a");
        assert!(
            is_below("/srv/a", "/srv") && is_below("/srv", "/srv") && !is_below("/srvx", "/srv") && is_below("/a", "/")
        );
    }

    #[test]
    fn a_remark_is_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[2J\u{202e}c"), "a b [2J c");
        assert_eq!(one_line(&"x".repeat(1000)).len(), MAX_REMARK + 3);
        assert_eq!(and(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b and c");
    }
}
