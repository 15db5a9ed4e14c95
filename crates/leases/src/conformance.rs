//! The suite that every lease store passes: `suite!(expression that makes an empty store)` in its tests.

use std::net::Ipv4Addr;

use mac::Mac;
use proptest::prelude::*;

use crate::model::{Model, batches};
use crate::record::{ClientId, ClientKey, Expiry, Grant, Lease, State, UnixSecs};
use crate::store::{Change, LeaseStore, Occupant, Outcome, Taken};

macro_rules! suite {
    ($store:expr) => {
        $crate::conformance::suite!($store;
            a_granted_address_is_found_by_everything_known_of_it,
            a_held_address_is_refused_to_another_client,
            a_lease_ends_with_its_last_second,
            an_infinite_lease_never_ends,
            of_two_grants_of_one_address_in_a_batch_the_first_wins,
            a_repeated_request_in_a_batch_is_granted_again,
            an_address_left_in_a_batch_is_not_given_on_in_that_batch,
            a_client_that_moves_leaves_its_former_address,
            a_released_address_is_remembered_for_its_client_and_free_for_others,
            only_the_holder_can_release,
            a_declined_address_is_given_to_nobody_until_its_time,
            a_machine_with_two_clients_is_found_by_its_latest_lease,
            the_longest_host_name_and_identifier_are_kept,
            changes_of_one_batch_are_made_in_their_order,
            a_lease_can_lose_its_name_and_nothing_else,
            what_is_on_disk_can_be_confirmed_for_the_time_that_is_left,
            any_operations_end_as_in_the_model,
        );
    };
    ($store:expr; $($case:ident),* $(,)?) => {
        $(#[test] fn $case() { $crate::conformance::$case(&|| Box::new($store)); })*
    };
}
pub(crate) use suite;

/// Makes an empty store.
type New<'a> = &'a dyn Fn() -> Box<dyn LeaseStore>;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 11);

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

fn key(last: u8) -> ClientKey {
    ClientKey::Mac(mac(last))
}

/// To client `last`, from second 1000 for 100 seconds.
fn grant(address: Ipv4Addr, last: u8) -> Grant {
    Grant {
        address,
        key: key(last),
        mac: mac(last),
        client_id: None,
        hostname: None,
        lease_secs: 100,
        now: UnixSecs(1000),
    }
}

