#!/usr/bin/env bash
# Run tests with kernels and bindings that end the process at the first read or write out of bounds and the first
# undefined behaviour (ASan, UBSan):
#   tools/sanitize.sh            those of audio and media, once for each instruction set of this machine
#   tools/sanitize.sh --all      the whole suite, bridge, fakes and load generator included
#   tools/sanitize.sh --parsers  hypothesis at the parsers of text, 2000 inputs each
#   tools/sanitize.sh --threads  instead of these: what threads share of the kernels, under TSan
#   tools/sanitize.sh --valgrind instead of these: the corpora of fuzz/ under valgrind, which sees reads of what was never
#                                written; it knows no AVX-512
# Further arguments go to pytest: tools/sanitize.sh -m slow, tools/sanitize.sh tests/unit/audio. CC=clang takes clang.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=kernels
case ${1:-} in
--all | --parsers | --threads | --valgrind)
    mode=${1#--}
    shift
    ;;
esac
export CC=${CC:-gcc}
work=$PWD/build/sanitize-$CC

build_kernels() { # SOURCE FOLDER [argument of CMake]...
    mkdir -p "$work"
    {
        cmake -S "$1" -B "$work/$2" -G Ninja -DCMAKE_BUILD_TYPE=None "${@:3}" && cmake --build "$work/$2"
    } >"$work/$2.log" 2>&1 || {
        tail -n 40 "$work/$2.log" >&2
        echo "the build failed; all of it is in $work/$2.log" >&2
        exit 1
    }
}
case $mode in
threads)
    build_kernels tests/threads threads
    exec env TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}" "$work/threads/shared"
    ;;
valgrind)
    build_kernels fuzz replay -DVAPIMEDIA_REPLAY=ON
    for source in fuzz/targets/*.c; do
        target=$(basename "$source" .c)
        echo "== $target"
        valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite \
            "$work/replay/$target" "fuzz/corpus/$target"/* 2>"$work/valgrind.log" || {
            tail -n 40 "$work/valgrind.log" >&2
            exit 1
        }
    done
    exit 0
    ;;
esac

python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)') # itself, not a script that finds it
flags="-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined,float-cast-overflow"
if "$CC" --version | grep -q clang; then
    # Python itself has no sanitizer in it: the modules bring it as a library, as gcc's do by default.
    # What Cython generates adds 0 to NULL where a call has no keywords, which only clang looks for; the kernels are
    # judged for that too.
    mkdir -p "$work"
    printf '[pointer-overflow]\nsrc:*/cmake/ext_*.c\nsrc:*/cmake/_cyutility.c\n' >"$work/ignored"
    flags="$flags -shared-libasan -fsanitize-ignorelist=$work/ignored"
    runtime=$("$CC" -print-file-name=libclang_rt.asan-"$(uname -m)".so)
else
    runtime=$("$CC" -print-file-name=libasan.so)
fi
if [ ! -e "$runtime" ]; then
    echo "$CC has no address sanitizer here ($runtime); install gcc, or with clang libclang-rt-dev" >&2
    exit 2
fi

tools/stage.sh "$work" -DCMAKE_BUILD_TYPE=None "-DCMAKE_C_FLAGS=$flags"

export PYTHONPATH=$work/site PYTHONPYCACHEPREFIX=$work/pycache HYPOTHESIS_STORAGE_DIRECTORY=$work/hypothesis
# Every bytes object and array from malloc, with guarded ends; Python's own pools would hide what runs over one.
export PYTHONMALLOC=malloc
# Python keeps what it made at import until the process ends: leaks are not looked for.
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
# Programs that a test starts inherit all of this: a bridge or a worker of its own is judged too.
guarded() { LD_PRELOAD=$(readlink -f "$runtime") "$python" "$@"; }

place=$(guarded -c 'import vapimedia.audio.dispatch as d; print(d.__file__)')
case $place in "$work"/*) ;; *) echo "Python took $place for what was built in $work" >&2 && exit 1 ;; esac

chosen=("$@")
case $mode in
kernels) tests=(tests/unit/audio tests/unit/media) ;;
# What is linked with the kernels by a test would have to be linked with the sanitizers too; and how many bytes or
# microseconds something takes says nothing here.
all) tests=(tests --ignore=tests/unit/test_downstream_c.py --ignore=tests/unit/test_downstream_cython.py
    --ignore=tests/unit/test_fuzz_corpus.py) ;;
parsers)
    tests=(tests/unit/test_fuzz_parsers.py)
    export VAPIMEDIA_FUZZ_EXAMPLES=${VAPIMEDIA_FUZZ_EXAMPLES:-2000}
    ;;
esac
case " $*" in *" tests/"*) tests=() ;; esac
variants=$(guarded -c 'import vapimedia.audio.dispatch as d; print(*d.available)')
if [ "$mode" != kernels ]; then variants=${variants%% *}; fi # the best one
closing=() failed=0
for simd in $variants; do
    echo "== $simd"
    # What a sanitizer says goes to the descriptor, past pytest's capture.
    VAPIMEDIA_SIMD=$simd guarded -m pytest -q --capture=sys -o timeout=600 --hypothesis-profile=ci \
        -p no:cacheprovider "${tests[@]}" "${chosen[@]}" 2>&1 | tee "$work/pytest.log" || failed=1
    closing+=("$simd: $(tail -n 1 "$work/pytest.log")")
done
printf '== %s\n' "${closing[@]}"
exit "$failed"
