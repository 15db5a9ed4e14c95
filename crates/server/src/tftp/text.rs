//! A text on its way out as netascii, read in pieces: it changes its length on the way.

use std::io;
use std::os::unix::fs::FileExt;

use tftp::netascii;

use super::source::became_shorter;
use crate::files::Content;

/// Read at once, beyond what is asked for: few enough octets for hundreds of transfers, enough that a block of 512
/// octets seldom waits for a read.
const READ_AHEAD: usize = 64 * 1024;

/// What may wait for the disk says so.
#[derive(Debug)]
pub struct Text {
    content: Content,
    /// Octets of the content read so far.
    read: u64,
    /// Octets on the wire that are held, from `start` on.
    buffer: Vec<u8>,
    start: u64,
}

impl Text {
    pub fn new(content: Content) -> Text {
        Text { content, read: 0, buffer: Vec::new(), start: 0 }
    }

    /// How many octets it is on the wire. It is read to its end for that, which may wait for the disk.
    pub fn wire_octets(&self) -> io::Result<u64> {
        let (mut piece, mut at, mut total) = (vec![0; READ_AHEAD], 0, 0);
        loop {
            let octets = read_at(&self.content, &mut piece, at)?;
            if octets == 0 {
                return Ok(total);
            }
            at += octets as u64;
            total += netascii::encoded_octets(&piece[..octets]);
        }
    }

    /// What is held of the wire's octets from `offset` on; `None` when [`Text::fill`] has to come first.
    pub fn held(&self, offset: u64, octets: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer.get(from..from.checked_add(octets)?)
    }

    /// Lets go of what lies before `settled`, then reads at least to `until`, both counted on the wire. May wait for the
    /// disk.
    ///
    /// # Errors
    /// Those of reading; `UnexpectedEof` when the file has become shorter than it was.
    pub fn fill(&mut self, settled: u64, until: u64) -> io::Result<()> {
        let gone = settled.saturating_sub(self.start).min(self.buffer.len() as u64);
        self.buffer.drain(..gone as usize);
        self.start += gone;
        while self.start + (self.buffer.len() as u64) < until {
            let mut piece = vec![0; READ_AHEAD];
            let octets = read_at(&self.content, &mut piece, self.read)?;
            if octets == 0 {
                return Err(became_shorter());
            }
            netascii::encode(&piece[..octets], &mut self.buffer);
            self.read += octets as u64;
        }
        Ok(())
    }
}

/// Reads some octets at `offset`; 0: the end.
fn read_at(content: &Content, into: &mut [u8], offset: u64) -> io::Result<usize> {
    match content {
        Content::File(file) => loop {
            match file.read_at(into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        },
        Content::Memory(octets) => {
            let rest = usize::try_from(offset).ok().and_then(|offset| octets.get(offset..)).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(octets: usize) -> Vec<u8> {
        (0..octets).map(|at| if at % 40 == 39 { b'\n' } else { b'a' + (at % 23) as u8 }).collect()
    }

    fn source(octets: usize) -> Text {
        Text::new(Content::Memory(text(octets).into()))
    }

    #[test]
    fn text_is_measured_and_written_for_the_wire() {
        let mut wire = Vec::new();
        netascii::encode(&text(300_001), &mut wire);
        let mut source = source(300_001);
        let total = source.wire_octets().unwrap();
        assert_eq!(total, wire.len() as u64);
        // As a transfer in windows of 4 blocks does, going back now and then.
        let (mut all, mut settled) = (Vec::new(), 0);
        while settled < total {
            let until = total.min(settled + 4 * 512);
            for offset in [settled, until.min(settled + 512), settled] {
                let octets = (until - offset) as usize;
                if source.held(offset, octets).is_none() {
                    source.fill(settled, until).unwrap();
                }
                assert_eq!(source.held(offset, octets).map(<[u8]>::len), Some(octets));
            }
            all.extend_from_slice(source.held(settled, (until - settled) as usize).unwrap());
            settled = until;
        }
        assert!(all == wire);
    }

    #[test]
    fn a_text_that_became_shorter_is_an_error() {
        let mut source = source(1000);
        let total = source.wire_octets().unwrap();
        assert!(source.fill(0, total).is_ok());
        assert_eq!(source.fill(0, total + 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn no_more_is_held_than_the_window_and_the_read_ahead() {
        let mut source = source(10_000_000);
        for settled in (0..9_000_000).step_by(2048) {
            if source.held(settled, 2048).is_none() {
                source.fill(settled, settled + 2048).unwrap();
            }
            assert!(source.buffer.len() <= 2048 + 2 * READ_AHEAD, "{} octets", source.buffer.len());
        }
    }
}
