//! A record as octets and back. Numbers are in network order; a text or identifier has its length before it.

use std::net::Ipv4Addr;

use mac::Mac;

use crate::record::{Binding, ClientId, ClientKey, Record, State, UnixSecs};

const BOUND: u8 = 0;
const RELEASED: u8 = 1;
const DECLINED: u8 = 2;

const BY_MAC: u8 = 0;
const BY_CLIENT_ID: u8 = 1;

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// Appends `record`: state, address, then what the state holds.
pub(crate) fn encode(record: &Record, out: &mut Vec<u8>) {
    let (state, binding, time) = match &record.state {
        State::Bound(binding) => (BOUND, Some(binding), None),
        State::Released { binding, since } => (RELEASED, Some(binding), Some(since)),
        State::Declined { until } => (DECLINED, None, Some(until)),
    };
    out.push(state);
    out.extend(record.address.octets());
    if let Some(time) = time {
        out.extend(time.0.to_be_bytes());
    }
    if let Some(binding) = binding {
        encode_binding(binding, out);
    }
}

fn encode_binding(binding: &Binding, out: &mut Vec<u8>) {
    match &binding.key {
        ClientKey::Mac(mac) => {
            out.push(BY_MAC);
            out.extend(mac.0);
        }
        ClientKey::ClientId(id) => {
            out.push(BY_CLIENT_ID);
            encode_short(id.octets(), out);
        }
    }
    out.extend(binding.mac.0);
    encode_optional(binding.client_id.as_ref().map(ClientId::octets), out);
    encode_optional(binding.hostname.as_ref().map(String::as_bytes), out);
    out.extend(binding.granted.0.to_be_bytes());
    out.extend(binding.lease_secs.to_be_bytes());
}

fn encode_optional(octets: Option<&[u8]>, out: &mut Vec<u8>) {
    match octets {
        None => out.push(ABSENT),
        Some(octets) => {
            out.push(PRESENT);
            encode_short(octets, out);
        }
    }
}

fn encode_short(octets: &[u8], out: &mut Vec<u8>) {
    let length = u8::try_from(octets.len()).expect("ClientId and Lease::of keep identifiers and names to 255 octets");
    out.push(length);
    out.extend(octets);
}

/// Takes one record off the front of `octets`; `None`: they do not begin with one.
pub(crate) fn decode(octets: &mut &[u8]) -> Option<Record> {
    let [state] = take(octets)?;
    let address = Ipv4Addr::from(take::<4>(octets)?);
    let state = match state {
        BOUND => State::Bound(decode_binding(octets)?),
        RELEASED => {
            let since = UnixSecs(u64::from_be_bytes(take(octets)?));
            State::Released { binding: decode_binding(octets)?, since }
        }
        DECLINED => State::Declined { until: UnixSecs(u64::from_be_bytes(take(octets)?)) },
        _ => return None,
    };
    Some(Record { address, state })
}

fn decode_binding(octets: &mut &[u8]) -> Option<Binding> {
    let key = match take(octets)? {
        [BY_MAC] => ClientKey::Mac(Mac(take(octets)?)),
        [BY_CLIENT_ID] => ClientKey::ClientId(ClientId::new(take_short(octets)?).ok()?),
        _ => return None,
    };
    let mac = Mac(take(octets)?);
    let client_id = take_optional(octets)?.map(ClientId::new).transpose().ok()?;
    let hostname = take_optional(octets)?.map(|name| String::from_utf8(name.to_vec())).transpose().ok()?;
    let granted = UnixSecs(u64::from_be_bytes(take(octets)?));
    let lease_secs = u32::from_be_bytes(take(octets)?);
    Some(Binding { key, mac, client_id, hostname, granted, lease_secs })
}

fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*taken)
}

fn take_short<'a>(octets: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [length] = take(octets)?;
    let (taken, rest) = octets.split_at_checked(length.into())?;
    *octets = rest;
    Some(taken)
}

/// The outer `None`: unreadable; the inner one: absent.
fn take_optional<'a>(octets: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match take(octets)? {
        [ABSENT] => Some(None),
        [PRESENT] => take_short(octets).map(Some),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client_id() -> impl Strategy<Value = ClientId> {
        prop::collection::vec(any::<u8>(), 0..=255).prop_map(|octets| ClientId::new(&octets).unwrap())
    }

    fn key() -> impl Strategy<Value = ClientKey> {
        prop_oneof![
            any::<[u8; 6]>().prop_map(|mac| ClientKey::Mac(Mac(mac))),
            client_id().prop_map(ClientKey::ClientId)
        ]
    }

    prop_compose! {
        fn binding()(
            key in key(),
            mac in any::<[u8; 6]>(),
            client_id in prop::option::of(client_id()),
            hostname in prop::option::of("[a-zé-]{0,120}"),
            granted in any::<u64>(),
            lease_secs in any::<u32>(),
        ) -> Binding {
            Binding { key, mac: Mac(mac), client_id, hostname, granted: UnixSecs(granted), lease_secs }
        }
    }

    pub(crate) fn record() -> impl Strategy<Value = Record> {
        let time = || any::<u64>().prop_map(UnixSecs);
        let state = prop_oneof![
            binding().prop_map(State::Bound),
            (binding(), time()).prop_map(|(binding, since)| State::Released { binding, since }),
            time().prop_map(|until| State::Declined { until }),
        ];
        (any::<u32>(), state).prop_map(|(address, state)| Record { address: Ipv4Addr::from_bits(address), state })
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(records in prop::collection::vec(record(), 0..5)) {
            let mut octets = Vec::new();
            records.iter().for_each(|record| encode(record, &mut octets));
            let mut rest = octets.as_slice();
            for record in records {
                prop_assert_eq!(decode(&mut rest), Some(record));
            }
            prop_assert_eq!(rest, b"");
        }

        #[test]
        fn a_record_cut_short_is_refused(record in record(), cut in any::<prop::sample::Index>()) {
            let mut octets = Vec::new();
            encode(&record, &mut octets);
            prop_assert_eq!(decode(&mut &octets[..cut.index(octets.len())]), None);
        }

        #[test]
        fn no_octets_make_decoding_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            decode(&mut octets.as_slice());
        }
    }
}
