//go:build go1.24

package wingback_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

// The suite runs over the engine that the build has by default: the command that WINGBACK_BIN names, or
// with a build tag the library in the process.
func TestMain(m *testing.M) {
	// Never closed. It is started before the goroutines are counted.
	shared = wingback.Default()
	info, err := shared.Start(background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("engine %s, encoders %s, in process: %v\n", info.Version, info.Encoders, info.InProcess)
	goroutines, descriptors := runtime.NumGoroutine(), openFiles()
	code := m.Run()
	// Goroutines and descriptors of the tests need time to end.
	for range 100 {
		if runtime.NumGoroutine() <= goroutines && openFiles() <= descriptors {
			break
		}
		runtime.GC()
		time.Sleep(50 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		buf := make([]byte, 1<<16)
		fmt.Printf("%d goroutines more than before:\n%s\n", now-goroutines, buf[:runtime.Stack(buf, true)])
		code = 1
	}
	if now := openFiles(); now > descriptors {
		fmt.Printf("%d descriptors more than before\n", now-descriptors)
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, entry := range entries {
			target, _ := os.Readlink("/proc/self/fd/" + entry.Name())
			fmt.Println(entry.Name(), target)
		}
		code = 1
	}
	os.Exit(code)
}

var shared *wingback.Engine

// openFiles counts descriptors, without the one of /dev/urandom that Rust opens once in static programs.
func openFiles() (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + entry.Name()); target != "/dev/urandom" {
			n++
		}
	}
	return n
}

// A name that is not UTF-8.
const odd = "caf\xe9\n\"x"

// source makes a directory with entries that backups often lose: an empty directory, a symlink, a hard
// link, modes, names that are not UTF-8.
func source(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), mode))
		must(t, os.Chmod(path, mode))
	}
	write("server.properties", "motd=a server\n", 0o644)
	write("world/level.dat", strings.Repeat("level ", 1000), 0o600)
	write("world/region/r.0.0.mca", strings.Repeat("chunk and chunk ", 100_000), 0o644)
	write("logs/latest.log", "started\n", 0o644)
	write("start.sh", "#!/bin/sh\n", 0o755)
	must(t, os.Mkdir(filepath.Join(dir, "plugins"), 0o750))
	must(t, os.Symlink("world/level.dat", filepath.Join(dir, "level")))
	must(t, os.Link(filepath.Join(dir, "logs/latest.log"), filepath.Join(dir, "logs/old.log")))
	write(odd+"/"+odd, "odd", 0o644)
	must(t, os.Symlink(odd+"/"+odd, filepath.Join(dir, "link"+odd)))
	must(t, os.Link(filepath.Join(dir, odd, odd), filepath.Join(dir, "second"+odd)))
	return dir
}

// large makes a source whose backup takes a while under the limit of slow.
func large(t testing.TB) string {
	dir := t.TempDir()
	noise := make([]byte, 1<<20)
	seed := uint32(1)
	for i := range noise {
		seed = seed*1664525 + 1013904223
		noise[i] = byte(seed >> 24)
	}
	for i := range 8 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), noise, 0o644))
	}
	return dir
}

func slow() *wingback.Limiter { return wingback.NewLimiter(200 << 10) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// leftOut skips the rest of a test. `what` is "the case: reason", and the same in each run.
// tests/left-out.sh compares the file that WINGBACK_LEFT_OUT names with the committed list.
func leftOut(t testing.TB, what string) {
	t.Helper()
	if path := os.Getenv("WINGBACK_LEFT_OUT"); path != "" {
		list, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		_, err = list.WriteString(what + "\n")
		must(t, err)
		must(t, list.Close())
	}
	t.Skip("left out: " + what)
}

// waitFor waits for a condition that must soon hold.
func waitFor(t testing.TB, what string, isSo func() bool) {
	t.Helper()
	for begun := time.Now(); !isSo(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func made(t testing.TB, b wingback.Backup, dir string) *wingback.Report {
	t.Helper()
	b.Engine = shared
	if b.UUID == "" {
		b.UUID = id
	}
	report, err := b.Run(background(), wingback.LocalStore{Dir: dir})
	must(t, err)
	return report
}

func file(path string) *wingback.Archive {
	archive := wingback.File(path)
	archive.Engine = shared
	return archive
}

const id = "6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11"
