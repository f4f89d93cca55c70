// Package wingback makes, reads and restores backups of game servers.
//
// A [Backup] of a directory is an ordinary .tar.gz, made by all processors in one pass, with an
// index inside that other tools do not notice. An [Archive] of any origin can be listed, verified
// and restored, and single files taken out of it.
//
//	report, err := wingback.Backup{Source: "/srv/minecraft", UUID: id}.Run(ctx, wingback.LocalStore{Dir: "/backups"})
//
// # The engine
//
// The work is done by an engine written in Rust, which an [Engine] runs in one of two ways behind the
// same functions:
//
//   - in this process, where the program is built with cgo: the static library libwingback.a and
//     wingback.h lie in the folder lib of this package (bindings/go/build.sh puts them there), or are
//     found by pkg-config with the build tag wingback_pkgconfig. The build tag wingback_child leaves
//     the library out;
//   - as a child process, with CGO_ENABLED=0 or where [Options] say so: the command `wingback worker`,
//     found as [Options] say. It ends with this process, however that ends, and one that has crashed is
//     an error for the jobs that it had and is started again for the next.
//
// Functions that take a context return soon after it is done, with what they had begun removed.
// Nothing calls back from C into Go.
package wingback
