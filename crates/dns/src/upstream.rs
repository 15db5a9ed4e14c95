//! Upstream servers: how quick each is, whether it answers, whom to ask next.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::resolver::ServerStatistics;
use crate::routes::Index;
use crate::settings::{Order, Server};

/// A server that nobody knows yet is late after this; a known one after three times what it takes, within bounds.
const LATE_UNKNOWN: Duration = Duration::from_millis(400);
const LATE_MIN: Duration = Duration::from_millis(100);
const LATE_MAX: Duration = Duration::from_millis(500);
/// Where the order is strict, the next one is asked because of silence only after this.
const LATE_STRICT: Duration = Duration::from_millis(800);
/// How often a server that is not the quickest is measured, by a query that the quickest gets as well.
const MEASURE_EVERY: Duration = Duration::from_secs(20);
const PROBE_MIN: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(30);
/// Letters are left alone for so long after a server changed them.
const SPARED: Duration = Duration::from_secs(600);
/// So many servers get one query at the same time, unless all shall.
const AT_ONCE: usize = 4;

/// What is known of all servers, by their place in [`crate::routes::Routes::servers`].
#[derive(Debug, Default)]
pub struct Upstreams(Vec<Upstream>);

#[derive(Debug)]
struct Upstream {
    server: Server,
    /// What it takes to answer, smoothed.
    takes: Option<Duration>,
    /// Times in a row that nothing good came.
    misses: u32,
    /// Times in a row that it was tried again although it had missed.
    probes: u32,
    /// From then on a query goes to it too, although others are better.
    measure_at: Option<Instant>,
    letters_spared_until: Option<Instant>,
    edns_spared_until: Option<Instant>,
    loops: bool,
    /// In the name that shows whether it leads back to us.
    mark: Option<u64>,
    /// Of queries in flight.
    ids: HashSet<u16>,
    asked: u64,
    retried: u64,
    failed: u64,
    no_such_name: u64,
}

/// Whom to ask: the first `at_once` now, the others one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub order: Vec<Index>,
    pub at_once: usize,
}

impl Upstreams {
    /// Takes other servers, keeping what is known of those that stay. Returns for each old place the new one.
    pub fn set(&mut self, servers: &[Server]) -> Vec<Option<Index>> {
        let mut old: Vec<Option<Upstream>> = std::mem::take(&mut self.0).into_iter().map(Some).collect();
        let mut places = vec![None; old.len()];
        for (new, server) in servers.iter().enumerate() {
            let at = old.iter().position(|one| one.as_ref().is_some_and(|one| one.server == *server));
            if let Some(at) = at {
                places[at] = Some(new);
            }
            self.0.push(at.and_then(|at| old[at].take()).unwrap_or_else(|| Upstream::new(*server)));
        }
        places
    }

