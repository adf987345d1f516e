#!/bin/sh
# Builds the synthetic sample recordings (src/sandbox/recordings/) from scripts/recording-dialogues.ts.
# The files are committed; run this only after changing the dialogues, then correct the list in src/sandbox/recordings.ts.
set -eu
cd "$(dirname "$0")/.."

missing=''
for tool in espeak-ng sox lame node; do
  command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
  echo "Missing:$missing. Install with your package manager, for example: apt install espeak-ng sox lame" >&2
  exit 1
fi

exec node scripts/make-recordings.ts
