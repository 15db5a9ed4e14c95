use proptest::prelude::*;

use super::*;
use crate::packet::Mode;

const LIMITS: Limits = Limits {
    mtu: 1500,
    grants_blksize: true,
    max_blksize: None,
    max_windowsize: 64,
    patience: Duration::from_secs(20),
};

fn begin(now: Instant, size: u64, options: &[(&str, &str)]) -> Transfer {
    let options = options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Transfer::new(now, &Request { name: "a".to_owned(), mode: Mode::Octet, options }, size, &LIMITS)
}

fn ack(transfer: &mut Transfer, now: Instant, block: u16) {
    transfer.handle(now, &Packet::Ack { block });
}

fn error(transfer: &mut Transfer, now: Instant, code: u16) {
    transfer.handle(now, &Packet::Error { code: code.into(), message: "".into() });
}

/// The run that is to be sent now, as (first block, blocks, offset, octets).
fn run(transfer: &mut Transfer) -> Option<(u16, u32, u64, usize)> {
    match transfer.poll_transmit()? {
        Transmit::Data(run) => Some((run.first_block, run.blocks, run.offset, run.octets)),
        Transmit::Packet(packet) => panic!("a run was expected, not {packet:?}"),
    }
}

fn is_quiet(transfer: &mut Transfer) -> bool {
    transfer.poll_transmit().is_none()
}

fn after(now: Instant, millis: u64) -> Instant {
    now + Duration::from_millis(millis)
}

#[test]
fn lock_step_sends_block_by_block_to_a_short_last_one() {
    let now = Instant::now();
    let mut transfer = begin(now, 1000, &[]);
    assert_eq!(run(&mut transfer), Some((1, 1, 0, 512)));
    assert!(is_quiet(&mut transfer));
    ack(&mut transfer, now, 1);
    assert_eq!(run(&mut transfer), Some((2, 1, 512, 488)));
    ack(&mut transfer, now, 2);
    assert!(is_quiet(&mut transfer));
    assert_eq!(transfer.outcome(), Some(&Outcome::Done { octets: 1000, retransmits: 0, blksize: 512, windowsize: 1 }));
    assert_eq!(transfer.poll_timeout(), None);
}

#[test]
fn an_exact_multiple_ends_with_an_empty_block() {
    let now = Instant::now();
    let mut transfer = begin(now, 512, &[]);
    assert_eq!(run(&mut transfer), Some((1, 1, 0, 512)));
    ack(&mut transfer, now, 1);
    assert_eq!(run(&mut transfer), Some((2, 1, 512, 0)));
    ack(&mut transfer, now, 2);
    assert!(matches!(transfer.outcome(), Some(Outcome::Done { octets: 512, .. })));
}

#[test]
fn an_empty_file_is_one_empty_block() {
    let now = Instant::now();
    let mut transfer = begin(now, 0, &[]);
    assert_eq!(run(&mut transfer), Some((1, 1, 0, 0)));
    ack(&mut transfer, now, 1);
    assert!(matches!(transfer.outcome(), Some(Outcome::Done { octets: 0, .. })));
}

#[test]
fn data_follows_the_acknowledged_oack() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[("tsize", "0"), ("blksize", "1024")]);
    let oack = b"\0\x06tsize\x005000\0blksize\x001024\0".to_vec();
    assert_eq!(transfer.poll_transmit(), Some(Transmit::Packet(oack.clone())));
    ack(&mut transfer, now, 1);
    assert!(is_quiet(&mut transfer), "only ACK 0 answers an OACK");
    transfer.handle_timeout(after(now, 1000));
    assert_eq!(transfer.poll_transmit(), Some(Transmit::Packet(oack)));
    ack(&mut transfer, now, 0);
    assert_eq!(run(&mut transfer), Some((1, 1, 0, 1024)));
}

#[test]
fn a_repeated_ack_sends_nothing() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[]);
    run(&mut transfer);
    ack(&mut transfer, now, 1);
    assert_eq!(run(&mut transfer), Some((2, 1, 512, 512)));
    for stale in [1, 0, 65535, 3] {
        ack(&mut transfer, now, stale);
        assert!(is_quiet(&mut transfer), "ACK {stale}");
    }
}

#[test]
fn a_repeated_ack_does_not_put_off_the_timer() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[]);
    run(&mut transfer);
    let timer = transfer.poll_timeout();
    ack(&mut transfer, after(now, 500), 0);
    assert_eq!(transfer.poll_timeout(), timer);
}

