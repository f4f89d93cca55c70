//go:build linux

package wingback

import (
	"context"
	"errors"
	"io/fs"
)

// A Kind is what sort of failure an [Error] is. It is itself an error, for errors.Is:
//
//	if errors.Is(err, wingback.NoSpace) { … }
type Kind string

// The kinds. Others may come with later versions.
const (
	NotFound         Kind = "not-found"
	AlreadyExists    Kind = "already-exists"
	PermissionDenied Kind = "permission-denied"
	InvalidInput     Kind = "invalid-input" // an argument, a pattern, a name or a UUID is not usable
	NoSpace          Kind = "no-space"      // the destination is full, over its quota or below its reserve
	Cancelled        Kind = "cancelled"
	SourceGone       Kind = "source-gone" // the source was replaced or went away while it was read
	Corrupt          Kind = "corrupt"     // an archive is not what its checksums or its format promise
	Busy             Kind = "busy"        // another operation is under way there, or must be recovered first
	URLExpired       Kind = "url-expired"
	IO               Kind = "io"       // any other failure of the disk, the network, the store
	Internal         Kind = "internal" // a fault in the engine
	EngineFailed     Kind = "engine"   // the engine could not be run, or ended before the job did
)

func (k Kind) Error() string { return "wingback: " + string(k) }

// An Error is what a job failed with. errors.Is knows it by its [Kind], and by fs.ErrNotExist,
// fs.ErrExist, fs.ErrPermission and fs.ErrInvalid; one of a context that was done is that of the
// context as well.
type Error struct {
	Kind Kind
	// Op is what was being done, such as "open the source".
	Op string
	// Path is what it was done with; empty if that was no file.
	Path string
	// Message is all of it, in words.
	Message string
	// Retryable is whether another try may succeed although nothing was changed.
	Retryable bool

	cause error
}

func (e *Error) Error() string { return "wingback: " + e.Message }

// Unwrap gives the context's error, or that of a reader or writer of the caller's.
func (e *Error) Unwrap() error { return e.cause }

// Is compares with kinds and with the errors of io/fs.
func (e *Error) Is(target error) bool {
	switch target {
	case e.Kind:
		return true
	case fs.ErrNotExist:
		return e.Kind == NotFound
	case fs.ErrExist:
		return e.Kind == AlreadyExists
	case fs.ErrPermission:
		return e.Kind == PermissionDenied
	case fs.ErrInvalid:
		return e.Kind == InvalidInput
	}
	return false
}

func invalid(op, message string) error {
	return &Error{Kind: InvalidInput, Op: op, Message: op + ": " + message}
}

func broken(message string, cause error) error {
	return &Error{Kind: EngineFailed, Op: "run the engine", Message: "run the engine: " + message, Retryable: true, cause: cause}
}

func cancelled(ctx context.Context, op string) error {
	cause := context.Cause(ctx)
	if err := ctx.Err(); !errors.Is(cause, err) {
		cause = errors.Join(err, cause)
	}
	return &Error{Kind: Cancelled, Op: op, Message: op + ": " + cause.Error(), cause: cause}
}
