//! The lease log's format: a header, then frames. A frame is what one `commit` wrote, and counts as a whole or not at all.
//!
//! ```text
//! header   "LANBOOTL"  version u32  salt u64  CRC32C of these 20 octets u32
//! frame    marker u32  payload octets u32  CRC32C u32  payload: records, one after the other
//! ```
//! The later word on an address, or on a client, replaces the earlier. A new frame is begun only when the one before is on disk,
//! so a power cut can spoil the last frame and no other: octets that are no frame, with a sound frame after them, are damage.
//! Zeros after the last frame are room laid out for more. Marker and CRC hang on the file's random salt, so that no client can plant octets in its host name or identifier that look
//! like a frame; the CRC covers the frame's place as well.

use crate::codec;
use crate::record::Record;

const MAGIC: &[u8; 8] = b"LANBOOTL";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_OCTETS: usize = 24;
const FRAME_HEADER_OCTETS: usize = 12;

/// Snapshots are cut into frames of about this size; a commit is one frame whatever its size.
const SNAPSHOT_FRAME_OCTETS: usize = 64 << 10;

/// What ties frames to their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u64);

impl Salt {
    /// Never zero, so that a tail of zeros, as file systems leave it, is not searched in vain.
    fn marker(self) -> [u8; 4] {
        ((self.0 >> 32) as u32 | 1).to_be_bytes()
    }

    fn checksum(self, offset: usize, payload: &[u8]) -> [u8; 4] {
        let place = [self.0, offset as u64, payload.len() as u64].map(u64::to_be_bytes);
        crc32c::crc32c_append(crc32c::crc32c(place.as_flattened()), payload).to_be_bytes()
    }
}

/// The frame that stands at `offset` and holds `records`.
pub(crate) fn frame<'a>(salt: Salt, offset: usize, records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut octets = vec![0; FRAME_HEADER_OCTETS];
    records.into_iter().for_each(|record| codec::encode(record, &mut octets));
    seal(salt, offset, &mut octets);
    octets
}

/// Fills in the header of a frame whose payload is in place.
fn seal(salt: Salt, offset: usize, frame: &mut [u8]) {
    let (header, payload) = frame.split_at_mut(FRAME_HEADER_OCTETS);
    let length = u32::try_from(payload.len()).expect("a batch of grants stays below 4 GiB");
    header[..4].copy_from_slice(&salt.marker());
    header[4..8].copy_from_slice(&length.to_be_bytes());
    header[8..].copy_from_slice(&salt.checksum(offset, payload));
}

/// A whole log that holds `records` and nothing else.
pub(crate) fn snapshot<'a>(salt: Salt, records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut octets = header(salt);
    let mut start = octets.len();
    for record in records {
        if octets.len() == start {
            octets.resize(start + FRAME_HEADER_OCTETS, 0);
        }
        codec::encode(record, &mut octets);
        if octets.len() - start >= SNAPSHOT_FRAME_OCTETS {
            seal(salt, start, &mut octets[start..]);
            start = octets.len();
        }
    }
    if octets.len() > start {
        seal(salt, start, &mut octets[start..]);
    }
    octets
}

pub(crate) fn header(salt: Salt) -> Vec<u8> {
    let mut octets = MAGIC.to_vec();
    octets.extend(VERSION.to_be_bytes());
    octets.extend(salt.0.to_be_bytes());
    octets.extend(crc32c::crc32c(&octets).to_be_bytes());
    octets
}

/// What a log says, its records aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) salt: Salt,
    /// How many records it has, superseded ones included.
    pub(crate) records: usize,
    /// Where the last sound frame ends; what follows was torn by a power cut.
    pub(crate) end: usize,
}

/// Why a log cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    NotALog,
    Newer { found: u32 },
    Damaged { offset: usize },
}

/// Reads a whole log. `take` gets every record in it, in the order written.
pub(crate) fn replay(log: &[u8], mut take: impl FnMut(Record)) -> Result<Replay, Unusable> {
    let salt = read_header(log)?;
    let (mut records, mut end) = (0, HEADER_OCTETS);
    while let Some(payload) = payload_at(log, salt, end) {
        let mut rest = payload;
        while !rest.is_empty() {
            take(codec::decode(&mut rest).ok_or(Unusable::Damaged { offset: end })?);
            records += 1;
        }
        end += FRAME_HEADER_OCTETS + payload.len();
    }
    let is_damage = has_frame_after(log, salt, end);
    if is_damage { Err(Unusable::Damaged { offset: end }) } else { Ok(Replay { salt, records, end }) }
}

