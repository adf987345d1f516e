#!/bin/sh
# Sends Asterisk's call records and finished recordings to Cordboard: signed, and again until they are accepted.
#
#   cordboard-asterisk.sh send                            from cron, every minute
#   cordboard-asterisk.sh recorded <uniqueid> <linkedid>  as MixMonitor's command, when a recording is closed
#
# Both run as the user that Asterisk runs as. Settings (sh, readable by that user alone) in /etc/cordboard/asterisk.conf:
#
#   URL=https://calls.example.com/hooks/pbx
#   SECRET=…                                   `secret` of the connection, at most 64 bytes: openssl rand -hex 32
#   RECORDS=/var/log/asterisk/cdr-custom/cordboard.csv
#   RECORDINGS=/var/spool/asterisk/monitor
#   SPOOL=/var/spool/cordboard                 what is not accepted yet
set -eu
umask 077
LC_ALL=C
export LC_ALL

fail() {
  echo "cordboard-asterisk: $*" >&2
  exit 1
}

conf=${CORDBOARD_CONF:-/etc/cordboard/asterisk.conf}
[ -r "$conf" ] || fail "cannot read $conf"
. "$conf"
[ -n "${URL:-}" ] && [ -n "${SECRET:-}" ] || fail "$conf sets no URL or no SECRET"
RECORDS=${RECORDS:-/var/log/asterisk/cdr-custom/cordboard.csv}
RECORDINGS=${RECORDINGS:-/var/spool/asterisk/monitor}
SPOOL=${SPOOL:-/var/spool/cordboard}
case $URL in
  https://* | http://127.0.0.1[:/]* | http://localhost[:/]*) ;;
  *) fail 'URL is not https://' ;;
esac
[ ${#SECRET} -le 64 ] || fail 'SECRET has more than 64 bytes'
mkdir -p "$SPOOL"

# The key, filled up with zeros to a block, each byte xored with $1.
padded_key() {
  left=64
  for byte in $(printf %s "$SECRET" | od -An -v -tu1); do
    printf "\\$(printf %03o $((byte ^ $1)))"
    left=$((left - 1))
  done
  while [ $left -gt 0 ]; do
    printf "\\$(printf %03o "$1")"
    left=$((left - 1))
  done
}

# HMAC-SHA256 of the input, in hex (RFC 2104). `openssl dgst -hmac` would show the key to whoever lists processes.
hmac() {
  {
    padded_key 92
    { padded_key 54 && cat; } | openssl dgst -sha256 -binary
  } | openssl dgst -sha256 -r | cut -d ' ' -f 1
}

# One file of the spool. The time is that of sending, so what waited long is not too old.
deliver() {
  now=$(date +%s)
  signature=$({ printf '%s.' "$now" && cat "$1"; } | hmac)
  status=$(curl --silent --show-error --output /dev/null --write-out '%{http_code}' --connect-timeout 10 --max-time 30 \
    --header 'content-type: application/json' --header "x-cordboard-timestamp: $now" \
    --header "x-cordboard-signature: $signature" --data-binary "@$1" "$URL") || return 1
  case $status in
    2??) rm -f "$1" ;;
    *) echo "cordboard-asterisk: $URL answered $status" >&2 && return 1 ;;
  esac
}

# Names sort as they were made; $1 tells those of one run apart. What is being written has another name until it is whole.
spool() {
  cat >"$SPOOL/writing.$$"
  mv "$SPOOL/writing.$$" "$SPOOL/$(date +%s)-$$-$1.json"
}

# The columns of cdr_custom.conf, in its order.
COLUMNS='start answer end clid src dst channel dstchannel lastapp lastdata disposition accountcode uniqueid linkedid
  sequence did recordingfile cnum cnam outbound_cnum dst_cnam'

