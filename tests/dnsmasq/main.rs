//! Side by side with the original: the same options and the same packets go to Debian's dnsmasq and to
//! `lanboot dnsmasq`, each in a network of its own, and what they answer is compared field by field.
//!
//! A difference kept on purpose stands beside its scenario with the reason, and is printed (`--nocapture`); one that has
//! gone is a failure too, so that the list stays true.

mod calls;
mod compare;
mod dns;
#[path = "../netns/harness.rs"]
#[allow(dead_code)] // it serves the tests of tests/netns too
mod harness;
mod live;
mod messages;
mod scenario;
mod scenarios;
mod side;
#[path = "../netns/snapshot.rs"]
#[allow(dead_code)]
mod snapshot;
mod tftp;
mod wire;
