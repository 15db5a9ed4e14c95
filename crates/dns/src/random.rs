//! What must not be guessed by those who forge answers: ids and letters (RFC 5452 section 9.2).

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// A generator whose output nobody can foretell who does not know the seed. The same seed gives the same output.
#[derive(Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// `seed`: from the kernel's random numbers.
    pub fn new(seed: [u8; 32]) -> Random {
        Random(ChaCha8Rng::from_seed(seed))
    }

    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    pub fn id(&mut self) -> u16 {
        self.0.next_u32() as u16
    }

    /// Less than `bound`, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// Gives every ASCII letter a case by chance (0x20, draft-vixie-dnsext-dns0x20-00). Other octets, lengths of labels
    /// among them, stay: they are 63 at most, and `A` is 65.
    pub fn recase(&mut self, name: &mut [u8]) {
        let mut bits = 0;
        for (at, octet) in name.iter_mut().enumerate() {
            if at % 32 == 0 {
                bits = self.bits();
            }
            if octet.is_ascii_alphabetic() {
                *octet ^= ((bits & 1) as u8) << 5;
            }
            bits >>= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_alone_change() {
        let mut random = Random::new([7; 32]);
        let name = b"\x0bwww-example\x04test\0";
        let mut seen = std::collections::HashSet::new();
        for _ in 0..64 {
            let mut cased = name.to_vec();
            random.recase(&mut cased);
            assert!(cased.eq_ignore_ascii_case(name));
            seen.insert(cased);
        }
        assert!(seen.len() > 60, "14 letters have 16384 ways");
    }

    #[test]
    fn what_is_below_a_bound_reaches_all_of_it() {
        let mut random = Random::new([1; 32]);
        let seen: std::collections::BTreeSet<u32> = (0..200).map(|_| random.below(5)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }
}
