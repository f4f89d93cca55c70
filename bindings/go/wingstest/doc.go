// Package wingstest tries the adapters of docs/wings.md with stand-ins of exactly the shapes that Wings
// has, and with the modules that Wings makes and reads its archives with. It is a module of its own so
// that nobody else gets those.
package wingstest
