use super::*;
use crate::firewall::{Chain, Keeper};
use crate::rtnl::Address;
use crate::{ForwardSpec, Transport};

fn link(index: u32, name: &str) -> Link {
    Link { index, name: name.to_owned(), kind: None, up: true, controller: None, mac: None, alias: None }
}

fn a_bridge(index: u32, name: &str) -> Link {
    Link { kind: Some("bridge".to_owned()), ..link(index, name) }
}

fn address(interface: u32, net: &str) -> Address {
    Address { interface, net: net.parse().unwrap(), link_local: false }
}

fn route(interface: u32, to: &str, via: Option<&str>) -> Route {
    Route { to: to.parse().unwrap(), via: via.map(|via| via.parse().unwrap()), interface }
}

fn sysctls(pairs: &[(&str, &str)]) -> sysctl::Sysctls {
    pairs.iter().map(|(setting, value)| (setting.to_string(), value.to_string())).collect()
}

/// A computer with a line out (eth0), a spare card (eth1), and no forwarding.
fn state() -> State {
    State {
        links: vec![link(1, "lo"), link(2, "eth0"), link(3, "eth1")],
        addresses: vec![address(1, "127.0.0.1/8"), address(2, "192.168.7.2/24")],
        routes: vec![
            route(2, "0.0.0.0/0", Some("192.168.7.1")),
            route(2, "192.168.7.0/24", None),
            route(2, "192.168.7.2/32", None),
            route(1, "127.0.0.0/8", None),
        ],
        sysctls: sysctls(&[("ip_forward", "0"), ("conf/default/forwarding", "0"), ("conf/eth0/forwarding", "0")]),
        may_change: true,
        machine_id: "0123".to_owned(),
        ..State::default()
    }
}

/// The guide's network.
fn spec() -> NetworkSpec {
    NetworkSpec {
        link: LinkSpec::Bridge { name: "net".to_owned(), ports: vec!["eth1".to_owned()] },
        address: Some("10.0.1.1/24".parse().unwrap()),
        masquerade: true,
        forwards: vec![],
    }
}

fn existing(name: &str) -> NetworkSpec {
    NetworkSpec {
        link: LinkSpec::Existing { name: name.to_owned() },
        address: None,
        masquerade: false,
        forwards: vec![],
    }
}

fn planned(spec: &NetworkSpec, state: State) -> Plan {
    decide(spec, state, vec![]).unwrap()
}

fn refused(spec: &NetworkSpec, state: State) -> Vec<String> {
    let refusals = decide(spec, state, vec![]).unwrap_err();
    assert!(refusals.iter().all(|refusal| !refusal.fix().is_empty()));
    refusals.iter().map(Refusal::to_string).collect()
}

fn says(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(Action::to_string).collect()
}

const WHOLE: [&str; 6] = [
    "make bridge net",
    "put eth1 into net",
    "give net 10.0.1.1/24",
    "bring net up",
    "masquerade 10.0.1.0/24 in nftables table ip lanboot-net",
    "turn on IPv4 forwarding (net.ipv4.ip_forward 0 -> 1)",
];

#[test]
fn bare_host_gets_every_step_of_the_guide_in_order() {
    let plan = planned(&spec(), state());
    assert_eq!(says(&plan), WHOLE);
    assert_eq!((plan.made, plan.notes.len(), plan.warnings.len(), plan.blocked), (true, 0, 0, None));
}

#[test]
fn what_is_there_already_is_noted_and_left_out() {
    let mut state = state();
    state.links.push(a_bridge(4, "net"));
    state.links[2].controller = Some(4);
    state.addresses.push(address(4, "10.0.1.1/24"));
    state.sysctls = sysctls(&[("ip_forward", "1"), ("conf/net/forwarding", "1"), ("conf/eth0/forwarding", "1")]);
    let plan = planned(&spec(), state);
    assert_eq!(says(&plan), ["masquerade 10.0.1.0/24 in nftables table ip lanboot-net"]);
    let notes = [
        "bridge net is there already and is used as it is",
        "eth1 is in net already",
        "net has 10.0.1.1/24 already",
        "IPv4 forwarding is on already",
    ];
    assert_eq!((plan.made, plan.notes), (false, notes.map(str::to_owned).to_vec()));
}

