package wingback

import (
	"testing"
	"time"
)

// SetEndWithin makes it shorter for a test.
func SetEndWithin(t *testing.T, time time.Duration) {
	before := endWithin
	endWithin = time
	t.Cleanup(func() { endWithin = before })
}

// SetPatience makes it shorter for a test.
func SetPatience(t *testing.T, time time.Duration) {
	before := patience
	patience = time
	t.Cleanup(func() { patience = before })
}
