//! When to send again: the retransmission timer of RFC 6298, on a LAN's scale.

use std::time::Duration;

/// Before anything was measured: longer than a ROM takes to think about an OACK.
const INITIAL: Duration = Duration::from_millis(500);
/// RFC 6298 asks for a second, with TCP across the world in mind. On a LAN that would be thousands of round trips. A ROM
/// that stops to draw its progress bar gets a packet again that it has, and the doubling keeps these few.
const SHORTEST: Duration = Duration::from_millis(20);
/// Back-off stops here: a machine that comes back should not wait long.
const LONGEST: Duration = Duration::from_secs(4);
/// What a client asked for is how long it is ready to wait (RFC 2349). We hurry more than that, but not at will.
const HURRY: u32 = 10;

/// The measured round trip to one client, and the patience that follows from it.
#[derive(Clone, Debug)]
pub struct Rtt {
    /// The interval that the client asked for (RFC 2349): the timer lies between a tenth of it and all of it.
    asked: Option<Duration>,
    /// Smoothed round trip and its variation, once measured.
    measured: Option<(Duration, Duration)>,
    /// How often the timer has doubled.
    doublings: u32,
}

impl Rtt {
    pub fn new(asked: Option<Duration>) -> Rtt {
        Rtt { asked, measured: None, doublings: 0 }
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

    /// How often it has run out since something was measured.
    pub fn doublings(&self) -> u32 {
        self.doublings
    }

    /// By then the answer to what is sent now has come, if nothing gets lost.
    pub fn round_trip(&self) -> Duration {
        self.measured.map_or(INITIAL, |(smoothed, variation)| smoothed + variation * 4)
    }

    /// How long to wait for an answer before sending again.
    pub fn timeout(&self) -> Duration {
        let factor = 1u32.checked_shl(self.doublings).unwrap_or(u32::MAX);
        let (shortest, longest) = self.asked.map_or((SHORTEST, LONGEST), |asked| (asked / HURRY, asked));
        self.round_trip().max(shortest).saturating_mul(factor).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn begins_with_half_a_second_then_follows_the_measured_round_trip() {
        let mut rtt = Rtt::new(None);
        assert_eq!(rtt.timeout(), ms(500));
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
        assert!(rtt.round_trip() < ms(1), "{rtt:?}");
    }

    #[test]
    fn backs_off_by_doubling_up_to_the_longest_until_measured_again() {
        let mut rtt = Rtt::new(None);
        let mut timers = Vec::new();
        for _ in 0..5 {
            timers.push(rtt.timeout());
            rtt.back_off();
        }
        assert_eq!(timers, [ms(500), ms(1000), ms(2000), LONGEST, LONGEST]);
        (0..100).for_each(|_| rtt.back_off());
        assert_eq!(rtt.timeout(), LONGEST);
        rtt.sample(ms(1));
        assert_eq!(rtt.timeout(), SHORTEST);
    }

    #[test]
    fn the_clients_own_interval_bounds_the_timer() {
        let mut rtt = Rtt::new(Some(ms(7000)));
        assert_eq!(rtt.timeout(), ms(700));
        rtt.sample(ms(1));
        let mut timers = Vec::new();
        for _ in 0..6 {
            timers.push(rtt.timeout());
            rtt.back_off();
        }
        assert_eq!(timers, [700, 1400, 2800, 5600, 7000, 7000].map(ms));
    }
}
