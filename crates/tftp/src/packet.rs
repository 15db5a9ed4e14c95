//! The six packets of TFTP and their octets (RFC 1350 section 5, RFC 2347).

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// Octets of file data in a DATA packet when no `blksize` was agreed.
pub const DEFAULT_BLKSIZE: u16 = 512;
/// Octets before the file data in a DATA packet: opcode and block number.
pub const DATA_HEADER_OCTETS: usize = 4;

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// One datagram, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Read request: the client wants a file.
    Rrq(Request),
    /// Write request: the client wants to leave a file here.
    Wrq(Request),
    Data {
        block: u16,
        octets: &'a [u8],
    },
    Ack {
        block: u16,
    },
    Error {
        code: ErrorCode,
        message: Cow<'a, str>,
    },
    /// Option acknowledgment: name and value of each option that the server took.
    Oack(Vec<(String, String)>),
}

/// The body of an RRQ or WRQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As the client wrote it; octets that are not UTF-8 are replaced by U+FFFD, which no published name contains.
    pub name: String,
    pub mode: Mode,
    /// Name and value of each option, in the client's order and spelling.
    pub options: Vec<(String, String)>,
}

/// How file data is written on the wire. RFC 1350's third mode, `mail`, is obsolete and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it is.
    Octet,
    /// As text: see [`crate::netascii`].
    Netascii,
}

/// RFC 1350's error codes, with RFC 2347's eighth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    NotDefined,
    FileNotFound,
    AccessViolation,
    DiskFull,
    IllegalOperation,
    UnknownTransferId,
    FileExists,
    NoSuchUser,
    OptionsRefused,
    Other(u16),
}

/// Why a datagram is not a TFTP packet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    #[error("the packet ends within its {field}: {have} octets in all")]
    Truncated { field: &'static str, have: usize },
    #[error("opcode {0} is none of TFTP's")]
    UnknownOpcode(u16),
    #[error("the {0} is not ended by a NUL")]
    Unterminated(&'static str),
    #[error("the file name is empty")]
    EmptyName,
    #[error("transfer mode `{0}` is neither octet nor netascii")]
    UnknownMode(String),
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// Every text must end with its NUL; what follows the last complete text is ignored, since some ROMs pad.
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, ParseError> {
        let mut reader = Reader { rest: datagram, whole: datagram.len() };
        match reader.u16("opcode")? {
            RRQ => Ok(Packet::Rrq(reader.request()?)),
            WRQ => Ok(Packet::Wrq(reader.request()?)),
            DATA => Ok(Packet::Data { block: reader.u16("block number")?, octets: reader.rest }),
            ACK => Ok(Packet::Ack { block: reader.u16("block number")? }),
            ERROR => {
                let code = ErrorCode::from(reader.u16("error code")?);
                // The code is what matters: an ERROR whose text lost its NUL still ends a transfer.
                let text = reader.rest.split(|&octet| octet == 0).next().unwrap_or_default();
                Ok(Packet::Error { code, message: String::from_utf8_lossy(text) })
            }
            OACK => Ok(Packet::Oack(reader.options())),
            other => Err(ParseError::UnknownOpcode(other)),
        }
    }

    /// The packet's octets. A NUL inside a text would end it early, so it is left out.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Packet::Rrq(request) => emit_request(&mut out, RRQ, request),
            Packet::Wrq(request) => emit_request(&mut out, WRQ, request),
            Packet::Data { block, octets } => {
                out.extend_from_slice(&data_header(*block));
                out.extend_from_slice(octets);
            }
            Packet::Ack { block } => {
                out.extend_from_slice(&ACK.to_be_bytes());
                out.extend_from_slice(&block.to_be_bytes());
            }
            Packet::Error { code, message } => {
                out.extend_from_slice(&ERROR.to_be_bytes());
                out.extend_from_slice(&u16::from(*code).to_be_bytes());
                emit_text(&mut out, message);
            }
            Packet::Oack(options) => {
                out.extend_from_slice(&OACK.to_be_bytes());
                emit_options(&mut out, options);
            }
        }
        out
    }

    /// The octets of an ERROR packet.
    pub fn error(code: ErrorCode, message: &str) -> Vec<u8> {
        Packet::Error { code, message: Cow::Borrowed(message) }.emit()
    }
}

/// What stands before the file data of a DATA packet.
pub fn data_header(block: u16) -> [u8; DATA_HEADER_OCTETS] {
    let ([a, b], [c, d]) = (DATA.to_be_bytes(), block.to_be_bytes());
    [a, b, c, d]
}

