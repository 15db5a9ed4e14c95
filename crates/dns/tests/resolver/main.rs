//! The resolver in a world of clients and upstream servers.

mod any_weather;
mod failures;
mod forwarding;
mod known_here;
mod world;
