//! One server in a network of its own, with clients' sockets at the other ends of its cables.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mac::Mac;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::harness::{Finished, Folder, Network, Program};
use crate::messages::{self, Message};
use crate::wire::{Datagram, Wire};

/// Questions are put again after this long while a server starts.
const PATIENCE: Duration = Duration::from_millis(50);
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// Transaction ids of the fences; the packets of scenarios have lower ones.
const FENCE_XIDS: u32 = 0x4000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Dnsmasq,
    Lanboot,
}

/// What the server's network looks like.
#[derive(Clone, Debug)]
pub struct World {
    /// The names of the server's interfaces, each with its addresses; the first is told to clients that ask it directly.
    pub cables: Vec<(&'static str, Vec<&'static str>)>,
    /// Commands to run there, such as `ip route add ...`.
    pub commands: Vec<&'static str>,
    /// The cable that fences go by.
    pub fence: &'static str,
    /// Whether the interfaces are named in the options of every group, and bound to.
    pub names_interfaces: bool,
}

impl Default for World {
    fn default() -> World {
        let cables = vec![("net", vec!["10.0.1.1/24"])];
        World { cables, commands: Vec::new(), fence: "net", names_interfaces: true }
    }
}

impl World {
    /// The server's own address on a cable.
    fn server(&self, cable: &str) -> Ipv4Addr {
        let (_, addresses) = self.cables.iter().find(|(name, _)| *name == cable).expect("a cable of this world");
        // A port of a bridge has none of its own.
        let addresses = if addresses.is_empty() { &self.cables[0].1 } else { addresses };
        let (address, _) = addresses.first().and_then(|first| first.split_once('/')).expect("address and prefix");
        address.parse().expect("an address")
    }
}

