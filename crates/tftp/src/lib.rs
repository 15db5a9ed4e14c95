//! TFTP's mind: octets to meaning and back, and one transfer as a state machine, without sockets and without a clock.
//!
//! Read-only service of files: RFC 1350 (the protocol), RFC 1123 section 4.2 (its corrections), RFC 2347 (options),
//! RFC 2348 (`blksize`), RFC 2349 (`timeout`, `tsize`), RFC 7440 (`windowsize`).
//!
//! [`arrival`] says what a datagram on the well-known port means; a [`Transfer`] then carries one file to one client.

pub mod arrival;
pub mod netascii;
pub mod options;
pub mod packet;
mod rtt;
pub mod transfer;

pub use arrival::{Arrival, arrival};
pub use options::{Agreed, Limits};
pub use packet::{DATA_HEADER_OCTETS, ErrorCode, Mode, Packet, ParseError, Request};
pub use transfer::{Outcome, Run, Transfer, Transmit};

/// The well-known UDP port of the service.
pub const PORT: u16 = 69;
