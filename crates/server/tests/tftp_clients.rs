//! The TFTP service against the clients that people have: tftp-hpa, atftp, curl and busybox, and against datagrams of
//! our own where a program would not misbehave on demand. Each test has a network namespace to itself.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use config::{Publish, Source, Tftp};
use journal::{Role, Step};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{setsockopt, sockopt};
use server::files::{Files, Open, Report};
use server::tftp::TftpService;

const SERVER: &str = "127.0.0.1";
const MIB: usize = 1 << 20;
/// Nothing that is waited for takes this long on a machine that works at all.
const LONG: Duration = Duration::from_secs(120);

/// A service that publishes one folder, in a network where nobody else is.
struct Lab {
    folder: PathBuf,
    events: Receiver<Step>,
    _service: TftpService,
}

/// Runs `test` in a network namespace that vanishes with its thread; programs started there are inside, too.
fn in_lab(name: &str, settings: Tftp, test: impl FnOnce(&Lab) + Send + 'static) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tftp-{name}-{}", std::process::id()));
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests make network namespaces: run them as root");
        // Ethernet's MTU, so that block sizes are what they would be on a LAN.
        run(Command::new("ip").args(["link", "set", "lo", "mtu", "1500", "up"]));
        fs::create_dir_all(&folder).expect("a folder for this test");
        let lab = Lab::new(folder.clone(), settings);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&lab)));
        fs::remove_dir_all(&folder).expect("this test's own folder");
        result
    });
    if let Err(panic) = thread.join().expect("the namespace is made") {
        std::panic::resume_unwind(panic);
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

impl Lab {
    fn new(folder: PathBuf, settings: Tftp) -> Lab {
        let published = Publish { name: String::new(), source: Source::Folder(folder.clone()), role: Role::Other };
        let files = Files::new(vec![published]).expect("the folder is there");
        let open: Open = Arc::new(move |_, name| files.open(name));
        let (sender, events) = channel();
        let report: Report = Arc::new(move |_: Ipv4Addr, step| drop(sender.send(step)));
        let socket = UdpSocket::bind((SERVER, 69)).expect("port 69 is free in a new namespace");
        // As lanboot's own, which takes the requests of thousands at once.
        setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20)).expect("these tests run as root");
        // Its threads are started from this one, and so are in the same namespace.
        let service = TftpService::start(socket, settings, open, report).expect("threads");
        Lab { folder, events, _service: service }
    }

    /// Publishes `octets` octets in which no two blocks are alike.
    fn publish(&self, name: &str, octets: usize) -> Vec<u8> {
        let mut state = octets as u64;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(octets)
        .collect();
        fs::write(self.folder.join(name), &content).expect("room for the file");
        content
    }

    fn start(&self, client: &Client, name: &str, local: &str) -> Child {
        let local = self.folder.join(local);
        let words = client.0.iter().map(|word| match *word {
            "FILE" => name.to_owned(),
            "LOCAL" => local.display().to_string(),
            "URL" => format!("tftp://{SERVER}/{name}"),
            word => word.to_owned(),
        });
        let words: Vec<_> = words.collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap_or_else(|error| panic!("{} cannot be started: {error}", words[0]))
    }

    /// Fetches `name` and checks that it is `content`.
    fn fetch(&self, client: &Client, name: &str, content: &[u8]) {
        let child = self.start(client, name, "fetched");
        self.check(child, client, "fetched", content);
    }

    /// Waits for a client to end, and checks what it brought.
    fn check(&self, child: Child, client: &Client, local: &str, content: &[u8]) {
        let output = child.wait_with_output().expect("a child of ours");
        assert!(output.status.success(), "{client:?}: {}", String::from_utf8_lossy(&output.stderr));
        let path = self.folder.join(local);
        // curl makes no file for nothing.
        let fetched = fs::read(&path).unwrap_or_default();
        assert!(fetched == content, "{client:?}: {} octets came, {} were sent", fetched.len(), content.len());
        let _ = fs::remove_file(path);
    }

    /// A client of our own making.
    fn socket(&self) -> Raw {
        let socket = UdpSocket::bind((SERVER, 0)).expect("a port");
        socket.set_read_timeout(Some(LONG)).expect("a timeout");
        Raw(socket)
    }

    fn next_event(&self) -> Step {
        self.events.recv_timeout(LONG).expect("an event")
    }
}

/// A program and its arguments, with FILE, LOCAL and URL to be filled in.
#[derive(Clone, Copy, Debug)]
struct Client(&'static [&'static str]);

