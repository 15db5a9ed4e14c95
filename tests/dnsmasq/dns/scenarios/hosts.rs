//! Names of hosts files, and domains.

use nix::sys::signal::Signal;

use super::KEPT_LONGER;
use crate::dns::ask::{Heard, ask, ask_name_of};
use crate::dns::compare::{Outcome, What};
use crate::dns::scenario::{Group, run};

const HOSTS: &str = "127.0.0.1 localhost\n\
    10.0.1.20 printer printer.other.test # with a second name\n\
    10.0.1.21\tscanner\n\
    10.0.1.22 twin\n10.0.1.23 twin\n10.0.2.24 twin\n\
    fd01::20 printer\n\
    10.0.1.25 whole.example.test.\n\
    10.0.1.26 UPPER\n\
    10.0.1.27 shared-a shared-b\n\
    0.0.0.0 blocked.test\n\
    # 10.0.1.28 commented\n\
    10.0.1.29 bad_name\n\
    10.0.1.300 broken\n\
    10.0.1.30\n";

fn hosts(name: &'static str, lines: &[&str]) -> Group {
    let base = ["no-resolv", "no-hosts", "server=10.9.0.11", "addn-hosts=FOLDER/hosts"];
    Group::bare(name, &[&base[..], lines].concat()).file("hosts", HOSTS)
}

fn questions(group: Group) -> Group {
    group
        .asks(&[
            "printer A",
            "printer AAAA",
            "printer MX",
            "printer ANY",
            "printer.lan A",
            "printer.lan AAAA",
            "printer.other.test A",
            "printer.other.test.lan A",
            "scanner A",
            "scanner AAAA",
            "scanner.lan TXT",
            "localhost A",
            "whole.example.test A",
            "upper A",
            "UPPER.lan A",
            "shared-a A",
            "shared-b A",
            "blocked.test A",
            "blocked.test AAAA",
            "commented A",
            "bad_name A",
            "broken A",
            "nowhere.lan A",
        ])
        .ask("PTR of one with two names", ask_name_of("10.0.1.20"))
        .ask("PTR of one", ask_name_of("10.0.1.21"))
        .ask("PTR of IPv6", ask_name_of("fd01::20"))
        .ask("PTR of a whole name", ask_name_of("10.0.1.25"))
        .ask("PTR of capitals", ask_name_of("10.0.1.26"))
        .ask("PTR of one with two plain names", ask_name_of("10.0.1.27"))
        .ask("PTR of localhost", ask_name_of("127.0.0.1"))
        .ask("PTR of nobody", ask_name_of("10.0.1.99"))
        .ask("PTR of a blocked one", ask_name_of("0.0.0.0"))
}

#[test]
fn files() {
    run(&[
        questions(hosts("hosts", &[])),
        questions(hosts("expand-hosts", &["expand-hosts", "domain=lan"])),
        questions(hosts("expand-hosts without a domain", &["expand-hosts"])),
        questions(hosts("domain without expand-hosts", &["domain=lan"])),
        questions(hosts("expand-hosts and local", &["expand-hosts", "domain=lan", "local=/lan/"])),
        questions(hosts("domain,local", &["expand-hosts", "domain=lan,10.0.1.0/24,local"])),
        questions(hosts("domains by address", &["expand-hosts", "domain=other.test", "domain=lan,10.0.1.0/24"])),
        questions(hosts("local-ttl", &["local-ttl=55", "expand-hosts", "domain=lan"])),
        questions(hosts("bogus-priv", &["bogus-priv"])),
    ])
}

#[test]
fn several_addresses() {
    let twins = &["twin A", "twin A", "twin A", "twin A"];
    run(&[
        hosts("round robin", &[]).asks(twins),
        hosts("no-round-robin", &["no-round-robin"]).asks(twins),
        hosts("localise-queries", &["localise-queries"])
            .cable("other", &["10.0.2.1/24"], &["10.0.2.2/24"])
            .asks(twins)
            .ask("from the other", ask("twin A").from("10.0.2.2").to("10.0.2.1"))
            .ask("from the other, an address of the first alone", ask("printer A").from("10.0.2.2").to("10.0.2.1"))
            .ask("PTR", ask_name_of("10.0.2.24")),
    ])
}

