//! What a datagram on the well-known port means.

use crate::packet::{ErrorCode, Packet, Request};

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A client wants a file.
    Read(Request),
    /// Answer with this ERROR, and nothing more. `name`: the file that a client wanted to write here.
    Refuse { code: ErrorCode, message: String, name: Option<String> },
    /// Not to be answered: an ERROR never is, or two servers could talk forever (RFC 1350 section 7).
    Ignore,
}

/// Judges a datagram that came to the well-known port, where only requests belong.
pub fn arrival(datagram: &[u8]) -> Arrival {
    let refuse = |code, message: String, name| Arrival::Refuse { code, message, name };
    match Packet::parse(datagram) {
        Ok(Packet::Rrq(request)) => Arrival::Read(request),
        Ok(Packet::Wrq(request)) => refuse(
            ErrorCode::IllegalOperation,
            "this server gives files out and takes none".to_owned(),
            Some(request.name),
        ),
        Ok(Packet::Data { .. } | Packet::Ack { .. } | Packet::Oack(_)) => {
            refuse(ErrorCode::UnknownTransferId, "no transfer is open on this port".to_owned(), None)
        }
        Ok(Packet::Error { .. }) => Arrival::Ignore,
        // Even a mangled ERROR is not worth answering.
        Err(_) if datagram.starts_with(&[0, 5]) || datagram.len() < 2 => Arrival::Ignore,
        Err(error) => refuse(ErrorCode::IllegalOperation, error.to_string(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_with(datagram: &[u8]) -> Option<ErrorCode> {
        match arrival(datagram) {
            Arrival::Refuse { code, .. } => Some(code),
            _ => None,
        }
    }

    #[test]
    fn only_read_requests_are_served() {
        assert!(matches!(arrival(b"\0\x01a\0octet\0"), Arrival::Read(request) if request.name == "a"));
        assert_eq!(refused_with(b"\0\x02a\0octet\0"), Some(ErrorCode::IllegalOperation));
        assert_eq!(refused_with(b"\0\x01a\0mail\0"), Some(ErrorCode::IllegalOperation));
        assert_eq!(refused_with(b"\0\x09"), Some(ErrorCode::IllegalOperation));
    }

    #[test]
    fn packets_of_no_open_transfer_get_unknown_transfer_id() {
        for datagram in [b"\0\x03\0\x01abc".as_slice(), b"\0\x04\0\x01", b"\0\x06tsize\x000\0"] {
            assert_eq!(refused_with(datagram), Some(ErrorCode::UnknownTransferId));
        }
    }

    #[test]
    fn errors_are_never_answered() {
        for datagram in [b"\0\x05\0\x05unknown\0".as_slice(), b"\0\x05", b"", b"\0"] {
            assert_eq!(arrival(datagram), Arrival::Ignore);
        }
    }
}
