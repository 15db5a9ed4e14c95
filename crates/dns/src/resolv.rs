//! resolv.conf: the upstream servers that a host knows.
