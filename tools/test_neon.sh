#!/usr/bin/env bash
# Judge the NEON kernels without an ARM machine: cross-compile for aarch64, and run the tests of audio and media under
# qemu. Arguments go to pytest: tools/test_neon.sh -m slow, tools/test_neon.sh tests/unit/audio -k g711.
# To begin afresh: rm -r build/neon.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/build/neon
root=$work/root  # Debian's Python for arm64 and what it needs, unpacked; nothing of it is installed
site=$work/tests # what the tests import
guest=$work/python

need() { command -v "$1" >/dev/null || missing+=("$2"); }
missing=()
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
[ -e /usr/aarch64-linux-gnu/include/stdio.h ] || missing+=(libc6-dev-arm64-cross)
need qemu-aarch64-static qemu-user-static
need apt-get apt
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
if [ "${#missing[@]}" -gt 0 ]; then
    echo "this needs programs that are not here; install them: apt-get install ${missing[*]}" >&2
    exit 2
fi
mkdir -p "$work"

# --- Python for arm64, once: with lists and a status of its own apt asks the developer's machine for nothing ---
if [ ! -e "$root" ]; then
    apt=$work/apt
    rm -rf "$apt" "$root.part"
    mkdir -p "$apt"/etc/{apt.conf,preferences}.d "$apt"/{state/lists,cache/archives}/partial "$root.part"
    : >"$apt/status"
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [arch=arm64 signed-by=$key] http://deb.debian.org/debian bookworm main" >"$apt/etc/sources.list"
    cat >"$apt/apt.conf" <<EOF
Dir::Etc "$apt/etc";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Architecture "arm64";
APT::Architectures "arm64";
APT::Sandbox::User "";
APT::Install-Recommends "false";
EOF
    echo "fetching Python for arm64 (27 MB)"
    private_apt() { APT_CONFIG=$apt/apt.conf apt-get -qq -y "$@"; }
    private_apt update
    private_apt --download-only install python3.11-minimal libpython3.11-dev libstdc++6 >/dev/null
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$root.part"
    done
    mv "$root.part" "$root"
    rm -rf "$apt"
fi

# --- what the tests import, once: pure Python and wheels for arm64 ---
if [ ! -e "$site" ]; then
    echo "fetching numpy, msgspec and pytest for arm64 (20 MB)"
    rm -rf "$site.part"
    "${PYTHON:-python3}" -m pip install -q --target "$site.part" --only-binary=:all: --python-version 3.11 \
        --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 \
        numpy msgspec pytest hypothesis pytest-asyncio pytest-timeout pytest-benchmark
    mv "$site.part" "$site"
fi

# --- build ---
tools/stage.sh "$work" --toolchain "$PWD/tools/aarch64.cmake" "-DCMAKE_SYSROOT=$root" \
    "-DPython_INCLUDE_DIR=$root/usr/include/python3.11" -DVAPIMEDIA_WERROR=ON
# CMake named the modules after the Python that runs here.
find "$work/site" -name '*.cpython-*.so' | while read -r module; do
    mv "$module" "${module%%.cpython-*}.so"
done

# --- run: a script stands for the interpreter, so that tests can start sys.executable ---
cat >"$guest" <<EOF
#!/bin/sh
exec qemu-aarch64-static -L "$root" -0 "$guest" "$root/usr/bin/python3.11" "\$@"
EOF
chmod +x "$guest"
export PYTHONHOME=$root/usr PYTHONPATH=$work/site:$site
export PYTHONPYCACHEPREFIX=$work/pycache HYPOTHESIS_STORAGE_DIRECTORY=$work/hypothesis
unset VAPIMEDIA_SIMD
"$guest" -c 'import platform; from vapimedia import audio; print(platform.machine(), "audio.simd:", audio.simd)'
# Emulation is slow: limits of time say nothing here. The ci profile of hypothesis has none.
tests=(tests/unit/audio tests/unit/media)
case " $*" in *" tests/"*) tests=() ;; esac
"$guest" -m pytest -q -o timeout=1800 --hypothesis-profile=ci -p no:cacheprovider "${tests[@]}" "$@"
