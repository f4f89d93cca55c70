//go:build linux

package wingback

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Version is the version of the engine that this package needs.
const Version = "0.1.0"

// docs/worker.md describes the protocol.
const protocol = 1

type request struct {
	ID   uint64 `json:"id"`
	Op   string `json:"op"`
	Args any    `json:"args,omitempty"`
}

type event struct {
	Event    string          `json:"event"`
	ID       uint64          `json:"id"`
	Protocol int             `json:"protocol"`
	Version  string          `json:"version"`
	Encoders []Encoder       `json:"encoders"`
	Result   json.RawMessage `json:"result"`
	Error    *wireError      `json:"error"`
	Progress
	TimeLeftMS int64 `json:"time_left_ms"`
}

func (e *event) progress() Progress {
	progress := e.Progress
	progress.TimeLeft = time.Duration(e.TimeLeftMS) * time.Millisecond
	return progress
}

type wireError struct {
	Kind      Kind   `json:"kind"`
	Operation string `json:"operation"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
	wirePath
}

func (e *wireError) err() *Error {
	return &Error{Kind: e.Kind, Op: e.Operation, Path: e.path(), Message: e.Message, Retryable: e.Retryable}
}

// A path in a result: as text, and also as base64 if it is not UTF-8.
type wirePath struct {
	Path    string `json:"path"`
	PathB64 []byte `json:"path_b64"`
}

func (p wirePath) path() string {
	if len(p.PathB64) > 0 {
		return string(p.PathB64)
	}
	return p.Path
}

// The location of an archive in a result, in the same form.
type wireLocation struct {
	Location    string `json:"location"`
	LocationB64 []byte `json:"location_b64"`
}

func (l wireLocation) location() string {
	if len(l.LocationB64) > 0 {
		return string(l.LocationB64)
	}
	return l.Location
}

// Text in a request: a JSON string, or base64 if it is not UTF-8.
type wireText string

func (t wireText) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(map[string]string{"b64": base64.StdEncoding.EncodeToString([]byte(t))})
}

// A name in a request that the engine takes as text, such as a key. One that is not UTF-8 is an error,
// because encoding/json would replace its bytes, and so name something else.
type wireName string

func (n wireName) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(string(n)) {
		return nil, fmt.Errorf("the name %q is not UTF-8", string(n))
	}
	return json.Marshal(string(n))
}

func texts(from []string) []wireText {
	to := make([]wireText, len(from))
	for i, text := range from {
		to[i] = wireText(text)
	}
	return to
}
