//! A context over a real sshd: who is dead or hangs costs nobody else's answer, and a key says what may be asked.

use lab::cluster::Node;
use libtest_mimic::Failed;

use crate::node::Resource;
use crate::ssh;
use crate::stage::{Done, LONG, NODES, Shared, Stage, check};

/// The exit code for a node that did not answer.
const NOT_ALL: u8 = 12;

pub(crate) fn the_dead_and_the_hung_cost_nobody_elses_answer(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        set_up(stage).await?;
        let n1 = stage.node("n1")?;
        n1.until("reactorctl status --all", LONG).await?;
        // sshd of n2 answers, and its daemon does not; n3 has no power.
        stage.node("n2")?.sh("systemctl kill --signal STOP storage-reactor", LONG).await?;
        stage.power_cut("n3").await?;
        let (code, all) = said(n1, "reactorctl status --all").await?;
        check(code == NOT_ALL, &format!("it ends with {code}: {all}"))?;
        check(all.contains("n2: not reached: no answer within 3 s"), &all)?;
        check(all.contains("n3: not reached: "), &all)?;
        for resource in crate::node::RESOURCES {
            check(all.contains(resource), &format!("nothing of {resource}: {all}"))?;
        }
        // The same as a table.
        let (code, table) = said(n1, "reactorctl mon").await?;
        check(code == NOT_ALL, &format!("it ends with {code}: {table}"))?;
        check(table.contains("? n2: not reached") && table.contains("? n3: not reached"), &table)?;
        // One of them, named: its answer only, and why there is none.
        let (code, one) = said(n1, "reactorctl --node n3 why web").await?;
        check(code != 0 && one.contains("n3"), &format!("it ends with {code}: {one}"))?;
        check(!one.contains("n2"), &one)?;
        stage.node("n2")?.sh("systemctl kill --signal CONT storage-reactor", LONG).await?;
        stage.boot("n3").await?;
        stage.node("n3")?.sh("systemctl start ssh", LONG).await?;
        n1.until("reactorctl status --all", LONG).await?;
        Ok(())
    })
}

pub(crate) fn a_key_says_what_may_be_asked(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        set_up(stage).await?;
        let (n1, n2) = (stage.node("n1")?, stage.node("n2")?);
        let web = Resource::new(n2, "web");
        let bound = |options: &str| {
            format!(
                "key=/etc/ssh/ssh_host_ed25519_key.pub; \
                 echo \"command=\\\"reactorctl bridge {options}\\\" $(cat $key)\" >/root/.ssh/authorized_keys"
            )
        };
        n2.sh(&bound("--read-only"), LONG).await?;
        n1.until("reactorctl --node n2 why web", LONG).await?;
        let (code, words) = said(n1, "reactorctl --node n2 hold web").await?;
        check(
            code != 0 && words.contains("n2: permission denied") && words.contains("Hold"),
            &format!("it ends with {code}: {words}"),
        )?;
        web.until_all(".hold == null").await?;
        n2.sh(&bound("--allow hold,release"), LONG).await?;
        n1.until("reactorctl --node n2 hold web --why cables", LONG).await?;
        web.until_all(".hold.why == \"cables\"").await?;
        let (code, words) = said(n1, "reactorctl --node n2 drain").await?;
        check(code != 0, &format!("it was drained: {words}"))?;
        n1.until("reactorctl --node n2 release web", LONG).await?;
        web.until_all(".hold == null").await?;
        Ok(())
    })
}

pub(crate) fn a_move_goes_where_it_is_told_and_a_drain_empties_a_node(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        set_up(stage).await?;
        let from = stage.runs_on("app").await?;
        stage.until_runs("app", from).await?;
        let [to, other] = stage.others(from)[..] else { return Err("not three nodes".into()) };
        // Asked on the one that has nothing to do with it.
        stage.node(other)?.until(&format!("reactorctl move app --to {to}"), LONG).await?;
        stage.until_runs("app", to).await?;
        stage.node(other)?.until(&format!("reactorctl --node {to} drain --why kernel"), LONG).await?;
        stage.until_primary("app", &stage.others(to)).await?;
        let drained = Resource::new(stage.node(to)?, "app");
        drained.until_all(".state == \"held\" or .state == \"standby\" or .state == \"drained\"").await?;
        check(!drained.is_active().await?, "it runs on a drained node")?;
        stage.node(other)?.until(&format!("reactorctl --node {to} undrain"), LONG).await?;
        drained.until("standby").await
    })
}

async fn set_up(stage: &Stage) -> Done {
    for name in NODES {
        ssh::set_up(stage.node(name)?, &NODES).await?;
    }
    Ok(())
}

/// How a command ends, and all that it prints.
async fn said(node: &Node, command: &str) -> Result<(u8, String), Failed> {
    let output = node.exec(&format!("{command} 2>&1"), LONG).await?;
    Ok((u8::try_from(output.code)?, String::from_utf8_lossy(&output.stdout).into_owned()))
}
