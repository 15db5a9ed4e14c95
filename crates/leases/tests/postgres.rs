//! Several nodes on one PostgreSQL: whatever dies or is cut, no acknowledged lease is lost, and no address is given to two clients.

#[path = "../../../tests/postgres/server.rs"]
mod server;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use leases::{
    Ask, Change, ClientKey, Clock, Grant, Holds, LeaseStore, Outcome, Pool, PostgresSettings, PostgresStore, Record,
    Strategy, UnixSecs, list_postgres,
};
use mac::Mac;
use server::Server;

const CLIENTS: u32 = 40;
const ADDRESSES: u32 = 25;
const LEASE_SECS: u32 = 3600;

fn settings(url: &str) -> PostgresSettings {
    PostgresSettings::new(url, None).unwrap()
}

fn open(url: &str) -> PostgresStore {
    PostgresStore::open(settings(url), Vec::new()).unwrap().0
}

fn mac(client: u32) -> Mac {
    let [a, b, c, d] = client.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

fn key(client: u32) -> ClientKey {
    ClientKey::Mac(mac(client))
}

fn address(place: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + 1 + place)
}

fn now() -> UnixSecs {
    UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

fn grant(client: u32, address: Ipv4Addr) -> Grant {
    let (key, mac) = (key(client), mac(client));
    Grant { address, key, mac, client_id: None, hostname: None, lease_secs: LEASE_SECS, now: now() }
}

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % end
    }
}

/// Who was told that he has which address, and has not begun to do without it since.
#[derive(Default)]
struct Witness {
    holders: HashMap<Ipv4Addr, u32>,
    acknowledged: u32,
}

impl Witness {
    /// A client that asks for an address, or gives it back, uses none from then on until it is answered.
    fn asks(&mut self, client: u32, change: &Change) {
        let stays = |address| matches!(change, Change::Grant(grant) if grant.address == address);
        self.holders.retain(|address, holder| *holder != client || stays(*address));
    }

    fn hears(&mut self, client: u32, outcome: Outcome) {
        let Outcome::Granted(lease) = outcome else { return };
        assert_eq!(*lease.key(), key(client));
        self.acknowledged += 1;
        if let Some(other) = self.holders.insert(lease.address(), client) {
            assert_eq!(other, client, "{} was acknowledged to both", lease.address());
        }
    }

    fn agrees_with(&self, url: &str) {
        let table = list_postgres(&settings(url)).unwrap();
        for (address, client) in &self.holders {
            let record = table.at(*address).filter(|record| record.is_active(now()));
            assert_eq!(record.and_then(Record::key), Some(&key(*client)), "{address}");
        }
    }
}

struct Node {
    store: PostgresStore,
    /// The clients of the batch under way.
    asking: Vec<u32>,
}

impl Node {
    fn begin(&mut self, random: &mut Random, witness: &mut Witness, busy: &HashSet<u32>) {
        let mut batch = Vec::new();
        for _ in 0..=random.below(8) {
            let (client, place) = (random.below(CLIENTS), address(random.below(ADDRESSES)));
            if busy.contains(&client) || self.asking.contains(&client) {
                continue;
            }
            let own = self.store.find(&key(client)).map(|record| record.address);
            let change = match (random.below(5), own) {
                (0, Some(address)) => Change::Release { address, key: key(client), now: now() },
                (1 | 2, Some(address)) => Change::Grant(grant(client, address)),
                _ => Change::Grant(grant(client, place)),
            };
            witness.asks(client, &change);
            self.asking.push(client);
            batch.push(change);
        }
        if !batch.is_empty() {
            self.store.begin(batch);
        }
    }

    /// `true` when a batch was carried out.
    fn settle(&mut self, witness: &mut Witness) -> bool {
        let Some(result) = self.store.settled() else { return false };
        let asking = std::mem::take(&mut self.asking);
        let done = result.is_ok();
        for (client, outcome) in asking.into_iter().zip(result.unwrap_or_default()) {
            witness.hears(client, outcome);
        }
        self.store.news();
        done
    }
}

