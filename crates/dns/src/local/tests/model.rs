//! Machines come and go at random; a list that is searched from end to end knows what is right.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Give { last: u8, name: u8, domain: u8, seconds: Option<u64> },
    End(u8),
    Hosts(Vec<(u8, u8)>),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = prop::option::of(0u64..40);
    prop_oneof![
        5 => (0u8..6, 0u8..5, 0u8..3, seconds)
            .prop_map(|(last, name, domain, seconds)| Step::Give { last, name, domain, seconds }),
        2 => (0u8..6).prop_map(Step::End),
        1 => prop::collection::vec((0u8..6, 0u8..5), 0..3).prop_map(Step::Hosts),
        2 => (0u64..20).prop_map(Step::Pass),
    ]
}

/// Names are `n0` to `n4`, domains none, `d1` and `d2`.
#[derive(Default)]
struct Model {
    full_names_only: bool,
    leases: Vec<Lease>,
    hosts: Vec<(Ipv4Addr, Name)>,
}

fn plain(number: u8) -> Name {
    name(&format!("n{number}"))
}

impl Model {
    fn names(&self, lease: &Lease) -> Vec<Name> {
        let full = lease.domain.as_ref().map(|domain| lease.name.below(domain).unwrap());
        full.into_iter().chain((!self.full_names_only).then(|| lease.name.clone())).collect()
    }

    fn give(&mut self, lease: Lease) {
        let names = self.names(&lease);
        let mut leases = std::mem::take(&mut self.leases);
        leases.retain(|other| {
            other.address != lease.address && !self.names(other).iter().any(|name| names.contains(name))
        });
        leases.push(lease);
        self.leases = leases;
    }

    fn addresses(&self, name: &Name) -> Vec<Ipv4Addr> {
        let mut laid: Vec<Ipv4Addr> =
            self.hosts.iter().filter(|(_, host)| host == name).map(|(address, _)| *address).collect();
        laid.sort();
        laid.dedup();
        if laid.is_empty() {
            let leases = self.leases.iter().filter(|lease| self.names(lease).contains(name)).map(|lease| lease.address);
            laid = leases.filter(|address| !self.hosts.iter().any(|(host, _)| host == address)).collect();
        }
        laid
    }

    fn pointer(&self, address: Ipv4Addr) -> Option<Name> {
        if let Some((_, name)) = self.hosts.iter().find(|(host, _)| *host == address) {
            return Some(name.clone());
        }
        let lease = self.leases.iter().find(|lease| lease.address == address)?;
        self.names(lease).into_iter().find(|name| !self.hosts.iter().any(|(_, host)| host == name))
    }
}

fn check(bed: &mut Bed, model: &Model) {
    for number in 0..5 {
        let plain = plain(number);
        for name in [plain.clone(), plain.below(&name("d1")).unwrap(), plain.below(&name("d2")).unwrap()] {
            let mut told = Vec::new();
            bed.names.look_up(name.as_wire(), Rtype::A, &bed.view, |one| match one.says {
                Said::Address(IpAddr::V4(address)) => told.push(address),
                other => panic!("{other:?}"),
            });
            told.sort();
            assert_eq!(told, model.addresses(&name), "{name}");
        }
    }
    for last in 0..6 {
        let address = Ipv4Addr::new(10, 0, 0, last);
        let mut told = Vec::new();
        bed.names.look_up(Name::reverse(address.into()).as_wire(), Rtype::PTR, &bed.view, |one| match one.says {
            Said::Ptr(name) => told.push(name.clone()),
            other => panic!("{other:?}"),
        });
        assert_eq!(told.first(), model.pointer(address).as_ref(), "{address}");
        // What an address is known by leads back to it.
        assert!(told.len() < 2 && told.iter().all(|name| model.addresses(name).contains(&address)), "{address}");
    }
}

