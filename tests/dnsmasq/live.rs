//! Lists that are read again while both serve: what a machine is given before and after.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use dhcp::v4::{MessageType, Packet, code};
use nix::sys::signal::Signal;

use crate::harness::{LONG, eventually};
use crate::messages::{discover, host, mac, select};
use crate::side::{Side, Which};

/// What a machine is offered: the address, and option 66.
type Offer = (Ipv4Addr, Option<String>);

/// dnsmasq and lanboot under the same options, each with files of its own.
struct Both([Side; 2]);

impl Both {
    fn start(conf: &[&str], prepare: impl Fn(&Path)) -> Both {
        let range = "dhcp-range=10.0.1.100,10.0.1.150,1h";
        let conf: Vec<String> = [range, "dhcp-sequential-ip"].iter().chain(conf).map(|line| line.to_string()).collect();
        Both(
            [Which::Dnsmasq, Which::Lanboot]
                .map(|which| Side::start_prepared(which, &conf, "bind-interfaces", &prepare)),
        )
    }

    fn files(&self, change: impl Fn(&Path)) -> &Both {
        self.0.iter().for_each(|side| change(side.folder()));
        self
    }

    fn write(&self, name: &str, text: &str) -> &Both {
        self.files(|folder| fs::write(folder.join(name), text).expect("room for a file"))
    }

    fn hang_up(&self) -> &Both {
        self.0.iter().for_each(|side| side.signal(Signal::SIGHUP));
        self
    }

    /// Waits until both offer this to the machine.
    #[track_caller]
    fn offer(&mut self, machine: u8, wanted: &Offer) {
        for side in &mut self.0 {
            let side = std::cell::RefCell::new(side);
            let deadline = Instant::now() + LONG;
            loop {
                let offered = offer(&mut side.borrow_mut(), machine);
                if offered.as_ref() == Some(wanted) {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "{:?} still offers {offered:?}, not {wanted:?}",
                    side.borrow().which
                );
            }
        }
    }

    /// Both offer this now.
    #[track_caller]
    fn offers(&mut self, machine: u8, wanted: &Offer) {
        let offered = self.0.each_mut().map(|side| offer(side, machine));
        assert_eq!(offered, [Some(wanted.clone()), Some(wanted.clone())]);
    }
}

fn offer(side: &mut Side, machine: u8) -> Option<Offer> {
    let answers = side.ask(&discover(machine).asks(&[code::TFTP_SERVER_NAME]), 67);
    let packet = Packet::parse(&answers.first()?.payload).expect("a DHCP message");
    assert_eq!(packet.message_type(), Some(MessageType::Offer));
    Some((packet.yiaddr(), packet.text(code::TFTP_SERVER_NAME)))
}

fn at(last: u8) -> Offer {
    (host(last), None)
}

fn line(machine: u8, last: u8) -> String {
    format!("{},10.0.1.{last}\n", mac(machine))
}

#[test]
fn a_hosts_file_is_read_at_the_start_and_on_sighup() {
    let mut both = Both::start(&["dhcp-hostsfile=FOLDER/hosts"], |folder| {
        fs::write(folder.join("hosts"), format!("# ours\n{}{}", line(1, 50), line(2, 51))).expect("room");
    });
    both.offers(1, &at(50));
    both.offers(2, &at(51));
    // A changed file counts once they are told; then the line that is gone does not.
    both.write("hosts", &line(1, 60));
    both.offers(1, &at(50));
    both.hang_up();
    both.offer(1, &at(60));
    for side in &mut both.0 {
        assert!((100..=150).contains(&offer(side, 2).expect("an offer").0.octets()[3]));
    }
}

#[test]
fn a_bad_line_keeps_no_other_from_counting() {
    let mut both = Both::start(&["dhcp-hostsfile=FOLDER/hosts", "dhcp-optsfile=FOLDER/options"], |folder| {
        let hosts = format!("{}52:54:00:00:00:zz,10.0.1.52\n10.0.1.53,,bad name here!\n{}", line(1, 50), line(2, 51));
        fs::write(folder.join("hosts"), hosts).expect("room");
        fs::write(folder.join("options"), "option:nosuch,1\noption:tftp-server,files\n").expect("room");
    });
    let files = Some("files".to_owned());
    both.offers(1, &(host(50), files.clone()));
    both.offers(2, &(host(51), files));
    let said = both.0.each_mut().map(|side| side.stop().err);
    assert!(said.iter().all(|said| said.contains("hosts") && said.contains("options")), "{said:?}");
    assert!(said[1].contains("hosts:2") && said[1].contains("options:1"), "with their lines: {}", said[1]);
}

#[test]
fn a_missing_file_is_said_and_read_once_it_is_there() {
    let mut both = Both::start(&["dhcp-hostsfile=FOLDER/hosts"], |_| ());
    both.write("hosts", &line(1, 50)).hang_up();
    both.offer(1, &at(50));
    let said = both.0.each_mut().map(|side| side.stop().err);
    assert!(said.iter().all(|said| said.contains("cannot read")), "{said:?}");
}

#[test]
fn a_folder_of_hosts_files_is_read_without_what_editors_leave() {
    let mut both = Both::start(&["dhcp-hostsfile=FOLDER/hosts"], |folder| {
        fs::create_dir(folder.join("hosts")).expect("a new folder");
        let files =
            [("b", line(1, 50)), ("a", line(2, 51)), (".c", line(3, 52)), ("d~", line(3, 53)), ("#e#", line(3, 54))];
        for (name, text) in files {
            fs::write(folder.join("hosts").join(name), text).expect("room");
        }
    });
    both.offers(1, &at(50));
    both.offers(2, &at(51));
    both.offers(3, &at(100));
    both.write("hosts/f", &line(4, 60)).hang_up();
    both.offer(4, &at(60));
}