fn commit_one(store: &mut dyn LeaseStore, grant: Grant) -> Result<Lease, Taken> {
    let mut answers = grant_all(store, vec![grant]);
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// In one batch.
fn grant_all(store: &mut dyn LeaseStore, grants: Vec<Grant>) -> Vec<Result<Lease, Taken>> {
    let answer = |outcome| match outcome {
        Outcome::Granted(lease) => Ok(lease),
        Outcome::Taken(taken) => Err(taken),
        other => panic!("{other:?} is no answer to a grant"),
    };
    store.commit(grants.into_iter().map(Change::Grant).collect()).unwrap().into_iter().map(answer).collect()
}

fn release(store: &mut dyn LeaseStore, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> bool {
    let outcomes = store.commit(vec![Change::Release { address, key: key.clone(), now }]).unwrap();
    let [Outcome::Released(released)] = outcomes[..] else { panic!("{outcomes:?}") };
    released
}

fn decline(store: &mut dyn LeaseStore, address: Ipv4Addr, until: UnixSecs) {
    assert_eq!(store.commit(vec![Change::Decline { address, until }]).unwrap(), [Outcome::Declined]);
}

fn taken(address: Ipv4Addr, by: u8) -> Taken {
    Taken { address, by: Occupant::Client(key(by)) }
}

pub(crate) fn a_granted_address_is_found_by_everything_known_of_it(new: New) {
    let mut store = new();
    let id = ClientId::new(&[255, 1, 2]).unwrap();
    let key = ClientKey::ClientId(id.clone());
    let grant = Grant { key: key.clone(), client_id: Some(id.clone()), hostname: Some("rack-7".into()), ..grant(A, 1) };
    let lease = commit_one(&mut *store, grant).unwrap();
    assert_eq!((lease.address(), lease.key(), lease.mac()), (A, &key, mac(1)));
    assert_eq!((lease.client_id(), lease.hostname()), (Some(&id), Some("rack-7")));
    assert_eq!((lease.granted(), lease.lease_secs()), (UnixSecs(1000), 100));
    assert_eq!(lease.expires(), Expiry::At(UnixSecs(1100)));
    let found = [store.find(&key), store.find_mac(mac(1)), store.at(A), store.list().next()];
    assert_eq!(found, [Some(&lease.record()); 4]);
    assert_eq!((store.at(B), store.find_mac(mac(2)), store.table().len()), (None, None, 1));
}

pub(crate) fn a_held_address_is_refused_to_another_client(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    assert_eq!(commit_one(&mut *store, grant(A, 2)), Err(taken(A, 1)));
    assert_eq!(store.at(A).unwrap().key(), Some(&key(1)));
    assert_eq!(store.find(&key(2)), None);
}

pub(crate) fn a_lease_ends_with_its_last_second(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    let at = |secs| Grant { now: UnixSecs(secs), ..grant(A, 2) };
    assert_eq!(commit_one(&mut *store, at(1099)), Err(taken(A, 1)));
    assert_eq!((store.table().active(UnixSecs(1099)), store.table().active(UnixSecs(1100))), (1, 0));
    assert!(store.find(&key(1)).is_some(), "remembered until the address is given on");
    commit_one(&mut *store, at(1100)).unwrap();
    assert_eq!(store.find(&key(1)), None);
}

pub(crate) fn an_infinite_lease_never_ends(new: New) {
    let mut store = new();
    commit_one(&mut *store, Grant { lease_secs: u32::MAX, ..grant(A, 1) }).unwrap();
    assert_eq!(commit_one(&mut *store, Grant { now: UnixSecs(u64::MAX), ..grant(A, 2) }), Err(taken(A, 1)));
}

pub(crate) fn of_two_grants_of_one_address_in_a_batch_the_first_wins(new: New) {
    let mut store = new();
    let answers = grant_all(&mut *store, vec![grant(A, 1), grant(A, 2), grant(B, 2)]);
    assert_eq!(answers[0].as_ref().unwrap().key(), &key(1));
    assert_eq!(answers[1], Err(taken(A, 1)));
    assert_eq!(answers[2].as_ref().unwrap().address(), B);
}

pub(crate) fn a_repeated_request_in_a_batch_is_granted_again(new: New) {
    let mut store = new();
    let answers = grant_all(&mut *store, vec![grant(A, 1), Grant { now: UnixSecs(1001), ..grant(A, 1) }]);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(store.at(A).unwrap().binding().unwrap().granted, UnixSecs(1001));
}

pub(crate) fn an_address_left_in_a_batch_is_not_given_on_in_that_batch(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    let answers = grant_all(&mut *store, vec![grant(B, 1), grant(A, 2)]);
    assert_eq!(answers[1], Err(taken(A, 1)));
    commit_one(&mut *store, grant(A, 2)).unwrap();
}

pub(crate) fn a_client_that_moves_leaves_its_former_address(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    commit_one(&mut *store, grant(B, 1)).unwrap();
    assert_eq!(store.find(&key(1)).unwrap().address, B);
    assert_eq!((store.at(A), store.table().len()), (None, 1));
}

pub(crate) fn a_released_address_is_remembered_for_its_client_and_free_for_others(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    assert!(release(&mut *store, A, &key(1), UnixSecs(1010)));
    let record = store.find(&key(1)).unwrap();
    assert!(matches!(record.state, State::Released { since: UnixSecs(1010), .. }) && !record.is_active(UnixSecs(1010)));
    assert!(!release(&mut *store, A, &key(1), UnixSecs(1020)), "released already");
    commit_one(&mut *store, Grant { now: UnixSecs(1011), ..grant(A, 2) }).unwrap();
    assert_eq!(store.find(&key(1)), None);
}

pub(crate) fn only_the_holder_can_release(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    assert!(!release(&mut *store, A, &key(2), UnixSecs(1010)));
    assert!(!release(&mut *store, B, &key(1), UnixSecs(1010)));
    assert!(store.at(A).unwrap().is_active(UnixSecs(1010)));
}

pub(crate) fn a_declined_address_is_given_to_nobody_until_its_time(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    let until = UnixSecs(1060);
    decline(&mut *store, A, until);
    assert_eq!(store.find(&key(1)), None, "its last holder does not come back to it");
    for last in [1, 2] {
        let refused = commit_one(&mut *store, Grant { now: UnixSecs(1059), ..grant(A, last) });
        assert_eq!(refused, Err(Taken { address: A, by: Occupant::Declined { until } }));
    }
    commit_one(&mut *store, Grant { now: until, ..grant(A, 2) }).unwrap();
}

pub(crate) fn a_machine_with_two_clients_is_found_by_its_latest_lease(new: New) {
    let mut store = new();
    let system = ClientKey::ClientId(ClientId::new(b"system").unwrap());
    commit_one(&mut *store, Grant { now: UnixSecs(1005), key: system, ..grant(A, 1) }).unwrap();
    commit_one(&mut *store, grant(B, 1)).unwrap();
    assert_eq!(store.find_mac(mac(1)).unwrap().address, A);
    decline(&mut *store, A, UnixSecs(2000));
    assert_eq!(store.find_mac(mac(1)).unwrap().address, B);
}

pub(crate) fn the_longest_host_name_and_identifier_are_kept(new: New) {
    let mut store = new();
    let id = ClientId::new(&[7; 255]).unwrap();
    let key = ClientKey::ClientId(id.clone());
    let grant = Grant { key: key.clone(), client_id: Some(id), hostname: Some("h".repeat(5000)), ..grant(A, 1) };
    let lease = commit_one(&mut *store, grant).unwrap();
    assert_eq!(lease.hostname().unwrap().len(), 255);
    assert_eq!(store.find(&key), Some(&lease.record()));
}

pub(crate) fn changes_of_one_batch_are_made_in_their_order(new: New) {
    let mut store = new();
    let release = |address, last, now| Change::Release { address, key: key(last), now: UnixSecs(now) };
    let until = UnixSecs(2000);
    let batch = vec![
        Change::Grant(grant(A, 1)),
        release(A, 1, 1000),
        Change::Grant(grant(A, 2)),
        release(A, 1, 1001),
        Change::Grant(grant(B, 2)),
        release(A, 2, 1001),
        Change::Decline { address: B, until },
        Change::Grant(grant(B, 3)),
    ];
    let outcomes = store.commit(batch).unwrap();
    let [Outcome::Granted(_), Outcome::Released(true), Outcome::Granted(_), Outcome::Released(false), rest @ ..] =
        &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    let [Outcome::Granted(_), Outcome::Released(false), Outcome::Declined, Outcome::Taken(taken)] = rest else {
        panic!("{rest:?}")
    };
    assert_eq!(taken.by, Occupant::Declined { until });
    assert_eq!((store.find(&key(2)), store.at(A), store.table().len()), (None, None, 1));
}

pub(crate) fn a_lease_can_lose_its_name_and_nothing_else(new: New) {
    let mut store = new();
    commit_one(&mut *store, Grant { hostname: Some("pc".into()), ..grant(A, 1) }).unwrap();
    let unname = |last| Change::Unname { address: A, key: key(last) };
    let outcomes = store.commit(vec![unname(2), unname(1), unname(1)]).unwrap();
    assert_eq!(outcomes, [Outcome::Unnamed(false), Outcome::Unnamed(true), Outcome::Unnamed(false)]);
    let binding = store.at(A).unwrap().binding().unwrap();
    assert_eq!((&binding.key, binding.granted, binding.hostname.as_ref()), (&key(1), UnixSecs(1000), None));
}

pub(crate) fn what_is_on_disk_can_be_confirmed_for_the_time_that_is_left(new: New) {
    let mut store = new();
    commit_one(&mut *store, grant(A, 1)).unwrap();
    if !store.is_sole() {
        assert_eq!(store.confirm(A, &key(1), 100, UnixSecs(1040)), None, "another may have given it away");
        return;
    }
    let confirmed = |secs, now| store.confirm(A, &key(1), secs, UnixSecs(now)).map(|lease| lease.lease_secs());
    assert_eq!([confirmed(500, 1040), confirmed(30, 1040), confirmed(100, 1100)], [Some(60), Some(30), None]);
    assert_eq!(store.confirm(A, &key(2), 100, UnixSecs(1040)), None);
    commit_one(&mut *store, Grant { lease_secs: u32::MAX, ..grant(B, 2) }).unwrap();
    let lease = store.confirm(B, &key(2), u32::MAX, UnixSecs(9000)).unwrap();
    assert_eq!(lease.expires(), Expiry::Never);
}

pub(crate) fn any_operations_end_as_in_the_model(new: New) {
    proptest!(ProptestConfig::with_cases(100), |(operations in batches(30))| {
        let (mut store, mut model) = (new(), Model::default());
        for operation in operations {
            let expected = model.apply(&operation);
            prop_assert_eq!(operation.perform(&mut *store).unwrap(), expected);
            model.assert_like(store.table(), operation.now);
        }
    });
}
