# Cross-compile for 64-bit ARM Linux. CMAKE_SYSROOT holds the Python headers of that machine; its C library is the one
# that Debian's compiler finds first, in libc6-dev-arm64-cross.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER) # Cython and Ninja run here