const TFTP_HPA: Client = Client(&["tftp", "-m", "binary", SERVER, "69", "-c", "get", "FILE", "LOCAL"]);
const TFTP_HPA_TEXT: Client = Client(&["tftp", "-m", "ascii", SERVER, "69", "-c", "get", "FILE", "LOCAL"]);
const ATFTP: Client = Client(&["atftp", "-g", "-r", "FILE", "-l", "LOCAL", SERVER, "69"]);
#[rustfmt::skip]
const ATFTP_WINDOWS: Client = Client(&[
    "atftp", "--option", "blksize 1400", "--option", "windowsize 16", "-g", "-r", "FILE", "-l", "LOCAL", SERVER, "69",
]);
#[rustfmt::skip]
const ATFTP_SMALL_WINDOWS: Client = Client(&[
    "atftp", "--option", "blksize 512", "--option", "windowsize 7", "-g", "-r", "FILE", "-l", "LOCAL", SERVER, "69",
]);
const CURL: Client = Client(&["curl", "-sS", "-o", "LOCAL", "URL"]);
const CURL_LARGE: Client = Client(&["curl", "-sS", "--tftp-blksize", "8192", "-o", "LOCAL", "URL"]);
const CURL_PLAIN: Client = Client(&["curl", "-sS", "--tftp-no-options", "-o", "LOCAL", "URL"]);
const BUSYBOX: Client = Client(&["busybox", "tftp", "-g", "-r", "FILE", "-l", "LOCAL", SERVER, "69"]);
const BUSYBOX_LARGE: Client =
    Client(&["busybox", "tftp", "-b", "1468", "-g", "-r", "FILE", "-l", "LOCAL", SERVER, "69"]);

const CLIENTS: [Client; 9] =
    [TFTP_HPA, ATFTP, ATFTP_WINDOWS, ATFTP_SMALL_WINDOWS, CURL, CURL_LARGE, CURL_PLAIN, BUSYBOX, BUSYBOX_LARGE];

#[test]
fn every_client_gets_every_size_to_the_octet() {
    in_lab("sizes", Tftp::default(), |lab| {
        for octets in [0, 1, 511, 512, 513, MIB] {
            let name = format!("{octets}-octets");
            let content = lab.publish(&name, octets);
            for client in &CLIENTS {
                lab.fetch(client, &name, &content);
                let event = lab.next_event();
                let Step::FileSent { file, octets: sent, .. } = &event else { panic!("{client:?}: {event:?}") };
                assert_eq!((file.as_str(), *sent), (name.as_str(), octets as u64));
            }
        }
    });
}

#[test]
fn a_large_file_goes_past_the_wrap_of_the_block_number() {
    in_lab("wrap", Tftp::default(), |lab| {
        let content = lab.publish("large", 100 * MIB);
        for client in [TFTP_HPA, ATFTP_SMALL_WINDOWS, CURL, BUSYBOX] {
            lab.fetch(&client, "large", &content);
        }
    });
}

#[test]
fn text_arrives_as_text() {
    in_lab("text", Tftp::default(), |lab| {
        let text = "#!ipxe\nmenu\n\n".repeat(5000) + "a carriage return \r and no last line feed";
        fs::write(lab.folder.join("text"), &text).expect("room");
        lab.fetch(&TFTP_HPA_TEXT, "text", text.as_bytes());
    });
}

#[test]
fn a_hundred_clients_at_once() {
    in_lab("hundred", Tftp::default(), |lab| {
        let content = lab.publish("file", MIB + 7);
        let clients = || [TFTP_HPA, ATFTP_WINDOWS, CURL, BUSYBOX].into_iter().cycle().take(100).enumerate();
        let children: Vec<_> =
            clients().map(|(number, client)| lab.start(&client, "file", &format!("fetched-{number}"))).collect();
        for ((number, client), child) in clients().zip(children) {
            lab.check(child, &client, &format!("fetched-{number}"), &content);
        }
        for _ in 0..100 {
            let event = lab.next_event();
            assert!(matches!(event, Step::FileSent { octets, .. } if octets == content.len() as u64), "{event:?}");
        }
    });
}

/// A client whose every datagram the test decides.
struct Raw(UdpSocket);

impl Raw {
    /// Sends a datagram to the service port.
    fn ask(&self, datagram: &[u8]) {
        self.0.send_to(datagram, (SERVER, 69)).expect("sent");
    }

    /// The next datagram and the port it came from.
    fn next(&self) -> (Vec<u8>, u16) {
        let mut buffer = [0; 2048];
        let (octets, from) = self.0.recv_from(&mut buffer).expect("an answer");
        (buffer[..octets].to_vec(), from.port())
    }

    fn answer(&self, datagram: &[u8], port: u16) {
        self.0.send_to(datagram, (SERVER, port)).expect("sent");
    }

    fn hears_nothing_for(&self, time: Duration) {
        self.0.set_read_timeout(Some(time)).expect("a timeout");
        let error = self.0.recv_from(&mut [0; 2048]).expect_err("nothing should come");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        self.0.set_read_timeout(Some(LONG)).expect("a timeout");
    }
}

