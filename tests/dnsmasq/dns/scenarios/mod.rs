//! The tables, by subject.

use super::compare::What;

mod access;
mod cache;
mod choice;
mod forward;
mod hosts;
mod leases;
mod lies;
mod policy;
mod records;
mod routes;
mod sizes;

const BY_QUESTION: &str = "an answer is kept for its question: a record beside another answer answers none of its own";
const ITS_SERVERS_WORK: &str = "the next server is asked at once, and without the client asking again";
const PICKS: &str = "the server that is asked first is chosen by the times that servers take";
const KEPT_WHOLE: &str = "an alias and what it leads to are one answer: out of date together";
const KEPT_LONGER: &str = "what servers said is kept as long as they said, whatever leases come and go";
const NO_REFERRAL: &str = "records of a referral are no answer to a client";
const BY_TCP: &str = "what does not fit is asked by TCP at once; the client gets what fits";
const OUR_OPTIONS: &str = "a client's EDNS options go no further, as the answer is for all clients";
const OWN_AD: &str = "AD goes along where it is passed on to clients, and then always";
/// A server that failed, or that says that it cannot.
const FAILED: &[What] = &[What::Code, What::Answer, What::Asked, What::Tries];
