//! One server in a network of its own, with a client and upstream servers at the other ends of its cables.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ask::{Ask, Heard, Patience, ask, hear};
use super::upstream::{self, Asked, Upstream, Upstreams};
use crate::harness::{Finished, Folder, LONG, Network, Program, eventually};
use crate::messages;
use crate::side::Which;
use crate::wire::{Datagram, Wire};

/// A name that every server of these tests knows itself.
const READY: &str = "ready.lanboot.test";
const A_MOMENT: Duration = Duration::from_millis(50);

/// An interface of the server, and what is at the other end of it.
#[derive(Clone, Debug)]
pub struct Cable {
    pub name: &'static str,
    /// The server's addresses; the client's are one higher.
    pub server: Vec<&'static str>,
    pub client: Vec<&'static str>,
    /// Clients are served there.
    pub served: bool,
}

#[derive(Clone, Debug)]
pub struct World {
    pub cables: Vec<Cable>,
    /// Run in the server's network before it starts.
    pub commands: Vec<&'static str>,
    /// Run in the client's.
    pub client_commands: Vec<&'static str>,
    pub upstreams: Vec<Upstream>,
    /// Interfaces that are served are named in the options, and bound to.
    pub names_interfaces: bool,
    /// The first questions, which tell that it serves, are put there.
    pub ready_at_home: bool,
    /// Written to the folder first.
    pub files: Vec<(&'static str, String)>,
}

impl Default for World {
    fn default() -> World {
        let (server, client) = (vec!["10.0.1.1/24", "fd01::1/64"], vec!["10.0.1.2/24", "fd01::2/64"]);
        World {
            cables: vec![Cable { name: "net", server, client, served: true }],
            commands: Vec::new(),
            client_commands: Vec::new(),
            upstreams: vec![Upstream::new(11)],
            names_interfaces: true,
            ready_at_home: false,
            files: Vec::new(),
        }
    }
}

pub struct Side {
    pub which: Which,
    server: Option<Program>,
    serving: Network,
    client: Network,
    folder: Folder,
    pub upstreams: Upstreams,
    port: u16,
    next_id: Cell<u16>,
    pub started: Instant,
}

impl Side {
    pub fn start(which: Which, conf: &[String], world: &World) -> Side {
        let (serving, client) = (Network::new(), Network::new());
        let folder = Folder::new();
        for (name, text) in &world.files {
            write(&folder.0, name, text);
        }
        let mut lines = conf.join("\n").replace("FOLDER", &folder.0.display().to_string());
        lines += &format!("\nno-ping\npid-file=\nhost-record={READY},10.255.255.254\n");
        lay(world, &serving, &client);
        if world.names_interfaces {
            let served = world.cables.iter().filter(|cable| cable.served);
            served.for_each(|cable| lines += &format!("interface={}\n", cable.name));
            lines += "bind-interfaces\n";
        }
        lines += &format!("dhcp-leasefile={}\n", folder.0.join("leases").display());
        let file = folder.0.join("dnsmasq.conf");
        fs::write(&file, &lines).expect("room for a file");
        let program = match which {
            Which::Dnsmasq => "/usr/sbin/dnsmasq".to_owned(),
            Which::Lanboot => format!("{} dnsmasq", env!("CARGO_BIN_EXE_lanboot")),
        };
        let upstreams = Upstreams::start(&client, &world.upstreams);
        let server = Program::start(serving.command(&format!("{program} --no-daemon -C {}", file.display())));
        let port =
            conf.iter().find_map(|line| line.strip_prefix("port=")).map_or(53, |port| port.parse().expect("a port"));
        let (next_id, started) = (Cell::new(1), Instant::now());
        let mut side = Side { which, server: Some(server), serving, client, folder, upstreams, port, next_id, started };
        side.wait_until_ready(world.ready_at_home);
        side
    }

    fn wait_until_ready(&mut self, at_home: bool) {
        let deadline = Instant::now() + LONG;
        let ready = ask(&format!("{READY} A"));
        let ready = if at_home { ready.at_home() } else { ready };
        let patience = Patience { each: A_MOMENT, tries: 1 };
        loop {
            match self.ask(&ready, patience).0 {
                Heard::Message(_) => break,
                _ if Instant::now() > deadline => {
                    let server = self.server.take().expect("it is ended once");
                    server.signal(Signal::SIGKILL);
                    panic!("{:?} does not answer:\n{}", self.which, server.finish().err);
                }
                Heard::Refused => std::thread::sleep(A_MOMENT),
                _ => {}
            }
        }
        // Whatever it asked while it started is no part of a scenario.
        self.upstreams.asked();
        self.started = Instant::now();
    }

    /// What comes back, and how often it was asked.
    pub fn ask(&self, ask: &Ask, patience: Patience) -> (Heard, u32) {
        let (network, usual) = match ask.at_home {
            true => (&self.serving, [127, 0, 0, 1]),
            false => (&self.client, [10, 0, 1, 1]),
        };
        let to = ask.to.unwrap_or(IpAddr::from(usual));
        let to = SocketAddr::new(to, ask.port.unwrap_or(self.port));
        self.next_id.set(self.next_id.get() + 1);
        let id = self.next_id.get();
        network.inside(|| hear(ask, id, to, patience))
    }

