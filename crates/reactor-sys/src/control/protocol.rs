//! Messages to requests, and answers to messages: Varlink's call, reply and error objects.
//!
//! Pure: no I/O. Parameters are taken one by one, so that an error names the one that is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::Detail;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::framing::{Frames, MAX_REQUEST_BYTES, message};
use super::request::HelperRequest;
use super::{INTERFACE, INTERFACE_DESCRIPTION, SERVICE_DESCRIPTION, SERVICE_INTERFACE};

/// Most changes of the past that can be asked for. The ring is shorter.
const MAX_LAST: u64 = 1_000_000;

/// Longest that a helper may wait.
const MAX_HELPER_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Longest name of a resource that is asked for. DRBD's own limit is 127.
const MAX_NAME_BYTES: usize = 255;

/// Longest reason of a hold.
const MAX_WHY_BYTES: usize = 500;

/// One call, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub method: Method,
    /// The client wants to hear nothing back.
    pub oneway: bool,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `org.varlink.service.GetInfo`.
    GetInfo,
    /// `org.varlink.service.GetInterfaceDescription`, with the answer.
    GetInterfaceDescription(&'static str),
    /// `Status`.
    Status {
        /// The resources that are wanted; `None` = all.
        only: Option<BTreeSet<String>>,
    },
    /// `Changes`.
    Changes {
        /// Which.
        detail: Detail,
        /// How many of the past.
        last: usize,
        /// Whether to go on.
        follow: bool,
    },
    /// `Reload`.
    Reload,
    /// `Helper`.
    Helper(HelperRequest),
    /// `Why`, with the resource.
    Why(ResourceName),
    /// `Hold`, `Release`, `Clear`.
    Operator {
        /// The resource.
        resource: ResourceName,
        /// What.
        verb: OperatorVerb,
    },
    /// `Leftovers`.
    Leftovers {
        /// Whether to remove them.
        remove: bool,
        /// Whose files go although they run: units, resources or paths.
        even: BTreeSet<String>,
    },
}

impl Method {
    /// Whether it changes something, which not everybody may who can read.
    pub fn is_changing(&self) -> bool {
        match self {
            Self::GetInfo
            | Self::GetInterfaceDescription(_)
            | Self::Status { .. }
            | Self::Changes { .. }
            | Self::Why(_)
            | Self::Leftovers { remove: false, .. } => false,
            Self::Reload | Self::Helper(_) | Self::Operator { .. } | Self::Leftovers { remove: true, .. } => true,
        }
    }
}

/// An error as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not a call at all. The connection is closed after it.
    #[error("message is not a call: {why}")]
    NotACall {
        /// Why.
        why: String,
    },
    /// No such interface.
    #[error("no interface {interface}")]
    InterfaceNotFound {
        /// As it was asked for.
        interface: String,
    },
    /// No such method.
    #[error("no method {method}")]
    MethodNotFound {
        /// As it was asked for.
        method: String,
    },
    /// `upgrade` is asked for, which nothing here can do.
    #[error("method {method} cannot be upgraded")]
    MethodNotImplemented {
        /// As it was asked for.
        method: String,
    },
    /// A parameter is missing, unknown, or wrong.
    #[error("invalid parameter {parameter}")]
    InvalidParameter {
        /// Its name.
        parameter: String,
    },
    /// `follow` without `more`.
    #[error("following needs a call with more")]
    ExpectedMore,
    /// Only root and the daemon's own user may do that.
    #[error("user {uid} may not change anything")]
    PermissionDenied {
        /// Who asked.
        uid: u32,
    },
    /// No promoter has this resource.
    #[error("no promoter has the resource {resource}")]
    NoSuchResource {
        /// As it was asked for.
        resource: String,
    },
    /// The loop did not answer in time.
    #[error("no answer within {seconds} s")]
    TimedOut {
        /// How long we waited.
        seconds: u64,
    },
    /// The daemon stops, or has too many connections.
    #[error("{why}")]
    Unavailable {
        /// Which.
        why: &'static str,
    },
    /// The client reads too slowly.
    #[error("client is too slow: {missed} changes dropped")]
    Lagged {
        /// How many changes it did not get.
        missed: u64,
    },
}

