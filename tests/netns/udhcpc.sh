#!/bin/sh
# What udhcpc calls when something has happened: does it to the interface, and tells the test.
case $1 in
deconfig)
    ip address flush dev "$interface"
    ;;
bound | renew)
    ip address replace "$ip/$mask" dev "$interface"
    [ -z "$router" ] || ip route replace default via "$router"
    ;;
esac
echo "$1 $ip"