fn emit_request(out: &mut Vec<u8>, opcode: u16, request: &Request) {
    out.extend_from_slice(&opcode.to_be_bytes());
    emit_text(out, &request.name);
    emit_text(out, request.mode.name());
    emit_options(out, &request.options);
}

fn emit_options(out: &mut Vec<u8>, options: &[(String, String)]) {
    for (name, value) in options {
        emit_text(out, name);
        emit_text(out, value);
    }
}

fn emit_text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|&octet| octet != 0));
    out.push(0);
}

/// What is left of a datagram.
struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(ParseError::Truncated { field, have: self.whole })?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*head))
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let end = self.rest.iter().position(|&octet| octet == 0)?;
        let text = String::from_utf8_lossy(&self.rest[..end]);
        self.rest = &self.rest[end + 1..];
        Some(text)
    }

    fn request(&mut self) -> Result<Request, ParseError> {
        let name = self.text().ok_or(ParseError::Unterminated("file name"))?;
        if name.is_empty() {
            return Err(ParseError::EmptyName);
        }
        let mode = self.text().ok_or(ParseError::Unterminated("transfer mode"))?;
        let mode = Mode::named(&mode).ok_or_else(|| ParseError::UnknownMode(mode.into_owned()))?;
        Ok(Request { name: name.into_owned(), mode, options: self.options() })
    }

    fn options(&mut self) -> Vec<(String, String)> {
        let mut options = Vec::new();
        while let (Some(name), Some(value)) = (self.text(), self.text()) {
            // A ROM that pads with NULs seems to send empty options.
            if !name.is_empty() {
                options.push((name.into_owned(), value.into_owned()));
            }
        }
        options
    }
}

impl Mode {
    fn named(text: &str) -> Option<Mode> {
        [Mode::Octet, Mode::Netascii].into_iter().find(|mode| mode.name().eq_ignore_ascii_case(text))
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::Octet => "octet",
            Mode::Netascii => "netascii",
        }
    }
}

impl From<u16> for ErrorCode {
    fn from(number: u16) -> ErrorCode {
        match number {
            0 => ErrorCode::NotDefined,
            1 => ErrorCode::FileNotFound,
            2 => ErrorCode::AccessViolation,
            3 => ErrorCode::DiskFull,
            4 => ErrorCode::IllegalOperation,
            5 => ErrorCode::UnknownTransferId,
            6 => ErrorCode::FileExists,
            7 => ErrorCode::NoSuchUser,
            8 => ErrorCode::OptionsRefused,
            other => ErrorCode::Other(other),
        }
    }
}

