//! The host crate on a real kernel, each test in network namespaces of its own.

mod world;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use host::{ForwardSpec, LinkSpec, NetworkSpec, PlanError, Refusal, Transport, Warning};
use world::{Child, Folder, Namespace, assert_untouched, eventually, ip, run, settled_snapshot};

fn bridge(ports: &[&str]) -> NetworkSpec {
    NetworkSpec {
        link: LinkSpec::Bridge { name: "net".to_owned(), ports: ports.iter().map(|port| port.to_string()).collect() },
        address: Some("10.0.1.1/24".parse().unwrap()),
        masquerade: true,
        forwards: vec![ForwardSpec {
            transport: Transport::Tcp,
            interface: Some("eth0".to_owned()),
            port: 587,
            to: "10.0.1.50:587".parse().unwrap(),
        }],
    }
}

/// A host with somebody else's firewall, a line to the outside, a spare port that is down, one that is up, and
/// forwarding settings of every kind.
fn host_with_a_past() -> (Namespace, Namespace) {
    let (host, outside) = (Namespace::new(), Namespace::new());
    host.cable("eth0", &outside, "out0");
    host.cable("eth1", &outside, "out1");
    host.cable("eth2", &outside, "out2");
    outside.run(|| ip("address add 10.9.0.2/24 dev out0"));
    host.run(|| {
        ip("link set dev eth2 down");
        ip("address add 10.9.0.1/24 dev eth0");
        ip("route add default via 10.9.0.2");
        run("nft", "add table inet theirs");
        run("nft", "add chain inet theirs forward { type filter hook forward priority 0; policy accept; }");
        run("nft", "add rule inet theirs forward ct state established counter accept");
        let set = |setting: &str, value| std::fs::write(format!("/proc/sys/net/ipv4/{setting}"), value).unwrap();
        // As on a kernel without br_netfilter.
        let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
        set("ip_forward", "0");
        set("conf/all/accept_redirects", "0");
        set("conf/eth0/forwarding", "1");
        set("conf/eth1/send_redirects", "0");
        set("conf/lo/forwarding", "1");
    });
    (host, outside)
}

fn apply(spec: &NetworkSpec, folder: &Folder) -> host::Applied {
    host::apply(&host::plan(spec, &folder.0).unwrap(), &folder.0).unwrap()
}

/// Undoes what killed runs left, which must succeed.
fn down(folder: &Folder) -> Vec<String> {
    let undone = host::undo_leftovers(&folder.0).unwrap();
    undone
        .into_iter()
        .flat_map(|undone| {
            assert!(undone.errors.is_empty(), "{undone}");
            undone.done
        })
        .collect()
}

#[test]
fn a_client_behind_the_bridge_reaches_outside_and_a_forwarded_port_leads_inside() {
    let (host, outside) = host_with_a_past();
    let client = Namespace::new();
    host.cable("port0", &client, "c0");
    outside.run(|| ip("link set dev out1 down"));
    client.run(|| {
        ip("address add 10.0.1.50/24 dev c0");
        ip("route add default via 10.0.1.1");
    });
    let folder = Folder::new();
    host.run(|| {
        let applied = apply(&bridge(&["port0"]), &folder);

        client.run(|| run("ping", "-c 1 -W 5 10.9.0.2"));
        let listener = outside.run(|| TcpListener::bind("10.9.0.2:80").unwrap());
        let inner = client.run(|| connect("10.9.0.2:80"));
        let (outer, seen_from) = listener.accept().unwrap();
        assert_eq!(seen_from.ip(), Ipv4Addr::new(10, 9, 0, 1), "masqueraded");
        exchange(&inner, &outer);

        let listener = client.run(|| TcpListener::bind("0.0.0.0:587").unwrap());
        let outer = outside.run(|| connect("10.9.0.1:587"));
        let (inner, seen_from) = listener.accept().unwrap();
        assert_eq!(seen_from.ip(), Ipv4Addr::new(10, 9, 0, 2), "the client sees who it is");
        exchange(&inner, &outer);

        assert!(applied.undo().errors.is_empty());
        assert_eq!(run("nft", "list tables"), "table inet theirs\n");
    });
}