    pub fn server(&self, index: Index) -> Server {
        self.0[index].server
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whom to ask `among` these, of which those that lead back to us are left out.
    pub fn plan(&mut self, now: Instant, among: &[Index], how: Order) -> Plan {
        let mut order: Vec<Index> = among.iter().copied().filter(|index| !self.0[*index].loops).collect();
        let at_once = match how {
            Order::All => order.len(),
            Order::Strict => {
                // Whoever was silent lately is asked in its turn, but not waited for.
                let silent = order.iter().take_while(|index| self.0[**index].misses > 1).count();
                // Of many such, those have their turn that were asked least; the first one that answers has its own.
                if silent >= AT_ONCE {
                    order[..silent].sort_by_key(|index| self.0[*index].asked);
                    order[..AT_ONCE - 1].sort_by_key(|index| among.iter().position(|other| other == index));
                    let with_first = order.len().min(silent + 1);
                    order[AT_ONCE - 1..with_first].rotate_right(1);
                }
                order.len().min(silent.min(AT_ONCE - 1) + 1)
            }
            Order::Quickest => {
                order.sort_by_key(|index| {
                    let one = &self.0[*index];
                    (one.misses > 0, one.takes.unwrap_or(LATE_UNKNOWN))
                });
                self.measured_along(now, &mut order)
            }
        };
        Plan { order, at_once }
    }

    /// Moves those that are to be measured now behind the first. Returns how many are to be asked at once.
    fn measured_along(&mut self, now: Instant, order: &mut [Index]) -> usize {
        let Some((first, others)) = order.split_first_mut() else { return 0 };
        let first_misses = self.0[*first].misses > 0;
        let mut at_once = 0;
        for at in 0..others.len() {
            let one = &mut self.0[others[at]];
            let due = first_misses || one.measure_at.is_none_or(|due| due <= now);
            if due && at_once + 1 < AT_ONCE {
                one.probes += u32::from(one.misses > 0);
                one.measure_at = Some(now + one.pause());
                others[at_once..=at].rotate_right(1);
                at_once += 1;
            }
        }
        at_once + 1
    }

    /// After how long without an answer the next server is asked.
    pub fn late_after(&self, index: Index, how: Order) -> Duration {
        let takes = self.0[index].takes;
        let late = takes.map_or(LATE_UNKNOWN, |takes| (takes * 3).clamp(LATE_MIN, LATE_MAX));
        if how == Order::Strict { LATE_STRICT } else { late }
    }

    /// An id that no query in flight to this server has.
    pub fn take_id(&mut self, index: Index, random: &mut Random) -> u16 {
        let one = &mut self.0[index];
        one.asked += 1;
        loop {
            let id = random.id();
            // A server with more queries in flight than ids is none that settings allow.
            if one.ids.insert(id) || one.ids.len() > usize::from(u16::MAX) {
                return id;
            }
        }
    }

    pub fn free_id(&mut self, index: Index, id: u16) {
        self.0[index].ids.remove(&id);
    }

    /// It answered, whatever it said, this long after it was asked over UDP (`None`: over TCP, which says less).
    pub fn answered(&mut self, now: Instant, index: Index, took: Option<Duration>) {
        let one = &mut self.0[index];
        (one.misses, one.probes) = (0, 0);
        if let Some(took) = took {
            one.takes = Some(one.takes.map_or(took, |takes| (takes * 7 + took) / 8));
            one.measure_at = Some(now + one.pause());
        }
    }

    /// Nothing good came of a query.
    pub fn missed(&mut self, now: Instant, index: Index) {
        let one = &mut self.0[index];
        one.misses = one.misses.saturating_add(1);
        // Many queries at one time may miss together: only trying again makes pauses longer.
        if one.misses == 1 {
            one.measure_at = Some(now + one.pause());
        }
    }

    pub fn count_failure(&mut self, index: Index) {
        self.0[index].failed += 1;
    }

    pub fn count_retry(&mut self, index: Index) {
        self.0[index].retried += 1;
    }

    pub fn count_no_such_name(&mut self, index: Index) {
        self.0[index].no_such_name += 1;
    }

    /// It does not repeat letters as they were sent.
    pub fn spare_letters(&mut self, now: Instant, index: Index) {
        self.0[index].letters_spared_until = Some(now + SPARED);
    }

    pub fn takes_letters(&self, now: Instant, index: Index) -> bool {
        self.0[index].letters_spared_until.is_none_or(|until| until <= now)
    }

    /// It does not understand EDNS.
    pub fn spare_edns(&mut self, now: Instant, index: Index) {
        self.0[index].edns_spared_until = Some(now + SPARED);
    }

    pub fn takes_edns(&self, now: Instant, index: Index) -> bool {
        self.0[index].edns_spared_until.is_none_or(|until| until <= now)
    }

    pub fn set_mark(&mut self, index: Index, mark: u64) {
        self.0[index].mark = Some(mark);
    }

    pub fn by_mark(&self, mark: u64) -> Option<Index> {
        self.0.iter().position(|one| one.mark == Some(mark))
    }

    /// It leads back to us. Returns whether that is new.
    pub fn loops(&mut self, index: Index) -> bool {
        !std::mem::replace(&mut self.0[index].loops, true)
    }

    /// All are believed again not to lead back to us.
    pub fn forget_loops(&mut self) {
        self.0.iter_mut().for_each(|one| one.loops = false);
    }

    pub fn statistics(&self) -> Vec<ServerStatistics> {
        let of = |one: &Upstream| ServerStatistics {
            address: one.server.address,
            asked: one.asked,
            retried: one.retried,
            failed: one.failed,
            no_such_name: one.no_such_name,
            latency_millis: one.takes.map_or(0, |takes| takes.as_millis().try_into().unwrap_or(u32::MAX)),
        };
        self.0.iter().map(of).collect()
    }
}

impl Upstream {
    fn new(server: Server) -> Upstream {
        Upstream {
            server,
            takes: None,
            misses: 0,
            probes: 0,
            measure_at: None,
            letters_spared_until: None,
            edns_spared_until: None,
            loops: false,
            mark: None,
            ids: HashSet::new(),
            asked: 0,
            retried: 0,
            failed: 0,
            no_such_name: 0,
        }
    }

