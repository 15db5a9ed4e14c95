//! Queries in flight: who waits for them, whom we asked, and when to ask again.
