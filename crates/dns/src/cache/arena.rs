//! Memory for many small things one behind the other: an allocation for each would cost a third more.

/// Each piece has its owner's number and its length before it. Pieces given back leave gaps, which are closed when they are
/// an eighth of the whole.
#[derive(Debug, Default)]
pub struct Arena {
    octets: Vec<u8>,
    gaps: usize,
}

/// What stands before a piece.
pub const HEAD: usize = 8;
/// The owner of a gap.
const NOBODY: u32 = u32::MAX;
/// Gaps that are not worth the work.
const FEW: usize = 4096;

impl Arena {
    /// Keeps a piece for `owner`, and says where.
    pub fn push(&mut self, owner: u32, piece: &[u8]) -> u32 {
        let at = u32::try_from(self.octets.len()).expect("the cache's bounds are below 4 GiB");
        self.octets.extend_from_slice(&owner.to_le_bytes());
        self.octets.extend_from_slice(&(piece.len() as u32).to_le_bytes());
        self.octets.extend_from_slice(piece);
        at
    }

    pub fn get(&self, at: u32) -> &[u8] {
        let (_, length) = self.head(at as usize);
        let start = at as usize + HEAD;
        &self.octets[start..start + length]
    }

    /// Gives a piece back. `moved` hears where those of others are then, if that changes.
    pub fn free(&mut self, at: u32, moved: impl FnMut(u32, u32)) {
        let at = at as usize;
        self.gaps += HEAD + self.head(at).1;
        self.octets[at..at + 4].copy_from_slice(&NOBODY.to_le_bytes());
        if self.gaps > FEW.max(self.octets.len() / 8) {
            self.close_gaps(moved);
        }
    }

    pub fn clear(&mut self) {
        *self = Arena::default();
    }

    fn head(&self, at: usize) -> (u32, usize) {
        let [o0, o1, o2, o3, l0, l1, l2, l3] = *self.octets[at..].first_chunk().expect("a piece has its head");
        (u32::from_le_bytes([o0, o1, o2, o3]), u32::from_le_bytes([l0, l1, l2, l3]) as usize)
    }

    fn close_gaps(&mut self, mut moved: impl FnMut(u32, u32)) {
        let (mut from, mut to) = (0, 0);
        while from < self.octets.len() {
            let (owner, length) = self.head(from);
            let end = from + HEAD + length;
            if owner != NOBODY {
                self.octets.copy_within(from..end, to);
                moved(owner, to as u32);
                to += end - from;
            }
            from = end;
        }
        self.octets.truncate(to);
        self.gaps = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_whole_while_gaps_are_closed() {
        let (mut arena, mut places) = (Arena::default(), Vec::new());
        let piece = |owner: u32| vec![owner as u8; 1 + owner as usize % 97];
        for owner in 0..1000 {
            places.push(arena.push(owner, &piece(owner)));
        }
        let whole = arena.octets.len();
        for owner in (0..1000).filter(|owner| owner % 5 > 0) {
            arena.free(places[owner as usize], |owner, at| places[owner as usize] = at);
        }
        for owner in (0..1000).step_by(5) {
            assert_eq!(arena.get(places[owner as usize]), piece(owner));
        }
        assert!(arena.octets.len() < whole / 4 + FEW, "{} of {whole}", arena.octets.len());
    }
}
