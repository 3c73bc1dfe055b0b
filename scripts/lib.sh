# shellcheck shell=bash disable=SC2034 # the scripts that source this use its variables
# What the build scripts share. Source it; it changes to the repository's top.

set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

# Where cargo builds, and where tools are kept that the project installs for itself. CI keeps both elsewhere.
target=${CARGO_TARGET_DIR:-$PWD/target}
tools=${CONSOLE_TOOLS:-$PWD/target/tools}
# The browser's files. build.rs puts this folder into the binary.
site=$PWD/target/site
export PATH="$tools/bin:$PWD/node_modules/.bin:$PATH"

say() {
  printf '\033[1m==> %s\033[0m\n' "$*" >&2
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# locked_version CRATE: its version in Cargo.lock.
locked_version() {
  awk -v name="\"$1\"" '$1 == "name" && $3 == name { getline; gsub(/"/, "", $3); print $3; exit }' Cargo.lock
}

# put_if_changed FROM TO: moves a file into place, and leaves an equal one alone, so that what was built from
# it is not built again.
put_if_changed() {
  mkdir -p "$(dirname -- "$2")"
  if cmp -s "$1" "$2"; then rm -f "$1"; else mv "$1" "$2"; fi
}

# find_chromium: the path of a Chromium or Chrome, if there is one. CHROMIUM names it otherwise.
find_chromium() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    [[ -n $name ]] && command -v "$name" && return
  done
  return 1
}

# find_postgres: the folder with PostgreSQL's server, if there is one. Debian keeps it out of PATH, a folder a version.
find_postgres() {
  local folder
  while read -r folder; do
    if [[ -x $folder/initdb && -x $folder/pg_ctl && -x $folder/postgres ]]; then
      printf '%s\n' "$folder"
      return
    fi
  done < <(
    tr ':' '\n' <<<"$PATH"
    printf '%s\n' /usr/lib/postgresql/*/bin | sort --reverse --version-sort
    pg_config --bindir 2>/dev/null
  )
  return 1
}
