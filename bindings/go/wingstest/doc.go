// Package wingstest tests the adapters of docs/wings.md with stand-ins that have the interfaces of Wings,
// and with the modules that Wings uses for its archives. It is a module of its own, so that other programs
// do not depend on those modules.
package wingstest
