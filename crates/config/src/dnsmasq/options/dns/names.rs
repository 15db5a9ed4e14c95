//! Names and domains as options write them.

use dns::settings::Scope;
use dns::{Name, idn};

use crate::diagnostic::Diagnostic;
use crate::dnsmasq::text::Text;

/// A name. Octets other than letters are taken as they are; letters beyond ASCII get the form that DNS carries.
pub(super) fn name(text: &Text) -> Result<Name, Diagnostic> {
    let ascii = ascii(text)?;
    let mut wire = Vec::with_capacity(ascii.len() + 2);
    for label in ascii.split('.') {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    Name::from_wire(&wire).map_err(|wrong| bad(text, &wrong.to_string()))
}

/// The name in ASCII, without a dot at the end.
pub(in super::super::super) fn ascii(text: &Text) -> Result<String, Diagnostic> {
    let name = text.as_str();
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(text.wrong("the name is missing", "write one, like box.example.org"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad(text, "it has a control character"));
    }
    if name.split('.').any(str::is_empty) {
        return Err(bad(text, "nothing stands between two dots, or before the first"));
    }
    let labels: Option<Vec<_>> = name.split('.').map(idn::ascii_label).collect();
    let labels = labels.ok_or_else(|| {
        let fix = "write its ASCII form, which starts with xn--; `idn2 NAME` prints it";
        text.wrong(format!("`{text}` has characters whose form in DNS is not sure"), fix)
    })?;
    if labels.iter().any(|label| label.len() > 63) {
        return Err(bad(text, "a part of it has more than 63 octets"));
    }
    Ok(labels.join("."))
}

fn bad(text: &Text, why: &str) -> Diagnostic {
    text.wrong(
        format!("`{text}` is not a name: {why}"),
        "write parts with single dots between them, like box.example.org",
    )
}

/// What stands between slashes: a domain, `*lan` and `*.lan`, `#` for all names, nothing for names of one part.
pub(super) fn scope(text: &Text) -> Result<Scope, Diagnostic> {
    let all = text.as_str();
    if all.is_empty() {
        return Ok(Scope::Plain);
    }
    if all == "#" || all == "*" {
        return Ok(Scope::All);
    }
    let after = |octets: usize| text.slice(octets..all.len());
    let (wraps, rest): (fn(Name) -> Scope, Text) = match all.as_bytes() {
        [b'*', b'.', ..] => (Scope::Below, after(2)),
        [b'*', ..] => (Scope::Ending, after(1)),
        [b'.', ..] => (Scope::Domain, after(1)),
        _ => (Scope::Domain, after(0)),
    };
    if rest.as_str().contains('*') {
        let fix = "put the * first: *example.org is all that ends so, *.example.org all below it";
        return Err(text.wrong("a `*` further on stands for nothing", fix));
    }
    name(&rest).map(wraps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_between_slashes() {
        let read = |text: &str| scope(&Text::of_flag(text, text)).map_err(|wrong| wrong.what);
        let name = |text: &str| text.parse().unwrap();
        assert_eq!(read(""), Ok(Scope::Plain));
        assert_eq!(read("#"), Ok(Scope::All));
        assert_eq!(read("*"), Ok(Scope::All));
        assert_eq!(read("LAN."), Ok(Scope::Domain(name("lan"))));
        assert_eq!(read(".lan"), Ok(Scope::Domain(name("lan"))));
        assert_eq!(read("*lan"), Ok(Scope::Ending(name("lan"))));
        assert_eq!(read("*.lan"), Ok(Scope::Below(name("lan"))));
        assert_eq!(read("bücher.de"), Ok(Scope::Domain(name("xn--bcher-kva.de"))));
        assert!(read("a*b").is_err() && read("a..b").is_err() && read("..lan").is_err() && read(".").is_err());
    }
}
