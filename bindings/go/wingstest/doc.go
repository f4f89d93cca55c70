// Package wingstest tests package wings and the program wings/patch with a stand-in for Wings, a double of
// the Panel, and the modules that Wings uses for its archives. It is a separate module, so that other
// programs do not depend on those modules. Run patched.sh before the tests: it makes the patched stand-in.
package wingstest
