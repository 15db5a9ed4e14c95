//! Request and records in, verdict out: what a server owes each message (RFC 2131 sections 4.3.1 to 4.3.5).

use std::net::Ipv4Addr;

use super::options::code;
use super::packet::{MessageType, Packet};

/// Whose an address is, as far as our records, reservations and ranges say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Leased to, held for, or reserved for this client.
    Client,
    /// Ours to give, and nobody's now.
    Nobody,
    /// Leased to, held for, or reserved for another client; or the client has a reservation elsewhere.
    Other,
    /// On the client's link, but not an address that we give out.
    NotOurs,
    /// Not on the client's link at all.
    WrongNetwork,
}

/// What the server should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Find an address and offer it.
    Offer,
    /// Make the lease durable, then acknowledge it. `renewal`: the client already uses the address.
    Confirm {
        address: Ipv4Addr,
        renewal: bool,
    },
    /// DHCPNAK.
    Refuse {
        address: Ipv4Addr,
        because: String,
    },
    /// Options only, to an address that the client has from elsewhere.
    Inform {
        address: Ipv4Addr,
    },
    Release {
        address: Ipv4Addr,
    },
    Decline {
        address: Ipv4Addr,
    },
    /// The client took another server's offer: whatever we held for it is free again.
    Forget {
        chosen: Ipv4Addr,
    },
    /// No answer, and why.
    Ignore(String),
}

/// Decides on one message from a client.
///
/// `server_id`: our address, as option 54 carries it. `owner`: looks an address up for this client. `authoritative`: we
/// speak for this network, so we also refuse, or take over, addresses that we have no record of.
pub fn plan(request: &Packet<'_>, server_id: Ipv4Addr, authoritative: bool, owner: impl Fn(Ipv4Addr) -> Owner) -> Plan {
    let Some(kind) = request.message_type() else {
        return Plan::Ignore("no DHCP message type (option 53)".into());
    };
    let named = request.address(code::SERVER_ID);
    let requested = request.address(code::REQUESTED_ADDRESS);
    match kind {
        MessageType::Discover => Plan::Offer,
        MessageType::Inform if request.ciaddr().is_unspecified() => {
            Plan::Ignore("DHCPINFORM without an address in ciaddr".into())
        }
        // RFC 2131 section 4.3.5: the address is checked for consistency; no lease is looked for.
        MessageType::Inform if owner(request.ciaddr()) == Owner::WrongNetwork => {
            Plan::Ignore(format!("DHCPINFORM from {}, which is not on this network", request.ciaddr()))
        }
        MessageType::Inform => Plan::Inform { address: request.ciaddr() },
        MessageType::Request => match (named, requested) {
            (Some(chosen), _) if chosen != server_id => Plan::Forget { chosen },
            (Some(_), Some(address)) => selecting(address, owner(address)),
            // Some clients name the server and repeat the address in ciaddr only.
            (Some(_), None) if request.ciaddr().is_unspecified() => {
                Plan::Ignore("DHCPREQUEST names us but no address (option 50)".into())
            }
            (None, Some(address)) if request.ciaddr().is_unspecified() => {
                known(address, owner(address), authoritative, false)
            }
            _ if request.ciaddr().is_unspecified() => Plan::Ignore("DHCPREQUEST without any address".into()),
            _ => known(request.ciaddr(), owner(request.ciaddr()), authoritative, true),
        },
        MessageType::Decline | MessageType::Release if named.is_some_and(|chosen| chosen != server_id) => {
            Plan::Ignore(format!("{kind} for another server"))
        }
        MessageType::Decline => match requested {
            Some(address) if owner(address) == Owner::Client => Plan::Decline { address },
            Some(address) => Plan::Ignore(format!("DHCPDECLINE of {address}, which this client does not hold")),
            None => Plan::Ignore("DHCPDECLINE without an address (option 50)".into()),
        },
        MessageType::Release if owner(request.ciaddr()) == Owner::Client => Plan::Release { address: request.ciaddr() },
        MessageType::Release => {
            Plan::Ignore(format!("DHCPRELEASE of {}, which this client does not hold", request.ciaddr()))
        }
        MessageType::Offer | MessageType::Ack | MessageType::Nak => {
            Plan::Ignore(format!("{kind} is a server's message"))
        }
    }
}

/// SELECTING: the client answers an offer of ours (RFC 2131 section 4.3.2).
fn selecting(address: Ipv4Addr, owner: Owner) -> Plan {
    match owner {
        // Without a hold the offer has lapsed, but nobody has the address: no reason to send the client round again.
        Owner::Client | Owner::Nobody => Plan::Confirm { address, renewal: false },
        Owner::Other => Plan::Refuse { address, because: "address is another client's".into() },
        Owner::NotOurs => Plan::Refuse { address, because: "address is not one we give out".into() },
        Owner::WrongNetwork => Plan::Refuse { address, because: "address is not on this network".into() },
    }
}