#[test]
fn two_nodes_never_acknowledge_one_address_to_two_whatever_is_killed_or_cut() {
    let mut server = Server::start();
    server.sql("postgres", "create database leases");
    let url = server.url("owner", "leases");
    let proxy = Proxy::before(&server);
    let (mut random, mut witness) = (Random(0x1ea5e5), Witness::default());
    let mut nodes = [open(&url), open(&proxy.url())].map(|store| Node { store, asking: Vec::new() });
    // What happens after so many batches that were carried out.
    let (mut carried_out, mut next) = (0, 0);
    let events: [(u32, &str); 8] = [
        (150, "cut"),
        (300, "kill"),
        (450, "freeze"),
        (600, "cut"),
        (700, "kill"),
        (750, "cut"),
        (900, "freeze"),
        (1200, "end"),
    ];
    let deadline = Instant::now() + Duration::from_secs(240);
    while next < events.len() {
        assert!(Instant::now() < deadline, "stuck after {carried_out} batches, before {:?}", events[next]);
        for at in 0..nodes.len() {
            carried_out += u32::from(nodes[at].settle(&mut witness));
            if nodes[at].asking.is_empty() {
                let busy: HashSet<u32> = nodes[1 - at].asking.iter().copied().collect();
                nodes[at].begin(&mut random, &mut witness, &busy);
            }
        }
        if carried_out < events[next].0 {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        match events[next].1 {
            "cut" => proxy.cut(),
            "kill" => {
                server.kill();
                server.start_again();
            }
            "freeze" => {
                // Until the node gives up; what it sent reaches the database long after its clients asked the other node.
                proxy.freeze();
                while !nodes[1].asking.is_empty() {
                    assert!(Instant::now() < deadline, "the node waits for ever");
                    // Its clients have no patience, and ask the other node as well.
                    nodes[0].settle(&mut witness);
                    if nodes[0].asking.is_empty() {
                        nodes[0].begin(&mut random, &mut witness, &HashSet::new());
                    }
                    assert!(!nodes[1].settle(&mut witness), "an answer came through");
                    std::thread::sleep(Duration::from_millis(2));
                }
                proxy.thaw();
            }
            _ => {}
        }
        next += 1;
    }
    for node in &mut nodes {
        while !node.asking.is_empty() {
            node.settle(&mut witness);
            assert!(Instant::now() < deadline, "the last batch is never settled");
        }
    }
    witness.agrees_with(&url);
    assert!(witness.acknowledged > 1000, "only {} leases", witness.acknowledged);
}

#[test]
fn a_batch_that_arrives_when_its_node_has_given_it_up_undoes_nothing() {
    let server = Server::start();
    server.sql("postgres", "create database leases");
    let proxy = Proxy::before(&server);
    let (mut near, mut far) = (open(&server.url("owner", "leases")), open(&proxy.url()));
    let (a, b) = (address(1), address(2));
    let give = |store: &mut PostgresStore, client, address| {
        store
            .commit(vec![Change::Grant(grant(client, address))])
            .map(|mut outcomes| outcomes.remove(0).lease().is_some())
    };
    assert!(give(&mut near, 7, a).unwrap());
    // With a question of its own under way, the other node would not send the batch at all.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !far.news().iter().any(|record| record.address == a) {
        assert!(Instant::now() < deadline, "the other node never hears of the lease");
        std::thread::sleep(Duration::from_millis(10));
    }
    proxy.freeze();
    assert!(give(&mut far, 7, b).is_err(), "no answer came through");
    // Its client has turned to the other node, and goes on with the address that it has.
    assert!(give(&mut near, 7, a).unwrap());
    let versions = || server.sql("leases", "select last_value from lanboot.version").parse::<u64>().unwrap();
    let before = versions();
    proxy.thaw();
    let deadline = Instant::now() + Duration::from_secs(60);
    while versions() == before {
        assert!(Instant::now() < deadline, "the late batch never arrives");
        std::thread::sleep(Duration::from_millis(10));
    }
    while give(&mut far, 8, b).is_err() {
        assert!(Instant::now() < deadline, "the node does not come back");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!give(&mut far, 9, a).unwrap(), "the address that it holds was given to another");
}

const URL: &str = "LANBOOT_TEST_LEASE_URL";
const FIRST_CLIENT: &str = "LANBOOT_TEST_FIRST_CLIENT";
const ROUNDS: u32 = 8;
/// More than are there until it is killed.
const CLIENTS_OF_NODE: u32 = 3000;

