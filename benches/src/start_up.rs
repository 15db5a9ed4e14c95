//! How long from the start of the program to the first answer of each service.
//!
//! The client asks every millisecond from before the start. The time of fork, exec and dynamic linking is in the figure.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dhcp::v4::MessageType;
use tftp::{ErrorCode, Mode, Packet, Request};

use crate::bed::{self, Bed, readable};
use crate::program::{BOOT_FILE, Bridge, Program, Service};
use crate::server::{Folder, Server};
use crate::table::{Mark, Table};
use crate::{Result, Subject, pxe};

const OFFER: &str = "start to first DHCPOFFER, ms";
pub const MARKS: &[(&str, Mark)] = &[(OFFER, Mark::Under(50.0))];

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

pub struct StartUp {
    bridged: Bed,
    bare: Bed,
    root: Folder,
}

impl StartUp {
    pub fn new() -> Result<StartUp> {
        let root = Folder::with_files(&[(BOOT_FILE, 42 << 10)])?;
        Ok(StartUp { bridged: Bed::bridged(&bed::SMALL)?, bare: Bed::bare(&bed::SMALL)?, root })
    }
}

impl Subject for StartUp {
    fn programs(&self) -> &'static [Program] {
        use Program::*;
        &[Lanboot, Dnsmasq, Kea, TftpdHpa, Atftpd, Nginx]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        for &program in order {
            let services: Vec<_> = program.services().collect();
            let times = times(program, &self.bridged, Bridge::IsThere, &self.root, &services)?;
            for (service, time) in services.into_iter().zip(times) {
                let figure = match service {
                    Service::Dhcp => OFFER,
                    Service::Tftp => "start to first TFTP answer, ms",
                    Service::Http => "start to first HTTP answer, ms",
                };
                table.add(figure, program, millis(time));
            }
        }
        let made = times(Program::Lanboot, &self.bare, Bridge::ToBeMade, &self.root, &[Service::Dhcp])?;
        table.add("first DHCPOFFER, bridge to be made as well, ms", Program::Lanboot, millis(made[0]));
        Ok(())
    }
}

/// From just before the program's fork to the first answer of each service.
fn times(program: Program, bed: &Bed, bridge: Bridge, root: &Folder, services: &[Service]) -> Result<Vec<Duration>> {
    wait_for(bed, program, services, PATIENCE, || Server::start(program, bed, bridge, &root.0)).map(|(_, times)| times)
}

/// Starts a program; returns how long each service took to its first answer, from just before the fork.
pub fn wait_for(
    bed: &Bed,
    program: Program,
    services: &[Service],
    patience: Duration,
    start: impl FnOnce() -> Result<Server>,
) -> Result<(Server, Vec<Duration>)> {
    let patience = Instant::now() + patience;
    thread::scope(|scope| {
        let ask =
            |service| scope.spawn(move || first_answer(bed, service, patience).map_err(|error| error.to_string()));
        let asking: Vec<_> = services.iter().map(|service| ask(*service)).collect();
        // Let the questions begin, so that none of their own preparations is in the figure.
        thread::sleep(Duration::from_millis(20));
        let begun = Instant::now();
        let server = start()?;
        let mut times = Vec::new();
        for answer in asking {
            let at = answer.join().expect("asking does not panic");
            let at = at.map_err(|error| format!("{program:?}: {error}; it said: {}", server.output()))?;
            times.push(at - begun);
        }
        Ok((server, times))
    })
}

/// Waits until a program that was just started answers for each of its services.
pub fn ready(bed: &Bed, program: Program, server: &Server) -> Result<()> {
    let patience = Instant::now() + PATIENCE;
    for service in program.services() {
        first_answer(bed, service, patience)
            .map_err(|error| format!("{}: {error}; it said: {}", program.name(), server.output()))?;
    }
    Ok(())
}

/// Asks every millisecond; returns when the first answer came.
fn first_answer(bed: &Bed, service: Service, patience: Instant) -> Result<Instant> {
    let mut ask: Box<dyn FnMut() -> Result<bool>> = match service {
        Service::Dhcp => dhcp(bed)?,
        Service::Tftp => tftp(bed)?,
        Service::Http => http(bed),
    };
    while !ask()? {
        if Instant::now() > patience {
            return Err(format!("no answer from {service:?} within {PATIENCE:?}").into());
        }
    }
    Ok(Instant::now())
}

type Ask<'a> = Box<dyn FnMut() -> Result<bool> + 'a>;

/// A new machine each time, far from those of other measurements, so that no server knows it.
fn dhcp(bed: &Bed) -> Result<Ask<'_>> {
    static NEXT: AtomicU32 = AtomicU32::new(0xf000_0000);
    let socket = bed.dhcp_client()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let message = pxe::discover(number);
    Ok(Box::new(move || {
        pxe::send(&socket, &message)?;
        let offered = |answer: pxe::Answer| answer.number == number && answer.kind == MessageType::Offer;
        Ok(readable(&socket, PAUSE) && pxe::receive(&socket).is_some_and(offered))
    }))
}

fn tftp(bed: &Bed) -> Result<Ask<'_>> {
    let socket = bed.udp_client()?;
    let rrq = Packet::Rrq(Request { name: BOOT_FILE.into(), mode: Mode::Octet, options: Vec::new() }).emit();
    Ok(Box::new(move || {
        socket.send_to(&rrq, (bed.subnet.server, 69))?;
        if !readable(&socket, PAUSE) {
            return Ok(false);
        }
        let mut buffer = [0; 2048];
        let Ok((octets, peer)) = socket.recv_from(&mut buffer) else { return Ok(false) };
        let first = matches!(Packet::parse(&buffer[..octets]), Ok(Packet::Data { block: 1, .. }));
        socket.send_to(&Packet::error(ErrorCode::NotDefined, "seen enough"), peer)?;
        Ok(first)
    }))
}

fn http(bed: &Bed) -> Ask<'_> {
    let address = SocketAddrV4::new(bed.subnet.server, 80);
    Box::new(move || {
        let Ok(mut stream) = bed.machines.run(|| TcpStream::connect_timeout(&address.into(), PATIENCE)) else {
            thread::sleep(PAUSE);
            return Ok(false);
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /{BOOT_FILE} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        if status == *b"HTTP/1.1 200" { Ok(true) } else { Err("the HTTP answer is not 200 OK".into()) }
    })
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
