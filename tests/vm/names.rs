//! A machine that asks for names: its own, ours, one from the world, and one that nobody has.

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use lab::{Firmware, Kernel, VmReport, VmSpec};

use crate::beside_others;
use crate::scene::{Scene, guest};

const UPSTREAM: &str = "10.0.1.1:5300";

#[test]
fn a_machine_resolves_its_own_name_and_the_worlds_as_soon_as_it_has_its_address() {
    let _turn = beside_others();
    let scene = Scene::new("names");
    answer_as_the_world(&scene);
    let server = scene.serve(&format!(
        "--conf-file= --interface=net --bind-interfaces --no-hosts --no-resolv --server={} --domain=lan.test \
         --local=/lan.test/ --host-record=boot.lan.test,10.0.1.1 --dhcp-host=52:54:00:6c:00:01,alpha,10.0.1.77 \
         --dhcp-range=10.0.1.70,10.0.1.79 --dhcp-leasefile={}",
        UPSTREAM.replace(':', "#"),
        scene.folder.join("leases").display()
    ));
    let mut vm = VmSpec::new(Firmware::Bios, 1);
    let asks = "alpha,alpha.lan.test,10.0.1.77,boot.lan.test,mirror.example,nobody.lan.test";
    let command_line = format!("console=ttyS0 lanboot.lookup={asks}");
    vm.hardware.kernel = Some(Kernel { image: guest("vmlinuz"), initrd: guest("initrd.img"), command_line });
    let vms = scene.boot(vec![vm], "nobody.lan.test: .*NXDOMAIN");
    server.stop();
    let serial = console(&vms[0]);
    for answer in [
        "alpha: Address: 10.0.1.77",
        "alpha.lan.test: Address: 10.0.1.77",
        "10.0.1.77: 77.1.0.10.in-addr.arpa\tname = alpha.lan.test",
        "boot.lan.test: Address: 10.0.1.1",
        "mirror.example: Address: 192.0.2.80",
    ] {
        assert!(serial.contains(answer), "{answer}\n{serial}");
    }
}

fn console(vm: &VmReport) -> String {
    String::from_utf8_lossy(&fs::read(vm.folder.join("serial.log")).expect("it spoke")).into_owned()
}

/// An upstream server that knows one address, in a thread that ends with the tests.
fn answer_as_the_world(scene: &Scene) {
    let socket = scene.network.run(|| UdpSocket::bind(UPSTREAM)).expect("our own address");
    socket.set_read_timeout(Some(Duration::from_secs(300))).expect("a time-out");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Some(question) = buffer[12..length].iter().position(|octet| *octet == 0) else { continue };
            let end = 12 + question + 5;
            let is_a = buffer[end - 4..end - 2] == [0, 1];
            let mut answer = buffer[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x50");
            }
            let _ = socket.send_to(&answer, from);
        }
    });
}