fn connect(to: &str) -> TcpStream {
    TcpStream::connect_timeout(&to.parse().unwrap(), Duration::from_secs(5)).unwrap()
}

fn exchange(here: &TcpStream, there: &TcpStream) {
    for (mut from, mut to) in [(here, there), (there, here)] {
        let mut read = [0; 5];
        from.write_all(b"hello").unwrap();
        to.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        to.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"hello");
    }
}

#[test]
fn the_rules_read_in_nft_as_one_would_write_them() {
    let folder = Folder::new();
    Namespace::new().run(|| {
        let mut spec = bridge(&[]);
        spec.forwards.push(ForwardSpec {
            transport: Transport::Udp,
            interface: None,
            port: 53,
            to: "10.0.1.50:5353".parse().unwrap(),
        });
        let applied = apply(&spec, &folder);
        // The kernel's own announcements (IGMP) may have been counted already.
        let table = run("nft", "--stateless list ruleset");
        let lines: Vec<&str> = table.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let expected = [
            "chain postrouting {",
            "type nat hook postrouting priority srcnat; policy accept;",
            "ip saddr 10.0.1.0/24 ip daddr != 10.0.1.0/24 counter masquerade",
            "}",
            "chain prerouting {",
            "type nat hook prerouting priority dstnat; policy accept;",
            "iifname \"eth0\" tcp dport 587 counter dnat to 10.0.1.50:587",
            "iifname != \"net\" udp dport 53 counter dnat to 10.0.1.50:5353",
            "}",
            "}",
        ];
        assert_eq!(
            lines.iter().filter(|line| !line.starts_with("flags")).skip(1).copied().collect::<Vec<_>>(),
            expected
        );
        assert!(lines[0].starts_with("table ip lanboot-net {"), "{table}");

        let theirs = std::process::Command::new("nft").args(["delete", "table", "ip", "lanboot-net"]).output().unwrap();
        assert!(!theirs.status.success(), "the kernel guards our table for us");
        run("nft", "flush ruleset");
        assert_eq!(run("nft", "--stateless list ruleset"), table);
        drop(applied);
        assert_eq!(run("nft", "list ruleset"), "");
    });
}

#[test]
fn masks_of_every_length_read_back_as_the_same_subnet() {
    Namespace::new().run(|| {
        for length in 1..=32 {
            let subnet = ipnet::Ipv4Net::new(Ipv4Addr::new(172, 21, 171, 85), length).unwrap().trunc();
            let rules = host::Rules { interface: "net".to_owned(), masquerade: Some(subnet), forwards: vec![] };
            let nat = host::Nat::install(&rules).unwrap();
            let subnet = if length == 32 { subnet.addr().to_string() } else { subnet.to_string() };
            let listed = run("nft", "list ruleset");
            assert!(listed.contains(&format!("ip saddr {subnet} ip daddr != {subnet} counter")), "{subnet}: {listed}");
            assert!(nat.remove().unwrap());
        }
    });
}

#[test]
fn undo_leaves_the_host_byte_for_byte_as_it_was() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        let applied = apply(&bridge(&["eth1", "eth2"]), &folder);
        assert!(applied.made);
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "1\n");
        assert!(run("ip", "link show master net").contains("eth2"));
        assert!(run("ip", "-d link show net").contains("alias lanboot"));
        let undone = applied.undo();
        assert!(undone.errors.is_empty(), "{undone}");
        assert_untouched(&before);
        assert_eq!(folder.files(), [""; 0]);
    });
}

