//! The DNS of a LAN: names that are known here, and all others through a cache of what upstream servers say.
//!
//! [`Resolver`] takes queries, upstream answers and a clock, and gives replies and upstream queries. [`local`] knows the
//! names of configuration, hosts files and leases; [`cache`] keeps answers as octets ready to send; `forward` follows the
//! queries in flight. Nothing here opens a socket, reads a file or a clock.

pub mod answer;
pub mod cache;
pub mod compose;
mod filter;
mod forward;
pub mod hosts;
pub mod idn;
pub mod local;
pub mod lookups;
pub mod name;
mod private;
pub mod query;
pub mod random;
pub mod record;
pub mod reply;
pub mod resolv;
pub mod resolver;
mod routes;
mod seldom;
pub mod settings;
mod slots;
#[cfg(test)]
mod testing;
mod upstream;
mod wire;

pub use answer::{Age, Answer, Told};
pub use cache::Cache;
pub use compose::{Limits, Reply, Section};
pub use domain::base::iana::{Class, Rcode, Rtype};
pub use name::Name;
pub use query::{Asked, Edns, Key, NoQuery, Query, Question};
pub use record::{Data, Record};
pub use reply::{Good, Sent, Worthless, judge};
pub use resolver::{Client, Effect, Handled, Resolver, Token, Transport};
pub use settings::Settings;
