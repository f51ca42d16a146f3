//! The part of a unit file that the mock understands.

use std::time::Duration;

use super::name;

/// How a unit relates to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the words of unit files")]
pub enum Relation {
    Requires,
    Requisite,
    BindsTo,
    Wants,
    After,
    Before,
    PartOf,
    Conflicts,
    OnFailure,
}

/// `Type=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the words of unit files")]
pub enum ServiceType {
    #[default]
    Simple,
    Exec,
    Oneshot,
    Notify,
}

/// `Restart=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the words of unit files")]
pub enum Restart {
    #[default]
    No,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    Always,
}

/// One command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its words, quotes removed; variables are not replaced yet.
    pub words: Vec<String>,
    /// `-`: its failure does not count.
    pub ignore_failure: bool,
}

/// `[Service]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the words of unit files")]
pub struct Service {
    pub kind: ServiceType,
    pub remain_after_exit: bool,
    pub environment: Vec<(String, String)>,
    /// With `true`, it may be missing.
    pub environment_files: Vec<(String, bool)>,
    pub working_directory: Option<String>,
    pub exec_condition: Vec<Command>,
    pub exec_start_pre: Vec<Command>,
    pub exec_start: Vec<Command>,
    pub exec_stop: Vec<Command>,
    pub exec_stop_post: Vec<Command>,
    pub restart: Restart,
    pub restart_sec: Option<Duration>,
    /// `None` = the default of the type; `Some(None)` = for ever.
    pub timeout_start: Option<Option<Duration>>,
    pub timeout_stop: Option<Option<Duration>>,
    pub success_exit_status: Vec<i32>,
}

/// Everything that was read of one unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// `Description=`.
    pub description: String,
    /// All relations to other units, in the order of the files.
    pub relations: Vec<(Relation, String)>,
    /// `DefaultDependencies=`.
    pub default_dependencies: bool,
    /// `RefuseManualStart=`.
    pub refuse_manual_start: bool,
    /// `RefuseManualStop=`.
    pub refuse_manual_stop: bool,
    /// `OnFailureJobMode=`.
    pub on_failure_mode: String,
    /// `JobTimeoutSec=`.
    pub job_timeout: Option<Duration>,
    /// `FailureAction=`: only told in the log.
    pub failure_action: Option<String>,
    /// `[Service]`.
    pub service: Service,
    /// Whether there is an `[Install]` with something in it.
    pub install: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            description: String::new(),
            relations: Vec::new(),
            default_dependencies: true,
            refuse_manual_start: false,
            refuse_manual_stop: false,
            on_failure_mode: "replace".to_owned(),
            job_timeout: None,
            failure_action: None,
            service: Service::default(),
            install: false,
        }
    }
}

impl Settings {
    /// Reads a unit file and its drop-ins, in this order.
    pub fn read<'a>(unit: &str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut settings = Self::default();
        for text in texts {
            settings.add(unit, text);
        }
        settings
    }

    /// What is wrong with it, as systemd sees it.
    pub fn fault(&self, unit: &str) -> Option<&'static str> {
        let service = &self.service;
        if name::kind(unit) != "service" {
            return None;
        }
        if service.exec_start.is_empty() && service.exec_stop.is_empty() {
            return Some("Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.");
        }
        if service.kind != ServiceType::Oneshot && service.exec_start.len() != 1 {
            return Some(
                "Service has more or less than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.",
            );
        }
        if service.kind == ServiceType::Oneshot && matches!(service.restart, Restart::Always | Restart::OnSuccess) {
            return Some(
                "Service has Restart= set to either always or on-success, which isn't allowed for Type=oneshot services. Refusing.",
            );
        }
        None
    }

    fn add(&mut self, unit: &str, text: &str) {
        let mut section = String::new();
        for line in joined(text) {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(word) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                word.clone_into(&mut section);
                continue;
            }
            // systemd logs and ignores what it does not understand; so does the mock, without the log.
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, value) = (key.trim(), value.trim());
            match section.as_str() {
                "Unit" => self.unit_key(unit, key, value),
                "Service" => self.service.key(unit, key, value),
                "Install" => self.install |= !value.is_empty(),
                _ => {}
            }
        }
    }

    fn unit_key(&mut self, unit: &str, key: &str, value: &str) {
        let relation = match key {
            "Requires" => Relation::Requires,
            "Requisite" => Relation::Requisite,
            "BindsTo" => Relation::BindsTo,
            "Wants" => Relation::Wants,
            "After" => Relation::After,
            "Before" => Relation::Before,
            "PartOf" => Relation::PartOf,
            "Conflicts" => Relation::Conflicts,
            "OnFailure" => Relation::OnFailure,
            "Description" => return self.description = name::specifiers(value, unit),
            "DefaultDependencies" => return self.default_dependencies = truth(value),
            "RefuseManualStart" => return self.refuse_manual_start = truth(value),
            "RefuseManualStop" => return self.refuse_manual_stop = truth(value),
            "OnFailureJobMode" => return value.clone_into(&mut self.on_failure_mode),
            "JobTimeoutSec" => return self.job_timeout = seconds(value).flatten(),
            "FailureAction" => return self.failure_action = Some(value.to_owned()),
            _ => return,
        };
        for other in words(value) {
            self.relations.push((relation, name::specifiers(&other, unit)));
        }
    }
}

