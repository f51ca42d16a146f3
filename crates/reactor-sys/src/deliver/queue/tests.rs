//! Any order of what can happen, beside a list that says what has to come of it.

use proptest::prelude::*;
use reactor_core::notice::{Message, Notice, Topic};
use reactor_storage::event::Severity;

use super::*;

fn parcel(text: &str) -> Arc<Parcel> {
    let notice = Notice {
        unix_ms: 1,
        topic: Topic::Daemon,
        what: "test".to_owned(),
        severity: Severity::Info,
        text: text.to_owned(),
        because: Vec::new(),
        resources: Vec::new(),
        incident: None,
        event: None,
    };
    let message = Message { receiver: "r".to_owned(), node: "n".to_owned(), notices: vec![notice], left_out: 0 };
    Arc::new(Parcel::new(message).unwrap())
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Write,
    Read,
    Remove,
    Begin,
    Arrived,
    Failed,
    /// The daemon is killed and another one begins with what is on the disk.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::{Arrived, Begin, Crash, Failed, Push, Read, Remove, Write};
    let step = prop_oneof![
        4 => Just(Push), 4 => Just(Write), 3 => Just(Read), 3 => Just(Remove),
        4 => Just(Begin), 3 => Just(Arrived), 2 => Just(Failed), 1 => Just(Crash)
    ];
    prop::collection::vec(step, 0..200)
}

/// A queue with a disk and a receiver.
#[derive(Default)]
struct World {
    queue: Queue,
    disk: std::collections::BTreeMap<u64, Arc<Parcel>>,
    sending: Option<Arc<Parcel>>,
    pushed: Vec<String>,
    arrived: Vec<String>,
    /// What was in memory only when the daemon was killed.
    lost: Vec<String>,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Push => {
                let parcel = parcel("x");
                self.pushed.push(parcel.id.clone());
                self.queue.push(parcel);
            }
            Step::Write => {
                if let Some((parcel, file)) = self.queue.to_write() {
                    assert!(self.disk.keys().all(|known| *known < file), "files are in the order of the messages");
                    self.disk.insert(file, Arc::clone(&parcel));
                    self.queue.written(&parcel, file);
                }
            }
            Step::Read => {
                if let Some(file) = self.queue.to_read() {
                    self.queue.was_read(file, Arc::clone(&self.disk[&file]));
                }
            }
            Step::Remove => {
                if let Some(file) = self.queue.to_remove() {
                    self.disk.remove(&file);
                    self.queue.removed(file);
                }
            }
            Step::Begin => self.sending = self.sending.take().or_else(|| self.queue.begin()),
            Step::Arrived => {
                if let Some(parcel) = self.sending.take() {
                    self.arrived.push(parcel.id.clone());
                    self.queue.end(&parcel);
                }
            }
            Step::Failed => {
                if self.sending.take().is_some() {
                    self.queue.rest();
                }
            }
            Step::Crash => {
                let kept: Vec<&String> = self.disk.values().map(|parcel| &parcel.id).collect();
                let gone = self.pushed.iter().filter(|id| !kept.contains(id) && !self.arrived.contains(id));
                self.lost = gone.cloned().collect();
                (self.queue, self.sending) = (Queue::default(), None);
                let files: Vec<u64> = self.disk.keys().copied().collect();
                self.queue.load(&files);
            }
        }
    }

    /// Everybody does what there is to do.
    fn come_to_rest(&mut self) {
        for _ in 0..10_000 {
            for step in [Step::Read, Step::Write, Step::Begin, Step::Arrived, Step::Remove] {
                self.step(step);
            }
            if self.queue.is_empty() && self.queue.to_remove().is_none() {
                return;
            }
        }
        panic!("something waits for ever: {:?}", self.queue);
    }
}

proptest! {
    #[test]
    fn everything_on_the_disk_arrives_in_order_and_nothing_else_comes_twice(steps in steps()) {
        let mut world = World::default();
        world.queue.load(&[]);
        let mut crashes = 0;
        for step in steps {
            crashes += usize::from(matches!(step, Step::Crash));
            world.step(step);
            let waiting = world.queue.entries.iter().filter(|entry| entry.is_only_in_memory());
            prop_assert_eq!(world.queue.in_memory, waiting.map(Entry::weight).sum::<usize>());
        }
        world.come_to_rest();
        prop_assert!(world.disk.is_empty());
        // The first time that each has arrived: that is the order.
        let mut first = Vec::new();
        for id in &world.arrived {
            if !first.contains(id) {
                first.push(id.clone());
            }
        }
        let expected: Vec<String> = world.pushed.iter().filter(|id| first.contains(id)).cloned().collect();
        prop_assert_eq!(&first, &expected);
        for id in world.pushed.iter().filter(|id| !first.contains(id)) {
            prop_assert!(world.lost.contains(id), "it was never accepted by the disk");
        }
        if crashes == 0 {
            prop_assert_eq!(world.arrived, world.pushed);
        }
    }
}

#[test]
fn what_is_only_in_memory_has_a_bound_and_the_newest_stays() {
    let mut queue = Queue::default();
    let large = "x".repeat(400_000);
    for number in 0..30 {
        queue.push(parcel(&format!("{number} {large}")));
        queue.bound(10_000);
    }
    assert!(queue.in_memory <= MAX_IN_MEMORY && queue.len() < 30, "{} of {}", queue.len(), queue.in_memory);
    let first = queue.begin().unwrap().message.notices[0].text.clone();
    assert!(!first.starts_with("0 "), "the oldest goes");
    // One that is being sent is not taken away.
    let before = queue.len() as u64;
    assert_eq!((queue.bound(1), queue.len()), (before - 1, 1));
    assert_eq!(queue.begin().unwrap().message.notices[0].text, first);
}

#[test]
fn what_is_on_the_disk_leaves_the_memory_but_for_the_front() {
    let mut queue = Queue::default();
    queue.load(&[]);
    for number in 0..100 {
        queue.push(parcel(&number.to_string()));
    }
    while let Some((parcel, file)) = queue.to_write() {
        queue.written(&parcel, file);
    }
    assert!(queue.is_kept());
    assert_eq!(queue.in_memory, 0);
    assert_eq!(queue.entries.iter().filter(|entry| entry.parcel.is_some()).count(), WINDOW);
    assert_eq!(queue.to_read(), None);
    let first = queue.begin().unwrap();
    queue.end(&first);
    assert_eq!((queue.to_read(), queue.to_remove()), (Some(17), Some(1)));
}
