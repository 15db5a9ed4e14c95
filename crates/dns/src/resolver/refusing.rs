//! Replies without records that are ours, with the reason where clients take one (RFC 8914).

use super::Exists;
use crate::query::Asked;
use crate::{Limits, Rcode, Reply};

/// EDNS option of an extended error (RFC 8914 section 2).
const EDE: u16 = 15;

/// Why, for people who look with `dig`: the code of RFC 8914 section 4, and a short text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Why(pub u16, pub &'static str);

/// "Other Error", "Not Ready", "Not Supported", "No Reachable Authority", "Network Error".
pub(super) const TOO_MANY: Why = Why(0, "too many queries wait for upstream servers");
pub(super) const NO_SERVER: Why = Why(14, "there is no upstream server for this name");
pub(super) const NOT_SUPPORTED: Why = Why(21, "zones are not transferred from here");
pub(super) const SILENT: Why = Why(22, "no upstream server answered in time");
pub(super) const UNREACHABLE: Why = Why(23, "no upstream server can be reached");
pub(super) const SAID_SO: Why = Why(0, "the upstream servers said so");

/// Puts the reply to `asked` into `out`, which is emptied first.
pub(super) fn write<Q: AsRef<[u8]>>(
    asked: &Asked<Q>,
    limits: &Limits,
    code: Rcode,
    why: Option<Why>,
    out: &mut Vec<u8>,
) {
    let mut reply = Reply::start(asked, limits, out);
    reply.code(code);
    reply.finish();
    if let (Some(Why(code, text)), true) = (why, asked.edns.is_some()) {
        add(out, code, text, limits.room(asked));
    }
}

/// A reply without records that needs no reason.
pub(super) fn deny<Q: AsRef<[u8]>>(
    asked: &Asked<Q>,
    limits: &Limits,
    code: Rcode,
    authoritative: bool,
    out: &mut Vec<u8>,
) {
    let mut reply = Reply::start(asked, limits, out);
    reply.code(code);
    if authoritative {
        reply.authoritative();
    }
    reply.finish();
}

/// Makes "no such name" of a reply "nothing of this type" if the name exists nevertheless.
pub(super) fn undeny(exists: Exists, out: &mut [u8]) {
    if exists != Exists::NotThatWeKnow {
        out[3] = out[3] & 0xf0 | Rcode::NOERROR.to_int();
    }
    // Where that is known here for sure: AA, as dnsmasq says it.
    if exists == Exists::Here {
        out[2] |= 0x04;
    }
}

/// Says that a reply is not whole (TC).
pub(super) fn cut(out: &mut [u8]) {
    out[2] |= 0x02;
}

/// The OPT record is the last one, and its last two octets the length of its options: none so far.
fn add(out: &mut Vec<u8>, code: u16, text: &str, room: usize) {
    let length = 2 + text.len() as u16;
    if out.len() + usize::from(length) + 4 > room {
        return;
    }
    out.truncate(out.len() - 2);
    for number in [length + 4, EDE, length, code] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use domain::base::Message;
    use domain::base::opt::ExtendedError;

    use super::*;
    use crate::Transport;
    use crate::query::Edns;

    fn reply(edns: Option<Edns>) -> Vec<u8> {
        let question = *b"\x01a\x04test\0\0\x01\0\x01";
        let asked =
            Asked { id: 5, question, recursion_desired: true, authentic_data: false, checking_disabled: false, edns };
        let mut out = Vec::new();
        let limits = Limits { transport: Transport::Udp, payload: 1232 };
        write(&asked, &limits, Rcode::SERVFAIL, Some(SILENT), &mut out);
        out
    }

    #[test]
    fn the_reason_goes_to_those_who_take_it() {
        let octets = reply(Some(Edns { payload: 1232, dnssec_ok: false }));
        let message = Message::from_octets(&octets[..]).unwrap();
        assert_eq!((message.header().rcode(), message.header().id()), (Rcode::SERVFAIL, 5));
        let opt = message.opt().unwrap();
        let error = opt.opt().iter::<ExtendedError<_>>().next().unwrap().unwrap();
        assert_eq!(error.code().to_int(), SILENT.0);
        assert_eq!(error.text().unwrap().unwrap().to_string(), SILENT.1);
        let plain = reply(None);
        assert!(Message::from_octets(&plain[..]).unwrap().opt().is_none());
    }
}