impl CallError {
    /// The message for the client.
    pub fn to_message(&self) -> Vec<u8> {
        let service = |name| format!("{SERVICE_INTERFACE}.{name}");
        let ours = |name| format!("{INTERFACE}.{name}");
        let (error, parameters) = match self {
            Self::NotACall { .. } => (service("InvalidParameter"), json!({ "parameter": "message" })),
            Self::InterfaceNotFound { interface } => (service("InterfaceNotFound"), json!({ "interface": interface })),
            Self::MethodNotFound { method } => (service("MethodNotFound"), json!({ "method": method })),
            Self::MethodNotImplemented { method } => (service("MethodNotImplemented"), json!({ "method": method })),
            Self::InvalidParameter { parameter } => (service("InvalidParameter"), json!({ "parameter": parameter })),
            Self::ExpectedMore => (service("ExpectedMore"), json!({})),
            Self::PermissionDenied { .. } => (ours("PermissionDenied"), json!({ "reason": self.to_string() })),
            Self::NoSuchResource { resource } => (ours("NoSuchResource"), json!({ "resource": resource })),
            Self::TimedOut { .. } => (ours("TimedOut"), json!({ "reason": self.to_string() })),
            Self::Unavailable { .. } => (ours("Unavailable"), json!({ "reason": self.to_string() })),
            Self::Lagged { missed } => (ours("Lagged"), json!({ "missed": missed })),
        };
        message(&json!({ "error": error, "parameters": parameters }))
    }
}

/// A reply. `continues`: another one follows.
pub fn reply(parameters: &impl serde::Serialize, continues: bool) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Reply<'a, P> {
        parameters: &'a P,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        continues: bool,
    }
    message(&Reply { parameters, continues })
}

/// A call as it comes.
#[derive(Deserialize)]
struct RawCall {
    method: String,
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
    #[serde(default)]
    more: bool,
    #[serde(default)]
    oneway: bool,
    #[serde(default)]
    upgrade: bool,
}

/// Understands one message.
pub fn parse(message: &[u8]) -> Result<Call, CallError> {
    let not_a_call = |error: serde_json::Error| CallError::NotACall { why: error.to_string() };
    // First as an object: serde would take an array of the right values for a struct too.
    let object: Map<String, Value> = serde_json::from_slice(message).map_err(not_a_call)?;
    let raw: RawCall = serde_json::from_value(Value::Object(object)).map_err(not_a_call)?;
    let method = raw.method.clone();
    if raw.upgrade {
        return Err(CallError::MethodNotImplemented { method });
    }
    let Some((interface, verb)) = method.rsplit_once('.') else {
        return Err(CallError::MethodNotFound { method });
    };
    let oneway = raw.oneway;
    let more = raw.more;
    let mut parameters = Parameters(raw.parameters.unwrap_or_default());
    let method = match (interface, verb) {
        (SERVICE_INTERFACE, "GetInfo") => Method::GetInfo,
        (SERVICE_INTERFACE, "GetInterfaceDescription") => description(&mut parameters)?,
        (INTERFACE, "Status") => Method::Status { only: parameters.strings("resources")? },
        (INTERFACE, "Changes") => changes(&mut parameters, more)?,
        (INTERFACE, "Reload") => Method::Reload,
        (INTERFACE, "Helper") => helper(&mut parameters)?,
        (INTERFACE, "Why") => Method::Why(resource(&mut parameters)?),
        (INTERFACE, "Hold") => {
            let why = parameters.optional("why", Value::as_str)?.unwrap_or_default();
            operator(&mut parameters, OperatorVerb::Hold { why: short(&why)? })?
        }
        (INTERFACE, "Release") => operator(&mut parameters, OperatorVerb::Release)?,
        (INTERFACE, "Clear") => operator(&mut parameters, OperatorVerb::Clear)?,
        (INTERFACE, "Leftovers") => Method::Leftovers {
            remove: parameters.flag("remove")?,
            even: parameters.strings("even")?.unwrap_or_default(),
        },
        (SERVICE_INTERFACE | INTERFACE, _) => return Err(CallError::MethodNotFound { method }),
        _ => return Err(CallError::InterfaceNotFound { interface: interface.to_owned() }),
    };
    parameters.end()?;
    Ok(Call { method, oneway })
}

