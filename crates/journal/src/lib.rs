//! What happened: one mechanism that DHCP, TFTP, HTTP, the host and the lab all report to.

mod boot;
pub mod catalogue;
mod console;
mod crowd;
mod crowd_text;
pub mod event;
mod failures;
mod flood;
mod follower;
mod journal;
mod like;
mod line;
mod live;
mod lookup;
mod lookups;
mod outlet;
mod pulse;
mod record;
mod run;
mod screen;
mod stuck;
mod style;
mod terminal;
mod timeline;
mod words;

pub use boot::{Boot, Outcome, Reached};
pub use event::{Asked, Event, Protocol, Role, Said, Stage, Step, Unresolved};
pub use follower::Follower;
pub use journal::{Heard, Journal};
pub use line::{Line, Tone};
pub use live::{json_line, print_json, print_live};
pub use screen::Size;
pub use stuck::Stuck;
pub use style::Style;
pub use terminal::Terminal;
pub use timeline::{Timeline, Told};