#[test]
fn forwarding_that_is_on_but_not_for_new_interfaces_is_turned_on_for_ours() {
    let mut state = state();
    state.sysctls.insert("ip_forward".to_owned(), "1".to_owned());
    let plan = planned(&spec(), state);
    assert_eq!(
        plan.actions.last().unwrap().to_string(),
        "turn on IPv4 forwarding for net (net.ipv4.conf.net.forwarding 0 -> 1)"
    );
    assert_eq!(plan.warnings, [Warning::OutsideNotForwarding { interface: "eth0".to_owned() }]);
}

#[test]
fn without_translation_forwarding_is_left_alone() {
    let spec = NetworkSpec { masquerade: false, ..spec() };
    assert_eq!(says(&planned(&spec, state())), WHOLE[..4]);
}

#[test]
fn port_that_the_host_lives_by_is_refused() {
    let mut with = spec();
    with.link = LinkSpec::Bridge { name: "net".to_owned(), ports: vec!["eth0".to_owned()] };
    assert_eq!(
        refused(&with, state()),
        ["eth0 cannot be put into bridge net: the host's default route leads through it (via 192.168.7.1)"]
    );
    let mut state = state();
    state.routes.remove(0);
    assert_eq!(
        refused(&with, state),
        ["eth0 cannot be put into bridge net: the host itself uses it with 192.168.7.2/24, and would lose that"]
    );
}

#[test]
fn link_local_address_is_no_reason_to_refuse_a_port() {
    let mut state = state();
    state.addresses.push(Address { link_local: true, ..address(3, "fe80::1/64") });
    assert_eq!(says(&planned(&spec(), state)), WHOLE);
}

#[test]
fn port_of_another_bridge_and_missing_port_are_refused_together() {
    let mut state = state();
    state.links.push(a_bridge(4, "virbr0"));
    state.links[2].controller = Some(4);
    let mut spec = spec();
    spec.link = LinkSpec::Bridge { name: "net".to_owned(), ports: vec!["eth1".to_owned(), "eth9".to_owned()] };
    assert_eq!(
        refused(&spec, state),
        [
            "eth1 cannot be put into bridge net: it is a port of virbr0 already",
            "there is no interface eth9 here that could become a port of net (there are eth0, eth1, virbr0)",
        ]
    );
}

#[test]
fn name_of_something_else_is_refused() {
    let mut spec = spec();
    spec.link = LinkSpec::Bridge { name: "eth1".to_owned(), ports: vec![] };
    assert_eq!(refused(&spec, state()), ["eth1 is there already, but it is not a bridge (it is a network card)"]);
    for name in ["", "much-too-long-name", "a/b", "a b", "."] {
        spec.link = LinkSpec::Bridge { name: name.to_owned(), ports: vec![] };
        assert!(refused(&spec, state())[0].starts_with(&format!("`{name}` cannot be the name")), "{name}");
    }
}

#[test]
fn existing_interface_must_exist_have_an_address_and_be_no_port() {
    assert_eq!(refused(&existing("eth7"), state()), ["there is no interface eth7 here (there are eth0, eth1)"]);
    assert_eq!(refused(&existing("eth1"), state()), ["eth1 has no IPv4 address to serve from"]);
    let mut state = state();
    state.links.push(a_bridge(4, "br0"));
    state.links[1].controller = Some(4);
    assert_eq!(
        refused(&existing("eth0"), state),
        ["eth0 is a port of br0: what arrives on it goes to br0, and we would never see it"]
    );
}

#[test]
fn existing_interface_serves_from_its_first_address() {
    let plan = planned(&existing("eth0"), state());
    assert_eq!((plan.address.to_string().as_str(), plan.actions.len(), plan.made), ("192.168.7.2/24", 0, false));
    assert_eq!(plan.to_string(), "nothing to change\n");
}

#[test]
fn subnet_in_use_elsewhere_is_refused_with_both_names() {
    for taken in ["192.168.7.1/24", "192.168.7.129/25", "192.168.1.1/16"] {
        let spec = NetworkSpec { address: Some(taken.parse().unwrap()), ..spec() };
        let expected = format!("{taken} on net clashes with 192.168.7.0/24 on eth0: ");
        let said = refused(&spec, state());
        assert!(said.len() == 1 && said[0].starts_with(&expected), "{said:?}");
    }
}

