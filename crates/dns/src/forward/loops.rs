//! Servers that lead back to us: each is asked for a name that nobody else can know. When a client asks for that name, the
//! server that it was sent to got it to us.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Attempt, Forward, LINGERS, Timer, ask};
use crate::resolver::{Effect, Token, Transport};
use crate::routes::Index;
use crate::{Class, Rtype};

/// Below `test`, which is nobody's (RFC 6761 section 6.2).
const BELOW: &[u8] = b"\x04test\0";
const DIGITS: usize = 16;

impl Forward {
    /// Sends every server its name, where that is wanted.
    pub fn look_for_loops(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        self.upstreams.forget_loops();
        if !self.settings.detect_loops {
            return;
        }
        for server in 0..self.upstreams.len() {
            let mark = u64::from(self.random.bits()) << 32 | u64::from(self.random.bits());
            self.upstreams.set_mark(server, mark);
            let question =
                [&name(mark), &Rtype::TXT.to_int().to_be_bytes()[..], &Class::IN.to_int().to_be_bytes()].concat();
            let id = self.upstreams.take_id(server, &mut self.random);
            let ask = ask::Ask {
                id,
                question: &question,
                recursion_desired: true,
                checking_disabled: false,
                authentic_data: false,
                edns: None,
            };
            let octets = ask.octets();
            let question = question.into();
            let by = Transport::Udp;
            // Nothing is held against a server that does not answer this.
            let attempt = Attempt {
                flight: None,
                server,
                by,
                id,
                question,
                letters: false,
                dnssec_ok: false,
                edns: false,
                at: now,
                late: true,
            };
            let token = self.attempts.insert(attempt);
            self.timers.insert((now + LINGERS, Timer::Lingering(token)));
            effects.push_back(Effect::Ask { token: Token(token), server: self.upstreams.server(server), by, octets });
        }
    }

    /// Whether a client's question is one of ours that came back. Its server is left out from now on.
    pub fn came_back(&mut self, name: &[u8], kind: Rtype, effects: &mut VecDeque<Effect>) -> bool {
        let Some(server) = mark_in(name).filter(|_| kind == Rtype::TXT).and_then(|mark| self.upstreams.by_mark(mark))
        else {
            return false;
        };
        self.leave_out(server, effects);
        true
    }

    fn leave_out(&mut self, server: Index, effects: &mut VecDeque<Effect>) {
        if !self.upstreams.loops(server) {
            return;
        }
        let address = self.upstreams.server(server).address;
        effects.push_back(Effect::Warn {
            text: format!("the upstream DNS server {address} sends our queries back to us: it is not asked any more"),
            fix: format!("take {address} out of resolv.conf or the configuration, or let it ask somebody else than us"),
        });
    }
}

fn name(mark: u64) -> Vec<u8> {
    let mut name = vec![DIGITS as u8];
    name.extend_from_slice(format!("{mark:016x}").as_bytes());
    name.extend_from_slice(BELOW);
    name
}

fn mark_in(name: &[u8]) -> Option<u64> {
    let (label, below) = name.strip_prefix(&[DIGITS as u8])?.split_at_checked(DIGITS)?;
    let digits = std::str::from_utf8(label).ok().filter(|_| below == BELOW)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_its_name() {
        for mark in [0, 7, u64::MAX] {
            assert_eq!(mark_in(&name(mark)), Some(mark));
        }
        assert_eq!(mark_in(b"\x10000000000000000g\x04test\0"), None);
        assert_eq!(mark_in(b"\x03www\x04test\0"), None);
    }
}
