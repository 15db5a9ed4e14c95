//! What the log says on SIGUSR1 and of queries.

use nix::sys::signal::Signal;

use super::ask::{Patience, ask};
use super::side::{Side, World};
use crate::harness::LONG;
use crate::side::Which;

const PATIENT: Patience = Patience { each: LONG, tries: 1 };

fn start(which: Which, lines: &[&str]) -> Side {
    let usual = ["no-resolv", "no-hosts", "server=10.9.0.11"];
    let conf: Vec<String> = usual.iter().chain(lines).map(|line| (*line).to_owned()).collect();
    Side::start(which, &conf, &World::default())
}

#[test]
fn sigusr1_tells_of_the_cache_and_of_servers() {
    for which in super::scenario::sides() {
        let mut side = start(*which, &["cache-size=200"]);
        for question in ["www.example.net A", "www.example.net A", "nowhere.example.net A", "example.net MX"] {
            side.ask(&ask(question), PATIENT);
        }
        side.signal(Signal::SIGUSR1);
        let size = side.says("cache size");
        assert!(size.contains("200"), "{which:?}: {size}");
        let forwarded = side.says("queries forwarded");
        assert!(forwarded.contains("queries forwarded 3"), "{which:?}: {forwarded}");
        let server = side.says("10.9.0.11#53");
        assert!(server.contains("queries sent 3"), "{which:?}: {server}");
    }
}

#[test]
fn queries_are_logged_when_asked_for() {
    for which in super::scenario::sides() {
        let mut side = start(*which, &["log-queries", "host-record=box.lan,10.0.1.50"]);
        for question in ["www.example.net A", "www.example.net A", "box.lan A"] {
            side.ask(&ask(question), PATIENT);
        }
        for line in [
            "query[A] www.example.net from 10.0.1.2",
            "forwarded www.example.net to 10.9.0.11",
            "reply www.example.net is 192.0.2.80",
            "cached www.example.net is 192.0.2.80",
            "query[A] box.lan from 10.0.1.2",
            "box.lan is 10.0.1.50",
        ] {
            side.says(line);
        }
    }
}

#[test]
fn it_ends_when_told() {
    for which in super::scenario::sides() {
        let mut side = start(*which, &[]);
        side.ask(&ask("www.example.net A"), PATIENT);
        let ended = side.stop();
        assert_eq!(ended.status.code(), Some(0), "{which:?}: {}", ended.err);
    }
}

#[test]
fn one_connection_carries_many_queries() {
    let names: Vec<String> = (0..20).map(|at| format!("n{at}.wild.example.net A")).collect();
    for which in super::scenario::sides() {
        let side = start(*which, &[]);
        let questions: Vec<_> = names.iter().map(|name| ask(name)).collect();
        let answered = side.ask_in_one(&questions);
        assert_eq!(answered, names.len(), "{which:?}");
    }
}

#[test]
fn idle_connections_beyond_the_limit_keep_nobody_waiting() {
    // dnsmasq is not asked: with --no-daemon it serves nobody else while one connection is open.
    for which in super::scenario::sides().iter().filter(|which| **which == Which::Lanboot) {
        let side = start(*which, &["max-tcp-connections=2"]);
        let idle = side.connect(4);
        let (heard, _) = side.ask(&ask("www.example.net A"), PATIENT);
        assert!(heard.to_string().contains("192.0.2.80"), "{heard}");
        drop(idle);
        let (heard, _) = side.ask(&ask("v4.example.net A").tcp(), PATIENT);
        assert!(heard.to_string().contains("192.0.2.4"), "{heard}");
    }
}
