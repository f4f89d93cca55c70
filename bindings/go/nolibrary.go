//go:build linux && !(cgo && (wingback_cgo || wingback_pkgconfig))

package wingback

const hasLibrary = false

func openInProcess() (*transport, error) {
	return nil, invalid("run the engine", "the program does not contain the library")
}
