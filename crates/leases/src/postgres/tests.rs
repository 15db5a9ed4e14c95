//! Against a real PostgreSQL.

#[path = "../../../../tests/postgres/server.rs"]
mod server;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use mac::Mac;
use server::Server;

use super::*;
use crate::record::{ClientKey, Grant};

/// One for all tests of this process; it ends with it.
fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A database of the test's own.
fn database(server: &Server) -> String {
    static COUNT: Mutex<u32> = Mutex::new(0);
    // One at a time: the template must have no other user.
    let mut count = COUNT.lock().unwrap();
    *count += 1;
    let name = format!("leases{count}");
    server.sql("postgres", &format!("create database {name}"));
    name
}

fn settings(server: &Server, database: &str) -> PostgresSettings {
    PostgresSettings::new(&server.url("owner", database), None).unwrap()
}

fn open(server: &Server, database: &str) -> PostgresStore {
    PostgresStore::open(settings(server, database), Vec::new()).unwrap().0
}

/// An empty store that goes by the time of the test, in the database of this thread.
fn empty() -> PostgresStore {
    thread_local!(static DATABASE: RefCell<Option<String>> = const { RefCell::new(None) });
    let make = || {
        let name = database(shared());
        migrate_postgres(&settings(shared(), &name), true).unwrap();
        name
    };
    let name = DATABASE.with_borrow_mut(|name| name.get_or_insert_with(make).clone());
    shared().sql(&name, "delete from lanboot.leases");
    let settings = settings(shared(), &name);
    PostgresStore::by_clock(settings, Vec::new(), Time::Askers).unwrap().0
}

