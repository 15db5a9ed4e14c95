//! One server in a network of its own, with a client's socket at the other end of its cable.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mac::Mac;
use nix::sys::signal::Signal;

use crate::harness::{Finished, Folder, Network, Program};
use crate::messages::{self, Message, SERVER};
use crate::wire::{Datagram, Wire};

/// Questions are put again after this long while a server starts.
const PATIENCE: Duration = Duration::from_millis(50);
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// A machine that asks what everyone must answer, so that silence before it is known to be silence.
const FENCE: u8 = 0xfe;
const FENCE_AT: Ipv4Addr = messages::host(254);
/// Transaction ids of the fences; the packets of scenarios have lower ones.
const FENCE_XIDS: u32 = 0x4000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Dnsmasq,
    Lanboot,
}

pub struct Side {
    pub which: Which,
    wire: Wire,
    /// `None` when it is to be heard why it does not answer.
    server: Option<Program>,
    networks: [Network; 2],
    folder: Folder,
    next_xid: u32,
    next_fence: u32,
    /// Only PXE clients get an answer.
    beside: bool,
}

impl Side {
    pub fn start(which: Which, conf: &[String]) -> Side {
        Side::start_prepared(which, conf, "bind-interfaces", |_| ())
    }

    /// `FOLDER` in `conf` is the folder that `prepare` is given first. `binding`: one more line.
    pub fn start_prepared(which: Which, conf: &[String], binding: &str, prepare: impl FnOnce(&Path)) -> Side {
        let (serving, client) = (Network::new(), Network::new());
        serving.cable("net", &client, "eth0");
        serving.run("ip address add 10.0.1.1/24 brd + dev net");
        let folder = Folder::new();
        prepare(&folder.0);
        let mut lines = conf.join("\n").replace("FOLDER", &folder.0.display().to_string());
        lines += &format!("\nport=0\nno-ping\ninterface=net\n{binding}\npid-file=\n");
        lines += &format!("dhcp-leasefile={}\n", folder.0.join("leases").display());
        let conf = folder.0.join("dnsmasq.conf");
        fs::write(&conf, &lines).expect("room for a file");
        let program = match which {
            Which::Dnsmasq => "/usr/sbin/dnsmasq".to_owned(),
            Which::Lanboot => format!("{} dnsmasq", env!("CARGO_BIN_EXE_lanboot")),
        };
        let server = Program::start(serving.command(&format!("{program} --no-daemon -C {}", conf.display())));
        let wire = Wire::on(&client, PATIENCE);
        let networks = [serving, client];
        let mut ranges = lines.lines().filter(|line| line.starts_with("dhcp-range=")).peekable();
        let beside = ranges.peek().is_some() && ranges.all(|range| range.contains(",proxy"));
        let server = Some(server);
        let mut side = Side { which, wire, server, networks, folder, next_xid: 1, next_fence: FENCE_XIDS, beside };
        side.fence();
        side
    }

    /// The network at the other end of the server's cable.
    pub fn client(&self) -> &Network {
        &self.networks[1]
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    pub fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("it runs").signal(signal);
    }

    /// Ends it as a service is ended. Its files are still there.
    pub fn stop(&mut self) -> Finished {
        let server = self.server.take().expect("it is ended once");
        server.signal(Signal::SIGTERM);
        server.finish()
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> Finished {
        self.server.take().expect("it is ended once").finish()
    }

    /// Changes the neighbour table of the server's computer.
    pub fn neighbour(&self, change: &str) {
        self.networks[0].run(&format!("ip neighbour {change} dev net"));
    }

    /// Everything that the server answers to one message.
    pub fn ask(&mut self, message: &Message, port: u16) -> Vec<Datagram> {
        self.next_xid += 1;
        let message = message.clone().xid(self.next_xid);
        self.send(&message, port);
        let mut answers = self.fence();
        // The first may have overtaken an acknowledgement that waited for its lease to be written, and the second one
        // that waited for ARP.
        answers.extend(self.fence());
        answers.extend(self.fence());
        answers.retain(|answer| answer.payload.get(4..8) == message.0.get(4..8));
        answers
    }

    fn send(&mut self, message: &Message, server_port: u16) {
        // Read by hand: it may be malformed on purpose.
        let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&message.0[at..at + 4]).expect("four octets"));
        let mac = Mac(message.0[28..34].try_into().expect("six octets"));
        let (own, relay) = (address(12), address(24));
        let (from, port) = if relay.is_unspecified() { (own, 68) } else { (relay, 67) };
        self.wire.at_home.extend([own, relay].into_iter().filter(|at| !at.is_unspecified()).map(|at| (at, mac)));
        let to = if own.is_unspecified() { Ipv4Addr::BROADCAST } else { SERVER };
        let to = (if relay.is_unspecified() { to } else { SERVER }, server_port);
        self.wire.send(&Datagram { mac, from: (from, port), to, payload: message.0.clone() });
    }

    /// Puts a question that is always answered, until it is; gives what came before.
    fn fence(&mut self) -> Vec<Datagram> {
        self.next_fence += 1;
        let fence = match self.beside {
            true => messages::discover(FENCE).pxe(0),
            false => messages::inform(FENCE, FENCE_AT),
        };
        let fence = fence.xid(self.next_fence);
        let mut before = Vec::new();
        for _ in 0..ANSWERS_WITHIN.as_millis() / PATIENCE.as_millis() {
            self.send(&fence, 67);
            while let Some(answer) = self.wire.receive() {
                if answer.payload.get(4..8) == fence.0.get(4..8) {
                    return before;
                }
                before.push(answer);
            }
        }
        let server = self.server.take().expect("it is ended once");
        server.signal(Signal::SIGKILL);
        panic!("{:?} does not answer:\n{}", self.which, server.finish().err);
    }

    fn lease_file(&self) -> PathBuf {
        self.folder.0.join("leases")
    }

    /// The lease file: address to expiry (seconds; 0 for never) and the rest of the line.
    pub fn leases(&self) -> BTreeMap<String, (u64, String)> {
        let text = fs::read_to_string(self.lease_file()).unwrap_or_default();
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [expiry, mac, address, name, id] = words[..] else { panic!("{:?} wrote `{line}`", self.which) };
            (address.to_owned(), (expiry.parse().expect("a number"), format!("{mac} {name} {id}")))
        };
        text.lines().map(line).collect()
    }
}
