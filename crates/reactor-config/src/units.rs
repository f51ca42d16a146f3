//! Durations, sizes and rates as people write them: `90`, `"1min 30s"`, `"16MiB"`, `"5/1min"`.
//!
//! Written here rather than taken from a crate: it is a page, and the messages can name our own units.

use std::time::Duration;

/// The units of durations, for hints.
pub(crate) const DURATION_UNITS: &str =
    "a number of seconds, or text like \"500ms\", \"30s\", \"1min 30s\", \"2h\", \"1d\"";

/// Reads `"1min 30s"`; a number alone is seconds. What is finer than a microsecond is cut off.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("an empty duration".to_owned());
    }
    let mut total_us: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = take_number(rest)?;
        let after = after.trim_start();
        let unit_len = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let alone = after.is_empty() && number.text.len() == text.trim().len();
        let unit_us: u128 = match unit {
            "us" | "µs" => 1,
            "ms" => 1_000,
            "s" | "sec" | "second" | "seconds" => 1_000_000,
            "m" | "min" | "minute" | "minutes" => 60_000_000,
            "h" | "hr" | "hour" | "hours" => 3_600_000_000,
            "d" | "day" | "days" => 86_400_000_000,
            "w" | "week" | "weeks" => 604_800_000_000,
            "" if alone => 1_000_000,
            "" => return Err(format!("no unit after `{}`", number.text)),
            _ => return Err(format!("unknown unit `{unit}`")),
        };
        total_us = total_us.saturating_add(number.times(unit_us));
        rest = after.trim_start();
    }
    Ok(Duration::from_micros(u64::try_from(total_us).unwrap_or(u64::MAX)))
}

/// The shortest text that [`parse_duration`] reads back as the same; whole seconds as a bare number.
pub(crate) fn format_duration(duration: Duration) -> String {
    match (duration.as_micros(), duration.subsec_micros()) {
        (_, 0) => duration.as_secs().to_string(),
        (us, subsec) if subsec % 1000 == 0 => format!("\"{}ms\"", us / 1000),
        (us, _) => format!("\"{us}us\""),
    }
}

/// A duration for messages: the largest unit that fits.
pub(crate) fn show_ms(ms: u64) -> String {
    match ms {
        0 => "0".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}min", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// Reads `"16MiB"`, `"64K"`, `"1000"`: bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = take_number(text)?;
    let unit_bytes: u128 = match unit.trim_start() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        unit => return Err(format!("unknown unit `{unit}`")),
    };
    Ok(u64::try_from(number.times(unit_bytes)).unwrap_or(u64::MAX))
}

/// A size for messages: the largest binary unit that fits.
pub(crate) fn show_size(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        n if n % (1 << 30) == 0 => format!("{}GiB", n >> 30),
        n if n % (1 << 20) == 0 => format!("{}MiB", n >> 20),
        n if n % (1 << 10) == 0 => format!("{}KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

/// Reads `"5/1min"`: how many in which time.
pub(crate) fn parse_rate(text: &str) -> Result<(u32, Duration), String> {
    let (count, per) = text.split_once('/').ok_or("no `/` between the count and the duration")?;
    let count = count.trim();
    let count = count.parse().map_err(|_| format!("`{count}` is not a count"))?;
    // `"5/min"` reads well, and there is only one thing it can mean.
    let per = per.trim();
    let per =
        if per.starts_with(char::is_alphabetic) { parse_duration(&format!("1{per}")) } else { parse_duration(per) }?;
    Ok((count, per))
}

/// Reads `"02:00-04:30"`: two times of day, in minutes since midnight. 24:00 is midnight at the end of the day.
pub(crate) fn parse_day_window(text: &str) -> Result<(u16, u16), String> {
    let (from, to) = text.split_once('-').ok_or("no `-` between the two times")?;
    let (from, to) = (parse_time(from)?, parse_time(to)?);
    match (from, to) {
        (1440, _) => Err("a day begins at 00:00".to_owned()),
        (from, to) if from == to => Err("it ends when it begins".to_owned()),
        // A window that ends at midnight ends with the day, not before it begins.
        (from, 0) => Ok((from, 1440)),
        times => Ok(times),
    }
}

/// Minutes since midnight.
fn parse_time(text: &str) -> Result<u16, String> {
    let text = text.trim();
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = text
        .split_once(':')
        .filter(|(hours, minutes)| digits(hours) && digits(minutes) && minutes.len() == 2)
        .ok_or_else(|| format!("`{text}` is not a time of day"))?;
    let minutes_of = |text: &str| text.parse::<u16>().expect("two digits");
    let (hours, minutes) = (minutes_of(hours), minutes_of(minutes));
    if minutes > 59 || hours * 60 + minutes > 1440 {
        return Err(format!("a day has no time `{text}`"));
    }
    Ok(hours * 60 + minutes)
}

/// A decimal number, exact to nine places.
struct Number<'t> {
    text: &'t str,
    whole: u64,
    billionths: u64,
}

impl Number<'_> {
    fn times(&self, unit: u128) -> u128 {
        u128::from(self.whole) * unit + u128::from(self.billionths) * unit / 1_000_000_000
    }
}

