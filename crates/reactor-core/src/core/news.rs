//! What plugins tell for the history, told to those other plugins that hand it on to people.

use crate::action::{Action, Reason};
use crate::history::{Entry, Kind, News, Told};
use crate::ids::Mono;
use crate::input::Said;
use crate::plugin::PluginInput;

use super::Core;

impl Core {
    /// A step begins.
    pub(super) fn forget_news(&mut self) {
        self.news.clear();
        self.news_told = 0;
    }

    /// Tells those that want to hear it what is told for the history. What they have to tell because of it is told to nobody else: nobody answers an
    /// answer.
    pub(super) fn tell_news(&mut self, now: Mono, out: &mut Vec<Action>) {
        let whom = if self.news.len() > self.news_told { self.index.of_news() } else { Vec::new() };
        if !whom.is_empty() {
            let mut news = std::mem::take(&mut self.news);
            for position in whom {
                self.tell_one(position, now, out, PluginInput::News(&news[self.news_told..]));
            }
            news.append(&mut self.news);
            self.news = news;
        }
        self.news_told = self.news.len();
    }

    /// The daemon says something of itself.
    pub(super) fn said(&mut self, now: Mono, said: &Said) {
        let because = said.because.iter().cloned().map(Reason).collect();
        let entry = Entry::new(Kind::Daemon, said.severity, said.what.clone()).because(because);
        self.news.push(News { at: now, resource: None, what: Told::Entry(entry) });
    }

    /// What a receiver was told and still stands is also what a plugin that is built anew is told.
    pub(super) fn stands(&mut self, receiver: &str, standing: &[String]) {
        self.standing.retain(|(known, _)| known != receiver);
        if !standing.is_empty() {
            self.standing.push((receiver.to_owned(), standing.to_vec()));
        }
    }

    /// Tells a new plugin what stands.
    pub(super) fn tell_standing(&mut self, position: usize, now: Mono, out: &mut Vec<Action>) {
        if !self.standing.is_empty() {
            let standing = std::mem::take(&mut self.standing);
            self.tell_one(position, now, out, PluginInput::Standing(&standing));
            self.standing = standing;
        }
    }
}
