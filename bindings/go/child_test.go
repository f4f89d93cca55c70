//go:build go1.24

package wingback_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

// command returns the path of the real command.
func command(t *testing.T) string {
	t.Helper()
	path := os.Getenv("WINGBACK_BIN")
	if path == "" {
		var err error
		if path, err = exec.LookPath("wingback"); err != nil {
			leftOut(t, "the engine as a child: there is no command wingback, in WINGBACK_BIN or PATH")
		}
	}
	return path
}

func child(t *testing.T, options wingback.Options) *wingback.Engine {
	options.Mode = wingback.Child
	engine := wingback.NewEngine(options)
	t.Cleanup(func() { must(t, engine.Close()) })
	return engine
}

func entries(dir string) int {
	found, _ := os.ReadDir(dir)
	return len(found)
}

func start(t *testing.T, engine *wingback.Engine) wingback.Info {
	t.Helper()
	info, err := engine.Start(background())
	must(t, err)
	return info
}

// script makes a command that is not wingback.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wingback")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return path
}

func TestAWrongCommandIsAClearError(t *testing.T) {
	hello := func(version string, protocol int) string {
		return fmt.Sprintf(`echo '{"event":"hello","version":"%s","protocol":%d}'; cat >/dev/null`, version, protocol)
	}
	notExecutable := filepath.Join(t.TempDir(), "wingback")
	must(t, os.WriteFile(notExecutable, nil, 0o644))
	for what, c := range map[string]struct {
		binary, says string
		is           error
	}{
		"missing":        {"/nowhere/wingback", "/nowhere/wingback", fs.ErrNotExist},
		"not executable": {notExecutable, "permission denied", fs.ErrPermission},
		"other version":  {script(t, hello("0.0.9", 1)), `"0.0.9"`, wingback.EngineFailed},
		"other protocol": {script(t, hello(wingback.Version, 2)), "protocol 2", wingback.EngineFailed},
		"no JSON":        {script(t, "echo usage: something; cat >/dev/null"), "usage: something", wingback.EngineFailed},
		"no event":       {script(t, `echo '{"event":"surprise"}'; cat >/dev/null`), "surprise", wingback.EngineFailed},
		"fails":          {script(t, "echo no such subcommand >&2; exit 2"), "no such subcommand", wingback.EngineFailed},
		"ends":           {script(t, "exit 0"), "ended", wingback.EngineFailed},
	} {
		engine := wingback.NewEngine(wingback.Options{Mode: wingback.Child, Binary: c.binary})
		_, err := engine.Start(background())
		if err == nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
		must(t, engine.Close())
	}
	t.Setenv("WINGBACK_BIN", "")
	t.Setenv("PATH", t.TempDir())
	_, err := child(t, wingback.Options{}).Start(background())
	if !errors.Is(err, wingback.NotFound) {
		t.Error(err)
	}
}