fn take_number(text: &str) -> Result<(Number<'_>, &str), String> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let whole_len = digits(text);
    if whole_len == 0 {
        return Err(format!("no number at `{text}`"));
    }
    let whole = text[..whole_len].parse().map_err(|_| format!("`{}` is too large", &text[..whole_len]))?;
    let mut len = whole_len;
    let mut billionths = 0;
    if let Some(fraction) = text[whole_len..].strip_prefix('.') {
        let fraction_len = digits(fraction);
        if fraction_len == 0 {
            return Err(format!("no digit after `{}`", &text[..=whole_len]));
        }
        let nine: String = fraction[..fraction_len].chars().chain(std::iter::repeat('0')).take(9).collect();
        billionths = nine.parse().expect("nine digits fit into 64 bits");
        len += 1 + fraction_len;
    }
    Ok((Number { text: &text[..len], whole, billionths }, &text[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("30", 30_000),
            ("0", 0),
            ("0.5", 500),
            ("30s", 30_000),
            (" 1min 30s ", 90_000),
            ("1min30s", 90_000),
            ("1.5 h", 5_400_000),
            ("500ms", 500),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", " ", "s", "5 parsec", "1min 30", "-1s", "1.s", "99999999999999999999s", "1e3", "1,5s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("18446744073709551615w").map(|d| d.as_micros()), Ok(u128::from(u64::MAX)));
    }

    #[test]
    fn durations_come_back() {
        for us in [0, 1, 999, 1000, 1_500_000, 60_000_000, 86_400_000_001] {
            let duration = Duration::from_micros(us);
            assert_eq!(parse_duration(format_duration(duration).trim_matches('"')), Ok(duration));
        }
    }

    #[test]
    fn times_of_day() {
        for (text, window) in [
            ("02:00-04:30", (120, 270)),
            (" 2:05 - 4:30 ", (125, 270)),
            ("22:00-04:00", (1320, 240)),
            ("00:00-24:00", (0, 1440)),
            ("18:30-00:00", (1110, 1440)),
            ("18:30-24:00", (1110, 1440)),
        ] {
            assert_eq!(parse_day_window(text), Ok(window), "{text}");
        }
        for text in [
            "",
            "-",
            "2-4",
            "02:00",
            "02:00-",
            "02:00-02:00",
            "24:00-02:00",
            "25:00-26:00",
            "02:60-04:00",
            "24:01-02:00",
            "02:0-04:00",
            "002:00-04:00",
            "00:00-00:00",
            "02:00-04:00-06:00",
            "+2:00-04:00",
            "02:00–04:00",
        ] {
            assert!(parse_day_window(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("100", 100),
            ("16MiB", 16 << 20),
            ("1.5 KiB", 1536),
            ("2K", 2048),
            ("1kB", 1000),
            ("1GB", 1_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1XB", "-1"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates() {
        let minute = Duration::from_secs(60);
        for text in ["5/1min", "5/min", "5 / 60s", "5/60"] {
            assert_eq!(parse_rate(text), Ok((5, minute)), "{text}");
        }
        for text in ["5", "/1min", "5/", "x/1min", "5/0x"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
