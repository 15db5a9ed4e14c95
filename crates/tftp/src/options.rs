//! Which of the options that a client asked for are granted (RFC 2347, 2348, 2349, 7440).

use std::time::Duration;

use crate::packet::{DATA_HEADER_OCTETS, DEFAULT_BLKSIZE, Mode, Request};

/// Octets of IPv4 header (without options), UDP header and TFTP header around the file data of a DATA packet.
const OVERHEAD_OCTETS: u32 = 20 + 8 + DATA_HEADER_OCTETS as u32;

/// What the server grants at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest IPv4 packet that reaches the client whole, in octets: few ROMs can put fragments together.
    pub mtu: u32,
    /// Whether `blksize` is granted: some clients ask for it and then cannot keep to it.
    pub grants_blksize: bool,
    /// Upper bound for `blksize`, in octets; `None`: what fits `mtu`.
    pub max_blksize: Option<u16>,
    /// Upper bound for `windowsize`, in blocks.
    pub max_windowsize: u16,
    /// A transfer ends when it has not moved for this long (three of the client's own timeouts, if that is longer).
    pub patience: Duration,
}

/// What one transfer goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Octets of file data in every DATA packet but the last.
    pub blksize: u16,
    /// Blocks sent before an ACK is awaited; 1 is RFC 1350's lock-step.
    pub windowsize: u16,
    /// The client's own retransmission interval.
    pub timeout: Option<Duration>,
    /// Whether the client asked for the size and is told.
    pub tsize: bool,
    /// The OACK's options, in the order and spelling in which they were asked; empty: there is no OACK.
    pub oack: Vec<(String, String)>,
}

impl Agreed {
    /// Answers a request. `size`: octets of the file, on the wire.
    ///
    /// An option that is unknown, asked twice, or has a value outside its range is left out of the OACK, which tells
    /// the client that it does not apply (RFC 2347).
    pub fn on(request: &Request, size: u64, limits: &Limits) -> Agreed {
        let mut agreed =
            Agreed { blksize: DEFAULT_BLKSIZE, windowsize: 1, timeout: None, tsize: false, oack: Vec::new() };
        for (name, value) in &request.options {
            let repeated = agreed.oack.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
            let granted = if repeated { None } else { agreed.grant(request.mode, name, value, size, limits) };
            agreed.oack.extend(granted.map(|value| (name.clone(), value)));
        }
        agreed
    }

    /// Takes one option if it can, and returns the value for the OACK.
    fn grant(&mut self, mode: Mode, name: &str, value: &str, size: u64, limits: &Limits) -> Option<String> {
        let asked = decimal(value)?;
        match name.to_ascii_lowercase().as_str() {
            "blksize" if limits.grants_blksize => {
                self.blksize = agree_blksize(asked, limits)?;
                Some(self.blksize.to_string())
            }
            "windowsize" => {
                let asked = u16::try_from(asked).ok().filter(|&blocks| blocks > 0)?;
                self.windowsize = asked.min(limits.max_windowsize.max(1));
                Some(self.windowsize.to_string())
            }
            "timeout" => {
                let seconds = u8::try_from(asked).ok().filter(|&seconds| seconds > 0)?;
                self.timeout = Some(Duration::from_secs(seconds.into()));
                Some(seconds.to_string())
            }
            // Text changes its length on the way, so a netascii client would be told a size that it never sees.
            // And curl takes a `tsize` of 0 for a broken OACK: of an empty file, let the one empty block tell.
            "tsize" if mode == Mode::Octet && size > 0 => {
                self.tsize = true;
                Some(size.to_string())
            }
            _ => None,
        }
    }
}

/// The block size (RFC 2348): at most what was asked, and few enough octets to reach the client unfragmented.
fn agree_blksize(asked: u64, limits: &Limits) -> Option<u16> {
    let asked = u16::try_from(asked).ok().filter(|octets| (8..=65464).contains(octets))?;
    let fits = u16::try_from(limits.mtu.saturating_sub(OVERHEAD_OCTETS)).unwrap_or(u16::MAX);
    Some(asked.min(fits).min(limits.max_blksize.unwrap_or(u16::MAX)).max(8))
}

