//! Single machines: `dhcp-host` and the files that hold its values.

use boot::Host;
use boot::matching::Tag;

use super::super::options::hosts::DhcpHost;
use super::super::options::ranges::Lease;
use super::expr;

pub(in super::super) fn host(said: &DhcpHost) -> Host {
    Host {
        hardware: said.hardware.iter().map(|hardware| hardware.value.clone()).collect(),
        client_id: said.client_id.as_ref().map(|id| id.value.clone()),
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