    /// Until it is measured again although others are better.
    fn pause(&self) -> Duration {
        if self.misses == 0 { MEASURE_EVERY } else { (PROBE_MIN * 2u32.pow(self.probes.min(5))).min(PROBE_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Upstreams {
        let mut upstreams = Upstreams::default();
        upstreams.set(&[server(1), server(2), server(3)]);
        upstreams
    }

    fn server(port: u16) -> Server {
        Server { address: ([192, 0, 2, 1], port).into(), from: None, interface: None }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn all_are_measured_first_then_the_quickest_is_asked() {
        let (mut upstreams, now) = (three(), Instant::now());
        let all = [0, 1, 2];
        assert_eq!(upstreams.plan(now, &all, Order::Quickest), Plan { order: vec![0, 1, 2], at_once: 3 });
        for (index, took) in [(0, 50), (1, 10), (2, 30)] {
            upstreams.answered(now, index, Some(millis(took)));
        }
        assert_eq!(upstreams.plan(now, &all, Order::Quickest), Plan { order: vec![1, 2, 0], at_once: 1 });
        assert_eq!(upstreams.late_after(1, Order::Quickest), millis(100));
        assert_eq!(upstreams.late_after(0, Order::Quickest), millis(150));
        let later = now + MEASURE_EVERY;
        assert_eq!(upstreams.plan(later, &[0, 1], Order::Quickest), Plan { order: vec![1, 0], at_once: 2 });
        assert_eq!(upstreams.plan(later, &[0, 1], Order::Quickest).at_once, 1, "once is enough");
    }

    #[test]
    fn a_silent_one_is_left_out_and_tried_again_beside_others() {
        let (mut upstreams, now) = (three(), Instant::now());
        for (index, took) in [(0, 10), (1, 20)] {
            upstreams.answered(now, index, Some(millis(took)));
        }
        upstreams.missed(now, 0);
        assert_eq!(upstreams.plan(now, &[0, 1], Order::Quickest), Plan { order: vec![1, 0], at_once: 1 });
        let probed = upstreams.plan(now + PROBE_MIN, &[0, 1], Order::Quickest);
        assert_eq!(probed, Plan { order: vec![1, 0], at_once: 2 });
        (0..100).for_each(|_| upstreams.missed(now + PROBE_MIN, 0));
        assert_eq!(upstreams.plan(now + PROBE_MIN * 2, &[0, 1], Order::Quickest).at_once, 1);
        assert_eq!(
            upstreams.plan(now + PROBE_MIN * 3, &[0, 1], Order::Quickest).at_once,
            2,
            "pauses grow with each try alone"
        );
        upstreams.answered(now, 0, Some(millis(10)));
        assert_eq!(upstreams.plan(now, &[0, 1], Order::Quickest).order, [0, 1]);
    }

    #[test]
    fn while_all_are_silent_several_are_asked_at_once() {
        let (mut upstreams, now) = (three(), Instant::now());
        (0..3).for_each(|index| upstreams.missed(now, index));
        assert_eq!(upstreams.plan(now, &[0, 1, 2], Order::Quickest).at_once, 3);
    }

    #[test]
    fn strict_order_stays_and_does_not_wait_for_the_dead() {
        let (mut upstreams, now) = (three(), Instant::now());
        upstreams.answered(now, 2, Some(millis(1)));
        assert_eq!(upstreams.plan(now, &[0, 1, 2], Order::Strict), Plan { order: vec![0, 1, 2], at_once: 1 });
        (0..2).for_each(|_| upstreams.missed(now, 0));
        assert_eq!(upstreams.plan(now, &[0, 1, 2], Order::Strict), Plan { order: vec![0, 1, 2], at_once: 2 });
    }

    #[test]
    fn strict_order_gets_past_any_number_of_dead_servers_at_once() {
        let (mut upstreams, now, mut random) = (Upstreams::default(), Instant::now(), Random::new([1; 32]));
        let all: Vec<Index> = (0..8).collect();
        upstreams.set(&(1..=8).map(server).collect::<Vec<_>>());
        (0..12).for_each(|at| upstreams.missed(now, at % 6));
        let mut asked = HashSet::new();
        for _ in 0..2 {
            let Plan { order, at_once } = upstreams.plan(now, &all, Order::Strict);
            assert_eq!((at_once, order[3], order[7], order.len()), (4, 6, 7, 8), "the first that lives is among them");
            for index in &order[..at_once] {
                upstreams.take_id(*index, &mut random);
                asked.insert(*index);
            }
        }
        assert_eq!(asked, (0..=6).collect(), "and each of the dead has its turn");
    }

    #[test]
    fn servers_keep_what_is_known_of_them() {
        let (mut upstreams, now) = (three(), Instant::now());
        upstreams.answered(now, 2, Some(millis(7)));
        upstreams.loops(0);
        assert_eq!(upstreams.set(&[server(3), server(4)]), [None, None, Some(0)]);
        assert_eq!((upstreams.0[0].takes, upstreams.0[1].takes), (Some(millis(7)), None));
    }

    #[test]
    fn one_that_leads_back_to_us_is_never_asked() {
        let (mut upstreams, now) = (three(), Instant::now());
        assert!(upstreams.loops(1) && !upstreams.loops(1));
        for how in [Order::Quickest, Order::Strict, Order::All] {
            assert!(!upstreams.plan(now, &[0, 1, 2], how).order.contains(&1));
        }
    }
}