/// What the client calls its end of a cable.
fn end(cable: &'static str) -> &'static str {
    if cable == "net" { "eth0" } else { cable }
}

pub struct Side {
    pub which: Which,
    /// The UDP ports of servers and of clients.
    ports: (u16, u16),
    world: World,
    /// One for each cable.
    wires: Vec<Wire>,
    /// `None` when it is to be heard why it does not answer.
    server: Option<Program>,
    /// What it has said so far.
    said: Vec<String>,
    serving: Network,
    client: Network,
    folder: Folder,
    next_xid: u32,
    next_fence: u32,
    /// Only PXE clients get an answer.
    beside: bool,
}

impl Side {
    pub fn start(which: Which, conf: &[String], world: &World) -> Side {
        Side::start_in(world, which, conf, "bind-interfaces", |_| ())
    }

    /// In the plainest world.
    pub fn start_prepared(which: Which, conf: &[String], binding: &str, prepare: impl FnOnce(&Path)) -> Side {
        Side::start_in(&World::default(), which, conf, binding, prepare)
    }

    /// `FOLDER` in `conf` is the folder that `prepare` is given first. `binding`: one more line, where interfaces are
    /// named.
    fn start_in(world: &World, which: Which, conf: &[String], binding: &str, prepare: impl FnOnce(&Path)) -> Side {
        let ports = ports(conf);
        let (serving, client) = (Network::new(), Network::new());
        let folder = Folder::new();
        prepare(&folder.0);
        let mut lines = conf.join("\n").replace("FOLDER", &folder.0.display().to_string());
        lines += "\nport=0\nno-ping\npid-file=\n";
        for (name, addresses) in &world.cables {
            serving.cable(name, &client, end(name));
            for address in addresses {
                serving.run(&format!("ip address add {address} brd + dev {name}"));
            }
            if world.names_interfaces {
                lines += &format!("interface={name}\n");
            }
        }
        if world.names_interfaces {
            lines += &format!("{binding}\n");
        }
        world.commands.iter().for_each(|command| drop(serving.run(command)));
        lines += &format!("dhcp-leasefile={}\n", folder.0.join("leases").display());
        let conf = folder.0.join("dnsmasq.conf");
        fs::write(&conf, &lines).expect("room for a file");
        let program = match which {
            Which::Dnsmasq => "/usr/sbin/dnsmasq".to_owned(),
            Which::Lanboot => format!("{} dnsmasq", env!("CARGO_BIN_EXE_lanboot")),
        };
        let server = Program::start(serving.command(&format!("{program} --no-daemon -C {}", conf.display())));
        let wires = world.cables.iter().map(|(name, _)| Wire::on(&client, name, end(name), PATIENCE)).collect();
        let mut ranges = lines.lines().filter(|line| line.starts_with("dhcp-range=")).peekable();
        let beside = ranges.peek().is_some() && ranges.all(|range| range.contains(",proxy"));
        let mut side = Side {
            which,
            ports,
            world: world.clone(),
            wires,
            server: Some(server),
            said: Vec::new(),
            serving,
            client,
            folder,
            next_xid: 1,
            next_fence: FENCE_XIDS,
            beside,
        };
        side.fence();
        side
    }

    /// The network at the other ends of the server's cables.
    pub fn client(&self) -> &Network {
        &self.client
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
        self.finish(server)
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> Finished {
        let server = self.server.take().expect("it is ended once");
        self.finish(server)
    }

    fn finish(&mut self, server: Program) -> Finished {
        let mut finished = server.finish();
        let said: String = self.said.drain(..).map(|line| line + "\n").collect();
        finished.err.insert_str(0, &said);
        finished
    }

    /// Changes the neighbour table of the server's computer.
    pub fn neighbour(&self, change: &str) {
        self.serving.run(&format!("ip neighbour {change} dev net"));
    }

    /// Runs a command in the server's network.
    pub fn run(&self, command: &str) {
        self.serving.run(command);
    }

    /// Lays another cable while the server runs.
    pub fn add_cable(&mut self, name: &'static str, addresses: &[&'static str]) {
        self.serving.cable(name, &self.client, end(name));
        for address in addresses {
            self.serving.run(&format!("ip address add {address} brd + dev {name}"));
        }
        self.world.cables.push((name, addresses.to_vec()));
        self.wires.push(Wire::on(&self.client, name, end(name), PATIENCE));
    }

    /// Everything that the server answers to one message.
    pub fn ask(&mut self, message: &Message, port: u16) -> Vec<Datagram> {
        self.ask_by("net", message, port, true)
    }

    /// As [`Side::ask`], by this cable; the answers may come out by another. `is_heard`: the server serves that cable.
    pub fn ask_by(&mut self, cable: &str, message: &Message, port: u16, is_heard: bool) -> Vec<Datagram> {
        self.next_xid += 1;
        let message = message.clone().xid(self.next_xid);
        // lanboot writes leases while it goes on, and says what became of them when that is done.
        let is_written = is_heard && self.which == Which::Lanboot && message.is_about_lease();
        if is_written {
            // So that what it says next of this machine is about this message.
            self.await_line(&fence_mac(self.next_fence), |_| true);
        }
        self.send(cable, &message, port);
        let mut answers = self.fence();
        if is_written {
            let mac = Mac(message.0[28..34].try_into().expect("six octets"));
            self.await_line(&mac, |line| !line.contains("DHCPDISCOVER("));
            answers.extend(self.fence());
        }
        // The first may have overtaken a message to another port, and the second an answer that waited for ARP.
        answers.extend(self.fence());
        answers.extend(self.fence());
        answers.retain(|answer| answer.payload.get(4..8) == message.0.get(4..8));
        answers
    }

    /// Waits until the server's log says something of this machine that is wanted.
    fn await_line(&mut self, mac: &Mac, is_wanted: impl Fn(&str) -> bool) {
        let (mac, said) = (mac.to_string(), RefCell::new(&mut self.said));
        let server = self.server.as_mut().expect("it runs");
        server.next_complaint(|line| {
            said.borrow_mut().push(line.to_owned());
            (line.contains(&mac) && is_wanted(line)).then_some(())
        });
    }

    fn send(&mut self, cable: &str, message: &Message, port: u16) {
        // Read by hand: it may be malformed on purpose.
        let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&message.0[at..at + 4]).expect("four octets"));
        let mac = Mac(message.0[28..34].try_into().expect("six octets"));
        let (own, of_server, relay) = (address(12), address(20), address(24));
        let server = self.world.server(cable);
        let (servers, clients) = self.ports;
        let port = if port == 67 { servers } else { port };
        let (from, to) = match () {
            // A server's answer to a relay, which is who we test.
            () if message.0[0] == 2 => ((of_server, servers), relay),
            () if !relay.is_unspecified() => ((relay, servers), server),
            () if !own.is_unspecified() => ((own, clients), server),
            () => ((own, clients), Ipv4Addr::BROADCAST),
        };
        let at = self.world.cables.iter().position(|(name, _)| *name == cable).expect("a cable of this world");
        let addresses = [own, relay, of_server].into_iter().filter(|at| !at.is_unspecified());
        let at_home: Vec<_> = addresses.map(|at| (at, mac)).collect();
        // Answers may come out elsewhere.
        self.wires.iter_mut().for_each(|wire| wire.at_home.extend(&at_home));
        let wire = &self.wires[at];
        let payload = message.0.clone();
        wire.send(&Datagram { cable: String::new(), mac, from, to: (to, port), payload });
    }

    /// The next datagram on any cable.
    fn receive(&self) -> Option<Datagram> {
        let mut fds: Vec<_> = self.wires.iter().map(|wire| PollFd::new(wire.as_fd(), PollFlags::POLLIN)).collect();
        let patience = PollTimeout::try_from(PATIENCE).expect("it is short");
        if poll(&mut fds, patience).is_err() {
            return None; // interrupted: as good as too late
        }
        let ready = |at: &usize| fds[*at].any().unwrap_or(false);
        let is_fence = |at: &usize| self.world.cables[*at].0 == self.world.fence;
        // The fence must not overtake what came out before it elsewhere.
        let at = (0..fds.len()).filter(ready).min_by_key(is_fence)?;
        self.wires[at].receive()
    }

    /// Puts a question that is always answered, until it is; gives what came before.
    fn fence(&mut self) -> Vec<Datagram> {
        self.next_fence += 1;
        let cable = self.world.fence;
        let [a, b, c, _] = self.world.server(cable).octets();
        let fence = match self.beside {
            true => messages::discover(0).pxe(0),
            false => messages::inform(0, Ipv4Addr::new(a, b, c, 254)),
        };
        let fence = fence.from(fence_mac(self.next_fence)).xid(self.next_fence);
        let mut before = Vec::new();
        for _ in 0..ANSWERS_WITHIN.as_millis() / PATIENCE.as_millis() {
            self.send(cable, &fence, 67);
            while let Some(answer) = self.receive() {
                if answer.payload.get(4..8) == fence.0.get(4..8) {
                    return before;
                }
                before.push(answer);
            }
        }
        let server = self.server.take().expect("it is ended once");
        server.signal(Signal::SIGKILL);
        let err = self.finish(server).err;
        panic!("{:?} does not answer:\n{err}", self.which);
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

/// A machine that asks once what everyone must answer, so that silence before it is known to be silence.
fn fence_mac(fence: u32) -> Mac {
    let [.., a, b] = fence.to_be_bytes();
    Mac([0x52, 0x54, 0, 0xfe, a, b])
}

/// The UDP ports that the options ask for.
fn ports(conf: &[String]) -> (u16, u16) {
    let Some(line) = conf.iter().find_map(|line| line.strip_prefix("dhcp-alternate-port")) else { return (67, 68) };
    let mut ports = line.trim_start_matches('=').split(',').filter_map(|port| port.parse().ok());
    let server = ports.next().unwrap_or(1067);
    (server, ports.next().unwrap_or(server + 1))
}
