//! What the agent finds in its environment, as the OCF API and Pacemaker's agents have it.
//!
//! It gets ours, less what is between systemd and us, and with the standard variables. What the unit sets on purpose stays.

use std::process::Command;

use crate::agent::{Agent, OCF_ROOT};
use crate::machine::Action;
use crate::metadata::{MetaData, Need};
use crate::settings::{OURS, PARAMETER, Settings};

/// Between systemd and us; an agent that found them could say that we are ready, or hang on our sockets.
const HIDDEN: [&str; 14] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "FDSTORE",
    "JOURNAL_STREAM",
    "MAINPID",
    "MANAGERPID",
    "SYSTEMD_EXEC_PID",
    "SERVICE_RESULT",
    "EXIT_CODE",
    "EXIT_STATUS",
];

/// Where agents look for programs if we were given nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Parameters that ocf-shellfuncs itself takes for every agent.
const OF_THE_LIBRARY: [&str; 4] = ["trace_ra", "trace_file", "trace_dir", "crm_feature_set"];

/// What all actions share.
#[derive(Debug)]
pub(crate) struct Environment {
    variables: Vec<(&'static str, String)>,
}

impl Environment {
    /// For this agent and instance. `variable` looks up our own environment.
    pub(crate) fn new(agent: &Agent, instance: &str, variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut variables = vec![
            ("OCF_RESOURCE_INSTANCE", instance.to_owned()),
            ("OCF_RESOURCE_TYPE", agent.kind.clone()),
            ("OCF_RESOURCE_PROVIDER", agent.provider.clone()),
        ];
        let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let defaults = [
            ("OCF_ROOT", OCF_ROOT),
            ("OCF_RA_VERSION_MAJOR", "1"),
            ("OCF_RA_VERSION_MINOR", "1"),
            ("OCF_RESKEY_CRM_meta_on_node", node.as_str()),
            ("PATH", PATH),
            // Lines go to standard error, and so to us; messages for the developers of agents do not.
            ("HA_LOGFACILITY", "none"),
            ("HA_debug", "0"),
        ];
        for (name, value) in defaults {
            if variable(name).is_none_or(|value| value.is_empty()) {
                variables.push((name, value.to_owned()));
            }
        }
        Self { variables }
    }

    /// Sets it for an action.
    pub(crate) fn apply(&self, command: &mut Command, action: Action, settings: &Settings) {
        // 0 is how agents know a probe.
        let interval = if action == Action::Monitor { settings.interval.as_millis() } else { 0 };
        // A probe is shallow: what a deeper look would read may not be there before the start.
        let level = if action == Action::Monitor { settings.check_level } else { 0 };
        self.apply_always(command);
        command
            .env("OCF_RESKEY_CRM_meta_name", action.word())
            .env("OCF_RESKEY_CRM_meta_timeout", settings.timeout(action).as_millis().to_string())
            .env("OCF_RESKEY_CRM_meta_interval", interval.to_string())
            .env("OCF_CHECK_LEVEL", level.to_string());
        if level == 0 {
            // ocf-shellfuncs would take the level from here.
            command.env_remove("OCF_RESKEY_OCF_CHECK_LEVEL");
        }
    }

    /// Sets what needs no settings: for `meta-data`.
    pub(crate) fn apply_always(&self, command: &mut Command) {
        for name in HIDDEN {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

/// What is wrong with the parameters of the entry, by what the agent says it takes. `names` are all variables that we have.
pub(crate) fn check_parameters(names: &[String], data: &MetaData) -> Vec<String> {
    let given = |wanted: &str| names.iter().any(|name| name.strip_prefix(PARAMETER) == Some(wanted));
    let known = |name: &str| {
        data.parameters.contains_key(name)
            || OURS.contains(&name)
            || OF_THE_LIBRARY.contains(&name)
            || name.starts_with("CRM_meta_")
    };
    let unknown = names.iter().filter_map(|name| name.strip_prefix(PARAMETER)).filter(|name| !known(name));
    let unknown =
        unknown.map(|name| format!("parameter {name}: the agent's meta-data has no such parameter; it may do nothing"));
    let missing = data.parameters.iter().filter(|(name, need)| **need == Need::Required && !given(name));
    let missing =
        missing.map(|(name, _)| format!("parameter {name}: the agent's meta-data says that it must be given"));
    unknown.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn applied(ours: &[(&str, &str)], action: Action) -> BTreeMap<String, Option<String>> {
        let lookup = |name: &str| ours.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let agent =
            Agent { path: "/x/heartbeat/Dummy".into(), kind: "Dummy".to_owned(), provider: "heartbeat".to_owned() };
        let environment = Environment::new(&agent, "d_r0", lookup);
        let settings = Settings::read(lookup, None, &mut Vec::new());
        let mut command = Command::new("/x");
        environment.apply(&mut command, action, &settings);
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect()
    }

    #[test]
    fn the_standard_variables() {
        let set = applied(&[("OCF_CHECK_LEVEL", "10"), ("PATH", "/bin")], Action::Monitor);
        for (name, value) in [
            ("OCF_RESOURCE_INSTANCE", "d_r0"),
            ("OCF_RESOURCE_TYPE", "Dummy"),
            ("OCF_RESOURCE_PROVIDER", "heartbeat"),
            ("OCF_ROOT", "/usr/lib/ocf"),
            ("OCF_RA_VERSION_MAJOR", "1"),
            ("OCF_CHECK_LEVEL", "10"),
            ("OCF_RESKEY_CRM_meta_name", "monitor"),
            ("OCF_RESKEY_CRM_meta_interval", "30000"),
            ("OCF_RESKEY_CRM_meta_timeout", "20000"),
        ] {
            assert_eq!(set[name].as_deref(), Some(value), "{name}");
        }
        assert!(!set.contains_key("PATH"));
        assert_eq!(set["NOTIFY_SOCKET"], None);
    }

    #[test]
    fn a_probe_is_shallow_and_known_as_one() {
        let ours = [("OCF_RESKEY_OCF_CHECK_LEVEL", "20")];
        let probe = applied(&ours, Action::Probe);
        assert_eq!(probe["OCF_RESKEY_CRM_meta_interval"].as_deref(), Some("0"));
        assert_eq!(probe["OCF_CHECK_LEVEL"].as_deref(), Some("0"));
        assert_eq!(probe["OCF_RESKEY_OCF_CHECK_LEVEL"], None);
        let monitor = applied(&ours, Action::Monitor);
        assert_eq!(monitor["OCF_CHECK_LEVEL"].as_deref(), Some("20"));
    }

    #[test]
    fn misspelt_and_missing_parameters_are_named() {
        let data =
            MetaData::parse(r#"<action name="start"/><parameter name="ip" required="1"/><parameter name="nic"/>"#);
        let names = ["OCF_RESKEY_pi", "OCF_RESKEY_monitor_interval", "OCF_RESKEY_trace_ra", "OCF_RESKEY_nic", "HOME"];
        let findings = check_parameters(&names.map(str::to_owned), &data.unwrap());
        assert_eq!(
            findings,
            [
                "parameter pi: the agent's meta-data has no such parameter; it may do nothing",
                "parameter ip: the agent's meta-data says that it must be given",
            ]
        );
    }
}
