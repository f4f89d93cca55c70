//go:build !linux

package wingback

// The engine needs Linux. This name is undefined, so that a build for another system fails with one
// message.
var _ = package_wingback_supports_only_linux