/// Reads the whole frames at the front of `octets`, a part of a log that begins at `offset` there, and returns how many octets
/// they are.
pub(crate) fn read_frames(octets: &[u8], salt: Salt, offset: usize, take: &mut impl FnMut(Record)) -> usize {
    let mut end = 0;
    while let Some(payload) = payload_in(octets, salt, end, offset) {
        let (mut rest, mut records) = (payload, Vec::new());
        while !rest.is_empty() {
            let Some(record) = codec::decode(&mut rest) else { return end };
            records.push(record);
        }
        records.into_iter().for_each(&mut *take);
        end += FRAME_HEADER_OCTETS + payload.len();
    }
    end
}

/// About how many records a log of this size holds at most.
pub(crate) fn records_in(octets: usize) -> usize {
    const SMALL_RECORD_OCTETS: usize = 64;
    octets / SMALL_RECORD_OCTETS
}

/// How much of what follows the last sound frame was written, and not only laid out for later.
pub(crate) fn torn_octets(log: &[u8], end: usize) -> usize {
    log.get(end..).unwrap_or_default().iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1)
}

fn read_header(log: &[u8]) -> Result<Salt, Unusable> {
    let (header, _) = log.split_first_chunk::<HEADER_OCTETS>().ok_or(Unusable::NotALog)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(Unusable::NotALog);
    }
    let version = u32::from_be_bytes(rest[..4].try_into().expect("four octets"));
    let salt = u64::from_be_bytes(rest[4..12].try_into().expect("eight octets"));
    // A newer format may check its header in another way, so the version is believed first.
    if version > VERSION {
        return Err(Unusable::Newer { found: version });
    }
    let is_sound = version == VERSION && crc32c::crc32c(&header[..20]).to_be_bytes() == header[20..];
    if is_sound { Ok(Salt(salt)) } else { Err(Unusable::Damaged { offset: 0 }) }
}

/// The payload of the sound frame at `offset`, if there is one.
fn payload_at(log: &[u8], salt: Salt, offset: usize) -> Option<&[u8]> {
    payload_in(log, salt, offset, 0)
}

/// The same in a part of a log that begins at `base` there.
fn payload_in(part: &[u8], salt: Salt, offset: usize, base: usize) -> Option<&[u8]> {
    let (header, rest) = part.get(offset..)?.split_first_chunk::<FRAME_HEADER_OCTETS>()?;
    let (marker, length_and_sum) = header.split_first_chunk::<4>()?;
    let (length, sum) = length_and_sum.split_first_chunk::<4>()?;
    let payload = rest.get(..u32::from_be_bytes(*length) as usize)?;
    let is_sound = *marker == salt.marker() && salt.checksum(base + offset, payload) == sum;
    is_sound.then_some(payload)
}

