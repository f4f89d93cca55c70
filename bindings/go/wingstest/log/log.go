// Package log is a stand-in for the logger of Wings, github.com/apex/log.
package log

import (
	"fmt"
	"maps"
)

// Entry is a line of the log before it has a text.
type Entry struct{ fields map[string]any }

// Lines are the lines of the log: the level, the text and the fields.
var Lines []string

// WithField starts a line with a field.
func WithField(key string, value any) *Entry { return (&Entry{}).WithField(key, value) }

// WithField adds a field.
func (e *Entry) WithField(key string, value any) *Entry {
	fields := map[string]any{key: value}
	maps.Copy(fields, e.fields)
	fields[key] = value
	return &Entry{fields}
}

// WithError adds an error.
func (e *Entry) WithError(err error) *Entry { return e.WithField("error", err) }

// Info writes the line.
func (e *Entry) Info(text string) { e.write("info", text) }

// Warn writes the line.
func (e *Entry) Warn(text string) { e.write("warn", text) }

func (e *Entry) write(level, text string) {
	Lines = append(Lines, fmt.Sprint(level, ": ", text, " ", e.fields))
}
