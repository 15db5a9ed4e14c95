//! Changes as the database takes them, and its rows as records.
//!
//! Rows keep the database's clock, the one clock that all nodes have in common; records keep this host's, so that the rest of
//! lanboot need not know. [`Skew`] leads from one to the other.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use mac::Mac;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::record::{Binding, ClientId, ClientKey, Grant, Record, State, UnixSecs};
use crate::store::Change;

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// A moment by the database's clock, in microseconds since 1970; a `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

/// PostgreSQL counts from 2000-01-01.
const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        self.0.saturating_sub(PG_EPOCH_MICROS).to_sql(&Type::INT8, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Moment {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Moment, AnyError> {
        // Infinity is the largest number, and stays it.
        Ok(Moment(i64::from_sql(&Type::INT8, raw)?.saturating_add(PG_EPOCH_MICROS)))
    }

    accepts!(TIMESTAMPTZ);
}

/// A `macaddr`.
#[derive(Clone, Copy, Debug)]
struct MacAddr(Mac);

impl ToSql for MacAddr {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        out.extend_from_slice(&self.0.0);
        Ok(IsNull::No)
    }

    accepts!(MACADDR);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for MacAddr {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<MacAddr, AnyError> {
        Ok(MacAddr(Mac(raw.try_into()?)))
    }

    accepts!(MACADDR);
}

/// How far this host's clock is ahead of the database's, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew(pub i64);

impl Skew {
    /// Rounded up: a lease of ours never ends early by the rounding.
    pub fn to_local(self, moment: Moment) -> UnixSecs {
        let micros = moment.0.saturating_add(self.0).max(0) as u64;
        UnixSecs(micros.div_ceil(1_000_000))
    }

    pub fn to_database(self, secs: UnixSecs) -> Moment {
        let micros = i64::try_from(secs.0).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Moment(micros.saturating_sub(self.0))
    }
}

/// A batch as the arrays that `lanboot.change` takes.
#[derive(Debug, Default)]
pub struct Columns {
    pub turns: Vec<i32>,
    pub kind: Vec<i8>,
    pub asked: Vec<Moment>,
    pub address: Vec<IpAddr>,
    pub client: Vec<Option<Vec<u8>>>,
    mac: Vec<Option<MacAddr>>,
    client_id: Vec<Option<Vec<u8>>>,
    hostname: Vec<Option<String>>,
    secs: Vec<i64>,
}

impl Columns {
    /// `latest`: no change was asked for later than this.
    pub fn of(batch: &[Change], latest: Moment, skew: Skew) -> Columns {
        let mut columns = Columns::default();
        // Asked for within the second that the engine noted.
        let asked = |now: UnixSecs| skew.to_database(UnixSecs(now.0.saturating_add(1))).min(latest);
        let (mut addresses, mut keys) = (HashSet::new(), HashSet::new());
        for change in batch {
            let (address, key) = match change {
                Change::Grant(grant) => (grant.address, Some(&grant.key)),
                Change::Release { address, key, .. } | Change::Unname { address, key } => (*address, Some(key)),
                Change::Decline { address, .. } => (*address, None),
            };
            if columns.turns.is_empty() || addresses.contains(&address) || key.is_some_and(|key| keys.contains(key)) {
                columns.turns.push(columns.kind.len() as i32 + 1);
                addresses.clear();
                keys.clear();
            }
            addresses.insert(address);
            keys.extend(key);
            columns.address.push(address.into());
            columns.client.push(key.map(encode));
            match change {
                Change::Grant(grant) => columns.grant(grant, asked(grant.now)),
                Change::Release { now, .. } => columns.other(b'r', asked(*now), 0),
                Change::Unname { .. } => columns.other(b'u', latest, 0),
                Change::Decline { until, .. } => columns.other(b'd', latest, skew.to_database(*until).0 / 1_000_000),
            }
        }
        columns
    }

    fn grant(&mut self, grant: &Grant, asked: Moment) {
        self.kind.push(b'g' as i8);
        self.asked.push(asked);
        self.mac.push(Some(MacAddr(grant.mac)));
        self.client_id.push(grant.client_id.as_ref().map(|id| id.octets().to_vec()));
        // A text of PostgreSQL cannot hold the octet 0, and one such name would fail the whole batch.
        self.hostname.push(grant.hostname.as_ref().map(|name| name.replace('\0', "\u{fffd}")));
        self.secs.push(grant.lease_secs.into());
    }

    fn other(&mut self, kind: u8, asked: Moment, secs: i64) {
        self.kind.push(kind as i8);
        self.asked.push(asked);
        self.mac.push(None);
        self.client_id.push(None);
        self.hostname.push(None);
        self.secs.push(secs);
    }

    /// From `p_turns` on.
    pub fn parameters(&self) -> [&(dyn ToSql + Sync); 9] {
        let Columns { turns, kind, asked, address, client, mac, client_id, hostname, secs } = self;
        [turns, kind, asked, address, client, mac, client_id, hostname, secs]
    }
}

fn encode(key: &ClientKey) -> Vec<u8> {
    match key {
        ClientKey::Mac(mac) => [&[0], &mac.0[..]].concat(),
        ClientKey::ClientId(id) => [&[1], id.octets()].concat(),
    }
}

fn decode(octets: &[u8]) -> Option<ClientKey> {
    match octets {
        [0, mac @ ..] => Some(ClientKey::Mac(Mac(mac.try_into().ok()?))),
        [1, id @ ..] => Some(ClientKey::ClientId(ClientId::new(id).ok()?)),
        _ => None,
    }
}

/// The columns of a row, as [`read`] takes them.
pub const COLUMNS: &str = "address, state, client, mac, client_id, hostname, granted, lease_secs, free_from";

/// What the database says of one address: `None` where its client has left it.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub address: Ipv4Addr,
    pub record: Option<Record>,
    /// Who left it, where that was in the batch that asks.
    pub former: Option<ClientKey>,
}

