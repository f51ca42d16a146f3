//! The agent on a real serial line: every byte, several things at once, and an agent that dies.

use std::time::Duration;

use lab::agent::{AgentError, Command};

use crate::Shared;
use crate::cluster::{Done, LONG, check};

/// Every byte, so also those that a terminal would take for itself.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| u8::try_from((at ^ (at >> 8)) & 0xff).unwrap_or_default()).collect()
}

pub(crate) fn the_serial_line_carries_every_byte(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let agent = cluster.node("n1")?.agent()?;
        let input = bytes(600_000);
        let command = Command { command: "cat", input: Some(&input), most: u64::MAX };
        check(agent.run(&command, LONG, |_, _| ()).await?.stdout == input, "what goes in comes out")?;
        let folder = cluster.folder().join("agent-files");
        std::fs::create_dir_all(&folder)?;
        let (here, back) = (folder.join("here"), folder.join("back"));
        std::fs::write(&here, &input)?;
        agent.push(&here, "/root/there", LONG).await?;
        let sum = cluster.node("n1")?.sh("md5sum </root/there", LONG).await?;
        let same = agent.run(&Command { command: "md5sum", ..command }, LONG, |_, _| ()).await?;
        check(String::from_utf8_lossy(&same.stdout).trim() == sum, "the file in the node")?;
        agent.pull("/root/there", &back, LONG).await?;
        check(std::fs::read(&back)? == input, "the file that came back")
    })
}

pub(crate) fn a_command_that_hangs_holds_up_no_other(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let agent = cluster.node("n2")?.agent()?;
        let (long, short) = tokio::join!(agent.exec("sleep 1000", Duration::from_secs(3)), async {
            for number in 0..10 {
                let output = agent.exec(&format!("echo {number}"), LONG).await?;
                if output.stdout != format!("{number}\n").into_bytes() {
                    return Ok(false);
                }
            }
            agent.ping(LONG).await.map(|_| true)
        });
        check(matches!(long, Err(AgentError::Timeout { .. })), "the long one has its time")?;
        check(short?, "the short ones are answered")?;
        let left = "for i in $(seq 100); do pgrep -x sleep >/dev/null || exit 0; sleep 0.1; done; exit 1";
        check(agent.exec(left, LONG).await?.code == 0, "it is killed in the node")
    })
}

pub(crate) fn an_agent_that_dies_comes_back(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let agent = cluster.node("n3")?.agent()?;
        let (boots, boot) = (agent.boots(), agent.boot_id());
        let killed = agent.exec("systemctl kill -s KILL --kill-who=main lab-agent.service; sleep 1000", LONG).await;
        check(matches!(killed, Err(AgentError::Restarted)), &format!("who asked is told: {killed:?}"))?;
        check(agent.exec("echo again", LONG).await?.stdout == b"again\n", "it answers again")?;
        check((agent.boots(), agent.boot_id()) == (boots, boot), "that was no boot")?;
        agent.exec("pkill -x sleep", LONG).await?;
        Ok(())
    })
}