#[test]
fn a_window_is_one_run_and_the_last_may_be_smaller() {
    let now = Instant::now();
    let mut transfer = begin(now, 512 * 5 + 1, &[("windowsize", "4")]);
    transfer.poll_transmit();
    ack(&mut transfer, now, 0);
    assert_eq!(run(&mut transfer), Some((1, 4, 0, 2048)));
    ack(&mut transfer, now, 4);
    assert_eq!(run(&mut transfer), Some((5, 2, 2048, 513)));
    ack(&mut transfer, now, 6);
    assert!(matches!(transfer.outcome(), Some(Outcome::Done { retransmits: 0, windowsize: 4, .. })));
}

#[test]
fn what_is_upcoming_is_what_the_next_whole_window_brings() {
    let now = Instant::now();
    let mut transfer = begin(now, 512 * 9 + 1, &[("windowsize", "4")]);
    transfer.poll_transmit();
    for (block, octets) in [(0, 2048), (4, 2048), (8, 513)] {
        let upcoming = transfer.upcoming().expect("there is more");
        assert_eq!(upcoming.octets, octets);
        ack(&mut transfer, now, block);
        assert_eq!(transfer.poll_transmit(), Some(Transmit::Data(Run { settled: upcoming.offset, ..upcoming })));
    }
    assert_eq!(transfer.upcoming(), None);
}

#[test]
fn an_ack_inside_the_window_resumes_after_it() {
    let now = Instant::now();
    let mut transfer = begin(now, 512 * 100, &[("windowsize", "4")]);
    transfer.poll_transmit();
    ack(&mut transfer, now, 0);
    run(&mut transfer);
    ack(&mut transfer, now, 2);
    assert_eq!(run(&mut transfer), Some((3, 4, 1024, 2048)));
    assert_eq!(transfer.retransmits, 2, "blocks 3 and 4 went twice");
    ack(&mut transfer, now, 2);
    assert!(is_quiet(&mut transfer), "RFC 1123 holds for windows too");
}

#[test]
fn a_repeated_ack_in_a_window_tells_of_its_first_block_once_in_a_round_trip() {
    let now = Instant::now();
    let mut transfer = begin(now, 512 * 100, &[("windowsize", "4")]);
    transfer.poll_transmit();
    ack(&mut transfer, after(now, 10), 0);
    run(&mut transfer);
    ack(&mut transfer, after(now, 20), 4);
    assert_eq!(run(&mut transfer), Some((5, 4, 4 * 512, 2048)));
    // Smoothed 10 ms, variation 3.75 ms: the answers that are under way come within 25 ms.
    for at in [30, 31, 54] {
        ack(&mut transfer, after(now, at), 4);
        assert_eq!(run(&mut transfer).is_some(), at == 30, "{at} ms");
    }
    ack(&mut transfer, after(now, 55), 4);
    assert_eq!(run(&mut transfer), Some((5, 4, 4 * 512, 2048)), "lost once more");
}

#[test]
fn a_short_timer_probes_with_the_last_block_and_sends_the_window_every_other_time() {
    let now = Instant::now();
    let mut transfer = begin(now, 512 * 100, &[("windowsize", "4")]);
    transfer.poll_transmit();
    ack(&mut transfer, after(now, 1), 0);
    run(&mut transfer);
    let mut sends = Vec::new();
    for _ in 0..6 {
        let at = transfer.poll_timeout().expect("a timer");
        transfer.handle_timeout(at);
        sends.push(((at - now).as_millis(), run(&mut transfer).map_or(0, |run| run.1)));
    }
    assert_eq!(sends, [(21, 1), (61, 4), (141, 1), (301, 4), (621, 4), (1261, 4)]);
}

#[test]
fn a_client_that_answers_every_packet_gets_no_window_for_each_answer() {
    let now = Instant::now();
    let mut transfer = begin(now, 512 * 100, &[("windowsize", "4")]);
    transfer.poll_transmit();
    ack(&mut transfer, now, 0);
    run(&mut transfer);
    ack(&mut transfer, now, 1);
    assert_eq!(run(&mut transfer), Some((2, 4, 512, 2048)), "back to block 2");
    ack(&mut transfer, now, 2);
    assert_eq!(run(&mut transfer), Some((6, 1, 5 * 512, 512)), "blocks 3 to 5 are on their way again");
    ack(&mut transfer, now, 6);
    assert_eq!(run(&mut transfer), Some((7, 4, 6 * 512, 2048)));
    ack(&mut transfer, now, 8);
    assert_eq!(run(&mut transfer), Some((9, 4, 8 * 512, 2048)), "a new gap, another resumption");
}

#[test]
fn after_sliding_the_timer_still_goes_back_to_the_gap() {
    let now = Instant::now();
    let mut transfer = begin(now, 512 * 100, &[("windowsize", "4")]);
    transfer.poll_transmit();
    for block in 0..3 {
        ack(&mut transfer, now, block);
        run(&mut transfer);
    }
    transfer.handle_timeout(transfer.poll_timeout().expect("a timer"));
    assert_eq!(run(&mut transfer), Some((6, 1, 5 * 512, 512)), "a probe of the last block");
    transfer.handle_timeout(transfer.poll_timeout().expect("a timer"));
    let Some(Transmit::Data(run)) = transfer.poll_transmit() else { panic!("a run was expected") };
    assert_eq!((run.first_block, run.blocks, run.offset, run.settled), (3, 4, 1024, 1024));
}

