//! A resource as one node has it: what its daemon says, and what its systemd does.

use lab::cluster::Node;
use libtest_mimic::Failed;

use crate::stage::{Done, LONG, check};

/// The resources of `cluster.json`.
pub(crate) const RESOURCES: [&str; 5] = ["web", "db", "log", "app", "home"];

/// Succeeds if the daemon of a node has nothing to do; forgets first what a test has left.
pub(crate) const IN_PEACE: &str = "rm -f /run/slow-*; says=$(reactorctl status --json) || exit 1; \
     if jq -e '.systemd.up and (.promoted | length == 5 and \
         all(.failures == 0 and (.state == \"running\" or .state == \"standby\")))' >/dev/null <<<\"$says\"; then exit 0; fi; \
     for r in $(jq -r '.promoted[] | select(.hold or .failures > 0).resource' <<<\"$says\"); do \
         reactorctl release $r; reactorctl clear $r; done >/dev/null; reactorctl status; exit 1";

/// See the module's head.
pub(crate) struct Resource<'a> {
    node: &'a Node,
    name: &'a str,
}

impl<'a> Resource<'a> {
    pub(crate) fn new(node: &'a Node, name: &'a str) -> Self {
        Self { node, name }
    }

    /// The service that counts.
    pub(crate) fn unit(&self) -> String {
        format!("counter@{}.service", self.name)
    }

    /// Kills it.
    pub(crate) async fn kill(&self) -> Done {
        self.node.sh(&format!("kill -9 $(systemctl show -P MainPID {})", self.unit()), LONG).await?;
        Ok(())
    }

    /// Why it was stopped the last time.
    pub(crate) async fn last_stop(&self) -> Result<String, Failed> {
        self.why("[.history[] | select(.what | startswith(\"stop \"))] | last | .because[]").await
    }

    /// Waits until it is frozen, by the daemon and by the kernel.
    pub(crate) async fn until_frozen(&self) -> Done {
        self.until("frozen").await?;
        let unit = self.unit();
        self.node.until(&format!("test $(systemctl show -P FreezerState {unit}) = frozen"), LONG).await?;
        self.check_frozen().await
    }

    /// Waits until the daemon has this word for it.
    pub(crate) async fn until(&self, state: &str) -> Done {
        self.until_all(&format!(".state == \"{state}\"")).await.map(drop)
    }

    /// Waits until what the daemon says of it fulfils a condition of jq's; gives what it says.
    pub(crate) async fn until_all(&self, condition: &str) -> Result<String, Failed> {
        // As few processes as possible: they are slow in these nodes.
        let command = format!(
            "reactorctl status --json | jq '.promoted[] | select(.resource == \"{name}\") | if {condition} then . else \
                 \"{name} is \\(.state): \\(.because | join(\", \")) \\(.failures) failures\\n\" | halt_error(1) end'",
            name = self.name
        );
        Ok(self.node.until(&command, LONG).await?)
    }

    /// A part of what `reactorctl why` says, chosen by jq.
    pub(crate) async fn why(&self, part: &str) -> Result<String, Failed> {
        let name = self.name;
        Ok(self.node.sh(&format!("reactorctl why {name} --json | jq -r '{part}'"), LONG).await?)
    }

    /// A property of its service, as systemd has it.
    pub(crate) async fn property(&self, name: &str) -> Result<String, Failed> {
        Ok(self.node.sh(&format!("systemctl show -P {name} {}", self.unit()), LONG).await?)
    }

    /// Checks whether its service runs, by systemd.
    pub(crate) async fn is_active(&self) -> Result<bool, Failed> {
        Ok(self.property("ActiveState").await? == "active")
    }

    /// Waits until systemd has this state for its service.
    pub(crate) async fn until_active_state(&self, state: &str) -> Done {
        let unit = self.unit();
        let command = format!("s=$(systemctl show -P ActiveState {unit}); test $s = {state} || {{ echo $s; exit 1; }}");
        self.node.until(&command, LONG).await?;
        Ok(())
    }

    /// How many numbers it has written here.
    pub(crate) async fn written(&self) -> Result<u64, Failed> {
        let command = format!("cat /var/log/counter-{} 2>/dev/null | wc -l", self.name);
        Ok(self.node.sh(&command, LONG).await?.parse()?)
    }

    /// Waits until it has written another number here.
    pub(crate) async fn until_writes(&self) -> Done {
        let before = self.written().await?;
        let command = format!("test $(wc -l </var/log/counter-{}) -gt {before}", self.name);
        self.node.until(&command, LONG).await?;
        Ok(())
    }

    /// Checks that the processes of its service stand still, by the kernel.
    pub(crate) async fn check_frozen(&self) -> Done {
        let group = self.property("ControlGroup").await?;
        let events = self.node.sh(&format!("cat /sys/fs/cgroup{group}/cgroup.events"), LONG).await?;
        check(events.contains("frozen 1"), &format!("{}: the kernel says {events:?}", self.unit()))
    }

    /// Waits until the kernel has let them go on, which comes a moment after the call to do so.
    pub(crate) async fn until_thawed(&self) -> Done {
        let group = self.property("ControlGroup").await?;
        self.node.until(&format!("grep -qx 'frozen 0' /sys/fs/cgroup{group}/cgroup.events"), LONG).await?;
        Ok(())
    }
}
