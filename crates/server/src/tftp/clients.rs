//! Who has come through the door: who is being served, and who waits for a place.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::sessions::Key;

/// Whoever waits and has not asked again for this long has gone, or has begun anew from another port.
const ASKS_AGAIN_WITHIN: Duration = Duration::from_secs(15);
/// Waiting at one time; who comes then is left unanswered, and asks again.
const MOST_WAITING: usize = 20_000;

/// A client's address and port, as it came to the service's port.
#[derive(Debug, Default)]
pub struct Clients {
    known: HashMap<SocketAddrV4, Client>,
    /// Those that wait, in the order in which they came; and some that no longer do.
    queue: VecDeque<SocketAddrV4>,
}

#[derive(Debug)]
struct Client {
    /// Its latest request to the octet: the same again is a retransmission.
    request: Box<[u8]>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Since it asked last.
    Waits(Instant),
    Served(Key),
}

impl Clients {
    /// The latest transfer of this client, if there is one.
    pub fn session(&self, client: SocketAddrV4) -> Option<Key> {
        match self.known.get(&client)?.place {
            Place::Served(key) => Some(key),
            Place::Waits(_) => None,
        }
    }

    /// Whether this is what it asked for last.
    pub fn asked(&self, client: SocketAddrV4, request: &[u8]) -> bool {
        self.known.get(&client).is_some_and(|known| *known.request == *request)
    }

    /// It is being served now.
    pub fn serve(&mut self, client: SocketAddrV4, request: &[u8], key: Key) {
        self.known.insert(client, Client { request: request.into(), place: Place::Served(key) });
    }

    /// It has to wait for a place, and does so from when it first asked.
    pub fn wait(&mut self, client: SocketAddrV4, request: &[u8], now: Instant) {
        let waits = matches!(self.known.get(&client), Some(Client { place: Place::Waits(_), .. }));
        if !waits {
            if self.queue.len() >= MOST_WAITING {
                return;
            }
            self.queue.push_back(client);
        }
        self.known.insert(client, Client { request: request.into(), place: Place::Waits(now) });
    }

    /// Takes the next one that waits and has asked lately, with its request.
    pub fn next_waiting(&mut self, now: Instant) -> Option<(SocketAddrV4, Box<[u8]>)> {
        while let Some(client) = self.queue.pop_front() {
            let Some(Client { place: Place::Waits(asked), .. }) = self.known.get(&client) else { continue };
            let is_there = now.saturating_duration_since(*asked) < ASKS_AGAIN_WITHIN;
            let known = self.known.remove(&client).expect("it was just seen");
            if is_there {
                return Some((client, known.request));
            }
        }
        None
    }

    /// This transfer has ended.
    pub fn ended(&mut self, client: SocketAddrV4, key: Key) {
        if self.session(client) == Some(key) {
            self.known.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn client(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    fn next(clients: &mut Clients, now: Instant) -> Option<(u16, Vec<u8>)> {
        clients.next_waiting(now).map(|(client, request)| (client.port(), request.into()))
    }

    #[test]
    fn who_waits_is_served_in_turn_with_its_latest_request_if_it_is_still_there() {
        let (mut clients, start) = (Clients::default(), Instant::now());
        for port in [1, 2, 3, 4] {
            clients.wait(client(port), b"first", start);
        }
        let now = start + ASKS_AGAIN_WITHIN;
        clients.wait(client(3), b"second", now);
        clients.wait(client(1), b"first", now);
        assert_eq!(next(&mut clients, now), Some((1, b"first".to_vec())));
        assert_eq!(next(&mut clients, now), Some((3, b"second".to_vec())));
        assert_eq!(next(&mut clients, now), None, "2 and 4 have gone");
        assert!(clients.known.is_empty());
    }

    #[test]
    fn an_old_transfer_that_ends_does_not_forget_the_clients_new_one() {
        let mut clients = Clients::default();
        let [old, new] = [1, 2].map(|generation| Key { generation, index: 0 });
        clients.serve(client(1), b"old", old);
        clients.serve(client(1), b"new", new);
        clients.ended(client(1), old);
        assert_eq!(clients.session(client(1)), Some(new));
        assert!(clients.asked(client(1), b"new"));
        clients.ended(client(1), new);
        assert_eq!(clients.session(client(1)), None);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let (mut clients, now) = (Clients::default(), Instant::now());
        for number in 0..MOST_WAITING as u32 + 10 {
            clients.wait(SocketAddrV4::new(Ipv4Addr::from_bits(number), 1), b"a", now);
        }
        assert_eq!((clients.queue.len(), clients.known.len()), (MOST_WAITING, MOST_WAITING));
    }
}
