//! What commands print with `--json` is what the published schemas say: every key of it is described, and has the described type.

use std::collections::BTreeSet;

use reactor_api::status::ReloadResult;
use serde_json::Value;

use crate::cluster::cluster;
use crate::daemon::{Daemon, KILLED, reloaded};
use crate::moving::{n3, r1};

/// The published schema of a command.
fn schema(command: &str) -> Value {
    let path = format!("{}/../../docs/reactorctl-{command}.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What is wrong with a value; and which of its keys are described.
fn validate(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<BTreeSet<String>, String> {
    let mut known = BTreeSet::new();
    let Some(rules) = schema.as_object() else { return Ok(known) };
    for (rule, says) in rules {
        match rule.as_str() {
            "$ref" => {
                let name = says.as_str().and_then(|name| name.strip_prefix("#/$defs/")).unwrap();
                known.extend(validate(root, &root["$defs"][name], value, at)?);
            }
            "allOf" => {
                for one in says.as_array().unwrap() {
                    known.extend(validate(root, one, value, at)?);
                }
            }
            "oneOf" | "anyOf" => {
                let tried: Vec<_> = says.as_array().unwrap().iter().map(|one| validate(root, one, value, at)).collect();
                let good = tried.iter().filter(|one| one.is_ok()).count();
                if good == 0 || (rule == "oneOf" && good > 1) {
                    return Err(format!("{at}: {good} of {rule} fit {value}: {tried:?}"));
                }
                known.extend(tried.into_iter().flatten().flatten());
            }
            "type" => {
                let types: Vec<&str> = match says {
                    Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                let is = match value {
                    Value::Null => &["null"][..],
                    Value::Bool(_) => &["boolean"],
                    Value::Number(number) if number.is_f64() => &["number"],
                    Value::Number(_) => &["integer", "number"],
                    Value::String(_) => &["string"],
                    Value::Array(_) => &["array"],
                    Value::Object(_) => &["object"],
                };
                if !types.iter().any(|one| is.contains(one)) {
                    return Err(format!("{at}: {value} is no {says}"));
                }
            }
            "properties" => {
                for (name, inner) in says.as_object().unwrap() {
                    known.insert(name.clone());
                    if let Some(value) = value.get(name) {
                        whole(root, inner, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "required" => {
                let missing =
                    says.as_array().unwrap().iter().filter_map(Value::as_str).find(|name| value.get(*name).is_none());
                if let Some(missing) = missing {
                    return Err(format!("{at}: {missing} is missing"));
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if rules.get("properties").is_none_or(|properties| properties.get(name).is_none()) {
                        whole(root, says, value, &format!("{at}.{name}"))?;
                        known.insert(name.clone());
                    }
                }
            }
            "items" => {
                for one in value.as_array().into_iter().flatten() {
                    whole(root, says, one, &format!("{at}[]"))?;
                }
            }
            "const" if says != value => return Err(format!("{at}: {value} is not {says}")),
            "enum" if !says.as_array().unwrap().contains(value) => {
                return Err(format!("{at}: {value} is none of {says}"));
            }
            "minimum" if value.as_f64().is_some_and(|value| value < says.as_f64().unwrap()) => {
                return Err(format!("{at}: {value} is below {says}"));
            }
            "const" | "enum" | "minimum" | "maximum" | "format" | "description" | "default" | "title" | "$schema"
            | "$defs" => {}
            other => panic!("a rule that this test does not know: {other}"),
        }
    }
    Ok(known)
}

/// The same, and no key is there that is not described.
fn whole(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let known = validate(root, schema, value, at)?;
    let stranger = value.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !known.contains(*name));
    stranger.map_or(Ok(()), |name| Err(format!("{at}: {name} is not described")))
}

pub(crate) fn check(command: &str, output: &[u8]) -> usize {
    let schema = schema(command);
    let mut count = 0;
    for value in serde_json::Deserializer::from_slice(output).into_iter() {
        if let Err(why) = whole(&schema, &schema, &value.unwrap(), command) {
            panic!("{why}");
        }
        count += 1;
    }
    count
}

#[test]
fn what_is_printed_as_json_is_what_the_schemas_say() {
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let run = |args: &[&str]| daemon.run(args).output().unwrap().stdout;
    assert_eq!(check("status", &run(&["status", "--json"])), 1);
    assert_eq!(check("why", &run(&["why", "r1", "--json"])), 1);
    assert_eq!(check("plan", &run(&["plan", "r1", "--json"])), 1);
    // Every kind of object, with all that it had before and after.
    assert!(check("changes", &run(&["changes", "--json", "--last", "1000"])) > 20);
    assert_eq!(check("doctor", &run(&["doctor", "--local", "--json"])), 1);
    assert_eq!(check("ping", &run(&["ping", "--json"])), 1);
    assert_eq!(check("leftovers", &run(&["leftovers", "--json"])), 1);
    assert_eq!(check("wait", &run(&["wait", "r1", "disk=Failed", "--timeout", "0", "--json"])), 1);
    let snippet = daemon.folder.join("broken.toml");
    std::fs::write(&snippet, "[[promoter]]\nresource = 1\n").unwrap();
    let broken = snippet.display().to_string();
    assert_eq!(check("check", &run(&["check", "--json", "--no-system", &broken])), 1);
    std::fs::write(daemon.folder.join("main.toml"), format!("snippets = \"{}\"\n", daemon.folder.display())).unwrap();
    let main = daemon.folder.join("main.toml").display().to_string();
    let listed = run(&["--config", &main, "config", "ls", "--json"]);
    assert!(String::from_utf8_lossy(&listed).contains("broken.toml"), "{listed:?}");
    assert_eq!(check("config-ls", &listed), 1);
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let of_all = cluster(&daemon, &far, "");
    assert_eq!(check("mon", &of_all(&["mon", "--json"]).output().unwrap().stdout), 1);
    // Over all nodes it is one of them for each node.
    let said = |args: &[&str]| -> Value { serde_json::from_slice(&of_all(args).output().unwrap().stdout).unwrap() };
    let (plans, statuses) = (said(&["plan", "r1", "--all", "--json"]), said(&["status", "--all", "--json"]));
    for node in ["n2", "n3"] {
        assert_eq!(check("plan", plans["nodes"][node]["plan"].to_string().as_bytes()), 1);
        assert_eq!(check("status", statuses[node]["status"].to_string().as_bytes()), 1);
    }
}

/// Every kind of device that was kept, and this machine's.
#[test]
fn block_devices_are_what_the_schema_says() {
    let trees = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../reactor-sysfs/tests/sysfs");
    let run = |args: &[&str]| crate::daemon::reactorctl().arg("block").args(args).output().unwrap();
    let mut count = 0;
    for tree in std::fs::read_dir(trees).unwrap() {
        let root = tree.unwrap().path().display().to_string();
        count += check("block", &run(&["--json", "--root", &root]).stdout);
    }
    assert_eq!(count, 10);
    let here = run(&["--json"]);
    assert_eq!(check("block", &here.stdout), 1, "{here:?}");
    let nothing = run(&["no-such-device-anywhere"]);
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(17), 0), "{nothing:?}");
}

/// What would follow if the node died where it runs, and what the others say.
#[test]
fn what_why_adds_to_a_report_is_what_the_schema_says() {
    let far = n3(|_| {});
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    near.change(|state| state.promoted = vec![r1("running", "its services run here")]);
    let run = |args: &[&str]| cluster(&near, &far, "")(args).output().unwrap().stdout;
    for args in [&["--node", "n2", "why", "r1", "--json"][..], &["--node", "n2", "why", "r1", "--json", "--all"]] {
        let said = run(args);
        assert_eq!(check("why", &said), 1);
        let said: Value = serde_json::from_slice(&said).unwrap();
        let is_all = args.contains(&"--all");
        assert!(said["if-down"]["event"].is_string() && said["if-down"]["starts"].is_array(), "{said:#}");
        assert_eq!(said["others"]["n3"]["report"].is_object(), is_all, "{said:#}");
    }
}

/// What the test itself is good for.
#[test]
fn what_does_not_fit_is_noticed() {
    let schema = schema("doctor");
    let wrong = |text: &str| whole(&schema, &schema, &serde_json::from_str(text).unwrap(), "doctor").unwrap_err();
    assert_eq!(wrong(r#"{"nodes":["n1",2]}"#), "doctor.nodes[]: 2 is no \"string\"");
    assert_eq!(wrong(r#"{"findings":[{"severity":"none"}]}"#).split(':').next(), Some("doctor.findings[].severity"));
    assert_eq!(wrong(r#"{"findings":[{"moon":1}]}"#), "doctor.findings[]: moon is not described");
}