#[test]
fn the_block_number_goes_on_at_zero() {
    let now = Instant::now();
    let mut transfer = begin(now, 8 * 65_540, &[("blksize", "8"), ("windowsize", "10")]);
    transfer.poll_transmit();
    ack(&mut transfer, now, 0);
    for block in (10..=65_530).step_by(10) {
        run(&mut transfer);
        ack(&mut transfer, now, block);
    }
    let Some(Transmit::Data(last)) = transfer.poll_transmit() else { panic!("a run was expected") };
    assert_eq!((last.first_block, last.blocks, last.offset), (65_531, 10, 8 * 65_530));
    let mut wire = Vec::new();
    last.datagrams(&[7; 80], &mut wire);
    let numbers: Vec<_> = wire.chunks(12).map(|datagram| u16::from_be_bytes([datagram[2], datagram[3]])).collect();
    assert_eq!(numbers, [65_531, 65_532, 65_533, 65_534, 65_535, 0, 1, 2, 3, 4]);
    ack(&mut transfer, now, 1);
    assert_eq!(run(&mut transfer), Some((2, 4, 8 * 65_537, 24)));
    ack(&mut transfer, now, 5);
    assert!(matches!(transfer.outcome(), Some(Outcome::Done { .. })));
}

#[test]
fn datagrams_are_laid_out_to_the_octet() {
    let run = Run { first_block: 258, blocks: 3, block_octets: 2, offset: 0, settled: 0, octets: 4 };
    let mut wire = Vec::new();
    run.datagrams(b"abcd", &mut wire);
    assert_eq!(wire, b"\0\x03\x01\x02ab\0\x03\x01\x03cd\0\x03\x01\x04");
}

#[test]
fn the_timer_sends_the_window_again_and_backs_off() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[]);
    run(&mut transfer);
    let mut sends = Vec::new();
    while transfer.outcome().is_none() {
        let at = transfer.poll_timeout().expect("an open transfer has a timer");
        transfer.handle_timeout(at);
        if run(&mut transfer).is_some() {
            sends.push((at - now).as_millis());
        }
    }
    assert_eq!(sends, [500, 1500, 3500, 7500, 11500, 15500, 19500]);
    let progress = Progress { answered: false, acked_blocks: 0, blocks: 10, octets: 0, last_window_sent: false };
    assert_eq!(transfer.outcome(), Some(&Outcome::TimedOut { silence: LIMITS.patience, progress }));
}

#[test]
fn the_timer_follows_the_measured_round_trip() {
    let now = Instant::now();
    let mut transfer = begin(now, 50_000, &[]);
    run(&mut transfer);
    ack(&mut transfer, after(now, 200), 1);
    run(&mut transfer);
    assert_eq!(transfer.poll_timeout(), Some(after(now, 200 + 600)));
}

#[test]
fn an_answer_to_what_was_sent_twice_is_not_measured() {
    let now = Instant::now();
    let mut transfer = begin(now, 50_000, &[]);
    run(&mut transfer);
    transfer.handle_timeout(after(now, 500));
    run(&mut transfer);
    ack(&mut transfer, after(now, 510), 1);
    run(&mut transfer);
    assert_eq!(transfer.poll_timeout(), Some(after(now, 1510)), "still backed off to 1 s");
    ack(&mut transfer, after(now, 520), 2);
    run(&mut transfer);
    assert_eq!(transfer.poll_timeout(), Some(after(now, 550)), "measured, and quick again");
}

#[test]
fn the_clients_timeout_bounds_the_interval_and_stretches_patience() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[("timeout", "10")]);
    transfer.poll_transmit();
    for seconds in [1, 3, 7, 15, 25] {
        assert_eq!(transfer.poll_timeout(), Some(after(now, seconds * 1000)));
        transfer.handle_timeout(after(now, seconds * 1000));
        assert!(transfer.poll_transmit().is_some());
    }
    transfer.handle_timeout(after(now, 30_000));
    assert!(matches!(transfer.outcome(), Some(Outcome::TimedOut { silence, .. }) if silence.as_secs() == 30));
}

#[test]
fn hanging_up_after_the_oack_is_a_size_probe() {
    let now = Instant::now();
    let probes: [(&[(&str, &str)], u16); 3] = [
        (&[("tsize", "0")], 3),
        (&[("tsize", "0"), ("blksize", "1456")], 8),
        (&[("tsize", "0"), ("blksize", "1456")], 0),
    ];
    for (options, code) in probes {
        let mut transfer = begin(now, 5000, options);
        transfer.poll_transmit();
        error(&mut transfer, now, code);
        assert_eq!(transfer.outcome(), Some(&Outcome::SizeProbe { octets: 5000 }), "{options:?} {code}");
    }
}