#[test]
fn a_node_that_is_killed_takes_no_lease_with_it() {
    let server = Server::start();
    server.sql("postgres", "create database leases");
    let url = server.url("owner", "leases");
    open(&url);
    let mut acknowledged: HashMap<Ipv4Addr, Mac> = HashMap::new();
    for round in 0..ROUNDS {
        let first = round * 2 * CLIENTS_OF_NODE;
        let mut nodes = [first, first + CLIENTS_OF_NODE].map(|first| run_node(&url, first));
        let mut reports = Vec::new();
        for (child, lines) in &mut nodes {
            // So many from the one that is killed first; the other goes on meanwhile.
            let enough = reports.len() + 1 + round as usize * 30;
            while reports.len() < enough {
                let line = lines.next().expect("a node runs until it is killed").unwrap();
                reports.extend(acknowledgement(&line));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // A last line cut short was not acknowledged.
            reports.extend(lines.by_ref().map_while(Result::ok).filter_map(|line| acknowledgement(&line)));
        }
        for (address, mac) in reports {
            let other = acknowledged.insert(address, mac);
            assert_eq!(other, None, "round {round}: {address} was acknowledged to {mac} as well");
        }
        let table = list_postgres(&settings(&url)).unwrap();
        for (address, mac) in &acknowledged {
            let known = table.at(*address).and_then(Record::key);
            assert_eq!(known, Some(&ClientKey::Mac(*mac)), "round {round}: {address}");
        }
    }
}

type Lines = std::io::Lines<BufReader<ChildStdout>>;

fn run_node(url: &str, first: u32) -> (Child, Lines) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serve_until_killed", "--ignored", "--nocapture"])
        .env(URL, url)
        .env(FIRST_CLIENT, first.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// `ack 10.0.0.1 02:00:00:00:00:01 .`
fn acknowledgement(line: &str) -> Option<(Ipv4Addr, Mac)> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    let (address, mac) = (words.next()?, words.next()?);
    (words.next()? == ".").then(|| (address.parse().unwrap(), mac.parse().unwrap()))
}

#[test]
#[ignore = "the other test runs this one as the node to kill"]
fn serve_until_killed() {
    let (Ok(url), Ok(first)) = (std::env::var(URL), std::env::var(FIRST_CLIENT)) else { return };
    let first: u32 = first.parse().unwrap();
    let mut store = open(&url);
    // Both nodes take the lowest free address, so that they meet all the time.
    let pool = Pool::new([(Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 2, 255, 254))], [], Strategy::Sequential);
    let mut stdout = std::io::stdout();
    let mut waiting: Vec<u32> = (first..first + CLIENTS_OF_NODE).rev().collect();
    while !waiting.is_empty() {
        let batch: Vec<u32> = waiting.split_off(waiting.len().saturating_sub(5));
        let mut holds = Holds::default();
        let running = Instant::now();
        let grants = batch.iter().map(|client| {
            let (key, mac) = (key(*client), mac(*client));
            let ask = Ask { key: &key, mac, requested: None, avoid: None };
            let clock = Clock { wall: now(), running };
            let address = leases::candidate(&[&pool], ask, store.table(), &mut holds, clock).unwrap().address;
            holds.hold(address, key.clone(), running, running + Duration::from_secs(10)).unwrap();
            Change::Grant(grant(*client, address))
        });
        let grants = grants.collect();
        for (client, outcome) in batch.into_iter().zip(store.commit(grants).unwrap()) {
            match outcome.lease() {
                // One write per line, so that the kill falls between acknowledgements or within one.
                Some(lease) => {
                    let line = format!("ack {} {} .\n", lease.address(), lease.mac());
                    stdout.write_all(line.as_bytes()).unwrap();
                }
                // The other node was faster; the table knows it now.
                None => waiting.push(client),
            }
        }
        store.news();
    }
    stdout.flush().unwrap();
    // Until it is killed, or its parent is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// The network between a node and its database.
struct Proxy {
    folder: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Both ends of each connection, and whether nothing passes.
    state: Mutex<(Vec<UnixStream>, bool)>,
    thawed: Condvar,
}

impl Proxy {
    fn before(server: &Server) -> Proxy {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lb-cut-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
        let (shared, to) = (Arc::new(Shared::default()), server.socket());
        let state = shared.clone();
        std::thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                // While the server is down, so is the connection.
                let Ok(there) = UnixStream::connect(&to) else { continue };
                for (from, to) in
                    [(&here, &there), (&there, &here)].map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap()))
                {
                    let shared = state.clone();
                    std::thread::spawn(move || shared.pump(from, to));
                }
                state.state.lock().unwrap().0.extend([here, there]);
            }
        });
        Proxy { folder, shared }
    }

    fn url(&self) -> String {
        format!("postgresql://owner@/leases?host={}", self.folder.display())
    }

    fn cut(&self) {
        for stream in self.shared.state.lock().unwrap().0.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn freeze(&self) {
        self.shared.state.lock().unwrap().1 = true;
    }

    fn thaw(&self) {
        self.shared.state.lock().unwrap().1 = false;
        self.shared.thawed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Shared {
    fn pump(&self, mut from: UnixStream, mut to: UnixStream) {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let state = self.state.lock().unwrap();
            drop(self.thawed.wait_while(state, |(_, frozen)| *frozen).unwrap());
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
