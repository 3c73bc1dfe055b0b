# shellcheck shell=bash
# What notify.sh and stream.sh share: building a report, signing it, sending it.
#
# Nothing here may fail or delay a deploy. So there is no `set -e`, every wait has an end, and whatever goes
# wrong is a ::warning:: on standard error and nothing more.
#
# Two secrets come in the environment, where /proc shows them: the callback secret, and what the runner gives a job with
# `id-token: write` to ask GitHub for tokens. console_hide_secrets starts the script anew without them and hands them
# over through a pipe. From then on they live in shell variables that are not exported, and so do the tokens. They
# reach openssl and curl through pipes, never as an argument (`openssl -hmac` and `curl --header` would show them).

# The most raw output in one report. JSON can make 6 bytes of one (\u0000), and a body may have 64 KiB.
# shellcheck disable=SC2034 # the scripts that source this use it
readonly CONSOLE_CHUNK_BYTES=10000

console_warn() {
  printf '::warning title=Deploy console::%s\n' "$*" >&2
}

# console_hide_secrets SCRIPT ARGS…: starts SCRIPT anew with the secrets on file descriptor 9 instead of in the
# environment. The second time it is called, it reads them from there.
console_hide_secrets() {
  if [[ -n ${CONSOLE_CALLBACK_SECRET:-}${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-} ]]; then
    exec 9< <(printf '%s\n' "${CONSOLE_CALLBACK_SECRET:-}" "${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-}")
    unset CONSOLE_CALLBACK_SECRET ACTIONS_ID_TOKEN_REQUEST_TOKEN
    export CONSOLE_SECRETS_FD=9
    exec bash "$@"
  fi
  console_secret='' console_request_token='' console_token=''
  if [[ -n ${CONSOLE_SECRETS_FD:-} ]]; then
    IFS= read -r -u "$CONSOLE_SECRETS_FD" console_secret
    IFS= read -r -u "$CONSOLE_SECRETS_FD" console_request_token
    exec 9<&-
    unset CONSOLE_SECRETS_FD
  fi
}

