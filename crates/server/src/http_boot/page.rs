//! The page that lists what is served, for a person with a browser, be it a text browser.

use std::net::SocketAddrV4;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::Role;

use super::ledger::size;
use super::request::percent_encode;
use crate::files::{Entry, Kind, Listing};

const STYLE: &str = include_str!("page.css");

/// Renders one folder. `host`: our address as the client reached it.
pub(super) fn render(listing: &Listing, host: SocketAddrV4) -> String {
    let authority = if host.port() == 80 { host.ip().to_string() } else { host.to_string() };
    let place = if listing.name.is_empty() { String::new() } else { format!("/{}", listing.name) };
    let title = escape(&format!("{authority}{place}"));
    let (folders, files): (Vec<_>, Vec<_>) = listing.entries.iter().partition(|entry| entry.kind == Kind::Folder);
    let rows: String = folders.into_iter().chain(files).map(|entry| row(&listing.name, entry)).collect();
    let rows = match rows.is_empty() {
        true => "<tr><td class=\"none\" colspan=\"4\">Nothing is published here yet.</td></tr>\n".to_owned(),
        false => rows,
    };
    let more = if listing.more { "<p>There is more than fits this page.</p>\n" } else { "" };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title} &ndash; lanboot</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<header>\n<p class=\"brand\">lanboot</p>\n<h1>{}</h1>\n</header>\n<main>\n<table>\n\
         <thead><tr><th scope=\"col\">Name</th><th scope=\"col\" class=\"r\">Role</th><th scope=\"col\" class=\"n\">Size</th>\
         <th scope=\"col\" class=\"t\">Changed</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n{more}</main>\n\
         <footer>{}</footer>\n</body>\n</html>\n",
        trail(&authority, &listing.name),
        summary(listing),
    )
}

/// The way from the root to this folder, each step a link but the last.
fn trail(authority: &str, folder: &str) -> String {
    if folder.is_empty() {
        return format!("{}<span>/</span>", escape(authority));
    }
    let mut trail = format!("<a href=\"/\">{}</a>", escape(authority));
    let mut path = String::new();
    let mut steps = folder.split('/').peekable();
    while let Some(step) = steps.next() {
        path = format!("{path}/{step}");
        let shown = match steps.peek() {
            Some(_) => format!("<a href=\"{}\">{}</a>", percent_encode(&path), escape(step)),
            None => escape(step),
        };
        trail.push_str(&format!("<span>/</span><wbr>{shown}"));
    }
    trail
}

fn row(folder: &str, entry: &Entry) -> String {
    let path = if folder.is_empty() { format!("/{}", entry.name) } else { format!("/{folder}/{}", entry.name) };
    let (href, name) = (percent_encode(&path), escape(&entry.name));
    let Kind::File { size: octets, role, modified } = &entry.kind else {
        return format!(
            "<tr class=\"dir\"><td><a href=\"{href}/\">{name}/</a></td><td class=\"r\">folder</td>\
             <td class=\"n\"></td><td class=\"t\"></td></tr>\n"
        );
    };
    let changed = modified.and_then(|time| Timestamp::try_from(time).ok()).map(|time| {
        let local = time.to_zoned(TimeZone::system());
        format!("<time datetime=\"{time:.0}\">{}</time>", local.strftime("%Y-%m-%d %H:%M"))
    });
    let (class, label) = role_label(*role);
    format!(
        "<tr><td><a href=\"{href}\">{name}</a></td><td class=\"r\"><b class=\"{class}\">{label}</b></td>\
         <td class=\"n\" title=\"{octets} octets\">{}</td><td class=\"t\">{}</td></tr>\n",
        size(*octets),
        changed.unwrap_or_default(),
    )
}

fn role_label(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Loader => ("loader", "loader"),
        Role::Script => ("script", "script"),
        Role::Kernel => ("kernel", "kernel"),
        Role::Initrd => ("initrd", "initrd"),
        Role::Other => ("other", "file"),
    }
}

fn summary(listing: &Listing) -> String {
    let sizes = listing.entries.iter().filter_map(|entry| match entry.kind {
        Kind::File { size, .. } => Some(size),
        Kind::Folder => None,
    });
    let (count, octets) = sizes.fold((0, 0u64), |(count, sum), size| (count + 1, sum.saturating_add(size)));
    let folders = listing.entries.len() - count;
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match folders {
        0 => format!("{}, {}", plural(count, "file"), size(octets)),
        _ => format!("{}, {}, {}", plural(folders, "folder"), plural(count, "file"), size(octets)),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HOST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 1), 8080);

    fn listing(name: &str, entries: &[(&str, Option<u64>)]) -> Listing {
        let kind = |size: Option<u64>| {
            size.map_or(Kind::Folder, |size| Kind::File { size, role: Role::Kernel, modified: None })
        };
        let entries = entries.iter().map(|(name, size)| Entry { name: (*name).into(), kind: kind(*size) }).collect();
        Listing { name: name.into(), entries, more: false }
    }

    #[test]
    fn names_cannot_become_markup_and_links_lead_back_to_them() {
        let page = render(&listing("a&b", &[("<b>\"50%\"?#.img", Some(1))]), HOST);
        assert!(page.contains("&lt;b&gt;&quot;50%&quot;?#.img</a>"));
        assert!(page.contains("href=\"/a%26b/%3Cb%3E%2250%25%22%3F%23.img\""));
        assert!(!page.contains("<b>\"50"));
    }

    #[test]
    fn page_tells_names_roles_and_sizes_folders_first() {
        let page = render(&listing("", &[("linux", Some(8_200_000)), ("sub", None)]), HOST);
        let (folder, file) = (page.find("sub/</a>").unwrap(), page.find("linux</a>").unwrap());
        assert!(folder < file);
        assert!(page.contains("8.2 MB") && page.contains(">kernel<") && page.contains("10.0.1.1:8080"));
        assert!(page.contains("1 folder, 1 file, 8.2 MB"));
    }

    #[test]
    fn every_step_of_the_way_up_is_a_link() {
        let page = render(&listing("debian/12/amd64", &[]), HOST);
        for link in ["href=\"/\"", "href=\"/debian\"", "href=\"/debian/12\""] {
            assert!(page.contains(link), "{link}");
        }
        assert!(page.contains("Nothing is published here yet"));
    }
}
