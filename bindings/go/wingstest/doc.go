// Package wingstest tests the adapters of docs/wings.md with packages that have the interfaces of Wings,
// and with the modules that Wings uses for its archives. It is a separate module, so that other programs
// do not depend on those modules.
package wingstest
