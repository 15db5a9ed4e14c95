//! The octets of a query to an upstream server.

use crate::Rtype;

/// EDNS option of a text that names who asks, as dnsmasq sends it (no RFC; of the private range of RFC 6891 section 9).
const CPE_ID: u16 = 65074;

/// A query of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub id: u16,
    /// Name with its letters as they are to be sent, type and class.
    pub question: &'a [u8],
    pub recursion_desired: bool,
    pub checking_disabled: bool,
    /// AD is asked for (RFC 6840 section 5.7).
    pub authentic_data: bool,
    pub edns: Option<Opt<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt<'a> {
    /// The UDP answer that we take, in octets.
    pub payload: u16,
    pub dnssec_ok: bool,
    pub cpe_id: Option<&'a [u8]>,
}

impl Ask<'_> {
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(64 + self.question.len());
        octets.extend_from_slice(&self.id.to_be_bytes());
        octets.push(u8::from(self.recursion_desired));
        octets.push(u8::from(self.authentic_data) << 5 | u8::from(self.checking_disabled) << 4);
        octets.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(self.edns.is_some())]);
        octets.extend_from_slice(self.question);
        if let Some(opt) = &self.edns {
            opt.write(&mut octets);
        }
        octets
    }
}

impl Opt<'_> {
    fn write(&self, octets: &mut Vec<u8>) {
        octets.push(0);
        octets.extend_from_slice(&Rtype::OPT.to_int().to_be_bytes());
        octets.extend_from_slice(&self.payload.to_be_bytes());
        octets.extend_from_slice(&[0, 0, u8::from(self.dnssec_ok) << 7, 0]);
        // Settings keep it to what fits a configuration's line.
        let text = self.cpe_id.unwrap_or_default();
        let text = &text[..text.len().min(1024)];
        let length = if text.is_empty() { 0 } else { text.len() as u16 + 4 };
        octets.extend_from_slice(&length.to_be_bytes());
        if length > 0 {
            octets.extend_from_slice(&CPE_ID.to_be_bytes());
            octets.extend_from_slice(&(length - 4).to_be_bytes());
            octets.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::base::Message;
    use domain::base::opt::UnknownOptData;

    use super::*;

    #[test]
    fn a_query_reads_back() {
        let ask = Ask {
            id: 0x1234,
            question: b"\x03wWw\x04TEST\0\0\x1c\0\x01",
            recursion_desired: true,
            checking_disabled: true,
            authentic_data: false,
            edns: Some(Opt { payload: 1232, dnssec_ok: true, cpe_id: Some(b"lab") }),
        };
        let octets = ask.octets();
        let message = Message::from_octets(&octets[..]).unwrap();
        let header = message.header();
        assert!(header.rd() && header.cd() && !header.ad() && !header.qr() && header.id() == 0x1234);
        let question = message.sole_question().unwrap();
        assert_eq!((question.qname().to_string().as_str(), question.qtype()), ("wWw.TEST", Rtype::AAAA));
        let opt = message.opt().unwrap();
        assert!(opt.udp_payload_size() == 1232 && opt.dnssec_ok());
        let option = opt.opt().iter::<UnknownOptData<_>>().next().unwrap().unwrap();
        assert_eq!((option.code().to_int(), *option.data()), (CPE_ID, &b"lab"[..]));
        let plain = Ask { edns: None, ..ask }.octets();
        assert!(Message::from_octets(&plain[..]).unwrap().opt().is_none() && plain.len() == 12 + 14);
    }
}
