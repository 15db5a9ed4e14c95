//! What an upstream server said: whether it answers what was asked, and what of it is kept.