impl Service {
    fn key(&mut self, unit: &str, key: &str, value: &str) {
        match key {
            "Type" => {
                self.kind = match value {
                    "exec" => ServiceType::Exec,
                    "oneshot" => ServiceType::Oneshot,
                    "notify" | "notify-reload" => ServiceType::Notify,
                    _ => ServiceType::Simple,
                }
            }
            "RemainAfterExit" => self.remain_after_exit = truth(value),
            "Environment" if value.is_empty() => self.environment.clear(),
            "Environment" => {
                let pairs = words(value).into_iter().map(|word| name::specifiers(&word, unit));
                self.environment
                    .extend(pairs.filter_map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))));
            }
            "EnvironmentFile" if value.is_empty() => self.environment_files.clear(),
            "EnvironmentFile" => {
                let path = value.strip_prefix('-').unwrap_or(value);
                self.environment_files.push((name::specifiers(path, unit), path.len() < value.len()));
            }
            "WorkingDirectory" => self.working_directory = Some(name::specifiers(value, unit)),
            "ExecCondition" => command(&mut self.exec_condition, unit, value),
            "ExecStartPre" => command(&mut self.exec_start_pre, unit, value),
            "ExecStart" => command(&mut self.exec_start, unit, value),
            "ExecStop" => command(&mut self.exec_stop, unit, value),
            "ExecStopPost" => command(&mut self.exec_stop_post, unit, value),
            "Restart" => {
                self.restart = match value {
                    "always" => Restart::Always,
                    "on-failure" => Restart::OnFailure,
                    "on-success" => Restart::OnSuccess,
                    "on-abnormal" | "on-abort" | "on-watchdog" => Restart::OnAbnormal,
                    _ => Restart::No,
                }
            }
            "RestartSec" => self.restart_sec = seconds(value).flatten(),
            "TimeoutStartSec" => self.timeout_start = seconds(value),
            "TimeoutStopSec" => self.timeout_stop = seconds(value),
            "TimeoutSec" => {
                self.timeout_start = seconds(value);
                self.timeout_stop = self.timeout_start;
            }
            "SuccessExitStatus" => {
                self.success_exit_status.extend(words(value).iter().filter_map(|w| w.parse::<i32>().ok()));
            }
            _ => {}
        }
    }
}

fn command(list: &mut Vec<Command>, unit: &str, value: &str) {
    if value.is_empty() {
        return list.clear();
    }
    let line = value.trim_start_matches(['-', '+', '!', ':', '@']);
    let ignore_failure = value[..value.len() - line.len()].contains('-');
    let words: Vec<String> = words(line).iter().map(|word| name::specifiers(word, unit)).collect();
    if !words.is_empty() {
        list.push(Command { words, ignore_failure });
    }
}

/// Lines, with those that end in a backslash joined.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let whole = open.take().unwrap_or_default() + line;
        match whole.strip_suffix('\\') {
            Some(begin) => open = Some(format!("{begin} ")),
            None => lines.push(whole),
        }
    }
    lines.extend(open);
    lines
}

/// Words with systemd's quotes and the escapes that matter.
pub fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => out.extend(word.take()),
            (_, '\\') => {
                let into = word.get_or_insert_default();
                match chars.next() {
                    Some('n') => into.push('\n'),
                    Some('t') => into.push('\t'),
                    Some('s') => into.push(' '),
                    Some('x') => {
                        let hex: String = [chars.next(), chars.next()].into_iter().flatten().collect();
                        match u8::from_str_radix(&hex, 16) {
                            Ok(byte) => into.push(char::from(byte)),
                            Err(_) => into.push_str(&format!("\\x{hex}")),
                        }
                    }
                    Some(c @ ('\\' | '"' | '\'')) => into.push(c),
                    Some(other) => into.extend(['\\', other]),
                    None => into.push('\\'),
                }
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

fn truth(value: &str) -> bool {
    ["1", "yes", "true", "on", "y", "t"].contains(&value.to_ascii_lowercase().as_str())
}

/// A span of time; `Some(None)` = for ever, `None` = cannot be read.
fn seconds(value: &str) -> Option<Option<Duration>> {
    if value == "infinity" {
        return Some(None);
    }
    let mut sum = 0.0;
    let mut rest = value.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        sum += number
            * match &rest[..end] {
                "" | "s" | "sec" | "second" | "seconds" => 1.0,
                "ms" | "msec" => 0.001,
                "us" | "usec" => 0.000_001,
                "min" | "m" | "minute" | "minutes" => 60.0,
                "h" | "hr" | "hour" | "hours" => 3600.0,
                _ => return None,
            };
        rest = rest[end..].trim_start();
    }
    Duration::try_from_secs_f64(sum).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_around_the_sign_and_resets_are_understood() {
        let text = "[Unit]\nPartOf = a.target\nAfter = b.service c@%i.service\n[Service]\nType=oneshot\nExecStop=/bin/old\n\
                    Environment= A=1 \"B=x y\" C=50%%\nRestartSec=100ms\nTimeoutSec=1min 30s\n";
        let drop_in = "[Service]\nExecStop=\nExecStop=-/bin/new  'two words' \\\n  %I\n";
        let settings = Settings::read("x@r-0.service", [text, drop_in]);
        let expected = [
            (Relation::PartOf, "a.target".to_owned()),
            (Relation::After, "b.service".to_owned()),
            (Relation::After, "c@r-0.service".to_owned()),
        ];
        assert_eq!(settings.relations, expected);
        let service = settings.service;
        assert_eq!(service.exec_stop.len(), 1);
        assert_eq!(service.exec_stop[0].words, ["/bin/new", "two words", "r/0"]);
        assert!(service.exec_stop[0].ignore_failure);
        let pairs: Vec<String> = service.environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["A=1", "B=x y", "C=50%"]);
        assert_eq!(service.restart_sec, Some(Duration::from_millis(100)));
        assert_eq!(service.timeout_stop, Some(Some(Duration::from_secs(90))));
    }

    #[test]
    fn a_service_without_a_command_is_refused() {
        assert!(Settings::read("a.service", ["[Service]\nType=simple\n"]).fault("a.service").is_some());
        assert!(Settings::default().fault("a.target").is_none());
    }
}
