#!/usr/bin/env bash
# Build kernels and bindings apart from the developer's own: tools/stage.sh FOLDER [argument of CMake]...
# FOLDER/site is then a whole vapimedia for PYTHONPATH.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1
shift
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')

find_use_cython='import Cython, picows, cython_cmake as c; print(c.__path__[0] + "/cmake")'
if ! use_cython=$("$python" -c "$find_use_cython" 2>/dev/null) ||
    ! command -v cmake >/dev/null || ! command -v ninja >/dev/null; then
    echo "$python has no tools to build with; install them: pip install --group dev 'picows>=2.3.1,<2.4'" >&2
    exit 2
fi

mkdir -p "$folder"
log=$folder/build.log
{
    cmake -S . -B "$folder/cmake" -G Ninja "-DPython_EXECUTABLE=$python" "-DCMAKE_MODULE_PATH=$use_cython" "$@" &&
        cmake --build "$folder/cmake" &&
        rm -rf "$folder/site" && mkdir "$folder/site" &&
        tar -C src --exclude='*.so' --exclude=__pycache__ -cf - vapimedia | tar -C "$folder/site" -xf - &&
        cmake --install "$folder/cmake" --prefix "$folder/site"
} >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    echo "the build failed; all of it is in $log" >&2
    exit 1
}

# An editable install would put itself before PYTHONPATH: its hook is imported by this name, and found here first.
touch "$folder/site/_editable_skbc_vapimedia.py"