#[test]
fn subnet_out_of_a_wider_route_is_a_warning() {
    let mut state = state();
    state.routes.push(route(2, "10.0.0.0/8", Some("192.168.7.9")));
    let plan = planned(&spec(), state);
    assert_eq!(
        plan.warnings[0].to_string(),
        "10.0.1.0/24 hides a part of 10.0.0.0/8, which the host reaches through 192.168.7.9 on eth0"
    );
}

#[test]
fn address_must_be_one_that_a_host_can_have() {
    for (address, what) in [("10.0.1.0/24", "network address"), ("10.0.1.255/24", "broadcast address")] {
        let spec = NetworkSpec { address: Some(address.parse().unwrap()), ..spec() };
        assert_eq!(
            refused(&spec, state()),
            [format!("{address} cannot be a host's address: it is the {what} of 10.0.1.0/24")]
        );
        assert_eq!(decide(&spec, state(), vec![]).unwrap_err()[0].fix(), "use 10.0.1.1/24");
    }
}

#[test]
fn plan_without_rights_can_be_read_but_is_blocked() {
    let plan = planned(&spec(), State { may_change: false, ..state() });
    assert_eq!(plan.blocked, Some(Refusal::NoRight));
    assert!(plan.to_string().ends_with("CAP_NET_BIND_SERVICE\n"), "{plan}");
    assert_eq!(planned(&spec(), State { sysctls_read_only: true, ..state() }).blocked, Some(Refusal::SysctlReadOnly));
    assert_eq!(planned(&existing("eth0"), State { may_change: false, ..state() }).blocked, None, "it changes nothing");
}

#[test]
fn forward_that_waits_on_a_missing_interface_is_warned_of() {
    let forward = |interface: &str| ForwardSpec {
        transport: Transport::Tcp,
        interface: Some(interface.to_owned()),
        port: 587,
        to: "10.0.1.100:587".parse().unwrap(),
    };
    let mut spec = spec();
    spec.forwards = vec![forward("eth0")];
    assert_eq!(planned(&spec, state()).warnings, []);
    spec.forwards = vec![forward("wan9")];
    let warnings = planned(&spec, state()).warnings;
    assert_eq!(warnings, [Warning::ForwardNowhere { interface: "wan9".to_owned(), port: 587 }]);
}

fn chain(table: &str, name: &str, hook: Option<Hook>, drops: bool) -> Chain {
    Chain { family: Family::Ip, table: table.to_owned(), name: name.to_owned(), hook, drops }
}

#[test]
fn filters_are_warned_of_only_where_they_can_be_in_the_way() {
    let forward = chain("filter", "FORWARD", Some(Hook::Forward), true);
    let input = chain("filter", "INPUT", Some(Hook::Input), true);
    let ufw = chain("filter", "ufw-user-input", None, false);
    let state = State { chains: vec![forward.clone(), input.clone(), ufw], ..state() };
    let drops =
        |chain: &Chain| Warning::Drops { chain: chain.clone(), keeper: Keeper::Ufw, interface: "net".to_owned() };
    let routed = planned(&spec(), state.clone()).warnings;
    assert_eq!(routed, [drops(&forward), drops(&input)]);
    assert_eq!(routed[1].fix(), "ufw allow in on net");
    let unrouted = NetworkSpec { masquerade: false, ..spec() };
    assert_eq!(planned(&unrouted, state.clone()).warnings, [drops(&input)]);
    let filtered = planned(&unrouted, State { bridge_calls_iptables: true, ..state }).warnings;
    assert_eq!(filtered.last(), Some(&Warning::BridgeFiltered { interface: "net".to_owned() }));
}

#[test]
fn filter_modules_and_bridge_hooks_are_told_when_they_matter() {
    let legacy = State { legacy_filter: true, bridge_calls_iptables: true, ..state() };
    let (interface, other) = ("net".to_owned(), "net".to_owned());
    assert_eq!(
        planned(&spec(), legacy).warnings,
        [Warning::LegacyFilter { interface }, Warning::BridgeFiltered { interface: other }]
    );
    assert_eq!(planned(&spec(), State { bridge_calls_iptables: true, ..state() }).warnings, [], "nothing filters");
}

