//! Where to serve.

use super::{Meaning, Read, Said};
use crate::diagnostic::Diagnostic;
use crate::dnsmasq::text::Text;
use crate::said::Given;

/// An interface by name, or several by the start of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Without the `*`.
    pub name: String,
    /// Whether more may follow: `tap*`.
    pub open: bool,
}

impl Pattern {
    pub fn matches(&self, interface: &str) -> bool {
        if self.open { interface.starts_with(&self.name) } else { interface == self.name }
    }

    fn read(text: &Text) -> Pattern {
        // For dnsmasq nothing behind a `*` counts.
        let (name, open) = text.as_str().split_once('*').map_or((text.as_str(), false), |(start, _)| (start, true));
        Pattern { name: name.to_owned(), open }
    }
}

/// The names between commas; dnsmasq passes over empty ones.
pub(super) fn patterns(fields: &[Text]) -> Vec<Pattern> {
    fields.iter().filter(|field| !field.is_empty()).map(Pattern::read).collect()
}

pub(in super::super) fn interface(said: &mut Said<'_>) -> Read {
    Ok(Meaning::Interface(patterns(&said.list())))
}

pub(in super::super) fn except_interface(said: &mut Said<'_>) -> Read {
    Ok(Meaning::ExceptInterface(patterns(&said.list())))
}

pub(in super::super) fn no_dhcp_interface(said: &mut Said<'_>) -> Read {
    Ok(Meaning::NoDhcpInterface(patterns(&said.list())))
}

pub(in super::super) fn no_dhcpv4_interface(said: &mut Said<'_>) -> Read {
    Ok(Meaning::NoDhcpv4Interface(patterns(&said.list())))
}

pub(in super::super) fn bridge_interface(said: &mut Said<'_>) -> Read {
    let mut fields = said.text().split(',');
    let interface = fields.remove(0);
    if interface.is_empty() || fields.is_empty() {
        return Err(said.wrong("an interface and its aliases are wanted", "write bridge-interface=br0,tap*"));
    }
    Ok(Meaning::BridgeInterface { interface: interface.as_str().to_owned(), aliases: patterns(&fields) })
}

pub(in super::super) fn listen_address(said: &mut Said<'_>) -> Read {
    let read = |text: &Text| {
        // dnsmasq takes a quoted address here, and here alone.
        let place = text.place().clone();
        text.as_str().parse().ok().map(|value| Given { value, place }).ok_or_else(|| {
            text.wrong(format!("`{text}` is not an address"), "write the address of an interface, like 10.0.1.1")
        })
    };
    let addresses: Result<_, Diagnostic> = said.text().split(',').iter().map(read).collect();
    addresses.map(Meaning::ListenAddress)
}
