//! What an upstream message is worth to the query that it came for.

use crate::forward::{Attempt, Worth};
use crate::reply::{self, Good, Sent, Worthless};
use crate::resolver::Failure;
use crate::{Rcode, Settings};

/// An upstream message, read. `None`: it is not for this query, or to be overlooked; the true one may still come.
pub(super) fn read(attempt: &Attempt, octets: &[u8], settings: &Settings) -> Option<(Worth, Option<Good>)> {
    let sent = Sent {
        id: attempt.id,
        question: &attempt.question,
        letters: attempt.letters,
        dnssec_ok: attempt.dnssec_ok,
        by: attempt.by,
    };
    let worth = match reply::judge(&sent, octets, settings) {
        Ok(good) => return Some((Worth::Answer, Some(good))),
        Err(Worthless::NotOurs | Worthless::Ignored) => return None,
        Err(Worthless::OtherLetters) => Worth::OtherLetters,
        Err(Worthless::Truncated) => Worth::Truncated(reply::judge_cut(&sent, octets, settings)),
        Err(Worthless::Failed(Rcode::FORMERR | Rcode::NOTIMP)) if attempt.edns => Worth::NoEdns,
        Err(Worthless::Failed(code)) => Worth::Failed(Failure::Said(code)),
        Err(Worthless::Malformed(_)) => Worth::Failed(Failure::Malformed),
    };
    Some((worth, None))
}
