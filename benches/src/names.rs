//! DNS under dnsperf: names of a hosts file, names in the cache, names that are forwarded; and the memory of a full cache.

use std::fmt::Write;
use std::fs;
use std::net::UdpSocket;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bed::{self, Bed, readable};
use crate::program::Program;
use crate::server::{Folder, Server};
use crate::table::Table;
use crate::{Result, Subject};

/// Names of the hosts file, and as many that are cached.
const NAMES: usize = 1000;
/// Names that are asked for once, and so are forwarded.
const NEW_NAMES: usize = 60_000;
/// Names in the full cache.
const FULL: usize = 100_000;
/// How long cached and local names are asked for.
const SECONDS: &str = "1";
/// Queries per second for the quantiles of time: well below what either can do.
const CALM: &str = "5000";
const UPSTREAM_PORT: u16 = 5300;
const PATIENCE: Duration = Duration::from_secs(5);

/// One network, in which the machines ask, and in which the upstream server is as well.
pub struct Names {
    bed: Bed,
    folder: Folder,
    _upstream: Upstream,
    round: usize,
}

impl Names {
    pub fn new() -> Result<Names> {
        let bed = Bed::bridged(&bed::SMALL)?;
        let folder = Folder::new()?;
        let hosts: String = (0..NAMES).fold(String::new(), |mut text, n| {
            writeln!(text, "10.8.{}.{} host{n}.bench", n / 250, n % 250).expect("a String takes all");
            text
        });
        fs::write(folder.0.join("hosts"), hosts)?;
        let upstream = Upstream::start(&bed)?;
        let names = Names { bed, folder, _upstream: upstream, round: 0 };
        names.queries("local", (0..NAMES).map(|n| format!("host{n}.bench")))?;
        names.queries("cached", (0..NAMES).map(|n| format!("cached{n}.example")))?;
        names.queries("full", (0..FULL).map(|n| format!("full{n}.example")))?;
        Ok(names)
    }

    fn queries(&self, file: &str, names: impl Iterator<Item = String>) -> Result<()> {
        let lines: String = names.map(|name| name + " A\n").collect();
        Ok(fs::write(self.folder.0.join(file), lines)?)
    }

    /// The same options for both: what dnsmasq's manual names for a busy cache.
    fn start(&self, program: Program) -> Result<Server> {
        let bed::Subnet { server, machine, .. } = self.bed.subnet;
        let mut arguments: Vec<String> = [
            "--keep-in-foreground --conf-file=/dev/null --user=root --interface=net --bind-interfaces",
            "--no-resolv --no-hosts --cache-size=100000 --dns-forward-max=1000",
        ]
        .iter()
        .flat_map(|words| words.split(' ').map(str::to_owned))
        .collect();
        arguments.push(format!("--server={machine}#{UPSTREAM_PORT}"));
        arguments.push(format!("--addn-hosts={}", self.folder.0.join("hosts").display()));
        let running = Server::start_dnsmasq_options(program, &self.bed, &arguments)?;
        let (socket, start) = (self.bed.udp_client()?, Instant::now());
        socket.connect((*server, 53))?;
        while start.elapsed() < PATIENCE {
            // An answer of any kind; a port that nobody listens on yet is an error that passes.
            let _ = socket.send(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x05host0\x05bench\0\0\x01\0\x01");
            if readable(&socket, Duration::from_millis(5)) && socket.recv(&mut [0; 512]).is_ok() {
                return Ok(running);
            }
        }
        Err(format!("{program:?} answers no query; it said: {}", running.output()).into())
    }

    /// Lets dnsperf ask. `file`: the questions.
    fn perf(&self, file: &str, how: &[&str]) -> Result<Asked> {
        let mut command = self.bed.machines.command("dnsperf");
        command.args(["-s", &self.bed.subnet.server.to_string(), "-c", "4", "-d"]).arg(self.folder.0.join(file));
        let output = command.args(how).output().map_err(|error| format!("dnsperf cannot be run: {error}"))?;
        Asked::read(&output)
    }
}

impl Subject for Names {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::Dnsmasq]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        self.round += 1;
        let new = format!("new{}", self.round);
        self.queries(&new, (0..NEW_NAMES).map(|n| format!("new{n}.round{}.example", self.round)))?;
        for &program in order {
            let server = self.start(program)?;
            self.perf("cached", &["-n", "1"])?;
            let mut measure = |what: &str, file: &str, how: &[&str]| {
                let before = server.processor_time()?;
                let asked = self.perf(file, how).map_err(|error| format!("{program:?}: {what}: {error}"))?;
                let used = server.processor_time()? - before;
                table.add(&format!("DNS, {what}, queries/s"), program, asked.rate);
                let each = used.as_secs_f64() * 1e6 / asked.answers;
                table.add(&format!("  server's processor time per query ({what}), µs"), program, each);
                table.add(&format!("  lost ({what})"), program, asked.lost);
                let calm = ["-Q", CALM, "-v"];
                let calm = self.perf(file, &[how, &calm].concat())?;
                table.add(&format!("  p99 at {CALM} queries/s ({what}), ms"), program, calm.p99_ms);
                Result::Ok(())
            };
            measure("names of a hosts file", "local", &["-l", SECONDS])?;
            measure("names in the cache", "cached", &["-l", SECONDS])?;
            let before = server.processor_time()?;
            let asked = self.perf(&new, &["-n", "1"])?;
            let used = server.processor_time()? - before;
            table.add("DNS, new names, forwarded, queries/s", program, asked.rate);
            let each = used.as_secs_f64() * 1e6 / asked.answers;
            table.add("  server's processor time per query (forwarded), µs", program, each);
            table.add("  lost (forwarded)", program, asked.lost);
            drop(server);
            self.memory(program, table)?;
        }
        fs::remove_file(self.folder.0.join(&new))?;
        Ok(())
    }
}

