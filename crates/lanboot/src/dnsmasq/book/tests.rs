use leases::{Binding, State};

use super::*;

const NOW: UnixSecs = UnixSecs(1_000_000);

fn book(terms: Terms) -> Book {
    Book::new(Terms { has_script: true, ..terms })
}

fn record(machine: u8, last: u8, name: Option<&str>, granted: u64, lease_secs: u32) -> Record {
    let mac = Mac([0x52, 0x54, 0, 0, 0, machine]);
    let hostname = name.map(str::to_owned);
    let key = ClientKey::Mac(mac);
    let binding = Binding { key, mac, client_id: None, hostname, granted: UnixSecs(granted), lease_secs };
    Record { address: Ipv4Addr::new(10, 0, 1, last), state: State::Bound(binding) }
}

fn given(record: Record, renewal: bool) -> LeaseChange {
    LeaseChange::Given { record, renewal, about: Box::new(About { interface: "net".into(), ..About::default() }) }
}

/// Everything that the script is yet to hear: its arguments without the MAC.
fn calls(book: &mut Book) -> Vec<String> {
    let text = |call: Call| {
        let words = call.arguments.iter().map(|word| String::from_utf8(word.clone()).unwrap());
        words.enumerate().filter(|(at, _)| *at != 1).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    };
    std::iter::from_fn(|| book.next_call(NOW)).map(text).collect()
}

#[test]
fn a_lease_is_told_when_it_comes_and_when_it_runs_out() {
    let mut book = book(Terms::default());
    book.take(given(record(1, 5, Some("a"), NOW.0, 100), false), NOW);
    assert_eq!(calls(&mut book), ["add 10.0.1.5 a"]);
    assert_eq!(book.expire(NOW.plus(99)), Some(NOW.plus(100)));
    assert_eq!(calls(&mut book), [] as [&str; 0]);
    assert_eq!(book.expire(NOW.plus(100)), None);
    assert_eq!(calls(&mut book), ["del 10.0.1.5 a"]);
    assert!(book.lines().is_empty() && book.len() == 0);
}

#[test]
fn changes_that_come_faster_than_the_script_are_joined() {
    let mut book = book(Terms { on_renewal: true, ..Terms::default() });
    book.take(given(record(1, 5, None, NOW.0, 100), false), NOW);
    book.take(given(record(1, 5, Some("b"), NOW.0 + 1, 100), true), NOW);
    book.take(given(record(1, 5, Some("b"), NOW.0 + 2, 100), true), NOW);
    assert_eq!(calls(&mut book), ["add 10.0.1.5 b"]);
    // Moved: the former address is given up first.
    book.take(given(record(1, 6, Some("b"), NOW.0 + 3, 100), false), NOW);
    book.tell_again();
    assert_eq!(calls(&mut book), ["del 10.0.1.5 b", "add 10.0.1.6 b"]);
}

#[test]
fn renewals_are_told_where_they_are_asked_for_or_the_script_keeps_the_leases() {
    for (terms, told) in [
        (Terms::default(), 0),
        (Terms { on_renewal: true, ..Terms::default() }, 1),
        (Terms { keeps_leases: true, ..Terms::default() }, 1),
    ] {
        let mut book = book(terms);
        book.take(given(record(1, 5, None, NOW.0, 100), false), NOW);
        calls(&mut book);
        book.take(given(record(1, 5, None, NOW.0, 100), true), NOW);
        assert_eq!(calls(&mut book).len(), 0, "it ends when it did");
        book.take(given(record(1, 5, None, NOW.0 + 9, 100), true), NOW);
        assert_eq!(calls(&mut book).len(), told);
    }
}

#[test]
fn a_name_that_is_laid_down_is_not_taken() {
    let mut book = book(Terms::default());
    let about = Box::new(About { name_is_laid_down: true, ..About::default() });
    book.take(LeaseChange::Given { record: record(1, 5, Some("db"), NOW.0, 100), renewal: false, about }, NOW);
    book.take(given(record(2, 6, Some("DB"), NOW.0, 100), false), NOW);
    assert_eq!(calls(&mut book), ["add 10.0.1.6", "add 10.0.1.5 db"]);
    assert_eq!(book.lines(), "1000100 52:54:00:00:00:01 10.0.1.5 db *\n1000100 52:54:00:00:00:02 10.0.1.6 * *\n");
}

#[test]
fn without_a_script_nothing_waits_for_one() {
    let mut book = Book::new(Terms::default());
    for round in 0..3 {
        book.take(given(record(1, 5, None, NOW.0 + round, 100), false), NOW);
        book.take(LeaseChange::Ended(Ipv4Addr::new(10, 0, 1, 5)), NOW);
    }
    assert!(book.take_changed() && !book.take_changed());
    assert_eq!((book.next_call(NOW), book.gone.len()), (None, 0));
}
