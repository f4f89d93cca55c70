// Package wingback makes, reads and restores backups of game servers. It needs Linux.
//
// A [Backup] of a directory is an ordinary .tar.gz. All processors make it in one pass over the files,
// and it contains an index that other tools ignore. An [Archive] of any origin can be listed, verified
// and restored, and single files can be read from it.
//
//	report, err := wingback.Backup{Source: "/srv/minecraft"}.Run(ctx, wingback.LocalStore{Dir: "/backups"})
//
// # The engine
//
// An engine written in Rust does the work. An [Engine] runs it in one of two ways:
//
//   - As a child process, by default: the command `wingback worker`, which [Options] find. The child
//     ends when this process ends, for whatever reason. If the child crashes, its jobs fail, and the next
//     job starts it again.
//   - In this process, if the program is built with cgo and the build tag wingback_cgo. The static library
//     and wingback.h must be in the directory lib of this package, where bindings/go/build.sh puts them.
//     With the build tag wingback_pkgconfig instead, pkg-config finds them.
//
// A function with a context cleans up and returns soon after the context is done. C code does not call
// back into Go.
package wingback
