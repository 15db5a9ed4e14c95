//! Single machines: `dhcp-host` and the files that hold its values.

use boot::Host;
use boot::hosts::IdPattern;
use boot::matching::{HardwarePattern, Tag};

use super::super::options::hosts::{ClientId, DhcpHost, Hardware};
use super::super::options::ranges::Lease;
use super::expr;

pub(in super::super) fn host(said: &DhcpHost) -> Host {
    Host {
        hardware: said.hardware.iter().map(|hardware| pattern(&hardware.value)).collect(),
        client_id: said.client_id.as_ref().map(|id| match &id.value {
            ClientId::Ignored => IdPattern::Ignored,
            ClientId::Octets(octets) => IdPattern::Octets(octets.clone()),
        }),
        when: expr(&said.tests),
        set: said.set.iter().map(|tag| Tag::from(tag.value.as_str())).collect(),
        address: said.address.as_ref().map(|given| given.value),
        name: said.name.as_ref().map(|given| given.value.clone()),
        lease_secs: said.lease.map(|lease| match lease {
            Lease::Seconds(secs) => secs,
            Lease::Infinite => u32::MAX,
        }),
        ignore: said.ignore,
    }
}

fn pattern(hardware: &Hardware) -> HardwarePattern {
    hardware.to_string().parse().expect("both write hardware addresses alike")
}
