//! A service fails: every `Restart=` that matters with every `on-service-failure`.

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, holds, until_why, why};
use crate::side;

/// Where the service is after it failed once.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// Nowhere: it is shown as failed where it was, and its target stays.
    Failed,
    /// Started again where it was; its target stays.
    Here,
    /// On the other node.
    Other,
    /// On one of the two: systemd's own restart takes the target down for a moment, and who is faster starts it.
    Somewhere,
}

/// Of a resource each: side1, side2, side3.
const POLICIES: [&str; side::SIDES] = ["ignore", "restart", "move"];
/// `Restart=`, and where that leads with each policy.
const ROUNDS: [(&str, [Then; side::SIDES]); 3] = [
    ("on-failure", [Then::Somewhere, Then::Somewhere, Then::Other]),
    ("always", [Then::Somewhere, Then::Somewhere, Then::Other]),
    ("no", [Then::Failed, Then::Here, Then::Other]),
];

/// The promoter's file for all three.
pub(crate) fn side_toml() -> String {
    (1..).zip(POLICIES).map(|(number, policy)| side_table(number, policy)).collect()
}

fn side_table(number: usize, policy: &str) -> String {
    format!(
        "[[promoter]]\n[promoter.resources.side{number}]\nstart = [\"side{number}.service\"]\n\
         on-service-failure = \"{policy}\"\nmax-failures = 2\nfencing-promote-delay = 1\n"
    )
}

pub(crate) fn a_failure_has_its_policy(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        for (restart, leads) in ROUNDS {
            let homes = all_run(ground, restart).await?;
            for home in &homes {
                ground.cluster.node(&home.node)?.sh(&format!("systemctl kill -s KILL {}", home.unit()), LONG).await?;
            }
            for ((home, then), policy) in homes.iter().zip(leads).zip(POLICIES) {
                let checked = after_one_failure(ground, home, then).await;
                checked.map_err(|failed| {
                    format!("Restart={restart}, {policy}: {}", failed.message().unwrap_or_default())
                })?;
            }
        }
        counter::is_sound(ground).await
    })
}

/// Where a case runs before its service fails.
struct Home {
    number: usize,
    node: String,
    /// Of the target: the same as long as it is not started again.
    invocation: String,
    pid: String,
}

impl Home {
    fn unit(&self) -> String {
        format!("side{}.service", self.number)
    }

    fn target(&self) -> String {
        format!("drbd-services@side{}.target", self.number)
    }
}

/// Each with this `Restart=`, running somewhere, and without a failure.
async fn all_run(ground: &Ground, restart: &str) -> Result<Vec<Home>, libtest_mimic::Failed> {
    side::ready(ground).await?;
    let units = format!(
        "for i in 1 2 3; do printf '[Service]\\nExecStart=/bin/sleep infinity\\nRestart={restart}\\n' \
         >/etc/systemd/system/side$i.service; done; systemctl daemon-reload"
    );
    ground.both(&units).await?;
    ground.snippet("side", &side_toml()).await?;
    ground.both("for i in 1 2 3; do reactorctl clear side$i; done").await?;
    let mut homes = Vec::new();
    for number in 1..=side::SIDES {
        let running = format!(
            "reactorctl status --json | jq -e '.promoted[] | select(.resource == \"side{number}\") | .state == \"running\"'"
        );
        let [first, second] = ground.pair.nodes();
        let (node, other) = tokio::select! {
            found = first.until(&running, LONG) => found.map(|_| (first, second))?,
            found = second.until(&running, LONG) => found.map(|_| (second, first))?,
        };
        // The other one has nothing left to do before it can take over.
        let ready = r#".state == "standby" and all(.because[]; contains("is Primary"))"#;
        until_why(other, &format!("side{number}"), ready).await?;
        let show = format!(
            "systemctl show --value -p InvocationID drbd-services@side{number}.target; systemctl show --value -p MainPID side{number}"
        );
        let shown = node.sh(&show, LONG).await?;
        let (invocation, pid) = shown.split_once('\n').ok_or("systemctl show")?;
        homes.push(Home {
            number,
            node: node.name().to_owned(),
            invocation: invocation.into(),
            pid: pid.trim().into(),
        });
    }
    Ok(homes)
}

async fn after_one_failure(ground: &Ground, home: &Home, then: Then) -> Done {
    let (node, other) = (ground.cluster.node(&home.node)?, ground.pair.other(&home.node));
    let resource = format!("side{}", home.number);
    // It counts where it happened, whatever is done about it.
    until_why(node, &resource, ".failures == 1 and (.\"last-failure\" | contains(\".service\"))").await?;
    let runs = format!(
        "systemctl -q is-active {} && test $(systemctl show --value -p MainPID {0}) != {}",
        home.unit(),
        home.pid
    );
    let started = format!("systemctl -q is-active {}", home.target());
    match then {
        Then::Failed => {
            let shown = format!(".state == \"running\" and any(.because[]; contains(\"{} has failed\"))", home.unit());
            until_why(node, &resource, &shown).await?;
            node.sh(&format!("systemctl is-failed {}", home.unit()), LONG).await?;
        }
        Then::Here => drop(node.until(&runs, LONG).await?),
        Then::Other => {
            other.until(&started, LONG).await?;
            // Stopped by the daemon, or by systemd's own restart, which took the target down first.
            until_why(
                node,
                &resource,
                r#".state == "standby" and all(.units[]; .active == "inactive" or .active == "failed")"#,
            )
            .await?;
        }
        Then::Somewhere => tokio::select! {
            found = node.until(&runs, LONG) => drop(found?),
            found = other.until(&started, LONG) => drop(found?),
        },
    }
    if matches!(then, Then::Failed | Then::Here) {
        let invocation = node.sh(&format!("systemctl show --value -p InvocationID {}", home.target()), LONG).await?;
        holds(invocation == home.invocation, "its target was stopped")?;
        let report = why(other, &resource).await?;
        holds(report["state"] == "standby", format!("{}: {report:#}", other.name()))?;
    }
    Ok(())
}

pub(crate) fn a_service_that_fails_too_often_is_given_up_here(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let home = all_run(ground, "no").await?.remove(1);
        let (node, other) = (ground.cluster.node(&home.node)?, ground.pair.other(&home.node));
        other.sh("reactorctl hold side2", LONG).await?;
        node.sh("systemctl kill -s KILL side2", LONG).await?;
        until_why(node, "side2", r#".state == "running" and .failures == 1 and all(.units[]; .active == "active")"#).await?;
        node.sh("systemctl kill -s KILL side2", LONG).await?;
        until_why(node, "side2", r#".state == "blocked" and .failures == 2"#).await?;
        other.sh("reactorctl release side2 && for i in $(seq 300); do systemctl -q is-active side2 && break; sleep 0.1; done; systemctl is-active side2", LONG).await?;
        // It outlives the daemon, and ends with an operator's word.
        node.sh("systemctl restart storage-reactor", LONG).await?;
        until_why(node, "side2", r#".failures == 2"#).await?;
        other.sh("reactorctl hold side2 && systemctl stop drbd-services@side2.target", LONG).await?;
        until_why(node, "side2", r#".state == "blocked""#).await?;
        node.sh("reactorctl clear side2", LONG).await?;
        node.until("systemctl -q is-active side2", LONG).await?;
        other.sh("reactorctl release side2", LONG).await?;
        counter::is_sound(ground).await
    })
}
