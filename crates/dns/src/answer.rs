//! Answers as octets ready to send: found again with another id, other letters and lower TTLs.