/// The addresses of each answer, in order.
fn addresses(outcomes: &[Outcome]) -> Vec<Vec<String>> {
    let addresses = |outcome: &Outcome| match &outcome.heard {
        Heard::Message(message) => message.sections[0].iter().map(|record| record.data.clone()).collect(),
        _ => Vec::new(),
    };
    outcomes.iter().map(addresses).collect()
}

#[test]
fn orders_of_addresses() {
    let asked = ["twin A"; 6];
    let [theirs, ours] = hosts("no-round-robin", &["no-round-robin"]).asks(&asked).outcomes();
    assert_eq!(addresses(&theirs), addresses(&ours));
    for side in hosts("round robin", &[]).asks(&asked).outcomes() {
        let mut first: Vec<_> = addresses(&side).into_iter().filter_map(|all| all.into_iter().next()).collect();
        first.sort();
        first.dedup();
        assert_eq!(first, ["10.0.1.22", "10.0.1.23", "10.0.2.24"], "each comes first now and then");
    }
}

#[test]
fn files_that_change() {
    run(&[
        hosts("SIGHUP", &[])
            .ask("before", ask("printer A"))
            .ask("not there yet", ask("newcomer.test A"))
            .ask("from outside", ask("www.example.net A"))
            .write("hosts", "10.0.1.40 printer\n10.0.1.41 newcomer.test\n")
            .ask("written, not told", ask("printer A"))
            .signal(Signal::SIGHUP)
            .ask("told", ask("printer A"))
            .until("10.0.1.40")
            .ask("a new name", ask("newcomer.test A"))
            .ask("its old address", ask_name_of("10.0.1.20"))
            .ask("its new address", ask_name_of("10.0.1.40"))
            .ask("a name that is gone", ask("scanner A"))
            .ask("the cache is empty", ask("www.example.net A")),
        Group::new("hostsdir", &["hostsdir=FOLDER/hosts.d"])
            .file("hosts.d/one", "10.0.1.20 printer.test\n")
            .ask("before", ask("printer.test A"))
            .write("hosts.d/two", "10.0.1.21 scanner.test\n")
            .ask("a new file", ask("scanner.test A"))
            .until("10.0.1.21")
            .ask("the old one", ask("printer.test A"))
            .write("hosts.d/one", "10.0.1.30 printer.test\n")
            .ask("a changed file", ask("printer.test A"))
            .until("10.0.1.30")
            .ask("the address it had", ask_name_of("10.0.1.20"))
            .remove("hosts.d/two")
            .write("hosts.d/three", "10.0.1.22 plotter.test\n")
            .ask("another file", ask("plotter.test A"))
            .until("10.0.1.22")
            .ask("of a file that is gone", ask("scanner.test A"))
            .by_chance(&[What::Asked], KEPT_LONGER),
        Group::new("addn-hosts, a folder", &["addn-hosts=FOLDER/hosts.d"])
            .file("hosts.d/one", "10.0.1.20 printer.test\n")
            .file("hosts.d/.hidden", "10.0.1.21 hidden.test\n")
            .file("hosts.d/backup~", "10.0.1.22 backup.test\n")
            .file("hosts.d/#auto#", "10.0.1.23 auto.test\n")
            .asks(&["printer.test A", "hidden.test A", "backup.test A", "auto.test A"]),
        Group::new("a file that is not there", &["addn-hosts=FOLDER/nothing"])
            .ask("outside", ask("www.example.net A"))
            .write("nothing", "10.0.1.20 printer.test\n")
            .signal(Signal::SIGHUP)
            .ask("once it is there", ask("printer.test A"))
            .until("10.0.1.20"),
    ])
}
