//go:build go1.24

package wingback

import (
	"testing"
	"time"
)

// SetEndWithin shortens endWithin for a test.
func SetEndWithin(t *testing.T, to time.Duration) { set(t, &endWithin, to) }

// SetPatience shortens patience for a test.
func SetPatience(t *testing.T, to time.Duration) { set(t, &patience, to) }

func set(t *testing.T, time *time.Duration, to time.Duration) {
	before := *time
	*time = to
	t.Cleanup(func() { *time = before })
}
