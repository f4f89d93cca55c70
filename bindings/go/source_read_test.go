//go:build go1.24

package wingback_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestAFunctionIsCalledAfterTheSourceIsReadAndBeforeTheArchiveIsVisible(t *testing.T) {
	dir := t.TempDir()
	calls := 0 // without a lock: the race detector would report another goroutine
	report := made(t, wingback.Backup{Source: source(t), OnSourceRead: func() error {
		calls++
		if visible, _ := filepath.Glob(filepath.Join(dir, "backup-*.tar.gz")); len(visible) != 0 {
			t.Error(visible)
		}
		return nil
	}}, dir)
	if calls != 1 || len(report.Warnings) != 0 {
		t.Error(calls, report.Warnings)
	}
	only(t, dir, 1)
}

func TestAFailureAfterTheSourceIsReadIsAWarning(t *testing.T) {
	fails := func() error { return errors.New("the server does not answer") }
	report := made(t, wingback.Backup{Source: source(t), OnSourceRead: fails}, t.TempDir())
	if len(report.Warnings) != 1 || report.Warnings[0] != (wingback.Warning{Code: "hook", Message: "the server does not answer"}) {
		t.Error(report.Warnings)
	}
}

func TestABackupThatIsCancelledInTheFunctionLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(background())
	defer cancel()
	backup := wingback.Backup{Source: source(t), Engine: shared, OnSourceRead: func() error {
		cancel()
		return nil
	}}
	if _, err := backup.Run(ctx, wingback.LocalStore{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	only(t, dir, 0)
}
