//! Messages to calls, and answers to messages: Varlink's call, reply and error objects.
//!
//! Pure: no I/O. Parameters are taken one by one, so that an error names the one that is wrong.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::framing::{Frames, MAX_REQUEST_BYTES, message};
use crate::parameter::Parameters;
use crate::verb::Caller;
use crate::verbs::Call;
use crate::{INTERFACE, SERVICE_INTERFACE, interface};

/// One message of a client, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The client wants to hear nothing back.
    pub oneway: bool,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// `org.varlink.service.GetInfo`.
    GetInfo,
    /// `org.varlink.service.GetInterfaceDescription`, with the answer.
    GetInterfaceDescription(String),
    /// One of our verbs.
    Verb(Call),
}

impl Method {
    /// Who may ask that.
    pub fn caller(&self) -> Caller {
        match self {
            Self::GetInfo | Self::GetInterfaceDescription(_) => Caller::Reader,
            Self::Verb(call) => call.caller(),
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
    /// Not everybody who may connect may do that.
    #[error("{who} may not do that: it is for {whom}")]
    PermissionDenied {
        /// Who asked.
        who: String,
        /// Whom it is for.
        whom: String,
    },
    /// What passes this call on lets only some through.
    #[error("this way only some calls are let through (reactorctl bridge), and {method} is none of them")]
    NotThisWay {
        /// The method.
        method: String,
    },
    /// No promoter has this resource.
    #[error("no promoter has the resource {resource}")]
    NoSuchResource {
        /// As it was asked for.
        resource: String,
    },
    /// It can't be done as things are.
    #[error("{why}")]
    Refused {
        /// Why, and what to do.
        why: String,
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
            Self::PermissionDenied { .. } | Self::NotThisWay { .. } => {
                (ours("PermissionDenied"), json!({ "reason": self.to_string() }))
            }
            Self::NoSuchResource { resource } => (ours("NoSuchResource"), json!({ "resource": resource })),
            Self::Refused { why } => (ours("Refused"), json!({ "reason": why })),
            Self::TimedOut { .. } => (ours("TimedOut"), json!({ "reason": self.to_string() })),
            Self::Unavailable { .. } => (ours("Unavailable"), json!({ "reason": self.to_string() })),
            Self::Lagged { missed } => (ours("Lagged"), json!({ "missed": missed })),
        };
        message(&json!({ "error": error, "parameters": parameters }))
    }
}

/// A reply. `continues`: another one follows.
pub fn reply(parameters: &impl Serialize, continues: bool) -> Vec<u8> {
    #[derive(Serialize)]
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
pub fn parse(message: &[u8]) -> Result<Request, CallError> {
    let not_a_call = |error: serde_json::Error| CallError::NotACall { why: error.to_string() };
    // First as an object: serde would take an array of the right values for a struct too.
    let object: Map<String, Value> = serde_json::from_slice(message).map_err(not_a_call)?;
    let raw: RawCall = serde_json::from_value(Value::Object(object)).map_err(not_a_call)?;
    let method = raw.method.clone();
    if raw.upgrade {
        return Err(CallError::MethodNotImplemented { method });
    }
    let Some((interface, name)) = method.rsplit_once('.') else {
        return Err(CallError::MethodNotFound { method });
    };
    let mut parameters = Parameters(raw.parameters.unwrap_or_default());
    let method = match interface {
        SERVICE_INTERFACE => service(name, &mut parameters)?,
        INTERFACE => Call::take(name, &mut parameters).map(|call| call.map_err(invalid)).transpose()?.map(Method::Verb),
        _ => return Err(CallError::InterfaceNotFound { interface: interface.to_owned() }),
    };
    let Some(method) = method else { return Err(CallError::MethodNotFound { method: raw.method }) };
    if let Method::Verb(call) = &method
        && call.needs_more()
        && !raw.more
    {
        return Err(CallError::ExpectedMore);
    }
    // A parameter that we do not know would be silently ignored.
    match parameters.unknown() {
        Some(name) => Err(invalid(name)),
        None => Ok(Request { method, oneway: raw.oneway }),
    }
}

/// The methods that every Varlink service has.
fn service(name: &str, parameters: &mut Parameters) -> Result<Option<Method>, CallError> {
    Ok(match name {
        "GetInfo" => Some(Method::GetInfo),
        "GetInterfaceDescription" => {
            let interface: String = parameters.take("interface").map_err(invalid)?;
            let Some(text) = interface::description(&interface) else {
                return Err(CallError::InterfaceNotFound { interface });
            };
            Some(Method::GetInterfaceDescription(text))
        }
        _ => None,
    })
}

/// Understands all messages of a stream, as the server does with a client that sends just these bytes. For the fuzz target.
pub fn parse_stream(bytes: &[u8]) -> Vec<Result<Request, CallError>> {
    let mut frames = Frames::new(MAX_REQUEST_BYTES);
    let mut requests = Vec::new();
    frames.push(bytes);
    while let Ok(Some(message)) = frames.next_message() {
        requests.push(parse(message));
    }
    requests
}

fn invalid(parameter: &str) -> CallError {
    CallError::InvalidParameter { parameter: parameter.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::verbs::{Changes, Clear, Helper, Hold, Leftovers, Release, Reload, Status, Why};
    use crate::words::{Detail, HelperEnv, HelperTimeout, Last};

    fn error(call: &str) -> String {
        let bytes = parse(call.as_bytes()).expect_err(call).to_message();
        String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned()
    }

    fn understood(call: &str) -> Method {
        parse(call.as_bytes()).expect(call).method
    }

    #[test]
    fn calls_are_understood() {
        let check = |call: &str, expect: Call| assert_eq!(understood(call), Method::Verb(expect));
        check(r#"{"method":"io.storagereactor.Control.Status"}"#, Status { resources: None }.into());
        check(
            r#"{"method":"io.storagereactor.Control.Status","parameters":{"resources":["r1","r0"]}}"#,
            Status { resources: Some(["r0", "r1"].map(str::to_owned).into()) }.into(),
        );
        check(r#"{"method":"io.storagereactor.Control.Reload","parameters":{}}"#, Reload {}.into());
        check(r#"{"method":"io.storagereactor.Control.Changes","parameters":null}"#, Changes::default().into());
        check(
            r#"{"method":"io.storagereactor.Control.Changes","more":true,
                "parameters":{"detail":"all","last":5,"follow":true}}"#,
            Changes { detail: Some(Detail::All), last: Some(Last(5)), follow: Some(true) }.into(),
        );
        check(
            r#"{"method":"io.storagereactor.Control.Helper","parameters":{"helper":"fence-peer","object":"r0",
                "env":{"DRBD_RESOURCE":"r0"},"timeout_ms":1500}}"#,
            Helper {
                helper: "fence-peer".into(),
                object: "r0".into(),
                env: HelperEnv(BTreeMap::from([("DRBD_RESOURCE".to_owned(), "r0".to_owned())])),
                timeout_ms: HelperTimeout(1500),
            }
            .into(),
        );
        assert_eq!(understood(r#"{"method":"org.varlink.service.GetInfo"}"#), Method::GetInfo);
    }

    #[test]
    fn calls_about_a_promoted_resource_are_understood_and_who_may_make_them_is_known() {
        let method = |verb: &str, parameters: &str| {
            let call = format!(r#"{{"method":"{INTERFACE}.{verb}","parameters":{parameters}}}"#);
            parse(call.as_bytes()).map(|request| (request.method.caller(), request.method))
        };
        let check = |verb: &str, parameters: &str, caller: Caller, expect: Call| {
            assert_eq!(method(verb, parameters), Ok((caller, Method::Verb(expect))));
        };
        let resource = || "r0".into();
        check("Why", r#"{"resource":"r0"}"#, Caller::Reader, Why { resource: resource() }.into());
        let hold = Hold { resource: resource(), why: Some("new cables".into()) };
        check("Hold", r#"{"resource":"r0","why":"new\ncables "}"#, Caller::Operator, hold.into());
        check(
            "Release",
            r#"{"resource":"r0"}"#,
            Caller::Operator,
            Release { resource: resource(), command: None }.into(),
        );
        check("Clear", r#"{"resource":"r0"}"#, Caller::Operator, Clear { resource: resource() }.into());
        check("Leftovers", "{}", Caller::Reader, Leftovers::default().into());
        let remove = Leftovers { remove: Some(true), even: None };
        check("Leftovers", r#"{"remove":true}"#, Caller::Root, remove.clone().into());
        let even = Some(BTreeSet::from(["r0".to_owned()]));
        check("Leftovers", r#"{"remove":true,"even":["r0"]}"#, Caller::Root, Leftovers { even, ..remove }.into());
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

    /// Each verb with each parameter of any verb.
    fn every_parameter() -> Vec<(&'static str, &'static str)> {
        let all = crate::verbs::all();
        let names: Vec<_> = all.iter().flat_map(|verb| &verb.parameters).map(|(name, _)| *name).collect();
        all.iter().flat_map(|verb| names.iter().map(|name| (verb.name, *name))).collect()
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
            (verb, name) in proptest::sample::select(every_parameter()),
            value in prop_oneof![Just("null"), Just("-1"), Just("1e99"), Just("[]"), Just("{}"), Just("\"x\""), Just("true")],
            more in any::<bool>(),
        ) {
            let call = format!(r#"{{"method":"{INTERFACE}.{verb}","more":{more},"parameters":{{"{name}":{value}}}}}"#);
            let _ = parse(call.as_bytes()).map_err(|error| error.to_message());
        }
    }
}
