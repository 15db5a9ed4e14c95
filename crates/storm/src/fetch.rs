//! A file by TFTP, as firmware fetches it (RFC 1350, 2347, 2348, 7440). No socket and no clock.

use std::time::{Duration, Instant};

use tftp::{Mode, Packet, Request};

/// As much as an Ethernet frame holds beside the headers of IPv4, UDP and TFTP.
const BLKSIZE: usize = 1468;
/// What UEFI's PXE asks for.
const UEFI_WINDOW: u16 = 4;
/// UEFI's PXE waits so long, and says so often what it has to say.
const WAIT: Duration = Duration::from_secs(4);
const TRIES: usize = 6;

/// A transfer under way.
pub struct Fetch {
    blksize: usize,
    window: u16,
    /// The last block that came in order, and how many came since the last ACK.
    last: u16,
    unacknowledged: u16,
    /// A block is missing, and the server has been told.
    gap: bool,
    pub octets: u64,
    /// What was said last; to be sent when `Say` is returned.
    pub said: Vec<u8>,
    tries: usize,
    /// When to call [`Fetch::timeout`].
    pub due: Instant,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    Nothing,
    /// Send `said`.
    Say,
    /// Send `said`, and that was all.
    End,
    Failed(String),
}

impl Fetch {
    /// `said` is to be sent to the server's port 69.
    pub fn new(file: &str, uefi: bool, now: Instant) -> Fetch {
        let mut options = vec![("tsize".to_owned(), "0".to_owned()), ("blksize".to_owned(), BLKSIZE.to_string())];
        if uefi {
            options.push(("windowsize".to_owned(), UEFI_WINDOW.to_string()));
        }
        let said = Packet::Rrq(Request { name: file.into(), mode: Mode::Octet, options }).emit();
        let (blksize, window) = (512, 1);
        Fetch { blksize, window, last: 0, unacknowledged: 0, gap: false, octets: 0, said, tries: 1, due: now + WAIT }
    }

    pub fn received(&mut self, now: Instant, datagram: &[u8]) -> Got {
        match Packet::parse(datagram) {
            Ok(Packet::Oack(options)) if self.last == 0 => {
                let value =
                    |name: &str| -> Option<usize> { options.iter().find(|(option, _)| option == name)?.1.parse().ok() };
                self.blksize = value("blksize").unwrap_or(512);
                self.window = value("windowsize").map_or(1, |window| window as u16);
                self.acknowledge(now)
            }
            Ok(Packet::Data { block, octets }) if block == self.last.wrapping_add(1) => {
                self.last = block;
                self.gap = false;
                self.octets += octets.len() as u64;
                self.unacknowledged += 1;
                self.due = now + WAIT;
                if octets.len() < self.blksize {
                    self.acknowledge(now);
                    Got::End
                } else if self.unacknowledged >= self.window {
                    self.acknowledge(now)
                } else {
                    Got::Nothing
                }
            }
            // One before: the server has not heard us. One ahead: something is lost, which is said once (RFC 7440).
            Ok(Packet::Data { .. }) if !self.gap => {
                self.gap = self.window > 1;
                self.acknowledge(now)
            }
            Ok(Packet::Error { message, .. }) => Got::Failed(format!("TFTP: {message}")),
            _ => Got::Nothing,
        }
    }

    /// Nothing came in time. Returns whether `said` is to be sent again; if not, the machine has given up.
    pub fn timeout(&mut self, now: Instant) -> bool {
        self.tries += 1;
        self.gap = false;
        self.due = now + WAIT;
        if self.last > 0 {
            self.said = Packet::Ack { block: self.last }.emit();
        }
        self.tries <= TRIES
    }

    fn acknowledge(&mut self, now: Instant) -> Got {
        self.unacknowledged = 0;
        self.tries = 1;
        self.due = now + WAIT;
        self.said = Packet::Ack { block: self.last }.emit();
        Got::Say
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(block: u16, octets: usize) -> Vec<u8> {
        Packet::Data { block, octets: &vec![7; octets] }.emit()
    }

    fn started() -> (Instant, Fetch) {
        let now = Instant::now();
        let mut fetch = Fetch::new("a.efi", true, now);
        let agreed =
            [("blksize", "1000"), ("windowsize", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fetch.received(now, &Packet::Oack(agreed.to_vec()).emit()), Got::Say);
        (now, fetch)
    }

    #[test]
    fn every_window_is_acknowledged_and_the_end() {
        let (now, mut fetch) = started();
        assert_eq!(fetch.received(now, &data(1, 1000)), Got::Nothing);
        assert_eq!(fetch.received(now, &data(2, 1000)), Got::Say);
        assert_eq!(fetch.said, Packet::Ack { block: 2 }.emit());
        assert_eq!(fetch.received(now, &data(3, 999)), Got::End);
        assert_eq!(fetch.octets, 2999);
    }

    #[test]
    fn a_gap_is_told_once() {
        let (now, mut fetch) = started();
        assert_eq!(fetch.received(now, &data(2, 1000)), Got::Say);
        assert_eq!(fetch.said, Packet::Ack { block: 0 }.emit());
        assert_eq!(fetch.received(now, &data(3, 1000)), Got::Nothing);
        assert_eq!(fetch.received(now, &data(1, 1000)), Got::Nothing);
        assert_eq!(fetch.received(now, &data(2, 1000)), Got::Say);
    }

    #[test]
    fn silence_is_borne_for_24_seconds() {
        let (now, mut fetch) = started();
        let tries = (0..99).take_while(|_| fetch.timeout(fetch.due)).count();
        assert_eq!(tries, TRIES - 1);
        assert!(fetch.due > now + Duration::from_secs(20));
    }
}
