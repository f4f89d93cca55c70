//go:build linux

package wingback

import (
	"bytes"
	"context"
	"encoding/json"
)

// decoded returns a function that decodes a line and passes it to f, which may be nil.
func decoded[T any](f func(T)) func(line []byte) error {
	return func(line []byte) error {
		var item T
		if err := json.Unmarshal(line, &item); err != nil {
			return err
		}
		if f != nil {
			f(item)
		}
		return nil
	}
}

// lines runs a job that writes lines to a stream, and calls `each` with every line, on another goroutine. `open`
// opens the archives that the job reads; nil if it reads none. `readLimit` may be nil.
func (e *Engine) lines(ctx context.Context, op string, args map[string]any, readLimit *Limiter, open func(job *job, failed func()) ([]*pump, error),
	each func(line []byte) error, onProgress func(Progress), result any) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var drained *pump
	var fed []*pump
	err := e.or().call(running, op, func(job *job) (any, error) {
		number, ours, err := job.stream()
		if err != nil {
			return nil, err
		}
		drained = drain(ours, &lineWriter{each: each})
		args["to"] = number
		limits{read: readLimit}.put(args, job.conn)
		if open != nil {
			fed, err = open(job, cancel)
		}
		return args, err
	}, []*Limiter{readLimit}, handlers{progress: onProgress}, result)
	for _, pump := range fed {
		err = pump.end(ctx, err)
	}
	return drained.end(ctx, err)
}

// A lineWriter calls a function with each line that is written to it.
type lineWriter struct {
	each func(line []byte) error
	rest []byte
}

func (w *lineWriter) Write(text []byte) (int, error) {
	w.rest = append(w.rest, text...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 {
			return len(text), nil
		}
		if err := w.each(w.rest[:end]); err != nil {
			return 0, err
		}
		w.rest = w.rest[end+1:]
	}
}
