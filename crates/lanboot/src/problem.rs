//! How the program tells a person what is wrong.

use std::fmt::Display;
use std::io::IsTerminal;

use config::{Diagnostic, Diagnostics, Place};

/// Prints everything that was found, to the error stream.
pub fn print(found: &Diagnostics) {
    if !found.is_empty() {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        eprintln!("{}\n", found.render(colour));
    }
}

/// An error of another crate, whose text carries its remedy in a line `fix: …`.
pub fn of(error: impl Display) -> Diagnostic {
    let text = error.to_string();
    let (mut what, mut fix) = (Vec::new(), None::<String>);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("fix: "), &mut fix) {
            (Some(remedy), _) => fix = Some(remedy.to_owned()),
            (None, Some(remedy)) => *remedy = format!("{remedy} {}", line.trim()),
            (None, None) => what.push(line.to_owned()),
        }
    }
    let error = Diagnostic::error(what.join("\n"));
    match fix {
        Some(fix) => error.fix(fix),
        None => error,
    }
}

/// An error that knows its remedy.
pub fn with_fix(error: impl Display, fix: Option<String>) -> Diagnostic {
    let diagnostic = of(error);
    match fix {
        Some(fix) => diagnostic.fix(fix),
        None => diagnostic,
    }
}

/// A finding about the host, at the place of the configuration that asks for it.
pub fn finding(finding: &host::Finding, place: Place) -> Diagnostic {
    let diagnostic = match finding.severity {
        host::Severity::Problem => Diagnostic::error(&finding.text),
        host::Severity::Warning => Diagnostic::warning(&finding.text),
    };
    diagnostic.at(place).fix(&finding.fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_in_the_text_becomes_the_fix() {
        let diagnostic = of("the leases are in use by pid 7\n  fix: stop it,\n  or use another folder");
        assert_eq!(diagnostic.what, "the leases are in use by pid 7");
        assert_eq!(diagnostic.fix.as_deref(), Some("stop it, or use another folder"));
        assert_eq!(of("plain").fix, None);
    }
}
