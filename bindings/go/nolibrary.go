//go:build !cgo || wingback_child

package wingback

const hasLibrary = false

func openInProcess() (*transport, error) {
	return nil, invalid("run the engine", "there is no library in this program")
}