fn leftover(interface: &str, fate: Fate, actions: Vec<Action>) -> Leftover {
    let changes = actions.into_iter().map(Change::from).collect();
    Leftover {
        path: format!("host-{interface}.undo").into(),
        interface: interface.to_owned(),
        fate,
        changes,
        undoing: false,
    }
}

/// The state in which a run with the guide's network was killed, and its record.
fn after_a_crash(interface: &str) -> (State, Leftover) {
    let spec =
        NetworkSpec { link: LinkSpec::Bridge { name: interface.to_owned(), ports: vec!["eth1".to_owned()] }, ..spec() };
    let plan = planned(&spec, state());
    let Action::MakeBridge { mac, .. } = plan.actions[0] else { panic!("{plan}") };
    let mut state = state();
    state.links.push(Link { mac: Some(mac), alias: Some(ALIAS.to_owned()), ..a_bridge(4, interface) });
    state.links[2].controller = Some(4);
    state.addresses.push(address(4, "10.0.1.1/24"));
    state.routes.push(route(4, "10.0.1.0/24", None));
    let mut record = leftover(interface, Fate::Dead, plan.actions);
    let before = state.sysctls.clone();
    record.changes.last_mut().unwrap().before = Some(before);
    state.sysctls = sysctls(&[("ip_forward", "1"), ("conf/default/forwarding", "1"), ("conf/eth0/forwarding", "1")]);
    (state, record)
}

#[test]
fn what_a_killed_run_left_is_taken_over() {
    let (state, record) = after_a_crash("net");
    let plan = decide(&spec(), state, vec![record.clone()]).unwrap();
    assert_eq!(says(&plan), [WHOLE[4]]);
    assert_eq!((plan.made, plan.adopted, plan.stale), (true, record.changes, vec![]));
}

#[test]
fn what_a_killed_run_left_under_another_name_is_undone_first() {
    let (state, record) = after_a_crash("old");
    let plan = decide(&spec(), state, vec![record.clone()]).unwrap();
    assert_eq!(says(&plan), WHOLE, "as if the other had never run");
    assert_eq!((plan.adopted, plan.stale), (vec![], vec![record]));
}

#[test]
fn half_undone_leftovers_are_undone_before_anything_else() {
    let (state, mut record) = after_a_crash("net");
    record.undoing = true;
    let plan = decide(&spec(), state, vec![record.clone()]).unwrap();
    assert_eq!((says(&plan), plan.stale), (WHOLE.map(str::to_owned).to_vec(), vec![record]));
}

#[test]
fn living_run_on_the_same_interface_is_named_and_others_do_not_matter() {
    let alive = |interface| leftover(interface, Fate::Alive { pid: 812 }, vec![]);
    let refusals = decide(&spec(), state(), vec![alive("net")]).unwrap_err();
    assert_eq!(refusals[0].to_string(), "lanboot (pid 812) serves net already");
    assert_eq!(says(&decide(&spec(), state(), vec![alive("lab")]).unwrap()), WHOLE);
    let gone = leftover("net", Fate::Gone, planned(&spec(), state()).actions);
    assert_eq!(says(&decide(&spec(), state(), vec![gone]).unwrap()), WHOLE);
}

#[test]
fn bridge_keeps_its_mac_from_start_to_start() {
    let mac = bridge_mac("0123", "net");
    assert_eq!(mac, bridge_mac("0123", "net"));
    assert_ne!(mac, bridge_mac("0123", "lan"));
    assert_ne!(mac, bridge_mac("4567", "net"));
    assert_eq!(mac.0[0] & 3, 2, "locally administered, one station");
}

#[test]
fn actions_on_record_are_read_back_as_they_were() {
    let mut spec = spec();
    spec.forwards.push(ForwardSpec {
        transport: Transport::Udp,
        interface: None,
        port: 53,
        to: "10.0.1.9:53".parse().unwrap(),
    });
    for action in planned(&spec, state()).actions {
        let text = serde_json::to_string(&action).unwrap();
        assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action, "{text}");
    }
}
