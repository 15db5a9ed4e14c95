//! What a client asks (RFC 1035 section 4, EDNS by RFC 6891).

use crate::{Class, Name, Rtype};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub name: Name,
    pub kind: Rtype,
    pub class: Class,
}

/// A client's query, whole and sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub id: u16,
    pub question: Question,
    /// The question as it was sent: letters as the client wrote them. Replies repeat it.
    pub asked: Vec<u8>,
    pub recursion_desired: bool,
    /// AD and CD (RFC 6840 section 5.7 and 5.9).
    pub authentic_data: bool,
    pub checking_disabled: bool,
    pub edns: Option<Edns>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// UDP payload that the client takes, in octets; at least 512.
    pub payload: u16,
    /// The DO bit.
    pub dnssec_ok: bool,
    pub version: u8,
}

/// Why a message is no query that can be answered by its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoQuery {
    /// An answer, or too short for a header: nobody is told.
    Silence,
    /// The reply's code: FORMERR, NOTIMP, BADVERS.
    Reply(crate::Rcode),
}