#[test]
fn down_after_kill_9_leaves_the_host_byte_for_byte_as_it_was() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        let child = Child::holding(|| apply(&bridge(&["eth1", "eth2"]), &folder));
        assert!(run("nft", "list tables").contains("lanboot-net"));

        let refused = host::undo_leftovers(&folder.0).unwrap();
        let running = format!("lanboot (pid {}) is serving", child.pid());
        assert!(refused[0].errors[0].to_string().starts_with(&running), "{}", refused[0]);
        match host::plan(&bridge(&[]), &folder.0) {
            Err(PlanError::Refused(why)) => {
                assert_eq!(why, [Refusal::Running { interface: "net".to_owned(), pid: child.pid() }]);
            }
            other => panic!("{other:?}"),
        }

        child.kill();
        assert!(!run("nft", "list tables").contains("lanboot-net"), "the kernel takes the table with its owner");
        // What others have put into the bridge since is no reason to leave it.
        ip("link add late type veth peer name later");
        ip("link set dev late master net");
        let done = down(&folder);
        assert!(
            done.contains(&"deleted bridge net; late had been put into it since, and now stands alone".to_owned()),
            "{done:?}"
        );
        ip("link del late");
        assert_untouched(&before);
        assert_eq!(folder.files(), [""; 0]);
    });
}

#[test]
fn a_second_run_takes_over_from_a_killed_one_and_undoes_for_both() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        let spec = bridge(&["eth1", "eth2"]);
        Child::holding(|| apply(&spec, &folder)).kill();
        let kept = run("ip", "-o link show net");
        let plan = host::plan(&spec, &folder.0).unwrap();
        assert!(plan.made);
        assert_eq!(plan.actions.len(), 1, "only the table is gone: {plan}");
        let applied = host::apply(&plan, &folder.0).unwrap();
        assert_eq!(run("ip", "-o link show net"), kept, "machines keep their link");
        assert!(applied.undo().errors.is_empty());
        assert_untouched(&before);

        // The same when the second is killed as well, and when somebody has deleted the bridge in between.
        Child::holding(|| apply(&spec, &folder)).kill();
        ip("link del net");
        Child::holding(|| apply(&spec, &folder)).kill();
        down(&folder);
        assert_untouched(&before);
    });
}

#[test]
fn a_second_run_that_wants_something_else_repairs_first() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        Child::holding(|| apply(&bridge(&["eth1"]), &folder)).kill();
        let mut other = bridge(&["eth1"]);
        other.link = LinkSpec::Bridge { name: "lan".to_owned(), ports: vec!["eth1".to_owned()] };
        let applied = apply(&other, &folder);
        assert!(!run("ip", "-br link").contains("net "), "the old bridge is gone");
        assert!(run("ip", "-br address show lan").contains("10.0.1.1/24"));
        drop(applied);
        assert_untouched(&before);

        Child::holding(|| apply(&bridge(&["eth1", "eth2"]), &folder)).kill();
        let applied =
            apply(&NetworkSpec { address: Some("10.0.2.1/24".parse().unwrap()), ..bridge(&["eth1"]) }, &folder);
        assert_eq!(run("ip", "-o -4 address show net").lines().count(), 1);
        assert!(!run("ip", "link show master net").contains("eth2"));
        drop(applied);
        assert_untouched(&before);
    });
}

#[test]
fn killed_before_any_step_of_up_or_down_nothing_stays() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        let spec = bridge(&["eth1"]);
        let mut step = 0;
        while Child::killed_before_call(step, || drop(apply(&spec, &folder))) {
            match step % 2 {
                0 => drop(down(&folder)),
                _ => drop(apply(&spec, &folder)),
            }
            assert_untouched(&before);
            assert_eq!(folder.files(), [""; 0], "step {step}");
            step += 1;
            assert!(step < 1000, "up and down have no end");
        }
        assert!(step > 50, "{step} steps are too few to be all");
        assert_untouched(&before);
    });
}

#[test]
fn what_was_there_before_is_used_and_stays() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        ip("link add net type bridge");
        ip("address add 10.0.1.1/24 dev net");
        ip("link set dev net up");
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/net/forwarding", "0").unwrap();
        let before = settled_snapshot();
        let plan = host::plan(&bridge(&[]), &folder.0).unwrap();
        assert!(!plan.made);
        assert_eq!(
            plan.notes,
            [
                "bridge net is there already and is used as it is",
                "net has 10.0.1.1/24 already",
                "IPv4 forwarding is on already"
            ]
        );
        let applied = host::apply(&plan, &folder.0).unwrap();
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/conf/net/forwarding").unwrap(), "1\n");
        drop(applied);
        assert_untouched(&before);
    });
}