# Whether reports can be sent at all; says what is missing.
console_ready() {
  local tool
  for tool in curl openssl jq od tail head mktemp; do
    command -v "$tool" >/dev/null || { console_warn "$tool is missing, so the console is not told."; return 1; }
  done
  [[ ${BASH_VERSINFO[0]} -ge 5 ]] || { console_warn "bash 5 is needed, so the console is not told."; return 1; }
  [[ $CONSOLE_DEPLOY_ID =~ ^[0-9A-Fa-f-]{36}$ ]] || { console_warn "console-deploy-id is no deploy's id."; return 1; }
  [[ ${CONSOLE_URL:-} =~ ^https?:// ]] || { console_warn "console-url is not an http or https address."; return 1; }
  console_authority || return 1
  console_dir=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/console.XXXXXXXX") || { console_warn "no temporary folder."; return 1; }
  trap 'rm -rf -- "$console_dir"' EXIT
  console_masks_init
}

# Whether there is anything that the console could believe: a secret, or the permission to ask for tokens.
console_authority() {
  local asking=${ACTIONS_ID_TOKEN_REQUEST_URL:-}$console_request_token
  # Both go into a file of curl's, between quotes.
  if [[ -n $console_request_token && ! ($asking =~ ^https?://[[:graph:]]+$ && $asking != *[\"\\]*) ]]; then
    console_warn 'what the runner gives to ask for tokens with cannot be used.'
    console_request_token=
  fi
  if [[ -n $console_secret ]]; then
    console_key_blocks || { console_warn "callback-secret is not whsec_ and the base64 of 24 to 64 bytes."; return 1; }
  elif [[ -z $console_request_token ]]; then
    console_warn "there is no callback-secret, and the job has no 'id-token: write', so the console is not told."
    return 1
  fi
}

# Where one step leaves word for the next that it failed, and why.
console_failure_file() {
  printf '%s/console-failure-%s' "${RUNNER_TEMP:-${TMPDIR:-/tmp}}" "$CONSOLE_DEPLOY_ID"
}

# HMAC's two blocks (RFC 2104) as printf escapes: the key, padded to 64 bytes, with 0x36 and with 0x5c.
console_key_blocks() {
  local hex i byte pad
  [[ $console_secret == whsec_* ]] || return 1
  hex=$(printf '%s' "${console_secret#whsec_}" | openssl base64 -d -A 2>/dev/null | console_hex)
  ((${#hex} >= 48 && ${#hex} <= 128)) || return 1
  console_ipad='' console_opad=''
  for ((i = 0; i < 128; i += 2)); do
    byte=${hex:i:2}
    printf -v pad '\\x%02x' $((16#${byte:-00} ^ 0x36)) && console_ipad+=$pad
    printf -v pad '\\x%02x' $((16#${byte:-00} ^ 0x5c)) && console_opad+=$pad
  done
}

console_hex() {
  od -An -v -tx1 | tr -d ' \n'
}

# console_sign ID TIMESTAMP BODY_FILE: the value of webhook-signature.
# The blocks are printf formats on purpose: their escapes become bytes.
# shellcheck disable=SC2059
console_sign() {
  local inner
  inner=$({ printf "$console_ipad"; printf '%s.%s.' "$1" "$2"; cat -- "$3"; } | openssl dgst -sha256 -binary | console_hex)
  inner=$(printf '%s' "$inner" | sed 's/../\\x&/g')
  printf 'v1,'
  { printf "$console_opad"; printf "$inner"; } | openssl dgst -sha256 -binary | openssl base64 -A
}

# The values that are never sent, as a JSON list: the secrets, CONSOLE_MASK (one a line), and later ::add-mask::.
# GitHub is told of CONSOLE_MASK as well: the console fills gaps from GitHub's log.
console_masks_init() {
  if [[ ${GITHUB_ACTIONS:-} == true && -n ${CONSOLE_MASK:-} ]]; then
    sed '/^$/d; s/%/%25/g; s/\r/%0D/g; s/^/::add-mask::/' <<<"$CONSOLE_MASK" >&2
  fi
  printf '%s\n' "$console_secret" "$console_request_token" "${CONSOLE_MASK:-}" | jq -Rs 'split("\n") | map(select(length > 0))' >"$console_dir/masks"
}

# console_report STATUS STEP MESSAGE LOG_FILE TRUNCATED: writes the body to $console_dir/body.
# NUL goes, invalid UTF-8 becomes U+FFFD, masked values become ***. LOG_FILE may be empty.
console_report() {
  local log=${4:-/dev/null}
  tr -d '\000' <"$log" >"$console_dir/text"
  jq -Rs --slurpfile masks "$console_dir/masks" '
    $masks[0] + [split("\n")[] | select(startswith("::add-mask::")) | ltrimstr("::add-mask::") | rtrimstr("\r")]
    | map(select(length > 0)) | unique' "$console_dir/text" >"$console_dir/masks.new" &&
    mv "$console_dir/masks.new" "$console_dir/masks"
  jq -cn --slurpfile masks "$console_dir/masks" --rawfile text "$console_dir/text" \
    --arg id "$CONSOLE_DEPLOY_ID" --arg run "${GITHUB_RUN_ID:-0}" --arg attempt "${GITHUB_RUN_ATTEMPT:-1}" \
    --arg job "${GITHUB_JOB:-}" --arg seq "${EPOCHREALTIME//[!0-9]/}" \
    --arg status "$1" --arg step "$2" --arg message "$3" --argjson truncated "$5" '
    def masked: reduce ($masks[0] | sort_by(-length))[] as $mask (.; split($mask) | join("***"));
    { schema: 1, deploy_id: $id, run_id: ($run | tonumber), run_attempt: ($attempt | tonumber), job: $job[0:128],
      seq: ($seq | tonumber), status: $status }
    + (if $step == "" then {} else { step: ($step | masked)[0:128] } end)
    + (if $message == "" then {} else { message: ($message | masked)[0:1024] } end)
    + (if $text == "" and ($truncated | not) then {} else { log: { text: ($text | masked), truncated: $truncated } } end)
    ' >"$console_dir/body"
  console_delivery="run_${GITHUB_RUN_ID:-0}_${EPOCHREALTIME//[!0-9]/}_$RANDOM"
}

# console_fetch_token SECONDS: sees that $console_token has some time left, as GitHub's live for 5 min. Empty when there
# is none to be had. Takes the seconds at most.
console_fetch_token() {
  local audience answer age=$((EPOCHSECONDS - ${console_token_at:-0})) each=$(($1 > 4 ? $1 / 3 : $1)) retries=$(($1 > 4))
  [[ -n $console_request_token ]] || return 0
  # Where none was to be had, the secret must do for a while: every report would wait for another no.
  if [[ -n $console_token ]] && ((age < 240)); then return 0; fi
  if [[ -z $console_token && -n $console_secret ]] && ((age < 60)); then return 0; fi
  console_token='' console_token_at=$EPOCHSECONDS
  audience=$(jq -rn --arg url "$(console_base)" '$url | @uri')
  answer=$(printf 'url = "%s&audience=%s"\nheader = "Authorization: bearer %s"\n' \
    "$ACTIONS_ID_TOKEN_REQUEST_URL" "$audience" "$console_request_token" |
    curl --config - --silent --fail --max-time "$each" --connect-timeout 5 --retry "$retries" --retry-delay 1 2>/dev/null |
    jq -r '.value // empty' 2>/dev/null)
  if [[ $answer =~ ^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$ ]]; then
    console_token=$answer
    # For the runner, which hides it from now on. Elsewhere it would be what shows it.
    [[ ${GITHUB_ACTIONS:-} != true ]] || printf '::add-mask::%s\n' "$console_token" >&2
  elif [[ -z ${console_no_token:-} ]]; then
    console_no_token=1
    console_warn "GitHub gave no token for $(console_base)${console_secret:+; the report goes with the secret alone}."
  fi
}

# The console's address as the console itself knows it; tokens are made for it.
console_base() {
  local base=$CONSOLE_URL
  while [[ $base == */ ]]; do base=${base%/}; done
  printf '%s' "$base"
}

# console_try SECONDS: sends $console_dir/body once, signed afresh and with a token, as there are secret and permission.
# Leaves the status in $console_status (000: no answer) and what Retry-After says in $console_retry_after.
console_try() {
  local until=$((SECONDS + $1)) now left token='' signed=()
  console_status=000 console_retry_after=''
  console_fetch_token "$1"
  ((left = until - SECONDS))
  if ((left <= 0)) || [[ -z $console_secret$console_token ]]; then return; fi
  now=$EPOCHSECONDS
  [[ -z $console_secret ]] ||
    signed=(--header "webhook-signature: $(console_sign "$console_delivery" "$now" "$console_dir/body")")
  [[ -z $console_token ]] || token="header = \"Authorization: Bearer $console_token\""
  : >"$console_dir/headers"
  console_status=$(printf '%s' "$token" | curl --config - --silent --output /dev/null --dump-header "$console_dir/headers" \
    --write-out '%{http_code}' --max-time "$left" --connect-timeout 5 --request POST \
    --header 'Content-Type: application/json' --header "webhook-id: $console_delivery" \
    --header "webhook-timestamp: $now" "${signed[@]}" \
    --data-binary "@$console_dir/body" "$(console_base)/api/internal/deploys/$CONSOLE_DEPLOY_ID/status" 2>/dev/null)
  console_retry_after=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,4\}\)[^0-9]*$/\1/p' "$console_dir/headers" 2>/dev/null | tail -n 1)
  [[ $console_status =~ ^[0-9]{3}$ ]] || console_status=000
}

# What the last answer asks for: done, lighter (once more without the log), again, or stop.
console_verdict() {
  case $console_status in
    2??) echo 'done' ;;
    413) echo lighter ;;
    000 | 408 | 429 | 5??) echo again ;;
    *) echo stop ;;
  esac
}

# Takes the log out of the body, and says so in it.
console_lighten() {
  jq -c '.log = { text: "[a piece of output was too large for the console]\n", truncated: true }' "$console_dir/body" \
    >"$console_dir/lighter" && mv "$console_dir/lighter" "$console_dir/body"
  console_delivery+=_lighter
}

# console_deliver SECONDS: sends $console_dir/body until it is taken, refused, or the time is up.
console_deliver() {
  local until=$((SECONDS + $1)) wait=1 left lightened=
  while ((left = until - SECONDS, left > 0)); do
    console_try $((left < 10 ? left : 10))
    case $(console_verdict) in
      done) return 0 ;;
      stop) console_warn "the console answered $console_status, so it was not told."; return 1 ;;
      lighter)
        [[ -z $lightened ]] || { console_warn "the console answered 413 twice."; return 1; }
        console_lighten
        lightened=1
        continue
        ;;
    esac
    wait=${console_retry_after:-$wait}
    ((left = until - SECONDS, wait < left)) || break
    sleep "$wait"
    wait=$((wait < 8 ? wait * 2 : 10))
  done
  console_warn "the console could not be told within $1 s (last answer: $console_status)."
  return 1
}
