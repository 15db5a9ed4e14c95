//! Files by HTTP, from one computer to another, with the clients that people have.

use crate::tftp_clients::fetch;

#[test]
fn curl_fetches_every_size_by_http_to_the_octet() {
    fetch("curl -sS -f -o LOCAL http://10.0.1.1/FILE", "--bridge net=10.0.1.1/24 --port port0");
}

#[test]
fn wget_fetches_every_size_to_the_octet_from_another_port() {
    fetch("wget -q -O LOCAL http://10.0.1.1:8080/FILE", "--interface port0 --address 10.0.1.1/24 --http-port 8080");
}

#[test]
fn busybox_fetches_every_size_by_http_to_the_octet() {
    fetch("busybox wget -q -O LOCAL http://10.0.1.1/FILE", "--bridge net=10.0.1.1/24 --port port0");
}
