//! DNS side by side: the same options, the same questions, and upstream servers of the tests' own, honest and not.

mod ask;
mod compare;
mod habits;
mod live;
mod message;
mod scenario;
mod scenarios;
mod side;
mod upstream;
mod zone;
