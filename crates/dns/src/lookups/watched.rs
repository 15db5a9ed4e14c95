//! Whose look-ups are told, and what was told of them already.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::resolver::Outcome;
use crate::{Name, Rtype};

/// How long a boot takes, an installation included, if it is not begun again meanwhile.
const BOOT: Duration = Duration::from_secs(30 * 60);
/// Machines, and what is told of each: more is not.
const MACHINES: usize = 4096;
const LOOKUPS: usize = 512;

/// How often those whose time is over are forgotten, where there are too many.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Watched {
    clients: HashMap<IpAddr, Watch>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Watch {
    until: Instant,
    /// Hashes of name, type and kind of outcome.
    told: HashSet<u64>,
}

impl Watched {
    pub fn watch(&mut self, now: Instant, client: IpAddr) {
        if self.clients.len() >= MACHINES && self.swept.is_none_or(|swept| swept + SWEEP_EVERY <= now) {
            self.swept = Some(now);
            self.clients.retain(|_, watch| watch.until > now);
        }
        if self.clients.len() < MACHINES || self.clients.contains_key(&client) {
            self.clients.insert(client, Watch { until: now + BOOT, told: HashSet::new() });
        }
    }

    pub fn is_watched(&self, now: Instant, client: IpAddr) -> bool {
        !self.clients.is_empty() && self.clients.get(&client).is_some_and(|watch| watch.until > now)
    }

    /// Whether this is news of a client that is watched.
    pub fn is_news(&mut self, now: Instant, client: IpAddr, name: &Name, kind: Rtype, outcome: &Outcome) -> bool {
        let Some(watch) = self.clients.get_mut(&client).filter(|watch| watch.until > now) else { return false };
        let mut hasher = DefaultHasher::new();
        (name, kind.to_int(), std::mem::discriminant(outcome)).hash(&mut hasher);
        watch.told.len() < LOOKUPS && watch.told.insert(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_news_once_while_a_boot_lasts() {
        let (mut watched, now) = (Watched::default(), Instant::now());
        let (client, name) = (IpAddr::from([10, 0, 0, 9]), "mirror.test".parse::<Name>().unwrap());
        assert!(!watched.is_watched(now, client));
        watched.watch(now, client);
        assert!(watched.is_news(now, client, &name, Rtype::A, &Outcome::NoServer));
        assert!(!watched.is_news(now, client, &name, Rtype::A, &Outcome::NoServer));
        assert!(watched.is_news(now, client, &name, Rtype::AAAA, &Outcome::NoServer));
        assert!(watched.is_news(now, client, &name, Rtype::A, &Outcome::NoSuchName { by: None }));
        assert!(!watched.is_watched(now + BOOT, client));
    }
}
