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

// Counters are the numbers of an engine's backups, for a daemon's metrics. Those named Total only grow.
type Counters struct {
	// Queued backups wait for a slot, Running backups are being made.
	Queued, Running int64
	// MadeTotal is the number of archives, PartialTotal the number of those with missing files.
	MadeTotal, PartialTotal uint64
	// FailedTotal and CancelledTotal are the numbers of failed and of cancelled backups.
	FailedTotal, CancelledTotal uint64
	// SkippedTotal is the number of skipped paths.
	SkippedTotal uint64
	// ArchivedBytesTotal is the size of all archives in bytes.
	ArchivedBytesTotal uint64
}

// Counters returns the numbers of the engine's backups.
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