/// Long enough for an answer that should not come to come, shorter than the first retransmission.
const A_MOMENT: Duration = Duration::from_millis(300);

#[test]
fn a_probe_for_the_size_is_told_as_such() {
    in_lab("probe", Tftp::default(), |lab| {
        lab.publish("undionly.kpxe", 1000);
        let rom = lab.socket();
        rom.ask(b"\0\x01undionly.kpxe\0octet\0tsize\x000\0blksize\x001456\0");
        let (oack, port) = rom.next();
        assert_eq!(oack, b"\0\x06tsize\x001000\0blksize\x001456\0");
        assert_ne!(port, 69, "a transfer has a port of its own (RFC 1350 section 4)");
        rom.answer(b"\0\x05\0\0TFTP Aborted\0", port);
        assert!(matches!(lab.next_event(), Step::SizeProbe { octets: 1000, .. }));
    });
}

#[test]
fn a_repeated_request_does_not_begin_a_second_transfer() {
    in_lab("repeated", Tftp::default(), |lab| {
        lab.publish("file", 600);
        let rom = lab.socket();
        let request = b"\0\x01file\0octet\0";
        rom.ask(request);
        let (first, port) = rom.next();
        rom.ask(request);
        rom.hears_nothing_for(A_MOMENT);
        rom.answer(b"\0\x04\0\x01", port);
        let (second, same_port) = rom.next();
        assert_eq!((first.len(), second.len(), same_port), (516, 92, port));
        rom.ask(request);
        rom.answer(b"\0\x04\0\x02", port);
        assert!(matches!(lab.next_event(), Step::FileSent { octets: 600, retransmits: 0, .. }));
    });
}

#[test]
fn another_request_from_the_same_port_begins_anew() {
    in_lab("anew", Tftp::default(), |lab| {
        lab.publish("file", 600);
        let rom = lab.socket();
        rom.ask(b"\0\x01file\0octet\0tsize\x000\0");
        let (_, probe_port) = rom.next();
        rom.ask(b"\0\x01file\0octet\0");
        let (block, port) = rom.next();
        assert_eq!(block[..4], *b"\0\x03\0\x01");
        assert_ne!(port, probe_port);
        assert!(matches!(lab.next_event(), Step::SizeProbe { octets: 600, .. }));
    });
}

#[test]
fn what_is_not_published_or_not_asked_properly_is_refused_with_the_right_code() {
    in_lab("refused", Tftp::default(), |lab| {
        let refusals: [(&[u8], u8); 5] = [
            (b"\0\x01pxelinux.cfg/default\0octet\0", 1),
            (b"\0\x01../../etc/passwd\0octet\0", 2),
            (b"\0\x02new\0octet\0", 4),
            (b"\0\x01file\0mail\0", 4),
            (b"\0\x04\0\x01", 5),
        ];
        for (datagram, code) in refusals {
            let rom = lab.socket();
            rom.ask(datagram);
            let (answer, _) = rom.next();
            assert_eq!(answer[..4], [0, 5, 0, code], "{}", datagram.escape_ascii());
            rom.answer(b"\0\x05\0\0\0", 69);
            rom.hears_nothing_for(A_MOMENT);
        }
        let events: Vec<_> = lab.events.try_iter().collect();
        assert!(
            matches!(
                events.as_slice(),
                [Step::FileNotFound { .. }, Step::FileNotFound { .. }, Step::FileFailed { .. }, Step::Warning { .. }]
            ),
            "{events:?}"
        );
    });
}

#[test]
fn a_client_that_closes_its_port_ends_its_transfer_at_once() {
    in_lab("closed", Tftp::default(), |lab| {
        lab.publish("file", 5120);
        let rom = lab.socket();
        rom.ask(b"\0\x01file\0octet\0");
        let (_, port) = rom.next();
        rom.answer(b"\0\x04\0\x01", port);
        rom.next();
        let address = rom.0.local_addr().expect("bound");
        rom.answer(b"\0\x04\0\x02", port);
        drop(rom);
        let event = lab.next_event();
        let Step::FileFailed { because, .. } = &event else { panic!("{event:?} for {address}") };
        assert!(because.starts_with("the client closed its port after block "), "{because}");
    });
}

#[test]
fn beyond_the_most_transfers_at_once_clients_wait_their_turn() {
    in_lab("full", Tftp { max_transfers: 2, ..Tftp::default() }, |lab| {
        lab.publish("file", 100);
        let request = b"\0\x01file\0octet\0";
        let (first, second, third) = (lab.socket(), lab.socket(), lab.socket());
        first.ask(request);
        let (_, first_port) = first.next();
        second.ask(request);
        second.next();
        third.ask(request);
        assert!(matches!(lab.next_event(), Step::Warning { fix: Some(_), .. }));
        third.hears_nothing_for(A_MOMENT);
        first.answer(b"\0\x04\0\x01", first_port);
        assert!(matches!(lab.next_event(), Step::FileSent { .. }));
        let (block, _) = third.next();
        assert_eq!(block[..4], *b"\0\x03\0\x01", "it gets its turn, and need not ask again");
    });
}

