#!/bin/sh
# Installs what a make target needs on Debian 12, and nothing that is there already.
#
# usage: scripts/setup.sh build|demo|test|bench|fuzz
set -eu

# Rust of this version or later; Debian 12 has it as rustc-web.
rust_minor=88

build='gcc libc6-dev'
demo="$build qemu-system-x86 ovmf ipxe iproute2 debian-installer-12-netboot-amd64 busybox-static cpio"
fuzz="$build g++"
bench="$build bind9-dnsutils dnsperf iproute2 dnsmasq-base curl ipxe libwrap0 kea-dhcp4-server nginx-light"
# Peers of the bench that conflict with each other or would start as services: unpacked here, not installed.
peers='tftpd-hpa atftpd'
peers_folder=/usr/local/lib/lanboot-bench
test="$demo bind9-dnsutils qemu-system-arm qemu-efi-aarch64 debian-installer-12-netboot-arm64 dnsmasq-base udhcpc isc-dhcp-client tftp-hpa atftp curl nftables iputils-ping tcpdump util-linux procps wget postgresql"

case ${1:-} in
build) packages=$build ;;
demo) packages=$demo ;;
test) packages=$test ;;
bench) packages=$bench ;;
fuzz) packages=$fuzz ;;
*)
    echo "usage: $0 build|demo|test|bench|fuzz" >&2
    exit 2
    ;;
esac

rust_is_new_enough() {
    version=$(cargo --version 2>/dev/null) || return 1
    minor=$(echo "$version" | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge "$rust_minor" ]
}
rust_is_new_enough || packages="$packages cargo-web rustc-web"

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = 'install ok installed' ] || missing="$missing $package"
done
packed=
if [ "$1" = bench ]; then
    for package in $peers; do
        [ -e "$peers_folder/$package" ] || packed="$packed $package"
    done
fi
[ -n "$missing$packed" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "error: this needs:$missing" >&2
    echo "  fix: install them as your distribution calls them" >&2
    exit 1
fi
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
echo "installing:$missing$packed"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q
# Without recommended packages few of these bring a service, and those that do are kept from starting it.
policy=/usr/sbin/policy-rc.d
if [ -n "$missing" ] && [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi
[ -z "$missing" ] || $as_root apt-get install -q -y --no-install-recommends $missing
if [ -n "$packed" ]; then
    $as_root mkdir -p "$peers_folder"
    packages_folder=$(mktemp -d)
    for package in $packed; do
        (cd "$packages_folder" && apt-get download -q "$package")
        $as_root dpkg -x "$packages_folder/$package"_*.deb "$peers_folder/$package"
    done
    rm -rf "$packages_folder"
fi
