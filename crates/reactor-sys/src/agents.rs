//! Asks OCF agents what parameters they have. They are programs of the administrator's: each has a deadline, and what can't be asked, or prints what is no
//! XML, is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use reactor_core::doctor::{AgentMetaData, Parameter};
use reactor_core::facts::Agent;
use roxmltree::Document;
use tokio::task::JoinSet;

use crate::drbd::command;

/// How long an agent may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// What it may print.
const MAX_OUTPUT: usize = 1 << 20;
/// The folder above that of the agents.
const OCF_ROOT: &str = "/usr/lib/ocf";

/// Asks all of them at once. `folder` has one folder for each vendor.
pub async fn meta_data(agents: &BTreeSet<Agent>, folder: &Path) -> BTreeMap<Agent, AgentMetaData> {
    let mut asking = JoinSet::new();
    for agent in agents {
        let program = folder.join(&agent.vendor).join(&agent.agent);
        let agent = agent.clone();
        asking.spawn(async move {
            let mut command = command::command(&program, ["meta-data"]);
            command.env("OCF_ROOT", OCF_ROOT).env("__OCF_ACTION", "meta-data").env("LC_ALL", "C");
            let output = command::run_command(command, &program, DEADLINE, MAX_OUTPUT).await.ok()?;
            parse(&output.stdout).map(|data| (agent, data))
        });
    }
    asking.join_all().await.into_iter().flatten().collect()
}

/// `None` = that is no meta-data.
fn parse(text: &str) -> Option<AgentMetaData> {
    // Agents name a DTD that nobody has, and some print a line before it.
    let text = &text[text.find("<resource-agent")?..];
    let document = Document::parse(text).ok()?;
    let parameters = document.descendants().filter(|node| node.has_tag_name("parameter"));
    let of = |node: roxmltree::Node<'_, '_>| {
        let required = matches!(node.attribute("required"), Some("1" | "true" | "yes"));
        Some((node.attribute("name")?.to_owned(), Parameter { required }))
    };
    Some(AgentMetaData { parameters: parameters.filter_map(of).collect() })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const GOOD: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="IPaddr2"><parameters>
<parameter name="ip" unique="1" required="1"><content type="string"/></parameter>
<parameter name="nic" required="0"><content type="string"/></parameter>
</parameters><actions><action name="start" timeout="20s"/></actions></resource-agent>"#;

    #[tokio::test]
    async fn agents_say_what_they_take_and_who_says_nothing_is_left_out() {
        let folder = std::env::temp_dir().join(format!("storage-reactor-agents-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("v")).unwrap();
        for (name, script) in [
            ("good", format!("test \"$1 $OCF_ROOT\" = 'meta-data /usr/lib/ocf' || exit 1\ncat <<'X'\n{GOOD}\nX")),
            ("broken", "echo '<resource-agent><parameter name=x></resource-agent>'".to_owned()),
            ("silent", "exit 1".to_owned()),
        ] {
            let path = folder.join("v").join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        let agent = |name: &str| Agent { vendor: "v".to_owned(), agent: name.to_owned() };
        let found = meta_data(&["good", "broken", "silent", "missing"].map(agent).into(), &folder).await;
        fs::remove_dir_all(folder).unwrap();
        let parameters =
            [("ip", true), ("nic", false)].map(|(name, required)| (name.to_owned(), Parameter { required }));
        assert_eq!(found, [(agent("good"), AgentMetaData { parameters: parameters.into() })].into());
    }
}
