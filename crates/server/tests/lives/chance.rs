//! Chance that is the same in every run with the same seed.

/// Splitmix64.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % bound
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// Another seed in every run, or the one that `LANBOOT_SEED` names.
pub fn seed() -> u64 {
    let by_clock = || std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64;
    std::env::var("LANBOOT_SEED").map_or_else(|_| by_clock(), |seed| seed.parse().expect("LANBOOT_SEED is a number"))
}
