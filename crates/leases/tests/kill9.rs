//! A server killed with SIGKILL at any moment forgets no lease it has acknowledged, and gives no address to two clients.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leases::{Ask, Change, ClientKey, Clock, EmbeddedStore, Grant, Holds, LeaseStore, Pool, Strategy, UnixSecs};
use mac::Mac;

const FOLDER: &str = "LANBOOT_TEST_LEASE_FOLDER";
const ROUND: &str = "LANBOOT_TEST_ROUND";
const ROUNDS: u32 = 50;
/// The kill comes somewhere among so many allocations; the server would go on to `MOST_PER_ROUND`.
const KILLED_WITHIN: u32 = 200;
const MOST_PER_ROUND: u32 = 1000;
const NOW: UnixSecs = UnixSecs(1_700_000_000);

#[test]
fn no_acknowledged_lease_is_forgotten_and_none_is_given_twice() {
    let folder = TestFolder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kill9-{}", std::process::id())));
    let mut acknowledged: HashMap<Ipv4Addr, Mac> = HashMap::new();
    let mut killed_in_flight = 0;
    for round in 0..ROUNDS {
        // From the first allocation on, in even steps; where exactly in the server's work it falls is left to the system.
        let reports = run_and_kill(&folder.0, round, KILLED_WITHIN * round / ROUNDS);
        killed_in_flight += u32::from(reports.len() < MOST_PER_ROUND as usize);
        for (address, mac) in reports {
            let other = acknowledged.insert(address, mac);
            assert_eq!(other, None, "round {round}: {address} was acknowledged to {mac} as well");
        }
        let (store, _) = EmbeddedStore::open(&folder.0).unwrap();
        for (address, mac) in &acknowledged {
            let record = store.at(*address).unwrap_or_else(|| panic!("round {round}: {address} is forgotten"));
            assert_eq!(record.key(), Some(&ClientKey::Mac(*mac)), "round {round}");
        }
    }
    assert!(killed_in_flight > ROUNDS / 2, "{killed_in_flight} of {ROUNDS} kills came before the work was done");
}

struct TestFolder(PathBuf);

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `serve` as a process of its own, kills it after it has acknowledged `enough` leases, and returns all it acknowledged.
fn run_and_kill(folder: &Path, round: u32, enough: u32) -> Vec<(Ipv4Addr, Mac)> {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serve_until_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut reports = Vec::new();
    while reports.len() < enough as usize {
        assert!(Instant::now() < deadline, "round {round}: the server got stuck");
        let line = lines.next().expect("the server runs until it is killed").unwrap();
        reports.extend(acknowledgement(&line));
    }
    server.kill().unwrap();
    server.wait().unwrap();
    // What it wrote before it died is in the pipe still; a last line cut short was not acknowledged.
    reports.extend(lines.map_while(Result::ok).filter_map(|line| acknowledgement(&line)));
    reports
}

/// `ack 10.0.0.1 02:00:00:00:00:01 .`
fn acknowledgement(line: &str) -> Option<(Ipv4Addr, Mac)> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    let (address, mac) = (words.next()?, words.next()?);
    (words.next()? == ".").then(|| (address.parse().unwrap(), mac.parse().unwrap()))
}

#[test]
#[ignore = "the other test runs this one as the server to kill"]
fn serve_until_killed() {
    let (Some(folder), Ok(round)) = (std::env::var_os(FOLDER), std::env::var(ROUND)) else { return };
    let round: u32 = round.parse().unwrap();
    let (mut store, _) = EmbeddedStore::open(Path::new(&folder)).unwrap();
    let range = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 255, 254));
    let pool = Pool::new([range], [], Strategy::Sequential);
    let mut stdout = std::io::stdout();
    let mut client = round * MOST_PER_ROUND;
    let end = client + MOST_PER_ROUND;
    while client < end {
        let batch = client..end.min(client + 1 + client % 7);
        client = batch.end;
        let grants = grants(&pool, &store, batch).into_iter().map(Change::Grant).collect();
        for outcome in store.commit(grants).unwrap() {
            let lease = outcome.lease().unwrap();
            // One write per line, so that the kill falls between acknowledgements or within one.
            stdout.write_all(format!("ack {} {} .\n", lease.address(), lease.mac()).as_bytes()).unwrap();
        }
    }
    stdout.flush().unwrap();
    // Until it is killed, or its parent is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn grants(pool: &Pool, store: &impl LeaseStore, clients: std::ops::Range<u32>) -> Vec<Grant> {
    let mut holds = Holds::default();
    let running = Instant::now();
    let mut grant = |client: u32| {
        let [a, b, c, d] = client.to_be_bytes();
        let mac = Mac([2, 0, a, b, c, d]);
        let key = ClientKey::Mac(mac);
        let ask = Ask { key: &key, mac, requested: None, avoid: None };
        let clock = Clock { wall: NOW, running };
        let address = leases::candidate(&[pool], ask, store.table(), &mut holds, clock).unwrap().address;
        holds.hold(address, key.clone(), running, running + Duration::from_secs(10)).unwrap();
        Grant { address, key, mac, client_id: None, hostname: None, lease_secs: 3600, now: NOW }
    };
    clients.map(&mut grant).collect()
}
