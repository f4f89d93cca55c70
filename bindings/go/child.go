//go:build linux

package wingback

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// open starts an engine as options say.
func open(options Options) (*transport, error) {
	named := options.Binary != "" || len(options.Embedded) > 0
	switch options.Mode {
	case Auto:
		if hasLibrary && !named {
			return openInProcess()
		}
		return openChild(options)
	case InProcess:
		if !hasLibrary {
			return nil, invalid("run the engine", "this program was built without the library: cgo and the build tag wingback_cgo or wingback_pkgconfig put it in")
		}
		return openInProcess()
	case Child:
		return openChild(options)
	}
	return nil, invalid("run the engine", fmt.Sprintf("there is no mode %d", options.Mode))
}

func openChild(options Options) (*transport, error) {
	path, memory, err := find(options)
	if err != nil {
		return nil, err
	}
	if memory != nil {
		defer memory.Close()
	}
	pipes, err := newPipes()
	if err != nil {
		return nil, broken("no pipe could be made", err)
	}
	said := &tail{to: options.Stderr}
	command := exec.Command(path, "worker")
	command.Args[0] = "wingback"
	command.Stdin, command.Stdout, command.Stderr = pipes.itsRequests, pipes.itsEvents, said
	command.ExtraFiles = []*os.File{pipes.itsStreams}
	// What a terminal sends to a daemon's group is for the daemon to act on.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = command.Start()
	pipes.closeIts()
	if err != nil {
		pipes.ours.close()
		kind := EngineFailed
		if errors.Is(err, os.ErrNotExist) {
			kind = NotFound
		}
		return nil, &Error{Kind: kind, Op: "run the engine", Path: path, Message: "run the engine: " + err.Error(), cause: err}
	}
	ours := pipes.ours
	ours.pid = command.Process.Pid
	ours.kill = func() { _ = command.Process.Kill() }
	ours.wait = func() error {
		err := command.Wait()
		if words := said.String(); err != nil && words != "" {
			err = fmt.Errorf("%w: %s", err, words)
		}
		return err
	}
	return ours, nil
}

// find gives the path of the command, and the file in memory that keeps it there, if it is one.
func find(options Options) (string, *os.File, error) {
	switch {
	case options.Binary != "":
		return options.Binary, nil, nil
	case len(options.Embedded) > 0:
		file, err := inMemory(options.Embedded)
		if err != nil {
			return "", nil, broken("the embedded command could not be put into memory", err)
		}
		return "/proc/self/fd/" + strconv.Itoa(int(file.Fd())), file, nil
	}
	if path := os.Getenv("WINGBACK_BIN"); path != "" {
		return path, nil, nil
	}
	path, err := exec.LookPath("wingback")
	if err != nil {
		return "", nil, &Error{
			Kind:    NotFound,
			Op:      "run the engine",
			Message: "run the engine: there is no command wingback in PATH, WINGBACK_BIN names none, and the program has none in it",
			cause:   err,
		}
	}
	return path, nil, nil
}

// The descriptors to an engine, and those that it gets.
type pipes struct {
	ours                               *transport
	itsRequests, itsEvents, itsStreams *os.File
}

func newPipes() (*pipes, error) {
	itsRequests, requests, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	events, itsEvents, err := os.Pipe()
	if err != nil {
		itsRequests.Close()
		requests.Close()
		return nil, err
	}
	streams, itsStreams, err := seqpacket()
	if err != nil {
		for _, file := range []*os.File{itsRequests, requests, events, itsEvents} {
			file.Close()
		}
		return nil, err
	}
	ours := &transport{requests: requests, events: events, streams: streams}
	return &pipes{ours: ours, itsRequests: itsRequests, itsEvents: itsEvents, itsStreams: itsStreams}, nil
}

func (p *pipes) closeIts() {
	p.itsRequests.Close()
	p.itsEvents.Close()
	p.itsStreams.Close()
}

// A tail keeps the last bytes that were written to it, and passes them on.
type tail struct {
	mu   sync.Mutex
	kept []byte
	to   io.Writer
}

func (t *tail) Write(bytes []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, bytes...)
	if over := len(t.kept) - 2048; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	if t.to != nil {
		return t.to.Write(bytes)
	}
	return len(bytes), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.kept))
}
