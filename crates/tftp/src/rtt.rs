//! When to send again: the retransmission timer of RFC 6298, on a LAN's scale.

use std::time::Duration;

/// Before anything was measured.
const INITIAL: Duration = Duration::from_secs(1);
/// RFC 6298 asks for a second, with TCP across the world in mind. On a LAN that would be a thousand round trips; less
/// than this, and a ROM that stops to draw its progress bar would be sent everything twice.
const SHORTEST: Duration = Duration::from_millis(100);
/// Back-off stops here: a machine that comes back should not wait long.
const LONGEST: Duration = Duration::from_secs(4);

/// The measured round trip to one client, and the patience that follows from it.
#[derive(Clone, Debug)]
pub struct Rtt {
    /// The interval that the client asked for (RFC 2349): then nothing is measured and nothing backs off.
    fixed: Option<Duration>,
    /// Smoothed round trip and its variation, once measured.
    measured: Option<(Duration, Duration)>,
    /// How often the timer has doubled.
    doublings: u32,
}

impl Rtt {
    pub fn new(fixed: Option<Duration>) -> Rtt {
        Rtt { fixed, measured: None, doublings: 0 }
    }

    /// Takes a round trip of something that was sent only once (Karn), and ends the back-off.
    pub fn sample(&mut self, round_trip: Duration) {
        let (smoothed, variation) = match self.measured {
            None => (round_trip, round_trip / 2),
            Some((smoothed, variation)) => {
                (smoothed * 7 / 8 + round_trip / 8, variation * 3 / 4 + smoothed.abs_diff(round_trip) / 4)
            }
        };
        self.measured = Some((smoothed, variation));
        self.doublings = 0;
    }

    /// An answer came before the timer ran out, though it cannot be told to which copy of a packet.
    pub fn end_back_off(&mut self) {
        self.doublings = 0;
    }

    /// The timer ran out.
    pub fn back_off(&mut self) {
        self.doublings += 1;
    }

    /// How long to wait for an answer before sending again.
    pub fn timeout(&self) -> Duration {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let base = self.measured.map_or(INITIAL, |(smoothed, variation)| smoothed + variation * 4);
        let factor = 1u32.checked_shl(self.doublings).unwrap_or(u32::MAX);
        base.max(SHORTEST).saturating_mul(factor).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn begins_with_a_second_then_follows_the_measured_round_trip() {
        let mut rtt = Rtt::new(None);
        assert_eq!(rtt.timeout(), ms(1000));
        rtt.sample(ms(80));
        assert_eq!(rtt.timeout(), ms(80 + 4 * 40));
        rtt.sample(ms(160));
        // Smoothed 70 + 20, variation 30 + 20.
        assert_eq!(rtt.timeout(), ms(90 + 4 * 50));
    }

    #[test]
    fn a_fast_lan_still_gets_the_shortest_timer() {
        let mut rtt = Rtt::new(None);
        for _ in 0..100 {
            rtt.sample(Duration::from_micros(200));
        }
        assert_eq!(rtt.timeout(), SHORTEST);
    }

    #[test]
    fn backs_off_by_doubling_up_to_the_longest_until_measured_again() {
        let mut rtt = Rtt::new(None);
        let mut timers = Vec::new();
        for _ in 0..4 {
            timers.push(rtt.timeout());
            rtt.back_off();
        }
        assert_eq!(timers, [ms(1000), ms(2000), LONGEST, LONGEST]);
        (0..100).for_each(|_| rtt.back_off());
        assert_eq!(rtt.timeout(), LONGEST);
        rtt.sample(ms(1));
        assert_eq!(rtt.timeout(), SHORTEST);
    }

    #[test]
    fn the_clients_own_timeout_stands() {
        let mut rtt = Rtt::new(Some(ms(7000)));
        rtt.sample(ms(1));
        rtt.back_off();
        assert_eq!(rtt.timeout(), ms(7000));
    }
}
