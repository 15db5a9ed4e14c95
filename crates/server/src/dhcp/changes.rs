//! What becomes of leases, for those who keep books of them: each change with what the request said that made it.

use std::net::Ipv4Addr;

use boot::matching::relay_agent;
use boot::rules::Rules;
use dhcp::v4::code;
use dhcp::v4::packet::sub_options;
use leases::{ClientKey, Record, UnixSecs};

use super::request::Ctx;
use super::{Link, Settings};

/// Manufacturer usage description (RFC 8520).
const MUD_URL: u8 = 161;

/// Something became of a lease. Whoever is given a new address loses the former one; that a lease runs out is for the
/// listener to see.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseChange {
    /// All leases at the time when this began.
    Known(Vec<Record>),
    /// Given, or given for longer. It is durable.
    Given { record: Record, renewal: bool, about: Box<About> },
    /// Given back, or found in use by somebody else.
    Ended(Ipv4Addr),
    /// None of ours: a machine that booted from us took this address from another server.
    Elsewhere(Ipv4Addr),
}

/// What a request said, beyond what its lease keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The interface that it arrived on.
    pub interface: String,
    /// The domain of the machine's name.
    pub domain: Option<String>,
    /// Option 12, as sent.
    pub supplied_name: Option<Vec<u8>>,
    /// The name of the lease is laid down in the configuration.
    pub name_is_laid_down: bool,
    /// All tags of the request, the latest first.
    pub tags: Vec<String>,
    /// Option 60.
    pub vendor_class: Option<Vec<u8>>,
    /// Option 77: several with their lengths before them, or one without (RFC 3004).
    pub user_classes: Vec<Vec<u8>>,
    /// giaddr.
    pub relay: Option<Ipv4Addr>,
    /// Option 82 (RFC 3046, RFC 3993).
    pub circuit_id: Option<Vec<u8>>,
    pub remote_id: Option<Vec<u8>>,
    pub subscriber_id: Option<Vec<u8>>,
    /// Option 55.
    pub requested: Vec<u8>,
    pub mud_url: Option<Vec<u8>>,
}

impl About {
    /// `in_detail`: also what the names of machines do not hang on.
    pub(super) fn of(ctx: &Ctx<'_>, settings: &Settings, address: Ipv4Addr, in_detail: bool) -> About {
        let Settings { links, dhcp, .. } = settings;
        let domain = dhcp.domain_of(address).map(str::to_owned);
        if !in_detail {
            return About { domain, ..About::default() };
        }
        let packet = &ctx.packet;
        let option = |code| packet.option(code).map(|data| data.to_vec());
        let agent = option(code::RELAY_AGENT).unwrap_or_default();
        let sub = |wanted| sub_options(&agent).find(|(sub, _)| *sub == wanted).map(|(_, id)| id.to_vec());
        About {
            interface: links.get(ctx.link).map(|link: &Link| link.name.clone()).unwrap_or_default(),
            domain,
            supplied_name: option(code::HOST_NAME),
            name_is_laid_down: ctx.host.as_ref().is_some_and(|host| host.name.is_some()),
            tags: tags(ctx, settings, &dhcp.rules, address),
            vendor_class: option(code::VENDOR_CLASS),
            user_classes: option(code::USER_CLASS).map(|data| user_classes(&data)).unwrap_or_default(),
            relay: packet.relay(),
            circuit_id: sub(relay_agent::CIRCUIT_ID),
            remote_id: sub(relay_agent::REMOTE_ID),
            subscriber_id: sub(relay_agent::SUBSCRIBER_ID),
            requested: option(code::PARAMETER_REQUEST_LIST).unwrap_or_default(),
            mud_url: option(MUD_URL),
        }
    }
}

/// The tags of a request, the latest first: that of its address's range comes last of all.
fn tags(ctx: &Ctx<'_>, settings: &Settings, rules: &Rules, address: Ipv4Addr) -> Vec<String> {
    let of_range = ctx.range(address, settings).and_then(|range| range.set.clone());
    let mut names: Vec<String> = of_range.iter().map(|tag| tag.as_str().to_owned()).collect();
    let all = of_range.map(|tag| {
        let mut base = ctx.base.clone();
        base.set_weak(tag);
        rules.tags(&ctx.packet, base)
    });
    let mut others: Vec<&str> = all.as_ref().unwrap_or(&ctx.tags).iter().map(|tag| tag.as_str()).collect();
    others.reverse();
    others.retain(|tag| names.first().is_none_or(|first| first != tag));
    names.extend(others.into_iter().map(str::to_owned));
    names
}

/// Counted strings where the counts fit the whole, else one string.
fn user_classes(data: &[u8]) -> Vec<Vec<u8>> {
    let (mut classes, mut rest) = (Vec::new(), data);
    while let [length, tail @ ..] = rest {
        match tail.split_at_checked(usize::from(*length)) {
            Some((class, after)) => {
                classes.push(class.to_vec());
                rest = after;
            }
            None => return vec![data.to_vec()],
        }
    }
    classes
}

/// The name that the client's lease of this address has, for a request that says none.
pub(super) fn name_in_lease(record: Option<&Record>, key: &ClientKey, now: UnixSecs) -> Option<String> {
    let record = record.filter(|record| record.is_active(now) && record.key() == Some(key))?;
    record.binding()?.hostname.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_classes_come_counted_or_bare() {
        assert_eq!(user_classes(b"\x04abcd\x01e"), [b"abcd".to_vec(), b"e".to_vec()]);
        assert_eq!(user_classes(b"iPXE"), [b"iPXE".to_vec()]);
        assert_eq!(user_classes(b""), Vec::<Vec<u8>>::new());
    }
}
