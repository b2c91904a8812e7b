#!/usr/bin/env bash
# Throw invented input at the kernels under ASan and UBSan, and at the parsers of text: tools/fuzz.sh [target]... [seconds]
# Each target runs so long (60 seconds), and has a line at the end. What breaks a law or a bound stays in build/fuzz/found,
# and the exit code is then 1; copy it into fuzz/corpus/TARGET, where the suite tries it ever after.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60 targets=()
for argument; do
    if [[ $argument =~ ^[0-9]+$ ]]; then seconds=$argument; else targets+=("$argument"); fi
done
python=${PYTHON:-python3}
known=()
for source in fuzz/targets/*.c; do known+=("$(basename "$source" .c)"); done
if parsers=$("$python" fuzz/run_parser.py 2>/dev/null); then
    read -ra parsers <<<"$parsers"
    known+=("${parsers[@]}")
else
    echo "the parsers of text are left out: $python has no atheris, or no vapimedia; pip install atheris" >&2
fi
if [ "${#targets[@]}" -eq 0 ]; then targets=("${known[@]}"); fi
for target in "${targets[@]}"; do
    if [[ " ${known[*]} " != *" $target "* ]]; then
        echo "there is no target $target; there are: ${known[*]}" >&2
        exit 2
    fi
done
if ! command -v clang >/dev/null || [ ! -e "$(clang -print-file-name="libclang_rt.fuzzer-$(uname -m).a")" ]; then
    echo "libFuzzer comes with clang; install it: apt-get install clang libclang-rt-dev llvm" >&2
    exit 2
fi

work=$PWD/build/fuzz
mkdir -p "$work/found"
(
    flock 9 # several may run at the same time
    cmake -S fuzz -B "$work/cmake" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=None &&
        cmake --build "$work/cmake"
) 9>"$work/lock" >"$work/build.log" 2>&1 || {
    tail -n 40 "$work/build.log" >&2
    echo "the build failed; all of it is in $work/build.log" >&2
    exit 1
}

# What was freed is kept to find late uses of it; 16 MB of it are enough, and leave room for other processes.
export ASAN_OPTIONS=quarantine_size_mb=16:detect_leaks=1
common=(-max_total_time="$seconds" -timeout=60 -max_len=4096 -len_control=0 -print_final_stats=1 -rss_limit_mb=1024)
figure() { sed -n "s/^$2: *//p" "$1" | tail -n 1; }

failed=0
for target in "${targets[@]}"; do
    log=$work/$target.log
    mkdir -p "$work/corpus/$target"
    options=("${common[@]}" "-artifact_prefix=$work/found/$target-")
    if [ -e "fuzz/$target.dict" ]; then options+=("-dict=fuzz/$target.dict"); fi
    result=0
    if [ -e "fuzz/targets/$target.c" ]; then
        program=("$work/running-$target-$$") # a build that comes meanwhile does not change what runs
        cp "$work/cmake/$target" "${program[0]}"
    else
        program=("$python" fuzz/run_parser.py "$target")
    fi
    "${program[@]}" "${options[@]}" "$work/corpus/$target" "fuzz/corpus/$target" >"$log" 2>&1 || result=$?
    rm -f "$work/running-$target-$$"
    coverage=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1) || coverage="no coverage told"
    found=none
    if [ "$result" -ne 0 ]; then
        failed=1
        found=$(grep -m 1 -E 'law broken|Error: |runtime error|SUMMARY' "$log" || echo "exit code $result")
        found="$found; $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1); $log"
    fi
    printf '%-16s %9s executions, %7s/s, %s, found: %s\n' "$target" "$(figure "$log" stat::number_of_executed_units)" \
        "$(figure "$log" stat::average_exec_per_sec)" "$coverage" "$found"
done
exit "$failed"