crate::conformance::suite!(empty());

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn now() -> UnixSecs {
    UnixSecs(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
}

fn key(last: u8) -> ClientKey {
    ClientKey::Mac(Mac([2, 0, 0, 0, 0, last]))
}

fn grant(address: Ipv4Addr, last: u8, lease_secs: u32) -> Change {
    let (mac, key) = (Mac([2, 0, 0, 0, 0, last]), key(last));
    Change::Grant(Grant { address, key, mac, client_id: None, hostname: None, lease_secs, now: now() })
}

fn give(store: &mut PostgresStore, change: Change) -> Result<bool, StoreError> {
    let outcome = store.commit(vec![change])?.remove(0);
    Ok(matches!(outcome, Outcome::Granted(_) | Outcome::Released(true) | Outcome::Unnamed(true) | Outcome::Declined))
}

/// What others wrote, once it has come.
fn news(store: &mut PostgresStore) -> Vec<Record> {
    wait_for(|| Some(store.news()).filter(|news| !news.is_empty()))
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_one_node_grants_the_other_learns_and_refuses_to_others() {
    let name = database(shared());
    let (mut one, mut two) = (open(shared(), &name), open(shared(), &name));
    assert!(give(&mut one, grant(A, 1, 600)).unwrap());
    assert_eq!(news(&mut two)[0].key(), Some(&key(1)));
    assert!(!give(&mut two, grant(A, 2, 600)).unwrap());
    assert!(give(&mut two, grant(A, 1, 700)).unwrap(), "its client renews with any node");
    let renewed = news(&mut one);
    assert_eq!(renewed[0].binding().unwrap().lease_secs, 700);
    assert!(give(&mut two, Change::Release { address: A, key: key(1), now: now() }).unwrap());
    assert!(matches!(news(&mut one)[0].state, State::Released { .. }));
    assert!(one.news().is_empty() && two.news().is_empty(), "nobody hears of what he did himself");
}

#[test]
fn a_conflict_teaches_the_true_row() {
    let name = database(shared());
    let (mut one, mut two) = (open(shared(), &name), open(shared(), &name));
    give(&mut one, grant(A, 1, 600)).unwrap();
    // Whether or not the news has come before.
    let outcome = two.commit(vec![grant(A, 2, 600)]).unwrap().remove(0);
    assert_eq!(outcome, Outcome::Taken(Taken { address: A, by: Occupant::Client(key(1)) }));
    assert_eq!(two.at(A).unwrap().key(), Some(&key(1)));
}

#[test]
fn an_address_left_with_another_node_is_forgotten_here() {
    let name = database(shared());
    let (mut one, mut two) = (open(shared(), &name), open(shared(), &name));
    give(&mut one, grant(A, 1, 600)).unwrap();
    news(&mut two);
    give(&mut two, grant(B, 1, 600)).unwrap();
    wait_for(|| (one.news(), one.at(A).is_none() && one.at(B).is_some()).1.then_some(()));
    assert!(give(&mut one, grant(A, 2, 600)).unwrap());
    assert_eq!(list_postgres(&settings(shared(), &name)).unwrap().len(), 2);
}

#[test]
fn an_ended_lease_is_left_alone_for_a_moment_and_not_longer() {
    let name = database(shared());
    let (mut one, mut two) = (open(shared(), &name), open(shared(), &name));
    assert!(give(&mut one, grant(A, 1, 1)).unwrap());
    wait_for(|| {
        let now = now();
        two.hear();
        (two.at(A).is_some_and(|record| !record.is_active(now))).then_some(())
    });
    assert!(!give(&mut two, grant(A, 2, 60)).unwrap(), "whoever had it may have a slow clock");
    wait_for(|| give(&mut two, grant(A, 2, 60)).unwrap().then_some(()));
}

#[test]
fn a_change_that_was_long_on_its_way_undoes_nothing() {
    let name = database(shared());
    let (mut one, mut two) = (open(shared(), &name), open(shared(), &name));
    give(&mut one, grant(A, 1, 600)).unwrap();
    let late = UnixSecs(now().0 - 30);
    let Change::Grant(moved) = grant(B, 1, 600) else { unreachable!() };
    assert!(!give(&mut two, Change::Grant(Grant { now: late, ..moved })).unwrap());
    assert!(!give(&mut two, Change::Release { address: A, key: key(1), now: late }).unwrap());
    assert_eq!(shared().sql(&name, "select address, state from lanboot.leases"), "10.0.0.1|bound");
}

#[test]
fn a_host_name_that_the_database_cannot_keep_fails_no_batch() {
    let name = database(shared());
    let mut store = open(shared(), &name);
    let Change::Grant(odd) = grant(A, 1, 600) else { unreachable!() };
    let odd = Grant { hostname: Some("a\0b".into()), ..odd };
    assert!(
        store.commit(vec![Change::Grant(odd), grant(B, 2, 600)]).unwrap().into_iter().all(|it| it.lease().is_some())
    );
}

#[test]
fn what_keeps_us_from_starting_is_told_with_its_remedy() {
    let server = shared();
    let name = database(server);
    let refused = |settings: PostgresSettings| match PostgresStore::open(settings, Vec::new()) {
        Ok(_) => panic!("it should not start"),
        Err(error) => error.to_string(),
    };
    let text = refused(settings(server, "nowhere"));
    assert!(text.contains("\"nowhere\" does not exist") && text.contains("fix: make the database: createdb"), "{text}");
    let text = refused(PostgresSettings::new(&server.url("stranger", &name), None).unwrap());
    assert!(text.contains("\"stranger\" does not exist") && text.contains("createuser"), "{text}");
    let text = refused(PostgresSettings::new("postgresql://lb@/x?host=/nowhere", None).unwrap());
    assert!(text.contains("cannot be reached") && text.contains("fix: start PostgreSQL"), "{text}");
    server.sql("postgres", "create role plain login");
    let plain = || PostgresSettings::new(&server.url("plain", &name), None).unwrap();
    let text = refused(plain());
    assert!(text.contains("lanboot leases migrate"), "{text}");
    migrate_postgres(&settings(server, &name), true).unwrap();
    let text = refused(plain());
    assert!(text.contains("permission denied") && text.contains("GRANT USAGE ON SCHEMA lanboot"), "{text}");
    for right in [
        "usage on schema lanboot",
        "select, insert, update, delete on all tables in schema lanboot",
        "usage, select on all sequences in schema lanboot",
    ] {
        server.sql(&name, &format!("grant {right} to plain"));
    }
    assert!(PostgresStore::open(plain(), Vec::new()).is_ok());
    server.sql(&name, "insert into lanboot.migrations values (99, 'the future')");
    let text = refused(plain());
    assert!(text.contains("newer lanboot (schema 99; this one knows up to 1)"), "{text}");
    server.sql("postgres", &format!("alter database {name} set default_transaction_read_only = on"));
    let text = refused(plain());
    assert!(text.contains("only reads"), "{text}");
}

#[test]
fn the_schema_is_told_and_made_step_by_step() {
    let settings = settings(shared(), &database(shared()));
    let before = migrate_postgres(&settings, false).unwrap();
    assert_eq!((before.applied, before.missing().count()), (0, before.known as usize));
    assert_eq!(migrate_postgres(&settings, true).unwrap(), before);
    assert_eq!(migrate_postgres(&settings, true).unwrap().missing().count(), 0);
    assert!(list_postgres(&settings).unwrap().is_empty());
}

#[test]
fn nodes_know_of_each_other() {
    let settings = settings(shared(), &database(shared()));
    let (_one, _) = PostgresStore::open(settings.clone(), vec![A]).unwrap();
    let (_two, opened) = PostgresStore::open(settings, vec![B]).unwrap();
    assert_eq!((opened.nodes.len(), opened.ahead_secs), (2, 0));
}

#[test]
fn a_database_that_is_killed_and_started_again_loses_nothing_and_is_found_again() {
    let mut server = Server::start();
    let name = database(&server);
    let mut store = open(&server, &name);
    let mut held: HashMap<Ipv4Addr, ClientKey> = HashMap::new();
    for round in 0..3u8 {
        for client in 1..40 {
            let address = Ipv4Addr::new(10, 0, round, client);
            let batch = vec![grant(address, client, 600)];
            if client == 20 {
                store.begin(batch);
                server.kill();
                // Granted or not: only an answer counts.
                if let Ok(outcomes) = wait_for(|| store.settled()) {
                    held.extend(
                        outcomes.into_iter().filter_map(Outcome::lease).map(|lease| (address, lease.key().clone())),
                    );
                }
                let error = give(&mut store, grant(address, client, 600)).unwrap_err().to_string();
                assert!(error.contains("fix: "), "{error}");
                server.start_again();
                wait_for(|| give(&mut store, grant(address, client, 600)).ok());
                held.insert(address, key(client));
            } else {
                assert!(give(&mut store, batch.into_iter().next().unwrap()).unwrap());
                held.insert(address, key(client));
            }
            // Whoever moves leaves the former address.
            held.retain(|at, key| *key != self::key(client) || *at == address);
        }
        let table = list_postgres(&settings(&server, &name)).unwrap();
        for (address, key) in &held {
            assert_eq!(table.at(*address).and_then(Record::key), Some(key), "round {round}: {address}");
        }
    }
    assert_eq!(held.len(), 39);
}

#[test]
fn a_function_in_the_database_that_is_not_ours_is_told_with_its_remedy() {
    let with = |place: &str, ok: &str| {
        let name = database(shared());
        migrate_postgres(&settings(shared(), &name), true).unwrap();
        let (other, name_of) = (format!("{place}, {ok}"), "pg_get_functiondef('lanboot.change'::regproc)");
        let replace = format!("replace({name_of}, 'asked.place, asked.ok', '{other}')");
        shared().sql(&name, &format!("do $$ begin execute {replace}; end $$"));
        let mut store = open(shared(), &name);
        let error = give(&mut store, grant(A, 1, 600)).unwrap_err().to_string();
        assert!(error.contains("another function lanboot.change"), "{error}");
        assert!(error.contains("fix: restore the schema lanboot"), "{error}");
        // It may have been carried out: the next connection knows.
        wait_for(|| store.news().into_iter().find(|record| record.address == A));
        let error = give(&mut store, grant(B, 2, 600)).unwrap_err().to_string();
        error.lines().next().unwrap().to_owned()
    };
    assert!(with("asked.place + 100", "asked.ok").ends_with("it answers change 101 of 1"));
    assert!(with("asked.place", "null::boolean").contains("made: error"));
}

#[test]
fn a_fault_of_the_thread_is_told_and_nobody_waits_for_ever() {
    let name = database(shared());
    let mut store = open(shared(), &name);
    // What the thread relies on when it connects again is not so any more.
    shared().sql(&name, "alter table lanboot.migrations alter column number type bigint");
    let ours = "datname = current_database() and pid <> pg_backend_pid()";
    shared().sql(&name, &format!("select pg_terminate_backend(pid) from pg_stat_activity where {ours}"));
    for _ in 0..2 {
        wait_for(|| {
            let error = give(&mut store, grant(A, 1, 600)).unwrap_err().to_string();
            error.contains("by a fault of lanboot's own").then_some(())
        });
    }
}
