#!/bin/sh
# Builds the test guest: a real kernel and a small initrd whose init asks for an address and reports back.
#
# usage: scripts/guest.sh [FOLDER]      default target/guest; makes vmlinuz and initrd.img there
#
# Both come from packages of Debian 12, so nothing is compiled and nothing is downloaded: the kernel and the network
# drivers from debian-installer-12-netboot-amd64, the programs from busybox-static. Needs no root.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/target/guest}
installer=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
busybox=/bin/busybox

need() {
    [ -e "$1" ] && return
    echo "error: $1 is missing" >&2
    echo "  fix: apt-get install $2" >&2
    exit 1
}
need "$installer/linux" debian-installer-12-netboot-amd64
need "$busybox" busybox-static
need "$(command -v cpio || echo cpio)" cpio

# Nothing to do when the guest is newer than all it is made of.
up_to_date() {
    [ -e "$out/initrd.img" ] || return 1
    for source in "$0" "$here"/tests/vm/guest/* "$installer/linux" "$busybox"; do
        [ "$out/initrd.img" -nt "$source" ] || return 1
    done
}
if up_to_date; then
    echo "$out is up to date"
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$out" "$work/installer" \
    "$root/bin" "$root/dev" "$root/etc" "$root/modules" "$root/proc" "$root/run" "$root/sys"

# Drivers, each after those it depends on: init loads them in the order of their numbers.
drivers='failover net_failover virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_net e1000'
for driver in $drivers; do echo "*/$driver.ko"; done >"$work/patterns"
zcat "$installer/initrd.gz" | (cd "$work/installer" && cpio -idm --quiet -E "$work/patterns")
number=10
for driver in $drivers; do
    found=$(find "$work/installer" -name "$driver.ko")
    [ -n "$found" ] || { echo "error: $installer/initrd.gz holds no $driver.ko" >&2; exit 1; }
    cp "$found" "$root/modules/$number-$driver.ko"
    number=$((number + 1))
done

cp "$busybox" "$root/bin/busybox"
for applet in sh mount ip insmod udhcpc wget nslookup sha256sum cat cut sleep poweroff; do
    ln -s busybox "$root/bin/$applet"
done
cp "$here/tests/vm/guest/init" "$root/init"
cp "$here/tests/vm/guest/lease" "$root/bin/lease"
chmod 755 "$root/init" "$root/bin/lease"

# Fixed times, order and owner: the same packages give the same octets.
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible --owner 0:0) | gzip -9n >"$work/initrd.img"
cp "$installer/linux" "$out/vmlinuz"
mv "$work/initrd.img" "$out/initrd.img"
echo "$out: vmlinuz $(stat -c %s "$out/vmlinuz") octets, initrd.img $(stat -c %s "$out/initrd.img") octets"
