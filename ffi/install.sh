#!/bin/sh
# Installs the header, both libraries, and files for pkg-config and CMake: install.sh BUILT PREFIX.
# BUILT is the directory with the libraries. DESTDIR is put in front of the paths to which files are
# written.
set -eu

abi=1
built=$1
prefix=$2
root=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
case $prefix in
/*) ;;
*) prefix=$(pwd)/$prefix ;;
esac
include=${DESTDIR-}$prefix/include
lib=${DESTDIR-}$prefix/lib
cmake=$lib/cmake/wingback

mkdir -p "$include" "$lib/pkgconfig" "$cmake"
install -m 644 "$root/include/wingback.h" "$include/wingback.h"
install -m 644 "$built/libwingback.a" "$lib/libwingback.a"
install -m 755 "$built/libwingback.so" "$lib/libwingback.so.$abi.$version"
ln -sf "libwingback.so.$abi.$version" "$lib/libwingback.so.$abi"
ln -sf "libwingback.so.$abi" "$lib/libwingback.so"

# The libraries for a static link. The compiler adds the one for unwinding.
private="util rt pthread m dl c"

cat >"$lib/pkgconfig/wingback.pc" <<EOF
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: wingback
Description: Backup engine for game servers
Version: $version
Libs: -L\${libdir} -lwingback
Libs.private:$(printf ' -l%s' $private)
Cflags: -I\${includedir}
EOF

# Paths are relative to this file, so the prefix can be moved.
cat >"$cmake/wingback-config.cmake" <<EOF
# Defines the target wingback::wingback: the shared library, or the static one if
# wingback_USE_STATIC_LIBS is on.
if(TARGET wingback::wingback)
  return()
endif()
get_filename_component(_wingback_lib "\${CMAKE_CURRENT_LIST_DIR}/../.." REALPATH)
get_filename_component(_wingback_prefix "\${_wingback_lib}" DIRECTORY)
if(wingback_USE_STATIC_LIBS)
  add_library(wingback::wingback STATIC IMPORTED)
  set_target_properties(wingback::wingback PROPERTIES
    IMPORTED_LOCATION "\${_wingback_lib}/libwingback.a"
    INTERFACE_LINK_LIBRARIES "$(echo $private | tr ' ' ';')")
else()
  add_library(wingback::wingback SHARED IMPORTED)
  set_target_properties(wingback::wingback PROPERTIES
    IMPORTED_LOCATION "\${_wingback_lib}/libwingback.so.$abi"
    IMPORTED_SONAME "libwingback.so.$abi")
endif()
set_target_properties(wingback::wingback PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "\${_wingback_prefix}/include")
unset(_wingback_lib)
unset(_wingback_prefix)
EOF

# A new major version may break programs, and before 1.0 a new minor version.
case $version in
0.*) compatible=${version%.*} ;;
*) compatible=${version%%.*} ;;
esac
cat >"$cmake/wingback-config-version.cmake" <<EOF
set(PACKAGE_VERSION "$version")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION OR PACKAGE_FIND_VERSION VERSION_LESS $compatible)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
EOF
