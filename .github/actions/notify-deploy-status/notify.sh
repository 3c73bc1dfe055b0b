#!/usr/bin/env bash
# Tells the console once how a deploy stands. Always exits 0: a deploy never fails because the console is away.
#
# CONSOLE_DEPLOY_ID CONSOLE_URL CONSOLE_CALLBACK_SECRET  which deploy, where, signed with what
# STATUS STEP MESSAGE LOG_FILE STEPS                     see action.yml
# ACTIONS_ID_TOKEN_REQUEST_URL, …_TOKEN                  given by the runner where the job has id-token: write
# CONSOLE_NOTIFY_BUDGET                                  seconds in all; 45 unless set
# CONSOLE_MASK                                           values that are never sent, one a line

set -u
here=$(dirname -- "${BASH_SOURCE[0]}")

if [[ -n ${GITHUB_PATH:-} && -n ${GITHUB_ACTION_PATH:-} ]]; then
  # From here on, the job's steps can call stream.sh by its name.
  printf '%s\n' "$GITHUB_ACTION_PATH" >>"$GITHUB_PATH"
fi
if [[ -z ${CONSOLE_DEPLOY_ID:-} ]]; then
  echo 'Started without the console: there is nobody to tell.'
  exit 0
fi

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
console_hide_secrets "${BASH_SOURCE[0]}" "$@"
console_ready || exit 0

status=${STATUS:-in_progress} step=${STEP:-} message=${MESSAGE:-} truncated=false log=
case $status in
  in_progress | success | failure | cancelled) ;;
  *)
    console_warn "status '$status' is none of in_progress, success, failure, cancelled."
    exit 0
    ;;
esac

if [[ $status == failure ]]; then
  # stream.sh left word of the step that failed, and of its last words.
  failure=$(console_failure_file)
  if [[ -r $failure && -z $step ]]; then
    step=$(sed -n 1p "$failure")
    message=${message:-$(sed -n 2p "$failure")}
  fi
  if [[ -z $step && -n ${STEPS:-} ]]; then
    step=$(jq -r '[to_entries[] | select(.value.outcome == "failure")][0].key // empty' <<<"$STEPS" 2>/dev/null)
  fi
fi
if [[ $status != in_progress ]]; then
  rm -f -- "$(console_failure_file)"
fi
if [[ -n ${LOG_FILE:-} && -r ${LOG_FILE:-} ]]; then
  log=$console_dir/log
  tail -c "$CONSOLE_CHUNK_BYTES" -- "$LOG_FILE" >"$log"
  [[ $(wc -c <"$LOG_FILE") -le $CONSOLE_CHUNK_BYTES ]] || truncated=true
fi

if console_report "$status" "$step" "$message" "$log" "$truncated"; then
  console_deliver "${CONSOLE_NOTIFY_BUDGET:-45}" && echo "The console was told: $status${step:+ at $step}."
else
  console_warn 'the report could not be written, so the console was not told.'
fi
exit 0