#[test]
fn blocks_fit_the_link() {
    in_lab("mtu", Tftp::default(), |lab| {
        lab.publish("file", 20_000);
        let rom = lab.socket();
        rom.ask(b"\0\x01file\0octet\0blksize\x008192\0windowsize\x0064\0");
        let (oack, port) = rom.next();
        assert_eq!(oack, b"\0\x06blksize\x001468\0windowsize\x0064\0");
        rom.answer(b"\0\x04\0\0", port);
        let blocks: Vec<_> = (0..14).map(|_| rom.next().0).collect();
        let lengths: Vec<_> = blocks.iter().map(Vec::len).collect();
        assert_eq!(lengths, [&[1472; 13][..], &[20_000 - 13 * 1468 + 4]].concat());
        assert!(blocks.iter().zip(1u8..).all(|(block, number)| block[..4] == [0, 3, 0, number]));
        rom.answer(b"\0\x04\0\x0e", port);
        assert!(matches!(lab.next_event(), Step::FileSent { octets: 20_000, retransmits: 0, .. }));
    });
}

/// The next block of this number, whatever is repeated before it, as (file data, port).
fn block(client: &Raw, number: u16) -> (Vec<u8>, u16) {
    for _ in 0..10_000 {
        let (datagram, port) = client.next();
        assert_eq!(datagram[..2], [0, 3], "{}", datagram.escape_ascii());
        if datagram[2..4] == number.to_be_bytes() {
            return (datagram[4..].to_vec(), port);
        }
    }
    panic!("block {number} never comes");
}

fn ack(client: &Raw, number: u16, port: u16) {
    let [high, low] = number.to_be_bytes();
    client.answer(&[0, 4, high, low], port);
}

/// How many files and sockets may be open at once, once that is raised as far as it may.
fn descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a live local.
    let failed = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 || {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0
        }
    };
    assert!(!failed, "{}", std::io::Error::last_os_error());
    limit.rlim_cur as usize
}

#[test]
fn two_thousand_transfers_at_once_all_move() {
    // Two sockets and a file for each.
    let most = descriptors() / 4;
    assert!(most >= 200, "this test needs more descriptors: ulimit -n");
    let count = most.min(2000);
    in_lab("thousands", Tftp::default(), move |lab| {
        let content = lab.publish("file", 1500);
        let clients: Vec<_> = (0..count).map(|_| lab.socket()).collect();
        clients.iter().for_each(|client| client.ask(b"\0\x01file\0octet\0"));
        for (number, part) in (1..).zip(content.chunks(512)) {
            for client in &clients {
                // Nobody has the next block before everybody has this one.
                let (data, port) = block(client, number);
                assert!(data == part, "block {number}");
                ack(client, number, port);
            }
        }
        for _ in 0..count {
            assert!(matches!(lab.next_event(), Step::FileSent { octets: 1500, .. }));
        }
    });
}

#[test]
fn a_file_that_is_replaced_goes_out_as_it_was_and_one_that_is_cut_short_ends_its_transfer() {
    in_lab("changes", Tftp::default(), |lab| {
        let content = lab.publish("file", 100_000);
        let (first, second) = (lab.socket(), lab.socket());
        first.ask(b"\0\x01file\0octet\0");
        let (data, port) = block(&first, 1);
        assert!(data == content[..512]);
        let new = lab.publish("new", 700);
        fs::rename(lab.folder.join("new"), lab.folder.join("file")).expect("renamed");
        for (number, part) in (2..).zip(content[512..].chunks(512)) {
            ack(&first, number - 1, port);
            assert!(block(&first, number).0 == part, "block {number}");
        }
        ack(&first, 196, port);
        assert!(matches!(lab.next_event(), Step::FileSent { octets: 100_000, .. }));

        lab.publish("file", 100_000);
        second.ask(b"\0\x01file\0octet\0");
        let (data, port) = block(&second, 1);
        assert!(data != new[..512]);
        File::options().write(true).open(lab.folder.join("file")).expect("there").set_len(600).expect("cut");
        let refused = (1..196).any(|number| {
            ack(&second, number, port);
            let (datagram, _) = second.next();
            datagram.starts_with(&[0, 5])
        });
        assert!(refused, "no data is made up");
        let event = lab.next_event();
        let Step::FileFailed { because, .. } = &event else { panic!("{event:?}") };
        assert!(because.contains("became shorter"), "{because}");
    });
}
