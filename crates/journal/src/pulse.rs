//! How much happens now: rates over the last seconds, machines heard of in them, and how long boots took.

/// Seconds that are looked back on.
const SECONDS: usize = 10;
/// Times are kept to a tenth of a second, up to ten minutes.
const TENTHS: usize = 6000;

#[derive(Clone, Copy, Default)]
struct Second {
    at: i64,
    events: u64,
    octets: u64,
    ups: u64,
    /// Machines that were last heard of then.
    machines: u32,
}

#[derive(Default)]
pub(crate) struct Pulse([Second; SECONDS]);

impl Pulse {
    fn second(&mut self, at: i64) -> &mut Second {
        let second = &mut self.0[at.rem_euclid(SECONDS as i64) as usize];
        if second.at != at {
            *second = Second { at, ..Second::default() };
        }
        second
    }

    pub fn event(&mut self, at: i64) {
        self.second(at).events += 1;
    }

    pub fn octets(&mut self, at: i64, octets: u64) {
        self.second(at).octets += octets;
    }

    pub fn up(&mut self, at: i64) {
        self.second(at).ups += 1;
    }

    /// A machine was heard of; `before`: when it was the last time.
    pub fn machine(&mut self, before: Option<i64>, at: i64) {
        if let Some(before) = before
            && let Some(second) = self.0.iter_mut().find(|second| second.at == before)
        {
            second.machines = second.machines.saturating_sub(1);
        }
        self.second(at).machines += 1;
    }

    /// Machines heard of in the last seconds.
    pub fn machines(&self, now: i64) -> usize {
        self.lately(now).map(|second| second.machines as usize).sum()
    }

    /// Events, octets and machines that came up, each per second.
    pub fn rates(&self, now: i64) -> [u64; 3] {
        // The second that runs is not over.
        let whole = || self.lately(now).filter(|second| second.at < now);
        let span = whole().map(|second| now - second.at).max().unwrap_or(1).unsigned_abs();
        let rate = |of: fn(&Second) -> u64| whole().map(of).sum::<u64>() / span;
        [rate(|second| second.events), rate(|second| second.octets), rate(|second| second.ups)]
    }

    fn lately(&self, now: i64) -> impl Iterator<Item = &Second> {
        self.0.iter().filter(move |second| second.at <= now && now - second.at < SECONDS as i64)
    }
}

/// How long boots took.
#[derive(Default)]
pub(crate) struct Durations {
    by_tenths: Vec<u32>,
    count: usize,
    /// In milliseconds.
    pub longest: u64,
}

impl Durations {
    pub fn add(&mut self, millis: u64) {
        if self.by_tenths.is_empty() {
            self.by_tenths = vec![0; TENTHS];
        }
        self.by_tenths[usize::try_from(millis / 100).map_or(TENTHS - 1, |tenths| tenths.min(TENTHS - 1))] += 1;
        self.count += 1;
        self.longest = self.longest.max(millis);
    }

    /// In milliseconds; `None` while there are none.
    pub fn median(&self) -> Option<u64> {
        let mut left = self.count.div_ceil(2);
        let is_median = |count: &u32| {
            left = left.saturating_sub(*count as usize);
            left == 0
        };
        self.by_tenths.iter().position(is_median).map(|tenths| tenths as u64 * 100).filter(|_| self.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_whole_seconds() {
        let mut pulse = Pulse::default();
        for at in 0..100 {
            (0..at).for_each(|_| pulse.event(at));
            pulse.octets(at, 1000);
        }
        assert_eq!(pulse.rates(100), [(91..100).sum::<i64>() as u64 / 9, 1000, 0]);
        assert_eq!(pulse.rates(200), [0, 0, 0]);
    }

    #[test]
    fn a_machine_counts_once_until_it_is_silent() {
        let mut pulse = Pulse::default();
        pulse.machine(None, 5);
        pulse.machine(None, 5);
        pulse.machine(Some(5), 7);
        assert_eq!([7, 14, 15, 16, 17].map(|now| pulse.machines(now)), [2, 2, 1, 1, 0]);
        pulse.machine(Some(7), 30);
        assert_eq!(pulse.machines(30), 1);
    }

    #[test]
    fn half_of_the_boots_took_no_longer() {
        let mut durations = Durations::default();
        assert_eq!(durations.median(), None);
        [18_000, 18_500, 40_000, 9_000_000].into_iter().for_each(|millis| durations.add(millis));
        assert_eq!((durations.median(), durations.longest), (Some(18_500), 9_000_000));
    }
}