/// Labels that lead into every corner, and others.
fn asked() -> impl Strategy<Value = Name> {
    let label = prop_oneof![
        prop::sample::select(vec![
            "a",
            "b",
            "n0",
            "lan",
            "in-addr",
            "arpa",
            "ip6",
            "0",
            "10",
            "1",
            "p10-0-0-1",
            "p--1"
        ])
        .prop_map(|label| label.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..64),
    ];
    prop::collection::vec(label, 0..6).prop_filter_map("a name of 255 octets", |labels| {
        let wire: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], &**label].concat()).collect();
        Name::from_wire(&[&wire[..], &[0]].concat()).ok()
    })
}

proptest! {
    #[test]
    fn whatever_is_asked_is_answered_in_order(name in asked(), kind: u16, usual in 0usize..10, rare: bool) {
        let usual = ["A", "AAAA", "PTR", "MX", "SRV", "TXT", "CNAME", "ANY", "SOA", "NS"][usual].parse().unwrap();
        let kind = if rare { Rtype::from_int(kind) } else { usual };
        let records = ["a A 10.0.0.1", "a MX 1 b", "a SRV 1 a", "b CNAME a", "lan CNAME b.lan", "b.lan CNAME lan"];
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        let synth = |first: IpAddr, last| Synth { domain: self::name("lan"), first, last, prefix: "p".into(), counted: false };
        let v4 = synth([0, 0, 0, 0].into(), [255; 4].into());
        let mx = LocalMx { to_itself: true, ..LocalMx::default() };
        let synth = vec![v4, synth("::".parse().unwrap(), last)];
        let mut bed = Bed::new(Local { synth, mx, ..local(&records) });
        bed.give(7, "n0", None);
        let (mut answers, mut additional) = (0, 0);
        let found = bed.names.look_up(name.as_wire(), kind, &bed.view, |told| {
            assert!(told.additional || additional == 0, "additional records come last");
            *(if told.additional { &mut additional } else { &mut answers }) += 1;
        });
        prop_assert_eq!(answers > 0, matches!(found, Found::Told | Found::LeadsTo(_)), "{:?}", found);
        let exists = found != Found::Unknown;
        prop_assert_eq!(bed.names.exists(bed.view.now, name.as_wire()), exists);
    }

    #[test]
    fn names_are_those_of_the_model(full_names_only: bool, steps in prop::collection::vec(step(), 1..30)) {
        let mut bed = Bed::new(Local { leases_by_full_name_only: full_names_only, ..Local::default() });
        let mut model = Model { full_names_only, ..Model::default() };
        for step in steps {
            match step {
                Step::Give { last, name, domain, seconds } => {
                    let domain = (domain > 0).then(|| self::name(&format!("d{domain}")));
                    let ends = seconds.map(|seconds| bed.view.now + Duration::from_secs(seconds));
                    let lease = Lease { address: [10, 0, 0, last].into(), name: plain(name), domain, ends };
                    model.give(lease.clone());
                    bed.names.lease_given(lease);
                }
                Step::End(last) => {
                    model.leases.retain(|lease| lease.address.octets()[3] != last);
                    bed.names.lease_ended([10, 0, 0, last].into());
                }
                Step::Hosts(lines) => {
                    let text: String = lines.iter().map(|(last, name)| format!("10.0.0.{last} n{name}\n")).collect();
                    model.hosts = lines.iter().map(|(last, name)| ([10, 0, 0, *last].into(), plain(*name))).collect();
                    bed.names.set_hosts(vec![hosts::File::new("/hosts", text)]);
                }
                Step::Pass(seconds) => bed.view.now += Duration::from_secs(seconds),
            }
            model.leases.retain(|lease| lease.ends.is_none_or(|ends| ends > bed.view.now));
            check(&mut bed, &model);
        }
        for last in 0..6 {
            bed.names.lease_ended([10, 0, 0, last].into());
        }
        bed.names.set_hosts(Vec::new());
        prop_assert_eq!(bed.names.tree.len(), 0, "nothing is left of what has ended");
    }
}
