//! What is not believed of upstream answers, or changed in them.

use std::net::Ipv4Addr;

use dns::Rtype;
use dns::settings::Alias;
use ipnet::IpNet;

use super::servers::network;
use super::{DnsOption, dns};
use crate::diagnostic::Diagnostic;
use crate::dnsmasq::options::{Meaning, Read, Said, address, as_address, nothing_more, number};
use crate::dnsmasq::text::Text;
use crate::nearest::nearest;

/// Types that dnsmasq knows by the names that IANA lists.
#[rustfmt::skip]
const TYPES: &[&str] = &[
    "A", "NS", "MD", "MF", "CNAME", "SOA", "MB", "MG", "MR", "NULL", "WKS", "PTR", "HINFO", "MINFO", "MX", "TXT", "RP",
    "AFSDB", "X25", "ISDN", "RT", "NSAP", "SIG", "KEY", "PX", "GPOS", "AAAA", "LOC", "NXT", "EID", "NIMLOC", "SRV",
    "ATMA", "NAPTR", "KX", "CERT", "A6", "DNAME", "SINK", "OPT", "APL", "DS", "SSHFP", "IPSECKEY", "RRSIG", "NSEC",
    "DNSKEY", "DHCID", "NSEC3", "NSEC3PARAM", "TLSA", "SMIMEA", "HIP", "NINFO", "RKEY", "TALINK", "CDS", "CDNSKEY",
    "OPENPGPKEY", "CSYNC", "ZONEMD", "SVCB", "HTTPS", "SPF", "NID", "L32", "L64", "LP", "EUI48", "EUI64", "TKEY",
    "TSIG", "IXFR", "AXFR", "MAILB", "MAILA", "ANY", "URI", "CAA", "AVC", "DOA", "AMTRELAY", "TA", "DLV", "RESINFO",
    "UINFO", "UID", "GID", "UNSPEC",
];

/// Types by name or number, with commas between them.
pub(in super::super::super) fn types(said: &Said<'_>, meant: fn(Vec<Rtype>) -> DnsOption) -> Read {
    let fields = said.list();
    let types: Result<Vec<_>, Diagnostic> = fields.iter().filter(|field| !field.is_empty()).map(rr_type).collect();
    match types? {
        types if types.is_empty() => Ok(Meaning::Nothing),
        types => dns(meant(types)),
    }
}

fn rr_type(text: &Text) -> Result<Rtype, Diagnostic> {
    let name = text.as_str().to_ascii_uppercase();
    if !name.is_empty() && name.bytes().all(|c| c.is_ascii_digit()) {
        return number(text, u16::MAX.into()).map(|number| Rtype::from_int(number as u16));
    }
    let known = TYPES.contains(&&*name).then(|| name.parse().ok()).flatten();
    known.ok_or_else(|| {
        let fix = match nearest(&name, TYPES.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => "write a name that IANA lists, such as TXT, or its number".to_owned(),
        };
        text.wrong(format!("there is no record type `{text}`"), fix)
    })
}

pub(in super::super::super) fn net_of(said: &Said<'_>, meant: fn(IpNet) -> DnsOption) -> Read {
    let fix = format!("write {}=192.0.2.1, or a network like 192.0.2.0/24", said.row.name);
    dns(meant(network(&said.text(), &fix)?))
}

pub(in super::super::super) fn alias(said: &mut Said<'_>) -> Read {
    let takes = "alias=10.0.1.7,192.0.2.7, or alias=10.0.1.10-10.0.1.40,192.0.2.0,255.255.255.0";
    let fields = said.text().split(',');
    let (Some(old), Some(new)) = (fields.first(), fields.get(1)) else {
        return Err(said.wrong("the new address is missing", format!("write {takes}")));
    };
    nothing_more(fields.get(3..).unwrap_or_default(), takes)?;
    let new = address(new)?.value;
    let mask = fields.get(2).map_or(Ok(Ipv4Addr::BROADCAST), |mask| address(mask).map(|mask| mask.value))?;
    if mask.to_bits().leading_ones() != mask.to_bits().count_ones() {
        return Err(fields[2].wrong(format!("{mask} is no netmask: its bits have a gap"), format!("write {takes}")));
    }
    let (first, last) = match old.as_str().split_once('-') {
        Some((start, _)) => {
            let end = old.slice(start.len() + 1..old.as_str().len());
            let start = old.slice(0..start.len());
            let (first, last) = (address(&start)?.value, as_address(&end));
            let fits = |last: &Ipv4Addr| first <= *last && first & mask == *last & mask;
            let last = last.filter(fits).ok_or_else(|| {
                let what = format!("{old} is no range within one network of the netmask {mask}");
                old.wrong(what, format!("write {takes}"))
            })?;
            (first, last)
        }
        None => {
            let old = address(old)?.value;
            (old & mask, old | !mask)
        }
    };
    dns(DnsOption::Alias(Alias { first, last, new, mask }))
}
