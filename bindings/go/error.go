//go:build linux

package wingback

import (
	"context"
	"errors"
	"io/fs"
)

// A Kind is the kind of an [Error]. It is itself an error, for use with errors.Is:
//
//	if errors.Is(err, wingback.NoSpace) { … }
type Kind string

// The kinds. Later versions may add others.
const (
	NotFound         Kind = "not-found"
	AlreadyExists    Kind = "already-exists"
	PermissionDenied Kind = "permission-denied"
	InvalidInput     Kind = "invalid-input" // an argument, a pattern, a name or a UUID cannot be used
	NoSpace          Kind = "no-space"      // the destination is full, over its quota, or below its reserve
	Cancelled        Kind = "cancelled"
	SourceGone       Kind = "source-gone" // the source was replaced or removed while it was read
	Corrupt          Kind = "corrupt"     // an archive does not match its checksums, or is not in a known format
	Mismatch         Kind = "mismatch"    // the archive has another SHA-1 than the expected one
	Busy             Kind = "busy"        // another operation uses the directory, or an interrupted one must be recovered first
	URLExpired       Kind = "url-expired"
	Unsupported      Kind = "unsupported" // this build of the engine lacks the function
	IO               Kind = "io"          // any other failure of the disk, the network or the store
	Internal         Kind = "internal"    // a fault in the engine
	EngineFailed     Kind = "engine"      // the engine cannot be run, or has ended before the job
)

func (k Kind) Error() string { return "wingback: " + string(k) }

// An Error is the error of a failed job. errors.Is matches it with its [Kind], and with fs.ErrNotExist,
// fs.ErrExist, fs.ErrPermission and fs.ErrInvalid. If a context ended the job, errors.Is also matches the
// error of the context.
type Error struct {
	Kind Kind
	// Op is the operation that failed, such as "open the source".
	Op string
	// Path is the path that the operation is about, or empty.
	Path string
	// Message has the operation, its subject and the reason.
	Message string
	// Retryable is whether the same job may succeed later without any change.
	Retryable bool

	cause error
}

func (e *Error) Error() string { return "wingback: " + e.Message }

// Unwrap returns the error of the context, or that of the caller's reader or writer.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the kind of the error, or the matching error of io/fs.
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