/// Reads the columns of [`COLUMNS`], the first of them at `at`.
///
/// # Errors
/// Says what a column holds that lanboot does not write there.
pub fn read(row: &Row, at: usize, skew: Skew) -> Result<Standing, String> {
    let wrong = |error: tokio_postgres::Error| error.to_string();
    let IpAddr::V4(address) = row.try_get(at).map_err(wrong)? else {
        return Err("an address is not one of IPv4".into());
    };
    let free_from = || row.try_get(at + 8).map(|moment| skew.to_local(moment)).map_err(wrong);
    let binding = || binding(row, at, skew).map_err(|why| format!("the row of {address}: {why}"));
    let state = match row.try_get(at + 1).map_err(wrong)? {
        "bound" => State::Bound(binding()?),
        "released" => State::Released { binding: binding()?, since: free_from()? },
        "declined" => State::Declined { until: free_from()? },
        "left" => {
            let former: Option<&[u8]> = row.try_get(at + 2).map_err(wrong)?;
            return Ok(Standing { address, record: None, former: former.and_then(decode) });
        }
        other => return Err(format!("the row of {address} has the state {other}")),
    };
    Ok(Standing { address, record: Some(Record { address, state }), former: None })
}

fn binding(row: &Row, at: usize, skew: Skew) -> Result<Binding, String> {
    let wrong = |error: tokio_postgres::Error| error.to_string();
    let client: &[u8] = row.try_get(at + 2).map_err(wrong)?;
    let MacAddr(mac) = row.try_get(at + 3).map_err(wrong)?;
    let client_id: Option<&[u8]> = row.try_get(at + 4).map_err(wrong)?;
    let lease_secs: i64 = row.try_get(at + 7).map_err(wrong)?;
    Ok(Binding {
        key: decode(client).ok_or("its client is neither a MAC nor a client identifier")?,
        mac,
        client_id: client_id.map(ClientId::new).transpose().map_err(|error| error.to_string())?,
        hostname: row.try_get(at + 5).map_err(wrong)?,
        granted: skew.to_local(row.try_get(at + 6).map_err(wrong)?),
        lease_secs: u32::try_from(lease_secs).map_err(|_| format!("a lease of {lease_secs} seconds"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn grant(address: Ipv4Addr, last: u8) -> Change {
        let mac = Mac([2, 0, 0, 0, 0, last]);
        let key = ClientKey::Mac(mac);
        Change::Grant(Grant { address, key, mac, client_id: None, hostname: None, lease_secs: 60, now: UnixSecs(1000) })
    }

    #[test]
    fn a_turn_ends_where_an_address_or_a_client_comes_again() {
        let turns = |batch: &[Change]| Columns::of(batch, Moment(i64::MAX), Skew(0)).turns;
        assert_eq!(turns(&[grant(A, 1), grant(B, 2)]), [1]);
        assert_eq!(turns(&[grant(A, 1), grant(A, 2)]), [1, 2]);
        assert_eq!(turns(&[grant(A, 1), grant(B, 1), grant(A, 2)]), [1, 2]);
        let declined = Change::Decline { address: A, until: UnixSecs(2000) };
        assert_eq!(turns(&[grant(B, 1), declined, grant(A, 2)]), [1, 3]);
    }

    #[test]
    fn clocks_apart_are_translated_and_no_lease_is_shortened_by_it() {
        let skew = Skew(90_500_000);
        assert_eq!(skew.to_database(UnixSecs(1000)), Moment(909_500_000));
        assert_eq!(skew.to_local(Moment(909_500_000)), UnixSecs(1000));
        assert_eq!(skew.to_local(Moment(909_500_001)), UnixSecs(1001));
    }

    #[test]
    fn keys_come_back_as_they_were() {
        let keys = [ClientKey::Mac(Mac([2, 0, 0, 0, 0, 1])), ClientKey::ClientId(ClientId::new(&[7; 255]).unwrap())];
        keys.into_iter().for_each(|key| assert_eq!(decode(&encode(&key)), Some(key)));
        assert_eq!((decode(&[]), decode(&[0, 1]), decode(&[2, 0])), (None, None, None));
    }
}
