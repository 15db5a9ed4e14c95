//! Hosts files: an address and its names on each line.