    /// Connections over which nothing is asked.
    pub fn connect(&self, count: usize) -> Vec<TcpStream> {
        let at = SocketAddr::from(([10, 0, 1, 1], self.port));
        self.client.inside(|| (0..count).filter_map(|_| TcpStream::connect_timeout(&at, LONG).ok()).collect())
    }

    /// Asks all of it over one connection, and then waits; gives how many were answered, in whatever order.
    pub fn ask_in_one(&self, all: &[Ask]) -> usize {
        let Some(mut stream) = self.connect(1).pop() else { return 0 };
        stream.set_read_timeout(Some(LONG)).expect("not zero");
        let message = |(at, ask): (usize, &Ask)| {
            let octets = ask.octets(at as u16);
            [&(octets.len() as u16).to_be_bytes()[..], &octets].concat()
        };
        let queries: Vec<u8> = all.iter().enumerate().flat_map(message).collect();
        stream.write_all(&queries).expect("room for a few queries");
        let mut ids = BTreeSet::new();
        while ids.len() < all.len() {
            let mut head = [0; 4];
            if stream.read_exact(&mut head).is_err() {
                break;
            }
            let mut rest = vec![0; usize::from(u16::from_be_bytes([head[0], head[1]])) - 2];
            stream.read_exact(&mut rest).expect("a whole answer");
            ids.insert(u16::from_be_bytes([head[2], head[3]]));
        }
        ids.len()
    }

    /// What reached the upstream servers since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        let mut asked = self.upstreams.asked();
        asked.retain(|asked| asked.question.name != READY);
        asked
    }

    pub fn write(&self, name: &str, text: &str) {
        write(&self.folder.0, name, text);
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.folder.0.join(name)).expect("it is there");
    }

    pub fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("it runs").signal(signal);
    }

    /// Runs a command in the server's network.
    pub fn run(&self, command: &str) {
        self.serving.run(command);
    }

    /// The next line that it says on standard error and that has this in it.
    pub fn says(&mut self, text: &str) -> String {
        let server = self.server.as_mut().expect("it runs");
        server.next_complaint(|line| line.contains(text).then(|| line.to_owned()))
    }

    pub fn stop(&mut self) -> Finished {
        let server = self.server.take().expect("it is ended once");
        server.signal(Signal::SIGTERM);
        server.finish()
    }

    /// Sends a DHCP message, and waits until the server has acknowledged it, if it is to.
    pub fn dhcp(&self, message: &messages::Message, is_answered: bool) {
        self.next_id.set(self.next_id.get() + 1);
        let message = message.clone().xid(self.next_id.get().into());
        let field =
            |at: usize| std::net::Ipv4Addr::from(<[u8; 4]>::try_from(&message.0[at..at + 4]).expect("four octets"));
        let mac = mac::Mac(message.0[28..34].try_into().expect("six octets"));
        let mut wire = Wire::on(&self.client, "net", "eth0", A_MOMENT);
        wire.at_home.push((field(12), mac));
        let to = if field(12).is_unspecified() { [255, 255, 255, 255].into() } else { [10, 0, 1, 1].into() };
        let payload = message.0.clone();
        wire.send(&Datagram { cable: String::new(), mac, from: (field(12), 68), to: (to, 67), payload });
        let answers = |datagram: &Datagram| datagram.to.1 == 68 && datagram.payload.get(4..8) == message.0.get(4..8);
        if is_answered {
            eventually(|| wire.receive().as_ref().is_some_and(answers));
        }
    }
}

/// Lays the cables, with all addresses.
fn lay(world: &World, serving: &Network, client: &Network) {
    // Nobody is to be told less often than always that a port is closed.
    client.inside(|| fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0")).expect("root");
    client.inside(|| fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0")).expect("root");
    let end = |cable: &'static str| if cable == "net" { "eth0" } else { cable };
    for Cable { name, server, client: of_client, .. } in &world.cables {
        serving.cable(name, client, end(name));
        server.iter().for_each(|address| add(serving, address, name));
        of_client.iter().for_each(|address| add(client, address, end(name)));
    }
    serving.cable("wan", client, "wan");
    add(serving, "10.9.0.1/24", "wan");
    add(serving, "fd09::1/64", "wan");
    let mut numbers: Vec<u8> = world.upstreams.iter().map(|upstream| upstream.number).collect();
    numbers.dedup();
    for number in numbers {
        add(client, &format!("{}/24", upstream::address(number)), "wan");
        add(client, &format!("{}/64", upstream::address6(number)), "wan");
    }
    world.commands.iter().for_each(|command| drop(serving.run(command)));
    world.client_commands.iter().for_each(|command| drop(client.run(command)));
}

fn add(network: &Network, address: &str, interface: &str) {
    network.run(&format!("ip address add {address} dev {interface} nodad"));
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("below the folder")).expect("room for a folder");
    // Moved in under its name: nobody reads half of it.
    let new = folder.join("being-written");
    fs::write(&new, text).expect("room for a file");
    fs::rename(new, path).expect("one disk");
}
