//go:build linux

package wingback

import (
	"errors"
	"sync/atomic"
)

type counters struct {
	queued, running              atomic.Int64
	made, partial, failed        atomic.Uint64
	cancelled, skipped, archived atomic.Uint64
}

// Counters are what an engine's backups have come to, for a daemon's metrics. What says Total only
// grows.
type Counters struct {
	// Queued wait for a slot, Running are being made.
	Queued, Running int64
	// MadeTotal archives, PartialTotal of them without files that should be in them.
	MadeTotal, PartialTotal uint64
	// FailedTotal backups, and those that were cancelled.
	FailedTotal, CancelledTotal uint64
	// SkippedTotal files that no archive has.
	SkippedTotal uint64
	// ArchivedBytesTotal is the size of all archives together.
	ArchivedBytesTotal uint64
}

// Counters says what its backups have come to.
func (e *Engine) Counters() Counters {
	c := &e.or().counters
	return Counters{
		Queued: c.queued.Load(), Running: c.running.Load(),
		MadeTotal: c.made.Load(), PartialTotal: c.partial.Load(),
		FailedTotal: c.failed.Load(), CancelledTotal: c.cancelled.Load(),
		SkippedTotal: c.skipped.Load(), ArchivedBytesTotal: c.archived.Load(),
	}
}

func (c *counters) count(report *Report, err error) {
	switch {
	case errors.Is(err, Cancelled):
		c.cancelled.Add(1)
	case err != nil:
		c.failed.Add(1)
	default:
		c.made.Add(1)
		c.archived.Add(uint64(report.Size))
		c.skipped.Add(uint64(len(report.Skipped)) + report.SkippedMore)
		if report.Partial {
			c.partial.Add(1)
		}
	}
}
