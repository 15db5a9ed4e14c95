//! HTTP boot seen by real clients: curl, and sockets that do what no good client would.
//!
//! Each test has a network namespace of its own, with nothing in it but a loopback, and goes by what arrived.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use config::{Publish, Source};
use journal::{Protocol, Role, Step};
use nix::sched::{CloneFlags, unshare};
use server::files::Files;
use server::http_boot::{Dynamic, Generated, HttpService, Limits, Method, Request, Service};

/// Nothing here takes longer, however busy the host.
const LONG: Duration = Duration::from_secs(60);

// ---- the server under test

struct Server {
    at: SocketAddrV4,
    /// Holds `root`, which is published, and whatever else a test needs.
    folder: PathBuf,
    steps: Arc<(Mutex<Vec<Step>>, Condvar)>,
}

/// Runs a server over an empty folder, in a network of its own, and the test beside it.
fn with_server(limits: Limits, test: impl FnOnce(&Server) + Send + 'static) {
    let alone = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace needs root");
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = Server::new(listener.local_addr().unwrap().port());
        let failed = |error| panic!("{error}");
        let _serving = HttpService::start(vec![(vec![listener], server.service())], limits, failed).unwrap();
        test(&server);
    });
    if let Err(panic) = alone.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Server {
    fn new(port: u16) -> Server {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lanboot-http-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir_all(folder.join("root")).unwrap();
        Server { at: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), folder, steps: Arc::default() }
    }

    fn service(&self) -> Service {
        let root = Publish { name: String::new(), source: Source::Folder(self.folder.join("root")), role: Role::Other };
        let files = Arc::new(Files::new(vec![root]).unwrap());
        let (opened, steps) = (files.clone(), self.steps.clone());
        Service {
            dynamic: Arc::new(Scripts),
            open: Arc::new(move |_, name| opened.open(name)),
            files,
            report: Arc::new(move |client, step| {
                assert!(client.is_loopback());
                steps.0.lock().unwrap().push(step);
                steps.1.notify_all();
            }),
        }
    }

    /// Publishes a file of so many octets that do not repeat.
    fn publish(&self, name: &str, octets: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let content: Vec<u8> = words.take(octets.div_ceil(8)).flatten().take(octets).collect();
        fs::write(self.folder.join("root").join(name), &content).unwrap();
        content
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.at)
    }

    /// Runs curl, quiet, on one path. Its standard output is the body, unless told otherwise.
    fn curl(&self, options: &[&str], path: &str) -> Output {
        let limit = LONG.as_secs().to_string();
        let output =
            Command::new("curl").args(["-sS", "--max-time", &limit]).args(options).arg(self.url(path)).output();
        output.expect("curl is installed")
    }

    /// Status code and body.
    fn get(&self, options: &[&str], path: &str) -> (u16, Vec<u8>) {
        let mut out = self.curl(&[&["-w", "%{stderr}%{http_code}"], options].concat(), path);
        (String::from_utf8(std::mem::take(&mut out.stderr)).unwrap().parse().unwrap(), out.stdout)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Everything that the server says to these octets until it closes the connection.
    fn say(&self, octets: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(octets.as_ref()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Waits until the journal holds a step like this one.
    fn wait_for(&self, like: impl Fn(&Step) -> bool) -> Step {
        let (steps, news) = &*self.steps;
        let held = steps.lock().unwrap();
        let (held, waited) = news.wait_timeout_while(held, LONG, |steps| !steps.iter().any(&like)).unwrap();
        assert!(!waited.timed_out(), "only this happened: {held:?}");
        held.iter().find(|step| like(step)).unwrap().clone()
    }

    fn steps(&self) -> Vec<Step> {
        self.steps.0.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn sent(file: &str) -> impl Fn(&Step) -> bool {
    move |step| matches!(step, Step::FileSent { file: sent, .. } if sent == file)
}

fn failed(file: &str) -> impl Fn(&Step) -> bool {
    move |step| matches!(step, Step::FileFailed { file: failed, .. } if failed == file)
}

/// Stands in for whoever makes scripts.
struct Scripts;

impl Dynamic for Scripts {
    fn respond(&self, request: &Request) -> Option<Generated> {
        let answer = |body: String, role| Generated {
            status: 200,
            content_type: "text/plain",
            body: body.into_bytes(),
            role,
            name: "boot.ipxe".into(),
        };
        match (&request.method, request.path.as_str()) {
            (Method::Get | Method::Head, "/boot.ipxe") => {
                let mac = request.query("mac").unwrap_or("nobody");
                Some(answer(format!("#!ipxe\n# {mac} from {}\n", request.local.port()), Some(Role::Script)))
            }
            (Method::Post, "/report/up") => {
                let body = String::from_utf8_lossy(&request.body);
                Some(answer(format!("{} octets: {body:.20}", request.body.len()), None))
            }
            _ => None,
        }
    }
}

// ---- good clients

#[test]
fn curl_gets_files_of_every_size_byte_for_byte() {
    with_server(Limits::default(), |server| {
        for size in [0, 1, 511, 512, 1 << 20, 100 << 20] {
            let name = format!("file-{size}");
            let content = server.publish(&name, size);
            let (status, body) = server.get(&[], &name);
            assert_eq!((status, body.len()), (200, size));
            assert!(body == content, "{size} octets differ");
            let step = server.wait_for(sent(&name));
            assert!(matches!(step, Step::FileSent { protocol: Protocol::Http, octets, .. } if octets == size as u64));
        }
        assert_eq!(server.steps().len(), 6);
    });
}

#[test]
fn head_tells_the_exact_size_and_is_reported_as_a_probe() {
    with_server(Limits::default(), |server| {
        server.publish("BOOTX64.EFI", 1234);
        let head = String::from_utf8(server.curl(&["-I"], "BOOTX64.EFI").stdout).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        for header in
            ["Content-Length: 1234", "Content-Type: application/efi", "Accept-Ranges: bytes", "Connection: keep-alive"]
        {
            assert!(head.contains(&format!("\r\n{header}\r\n")), "{header} is not in {head}");
        }
        assert!(!head.contains("Transfer-Encoding"));
        let file = "BOOTX64.EFI".into();
        assert_eq!(server.steps(), [Step::SizeProbe { protocol: Protocol::Http, file, octets: 1234 }]);
    });
}

#[test]
fn ranges_give_the_asked_part() {
    with_server(Limits::default(), |server| {
        let content = server.publish("initrd.gz", 1000);
        for (range, part) in
            [("0-0", 0..1), ("10-19", 10..20), ("990-", 990..1000), ("-5", 995..1000), ("5-9999", 5..1000)]
        {
            let (status, body) = server.get(&["-r", range], "initrd.gz");
            assert_eq!((status, &body[..]), (206, &content[part]), "{range}");
        }
        assert_eq!(server.get(&["-r", "1000-"], "initrd.gz").0, 416);
        assert_eq!(server.get(&["-H", "Range: bytes=u-u"], "initrd.gz"), (200, content.clone()));
        assert_eq!(server.get(&["-H", "Range: bytes=0-1,5-6"], "initrd.gz"), (200, content));
    });
}

#[test]
fn file_fetched_in_ranges_over_one_connection_is_one_event() {
    with_server(Limits::default(), |server| {
        server.publish("linux", 1000);
        let mut stream = server.connect();
        for start in (0..1000).step_by(100) {
            let request = format!("GET /linux HTTP/1.1\r\nRange: bytes={start}-{}\r\n\r\n", start + 99);
            stream.write_all(request.as_bytes()).unwrap();
            assert!(read_answer(&mut stream).starts_with(b"HTTP/1.1 206"));
        }
        drop(stream);
        let step = server.wait_for(sent("linux"));
        assert!(matches!(step, Step::FileSent { octets: 1000, role: Role::Kernel, .. }), "{step:?}");
        assert_eq!(server.steps().len(), 1);
    });
}

#[test]
fn events_come_in_the_order_of_the_requests() {
    with_server(Limits::default(), |server| {
        server.publish("there", 10_000);
        let mut stream = server.connect();
        for path in ["there", "absent"].repeat(20) {
            stream.write_all(format!("GET /{path} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
            read_answer(&mut stream);
        }
        let (steps, mut expected) = (server.steps(), [true, false].into_iter().cycle());
        assert_eq!(steps.len(), 40);
        assert!(steps.iter().all(|step| sent("there")(step) == expected.next().unwrap()), "{steps:?}");
    });
}

#[test]
fn client_that_has_the_file_is_not_sent_it_again() {
    with_server(Limits::default(), |server| {
        server.publish("linux", 100);
        let copy = server.folder.join("copy");
        let copy = copy.to_str().unwrap();
        let tag = server.folder.join("etag");
        let tag = tag.to_str().unwrap();
        assert_eq!(server.get(&["-R", "-o", copy, "--etag-save", tag], "linux").0, 200);
        assert_eq!(server.get(&["-z", copy], "linux").0, 304);
        assert_eq!(server.get(&["--etag-compare", tag], "linux").0, 304);
        server.publish("linux", 101);
        assert_eq!(server.get(&["--etag-compare", tag], "linux").0, 200);
    });
}

#[test]
fn one_connection_serves_one_url_after_the_other() {
    with_server(Limits::default(), |server| {
        let sizes = [0, 70_000, 5];
        let urls = sizes.map(|size| {
            server.publish(&size.to_string(), size);
            server.url(&size.to_string())
        });
        let count = |options: &[&str]| {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "-w", "%{stderr}%{num_connects}%{size_download};"]).args(options).args(&urls);
            String::from_utf8(curl.output().unwrap().stderr).unwrap()
        };
        assert_eq!(count(&[]), "10;070000;05;");
        assert_eq!(count(&["--http1.0"]), "10;170000;15;");
        assert_eq!(count(&["--http1.0", "-H", "Connection: keep-alive"]), "10;070000;05;");
    });
}

#[test]
fn two_hundred_clients_at_once_get_their_file() {
    with_server(Limits::default(), |server| {
        let content = server.publish("initrd", 1 << 20);
        let mut clients: Vec<_> = std::iter::repeat_with(|| server.connect()).take(200).collect();
        for client in &mut clients {
            client.write_all(b"GET /initrd HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        }
        for client in &mut clients {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert!(answer.ends_with(&content));
        }
    });
}

#[test]
fn index_page_lists_what_is_served() {
    with_server(Limits::default(), |server| {
        server.publish("vmlinuz", 8_200_000);
        fs::create_dir(server.folder.join("root/debian")).unwrap();
        server.publish("debian/<initrd>.gz", 5);
        let page = |path| String::from_utf8(server.get(&[], path).1).unwrap();
        let index = page("");
        assert!(index.contains("href=\"/vmlinuz\"") && index.contains("8.2 MB") && index.contains("href=\"/debian/\""));
        assert_eq!(page("debian"), page("debian/"));
        assert!(page("debian/").contains("&lt;initrd&gt;.gz"));
        assert_eq!(server.get(&[], "debian/%3Cinitrd%3E.gz").0, 200);
        assert_eq!(server.get(&["-I"], "debian").0, 200);
        server.wait_for(sent("debian/<initrd>.gz"));
        assert_eq!(server.steps().len(), 1, "looking at pages is no event");
    });
}

// ---- generated content

#[test]
fn generated_script_comes_before_files_and_is_reported() {
    with_server(Limits::default(), |server| {
        server.publish("boot.ipxe", 10);
        let (status, body) = server.get(&[], "boot.ipxe?mac=52%3A54%3A00");
        let expected = format!("#!ipxe\n# 52:54:00 from {}\n", server.at.port());
        assert_eq!((status, String::from_utf8(body).unwrap()), (200, expected));
        let step = server.wait_for(sent("boot.ipxe"));
        assert!(matches!(step, Step::FileSent { role: Role::Script, .. }), "{step:?}");
        assert_eq!(server.curl(&["-I"], "boot.ipxe").status.code(), Some(0));
        server.wait_for(|step| matches!(step, Step::SizeProbe { .. }));
    });
}

#[test]
fn post_reaches_whoever_wants_it_and_nobody_else() {
    with_server(Limits::default(), |server| {
        assert_eq!(server.get(&["-d", "hello"], "report/up"), (200, b"5 octets: hello".into()));
        // curl asks to be told to go on when asked to ask; a body of the greatest size arrives whole.
        let body = server.folder.join("body");
        fs::write(&body, [b'x'; 65536]).unwrap();
        let file = format!("@{}", body.display());
        let (status, answer) = server.get(&["-H", "Expect: 100-continue", "--data-binary", &file], "report/up");
        assert_eq!((status, answer.starts_with(b"65536 octets")), (200, true));
        fs::write(&body, [b'x'; 65537]).unwrap();
        assert_eq!(server.get(&["--data-binary", &file], "report/up").0, 413);
        server.publish("linux", 1);
        let refused = server.curl(&["-i", "-d", "x"], "linux").stdout;
        let refused = String::from_utf8(refused).unwrap();
        assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("\r\nAllow: GET, HEAD\r\n"), "{refused}");
        assert_eq!(server.get(&["-X", "DELETE"], "linux").0, 405);
        assert_eq!(server.steps(), []);
    });
}

// ---- names that must not work

#[test]
fn nothing_outside_the_folder_is_ever_sent() {
    with_server(Limits::default(), |server| {
        fs::write(server.folder.join("secret"), "SECRET").unwrap();
        std::os::unix::fs::symlink(server.folder.join("secret"), server.folder.join("root/link")).unwrap();
        std::os::unix::fs::symlink("..", server.folder.join("root/up")).unwrap();
        let escapes =
            ["../secret", "%2e%2e/secret", "..%2fsecret", "x/../../secret", "%2e%2e%5csecret", "link", "up/secret"];
        for path in escapes {
            let (status, body) = server.get(&["--path-as-is"], path);
            let body = String::from_utf8(body).unwrap();
            assert!(status == 403 || status == 404, "{path}: {status}");
            assert!(!body.contains("SECRET") && !body.contains("lanboot-http"), "{path}: {body}");
        }
        let named = |step: &Step| matches!(step, Step::FileNotFound { because, .. } if because.contains("publish"));
        assert!(server.steps().iter().all(|step| matches!(step, Step::FileNotFound { .. })));
        assert_eq!(server.steps().iter().filter(|step| named(step)).count(), escapes.len());
    });
}

#[test]
fn missing_file_is_404_and_told() {
    with_server(Limits::default(), |server| {
        let (status, body) = server.get(&[], "absent");
        assert_eq!((status, body), (404, b"no file of this name is published: /absent\n".into()));
        let step = server.wait_for(|step| matches!(step, Step::FileNotFound { .. }));
        assert!(matches!(step, Step::FileNotFound { file, .. } if file == "absent"));
        assert_eq!(server.get(&[], "a%00b").0, 400);
    });
}

// ---- bad clients

#[test]
fn what_is_no_request_gets_an_error_and_the_end() {
    with_server(Limits::default(), |server| {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
        let cases: [(&str, &str); 9] = [
            ("nonsense\r\n\r\n", "400"),
            ("\x16\x03\x01\x02\0\x01\0\x01\u{7f}", "400"),
            ("GET / HTTP/1.1\r\nbad header\r\n\r\n", "400"),
            ("POST /report/up HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
            ("POST /report/up HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "411"),
            ("POST /report/up HTTP/1.1\r\nContent-Length: 999999\r\n\r\n", "413"),
            (&long, "431"),
            (&many, "431"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        ];
        for (request, status) in cases {
            let answer = server.say(request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40?}: {answer}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(body.len() > 10 && body.ends_with('\n'), "{body:?}");
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    with_server(Limits::default(), |server| {
        server.publish("a", 3);
        server.publish("b", 5);
        let said = server.say(
            "HEAD /a HTTP/1.1\r\n\r\nGET /absent HTTP/1.1\r\n\r\n\r\nPOST /report/up HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\
             GET http://any/boot.ipxe HTTP/1.1\r\nHost: any\r\n\r\nGET /b HTTP/1.0\r\n\r\nGET /never HTTP/1.1\r\n\r\n",
        );
        let answers: Vec<_> = said.split("HTTP/1.1 ").skip(1).collect();
        let expected = [("200", 3), ("404", 43), ("200", 12), ("200", 27), ("200", 5)];
        assert_eq!(answers.len(), expected.len(), "{said}");
        for (answer, (status, length)) in answers.iter().zip(expected) {
            let length = format!("\r\nContent-Length: {length}\r\n");
            assert!(answer.starts_with(status) && answer.contains(&length), "{answer}");
        }
        server.wait_for(sent("b"));
    });
}

#[test]
fn head_that_trickles_in_is_given_up() {
    let limits = Limits { request: Duration::from_millis(300), ..Limits::default() };
    with_server(limits, |server| {
        assert!(server.say("GET / HTTP/1.1\r\nHost:").starts_with("HTTP/1.1 408 "));
        assert!(server.say("POST /report/up HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf").starts_with("HTTP/1.1 408 "));
        assert_eq!(server.say(""), "");
    });
}

#[test]
fn idle_connection_is_closed_without_a_word() {
    let limits = Limits { idle: Duration::from_millis(200), ..Limits::default() };
    with_server(limits, |server| {
        server.publish("a", 1);
        let answer = server.say("GET /a HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("keep-alive"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    });
}

#[test]
fn client_beyond_the_cap_waits_while_the_others_are_busy() {
    let limits = Limits { connections: 1, ..Limits::default() };
    with_server(limits, |server| {
        server.publish("a", 1);
        server.publish("initrd", 16 << 20);
        let mut busy = small_window(server);
        busy.write_all(b"GET /initrd HTTP/1.1\r\n\r\n").unwrap();
        busy.read_exact(&mut [0; 100]).unwrap();
        let mut second = server.connect();
        second.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        second.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        assert!(second.read(&mut [0]).is_err(), "the second is served while the first has the only place");
        drop(busy);
        second.set_read_timeout(Some(LONG)).unwrap();
        assert!(read_answer(&mut second).starts_with(b"HTTP/1.1 200"));
    });
}

#[test]
fn client_beyond_the_cap_takes_the_place_of_who_waited_longest() {
    let limits = Limits { threads: 1, connections: 3, ..Limits::default() };
    with_server(limits, |server| {
        server.publish("a", 1);
        let ask = |stream: &mut TcpStream| {
            stream.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
            assert!(read_answer(stream).starts_with(b"HTTP/1.1 200"));
        };
        let mut clients = [server.connect(), server.connect(), server.connect()];
        // The first came first, but the second has been silent for longer.
        [1, 0, 2].into_iter().for_each(|at| ask(&mut clients[at]));
        // Half a minute would be long; the places are taken by the time this one is served.
        ask(&mut server.connect());
        assert_eq!(clients[1].read(&mut [0]).unwrap(), 0, "it is closed in good order");
        ask(&mut clients[0]);
        ask(&mut clients[2]);
    });
}

#[test]
fn one_address_cannot_take_every_place() {
    let limits = Limits { of_one_client: 2, ..Limits::default() };
    with_server(limits, |server| {
        server.publish("a", 1);
        server.publish("initrd", 16 << 20);
        let mut busy = [small_window(server), small_window(server)];
        for stream in &mut busy {
            stream.write_all(b"GET /initrd HTTP/1.1\r\n\r\n").unwrap();
            stream.read_exact(&mut [0; 100]).unwrap();
        }
        assert_eq!(server.connect().read(&mut [0]).unwrap_or(0), 0, "a third is refused");
        let warned = server.wait_for(|step| matches!(step, Step::Warning { .. }));
        assert!(
            matches!(warned, Step::Warning { text, .. } if text.starts_with("127.0.0.1 has 2 ")),
            "{:?}",
            server.steps()
        );
        let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        other.bind(&SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 0).into()).unwrap();
        other.connect(&server.at.into()).unwrap();
        other.set_read_timeout(Some(LONG)).unwrap();
        let mut other: TcpStream = other.into();
        other.write_all(b"HEAD /absent HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        other.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 404 "));
    });
}

#[test]
fn file_that_changed_is_never_sent_as_it_was() {
    with_server(Limits::default(), |server| {
        let path = server.folder.join("root/grub.cfg");
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        let publish = |text: &str, over: bool| {
            let to = if over { path.clone() } else { path.with_extension("new") };
            fs::write(&to, text).unwrap();
            fs::File::options().write(true).open(&to).unwrap().set_modified(long_ago).unwrap();
            if !over {
                fs::rename(&to, &path).unwrap();
            }
        };
        let mut stream = server.connect();
        let mut ask = || {
            stream.write_all(b"GET /grub.cfg HTTP/1.1\r\n\r\n").unwrap();
            let answer = String::from_utf8(read_answer(&mut stream)).unwrap();
            answer.rsplit_once("\r\n\r\n").unwrap().1.to_owned()
        };
        publish("0", true);
        // Held from here on: the kernel's own time of the change is old enough by then.
        std::thread::sleep(Duration::from_millis(3100));
        for round in 0..200 {
            assert_eq!(ask(), round.to_string());
            assert_eq!(ask(), round.to_string());
            // Same length as the next at most turns, same modification time at all.
            publish(&(round + 1).to_string(), round % 2 == 0);
        }
        fs::remove_file(&path).unwrap();
        assert!(ask().starts_with("no file of this name"));
    });
}

#[test]
fn slow_client_gets_everything_however_long_it_takes() {
    let stall = Duration::from_secs(1);
    with_server(Limits { stall, ..Limits::default() }, move |server| {
        let content = server.publish("initrd", 8 << 20);
        let mut stream = small_window(server);
        stream.write_all(b"GET /initrd HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // Longer than the server waits for a client that takes nothing, in pieces that each come in time.
        for _ in 0..6 {
            std::thread::sleep(stall / 4);
            let mut piece = vec![0; 128 << 10];
            let count = stream.read(&mut piece).unwrap();
            answer.extend(&piece[..count]);
        }
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(&content));
        let step = server.wait_for(sent("initrd"));
        assert!(matches!(step, Step::FileSent { millis, .. } if millis > 1000), "{step:?}");
    });
}

#[test]
fn client_that_takes_nothing_is_given_up_and_told() {
    with_server(Limits { stall: Duration::from_secs(1), ..Limits::default() }, |server| {
        server.publish("initrd", 16 << 20);
        let mut stream = small_window(server);
        stream.write_all(b"GET /initrd HTTP/1.1\r\n\r\n").unwrap();
        let step = server.wait_for(failed("initrd"));
        let Step::FileFailed { octets, because, .. } = step else { unreachable!() };
        assert!(
            because.starts_with("client took nothing for 1 s after ") && because.ends_with("of 16.8 MB"),
            "{because}"
        );
        assert!(octets < 8 << 20);
        drop(stream);
    });
}

#[test]
fn client_that_hangs_up_is_reported_with_how_far_it_came() {
    with_server(Limits::default(), |server| {
        server.publish("initrd", 16 << 20);
        let mut stream = small_window(server);
        stream.write_all(b"GET /initrd HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
        drop(stream);
        let Step::FileFailed { octets, because, .. } = server.wait_for(failed("initrd")) else { unreachable!() };
        assert!(because.starts_with("client hung up after 1.") && because.ends_with(" of 16.8 MB"), "{because}");
        assert!(((1 << 20) - 1000..2 << 20).contains(&octets), "{octets}");
        assert!(!server.steps().iter().any(sent("initrd")));
    });
}

#[test]
fn client_that_ends_its_own_side_first_still_gets_the_file() {
    with_server(Limits::default(), |server| {
        let content = server.publish("linux", 4 << 20);
        let mut stream = server.connect();
        stream.write_all(b"GET /linux HTTP/1.1\r\n\r\n").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(&content));
        server.wait_for(sent("linux"));
    });
}

#[test]
fn file_that_shrinks_under_way_ends_the_connection_and_is_told() {
    with_server(Limits::default(), |server| {
        server.publish("initrd", 16 << 20);
        let mut stream = small_window(server);
        stream.write_all(b"GET /initrd HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
        fs::File::options().write(true).open(server.folder.join("root/initrd")).unwrap().set_len(0).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 15 << 20);
        let Step::FileFailed { because, .. } = server.wait_for(failed("initrd")) else { unreachable!() };
        assert!(because.starts_with("the file shrank while it was sent after"), "{because}");
    });
}

/// A client that can hold little, so that the server feels its pace.
fn small_window(server: &Server) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(128 << 10).unwrap();
    socket.connect(&server.at.into()).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.into()
}

/// One answer with its body, by its Content-Length.
fn read_answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        answer.push(octet[0]);
    }
    let head = String::from_utf8(answer.clone()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    answer.extend(body);
    answer
}
