//! Octets read as a program: small numbers, pieces, the rest.

/// What is left of an input. Reading past its end gives zeros and empty pieces, so that any prefix of a program is one.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// At most `octets` octets.
    pub fn take(&mut self, octets: usize) -> &'a [u8] {
        let (piece, rest) = self.0.split_at(octets.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// What stands before the next NUL, or all that is left.
    pub fn section(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|octet| *octet == 0);
        let piece = self.take(end.unwrap_or(self.0.len()));
        self.u8();
        piece
    }
}
