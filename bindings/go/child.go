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

// open starts an engine.
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
	return nil, invalid("run the engine", fmt.Sprintf("the mode %d is unknown", options.Mode))
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
		return nil, broken("cannot make a pipe: "+err.Error(), err)
	}
	stderr := &tail{to: options.Stderr}
	command := exec.Command(path, "worker")
	command.Args[0] = "wingback"
	command.Stdin, command.Stdout, command.Stderr = pipes.engineRequests, pipes.engineEvents, stderr
	command.ExtraFiles = []*os.File{pipes.engineStreams}
	// A group of its own, so that Ctrl-C in a terminal reaches this process only.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = command.Start()
	pipes.closeEngineEnds()
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
		if text := stderr.String(); err != nil && text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return err
	}
	return ours, nil
}

// find returns the path of the command. If the command is in memory, it also returns the file, which must
// stay open until the command has started.
func find(options Options) (string, *os.File, error) {
	switch {
	case options.Binary != "":
		return options.Binary, nil, nil
	case len(options.Embedded) > 0:
		file, err := inMemory(options.Embedded)
		if err != nil {
			return "", nil, broken("cannot put the embedded command into memory: "+err.Error(), err)
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
			Message: "run the engine: the command wingback is not in PATH, WINGBACK_BIN is not set, and Options have no command",
			cause:   err,
		}
	}
	return path, nil, nil
}

// The two ends of the pipes and the socket between this process and an engine: ours and those of the
// engine.
type pipes struct {
	ours                                        *transport
	engineRequests, engineEvents, engineStreams *os.File
}

func newPipes() (*pipes, error) {
	engineRequests, requests, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	events, engineEvents, err := os.Pipe()
	if err != nil {
		engineRequests.Close()
		requests.Close()
		return nil, err
	}
	streams, engineStreams, err := seqpacket()
	if err != nil {
		for _, file := range []*os.File{engineRequests, requests, events, engineEvents} {
			file.Close()
		}
		return nil, err
	}
	ours := &transport{requests: requests, events: events, streams: streams}
	return &pipes{ours: ours, engineRequests: engineRequests, engineEvents: engineEvents, engineStreams: engineStreams}, nil
}

func (p *pipes) closeEngineEnds() {
	p.engineRequests.Close()
	p.engineEvents.Close()
	p.engineStreams.Close()
}

// A tail keeps the last bytes that were written to it, and writes all to another writer.
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
