//! What is answered, and how old it may be.
//!
//! A walk is a row of questions, and nothing says that they belong together. So once somebody asks what is next, they get the same picture until
//! they have seen its end, have not asked for a while, or have it for long enough: somebody who asks for the same thing again and again must not be
//! shown it for ever. Else an answer is at most `cache-max` old. The daemon is asked for news no more often than that, however many questions come.

use std::time::Duration;

use reactor_core::snmp::{Facts, Found, Oid, PeerStates, Tree};
use tokio::time::Instant;

use crate::http::{ScrapeHandle, Wanted};

use super::pdu::{ErrorCode, Header, LONGEST_ANSWER, Range, Said, Writer};

/// How long a walk that pauses keeps its picture.
const BURST: Duration = Duration::from_secs(15);

/// How much older than `cache-max` a picture of a walk may be.
const LONGEST_WALK: Duration = Duration::from_secs(120);

/// How old a picture may be in any case: the daemon is not asked more often, whatever `cache-max` says.
const LEAST_AGE: Duration = Duration::from_millis(100);

/// The picture that is shown.
#[derive(Debug)]
pub(super) struct Book {
    tree: Tree,
    daemon: ScrapeHandle,
    cache_max: Duration,
    /// How long the daemon has to answer.
    limit: Duration,
    /// The moment of the picture.
    generation: Option<u64>,
    /// When the daemon was asked.
    asked: Option<Instant>,
    /// When somebody asked what is next, and has not seen the end.
    walked: Option<Instant>,
}

impl Book {
    pub(super) fn new(daemon: ScrapeHandle, peers: PeerStates, cache_max: Duration, limit: Duration) -> Self {
        let (generation, asked, walked) = (None, None, None);
        Self { tree: Tree::new(peers), daemon, cache_max: cache_max.max(LEAST_AGE), limit, generation, asked, walked }
    }

    /// The answer to a question for values.
    pub(super) async fn get(&mut self, header: &Header, ranges: &[Range]) -> Vec<u8> {
        if !self.is_young() && !self.renew().await {
            return Writer::answer(header).finish_answer(ErrorCode::GEN_ERR, 1);
        }
        let mut answer = Writer::answer(header);
        for range in ranges {
            let said = match self.tree.get(&range.start) {
                Found::Value(value) => Said::Value(value),
                Found::NoSuchInstance => Said::NoSuchInstance,
                Found::NoSuchObject => Said::NoSuchObject,
            };
            answer.binding(&range.start, said);
            if answer.len() > LONGEST_ANSWER {
                return too_big(header);
            }
        }
        answer.finish_answer(ErrorCode::NONE, 0)
    }

    /// The answer to a question for what is next; the ranges from `non_repeaters` on are gone on with `repetitions` times.
    pub(super) async fn next(
        &mut self,
        header: &Header,
        ranges: &[Range],
        non_repeaters: usize,
        repetitions: usize,
    ) -> Vec<u8> {
        let is_walking = self.walked.is_some_and(|at| at.elapsed() < BURST)
            && self.asked.is_some_and(|at| at.elapsed() < self.cache_max + LONGEST_WALK);
        if !is_walking && !self.is_young() && !self.renew().await {
            return Writer::answer(header).finish_answer(ErrorCode::GEN_ERR, 1);
        }
        let mut answer = Writer::answer(header);
        let (once, often) = ranges.split_at(non_repeaters.min(ranges.len()));
        let mut ended = 0;
        for range in once {
            ended += usize::from(self.put_next(&mut answer, range).is_none());
            if answer.len() > LONGEST_ANSWER {
                return too_big(header);
            }
        }
        let mut often = often.to_vec();
        let mut all_ended = often.is_empty() && ended == ranges.len();
        for repetition in 0..repetitions {
            if often.is_empty() || (repetition > 0 && answer.len() > LONGEST_ANSWER / 2) {
                // Fewer than were asked for are as good.
                break;
            }
            let mut ended = 0;
            for range in &mut often {
                match self.put_next(&mut answer, range) {
                    Some(found) => (range.start, range.include) = (found, false),
                    None => ended += 1,
                }
                if answer.len() > LONGEST_ANSWER {
                    return too_big(header);
                }
            }
            all_ended = ended == often.len();
            if all_ended {
                break;
            }
        }
        self.walked = (!all_ended).then(Instant::now);
        answer.finish_answer(ErrorCode::NONE, 0)
    }

    /// Writes what is next in a range, and says what that is; `None` = nothing.
    fn put_next(&self, answer: &mut Writer, range: &Range) -> Option<Oid> {
        let here = match self.tree.get(&range.start) {
            Found::Value(value) if range.include => Some((range.start.clone(), value)),
            _ => None,
        };
        let found = here.or_else(|| self.tree.next(&range.start));
        match found.filter(|(oid, _)| range.end.is_empty() || *oid < range.end) {
            Some((oid, value)) => {
                answer.binding(&oid, Said::Value(value));
                Some(oid)
            }
            None => {
                answer.binding(&range.start, Said::EndOfMibView);
                None
            }
        }
    }

