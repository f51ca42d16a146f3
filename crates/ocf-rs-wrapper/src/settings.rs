//! How often and how long: from the unit's environment, the entry's parameters and the agent's meta-data.
//!
//! | setting | parameter or variable | else | else |
//! |---|---|---|---|
//! | interval | `monitor_interval`, `monitor_inverval` | 30 s | |
//! | failures in a row | `monitor_failures` | 1 | |
//! | timeout of each action | `start_timeout`, `monitor_timeout`, `stop_timeout` | meta-data | 60 s, 20 s, 60 s |
//!
//! A parameter of the entry (`OCF_RESKEY_...`) wins over a variable of the unit. If the agent has a parameter of the same name, it is the
//! agent's, and only the variable counts.

use std::time::Duration;

use crate::machine::Action;
use crate::metadata::MetaData;
use crate::span;

/// Default of the interval.
const INTERVAL: Duration = Duration::from_secs(30);

/// Smallest interval.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// Most failures in a row that can be allowed.
const MAX_FAILURES: u32 = 1000;

/// What the agent's parameters begin with in its environment.
pub(crate) const PARAMETER: &str = "OCF_RESKEY_";

/// Everything that can be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    /// Between two monitors.
    pub(crate) interval: Duration,
    /// So many monitors in a row must fail before we give up.
    pub(crate) monitor_failures: u32,
    /// `OCF_CHECK_LEVEL` of the monitors.
    pub(crate) check_level: u32,
    start: Duration,
    monitor: Duration,
    stop: Duration,
}

impl Settings {
    /// Reads them. What is wrong is added to `findings`, and its default applies.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
        data: Option<&MetaData>,
        findings: &mut Vec<String>,
    ) -> Self {
        let mut reader = Reader { variable, data, findings };
        let interval = reader.take(&["monitor_interval", "monitor_inverval"], seconds).unwrap_or(INTERVAL);
        if interval < MIN_INTERVAL {
            let text = format!(
                "monitor_interval={} is too short; it is raised to {}",
                span::words(interval),
                span::words(MIN_INTERVAL)
            );
            reader.findings.push(text);
        }
        let check_level = reader.take(&["OCF_CHECK_LEVEL"], |text| {
            text.trim().parse().map_err(|_| "must be a number, as in the agent's documentation".to_owned())
        });
        let check_level = check_level.unwrap_or(0);
        Self {
            interval: interval.max(MIN_INTERVAL),
            monitor_failures: reader.take(&["monitor_failures"], failures).unwrap_or(1),
            check_level,
            start: reader.timeout("start_timeout", "start", 0, 60),
            monitor: reader.timeout("monitor_timeout", "monitor", check_level, 20),
            stop: reader.timeout("stop_timeout", "stop", 0, 60),
        }
    }

    /// How long an action may take.
    pub(crate) fn timeout(&self, action: Action) -> Duration {
        match action {
            Action::Start => self.start,
            Action::Probe | Action::Monitor => self.monitor,
            Action::Stop => self.stop,
        }
    }
}

/// Names that are ours among the parameters of an entry.
pub(crate) const OURS: [&str; 7] = [
    "monitor_interval",
    "monitor_inverval",
    "monitor_failures",
    "start_timeout",
    "monitor_timeout",
    "stop_timeout",
    "OCF_CHECK_LEVEL",
];

struct Reader<'a, V> {
    variable: V,
    data: Option<&'a MetaData>,
    findings: &'a mut Vec<String>,
}

impl<V: Fn(&str) -> Option<String>> Reader<'_, V> {
    /// The first of the names that is set; parameters first.
    fn take<T>(&mut self, names: &[&str], read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let agents = |name: &str| self.data.is_some_and(|data| data.parameters.contains_key(name));
        let parameters = names.iter().filter(|name| !agents(name)).map(|name| format!("{PARAMETER}{name}"));
        let all: Vec<String> = parameters.chain(names.iter().map(|name| (*name).to_owned())).collect();
        for name in all {
            // An empty variable is one that somebody took back.
            let Some(text) = (self.variable)(&name).filter(|text| !text.trim().is_empty()) else { continue };
            match read(&text) {
                Ok(value) => return Some(value),
                Err(why) => {
                    let name = name.strip_prefix(PARAMETER).unwrap_or(&name);
                    self.findings.push(format!("{name}={text:?} is ignored: it {why}"));
                }
            }
        }
        None
    }

    fn timeout(&mut self, name: &str, action: &str, level: u32, otherwise: u64) -> Duration {
        let set = self.take(&[name], |text| match seconds(text)? {
            timeout if timeout.is_zero() => Err("must be longer than 0: every action has a limit".to_owned()),
            timeout => Ok(timeout),
        });
        let advised = || self.data.and_then(|data| data.timeout(action, level));
        set.or_else(advised).unwrap_or(Duration::from_secs(otherwise))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    span::parse(text).ok_or_else(|| "must be seconds, or a number with ms, s, min or h, at most 24 h".to_owned())
}

