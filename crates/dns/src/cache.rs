//! Answers of upstream servers, kept for as long as they hold, in bounded memory.