    fn is_young(&self) -> bool {
        self.asked.is_some_and(|at| at.elapsed() < self.cache_max)
    }

    /// Asks the daemon for what is new. `false` = it does not answer, and what there is is too old to be shown.
    async fn renew(&mut self) -> bool {
        let Ok(scrape) = self.daemon.ask(Wanted::Metrics { have: self.generation }, self.limit).await else {
            return false;
        };
        let resources = scrape.resources.as_ref();
        self.tree.refresh(&Facts { resources: resources.map(|all| all.list.as_slice()), health: &scrape.health });
        self.generation = resources.map(|all| all.generation).or(self.generation);
        self.asked = Some(Instant::now());
        true
    }
}

fn too_big(header: &Header) -> Vec<u8> {
    Writer::answer(header).finish_answer(ErrorCode::TOO_BIG, 0)
}

#[cfg(test)]
mod tests {
    use reactor_core::core::Core;
    use reactor_core::ids::Mono;
    use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
    use reactor_core::metrics::Health;
    use reactor_core::snmp::BASE;
    use tokio::sync::mpsc;
    use tokio::time::advance;

    use super::super::pdu::{HEADER, Kind, Message, message};
    use super::*;
    use crate::http::{ScrapeRequest, scrape_channel};

    const MINUTE: Duration = Duration::from_secs(60);

    /// A book, and the daemon that it asks: each time there is a resource more.
    struct World {
        book: Book,
        asked: mpsc::Receiver<ScrapeRequest>,
        core: Core,
        times: usize,
        header: Header,
    }

    impl World {
        fn new(cache_max: Duration) -> Self {
            let (daemon, asked) = scrape_channel();
            let mut core = Core::new();
            let started = SourceEvent::Started { command: "a test".to_owned(), dialect: Some(Dialect::Drbd9) };
            core.step(Mono::ZERO, &Input::Source(SourceId::Drbd, started), &mut Vec::new());
            let bytes = Writer::new(Kind::Get, 1, 1).finish();
            let header = Header::read(&bytes).unwrap().unwrap();
            let book = Book::new(daemon, PeerStates::Shown, cache_max, MINUTE);
            Self { book, asked, core, times: 0, header }
        }

        /// Asks, and lets the daemon answer. How often it was asked until now.
        async fn ask(&mut self, kind: Kind, start: &[u32]) -> usize {
            let start = Oid::from(start);
            let ranges = [Range { start, include: false, end: Oid::default() }];
            let (book, header) = (&mut self.book, &self.header);
            let answer = async {
                match kind {
                    Kind::Get => book.get(header, &ranges).await,
                    _ => book.next(header, &ranges, 1, 0).await,
                }
            };
            let daemon = async {
                while let Some(request) = self.asked.recv().await {
                    self.times += 1;
                    let text = format!("exists resource name:r{} role:Secondary suspended:no\n", self.times);
                    self.core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, text), &mut Vec::new());
                    request.answer(self.core.node(), Health::default);
                }
            };
            tokio::select! {
                answer = answer => {
                    let read = message(&Header::read(&answer).unwrap().unwrap(), &answer[HEADER..]);
                    assert_eq!(read, Ok(Message::Response(ErrorCode::NONE)));
                }
                () = daemon => unreachable!("the book has the other end"),
            }
            self.times
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_as_old_as_the_setting_says() {
        let mut world = World::new(MINUTE);
        assert_eq!(world.ask(Kind::Get, BASE).await, 1);
        advance(MINUTE - Duration::from_millis(1)).await;
        assert_eq!(world.ask(Kind::Get, BASE).await, 1);
        advance(Duration::from_millis(1)).await;
        assert_eq!(world.ask(Kind::Get, BASE).await, 2);
        // Zero is not every time.
        let mut world = World::new(Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(world.ask(Kind::Get, BASE).await, 1);
        }
        advance(LEAST_AGE).await;
        assert_eq!(world.ask(Kind::Get, BASE).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_walk_sees_one_picture() {
        let second = Duration::from_secs(1);
        let mut world = World::new(second);
        let behind = [2, 5];
        assert_eq!(world.ask(Kind::GetNext, BASE).await, 1);
        for _ in 0..5 {
            advance(BURST - second).await;
            assert_eq!(world.ask(Kind::GetNext, BASE).await, 1, "it goes on");
        }
        // It sees the end: the next one begins anew.
        assert_eq!(world.ask(Kind::GetNext, &behind).await, 1);
        assert_eq!(world.ask(Kind::GetNext, BASE).await, 2);
        // It stops in the middle.
        advance(BURST).await;
        assert_eq!(world.ask(Kind::GetNext, BASE).await, 3);
        // Somebody asks for the same thing every ten seconds.
        let mut asked = 0;
        for _ in 0..14 {
            advance(10 * second).await;
            asked = world.ask(Kind::GetNext, BASE).await;
        }
        assert_eq!(asked, 4, "not for ever");
    }
}
