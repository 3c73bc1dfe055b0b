#!/usr/bin/env bash
# Runs a command, passes its output through unchanged, and sends it to the console every 2 s.
#
#   stream.sh --step NAME -- COMMAND…
#
# Its exit code is the command's, whatever becomes of the console. Started without a deploy id it is the command.
#
# CONSOLE_KEEP_ID_TOKEN    not empty: the command may ask GitHub for tokens too, where the job has id-token: write
# CONSOLE_STREAM_INTERVAL  seconds between two reports; 2 unless set
# CONSOLE_STREAM_GRACE     seconds that the rest of the output may take once the command has ended; 10 unless set

set -u
here=$(dirname -- "${BASH_SOURCE[0]}")

# More than this waits: the oldest of it is left out, and the log says so.
readonly MOST_WAITING=262144
# A command that says nothing is reported as alive every so many seconds.
readonly HEARTBEAT=60

usage() {
  echo 'usage: stream.sh --step NAME -- COMMAND…' >&2
  exit 2
}

# Sends what was written to the spool since, one report at a time, until standard input ends and all is sent.
send_output() {
  local sent=0 size ended='' pending='' spoke=$SECONDS until
  console_report in_progress "$step" '' '' false && pending=0
  # Its folder goes with the job; whoever outlives both has nobody to speak for.
  while [[ -d $console_dir ]]; do
    while send_pending && size=$(wc -c <"$spool") && ((size > sent)); do
      next_report
    done
    if [[ -n $ended ]]; then
      # What is left is kept for as long as the grace lasts. The caller waits as long; it may have been killed.
      if [[ -z $pending ]] || ((SECONDS >= until)); then break; fi
    elif [[ -z $pending ]] && ((SECONDS - spoke >= HEARTBEAT)); then
      console_report in_progress "$step" '' '' false && pending=0
    fi
    if [[ -n $ended ]]; then
      sleep 0.5
    else
      read -r -t "$interval"
      (($? > 128)) || { ended=1; until=$((SECONDS + grace)); }
    fi
  done
  # Nobody else is left to clear up after a caller that was killed.
  kill -0 "$$" 2>/dev/null || rm -rf -- "$console_dir"
}

# Sends the report that waits, if one does. Fails when it has to wait longer.
send_pending() {
  [[ -n $pending ]] || return 0
  # Once the command has ended, an answer must fit into the grace.
  console_try $((${ended:-0} ? 4 : 10))
  case $(console_verdict) in
    again) return 1 ;;
    lighter) console_lighten && console_try 10 ;;
    stop)
      console_warn "the console answered $console_status; no more output is sent."
      cat >/dev/null
      exit 0
      ;;
  esac
  ((sent += pending))
  pending='' spoke=$SECONDS
}

# Makes a report of the next piece of output: whole lines where there are any.
next_report() {
  local truncated=false lines
  if ((size - sent > MOST_WAITING)); then
    ((sent = size - MOST_WAITING / 2))
    truncated=true
  fi
  tail -c "+$((sent + 1))" -- "$spool" | head -c "$CONSOLE_CHUNK_BYTES" >"$console_dir/piece"
  lines=$(tr -cd '\n' <"$console_dir/piece" | wc -c)
  if ((lines > 0)); then
    head -n "$lines" "$console_dir/piece" >"$console_dir/lines" && mv "$console_dir/lines" "$console_dir/piece"
  fi
  pending=$(wc -c <"$console_dir/piece")
  console_report in_progress "$step" '' "$console_dir/piece" "$truncated"
}

# Leaves word for notify.sh: the step, and the last line that looks like a reason.
leave_word() {
  local reason
  reason=$(tail -c 65536 -- "$spool" | tr -d '\000\r' | sed $'s/\033\\[[0-9;]*[A-Za-z]//g; s/^::error[^:]*:://' |
    awk 'NF { last = $0; if (tolower($0) ~ /error|fatal|fail|denied|refused|not found/) told = $0 } END { print told ? told : last }')
  printf '%s\n%s\n' "$step" "${reason:0:900}${reason:+ }(exit code $1)" >"$(console_failure_file)"
}

# Puts what tokens are asked for with back into the environment, for a command that was said to need it.
give_back() {
  [[ -z $kept_token ]] || export ACTIONS_ID_TOKEN_REQUEST_TOKEN=$kept_token
}

# wait_for PID TENTHS: whether the process ended in time.
wait_for() {
  local tenths=$2
  while kill -0 "$1" 2>/dev/null; do
    ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

[[ ${1:-} == --step && -n ${2:-} && ${3:-} == -- && $# -ge 4 ]] || usage
if [[ -z ${CONSOLE_DEPLOY_ID:-} ]]; then
  unset CONSOLE_CALLBACK_SECRET
  # With the console or without, the command finds the same environment.
  [[ -n ${CONSOLE_KEEP_ID_TOKEN:-} ]] || unset ACTIONS_ID_TOKEN_REQUEST_TOKEN
  exec "${@:4}"
fi

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
console_hide_secrets "${BASH_SOURCE[0]}" "$@"
step=$2 interval=${CONSOLE_STREAM_INTERVAL:-2} grace=${CONSOLE_STREAM_GRACE:-10}
shift 3
kept_token=${CONSOLE_KEEP_ID_TOKEN:+$console_request_token}
console_ready || { give_back; exec "$@"; }

spool=$console_dir/spool
: >"$spool"
exec {in}<&0
exec {out}> >(trap '' INT TERM; exec tee -a "$spool")
out_pid=$!
exec {err}> >(trap '' INT TERM; exec tee -a "$spool" >&2)
err_pid=$!
# The sender ends well when this pipe does. It writes warnings only, and those to standard error.
exec {sender}> >(trap '' INT TERM; trap - EXIT; exec {out}>&- {err}>&-; send_output >/dev/null)
sender_pid=$!

give_back
"$@" <&"$in" >&"$out" 2>&"$err" {in}<&- {out}>&- {err}>&- {sender}>&- &
command_pid=$!
unset ACTIONS_ID_TOKEN_REQUEST_TOKEN
exec {in}<&- {out}>&- {err}>&-
trap 'kill -INT "$command_pid" 2>/dev/null' INT
trap 'kill -TERM "$command_pid" 2>/dev/null' TERM
# A signal ends a wait early; the command may go on.
while wait "$command_pid"; kill -0 "$command_pid" 2>/dev/null; do :; done
wait "$command_pid"
code=$?

# A process that the command left behind may hold its output open; it is not waited for.
wait_for "$out_pid" 20
wait_for "$err_pid" 20
((code == 0)) || leave_word "$code"
exec {sender}>&-
if ! wait_for "$sender_pid" $((grace * 10)); then
  kill "$sender_pid" 2>/dev/null
  kill -KILL "$sender_pid" 2>/dev/null
  console_warn "the last output of '$step' did not reach the console within $grace s."
fi
exit "$code"
