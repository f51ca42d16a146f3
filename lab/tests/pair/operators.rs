//! What an operator asks by `reactorctl`, also of the other node, over a real sshd: who writes changes, on DRBD 8.4, and nobody is fenced for it.

use lab::cluster::Node;
use lab::pair::NODES;

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, holds, until_why};
use crate::{ssh, start};

pub(crate) fn evict_and_move_over_ssh(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let [first, second] = ground.pair.nodes();
        tokio::try_join!(ssh::set_up(first, &NODES), ssh::set_up(second, &NODES))?;
        let before = start::powers(ground);
        let (active, standby) = ground.active().await?;
        until_why(active, "data", r#".state == "running""#).await?;
        let words = active.sh("reactorctl evict data 2>&1", LONG).await?;
        holds(words.contains(&format!("{} ", standby.name())), format!("it does not say where to: {words}"))?;
        runs_on(ground, standby).await?;
        // From the node that has nothing: the other one is told to let go.
        moved(ground, active, active).await?;
        // And from the one that runs it.
        moved(ground, active, standby).await?;
        // There already: nothing is done, and nothing is touched.
        let pid = ground.pids("counter.service").await?;
        active.sh(&format!("reactorctl move data --to {} 2>&1", standby.name()), LONG).await?;
        holds(pid == ground.pids("counter.service").await?, "it was touched")?;
        holds(start::powers(ground) == before, "a node was switched off")?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn a_refusal_names_the_node_and_its_reason(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let [first, second] = ground.pair.nodes();
        tokio::try_join!(ssh::set_up(first, &NODES), ssh::set_up(second, &NODES))?;
        let (active, standby) = ground.active().await?;
        let pid = ground.pids("counter.service").await?;
        standby.sh("reactorctl hold data --why cables", LONG).await?;
        refused(active, &format!("reactorctl move data --to {}", standby.name()), &[standby.name(), "cables"]).await?;
        refused(active, "reactorctl evict data", &[standby.name(), "cables"]).await?;
        standby.sh("reactorctl release data && reactorctl drain --why kernel", LONG).await?;
        refused(active, &format!("reactorctl move data --to {}", standby.name()), &[standby.name(), "kernel"]).await?;
        standby.sh("reactorctl undrain", LONG).await?;
        until_why(standby, "data", r#".state == "standby""#).await?;
        holds(pid == ground.pids("counter.service").await?, "it was touched")?;
        counter::is_sound(ground).await
    })
}

/// Asked on one node, it runs on another one then.
async fn moved(ground: &Ground, asked: &Node, to: &Node) -> Done {
    // A node that has just given it away may be on its way to standby still, which is a reason to refuse.
    asked.until(&format!("reactorctl move data --to {} 2>&1", to.name()), LONG).await?;
    runs_on(ground, to).await
}

async fn runs_on(ground: &Ground, node: &Node) -> Done {
    until_why(node, "data", r#".state == "running""#).await?;
    let (active, standby) = ground.active().await?;
    holds(active.name() == node.name(), format!("it runs on {}", active.name()))?;
    until_why(standby, "data", r#".state == "standby""#).await
}

/// The checks beforehand say no, with these words.
async fn refused(node: &Node, command: &str, words: &[&str]) -> Done {
    let output = node.exec(&format!("{command} 2>&1"), LONG).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    holds(output.code == 10, format!("`{command}` ends with {}: {text}", output.code))?;
    for word in words {
        holds(text.contains(word), format!("`{command}` does not say {word}: {text}"))?;
    }
    Ok(())
}