#[test]
fn a_watched_folder_counts_at_once_and_forgets_on_sighup() {
    let folder = |folder: &Path| fs::create_dir(folder.join("hosts")).expect("a new folder");
    let mut both = Both::start(&["dhcp-hostsdir=FOLDER/hosts"], folder);
    both.write("hosts/a", &line(1, 50));
    both.offer(1, &at(50));
    // Moved in under its name, as careful programs do.
    both.write("b", &line(2, 51))
        .files(|folder| fs::rename(folder.join("b"), folder.join("hosts/b")).expect("one disk"));
    both.offer(2, &at(51));
    // Said otherwise: the new line counts.
    both.write("hosts/a", &line(1, 60));
    both.offer(1, &at(60));
    // Gone, and still counted while others come, until they are told.
    both.files(|folder| fs::remove_file(folder.join("hosts/b")).expect("it was there"));
    both.write("hosts/c", &line(3, 53));
    both.offer(3, &at(53));
    both.offers(2, &at(51));
    both.write("hosts/d", &line(4, 54)).hang_up();
    both.offer(4, &at(54));
    for side in &mut both.0 {
        let side = std::cell::RefCell::new(side);
        eventually(|| offer(&mut side.borrow_mut(), 2).is_some_and(|(address, _)| address.octets()[3] >= 100));
    }
    both.offers(1, &at(60));
}

#[test]
fn an_options_file_is_read_at_the_start_and_on_sighup() {
    let mut both =
        Both::start(&["dhcp-optsfile=FOLDER/options", "dhcp-host=52:54:00:00:00:02,set:lab,10.0.1.51"], |folder| {
            fs::write(folder.join("options"), "option:tftp-server,one\ntag:lab,66,\"lab\"\n").expect("room");
        });
    both.offers(1, &(host(100), Some("one".into())));
    both.offers(2, &(host(51), Some("lab".into())));
    both.write("options", "option:tftp-server,two\n").hang_up();
    both.offer(1, &(host(100), Some("two".into())));
    both.offers(2, &(host(51), Some("two".into())));
    both.write("options", "").hang_up();
    both.offer(1, &at(100));
}

#[test]
fn an_options_folder_counts_at_once() {
    let folder = |folder: &Path| fs::create_dir(folder.join("options")).expect("a new folder");
    let mut both = Both::start(&["dhcp-optsdir=FOLDER/options"], folder);
    both.offers(1, &at(100));
    both.write("options/a", "option:tftp-server,one\n");
    both.offer(1, &(host(100), Some("one".into())));
    both.write("options/a", "option:tftp-server,two\n");
    both.offer(1, &(host(100), Some("two".into())));
}

#[test]
fn the_files_and_the_command_line_have_one_order() {
    let prepare = |folder: &Path| {
        fs::write(folder.join("hosts"), format!("{}{}{}", line(1, 50), line(2, 51), line(2, 52))).expect("room");
        fs::write(folder.join("options"), "66,from-file\n").expect("room");
    };
    let conf = [
        "dhcp-host=52:54:00:00:00:01,10.0.1.60",
        "dhcp-host=52:54:00:00:00:03,10.0.1.61",
        "dhcp-host=52:54:00:00:00:03,10.0.1.62",
        "dhcp-option=66,from-conf",
        "dhcp-hostsfile=FOLDER/hosts",
        "dhcp-optsfile=FOLDER/options",
    ];
    let mut both = Both::start(&conf, prepare);
    for machine in [1, 2, 3] {
        let offered = both.0.each_mut().map(|side| offer(side, machine));
        assert_eq!(offered[0], offered[1], "machine {machine}: dnsmasq, lanboot");
    }
}

#[test]
fn leases_outlive_a_reading() {
    let mut both = Both::start(&["dhcp-hostsfile=FOLDER/hosts"], |folder| {
        fs::write(folder.join("hosts"), "").expect("room");
    });
    for side in &mut both.0 {
        side.ask(&discover(1), 67);
        side.ask(&select(1, host(100)).with(code::HOST_NAME, b"alpha"), 67);
    }
    both.write("hosts", &line(2, 50)).hang_up();
    both.offer(2, &at(50));
    both.offers(1, &at(100));
    for side in &mut both.0 {
        let side = &*side;
        eventually(|| side.leases().get("10.0.1.100").is_some_and(|(_, line)| line.contains("alpha")));
    }
}

#[test]
fn sighup_ends_dnsmasq_once_a_tagged_line_has_matched_but_not_us() {
    let text = format!("{},set:lab,10.0.1.50\n", mac(1));
    let mut both = Both::start(&["dhcp-hostsfile=FOLDER/hosts", "dhcp-option=tag:lab,66,lab"], |folder| {
        fs::write(folder.join("hosts"), &text).expect("room");
    });
    let lab = (host(50), Some("lab".to_owned()));
    both.offers(1, &lab);
    both.write("hosts", &text.replace("1.50", "1.60")).hang_up();
    let [theirs, ours] = &mut both.0;
    assert!(!theirs.ended().status.success(), "dnsmasq 2.90 aborts: a tag is given back twice");
    let ours = std::cell::RefCell::new(ours);
    eventually(|| offer(&mut ours.borrow_mut(), 1) == Some((host(60), Some("lab".to_owned()))));
}
