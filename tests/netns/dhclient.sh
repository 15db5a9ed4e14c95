#!/bin/sh
# What dhclient calls when something has happened: does it to the interface, and tells the test.
case $reason in
PREINIT)
    ip link set dev "$interface" up
    ;;
BOUND | RENEW | REBIND | REBOOT)
    ip address replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    [ -z "$new_routers" ] || ip route replace default via "$new_routers"
    ;;
RELEASE | STOP | EXPIRE | FAIL)
    ip address flush dev "$interface"
    ;;
esac
echo "$reason $new_ip_address"
