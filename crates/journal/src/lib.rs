//! What happened: one mechanism that DHCP, TFTP, HTTP, the host and the lab all report to.

pub mod catalogue;
pub mod event;
mod journal;
mod line;
mod stuck;
mod terminal;
mod timeline;
mod words;

pub use event::{Event, Protocol, Role, Stage, Step};
pub use journal::{Follower, Heard, Journal};
pub use line::{Line, Tone};
pub use stuck::Stuck;
pub use terminal::{Style, Terminal, json_line, print_json, print_live};
pub use timeline::{Boot, Outcome, Reached, Timeline, Told};
