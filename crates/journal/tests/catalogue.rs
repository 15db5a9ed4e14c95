//! Every event survives JSON, and docs/events.md tells of every one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use jiff::Timestamp;
use journal::catalogue::{CATALOGUE, markdown};
use journal::{Asked, Event, Protocol, Role, Said, Stage, Step, Unresolved};
use mac::Mac;
use serde_json::Value;

/// One of each kind, with every field that may be absent present.
fn samples() -> Vec<Step> {
    let address = Ipv4Addr::new(10, 0, 1, 200);
    let text = || "text \"quoted\" \u{1b} ü".to_owned();
    let some = || Some(text());
    let (tftp, http) = (Protocol::Tftp, Protocol::Http);
    let discover = |stage| Step::DhcpDiscover {
        stage,
        arch: some(),
        vendor_class: some(),
        firmware: some(),
        relay: Some(address),
        asked: Some(address),
    };
    let ack = |stage| Step::DhcpAck {
        stage,
        address,
        lease_secs: u32::MAX,
        name: some(),
        boot_file: some(),
        renewal: true,
        because: vec![text(), text()],
    };
    let sent =
        |role| Step::FileSent { protocol: http, file: text(), role, octets: 5_000_000_000, millis: 0, retransmits: 3 };
    let stages = [Stage::Pxe, Stage::HttpBoot, Stage::Ipxe, Stage::Os];
    let roles = [Role::Loader, Role::Script, Role::Kernel, Role::Initrd, Role::Other];
    let others = vec![
        Step::DhcpOffer { address, boot_file: some(), because: vec![] },
        Step::DhcpInform { address },
        Step::DhcpRelayed { to: vec!["10.0.2.9:67".parse().unwrap()] },
        Step::DhcpNak { address, because: text() },
        Step::ProxyAnswer { stage: Stage::Pxe, boot_file: some(), port: 4011, because: vec![text()] },
        Step::AddressElsewhere { stage: Stage::Ipxe, address, server: Some(address) },
        Step::DhcpDecline { address },
        Step::DhcpRelease { address },
        Step::DhcpIgnored { because: text() },
        Step::AddressInUse { address, by: Some(Mac([2, 0, 0, 0, 0, 9])) },
        Step::LoopBroken { loader: text(), times: 3 },
        Step::SizeProbe { protocol: tftp, file: text(), octets: 0 },
        Step::FileFailed { protocol: tftp, file: text(), octets: 512, because: text() },
        Step::FileNotFound { protocol: http, file: text(), because: text() },
        Step::LookedUp { name: text(), kind: text(), answers: vec![text()], local: true, millis: u64::MAX },
        Step::IpxeFailed { what: text(), error: text() },
        Step::OsUp { how: text(), detail: some() },
        Step::Report { what: text(), text: text() },
        Step::Host { action: text() },
        Step::Listening { service: text(), at: "10.0.1.1:69".parse().unwrap() },
        Step::LeasesWritten,
        Step::Warning { text: text(), fix: some() },
        Step::VmStarted { name: text(), firmware: text(), pid: 812 },
        Step::Console { line: text() },
        Step::Typed { keys: text() },
        Step::VmStopped { name: text(), because: text() },
        Step::Verdict { name: text(), passed: false, because: text() },
    ];
    let failed = |why| Step::LookUpFailed { name: text(), kind: text(), why };
    let by = Some("[2001:db8::1]:53".parse().unwrap());
    let asked = [Said::Silent, Said::Unreachable, Said::Malformed, Said::Code(text())];
    let asked = asked.map(|said| Asked { server: "192.0.2.1:53".parse().unwrap(), said }).to_vec();
    let reasons = [
        Unresolved::NoSuchName { by },
        Unresolved::NoAnswer { asked },
        Unresolved::NoServer,
        Unresolved::Refused { code: text(), by },
    ];
    let dhcp = stages.map(discover).into_iter().chain(stages.map(ack));
    dhcp.chain(roles.map(sent)).chain(reasons.map(failed)).chain(others).collect()
}

fn event(step: Step, machine: Option<Mac>) -> Event {
    Event {
        at: Timestamp::from_microsecond(1_767_225_600_123_456).unwrap(),
        machine,
        client: None,
        interface: None,
        step,
    }
}

#[test]
fn every_event_survives_json() {
    for step in samples() {
        for machine in [None, Some(Mac([0x52, 0x54, 0, 0, 0, 1]))] {
            let event = event(step.clone(), machine);
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
        }
    }
}

#[test]
fn absent_fields_are_left_out_and_may_be_missing() {
    let offer = Step::DhcpOffer { address: Ipv4Addr::new(10, 0, 1, 200), boot_file: None, because: vec![] };
    let json = serde_json::to_string(&event(offer.clone(), None)).unwrap();
    assert_eq!(json, r#"{"at":"2026-01-01T00:00:00.123456Z","step":"dhcp-offer","address":"10.0.1.200","because":[]}"#);
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event(offer, None));
}

#[test]
fn why_a_look_up_failed_reads_well_in_json() {
    let asked = |server: &str, said| Asked { server: server.parse().unwrap(), said };
    let asked = vec![asked("192.0.2.1:53", Said::Silent), asked("192.0.2.2:53", Said::Code("SERVFAIL".to_owned()))];
    for (why, json) in [
        (
            Unresolved::NoAnswer { asked },
            r#"{"reason":"no-answer","asked":[{"server":"192.0.2.1:53","said":"silent"},{"server":"192.0.2.2:53","said":{"code":"SERVFAIL"}}]}"#,
        ),
        (Unresolved::NoSuchName { by: None }, r#"{"reason":"no-such-name"}"#),
        (Unresolved::NoServer, r#"{"reason":"no-server"}"#),
    ] {
        assert_eq!(serde_json::to_string(&why).unwrap(), json);
    }
}

/// The names that serde knows, from its complaint about one it does not.
fn names_in_the_enum() -> BTreeSet<String> {
    let complaint = serde_json::from_str::<Step>(r#"{"step":"?"}"#).unwrap_err().to_string();
    complaint.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[test]
fn catalogue_names_every_kind_with_its_fields() {
    let catalogue: BTreeSet<String> = CATALOGUE.iter().map(|about| about.name.to_owned()).collect();
    assert_eq!(catalogue, names_in_the_enum());
    let mut seen = BTreeSet::new();
    for step in samples() {
        let Value::Object(object) = serde_json::to_value(event(step, None)).unwrap() else { panic!("an object") };
        let name = object["step"].as_str().unwrap();
        let about = CATALOGUE.iter().find(|about| about.name == name).unwrap();
        let fields: BTreeSet<&str> =
            object.keys().map(String::as_str).filter(|key| !["at", "step"].contains(key)).collect();
        let told: BTreeSet<&str> = about.fields.iter().map(|field| field.trim_end_matches('?')).collect();
        assert_eq!(fields, told, "{name}");
        seen.insert(name.to_owned());
    }
    assert_eq!(seen, catalogue, "every kind has a sample");
}

#[test]
fn page_is_as_printed_from_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == markdown(), "docs/events.md is not what the catalogue says: UPDATE_DOCS=1 cargo test -p journal");
}
