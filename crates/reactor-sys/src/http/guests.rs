//! Who is connected, and who gives way when there is no place left.
//!
//! Places are counted for each address, so that no host takes those of all others. One who comes when they are taken gets the
//! place of somebody who does nothing with it: first of those who never asked for anything, then of those who are slow to ask,
//! then of those whose password is not checked yet, then of those who had their answer and are silent, then of those who do not read what they asked for; of each the one that
//! has done so for longest. Whoever is being served keeps the place.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Limits;
use super::watch::Seat;

/// The connections of one server.
#[derive(Debug, Default)]
pub(super) struct Guests {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    guests: BTreeMap<u64, Guest>,
}

#[derive(Debug)]
struct Guest {
    home: Home,
    seat: Arc<Seat>,
}

/// A place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    guests: Arc<Guests>,
    id: u64,
    pub(super) home: Home,
    pub(super) seat: Arc<Seat>,
}

impl Guests {
    /// A place for a client; `None` if all are taken by clients that are being served.
    pub(super) fn admit(self: &Arc<Self>, limits: &Limits, home: Home) -> Option<Place> {
        let now = Instant::now();
        let mut list = self.list();
        let own = list.guests.values().filter(|guest| guest.home == home).count();
        if own >= limits.per_address {
            list.make_room(now, |guest| guest.home == home)?;
        } else if list.guests.len() >= limits.connections {
            list.make_room(now, |_| true)?;
        }
        list.next += 1;
        let (id, seat) = (list.next, Arc::new(Seat::new(now + limits.header)));
        list.guests.insert(id, Guest { home, seat: Arc::clone(&seat) });
        Some(Place { guests: Arc::clone(self), id, home, seat })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.list().guests.len()
    }

    /// Ends the connections that still read the text of this number.
    pub(super) fn end_readers(&self, text: u64) {
        self.list().guests.values().filter(|guest| guest.seat.reads() == Some(text)).for_each(|guest| guest.seat.end());
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    /// Ends the connection that is the least loss among those that may be ended; `None` if there is none.
    fn make_room(&mut self, now: Instant, may: impl Fn(&Guest) -> bool) -> Option<()> {
        let mut of_home: BTreeMap<Home, usize> = BTreeMap::new();
        for guest in self.guests.values() {
            *of_home.entry(guest.home).or_default() += 1;
        }
        let candidates = self.guests.iter().filter(|(_, guest)| may(guest)).filter_map(|(id, guest)| {
            let (loss, since) = guest.seat.loss(now)?;
            Some((loss, Reverse(of_home.get(&guest.home).copied()), since, *id))
        });
        let (.., id) = candidates.min()?;
        // At once: its task ends when it gets its turn.
        self.guests.remove(&id)?.seat.end();
        Some(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guests.list().guests.remove(&self.id);
    }
}

/// What counts as one client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Home {
    /// An address, or with IPv6 the network that a host has to itself.
    Host(IpAddr),
    /// A user of this machine, by number, who comes through a unix socket.
    User(u32),
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(IpAddr::V6(network)) => write!(f, "{network}/64"),
            Self::Host(address) => address.fmt(f),
            Self::User(number) => write!(f, "user {number}"),
        }
    }
}

impl Home {
    /// Where a client with this address is at home.
    pub(super) fn of(from: IpAddr) -> Self {
        Self::Host(match from.to_canonical() {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::settings::PrometheusSettings;

    use super::super::scrape::scrape_channel;
    use super::super::serve::Server;
    use super::super::watch::Watch;
    use super::*;

    fn limits(connections: usize, per_address: usize) -> Limits {
        Limits { connections, per_address, ..Limits::default() }
    }

    fn home(text: &str) -> Home {
        Home::of(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_a_share_and_takes_no_place_of_others() {
        let (guests, limits) = (Arc::new(Guests::default()), limits(4, 2));
        let crowd: Vec<_> = (0..50).map(|_| guests.admit(&limits, home("10.0.0.1"))).collect();
        assert!(crowd.iter().all(Option::is_some), "each takes the place of the one before");
        assert_eq!(guests.count(), 2);
        assert_eq!(crowd.iter().flatten().filter(|place| !place.seat.is_ended()).count(), 2);
        let others: Vec<_> = ["10.0.0.2", "fd00::1"].map(|from| guests.admit(&limits, home(from))).into();
        assert_eq!(guests.count(), 4);
        assert!(others.iter().flatten().all(|place| !place.seat.is_ended()));
        // No place is left, and all have done nothing: who has most places gives one.
        let last = guests.admit(&limits, home("10.0.0.3"));
        assert!(last.is_some() && others.iter().flatten().all(|place| !place.seat.is_ended()));
        drop((crowd, others, last));
        assert_eq!(guests.count(), 0);
    }

    /// Else those who guess passwords could hold all places, each in its turn.
    #[tokio::test]
    async fn who_waits_for_a_password_to_be_checked_gives_way_and_who_is_served_does_not() {
        let (guests, limits) = (Arc::new(Guests::default()), limits(2, 2));
        let (handle, _requests) = scrape_channel();
        let server = Arc::new(Server::new((&PrometheusSettings::default()).into(), limits, handle));
        let guess = |from| {
            let place = guests.admit(&limits, home(from)).expect("there is a place");
            let watch = Watch::new(Arc::clone(&server), Arc::clone(&place.seat));
            watch.requested();
            watch.waits_at_the_door();
            (place, watch)
        };
        let (first, second) = (guess("10.0.0.1"), guess("10.0.0.2"));
        second.1.requested();
        let (third, watch) = guess("10.0.0.3");
        assert!(first.0.seat.is_ended() && !second.0.seat.is_ended());
        watch.requested();
        assert!(guests.admit(&limits, home("10.0.0.4")).is_none(), "all are being served");
        assert!(!third.seat.is_ended());
    }

    #[test]
    fn a_host_is_one_client_however_its_address_is_written() {
        assert_eq!(home("::ffff:10.0.0.1"), home("10.0.0.1"));
        assert_eq!(home("fd00:1:2:3::1"), home("fd00:1:2:3:4:5:6:7"));
        assert_ne!(home("fd00:1:2:3::1"), home("fd00:1:2:4::1"));
    }
}