#[test]
fn a_found_bridge_gets_its_own_mac_back_when_our_port_leaves() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        ip("link add net type bridge");
        let mac = run("ip", "-br link show net").split_whitespace().nth(2).unwrap().to_owned();
        let applied = apply(&bridge(&["eth1"]), &folder);
        assert!(!run("ip", "-br link show net").contains(&mac), "the bridge takes its port's");
        assert!(applied.undo().errors.is_empty());
        assert!(run("ip", "-br link show net").contains(&mac));
    });
}

#[test]
fn an_existing_interface_is_used_with_its_own_address() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        let link = LinkSpec::Existing { name: "eth0".to_owned() };
        let spec = NetworkSpec { link, address: None, masquerade: false, forwards: vec![] };
        let plan = host::plan(&spec, &folder.0).unwrap();
        assert_eq!((plan.address.to_string().as_str(), plan.actions.len()), ("10.9.0.1/24", 0));
        let applied = host::apply(&plan, &folder.0).unwrap();
        assert_eq!((applied.made, folder.files().len()), (false, 0));
        drop(applied);
        assert_untouched(&before);
    });
}

#[test]
fn a_failing_step_undoes_those_before_it() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let plan = host::plan(&bridge(&["eth1", "eth2"]), &folder.0).unwrap();
        ip("link del eth2");
        let before = settled_snapshot();
        let error = host::apply(&plan, &folder.0).unwrap_err().to_string();
        assert_eq!(error, "could not put eth2 into net: eth2 is gone");
        assert_untouched(&before);
        assert_eq!(folder.files(), [""; 0]);
    });
}

#[test]
fn a_dry_run_and_a_check_change_nothing() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        let plan = host::plan(&bridge(&["eth1", "eth2"]), &folder.0).unwrap();
        assert_eq!(
            plan.to_string(),
            "make bridge net\n\
             put eth1 into net\n\
             put eth2 into net\n\
             bring eth2 up\n\
             give net 10.0.1.1/24\n\
             bring net up\n\
             masquerade 10.0.1.0/24, forward TCP port 587 on eth0 to 10.0.1.50:587 in nftables table ip lanboot-net\n\
             turn on IPv4 forwarding (net.ipv4.ip_forward 0 -> 1)\n"
        );
        assert_eq!(host::check(&bridge(&["eth1", "eth2"]), &folder.0), []);
        assert_untouched(&before);
        assert!(!folder.0.exists());
    });
}

#[test]
fn a_filter_that_drops_what_is_forwarded_is_named_with_its_remedy() {
    let folder = Folder::new();
    Namespace::new().run(|| {
        run("nft", "add table ip filter");
        run("nft", "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }");
        let warning = |fix: &str| {
            let plan = host::plan(&bridge(&[]), &folder.0).unwrap();
            let drops = plan.warnings.iter().find(|warning| matches!(warning, Warning::Drops { .. })).unwrap().clone();
            assert_eq!(drops.fix(), fix);
            drops.to_string()
        };
        let text = warning("nft insert rule ip filter FORWARD iifname net accept; nft insert rule ip filter FORWARD oifname net accept");
        assert!(text.contains("nftables chain ip filter FORWARD"), "{text}");
        run("nft", "insert rule ip filter FORWARD iifname net accept");
        run("nft", "add chain ip filter DOCKER-USER");
        let text = warning("iptables -I DOCKER-USER -i net -j ACCEPT; iptables -I DOCKER-USER -o net -j ACCEPT");
        assert!(text.starts_with("Docker's packet filter drops"), "{text}");
    });
}

