//! What an upstream message is worth to the query that it came for.

use crate::forward::{Attempt, Worth};
use crate::resolver::{Failure, Transport};
use crate::wire::{self, QUESTION};
use crate::{Answer, Rcode};

/// An upstream message, read. `None`: it is not for this query, and changes nothing.
pub(super) fn read(attempt: &Attempt, octets: &[u8]) -> Option<(Worth, Option<Answer>)> {
    let header: &[u8; QUESTION] = octets.first_chunk()?;
    let end = QUESTION + attempt.question.len();
    let [questions, ..] = wire::counts(header);
    let ours = header[..2] == attempt.id.to_be_bytes() && header[2] & 0xf8 == 0x80;
    if !ours {
        return None;
    }
    let code = Rcode::masked_from_int(header[3]);
    if questions == 0 && matches!(code, Rcode::FORMERR | Rcode::NOTIMP) {
        return Some((Worth::NoEdns, None));
    }
    let question = octets.get(QUESTION..end).filter(|question| question.eq_ignore_ascii_case(&attempt.question))?;
    if attempt.letters && *question != *attempt.question {
        return Some((Worth::OtherLetters, None));
    }
    if header[2] & 0x02 != 0 && attempt.by == Transport::Udp {
        return Some((Worth::Truncated, None));
    }
    if !matches!(code, Rcode::NOERROR | Rcode::NXDOMAIN) {
        return Some((Worth::Failed(Failure::Said(code)), None));
    }
    match whole(octets, end) {
        Some(answer) => Some((Worth::Answer, Some(answer))),
        None => Some((Worth::Failed(Failure::Malformed), None)),
    }
}

/// Without OPT, id zero and lower case.
fn whole(octets: &[u8], start: usize) -> Option<Answer> {
    let header: &[u8; QUESTION] = octets.first_chunk()?;
    let [_, answer, authority, additional] = wire::counts(header);
    let mut made = octets[..start].to_vec();
    made[QUESTION..].make_ascii_lowercase();
    made[..2].fill(0);
    let (mut at, mut kept) = (start, 0u16);
    for count in 0..u32::from(answer) + u32::from(authority) + u32::from(additional) {
        let place = wire::record(octets, at)?;
        at = place.end;
        if place.kind != crate::Rtype::OPT {
            made.extend_from_slice(&octets[place.start..place.end]);
            kept += u16::from(count >= u32::from(answer) + u32::from(authority));
        }
    }
    made[10..12].copy_from_slice(&kept.to_be_bytes());
    Some(Answer::new(made))
}
