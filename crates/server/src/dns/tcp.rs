//! Clients that ask over TCP (RFC 7766): several queries in one connection, answered as their answers come.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use dns::{Client, Handled, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::Edge;
use super::listener::Listener;

/// How long a connection may be silent, and a client may take for a query or for taking an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Queries of one connection that wait for their answers; more are read once some have gone.
const PIPELINED: u32 = 64;
/// Before connections are accepted again after an error, such as too many open files.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// All connections of clients.
#[derive(Default)]
pub(super) struct Connections {
    open: RefCell<HashMap<u64, Connection>>,
    most: Cell<usize>,
    next: Cell<u64>,
}

struct Connection {
    client: IpAddr,
    /// When its last query came.
    heard: Cell<Instant>,
    replies: UnboundedSender<Vec<u8>>,
    task: Option<AbortHandle>,
}

impl Connections {
    pub fn set_most(&self, most: usize) {
        self.most.set(most.max(1));
    }

    /// Sends a reply that came later; one whose connection is gone is lost.
    pub fn reply(&self, by: u64, octets: Vec<u8>) {
        if let Some(connection) = self.open.borrow().get(&by) {
            let _ = connection.replies.send(octets);
        }
    }

    /// Makes room for one more: of whoever has most connections, the one that was silent for longest goes. So nobody
    /// keeps others out.
    fn make_room(&self) {
        let mut open = self.open.borrow_mut();
        while open.len() >= self.most.get() {
            let mut counts: HashMap<IpAddr, usize> = HashMap::new();
            open.values().for_each(|connection| *counts.entry(connection.client).or_default() += 1);
            let rank = |connection: &Connection| (counts[&connection.client], connection.heard.get().elapsed());
            let Some(by) = open.iter().max_by_key(|(_, connection)| rank(connection)).map(|(by, _)| *by) else {
                return;
            };
            if let Some(task) = open.remove(&by).and_then(|connection| connection.task) {
                task.abort();
            }
        }
    }

    fn enter(&self, client: IpAddr) -> (u64, UnboundedReceiver<Vec<u8>>) {
        self.make_room();
        let by = self.next.get();
        self.next.set(by + 1);
        // Bounded by the queries that may wait: each has one reply.
        let (replies, taken) = unbounded_channel();
        let connection = Connection { client, heard: Cell::new(Instant::now()), replies, task: None };
        self.open.borrow_mut().insert(by, connection);
        (by, taken)
    }

    fn heard(&self, by: u64) {
        if let Some(connection) = self.open.borrow().get(&by) {
            connection.heard.set(Instant::now());
        }
    }
}

/// Accepts connections until it is aborted.
pub(super) async fn accept(edge: Rc<Edge>, listener: Rc<Listener>, socket: TcpListener) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                if edge.clients.borrow_mut().admit(peer.ip(), 0, &edge.reporter) {
                    let (by, replies) = edge.connections.enter(peer.ip());
                    let task = spawn_local(attend(edge.clone(), listener.clone(), stream, peer, by, replies));
                    if let Some(connection) = edge.connections.open.borrow_mut().get_mut(&by) {
                        connection.task = Some(task.abort_handle());
                    }
                }
            }
            Err(error) => {
                edge.say_once("DNS connections cannot be accepted", &error);
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn attend(
    edge: Rc<Edge>,
    listener: Rc<Listener>,
    mut stream: TcpStream,
    peer: SocketAddr,
    by: u64,
    mut replies: UnboundedReceiver<Vec<u8>>,
) {
    let client = Client {
        address: peer,
        local: listener.at.address,
        interface: listener.index.get(),
        transport: Transport::Tcp,
        by,
    };
    let _ = stream.set_nodelay(true);
    let (from, to) = stream.split();
    let room = Semaphore::new(PIPELINED as usize);
    // Whichever ends first: the client's last word with all answers sent, or that it takes none.
    tokio::select! {
        _ = read(&edge, &client, from, &room) => {}
        _ = write(to, &mut replies, &room) => {}
    }
    edge.connections.open.borrow_mut().remove(&by);
}

async fn read(edge: &Rc<Edge>, client: &Client, mut from: ReadHalf<'_>, room: &Semaphore) -> io::Result<()> {
    let mut octets = Vec::new();
    loop {
        // A client that waits for answers need not ask on; one that does neither has ended.
        let next = timeout(PATIENCE, read_one(&mut from, &mut octets)).await;
        if !matches!(next, Ok(Ok(()))) {
            let _ = timeout(PATIENCE, room.acquire_many(PIPELINED)).await;
            return Ok(());
        }
        edge.connections.heard(client.by);
        let permit = timeout(PATIENCE, room.acquire()).await.map_err(io::Error::from)?;
        permit.expect("it is never closed").forget();
        // As for queries by UDP.
        edge.obey();
        match edge.ask(client, &octets) {
            (Handled::Reply, reply) => edge.connections.reply(client.by, reply),
            (Handled::Waits, _) => {}
            (Handled::Dropped, _) => room.add_permits(1),
        }
    }
}

/// A message behind its length (RFC 1035 section 4.2.2).
async fn read_one(from: &mut ReadHalf<'_>, octets: &mut Vec<u8>) -> io::Result<()> {
    let length = from.read_u16().await?;
    octets.resize(length.into(), 0);
    from.read_exact(octets).await.map(drop)
}

async fn write(mut to: WriteHalf<'_>, replies: &mut UnboundedReceiver<Vec<u8>>, room: &Semaphore) -> io::Result<()> {
    let (mut waiting, mut octets) = (Vec::new(), Vec::new());
    loop {
        let count = replies.recv_many(&mut waiting, PIPELINED as usize).await;
        if count == 0 {
            return Ok(());
        }
        octets.clear();
        for reply in waiting.drain(..) {
            let Ok(length) = u16::try_from(reply.len()) else { continue };
            octets.extend(length.to_be_bytes());
            octets.extend(reply);
        }
        timeout(PATIENCE, to.write_all(&octets)).await.map_err(io::Error::from)??;
        room.add_permits(count);
    }
}
