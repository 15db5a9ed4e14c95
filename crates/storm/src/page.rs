//! What of HTTP and of scripts a simulated iPXE understands. No socket.

/// The head of an answer: how long it is itself, and how much content follows.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub octets: usize,
    pub content: u64,
}

/// None while the head is not whole.
///
/// # Errors
/// The status line, when it is not 200 or the length is not told.
pub fn head(received: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&received[..end]);
    let mut lines = text.lines();
    let status = lines.next().unwrap_or_default();
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    match length {
        Some(content) if status.split(' ').nth(1) == Some("200") => Ok(Some(Head { octets: end + 4, content })),
        _ => Err(format!("HTTP: {status}")),
    }
}

/// The paths below `http://server/` that an iPXE script loads as kernel and initrds, in order.
pub fn loaded_by(script: &str) -> Vec<String> {
    let loads = script.lines().filter(|line| line.starts_with("kernel ") || line.starts_with("initrd "));
    loads.filter_map(|line| path(line.split_whitespace().find(|word| word.starts_with("http://"))?)).collect()
}

/// `/a/b` of `http://server/a/b`.
pub fn path(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    Some(rest[rest.find('/')?..].to_owned())
}

/// `path`: with its leading slash.
pub fn request(server: std::net::Ipv4Addr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: iPXE/1.21.1\r\nConnection: keep-alive\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_end_with_an_empty_line() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"), Ok(None));
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(head(whole), Ok(Some(Head { octets: whole.len() - 5, content: 5 })));
        assert_eq!(
            head(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            Err("HTTP: HTTP/1.1 404 Not Found".into())
        );
    }

    #[test]
    fn a_script_loads_kernel_and_initrds() {
        let script = "#!ipxe\nset step kernel\nkernel http://10.0.0.1/vmlinuz initrd=a quiet || goto failed\n\
                      initrd --name a http://10.0.0.1/x/initrd.img || goto failed\nboot || goto failed\n\
                      imgfetch --name report http://10.0.0.1/report ||\n";
        assert_eq!(loaded_by(script), ["/vmlinuz", "/x/initrd.img"]);
    }
}