fn has_frame_after(log: &[u8], salt: Salt, offset: usize) -> bool {
    let log = &log[..offset.min(log.len()) + torn_octets(log, offset)];
    // The marker first: a checksum at every octet would take minutes on a large log.
    let marker = salt.marker();
    let is_frame = |at: usize| log[at..].starts_with(&marker) && payload_at(log, salt, at).is_some();
    (offset + 1..log.len()).any(is_frame)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::codec::tests::record;
    use crate::record::{State, UnixSecs};

    /// What the log says, and its records.
    fn read(log: &[u8]) -> Result<(Replay, Vec<Record>), Unusable> {
        let mut records = Vec::new();
        let replay = replay(log, |record| records.push(record))?;
        assert_eq!(replay.records, records.len());
        Ok((replay, records))
    }

    const SALT: Salt = Salt(0x0123_4567_89ab_cdef);

    fn declined(last: u8) -> Record {
        Record { address: Ipv4Addr::new(10, 0, 0, last), state: State::Declined { until: UnixSecs(last.into()) } }
    }

    /// A log of three frames with one record each, and where they begin.
    fn three_frames() -> (Vec<u8>, [usize; 3]) {
        let mut log = header(SALT);
        let starts = [1, 2, 3].map(|last| {
            let start = log.len();
            log.extend(frame(SALT, start, [&declined(last)]));
            start
        });
        (log, starts)
    }

    #[test]
    fn frames_come_back_in_the_order_written() {
        let (log, _) = three_frames();
        let records = vec![declined(1), declined(2), declined(3)];
        let replay = Replay { salt: SALT, records: records.len(), end: log.len() };
        assert_eq!(read(&log), Ok((replay, records)));
    }

    #[test]
    fn a_last_frame_cut_anywhere_is_torn_and_the_rest_stands() {
        let (log, [.., third]) = three_frames();
        for cut in third..log.len() {
            let (replay, _) = read(&log[..cut]).unwrap();
            assert_eq!((replay.end, replay.records), (third, 2), "cut at {cut}");
        }
    }

    #[test]
    fn a_last_frame_with_any_octet_spoilt_is_torn_and_the_rest_stands() {
        let (log, [.., third]) = three_frames();
        for spoilt in third..log.len() {
            let mut log = log.clone();
            log[spoilt] ^= 0x10;
            assert_eq!(read(&log).map(|(replay, _)| replay.end), Ok(third), "spoilt at {spoilt}");
        }
    }

    #[test]
    fn damage_before_a_sound_frame_is_refused_with_its_place() {
        let (log, [_, second, third]) = three_frames();
        for spoilt in second..third {
            let mut log = log.clone();
            log[spoilt] ^= 0x10;
            assert_eq!(read(&log), Err(Unusable::Damaged { offset: second }), "spoilt at {spoilt}");
        }
    }

    #[test]
    fn a_frame_counts_only_in_its_own_place_and_file() {
        let (mut log, [first, second, _]) = three_frames();
        let copy = log[first..second].to_vec();
        let end = log.len();
        log.extend(copy);
        log.extend(frame(Salt(SALT.0 ^ 1), log.len(), [&declined(9)]));
        assert_eq!(read(&log).map(|(replay, _)| replay.end), Ok(end));
    }

    #[test]
    fn a_header_tells_what_is_wrong_with_it() {
        let mut log = header(SALT);
        assert_eq!(read(b"1700000000 52:54:00:12:34:56 10.0.1.5 host *\n"), Err(Unusable::NotALog));
        assert_eq!(read(&log[..20]), Err(Unusable::NotALog));
        log[15] ^= 1;
        assert_eq!(read(&log), Err(Unusable::Damaged { offset: 0 }));
        log[11] = 2;
        assert_eq!(read(&log), Err(Unusable::Newer { found: 2 }));
    }

    #[test]
    fn a_snapshot_of_many_frames_reads_back() {
        let records: Vec<_> = (0..20_000).map(|n| Record { address: Ipv4Addr::from_bits(n), ..declined(1) }).collect();
        let log = snapshot(SALT, &records);
        assert!(log.len() > 3 * SNAPSHOT_FRAME_OCTETS);
        let replay = Replay { salt: SALT, records: records.len(), end: log.len() };
        assert_eq!(read(&log), Ok((replay, records)));
    }

    proptest! {
        #[test]
        fn any_records_read_back(records in prop::collection::vec(record(), 0..10)) {
            let log = snapshot(SALT, &records);
            let replay = Replay { salt: SALT, records: records.len(), end: log.len() };
            prop_assert_eq!(read(&log), Ok((replay, records)));
        }

        #[test]
        fn no_octets_make_replay_panic(
            after in prop::option::of(Just(header(SALT))),
            marker in any::<bool>(),
            octets in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut log = after.unwrap_or_default();
            if marker {
                log.extend(SALT.marker());
            }
            log.extend(octets);
            let _ = read(&log);
        }

        #[test]
        fn a_sound_frame_of_any_octets_does_not_panic(payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut log = header(SALT);
            let start = log.len();
            log.extend([0; FRAME_HEADER_OCTETS]);
            log.extend(payload);
            seal(SALT, start, &mut log[start..]);
            let _ = read(&log);
        }
    }
}