#[test]
fn the_holder_of_a_port_is_found() {
    Namespace::new().run(|| {
        let wanted = Ipv4Addr::LOCALHOST;
        let child = Child::holding(|| (UdpSocket::bind("0.0.0.0:69").unwrap(), TcpListener::bind("[::]:80").unwrap()));
        for (transport, port) in [(Transport::Udp, 69), (Transport::Tcp, 80)] {
            let holders = host::holders(transport, port, wanted, None).unwrap();
            assert_eq!(holders.len(), 1);
            assert_eq!(holders[0].pid, Some(child.pid()));
            assert_eq!(
                holders[0].fix(),
                holders[0].unit.as_ref().map_or(format!("stop it: kill {}", child.pid()), |unit| {
                    format!("systemctl stop {}", unit.trim_end_matches(".service"))
                })
            );
        }
        assert_eq!(host::holders(Transport::Tcp, 69, wanted, None).unwrap(), []);
        child.kill();
        assert_eq!(host::holders(Transport::Udp, 69, wanted, None).unwrap(), []);
    });
}

#[test]
fn sockets_that_cannot_be_in_the_way_are_not_blamed() {
    Namespace::new().run(|| {
        ip("link add net type bridge");
        let _child = Child::holding(|| {
            let dhcp = nix_socket("lo");
            let v6 = v6_only_listener();
            (dhcp, v6)
        });
        let any = Ipv4Addr::new(10, 0, 1, 1);
        assert_eq!(host::holders(Transport::Udp, 67, any, None).unwrap().len(), 1);
        assert_eq!(host::holders(Transport::Udp, 67, any, Some("lo")).unwrap().len(), 1);
        assert_eq!(host::holders(Transport::Udp, 67, any, Some("net")).unwrap(), [], "it hears another interface");
        assert_eq!(host::holders(Transport::Tcp, 80, any, None).unwrap(), [], "it hears IPv6 alone");
    });
}

/// What a DHCP server of libvirt's has: 0.0.0.0:67, bound to an interface.
fn nix_socket(interface: &str) -> UdpSocket {
    use nix::sys::socket::*;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None).unwrap();
    setsockopt(&socket, sockopt::BindToDevice, &interface.into()).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &SockaddrIn::new(0, 0, 0, 0, 67)).unwrap();
    socket.into()
}

fn v6_only_listener() -> TcpListener {
    use nix::sys::socket::*;
    let socket = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::empty(), None).unwrap();
    setsockopt(&socket, sockopt::Ipv6V6Only, &true).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &"[::]:80".parse::<SockaddrIn6>().unwrap()).unwrap();
    listen(&socket, Backlog::new(1).unwrap()).unwrap();
    socket.into()
}

#[test]
fn a_tap_joins_the_bridge_and_goes_with_its_descriptor() {
    let folder = Folder::new();
    Namespace::new().run(|| {
        let applied = apply(&bridge(&[]), &folder);
        let tap = host::Tap::create(None).unwrap();
        tap.enslave("net").unwrap();
        tap.up().unwrap();
        let listed = run("ip", "-br link show master net");
        assert!(listed.starts_with(&tap.name), "{listed}");
        assert!(host::Tap::create(Some(&tap.name)).unwrap_err().to_string().contains("in use"));
        assert!(host::Tap::create(Some("a-name-that-is-too-long")).is_err());
        drop(tap);
        // A process that another test starts at this moment has a copy of the descriptor for a blink.
        eventually(|| run("ip", "-br link show master net").is_empty());
        drop(applied);
    });
}

#[test]
fn undo_goes_on_past_an_error_and_can_be_tried_again() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        Child::holding(|| apply(&bridge(&["eth1"]), &folder)).kill();
        // A table of our name that belongs to somebody else's socket cannot be deleted.
        let rules = host::Rules { interface: "net".to_owned(), masquerade: None, forwards: bridge(&[]).forwards };
        let theirs = host::Nat::install(&rules).unwrap();
        let undone = host::undo_leftovers(&folder.0).unwrap().remove(0);
        assert_eq!(undone.errors.len(), 1, "{undone}");
        assert!(undone.done.contains(&"deleted bridge net".to_owned()), "{undone}");
        assert_eq!(folder.files(), ["host-net.undo"]);
        drop(theirs);
        down(&folder);
        assert_untouched(&before);
        assert_eq!(folder.files(), [""; 0]);
    });
}

