//! What happened: one mechanism that DHCP, TFTP, HTTP, the host and the lab all report to.

pub mod catalogue;
mod console;
pub mod event;
mod failures;
mod flood;
mod follower;
mod journal;
mod like;
mod line;
mod lookup;
mod lookups;
mod record;
mod run;
mod stuck;
mod style;
mod terminal;
mod timeline;
mod words;

pub use event::{Asked, Event, Protocol, Role, Said, Stage, Step, Unresolved};
pub use follower::Follower;
pub use journal::{Heard, Journal};
pub use line::{Line, Tone};
pub use stuck::Stuck;
pub use style::Style;
pub use terminal::{Terminal, json_line, print_json, print_live};
pub use timeline::{Boot, Outcome, Reached, Timeline, Told};
