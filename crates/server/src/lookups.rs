//! What a booting machine looked up, as steps of its boot.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use dns::resolver::{Failure, Outcome};
use dns::{Name, Rtype};
use journal::{Asked, Said, Step, Unresolved};

use crate::report::Reporter;

impl Reporter {
    /// The client with this address looked something up: a [`dns::Effect::LookedUp`]. Only of a machine that boots from us
    /// it is told; what others look up is nobody's business.
    pub fn looked_up(&self, client: IpAddr, name: &Name, kind: Rtype, outcome: Outcome) {
        // Whose an IPv6 address is, leases do not tell.
        let IpAddr::V4(address) = client.to_canonical() else { return };
        let boots = |mac| self.machines.is_booting(mac, Instant::now());
        if self.machines.by_address(address).is_some_and(boots) {
            self.step_at(address, step(name, kind, outcome));
        }
    }
}

/// A look-up as a step of a boot.
pub fn step(name: &Name, kind: Rtype, outcome: Outcome) -> Step {
    let (name, kind) = (name.to_string(), kind.to_string());
    let why = match outcome {
        Outcome::Found { answers, local, millis } => {
            return Step::LookedUp { name, kind, answers, local, millis: millis.into() };
        }
        Outcome::NoSuchName { by } => Unresolved::NoSuchName { by },
        Outcome::NoAnswer { asked } => Unresolved::NoAnswer { asked: servers(asked) },
        Outcome::NoServer => Unresolved::NoServer,
        Outcome::Refused { code, by } => Unresolved::Refused { code: code.to_string(), by },
    };
    Step::LookUpFailed { name, kind, why }
}

/// Each server once, however often it was asked, with what came of the last time.
fn servers(asked: Vec<(SocketAddr, Failure)>) -> Vec<Asked> {
    let mut servers: Vec<Asked> = Vec::new();
    for (server, failure) in asked {
        let said = match failure {
            Failure::Silent => Said::Silent,
            Failure::Unreachable => Said::Unreachable,
            Failure::Malformed => Said::Malformed,
            Failure::Said(code) => Said::Code(code.to_string()),
        };
        match servers.iter_mut().find(|known| known.server == server) {
            Some(known) => known.said = said,
            None => servers.push(Asked { server, said }),
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use dns::Rcode;
    use journal::Journal;
    use mac::Mac;

    use super::*;
    use crate::machines::Machines;

    fn failed(name: &str, kind: &str, why: Unresolved) -> Step {
        Step::LookUpFailed { name: name.to_owned(), kind: kind.to_owned(), why }
    }

    #[test]
    fn every_outcome_becomes_a_step_that_says_the_same() {
        let name: Name = "deb.example".parse().unwrap();
        let [one, two]: [SocketAddr; 2] = ["192.0.2.1:53".parse().unwrap(), "[2001:db8::2]:5353".parse().unwrap()];
        let found = Outcome::Found { answers: vec!["192.0.2.80".to_owned()], local: true, millis: 7 };
        let looked_up = Step::LookedUp {
            name: "deb.example".to_owned(),
            kind: "AAAA".to_owned(),
            answers: vec!["192.0.2.80".to_owned()],
            local: true,
            millis: 7,
        };
        assert_eq!(step(&name, Rtype::AAAA, found), looked_up);
        let failures = [Failure::Silent, Failure::Unreachable, Failure::Malformed, Failure::Said(Rcode::SERVFAIL)];
        let failures: Vec<_> = (1..).map(|n| SocketAddr::from(([192, 0, 2, n], 53))).zip(failures).collect();
        let said = [Said::Silent, Said::Unreachable, Said::Malformed, Said::Code("SERVFAIL".to_owned())];
        let asked = failures.iter().zip(said).map(|((server, _), said)| Asked { server: *server, said }).collect();
        // A server that was asked before is told with its last word.
        let failures = [vec![(failures[0].0, Failure::Malformed)], failures].concat();
        for (outcome, why) in [
            (Outcome::NoSuchName { by: Some(one) }, Unresolved::NoSuchName { by: Some(one) }),
            (Outcome::NoSuchName { by: None }, Unresolved::NoSuchName { by: None }),
            (Outcome::NoAnswer { asked: failures }, Unresolved::NoAnswer { asked }),
            (Outcome::NoServer, Unresolved::NoServer),
            (
                Outcome::Refused { code: Rcode::REFUSED, by: Some(two) },
                Unresolved::Refused { code: "REFUSED".to_owned(), by: Some(two) },
            ),
        ] {
            assert_eq!(step(&name, Rtype::A, outcome), failed("deb.example", "A", why));
        }
    }

    #[test]
    fn look_up_is_told_of_the_machine_that_has_the_address_while_it_boots() {
        let reporter = Reporter { journal: Journal::new(), machines: Arc::new(Machines::default()) };
        let (mac, address) = (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 1, 5));
        reporter.machines.has_address(mac, address, Instant::now());
        let name: Name = "deb.example".parse().unwrap();
        reporter.looked_up(address.into(), &name, Rtype::A, Outcome::NoServer);
        assert!(reporter.journal.events_of(mac).is_empty(), "it has never booted from us");
        let boots = Step::ProxyAnswer { stage: journal::Stage::Pxe, boot_file: None, port: 67, because: vec![] };
        reporter.machines.follow(mac, &boots, Instant::now());
        // Also by a socket that takes both families.
        for client in [IpAddr::V4(address), IpAddr::V6(address.to_ipv6_mapped())] {
            reporter.looked_up(client, &name, Rtype::A, Outcome::NoServer);
        }
        let events = reporter.journal.events_of(mac);
        assert_eq!(events.len(), 2);
        for event in events {
            assert_eq!(event.client, Some(address));
            assert_eq!(event.step, failed("deb.example", "A", Unresolved::NoServer));
        }
    }
}
