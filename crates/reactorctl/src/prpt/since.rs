//! From when on: `today`, `yesterday`, a day, a day with a time, RFC 3339.

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, Zoned};

/// Reads it. What has no zone is in that of `now`.
pub(super) fn parse(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    let zone = now.time_zone();
    let midnight = |date: Date| date.to_zoned(zone.clone()).map(|at| at.timestamp()).map_err(|error| error.to_string());
    match text.to_ascii_lowercase().as_str() {
        "today" => return midnight(now.date()),
        "yesterday" => return midnight(now.date().yesterday().map_err(|error| error.to_string())?),
        _ => {}
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    // A day has a length of its own; anything longer has a time behind it.
    if text.len() == "2018-05-21".len()
        && let Ok(date) = text.parse::<Date>()
    {
        return midnight(date);
    }
    let at = text.parse::<DateTime>().ok().and_then(|at| at.to_zoned(zone.clone()).ok());
    at.map(|at| at.timestamp()).ok_or_else(|| {
        "today, yesterday, 2018-05-21, 2018-05-21 10:11:12, or a time with its zone: 2018-05-21T10:11:12Z".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::{Offset, TimeZone};

    use super::*;

    #[test]
    fn a_time_can_be_said_in_each_of_these_ways() {
        let zone = TimeZone::fixed(Offset::constant(8));
        let now = "2018-05-21T10:11:12Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        for (text, at) in [
            ("today", "2018-05-20T16:00:00Z"),
            ("Yesterday", "2018-05-19T16:00:00Z"),
            ("2018-05-21", "2018-05-20T16:00:00Z"),
            ("2018-05-21 10:11:12", "2018-05-21T02:11:12Z"),
            ("2018-05-21T10:11:12", "2018-05-21T02:11:12Z"),
            ("2018-05-21T10:11:12Z", "2018-05-21T10:11:12Z"),
            ("2018-05-21T10:11:12.5+02:00", "2018-05-21T08:11:12.5Z"),
        ] {
            assert_eq!(parse(text, &now).unwrap().to_string(), at, "{text}");
        }
        for text in ["", "tomorrow", "2018-13-01", "2018-02-30", "21.05.2018", "10:11"] {
            assert!(parse(text, &now).is_err(), "{text}");
        }
    }
}