/// Understands all messages of a stream, as the server does with a client that sends just these bytes. For the fuzz target.
pub fn parse_stream(bytes: &[u8]) -> Vec<Result<Call, CallError>> {
    let mut frames = Frames::new(MAX_REQUEST_BYTES);
    let mut calls = Vec::new();
    frames.push(bytes);
    while let Ok(Some(message)) = frames.next_message() {
        calls.push(parse(message));
    }
    calls
}

fn description(parameters: &mut Parameters) -> Result<Method, CallError> {
    let interface = parameters.string("interface")?;
    match interface.as_str() {
        SERVICE_INTERFACE => Ok(Method::GetInterfaceDescription(SERVICE_DESCRIPTION)),
        INTERFACE => Ok(Method::GetInterfaceDescription(INTERFACE_DESCRIPTION)),
        _ => Err(CallError::InterfaceNotFound { interface }),
    }
}

fn changes(parameters: &mut Parameters, more: bool) -> Result<Method, CallError> {
    let detail = match parameters.optional("detail", Value::as_str)?.as_deref() {
        None | Some("state") => Detail::State,
        Some("all") => Detail::All,
        Some(_) => return Err(invalid("detail")),
    };
    let last = parameters.number("last", 0, MAX_LAST)?;
    let follow = parameters.flag("follow")?;
    if follow && !more {
        return Err(CallError::ExpectedMore);
    }
    Ok(Method::Changes { detail, last: usize::try_from(last).unwrap_or(usize::MAX), follow })
}

fn resource(parameters: &mut Parameters) -> Result<ResourceName, CallError> {
    let name = parameters.string("resource")?;
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        return Err(invalid("resource"));
    }
    Ok(ResourceName::new(&name))
}

fn operator(parameters: &mut Parameters, verb: OperatorVerb) -> Result<Method, CallError> {
    Ok(Method::Operator { resource: resource(parameters)?, verb })
}

/// An operator's words: kept for months and shown in many places, so they are one line and not long.
fn short(why: &str) -> Result<String, CallError> {
    let line: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > MAX_WHY_BYTES { Err(invalid("why")) } else { Ok(line.trim().to_owned()) }
}

fn helper(parameters: &mut Parameters) -> Result<Method, CallError> {
    let helper = parameters.string("helper")?;
    let object = parameters.string("object")?;
    let Some(Value::Object(env)) = parameters.0.remove("env") else {
        return Err(invalid("env"));
    };
    let env = env
        .into_iter()
        .map(|(name, value)| match value {
            // DRBD's own names only: the caller's PATH or LD_PRELOAD is none of a handler's business.
            Value::String(value) if is_drbd_name(&name) && is_env(&value) => Ok((name, value)),
            _ => Err(invalid("env")),
        })
        .collect::<Result<_, _>>()?;
    let timeout = Duration::from_millis(parameters.number("timeout_ms", 0, u64::MAX)?).min(MAX_HELPER_TIMEOUT);
    if helper.is_empty() || !is_env(&helper) {
        return Err(invalid("helper"));
    }
    if !is_env(&object) {
        return Err(invalid("object"));
    }
    Ok(Method::Helper(HelperRequest { helper, object, env, timeout }))
}

/// DRBD's names: all begin with `DRBD_`, but for what `fence-peer` is told of the nodes with good data.
fn is_drbd_name(name: &str) -> bool {
    (name.starts_with("DRBD_") || name == "UP_TO_DATE_NODES") && is_env(name) && !name.contains('=')
}

/// Whether it can stand in an environment or an argument list.
fn is_env(text: &str) -> bool {
    !text.contains('\0')
}

fn invalid(parameter: &str) -> CallError {
    CallError::InvalidParameter { parameter: parameter.to_owned() }
}

/// The parameters that were not taken yet.
struct Parameters(Map<String, Value>);