impl From<ErrorCode> for u16 {
    fn from(code: ErrorCode) -> u16 {
        match code {
            ErrorCode::NotDefined => 0,
            ErrorCode::FileNotFound => 1,
            ErrorCode::AccessViolation => 2,
            ErrorCode::DiskFull => 3,
            ErrorCode::IllegalOperation => 4,
            ErrorCode::UnknownTransferId => 5,
            ErrorCode::FileExists => 6,
            ErrorCode::NoSuchUser => 7,
            ErrorCode::OptionsRefused => 8,
            ErrorCode::Other(number) => number,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self {
            ErrorCode::NotDefined => "not defined",
            ErrorCode::FileNotFound => "file not found",
            ErrorCode::AccessViolation => "access violation",
            ErrorCode::DiskFull => "disk full",
            ErrorCode::IllegalOperation => "illegal operation",
            ErrorCode::UnknownTransferId => "unknown transfer id",
            ErrorCode::FileExists => "file exists",
            ErrorCode::NoSuchUser => "no such user",
            ErrorCode::OptionsRefused => "options refused",
            ErrorCode::Other(_) => "unknown",
        };
        write!(f, "{} ({meaning})", u16::from(*self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(name: &str, mode: Mode, options: &[(&str, &str)]) -> Request {
        let options = options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Request { name: name.to_owned(), mode, options }
    }

    #[test]
    fn golden_packets_read_and_write_to_the_octet() {
        let rom = request("undionly.kpxe", Mode::Octet, &[("tsize", "0"), ("blksize", "1456")]);
        let golden: [(&[u8], Packet); 7] = [
            (b"\0\x01undionly.kpxe\0octet\0tsize\x000\0blksize\x001456\0", Packet::Rrq(rom)),
            (b"\0\x01a\0netascii\0", Packet::Rrq(request("a", Mode::Netascii, &[]))),
            (b"\0\x02up.log\0octet\0", Packet::Wrq(request("up.log", Mode::Octet, &[]))),
            (b"\0\x03\xff\xfe\x00\x01", Packet::Data { block: 0xfffe, octets: &[0, 1] }),
            (b"\0\x04\x01\x02", Packet::Ack { block: 0x0102 }),
            (
                b"\0\x05\0\x01no such file\0",
                Packet::Error { code: ErrorCode::FileNotFound, message: "no such file".into() },
            ),
            (b"\0\x06blksize\x001456\0", Packet::Oack(vec![("blksize".into(), "1456".into())])),
        ];
        for (octets, packet) in golden {
            assert_eq!(Packet::parse(octets).as_ref(), Ok(&packet));
            assert_eq!(packet.emit(), octets);
        }
    }

    #[test]
    fn mode_is_read_in_any_case() {
        for octets in [b"\0\x01a\0OCTET\0".as_slice(), b"\0\x01a\0Octet\0"] {
            assert_eq!(Packet::parse(octets), Ok(Packet::Rrq(request("a", Mode::Octet, &[]))));
        }
    }

    #[test]
    fn texts_without_their_nul_are_refused() {
        assert_eq!(Packet::parse(b"\0\x01a"), Err(ParseError::Unterminated("file name")));
        assert_eq!(Packet::parse(b"\0\x01a\0octet"), Err(ParseError::Unterminated("transfer mode")));
    }

    #[test]
    fn garbage_after_the_last_nul_is_ignored() {
        let plain = Ok(Packet::Rrq(request("a", Mode::Octet, &[("tsize", "0")])));
        let padded: [&[u8]; 3] = [
            b"\0\x01a\0octet\0tsize\x000\0\xff\xff",
            b"\0\x01a\0octet\0tsize\x000\0blksize\x00145",
            b"\0\x01a\0octet\0tsize\x000\0\0\0\0\0",
        ];
        for octets in padded {
            assert_eq!(Packet::parse(octets), plain);
        }
        assert_eq!(Packet::parse(b"\0\x04\0\x07\0\0\0"), Ok(Packet::Ack { block: 7 }));
    }

    #[test]
    fn what_is_no_tftp_packet_is_named() {
        assert_eq!(Packet::parse(b""), Err(ParseError::Truncated { field: "opcode", have: 0 }));
        assert_eq!(Packet::parse(b"\0\x04\0"), Err(ParseError::Truncated { field: "block number", have: 3 }));
        assert_eq!(Packet::parse(b"\0\x05"), Err(ParseError::Truncated { field: "error code", have: 2 }));
        assert_eq!(Packet::parse(b"\x01\0a\0"), Err(ParseError::UnknownOpcode(256)));
        assert_eq!(Packet::parse(b"\0\x01\0octet\0"), Err(ParseError::EmptyName));
        assert_eq!(Packet::parse(b"\0\x01a\0mail\0"), Err(ParseError::UnknownMode("mail".into())));
    }

    #[test]
    fn error_without_its_nul_still_counts() {
        let aborted = Packet::Error { code: ErrorCode::OptionsRefused, message: "no".into() };
        assert_eq!(Packet::parse(b"\0\x05\0\x08no"), Ok(aborted));
        assert_eq!(Packet::parse(b"\0\x05\0\0"), Ok(Packet::Error { code: ErrorCode::NotDefined, message: "".into() }));
    }

    fn text() -> impl Strategy<Value = String> {
        "[^\0]{1,20}"
    }

    fn requests() -> impl Strategy<Value = Request> {
        let mode = prop_oneof![Just(Mode::Octet), Just(Mode::Netascii)];
        (text(), mode, prop::collection::vec((text(), text()), 0..5)).prop_map(|(name, mode, options)| Request {
            name,
            mode,
            options,
        })
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_fail_without_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Packet::parse(&octets);
        }

        #[test]
        fn any_body_of_a_known_opcode_parses_or_fails_without_panic(
            opcode in 0u8..8, body in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..64)
        ) {
            let _ = Packet::parse(&[&[0, opcode], body.as_slice()].concat());
        }

        #[test]
        fn requests_survive_emit_and_parse(request in requests()) {
            let octets = Packet::Rrq(request.clone()).emit();
            prop_assert_eq!(Packet::parse(&octets), Ok(Packet::Rrq(request)));
        }

        #[test]
        fn errors_survive_emit_and_parse(number: u16, message in "[^\0]{0,40}") {
            let octets = Packet::error(number.into(), &message);
            prop_assert_eq!(Packet::parse(&octets), Ok(Packet::Error { code: number.into(), message: message.into() }));
            prop_assert_eq!(u16::from(ErrorCode::from(number)), number);
        }
    }
}