fn decimal(text: &str) -> Option<u64> {
    // `parse` alone would take a plus sign.
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETHERNET: Limits = Limits {
        mtu: 1500,
        grants_blksize: true,
        max_blksize: None,
        max_windowsize: 64,
        patience: Duration::from_secs(20),
    };

    fn agree_in(mode: Mode, options: &[(&str, &str)], limits: &Limits) -> Agreed {
        let options = options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Agreed::on(&Request { name: "a".to_owned(), mode, options }, 12_345, limits)
    }

    /// The OACK as `name=value` words.
    fn oack(options: &[(&str, &str)]) -> String {
        let pairs = agree_in(Mode::Octet, options, &ETHERNET).oack;
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_options_it_is_rfc_1350() {
        let plain = Agreed { blksize: 512, windowsize: 1, timeout: None, tsize: false, oack: vec![] };
        assert_eq!(agree_in(Mode::Octet, &[], &ETHERNET), plain);
    }

    #[test]
    fn only_what_was_asked_is_acknowledged_in_the_clients_order() {
        let asked = [("windowsize", "4"), ("tsize", "0"), ("timeout", "3"), ("blksize", "1024")];
        assert_eq!(oack(&asked), "windowsize=4 tsize=12345 timeout=3 blksize=1024");
        let agreed = agree_in(Mode::Octet, &asked, &ETHERNET);
        assert_eq!((agreed.blksize, agreed.windowsize), (1024, 4));
        assert_eq!((agreed.timeout, agreed.tsize), (Some(Duration::from_secs(3)), true));
    }

    #[test]
    fn blksize_never_fragments() {
        assert_eq!(oack(&[("blksize", "1468")]), "blksize=1468");
        assert_eq!(oack(&[("blksize", "1469")]), "blksize=1468");
        assert_eq!(oack(&[("blksize", "65464")]), "blksize=1468");
        let loopback = Limits { mtu: 65_536, ..ETHERNET };
        assert_eq!(agree_in(Mode::Octet, &[("blksize", "65464")], &loopback).blksize, 65_464);
        let capped = Limits { max_blksize: Some(1024), ..ETHERNET };
        assert_eq!(agree_in(Mode::Octet, &[("blksize", "1468")], &capped).blksize, 1024);
    }

    #[test]
    fn blksize_can_be_left_out() {
        let none = Limits { grants_blksize: false, ..ETHERNET };
        let agreed = agree_in(Mode::Octet, &[("blksize", "1024"), ("tsize", "0")], &none);
        assert_eq!((agreed.blksize, agreed.oack.len()), (DEFAULT_BLKSIZE, 1));
    }

    #[test]
    fn windowsize_is_capped() {
        assert_eq!(oack(&[("windowsize", "65535")]), "windowsize=64");
        assert_eq!(oack(&[("windowsize", "1")]), "windowsize=1");
    }

    #[test]
    fn values_outside_their_range_are_left_out() {
        let bad = [
            ("blksize", ["7", "65465", "0", "", "x", "+512", "-1", "99999999999999999999"].as_slice()),
            ("windowsize", &["0", "65536", "four", ""]),
            ("timeout", &["0", "256", "1.5", ""]),
            ("tsize", &["", "?", "99999999999999999999"]),
        ];
        for (name, values) in bad {
            for value in values {
                let agreed = agree_in(Mode::Octet, &[(name, value)], &ETHERNET);
                assert_eq!(agreed, agree_in(Mode::Octet, &[], &ETHERNET), "{name}={value}");
            }
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_echoed_as_written() {
        assert_eq!(oack(&[("BlkSize", "1024"), ("TSIZE", "0")]), "BlkSize=1024 TSIZE=12345");
    }

    #[test]
    fn an_option_asked_twice_counts_once() {
        assert_eq!(oack(&[("blksize", "1024"), ("BLKSIZE", "512")]), "blksize=1024");
    }

    #[test]
    fn unknown_options_are_left_out() {
        assert_eq!(oack(&[("multicast", ""), ("rollover", "0"), ("tsize", "0")]), "tsize=12345");
    }

    #[test]
    fn an_empty_file_gets_no_tsize() {
        let options = vec![("tsize".to_owned(), "0".to_owned())];
        let request = Request { name: "a".to_owned(), mode: Mode::Octet, options };
        assert_eq!(Agreed::on(&request, 0, &ETHERNET).oack, []);
        assert_eq!(Agreed::on(&request, 1, &ETHERNET).oack, [("tsize".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn netascii_gets_no_tsize() {
        assert_eq!(agree_in(Mode::Netascii, &[("tsize", "0")], &ETHERNET).oack, []);
    }
}