impl Parameters {
    /// A value that must be there.
    fn string(&mut self, name: &str) -> Result<String, CallError> {
        self.optional(name, Value::as_str)?.ok_or_else(|| invalid(name))
    }

    /// A value that may be missing or null, but not of another type.
    fn optional<T: ?Sized + ToOwned>(
        &mut self,
        name: &str,
        read: impl for<'a> Fn(&'a Value) -> Option<&'a T>,
    ) -> Result<Option<T::Owned>, CallError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(&value).map(|value| Some(value.to_owned())).ok_or_else(|| invalid(name)),
        }
    }

    fn strings(&mut self, name: &str) -> Result<Option<BTreeSet<String>>, CallError> {
        let string = |value: Value| match value {
            Value::String(text) => Ok(text),
            _ => Err(invalid(name)),
        };
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(values)) => values.into_iter().map(string).collect::<Result<_, _>>().map(Some),
            Some(_) => Err(invalid(name)),
        }
    }

    fn number(&mut self, name: &str, default: u64, max: u64) -> Result<u64, CallError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_u64().filter(|&number| number <= max).ok_or_else(|| invalid(name)),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, CallError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| invalid(name)),
        }
    }

    /// Nothing may be left: a parameter that we do not know would be silently ignored.
    fn end(self) -> Result<(), CallError> {
        self.0.keys().next().map_or(Ok(()), |name| Err(invalid(name)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(call: &str) -> String {
        let bytes = parse(call.as_bytes()).expect_err(call).to_message();
        String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned()
    }

    #[test]
    fn calls_are_understood() {
        let method = |call: &str| parse(call.as_bytes()).unwrap().method;
        assert_eq!(method(r#"{"method":"io.storagereactor.Control.Status"}"#), Method::Status { only: None });
        assert_eq!(
            method(r#"{"method":"io.storagereactor.Control.Status","parameters":{"resources":["r1","r0"]}}"#),
            Method::Status { only: Some(["r0", "r1"].map(str::to_owned).into()) }
        );
        assert_eq!(method(r#"{"method":"io.storagereactor.Control.Reload","parameters":{}}"#), Method::Reload);
        assert_eq!(
            method(r#"{"method":"io.storagereactor.Control.Changes","parameters":null}"#),
            Method::Changes { detail: Detail::State, last: 0, follow: false }
        );
        assert_eq!(
            method(
                r#"{"method":"io.storagereactor.Control.Changes","more":true,
                    "parameters":{"detail":"all","last":5,"follow":true}}"#
            ),
            Method::Changes { detail: Detail::All, last: 5, follow: true }
        );
        assert_eq!(
            method(
                r#"{"method":"io.storagereactor.Control.Helper","parameters":{"helper":"fence-peer","object":"r0",
                    "env":{"DRBD_RESOURCE":"r0"},"timeout_ms":1500}}"#
            ),
            Method::Helper(HelperRequest {
                helper: "fence-peer".to_owned(),
                object: "r0".to_owned(),
                env: vec![("DRBD_RESOURCE".to_owned(), "r0".to_owned())],
                timeout: Duration::from_millis(1500),
            })
        );
    }

    #[test]
    fn calls_about_a_promoted_resource_are_understood_and_those_that_change_something_are_known() {
        let method = |verb: &str, parameters: &str| {
            let call = format!(r#"{{"method":"{INTERFACE}.{verb}","parameters":{parameters}}}"#);
            parse(call.as_bytes()).map(|call| call.method)
        };
        let r0 = ResourceName::new("r0");
        let why = method("Why", r#"{"resource":"r0"}"#).unwrap();
        assert_eq!((why.is_changing(), why), (false, Method::Why(r0.clone())));
        let hold = method("Hold", r#"{"resource":"r0","why":"new\ncables "}"#).unwrap();
        let verb = OperatorVerb::Hold { why: "new cables".to_owned() };
        assert_eq!((hold.is_changing(), hold), (true, Method::Operator { resource: r0, verb }));
        assert!(method("Release", r#"{"resource":"r0"}"#).unwrap().is_changing());
        assert!(method("Clear", r#"{"resource":"r0"}"#).unwrap().is_changing());
        assert!(!method("Leftovers", "{}").unwrap().is_changing());
        assert!(method("Leftovers", r#"{"remove":true}"#).unwrap().is_changing());
        let even = BTreeSet::from(["r0".to_owned()]);
        assert_eq!(
            method("Leftovers", r#"{"remove":true,"even":["r0"]}"#),
            Ok(Method::Leftovers { remove: true, even })
        );
        assert!(method("Leftovers", r#"{"even":"r0"}"#).is_err());
        for (verb, bad, parameter) in [
            ("Hold", json!({ "resource": "r0", "why": "x".repeat(501) }), "why"),
            ("Hold", json!({ "why": "x" }), "resource"),
            ("Why", json!({ "resource": "" }), "resource"),
            ("Why", json!({ "resource": "a\nb" }), "resource"),
            ("Release", json!({ "resource": "r0", "why": "x" }), "why"),
        ] {
            assert_eq!(method(verb, &bad.to_string()), Err(invalid(parameter)), "{verb} {bad}");
        }
    }

    #[test]
    fn errors_have_the_names_of_the_specification() {
        expect_test::expect![[r#"
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"message"}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"message"}}
            {"error":"org.varlink.service.MethodNotFound","parameters":{"method":"Status"}}
            {"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"com.example"}}
            {"error":"org.varlink.service.MethodNotFound","parameters":{"method":"io.storagereactor.Control.Explode"}}
            {"error":"org.varlink.service.MethodNotImplemented","parameters":{"method":"io.storagereactor.Control.Status"}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"moon"}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"resources"}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"resources"}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"detail"}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"last"}}
            {"error":"org.varlink.service.ExpectedMore","parameters":{}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"interface"}}
            {"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"x.y"}}
            {"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"env"}}"#]]
        .assert_eq(
            &[
                "",
                r#"["method"]"#,
                r#"{"method":"Status"}"#,
                r#"{"method":"com.example.Status"}"#,
                r#"{"method":"io.storagereactor.Control.Explode"}"#,
                r#"{"method":"io.storagereactor.Control.Status","upgrade":true}"#,
                r#"{"method":"io.storagereactor.Control.Status","parameters":{"moon":1}}"#,
                r#"{"method":"io.storagereactor.Control.Status","parameters":{"resources":"r0"}}"#,
                r#"{"method":"io.storagereactor.Control.Status","parameters":{"resources":["r0",1]}}"#,
                r#"{"method":"io.storagereactor.Control.Changes","parameters":{"detail":"everything"}}"#,
                r#"{"method":"io.storagereactor.Control.Changes","parameters":{"last":-1}}"#,
                r#"{"method":"io.storagereactor.Control.Changes","parameters":{"follow":true}}"#,
                r#"{"method":"org.varlink.service.GetInterfaceDescription"}"#,
                r#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"x.y"}}"#,
                r#"{"method":"io.storagereactor.Control.Helper","parameters":{"helper":"h","object":"r","env":{"LD_PRELOAD":"x"}}}"#,
            ]
            .map(error)
            .join("\n"),
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = bytes;
            bytes.push(0);
            for call in parse_stream(&bytes) {
                let _ = call.map_err(|error| error.to_message());
            }
        }

        #[test]
        fn any_parameters_are_answered(
            verb in prop_oneof![
                Just("Changes"), Just("Helper"), Just("Status"), Just("Reload"), Just("Why"), Just("Hold"), Just("Leftovers")
            ],
            name in prop_oneof![
                Just("detail"), Just("last"), Just("follow"), Just("env"), Just("helper"), Just("timeout_ms"), Just("resource"),
                Just("why"), Just("remove")
            ],
            value in prop_oneof![Just("null"), Just("-1"), Just("1e99"), Just("[]"), Just("{}"), Just("\"x\""), Just("true")],
            more in any::<bool>(),
        ) {
            let call = format!(r#"{{"method":"{INTERFACE}.{verb}","more":{more},"parameters":{{"{name}":{value}}}}}"#);
            let _ = parse(call.as_bytes()).map_err(|error| error.to_message());
        }
    }
}