/// INIT-REBOOT, RENEWING and REBINDING: the client believes that it has an address.
fn known(address: Ipv4Addr, owner: Owner, authoritative: bool, renewal: bool) -> Plan {
    match owner {
        Owner::Client => Plan::Confirm { address, renewal },
        Owner::WrongNetwork => Plan::Refuse { address, because: "address is not on this network".into() },
        // "If the server has no record of this client it MUST remain silent": being authoritative is what lets a
        // server that lost its records adopt the client's word for a free address.
        Owner::Nobody if authoritative => Plan::Confirm { address, renewal },
        Owner::Other => Plan::Refuse { address, because: "address is another client's".into() },
        Owner::NotOurs if authoritative => Plan::Refuse { address, because: "address is not one we give out".into() },
        Owner::Nobody | Owner::NotOurs => {
            Plan::Ignore(format!("no record of {address} for this client, and we are not authoritative"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::tests::request;
    use super::*;

    const US: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
    const WANTED: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 200);

    fn planned(octets: &[u8], owner: Owner, authoritative: bool) -> Plan {
        plan(&Packet::parse(octets).unwrap(), US, authoritative, |address| {
            assert_eq!(address, WANTED);
            owner
        })
    }

    fn renewing() -> Vec<u8> {
        let mut octets = request(&[(53, &[3])]);
        octets[12..16].copy_from_slice(&WANTED.octets());
        octets
    }

    #[test]
    fn selecting_confirms_what_is_held_and_refuses_what_is_anothers() {
        let octets = request(&[(53, &[3]), (54, &US.octets()), (50, &WANTED.octets())]);
        assert_eq!(planned(&octets, Owner::Client, false), Plan::Confirm { address: WANTED, renewal: false });
        assert_eq!(planned(&octets, Owner::Nobody, false), Plan::Confirm { address: WANTED, renewal: false });
        assert!(matches!(planned(&octets, Owner::Other, false), Plan::Refuse { .. }));
        assert!(matches!(planned(&octets, Owner::WrongNetwork, false), Plan::Refuse { .. }));
    }

    #[test]
    fn another_servers_offer_taken_frees_ours() {
        let other = Ipv4Addr::new(10, 0, 1, 2);
        let octets = request(&[(53, &[3]), (54, &other.octets()), (50, &WANTED.octets())]);
        assert_eq!(planned(&octets, Owner::Client, true), Plan::Forget { chosen: other });
    }

    #[test]
    fn init_reboot_without_record_is_silent_unless_authoritative() {
        let octets = request(&[(53, &[3]), (50, &WANTED.octets())]);
        assert!(matches!(planned(&octets, Owner::Nobody, false), Plan::Ignore(_)));
        assert!(matches!(planned(&octets, Owner::NotOurs, false), Plan::Ignore(_)));
        assert_eq!(planned(&octets, Owner::Nobody, true), Plan::Confirm { address: WANTED, renewal: false });
        assert!(matches!(planned(&octets, Owner::NotOurs, true), Plan::Refuse { .. }));
    }

    #[test]
    fn init_reboot_on_the_wrong_network_is_refused_by_anyone() {
        let octets = request(&[(53, &[3]), (50, &WANTED.octets())]);
        assert!(matches!(planned(&octets, Owner::WrongNetwork, false), Plan::Refuse { .. }));
    }

    #[test]
    fn renewing_takes_the_address_from_ciaddr() {
        assert_eq!(planned(&renewing(), Owner::Client, false), Plan::Confirm { address: WANTED, renewal: true });
        assert!(matches!(planned(&renewing(), Owner::Other, false), Plan::Refuse { .. }));
    }

    #[test]
    fn inform_needs_no_lease_but_the_right_network() {
        let mut octets = request(&[(53, &[8])]);
        assert!(matches!(planned(&octets, Owner::NotOurs, true), Plan::Ignore(_)), "no address at all");
        octets[12..16].copy_from_slice(&WANTED.octets());
        for owner in [Owner::Client, Owner::Nobody, Owner::Other, Owner::NotOurs] {
            assert_eq!(planned(&octets, owner, true), Plan::Inform { address: WANTED });
        }
        assert!(matches!(planned(&octets, Owner::WrongNetwork, true), Plan::Ignore(_)));
    }

    #[test]
    fn release_and_decline_only_of_ones_own() {
        let mut release = request(&[(53, &[7]), (54, &US.octets())]);
        release[12..16].copy_from_slice(&WANTED.octets());
        assert_eq!(planned(&release, Owner::Client, true), Plan::Release { address: WANTED });
        assert!(matches!(planned(&release, Owner::Other, true), Plan::Ignore(_)));
        let decline = request(&[(53, &[4]), (54, &US.octets()), (50, &WANTED.octets())]);
        assert_eq!(planned(&decline, Owner::Client, true), Plan::Decline { address: WANTED });
        assert!(matches!(planned(&decline, Owner::Nobody, true), Plan::Ignore(_)));
    }

    #[test]
    fn servers_messages_and_empty_ones_are_ignored_with_a_reason() {
        for octets in [request(&[]), request(&[(53, &[2])]), request(&[(53, &[99])]), request(&[(53, &[3])])] {
            assert!(matches!(planned(&octets, Owner::Client, true), Plan::Ignore(why) if !why.is_empty()));
        }
    }
}
