//! What an ACK must be shown before it can be written.

use std::net::Ipv4Addr;

/// An address that is granted to the client for certain: the grant is on disk, or needs no disk.
///
/// A DHCPACK (RFC 2131, section 4.3.1) is drafted from one of these and from nothing else. The lease store implements it for a
/// type that only its durable `commit` can make, so that an unwritten lease cannot be acknowledged by accident.
pub trait Granted {
    /// The `yiaddr` of the reply.
    fn address(&self) -> Ipv4Addr;

    /// The IP address lease time (option 51), in seconds; `u32::MAX` is for ever (RFC 2131, section 3.3).
    fn lease_secs(&self) -> u32;
}
