#!/bin/sh
# Boots virtual machines through lanboot, in a network of their own: nothing on this host's network is touched.
#
# usage: scripts/demo.sh      after `make demo` has built everything
set -u

here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
lanboot=target/release/lanboot
failed=0

say() {
    printf '\n\033[1m%s\033[0m\n\n' "$1"
}

say 'A BIOS and two UEFI machines boot a kernel: DHCP, TFTP or HTTP, iPXE, and HTTP to the end'
$lanboot lab -c demo/kernel.toml --firmware bios,uefi-x64,uefi-http --timeout 150s --out target/demo/kernel || failed=1

say 'The guide: a BIOS machine boots the Debian 12 installer through iPXE and pxelinux.0'
# The installer waits at a menu: Tab edits its entry, so that the installer speaks on the serial line that we follow.
$lanboot lab -c demo/guide.toml --firmware bios --memory 1024 --timeout 150s --out target/demo/guide \
    --type 'splash.png=<tab> console=ttyS0,115200<enter>' --expect 'Select a language' || failed=1

if [ $failed = 0 ]; then
    say 'All machines booted. Their logs, screenshots and captures are in target/demo.'
else
    say 'Not every machine booted: see above, and the logs in target/demo.'
fi
exit $failed
