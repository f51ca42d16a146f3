//! A scenario being played: commands that are waited for, faults, and time that passes.

use std::time::Duration;

use reactor_sim::drbd9::{Cluster, ClusterSpec, Command, OpenId, Options, Reply};

/// The cluster and what its nodes have printed so far.
pub(crate) struct Play {
    pub(crate) cluster: Cluster,
    text: Vec<String>,
}

/// The options of the resources that the recordings call r0 and r1.
pub(crate) fn r(spec: ClusterSpec) -> ClusterSpec {
    spec.with_resource("r0", 1, &[2], Options::default()).with_resource("r1", 2, &[], Options::default())
}

impl Play {
    /// All resources are up and UpToDate, and a listener has read its dump.
    pub(crate) fn settled(spec: ClusterSpec, seed: u64) -> Self {
        Self::begin(Cluster::settled(spec, seed))
    }

    /// Nothing is configured.
    pub(crate) fn blank(spec: ClusterSpec, seed: u64) -> Self {
        Self::begin(Cluster::new(spec, seed))
    }

    fn begin(cluster: Cluster) -> Self {
        let text = (0..cluster.spec().nodes.len()).map(|node| cluster.dump(node)).collect();
        Self { cluster, text }
    }

    fn collect(&mut self) {
        for node in 0..self.text.len() {
            for burst in self.cluster.take_output(node) {
                self.text[node].push_str(&burst.text);
            }
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, millis: u64) {
        let end = self.cluster.now().after(Duration::from_millis(millis));
        self.cluster.advance(end);
        self.collect();
    }

    /// Runs a command to its end.
    #[expect(clippy::needless_pass_by_value, reason = "the scripts read better without a borrow")]
    pub(crate) fn run(&mut self, node: usize, command: Command) -> Reply {
        self.race(&[node], &command).remove(0)
    }

    /// Runs the same command on several nodes at once, to the end of the last.
    pub(crate) fn race(&mut self, nodes: &[usize], command: &Command) -> Vec<Reply> {
        let tickets: Vec<_> = nodes.iter().map(|node| self.cluster.submit(*node, command.clone())).collect();
        let mut replies = Vec::new();
        while replies.len() < tickets.len() {
            let next = self.cluster.next_at().expect("a command that never ends");
            self.cluster.advance(next);
            replies.extend(self.cluster.take_replies());
            self.collect();
        }
        replies
    }

    pub(crate) fn primary(&mut self, node: usize, resource: &str) -> i32 {
        self.run(node, Command::Primary { resource: resource.to_owned(), force: false }).code
    }

    pub(crate) fn primary_force(&mut self, node: usize, resource: &str) -> i32 {
        self.run(node, Command::Primary { resource: resource.to_owned(), force: true }).code
    }

    pub(crate) fn secondary(&mut self, node: usize, resource: &str) -> i32 {
        self.run(node, Command::Secondary { resource: resource.to_owned(), force: false }).code
    }

    pub(crate) fn up(&mut self, node: usize, resource: &str) -> i32 {
        self.run(node, Command::Up { resource: resource.to_owned() }).code
    }

    pub(crate) fn down(&mut self, node: usize, resource: &str) -> i32 {
        self.run(node, Command::Down { resource: resource.to_owned() }).code
    }

    pub(crate) fn adjust(&mut self, node: usize, resource: &str) -> i32 {
        self.run(node, Command::Adjust { resource: resource.to_owned() }).code
    }

    pub(crate) fn skip_sync(&mut self, node: usize, resource: &str, volume: u32) {
        self.run(node, Command::NewCurrentUuid { resource: resource.to_owned(), volume });
    }

    pub(crate) fn open(&mut self, node: usize, resource: &str, volume: u32) -> OpenId {
        let open = self.cluster.open(node, resource, volume).expect("the device opens");
        self.collect();
        open
    }

    pub(crate) fn close(&mut self, open: OpenId) {
        self.cluster.close(open);
        self.collect();
    }

    /// Writes without waiting.
    pub(crate) fn begin_write(&mut self, open: OpenId) {
        self.cluster.write(open);
    }

    /// What `dd` does: open, write, close. Gives whether the write was acknowledged.
    pub(crate) fn dd(&mut self, node: usize, resource: &str, volume: u32) -> bool {
        let open = self.open(node, resource, volume);
        let result = self.write(open);
        self.close(open);
        result
    }

    /// Writes and waits. Gives whether the write was acknowledged.
    pub(crate) fn write(&mut self, open: OpenId) -> bool {
        let write = self.cluster.write(open);
        loop {
            if let Some(end) = self.cluster.take_writes().into_iter().find(|end| end.write == write) {
                return end.result.is_ok();
            }
            let next = self.cluster.next_at().expect("a write that never ends");
            self.cluster.advance(next);
            self.collect();
        }
    }

    /// Cuts a node off from all others, or joins it again.
    pub(crate) fn link(&mut self, node: usize, up: bool) {
        for peer in 0..self.text.len() {
            if peer != node {
                self.link_between(node, peer, up);
            }
        }
    }

    /// Cuts two nodes off from each other, or joins them again.
    pub(crate) fn link_between(&mut self, one: usize, other: usize, up: bool) {
        self.cluster.set_link(one, other, up);
        self.cluster.set_link(other, one, up);
    }

    /// The listener of a node is started again: it reads a dump, what it read before is forgotten.
    pub(crate) fn listen_again(&mut self, node: usize) {
        self.collect();
        self.text[node] = self.cluster.dump(node);
    }

    /// What a node has printed so far.
    pub(crate) fn text_of(&mut self, node: usize) -> String {
        self.collect();
        self.text[node].clone()
    }

    /// The end: what the nodes printed.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.pass(6_000);
        self.text
    }
}
