//! The octets of one transfer as they go on the wire: what is in memory or in the page cache at once, and all else by
//! way of a helper that may wait for the disk.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use tftp::{Mode, Run};

use super::shelf::Shelf;
use super::text::Text;
use crate::files::Content;

/// Short runs share a read of so many octets: few enough for thousands of transfers.
const HELD: usize = 16 << 10;
/// What a helper reads at once, at least.
const READ_AHEAD: usize = 64 << 10;

/// A file on its way out.
#[derive(Debug)]
pub enum Source {
    Made(Arc<[u8]>),
    /// Shared with all others who are sent this file.
    Shelved(Arc<Vec<u8>>),
    File(Pieces),
    Text(Text),
    /// With a helper.
    Away,
}

/// A file that is read in pieces.
#[derive(Debug)]
pub struct Pieces {
    file: File,
    held: Held,
}

/// Octets of a file that were read, and where in it they begin.
#[derive(Debug, Default)]
pub struct Held {
    octets: Vec<u8>,
    start: u64,
}

impl Source {
    /// Takes the content of a file to be sent, and says how many octets it is on the wire. May wait for the disk.
    ///
    /// # Errors
    /// Those of reading.
    pub fn new(content: Content, size: u64, mode: Mode, shelf: &Shelf) -> io::Result<(Source, u64)> {
        if mode == Mode::Netascii {
            let text = Text::new(content);
            let octets = text.wire_octets()?;
            return Ok((Source::Text(text), octets));
        }
        let file = match content {
            Content::Memory(octets) => return Ok((Source::Made(octets), size)),
            Content::File(file) => file,
        };
        Ok(match shelf.take(&file)? {
            Some(octets) => {
                let size = octets.len() as u64;
                (Source::Shelved(octets), size)
            }
            None => (Source::File(Pieces { file, held: Held::default() }), size),
        })
    }

    /// The file data of a run, if the disk need not be waited for. `scratch`: room for long runs, with nothing in it but
    /// what was read of this source.
    pub fn octets<'a>(&'a mut self, run: &Run, scratch: &'a mut Held) -> Option<&'a [u8]> {
        let whole = |octets: &'a [u8]| octets.get(run.offset as usize..run.offset as usize + run.octets);
        match self {
            Source::Made(octets) => whole(octets),
            Source::Shelved(octets) => whole(octets),
            Source::File(pieces) => pieces.octets(run, scratch),
            Source::Text(text) => text.held(run.offset, run.octets),
            Source::Away => None,
        }
    }

    /// Reads a long run before it is to be sent, as long as the disk need not be waited for.
    pub fn read_ahead(&self, run: &Run, scratch: &mut Held) {
        if let Source::File(pieces) = self
            && run.octets >= HELD
            && pieces.held.get(run).or(scratch.get(run)).is_none()
        {
            scratch.read_cached(&pieces.file, run.offset, run.octets);
        }
    }

    /// Sees to it that the file data of a run is held. May wait for the disk.
    ///
    /// # Errors
    /// Those of reading; `UnexpectedEof` when the file has become shorter than it was.
    pub fn fetch(&mut self, run: &Run) -> io::Result<()> {
        match self {
            Source::Made(_) | Source::Shelved(_) | Source::Away => Err(became_shorter()),
            Source::File(pieces) => pieces.fetch(run),
            Source::Text(text) => text.fill(run.settled, run.offset + run.octets as u64),
        }
    }
}

impl Pieces {
    fn octets<'a>(&'a mut self, run: &Run, scratch: &'a mut Held) -> Option<&'a [u8]> {
        let (held, octets) = match run.octets < HELD || self.held.get(run).is_some() {
            true => (&mut self.held, HELD),
            false => {
                self.held = Held::default();
                (scratch, run.octets)
            }
        };
        if held.get(run).is_none() {
            held.read_cached(&self.file, run.offset, octets);
        }
        held.get(run)
    }

