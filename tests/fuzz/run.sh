#!/usr/bin/env bash
# Let libFuzzer look for bytes that the readers of frames and of audio events mishandle:  run.sh SECONDS PYTHON
#
# It begins with tests/fuzz/corpus and what earlier runs found, in build/fuzz/corpus. At the end PYTHON (that of
# build/venv) holds all of it against orjson and the library. KEEP=1 then adds to tests/fuzz/corpus what reaches
# code that nothing there reaches. What fails lies in build/fuzz/found-*: copied into tests/fuzz/corpus, it is a test.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly SECONDS_TO_RUN=${1:?for how many seconds?} PYTHON=${2:?which Python?}
readonly CORPUS=tests/fuzz/corpus OUT=build/fuzz
readonly SOURCES=(tests/fuzz/frames.c pyconvai/core/{audio_event,excerpt,frame_reader}.c)

can_fuzz() { echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -fsanitize=fuzzer,address,undefined -x c - -o "$OUT/probe" 2>/dev/null; }

mkdir -p "$OUT/corpus"
if ! can_fuzz; then
    scripts/install-deps.sh fuzz
fi
if ! can_fuzz; then
    echo "SKIPPED make fuzz: it needs clang with libFuzzer and the sanitizers (Debian: clang, libclang-rt-dev)" >&2
    exit 0
fi
clang -std=c11 -O1 -g -Wall -Wextra -Werror -Ipyconvai/core -fsanitize=fuzzer,address,undefined \
    -fno-sanitize-recover=all "${SOURCES[@]}" -o "$OUT/frames"

"$OUT/frames" -max_total_time="$SECONDS_TO_RUN" -max_len=4096 -use_value_profile=1 -dict=tests/fuzz/frames.dict \
    -artifact_prefix="$OUT/found-" "$OUT/corpus" "$CORPUS" >"$OUT/log" 2>&1 &
fuzzer=$!
trap 'kill $fuzzer 2>/dev/null || true' EXIT
echo "Fuzzing for $SECONDS_TO_RUN s; $OUT/log has all of it."
while kill -0 "$fuzzer" 2>/dev/null; do
    for _ in {1..10}; do
        sleep 1
        kill -0 "$fuzzer" 2>/dev/null || break
    done
    awk '/ cov: / { last = $1 " inputs run, " $4 " edges reached, " $8 " inputs kept" } END { print "  " last }' "$OUT/log"
done
if ! wait "$fuzzer"; then
    tail -n 40 "$OUT/log" >&2
    exit 1
fi

echo "Holding $(find "$OUT/corpus" -type f | wc -l) inputs against orjson and the library."
CONVAI_FUZZ_CORPUS=$OUT/corpus "$PYTHON" -m pytest -q tests/unit/test_frame_reader.py -k means_the_same

if [ "${KEEP:-0}" = 1 ]; then
    "$OUT/frames" -set_cover_merge=1 -use_counters=0 "$CORPUS" "$OUT/corpus" >>"$OUT/log" 2>&1
    echo "$CORPUS has $(find "$CORPUS" -type f | wc -l) inputs now."
fi