impl Names {
    fn memory(&self, program: Program, table: &mut Table) -> Result<()> {
        let server = self.start(program)?;
        self.perf("full", &["-n", "1"])?;
        let memory = server.memory()?;
        table.add("resident with 100 000 cached names (VmRSS), MiB", program, memory.whole);
        let calm = self.perf("full", &["-l", SECONDS, "-Q", CALM, "-v"])?;
        table.add("  p99 of these at 5000 queries/s, ms", program, calm.p99_ms);
        Ok(())
    }
}

/// What dnsperf reports.
struct Asked {
    rate: f64,
    answers: f64,
    lost: f64,
    /// Told only where it reports each answer.
    p99_ms: f64,
}

impl Asked {
    fn read(output: &Output) -> Result<Asked> {
        let text = String::from_utf8_lossy(&output.stdout);
        let value = |key: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
            let word = line.and_then(|rest| rest.split_whitespace().next());
            let error = || format!("dnsperf tells no `{key}`: {}", String::from_utf8_lossy(&output.stderr));
            Ok(word.ok_or_else(error)?.parse()?)
        };
        let (answers, rate) = (value("Queries completed:")?, value("Queries per second:")?);
        if !text.contains(&format!("NOERROR {answers} ")) {
            return Err(format!("not all answers are NOERROR:\n{text}").into());
        }
        // `> NOERROR NAME TYPE SECONDS`
        let mut times: Vec<f64> =
            text.lines().filter_map(|line| line.strip_prefix("> ")?.split(' ').nth(3)?.parse().ok()).collect();
        times.sort_by(f64::total_cmp);
        let p99_ms = times.get(times.len() * 99 / 100).map_or(f64::NAN, |seconds| seconds * 1e3);
        Ok(Asked { rate, answers, lost: value("Queries lost:")?, p99_ms })
    }
}

/// Answers each query for an address, after no time, from a thread of its own.
struct Upstream {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    fn start(bed: &Bed) -> Result<Upstream> {
        let socket = bed.machines.run(|| UdpSocket::bind((bed.subnet.machine, UPSTREAM_PORT)))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, mut buffer) = (stop.clone(), [0; 1024]);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(answer) = answer(&buffer[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Upstream { stop, thread: Some(thread) })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The query with an address for an hour, and without what followed its question.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    while *query.get(end)? != 0 {
        end += 1 + usize::from(query[end]);
    }
    let mut answer = query.get(..end + 5)?.to_vec();
    // A response, recursion available; one question, one answer.
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x01");
    Some(answer)
}