#[test]
fn an_error_later_or_without_tsize_is_an_abort() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[("tsize", "0")]);
    transfer.poll_transmit();
    ack(&mut transfer, now, 0);
    run(&mut transfer);
    ack(&mut transfer, now, 1);
    error(&mut transfer, now, 0);
    let sentence = transfer.outcome().map(Outcome::to_string);
    assert_eq!(sentence.as_deref(), Some("the client aborted after block 1 of 10: error 0 (not defined)"));

    let mut transfer = begin(now, 5000, &[]);
    run(&mut transfer);
    error(&mut transfer, now, 0);
    assert!(matches!(transfer.outcome(), Some(Outcome::Aborted { .. })));

    let mut transfer = begin(now, 5000, &[("tsize", "0"), ("blksize", "1456")]);
    transfer.poll_transmit();
    error(&mut transfer, now, 3);
    assert!(matches!(transfer.outcome(), Some(Outcome::Aborted { .. })), "a full disk is no probe");
}

#[test]
fn another_request_ends_a_size_probe_or_supersedes_the_transfer() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[("tsize", "0"), ("blksize", "1456")]);
    transfer.poll_transmit();
    transfer.handle_new_request();
    assert_eq!(transfer.outcome(), Some(&Outcome::SizeProbe { octets: 5000 }));

    let mut transfer = begin(now, 5000, &[]);
    run(&mut transfer);
    ack(&mut transfer, now, 1);
    transfer.handle_new_request();
    let sentence = transfer.outcome().map(Outcome::to_string);
    assert_eq!(sentence.as_deref(), Some("the client asked anew after block 1 of 10"));
}

#[test]
fn nothing_is_sent_after_the_end() {
    let now = Instant::now();
    let mut transfer = begin(now, 5000, &[]);
    error(&mut transfer, now, 0);
    let outcome = transfer.outcome().cloned();
    ack(&mut transfer, now, 1);
    transfer.handle_unreachable();
    transfer.handle_timeout(after(now, 100_000));
    assert!(is_quiet(&mut transfer));
    assert_eq!((transfer.outcome().cloned(), transfer.poll_timeout()), (outcome, None));
}

#[test]
fn outcomes_read_as_sentences() {
    let progress =
        Progress { answered: true, acked_blocks: 17, blocks: 512, octets: 17 * 512, last_window_sent: false };
    let silence = Duration::from_secs(20);
    let never = Progress { answered: false, acked_blocks: 0, ..progress };
    let nearly = Progress { acked_blocks: 511, last_window_sent: true, ..progress };
    let full = ErrorCode::DiskFull;
    let sentences = [
        (Outcome::TimedOut { silence, progress }, "no answer from the client for 20 s after block 17 of 512"),
        (
            Outcome::TimedOut { silence, progress: never },
            "no answer from the client for 20 s: it has never answered, so a firewall may stand between",
        ),
        (
            Outcome::Unreachable { progress: nearly },
            "the client closed its port after block 511 of 512; all was sent, and the client may well have it",
        ),
        (
            Outcome::Aborted { code: full, message: "no\nspace".to_owned(), progress },
            "the client aborted after block 17 of 512: error 3 (disk full), `no\\nspace`",
        ),
    ];
    for (outcome, sentence) in sentences {
        assert_eq!(outcome.to_string(), sentence);
    }
}

proptest! {
    #[test]
    fn no_packets_make_it_panic_or_send_outside_the_file(
        size in 0u64..100_000,
        blksize in 8u16..2000,
        windowsize in 1u16..=64,
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..12), any::<u8>(), 0u64..3000), 0..60),
    ) {
        let mut now = Instant::now();
        let mut transfer = begin(now, size, &[("blksize", &blksize.to_string()), ("windowsize", &windowsize.to_string())]);
        for (mut octets, small, millis) in packets {
            now += Duration::from_millis(millis);
            transfer.handle_timeout(now);
            // Half of the packets are ACKs of low blocks, so that the transfer gets somewhere.
            if small < 128 {
                octets = Packet::Ack { block: small.into() }.emit();
            }
            if let Ok(packet) = Packet::parse(&octets) {
                transfer.handle(now, &packet);
            }
            if let Some(Transmit::Data(run)) = transfer.poll_transmit() {
                prop_assert!(run.offset + run.octets as u64 <= size);
                prop_assert!(run.blocks >= 1 && run.blocks <= windowsize.into());
                run.datagrams(&vec![0; run.octets], &mut Vec::new());
            }
        }
    }
}
