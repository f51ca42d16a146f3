#!/bin/sh
# Stand-in for the script of drbd-utils with this name, for the simulated cluster: drbd-service-shim.sh VERB RESOURCE
# Calls drbdsetup and drbdadm of the folder that it is called in, or those of PATH.

set -u
verb=${1-}
res=${2-}
PATH=$(dirname -- "$0"):$PATH

say() {
	echo "drbd-service-shim: $*" >&2
}

if [ -z "$verb" ] || [ -z "$res" ]; then
	say "usage: drbd-service-shim.sh VERB RESOURCE"
	exit 2
fi

# A resource that is not up is as good as demoted.
demoted() {
	case $(drbdsetup events2 --now "$res") in
	*"exists resource name:$res role:Primary"*) return 1 ;;
	*"exists -"*) return 0 ;;
	*) return 1 ;;
	esac
}

# Secondary, or not there at all.
demote() {
	drbdsetup secondary "$res" || demoted
}

demote_by_force() {
	demote || drbdsetup secondary --force "$res" || demoted
}

# After this one, systemd's FailureAction= follows if it fails; after a success the promotion may be tried again.
reset_promotion() {
	name=$(systemd-escape --template=drbd-promote@.service -- "$res" 2>/dev/null) || name=drbd-promote@$res.service
	systemctl reset-failed "$name" 2>/dev/null
	return 0
}

case $verb in
adjust) exec drbdadm adjust "$res" ;;
down) exec drbdadm down "$res" ;;
primary) exec drbdsetup primary "$res" ;;
secondary) demote ;;
secondary-force) drbdsetup secondary --force "$res" || demoted ;;
secondary-secondary-force) demote_by_force ;;
secondary-or-escalate) demote && reset_promotion ;;
secondary-secondary-force-or-escalate) demote_by_force && reset_promotion ;;
# No suspended peer waits for us to be gone: so a plain one is graceful here.
graceful-disconnect) exec drbdadm disconnect "$res" ;;
graceful-reconnect) exec drbdadm adjust "$res" ;;
*)
	say "unknown verb $verb"
	exit 2
	;;
esac
