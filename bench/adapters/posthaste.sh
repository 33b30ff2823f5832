#!/bin/bash
# Posthaste under test: POSTHASTE_BIN is the multi-call program, called as "$POSTHASTE_BIN COMMAND ARGS".
M=/usr/share/postfix/master.cf.dist     # the stock master.cf that Debian's package brings
. "$B_HERE/adapters/postfix-common.inc"
C=$B_DIR/etc
BIN=${POSTHASTE_BIN:-$B_HERE/../target/release/posthaste}
case $1 in
version) "$BIN" postconf -h mail_version ;;
info)    echo "LOG=$B_DIR/maillog"; echo "DONE=: removed" ;;
prepare) write_config "$C" "$(dirname "$BIN")" "$(dirname "$BIN")" "$M" ;;
start)   "$BIN" postfix -c "$C" start ;;
stop)    "$BIN" postfix -c "$C" stop ;;
queue)   queue_count ;;
mailq)   "$BIN" postqueue -c "$C" -p ;;
submit)  "$BIN" sendmail -C "$C" -t -i ;;
exec)    t=$2; shift 2; MAIL_CONFIG=$C "$BIN" "$t" "$@" ;;
esac
