//! The octets of one transfer as they go on the wire, read in pieces.

use std::io;
use std::os::unix::fs::FileExt;

use tftp::{Mode, netascii};

use crate::files::Content;

/// Read at once, beyond what is asked for: few enough octets for hundreds of transfers, enough that a block of 512
/// octets seldom waits for a read.
const READ_AHEAD: usize = 64 * 1024;

/// A file on its way out. All of its methods may wait for the disk.
#[derive(Debug)]
pub struct Source {
    content: Content,
    mode: Mode,
    /// Octets of the content read so far.
    read: u64,
    /// Octets on the wire that are held: from `start` on, beginning at `head` in the buffer.
    buffer: Vec<u8>,
    head: usize,
    start: u64,
}

impl Source {
    pub fn new(content: Content, mode: Mode) -> Source {
        Source { content, mode, read: 0, buffer: Vec::new(), head: 0, start: 0 }
    }

    /// How many octets `size` octets of content are on the wire. Text has to be read for that.
    pub fn wire_octets(&self, size: u64) -> io::Result<u64> {
        if self.mode == Mode::Octet {
            return Ok(size);
        }
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

    /// What is held of the wire's octets from `offset` on; `None` when [`Source::fill`] has to come first.
    pub fn held(&self, offset: u64, octets: usize) -> Option<&[u8]> {
        let from = self.head + usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer.get(from..from.checked_add(octets)?)
    }

    /// Lets go of what lies before `settled`, then reads at least to `until`, both counted on the wire.
    ///
    /// # Errors
    /// Those of reading; `UnexpectedEof` when the file has become shorter than it was.
    pub fn fill(&mut self, settled: u64, until: u64) -> io::Result<()> {
        let gone = settled.saturating_sub(self.start).min((self.buffer.len() - self.head) as u64);
        self.buffer.drain(..self.head + gone as usize);
        self.head = 0;
        self.start += gone;
        while self.start + (self.buffer.len() as u64) < until {
            if self.read_more()? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was being sent",
                ));
            }
        }
        Ok(())
    }

    /// Lets go of what lies before `settled`, at no cost.
    pub fn settle(&mut self, settled: u64) {
        let gone = settled.saturating_sub(self.start).min((self.buffer.len() - self.head) as u64);
        self.head += gone as usize;
        self.start += gone;
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let octets = match self.mode {
            Mode::Octet => {
                let end = self.buffer.len();
                self.buffer.resize(end + READ_AHEAD, 0);
                let octets = read_at(&self.content, &mut self.buffer[end..], self.read);
                self.buffer.truncate(end + octets.as_ref().copied().unwrap_or(0));
                octets?
            }
            Mode::Netascii => {
                let mut piece = vec![0; READ_AHEAD];
                let octets = read_at(&self.content, &mut piece, self.read)?;
                netascii::encode(&piece[..octets], &mut self.buffer);
                octets
            }
        };
        self.read += octets as u64;
        Ok(octets)
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

    /// Reads all of it as a transfer in windows of 4 blocks does, going back now and then.
    fn read_in_windows(source: &mut Source, total: u64, block: u64) -> Vec<u8> {
        let mut all = Vec::new();
        let mut settled = 0;
        while settled < total {
            let until = total.min(settled + 4 * block);
            for offset in [settled, until.min(settled + block), settled] {
                let octets = (until - offset) as usize;
                if source.held(offset, octets).is_none() {
                    source.fill(settled, until).unwrap();
                }
                assert_eq!(source.held(offset, octets).map(<[u8]>::len), Some(octets));
            }
            all.extend_from_slice(source.held(settled, (until - settled) as usize).unwrap());
            settled = until;
            source.settle(settled);
        }
        all
    }

    #[test]
    fn octets_come_out_as_they_are_in_any_block_size() {
        let file = text(300_001);
        for block in [8 * 64, 1468, 65_464] {
            let mut source = Source::new(Content::Memory(file.clone().into()), Mode::Octet);
            assert_eq!(source.wire_octets(300_001).unwrap(), 300_001);
            assert!(read_in_windows(&mut source, 300_001, block) == file, "{block}");
        }
    }

    #[test]
    fn text_is_measured_and_written_for_the_wire() {
        let file = text(300_001);
        let mut wire = Vec::new();
        netascii::encode(&file, &mut wire);
        let mut source = Source::new(Content::Memory(file.into()), Mode::Netascii);
        let total = source.wire_octets(300_001).unwrap();
        assert_eq!(total, wire.len() as u64);
        assert!(read_in_windows(&mut source, total, 512) == wire);
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let mut source = Source::new(Content::Memory(text(1000).into()), Mode::Octet);
        assert!(source.fill(0, 1000).is_ok());
        assert_eq!(source.fill(0, 1001).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn no_more_is_held_than_the_window_and_the_read_ahead() {
        let mut source = Source::new(Content::Memory(text(10_000_000).into()), Mode::Octet);
        for settled in (0..9_000_000).step_by(2048) {
            source.settle(settled);
            if source.held(settled, 2048).is_none() {
                source.fill(settled, settled + 2048).unwrap();
            }
            assert!(source.buffer.len() <= 2048 + READ_AHEAD, "{} octets", source.buffer.len());
        }
    }
}
