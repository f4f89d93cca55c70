package wingback

import (
	"testing"
	"time"
)

// SetPatience makes it shorter for a test.
func SetPatience(t *testing.T, time time.Duration) {
	before := patience
	patience = time
	t.Cleanup(func() { patience = before })
}
