# Cross-compile for 64-bit ARM Linux; CMAKE_SYSROOT is a folder with that machine's C library and Python headers.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER) # Cython and Ninja run here