#[test]
fn an_interface_that_was_down_and_bare_is_so_again() {
    let (host, _outside) = host_with_a_past();
    let folder = Folder::new();
    host.run(|| {
        let before = settled_snapshot();
        let spec = NetworkSpec { link: LinkSpec::Existing { name: "eth2".to_owned() }, ..bridge(&[]) };
        let applied = apply(&spec, &folder);
        assert!(!applied.made);
        assert!(run("ip", "route").contains("10.0.1.0/24 dev eth2"));
        assert!(applied.undo().errors.is_empty());
        assert_untouched(&before);
    });
}

#[test]
fn the_kernels_own_sentence_reaches_the_user() {
    let folder = Folder::new();
    Namespace::new().run(|| {
        ip("link add br1 type bridge");
        let before = settled_snapshot();
        let plan = host::plan(&bridge(&["br1"]), &folder.0).unwrap();
        let error = host::apply(&plan, &folder.0).unwrap_err().to_string();
        assert!(error.starts_with("could not put br1 into net: the kernel says: Can not enslave a bridge"), "{error}");
        assert_untouched(&before);
    });
}

#[test]
fn leftovers_of_another_namespace_are_not_undone_here() {
    let (there, here) = (Namespace::new(), Namespace::new());
    let folder = Folder::new();
    there.run(|| Child::holding(|| apply(&bridge(&[]), &folder)).kill());
    let inhabitant = there.run(|| Child::holding(|| ()));
    let path = format!("/proc/{}/ns/net", inhabitant.pid());
    here.run(|| {
        let before = settled_snapshot();
        match host::plan(&bridge(&[]), &folder.0) {
            Err(PlanError::Refused(why)) => assert!(why[0].fix().contains(&path), "{}", why[0].fix()),
            other => panic!("{other:?}"),
        }
        let undone = host::undo_leftovers(&folder.0).unwrap().remove(0);
        assert!(undone.errors[0].to_string().contains(&path), "{undone}");
        // A container that is started again finds its old record, but not its old network.
        inhabitant.kill();
        drop(there);
        drop(apply(&bridge(&[]), &folder));
        assert_untouched(&before);
        assert_eq!(folder.files(), [""; 0]);
    });
}

#[test]
fn after_a_restart_of_the_computer_nothing_is_undone() {
    let folder = Folder::new();
    Namespace::new().run(|| {
        Child::holding(|| apply(&bridge(&[]), &folder)).kill();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let record = folder.0.join("host-net.undo");
        let text = std::fs::read_to_string(&record).unwrap().replace(boot.trim(), "an-earlier-one");
        std::fs::write(&record, text).unwrap();
        let before = settled_snapshot();
        let done = down(&folder);
        assert!(done.len() == 1 && done[0].starts_with("nothing was left of net"), "{done:?}");
        assert_untouched(&before);
        assert_eq!(folder.files(), [""; 0]);
    });
}

#[test]
fn without_rights_the_plan_is_told_and_nothing_else() {
    let folder = Folder::new();
    Namespace::new().run(|| {
        // SAFETY: the raw call changes this thread alone, which ends with the test. 65534 is nobody.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) }, 0);
        let plan = host::plan(&bridge(&[]), &folder.0).unwrap();
        assert_eq!((plan.actions.len(), plan.blocked.clone()), (5, Some(Refusal::NoRight)));
        assert!(matches!(host::apply(&plan, &folder.0), Err(host::ApplyError::Blocked { .. })));
        assert!(host::missing_rights().contains(&host::Right::NetAdmin));
        let findings = host::check(&bridge(&[]), &folder.0);
        let rights = findings.iter().filter(|finding| finding.text.contains("CAP_NET_ADMIN")).count();
        assert_eq!(rights, 1, "{findings:?}");
        assert!(!folder.0.exists());
    });
}