# CSV to a line of JSON for each record. What Asterisk itself writes as JSON (`format = json`) is none when a caller's name has
# a quote or a backslash in it (22.10.1, 2026-11-27): one such caller would spoil the records of a hundred others.
as_json() {
  awk -v names="$COLUMNS" '
    BEGIN { count = split(names, name, " ") }
    {
      line = $0; size = length(line); at = 1; n = 0; json = ""; whole = 0
      while (substr(line, at, 1) == "\"") {
        value = ""
        for (at++; at <= size; at++) {
          char = substr(line, at, 1)
          if (char == "\"") {
            if (substr(line, at + 1, 1) != "\"") break
            at++
          }
          value = value (char == "\"" || char == "\\" ? "\\" : "") char
        }
        if (at > size) break
        json = json (n ? "," : "{") "\"" name[++n] "\":\"" value "\""
        if (at == size) { whole = 1; break }
        if (substr(line, at + 1, 1) != ",") break
        at += 2
      }
      if (whole && n == count) print json "}"
      else print "cordboard-asterisk: record " NR " has not the " count " columns of cdr_custom.conf: left out" > "/dev/stderr"
    }'
}

# Asterisk opens the file of records anew for each of them, so it can be moved away at any time.
collect() {
  if [ -s "$RECORDS" ]; then
    mv "$RECORDS" "$SPOOL/records.$(date +%s)"
    # Whoever opened it before it was moved has written by then.
    sleep 1
  fi
  for taken in "$SPOOL"/records.*; do
    [ -f "$taken" ] || continue
    rm -f "$SPOOL"/part.*
    tr -d '\000-\011\013-\037\177' <"$taken" | as_json | split -l 100 -a 4 - "$SPOOL/part."
    for part in "$SPOOL"/part.*; do
      [ -f "$part" ] || continue
      { printf '{"rows":[' && paste -s -d , "$part" && printf ']}'; } | spool "${part##*.}"
      rm -f "$part"
    done
    rm -f "$taken"
  done
}

send() {
  # One at a time; the lock of one that died is taken over.
  if ! mkdir "$SPOOL/lock" 2>/dev/null; then
    holder=$(cat "$SPOOL/lock/pid" 2>/dev/null || true)
    if [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; then return 0; fi
    [ -n "$holder" ] || [ -n "$(find "$SPOOL/lock" -prune -mmin +5 2>/dev/null)" ] || return 0
    rm -rf "$SPOOL/lock"
    mkdir "$SPOOL/lock" 2>/dev/null || return 0
  fi
  trap 'rm -rf "$SPOOL/lock"' EXIT
  echo $$ >"$SPOOL/lock/pid"
  collect
  for waiting in "$SPOOL"/*.json; do
    [ -f "$waiting" ] || continue
    deliver "$waiting" || fail "$(ls "$SPOOL" | grep -c '\.json$') not sent yet, the next run tries again"
  done
}

# Finds the file by the channel's id: no name or number that a caller chose is ever an argument of a command.
recorded() {
  for argument in "$1" "$2"; do
    case $argument in
      '' | *[!A-Za-z0-9._-]*) fail 'recorded: an id has other characters than A-Z a-z 0-9 . _ -' ;;
    esac
  done
  seconds=${1##*-}
  seconds=${seconds%%.*}
  case $seconds in
    '' | *[!0-9]*) fail "recorded: $1 is no uniqueid" ;;
  esac
  found=0
  for at in "$seconds" $((seconds + 86400)); do
    for file in "$RECORDINGS/$(date -d "@$at" +%Y/%m/%d)"/*-"$1".*; do
      [ -f "$file" ] || continue
      name=${file##*/}
      case $name in
        *[\"\\[:cntrl:]]*) fail 'recorded: the name of the file has quotes, backslashes or control characters' ;;
      esac
      printf '{"recordings":[{"uniqueid":"%s","linkedid":"%s","recordingfile":"%s","bytes":%d}]}' \
        "$1" "$2" "$name" "$(wc -c <"$file")" | spool "r$found"
      found=$((found + 1))
    done
  done
  [ $found -gt 0 ] || fail "recorded: $RECORDINGS has no recording of $1"
  send
}

case ${1:-} in
  send) send ;;
  recorded)
    [ $# -eq 3 ] || fail 'recorded wants <uniqueid> <linkedid>'
    recorded "$2" "$3"
    ;;
  *) fail 'say send, or recorded <uniqueid> <linkedid>' ;;
esac