func TestASilentCommandIsWaitedForUntilTheContextEnds(t *testing.T) {
	engine := child(t, wingback.Options{Binary: script(t, "exec sleep 100")})
	ctx, cancel := context.WithTimeout(background(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := engine.Start(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 5*time.Second {
		t.Error(err, time.Since(begun))
	}
}

func TestTheCommandIsFoundInPathAndInMemory(t *testing.T) {
	path := command(t)
	t.Setenv("WINGBACK_BIN", "")
	bin := t.TempDir()
	must(t, os.Symlink(path, filepath.Join(bin, "wingback")))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	start(t, child(t, wingback.Options{}))

	embedded, err := os.ReadFile(path)
	must(t, err)
	t.Setenv("PATH", "")
	engine := child(t, wingback.Options{Embedded: embedded})
	info := start(t, engine)
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", info.PID)); err != nil || !strings.HasPrefix(exe, "/memfd:wingback") {
		t.Error(exe, err)
	}
	report, err := wingback.Backup{Source: source(t), UUID: id, Engine: engine}.Run(background(), wingback.LocalStore{Dir: t.TempDir()})
	if err != nil || report.Files != 8 {
		t.Error(report, err)
	}
}

func TestPartsBeyondTheMemoryLimitAreStaged(t *testing.T) {
	command(t)
	backup := wingback.Backup{Source: source(t), Engine: child(t, wingback.Options{MemoryLimit: 1000})}
	urls := wingback.PartURLs{URLs: []string{"http://127.0.0.1:9/1"}, PartSize: 1001, Staging: "/proc"}
	if _, err := backup.Send(background(), urls); err == nil || !strings.Contains(err.Error(), "temporary file in /proc") {
		t.Error(err)
	}
}

func TestAKilledChildFailsItsJobsAndIsStartedAgain(t *testing.T) {
	command(t)
	engine := child(t, wingback.Options{})
	store := wingback.LocalStore{Dir: t.TempDir()}
	first := start(t, engine)
	failed := make(chan error, 2)
	source := large(t)
	for _, uuid := range []string{id, other} {
		go func() {
			_, err := wingback.Backup{Source: source, UUID: uuid, WriteLimit: slow(), Engine: engine}.Run(background(), store)
			failed <- err
		}()
	}
	waitFor(t, "the first files of two backups", func() bool { return entries(store.Dir) == 2 })
	must(t, syscall.Kill(first.PID, syscall.SIGKILL))
	for range 2 {
		err := <-failed
		var failure *wingback.Error
		if !errors.Is(err, wingback.EngineFailed) || !strings.Contains(err.Error(), "killed") || !errors.As(err, &failure) || !failure.Retryable {
			t.Error(err)
		}
	}
	if second := start(t, engine); second.PID == first.PID {
		t.Error("the process was not restarted")
	}
	report, err := wingback.Backup{Source: source, UUID: id, Engine: engine}.Run(background(), store)
	must(t, err)
	// The leftovers of the killed engine can be swept, unless the next backup of that name has
	// removed them.
	_, err = engine.Sweep(background(), store)
	must(t, err)
	only(t, store.Dir, 1)
	if report.Files != 8 {
		t.Errorf("%+v", report)
	}
}

func TestAStoppedChildDoesNotBlockTheCaller(t *testing.T) {
	command(t)
	engine := child(t, wingback.Options{})
	info := start(t, engine)
	must(t, syscall.Kill(info.PID, syscall.SIGSTOP))
	wingback.SetPatience(t, 200*time.Millisecond)
	ctx, cancel := context.WithTimeout(background(), 200*time.Millisecond)
	defer cancel()
	// More than the pipe can hold.
	patterns := []string{strings.Repeat("some/path/to/leave/out\n", 20_000)}
	failed := make(chan error, 4)
	source := source(t)
	for range cap(failed) {
		go func() {
			_, err := wingback.Backup{Source: source, Exclude: patterns, Engine: engine}.Estimate(ctx)
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	must(t, syscall.Kill(info.PID, syscall.SIGCONT))
}

// stuck makes an engine that sends hello, and then neither writes nor reads.
func stuck(t *testing.T) *wingback.Engine {
	t.Helper()
	wingback.SetPatience(t, 200*time.Millisecond)
	wingback.SetEndWithin(t, 200*time.Millisecond)
	hello := fmt.Sprintf(`echo '{"event":"hello","version":"%s","protocol":1}'; exec sleep 100`, wingback.Version)
	engine := wingback.NewEngine(wingback.Options{Mode: wingback.Child, Binary: script(t, hello)})
	t.Cleanup(func() { _ = engine.Close() })
	start(t, engine)
	return engine
}

// within fails the test if the function takes too long.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s hangs", what)
	}
}

func TestALimitChangesWhileItsEngineIsBlocked(t *testing.T) {
	engine, limit := stuck(t), wingback.NewLimiter(1)
	ctx, cancel := context.WithCancel(background())
	// More than the pipe and the queue of requests can hold.
	patterns := []string{strings.Repeat("some/path/to/leave/out\n", 20_000)}
	ended := make(chan error, 20)
	for range cap(ended) {
		go func() {
			job := wingback.Backup{Source: "/", Exclude: patterns, WriteLimit: limit, Engine: engine}
			_, err := job.Run(ctx, wingback.LocalStore{Dir: "/nowhere"})
			ended <- err
		}()
	}
	for rate := range uint64(200) {
		within(t, "SetRate", func() { limit.SetRate(rate) })
		// Random sleeps, so that calls occur at many stages of jobs that start and block.
		time.Sleep(time.Millisecond)
	}
	if limit.Rate() != 199 {
		t.Error(limit.Rate())
	}
	cancel()
	within(t, "the end of the jobs", func() {
		for range cap(ended) {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

func TestReadsFromABlockedEngineEndWithTheContext(t *testing.T) {
	archive := wingback.File("/nowhere.tar.gz")
	archive.Engine = stuck(t)
	for what, read := range map[string]func(context.Context) error{
		"Entries": func(ctx context.Context) (last error) {
			for _, err := range archive.Entries(ctx) {
				last = err
			}
			return last
		},
		"Members": func(ctx context.Context) (last error) {
			for _, err := range archive.Members(ctx) {
				last = err
			}
			return last
		},
		"Open": func(ctx context.Context) error {
			file, err := archive.Open(ctx, "some/file")
			if err == nil {
				_, err = file.Read(make([]byte, 10))
				_ = file.Close()
			}
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(background(), 100*time.Millisecond)
		within(t, what, func() {
			if err := read(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", what, err)
			}
		})
		cancel()
	}
}

func TestWaitingForAnEngineToStartEndsWithTheContext(t *testing.T) {
	wingback.SetEndWithin(t, 200*time.Millisecond)
	begun := filepath.Join(t.TempDir(), "begun")
	silent := script(t, "touch "+begun+"; exec sleep 100")
	engine := wingback.NewEngine(wingback.Options{Mode: wingback.Child, Binary: silent})
	long, stop := context.WithCancel(background())
	first := make(chan error, 1)
	go func() {
		_, err := engine.Start(long)
		first <- err
	}()
	waitFor(t, "the start of the command", func() bool {
		_, err := os.Stat(begun)
		return err == nil
	})
	ctx, cancel := context.WithTimeout(background(), 100*time.Millisecond)
	defer cancel()
	within(t, "Start", func() {
		if _, err := engine.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	stop()
	<-first
	must(t, engine.Close())
}

func TestAStoppedChildIsKilledWhenItsEngineIsClosed(t *testing.T) {
	command(t)
	wingback.SetEndWithin(t, 200*time.Millisecond)
	engine := wingback.NewEngine(wingback.Options{Mode: wingback.Child})
	info := start(t, engine)
	must(t, syscall.Kill(info.PID, syscall.SIGSTOP))
	if err := engine.Close(); !errors.Is(err, wingback.EngineFailed) {
		t.Error(err)
	}
	if err := syscall.Kill(info.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Error("the child still runs")
	}
}

func TestClosingAnEngineCancelsItsJobsCleanly(t *testing.T) {
	command(t)
	engine := wingback.NewEngine(wingback.Options{Mode: wingback.Child})
	info := start(t, engine)
	store := wingback.LocalStore{Dir: t.TempDir()}
	failed := make(chan error, 1)
	source := large(t)
	go func() {
		_, err := wingback.Backup{Source: source, UUID: id, WriteLimit: slow(), Engine: engine}.Run(background(), store)
		failed <- err
	}()
	waitFor(t, "the first file of the backup", func() bool { return entries(store.Dir) == 1 })
	must(t, engine.Close())
	if err := <-failed; !errors.Is(err, wingback.Cancelled) {
		t.Error(err)
	}
	only(t, store.Dir, 0)
	if err := syscall.Kill(info.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Error("the child still runs")
	}
	if _, err := engine.Start(background()); !errors.Is(err, wingback.EngineFailed) {
		t.Error(err)
	}
}

// A program with an engine. The test kills the program.
func TestAChildDoesNotOutliveItsParent(t *testing.T) {
	if os.Getenv("WINGBACK_TEST_PARENT") != "" {
		info := start(t, wingback.NewEngine(wingback.Options{Mode: wingback.Child}))
		fmt.Printf("child %d\n", info.PID)
		// The program is killed long before this ends.
		time.Sleep(time.Minute)
		return
	}
	path := command(t)
	parent := exec.Command(os.Args[0], "-test.run", "^TestAChildDoesNotOutliveItsParent$")
	parent.Env = append(os.Environ(), "WINGBACK_TEST_PARENT=1", "WINGBACK_BIN="+path)
	out, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	var pid int
	for pid == 0 {
		var line [4096]byte
		n, err := out.Read(line[:])
		must(t, err)
		for text := range strings.Lines(string(line[:n])) {
			fmt.Sscanf(text, "child %d", &pid)
		}
	}
	must(t, parent.Process.Kill())
	_ = parent.Wait()
	waitFor(t, "the end of the child after the end of its parent", func() bool { return syscall.Kill(pid, 0) != nil })
}
