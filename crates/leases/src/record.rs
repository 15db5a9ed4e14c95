//! What is known of an address: to whom it was given, from when, until when.

use std::fmt;
use std::net::Ipv4Addr;

use mac::Mac;
use serde::Serialize;

/// Wall-clock time in seconds since 1970-01-01 UTC, as told by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UnixSecs(pub u64);

impl UnixSecs {
    pub fn plus(self, secs: u32) -> UnixSecs {
        UnixSecs(self.0.saturating_add(secs.into()))
    }
}

/// When a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// The first second in which it no longer holds.
    At(UnixSecs),
    Never,
}

impl Expiry {
    /// The end of a lease granted at `granted` for `lease_secs` seconds; `u32::MAX` is for ever (RFC 2131, section 3.3).
    pub fn of(granted: UnixSecs, lease_secs: u32) -> Expiry {
        if lease_secs == u32::MAX { Expiry::Never } else { Expiry::At(granted.plus(lease_secs)) }
    }

    pub fn is_past(self, now: UnixSecs) -> bool {
        matches!(self, Expiry::At(end) if end <= now)
    }
}

/// A client identifier (option 61, RFC 2132, section 9.14) with its type octet, at most 255 octets. Prints and serializes as hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Box<[u8]>);

/// A client identifier of this many octets, which only a split option (RFC 3396) can carry, is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client identifier of {0} octets is longer than the 255 that lanboot keeps")]
pub struct ClientIdTooLong(pub usize);

impl ClientId {
    pub fn new(octets: &[u8]) -> Result<ClientId, ClientIdTooLong> {
        if octets.len() > 255 { Err(ClientIdTooLong(octets.len())) } else { Ok(ClientId(octets.into())) }
    }

    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ClientId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What makes two requests the same client; which of the two it is, policy decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKey {
    Mac(Mac),
    ClientId(ClientId),
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientKey::Mac(mac) => mac.fmt(f),
            ClientKey::ClientId(id) => write!(f, "client id {id}"),
        }
    }
}

/// To whom an address was given, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Binding {
    pub key: ClientKey,
    /// The client's `chaddr`.
    pub mac: Mac,
    /// Option 61 as sent, also when the key is the MAC.
    pub client_id: Option<ClientId>,
    /// Option 12, at most 255 octets.
    pub hostname: Option<String>,
    pub granted: UnixSecs,
    /// Option 51; `u32::MAX` is for ever.
    pub lease_secs: u32,
}

impl Binding {
    pub fn expires(&self) -> Expiry {
        Expiry::of(self.granted, self.lease_secs)
    }
}

/// The last thing that happened to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Given to a client. Remembered after it has expired, so that the client gets its old address again.
    Bound(Binding),
    /// Given back by the client, and remembered for the same reason.
    Released { binding: Binding, since: UnixSecs },
    /// Found in use by someone else; not given out before `until`.
    Declined { until: UnixSecs },
}

/// What is known of one address. Proves nothing to a client: only a [`Lease`] does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    pub address: Ipv4Addr,
    pub state: State,
}

impl Record {
    /// The client it was last given to; `None` for a declined address.
    pub fn binding(&self) -> Option<&Binding> {
        match &self.state {
            State::Bound(binding) | State::Released { binding, .. } => Some(binding),
            State::Declined { .. } => None,
        }
    }

    pub fn key(&self) -> Option<&ClientKey> {
        self.binding().map(|binding| &binding.key)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.binding()?.hostname.as_deref()
    }

    /// Whether a client holds the address at `now`.
    pub fn is_active(&self, now: UnixSecs) -> bool {
        matches!(&self.state, State::Bound(binding) if !binding.expires().is_past(now))
    }

    /// The same lease without its host name; `None` where there is nothing to change.
    pub(crate) fn without_name(&self) -> Option<Record> {
        match &self.state {
            State::Bound(binding) if binding.hostname.is_some() => {
                let binding = Binding { hostname: None, ..binding.clone() };
                Some(Record { address: self.address, state: State::Bound(binding) })
            }
            _ => None,
        }
    }

    /// From when on the address may be given to anyone.
    pub fn free_from(&self) -> Expiry {
        match &self.state {
            State::Bound(binding) => binding.expires(),
            State::Released { since, .. } => Expiry::At(*since),
            State::Declined { until } => Expiry::At(*until),
        }
    }
}

/// The wish to give an address to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub address: Ipv4Addr,
    pub key: ClientKey,
    pub mac: Mac,
    pub client_id: Option<ClientId>,
    /// Kept up to 255 octets.
    pub hostname: Option<String>,
    /// `u32::MAX` is for ever.
    pub lease_secs: u32,
    pub now: UnixSecs,
}

/// An address that a client holds, on disk.
///
/// Only a store makes one, after the write is durable, and it cannot be copied: whoever has a `Lease` may acknowledge it, and
/// nobody else can.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    address: Ipv4Addr,
    binding: Binding,
}

impl Lease {
    /// For stores alone. A binding's host name is cut to what the log keeps.
    pub(crate) fn of(grant: Grant) -> Lease {
        let Grant { address, key, mac, client_id, hostname, lease_secs, now } = grant;
        let hostname = hostname.map(cut_to_255_octets);
        Lease { address, binding: Binding { key, mac, client_id, hostname, granted: now, lease_secs } }
    }

    /// What is on disk of a lease already, told as one that was granted at `now` for what is left of it.
    pub(crate) fn for_rest(record: &Record, now: UnixSecs, lease_secs: u32) -> Option<Lease> {
        let binding = record.binding()?.clone();
        Some(Lease { address: record.address, binding: Binding { granted: now, lease_secs, ..binding } })
    }

    /// What is on record of it.
    pub fn record(&self) -> Record {
        Record { address: self.address, state: State::Bound(self.binding.clone()) }
    }

    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub fn key(&self) -> &ClientKey {
        &self.binding.key
    }

    pub fn mac(&self) -> Mac {
        self.binding.mac
    }

    pub fn client_id(&self) -> Option<&ClientId> {
        self.binding.client_id.as_ref()
    }

    pub fn hostname(&self) -> Option<&str> {
        self.binding.hostname.as_deref()
    }

    pub fn granted(&self) -> UnixSecs {
        self.binding.granted
    }

    pub fn expires(&self) -> Expiry {
        self.binding.expires()
    }

    pub fn lease_secs(&self) -> u32 {
        self.binding.lease_secs
    }
}

fn cut_to_255_octets(mut text: String) -> String {
    let end = (0..=text.len().min(255)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    text
}

impl dhcp::Granted for Lease {
    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn lease_secs(&self) -> u32 {
        self.binding.lease_secs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_in_the_second_of_its_expiry_and_an_infinite_one_never() {
        let at = Expiry::of(UnixSecs(100), 50);
        assert!(!at.is_past(UnixSecs(149)));
        assert!(at.is_past(UnixSecs(150)));
        assert!(!Expiry::of(UnixSecs(100), u32::MAX).is_past(UnixSecs(u64::MAX)));
    }

    #[test]
    fn a_long_host_name_is_cut_between_characters() {
        assert_eq!(cut_to_255_octets("a".repeat(300)).len(), 255);
        assert_eq!(cut_to_255_octets("é".repeat(200)), "é".repeat(127));
        assert_eq!(cut_to_255_octets("host".into()), "host");
    }

    #[test]
    fn a_client_id_is_bounded_and_prints_as_hex() {
        assert_eq!(ClientId::new(&[0; 256]), Err(ClientIdTooLong(256)));
        assert_eq!(ClientId::new(&[1, 0xab]).unwrap().to_string(), "01ab");
    }
}
