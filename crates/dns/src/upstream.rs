//! Upstream servers: how quick each is, whether it answers, whom to ask next.
