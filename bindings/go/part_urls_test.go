//go:build linux

package wingback_test

import (
	"context"
	"errors"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestPartURLsAreAskedForLate(t *testing.T) {
	asked, refused := 0, errors.New("the panel: 403")
	ask := func(context.Context) (wingback.PartURLs, error) {
		asked++
		return wingback.PartURLs{}, refused
	}
	slots := wingback.NewSlots(1)
	backup := wingback.Backup{Source: source(t), Engine: shared, Slots: slots}
	must(t, slots.Acquire(background()))
	ctx, cancel := context.WithTimeout(background(), 50*time.Millisecond)
	defer cancel()
	if _, err := backup.SendLate(ctx, ask); !errors.Is(err, context.DeadlineExceeded) || asked != 0 {
		t.Error("without a slot:", err, asked)
	}
	slots.Release()
	// The error is the caller's own.
	if _, err := backup.SendLate(background(), ask); err != refused || asked != 1 {
		t.Error(err, asked)
	}
	if used := slots.Usage().Used; used != 0 {
		t.Error(used)
	}
}
