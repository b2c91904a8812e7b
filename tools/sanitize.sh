#!/usr/bin/env bash
# Run the tests of audio and media with kernels and bindings that end the process at the first read or write out of
# bounds and the first undefined behaviour (ASan, UBSan), once for each instruction set of this machine.
# Arguments go to pytest: tools/sanitize.sh -m slow, tools/sanitize.sh tests/unit/audio. CC=clang takes clang.
set -euo pipefail
cd "$(dirname "$0")/.."

export CC=${CC:-gcc}
work=$PWD/build/sanitize-$CC
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
guarded() { LD_PRELOAD=$(readlink -f "$runtime") "$python" "$@"; }

place=$(guarded -c 'import vapimedia.audio.dispatch as d; print(d.__file__)')
case $place in "$work"/*) ;; *) echo "Python took $place for what was built in $work" >&2 && exit 1 ;; esac

tests=(tests/unit/audio tests/unit/media)
case " $*" in *" tests/"*) tests=() ;; esac
closing=() failed=0
for simd in $(guarded -c 'import vapimedia.audio.dispatch as d; print(*d.available)'); do
    echo "== $simd"
    # What a sanitizer says goes to the descriptor, past pytest's capture.
    VAPIMEDIA_SIMD=$simd guarded -m pytest -q --capture=sys -o timeout=600 --hypothesis-profile=ci \
        -p no:cacheprovider "${tests[@]}" "$@" 2>&1 | tee "$work/pytest.log" || failed=1
    closing+=("$simd: $(tail -n 1 "$work/pytest.log")")
done
printf '== %s\n' "${closing[@]}"
exit "$failed"