    fn fetch(&mut self, run: &Run) -> io::Result<()> {
        let Held { octets, start } = &mut self.held;
        octets.resize(run.octets.max(READ_AHEAD), 0);
        *start = run.offset;
        let mut filled = 0;
        while filled < octets.len() {
            match self.file.read_at(&mut octets[filled..], run.offset + filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        octets.truncate(filled);
        if filled < run.octets { Err(became_shorter()) } else { Ok(()) }
    }
}

impl Held {
    /// The file data of a run; `None` when it is not all here.
    fn get(&self, run: &Run) -> Option<&[u8]> {
        let from = usize::try_from(run.offset.checked_sub(self.start)?).ok()?;
        self.octets.get(from..from + run.octets)
    }

    /// Reads so many octets from `start` on instead of what is here; nothing, where the disk would have to be waited for.
    fn read_cached(&mut self, file: &File, start: u64, octets: usize) {
        self.octets.resize(octets, 0);
        self.start = start;
        let read = read_cached(file, &mut self.octets, start);
        self.octets.truncate(read);
    }

    /// Forgets them, and keeps the room.
    pub fn clear(&mut self) {
        self.octets.clear();
    }
}

pub fn became_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was being sent")
}

/// Reads what is in the page cache; 0 when it is not there, or the file system cannot tell.
fn read_cached(file: &File, into: &mut [u8], offset: u64) -> usize {
    let slice = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: the slice is valid for writes of its length, and outlives the call.
    let octets =
        unsafe { libc::preadv2(file.as_raw_fd(), &raw const slice, 1, offset as libc::off_t, libc::RWF_NOWAIT) };
    usize::try_from(octets).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A file of this many octets, of which no two blocks are alike.
    struct Written(PathBuf, Vec<u8>);

    impl Written {
        fn new(name: &str, octets: usize) -> Written {
            let path = std::env::temp_dir().join(format!("lanboot-source-{name}-{}", std::process::id()));
            let content: Vec<u8> = (0..octets).map(|at| (at % 251) as u8).collect();
            fs::write(&path, &content).unwrap();
            Written(path, content)
        }

        fn source(&self) -> Source {
            let file = Content::File(File::open(&self.0).unwrap());
            // It has just been written, so it does not come from the shelf.
            Source::new(file, self.1.len() as u64, Mode::Octet, &Shelf::default()).unwrap().0
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn run(offset: usize, octets: usize) -> Run {
        Run { first_block: 1, blocks: 1, block_octets: 512, offset: offset as u64, settled: offset as u64, octets }
    }

    fn read(source: &mut Source, run: &Run) -> io::Result<Vec<u8>> {
        let mut scratch = Held::default();
        if source.octets(run, &mut scratch).is_none() {
            source.fetch(run)?;
        }
        Ok(source.octets(run, &mut scratch).expect("it was fetched").to_vec())
    }

    #[test]
    fn runs_of_all_lengths_come_out_as_they_are_in_any_order() {
        let written = Written::new("any", 300_001);
        for octets in [1, 512, 1468, HELD - 1, HELD, 64 * 1468] {
            let mut source = written.source();
            for offset in [0, octets, 0, 2 * octets, 300_001 - octets, 5000] {
                let got = read(&mut source, &run(offset, octets)).unwrap();
                assert!(got == written.1[offset..offset + octets], "{octets} octets at {offset}");
            }
            assert!(read(&mut source, &run(300_001, 0)).unwrap().is_empty());
        }
    }

    #[test]
    fn what_a_helper_fetched_is_there_to_its_end() {
        let written = Written::new("fetched", 300_001);
        let (mut source, mut scratch) = (written.source(), Held::default());
        source.fetch(&run(1000, 10)).unwrap();
        let Source::File(Pieces { held: Held { octets: held, .. }, .. }) = &source else { panic!("{source:?}") };
        assert_eq!(held.len(), READ_AHEAD);
        assert!(source.octets(&run(1000, READ_AHEAD), &mut scratch) == Some(&written.1[1000..1000 + READ_AHEAD]));
        assert!(scratch.octets.is_empty(), "no need to read it again");
    }

    #[test]
    fn a_long_run_that_was_read_ahead_is_there_and_a_short_one_takes_no_room() {
        let written = Written::new("ahead", 300_001);
        let (mut source, mut scratch) = (written.source(), Held::default());
        source.read_ahead(&run(0, HELD - 1), &mut scratch);
        assert_eq!(scratch.octets.capacity(), 0);
        source.read_ahead(&run(1000, HELD), &mut scratch);
        let Source::File(Pieces { file, .. }) = &mut source else { panic!("{source:?}") };
        *file = File::open("/dev/null").unwrap();
        assert!(source.octets(&run(1000, HELD), &mut scratch) == Some(&written.1[1000..1000 + HELD]));
        assert!(source.octets(&run(1001, HELD), &mut scratch).is_none(), "it has to be read");
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let written = Written::new("shorter", 100_000);
        let mut source = written.source();
        assert!(read(&mut source, &run(98_000, 2000)).is_ok());
        File::options().write(true).open(&written.0).unwrap().set_len(50_000).unwrap();
        assert!(read(&mut source, &run(0, 50_000)).is_ok());
        assert_eq!(read(&mut source, &run(49_000, 1001)).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_that_is_replaced_is_sent_as_it_was() {
        let written = Written::new("replaced", 100_000);
        let mut source = written.source();
        let other = written.0.with_extension("new");
        fs::write(&other, [0; 10]).unwrap();
        fs::rename(&other, &written.0).unwrap();
        assert!(read(&mut source, &run(90_000, 10_000)).unwrap() == written.1[90_000..]);
    }

    #[test]
    fn short_runs_hold_little() {
        let written = Written::new("little", 300_001);
        let (mut source, mut scratch) = (written.source(), Held::default());
        for offset in (0..300_000).step_by(512) {
            source.octets(&run(offset, 512.min(300_001 - offset)), &mut scratch);
            let Source::File(Pieces { held: Held { octets: held, .. }, .. }) = &source else { panic!("{source:?}") };
            assert!(held.capacity() <= HELD, "{}", held.capacity());
        }
    }
}
