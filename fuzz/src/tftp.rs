//! TFTP packets, and a transfer with a client that does as it likes.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tftp::{Arrival, Limits, Packet, Request, Run, Transfer, Transmit, arrival};

use crate::input::Input;

/// One beginning for all runs: only the time that goes by in a run counts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The input: a request with its length before it; limits and the file's size; then what the client does.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let length = input.u16();
    let datagram = input.take(length.into());
    packet_survives(datagram);
    match arrival(datagram) {
        Arrival::Read(request) => transfer(&request, &mut input),
        Arrival::Refuse { code, message, .. } => packet_survives(&Packet::error(code, &message)),
        Arrival::Ignore => {}
    }
}

fn packet_survives(datagram: &[u8]) {
    match Packet::parse(datagram) {
        Ok(packet) => {
            let octets = packet.emit();
            assert_eq!(Packet::parse(&octets).as_ref(), Ok(&packet));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What the client may be sent, and what it may have acknowledged.
struct Checked {
    transfer: Transfer,
    size: u64,
    limits: Limits,
}

fn transfer(request: &Request, input: &mut Input<'_>) {
    let limits = Limits {
        mtu: u32::from(input.u16()),
        max_blksize: Some(input.u16()).filter(|octets| *octets != 0),
        max_windowsize: input.u16(),
        patience: Duration::from_millis(input.u16().into()),
        grants_blksize: input.u8() & 1 == 0,
    };
    let size = u64::from(input.u16()) << (input.u8() % 48);
    let mut now = *START;
    let mut checked = Checked { transfer: Transfer::new(now, request, size, &limits), size, limits };
    checked.drain();
    while !input.is_empty() && checked.transfer.outcome().is_none() {
        match input.u8() % 8 {
            0 => now += Duration::from_millis(input.u16().into()),
            1 => now = checked.transfer.poll_timeout().map_or(now, |at| at.max(now)),
            2 => checked.transfer.handle(now, &Packet::Ack { block: input.u16() }),
            // The blocks near the last acknowledged one are what a client would name.
            3 => {
                let block = (checked.transfer.progress().acked_blocks as u16).wrapping_add(input.u8().into());
                checked.transfer.handle(now, &Packet::Ack { block });
            }
            4 => {
                let length = input.u8();
                let datagram = input.take(length.into());
                packet_survives(datagram);
                Packet::parse(datagram).iter().for_each(|packet| checked.transfer.handle(now, packet));
            }
            5 => checked.transfer.handle_timeout(now),
            6 if input.u8() == 0 => checked.transfer.handle_unreachable(),
            7 if input.u8() == 0 => checked.transfer.handle_new_request(),
            _ => {}
        }
        checked.drain();
    }
    checked.ends(now);
}

impl Checked {
    fn drain(&mut self) {
        let mut sent = 0;
        while let Some(transmit) = self.transfer.poll_transmit() {
            match transmit {
                Transmit::Packet(octets) => packet_survives(&octets),
                Transmit::Data(run) => self.is_sound(&run),
            }
            sent += 1;
            assert!(sent < 3, "one event brings an OACK or one window");
        }
        let progress = self.transfer.progress();
        assert!(progress.acked_blocks <= progress.blocks && progress.octets <= self.size);
        if let Some(outcome) = self.transfer.outcome() {
            assert!(!outcome.to_string().is_empty() && self.transfer.poll_timeout().is_none());
        }
    }

    fn is_sound(&self, run: &Run) {
        let agreed = self.transfer.agreed();
        assert!(run.blocks >= 1 && run.blocks <= u32::from(agreed.windowsize));
        assert!(run.blocks <= u32::from(self.limits.max_windowsize.max(1)));
        assert_eq!(run.block_octets, agreed.blksize);
        assert!(run.settled <= run.offset && run.offset + run.octets as u64 <= self.size, "{run:?}");
        assert!(run.octets <= run.blocks as usize * usize::from(run.block_octets));
        // What is laid out is bounded here, so that a run takes its share of time and no more.
        if run.octets <= 4096 {
            let mut out = Vec::new();
            run.datagrams(&vec![7; run.octets], &mut out);
            assert_eq!(out.len(), run.octets + run.blocks as usize * tftp::packet::DATA_HEADER_OCTETS);
            for datagram in out.chunks(run.datagram_octets()) {
                assert!(matches!(Packet::parse(datagram), Ok(Packet::Data { .. })));
            }
        }
    }

    /// A client that falls silent is given up, after a number of packets that patience bounds.
    fn ends(&mut self, mut now: Instant) {
        let patience = self.limits.patience.max(Duration::from_secs(3 * 255));
        for _ in 0..2000 {
            let Some(at) = self.transfer.poll_timeout() else { return };
            now = now.max(at);
            assert!(now <= *START + patience + Duration::from_secs(1 << 20));
            self.transfer.handle_timeout(now);
            self.drain();
        }
        panic!("a silent client keeps its transfer for ever");
    }
}