fn failures(text: &str) -> Result<u32, String> {
    let number = text.trim().parse().ok().filter(|number| (1..=MAX_FAILURES).contains(number));
    number.ok_or_else(|| format!("must be 1 to {MAX_FAILURES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn read(variables: &[(&str, &str)], data: Option<&str>) -> (Settings, Vec<String>) {
        let data = data.map(|text| MetaData::parse(text).unwrap());
        let mut findings = Vec::new();
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        (Settings::read(lookup, data.as_ref(), &mut findings), findings)
    }

    #[test]
    fn both_spellings_and_the_parameter() {
        for (variables, expected) in [
            (&[][..], 30),
            (&[("monitor_inverval", "40")], 40),
            (&[("monitor_inverval", "40"), ("monitor_interval", "50")], 50),
            // The unit always sets the misspelt variable, so what stands in the entry must win.
            (&[("monitor_inverval", "30"), ("OCF_RESKEY_monitor_interval", "10s")], 10),
            (&[("OCF_RESKEY_monitor_inverval", "7")], 7),
            (&[("monitor_interval", "")], 30),
        ] {
            let (settings, findings) = read(variables, None);
            assert_eq!((settings.interval, findings.len()), (expected * S, 0), "{variables:?}");
        }
    }

    #[test]
    fn too_short_an_interval_is_raised_and_said() {
        let (settings, findings) = read(&[("monitor_interval", "500ms")], None);
        assert_eq!(settings.interval, 5 * S);
        assert_eq!(findings, ["monitor_interval=500 ms is too short; it is raised to 5 s"]);
    }

    #[test]
    fn timeouts_parameter_then_meta_data_then_default() {
        let data = r#"<action name="start" timeout="90s"/><action name="monitor" timeout="10" depth="0"/>
            <action name="monitor" timeout="33" depth="10"/>"#;
        let times = |variables: &[(&str, &str)], data| {
            let (settings, _) = read(variables, data);
            [Action::Start, Action::Probe, Action::Monitor, Action::Stop]
                .map(|action| settings.timeout(action).as_secs())
        };
        assert_eq!(times(&[], None), [60, 20, 20, 60]);
        assert_eq!(times(&[], Some(data)), [90, 10, 10, 60]);
        assert_eq!(times(&[("OCF_RESKEY_OCF_CHECK_LEVEL", "10")], Some(data)), [90, 33, 33, 60]);
        let set = [("OCF_RESKEY_start_timeout", "5min"), ("stop_timeout", "7"), ("monitor_timeout", "8")];
        assert_eq!(times(&set, Some(data)), [300, 8, 8, 7]);
    }

    #[test]
    fn a_name_that_the_agent_has_itself_is_the_agents() {
        let data = r#"<parameter name="start_timeout"/><action name="start" timeout="90s"/>"#;
        let (settings, findings) = read(&[("OCF_RESKEY_start_timeout", "whatever the agent wants")], Some(data));
        assert_eq!((settings.timeout(Action::Start), findings.len()), (90 * S, 0));
        let (settings, _) = read(&[("OCF_RESKEY_start_timeout", "1"), ("start_timeout", "2")], Some(data));
        assert_eq!(settings.timeout(Action::Start), 2 * S);
    }

    #[test]
    fn what_is_wrong_is_named_and_costs_only_itself() {
        let variables = [
            ("OCF_RESKEY_monitor_interval", "often"),
            ("monitor_interval", "12"),
            ("stop_timeout", "0"),
            ("monitor_failures", "0"),
            ("OCF_CHECK_LEVEL", "high"),
        ];
        let (settings, findings) = read(&variables, None);
        assert_eq!((settings.interval, settings.timeout(Action::Stop), settings.monitor_failures), (12 * S, 60 * S, 1));
        assert_eq!(
            findings,
            [
                "monitor_interval=\"often\" is ignored: it must be seconds, or a number with ms, s, min or h, at most 24 h",
                "OCF_CHECK_LEVEL=\"high\" is ignored: it must be a number, as in the agent's documentation",
                "monitor_failures=\"0\" is ignored: it must be 1 to 1000",
                "stop_timeout=\"0\" is ignored: it must be longer than 0: every action has a limit",
            ]
        );
    }
}
