//go:build linux

package wingback

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Slots say how many backups run at once, of all that have them; the others wait, in the order in
// which they came. The number may be changed at any time.
type Slots struct {
	mu      sync.Mutex
	total   int
	used    int
	waiting list.List // of *waiter
}

type waiter struct {
	since time.Time
	ready chan struct{}
}

// NewSlots gives n slots; 0 or less is without limit.
func NewSlots(n int) *Slots { return &Slots{total: n} }

// Resize changes their number. What runs goes on.
func (s *Slots) Resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = n
	s.grant()
}

// SlotsUsage is how Slots are used just now.
type SlotsUsage struct {
	// Total is how many there are; 0 or less is without limit.
	Total int
	// Used are taken.
	Used int
	// Waiting backups have none yet, the oldest of them for OldestWait.
	Waiting    int
	OldestWait time.Duration
}

// Usage says how they are used, for a daemon's metrics.
func (s *Slots) Usage() SlotsUsage {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage := SlotsUsage{Total: s.total, Used: s.used, Waiting: s.waiting.Len()}
	if first := s.waiting.Front(); first != nil {
		usage.OldestWait = time.Since(first.Value.(*waiter).since)
	}
	return usage
}

// Acquire waits for a slot. A [Backup] with Slots does so itself.
func (s *Slots) Acquire(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	mine := s.waiting.PushBack(&waiter{since: time.Now(), ready: make(chan struct{})})
	s.grant()
	s.mu.Unlock()
	ready := mine.Value.(*waiter).ready
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-ready:
		// It came at the same moment.
		s.used--
		s.grant()
	default:
		s.waiting.Remove(mine)
	}
	return cancelled(ctx, "wait for a slot")
}

// Release gives one back.
func (s *Slots) Release() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.grant()
}

func (s *Slots) grant() {
	for first := s.waiting.Front(); first != nil && (s.total <= 0 || s.used < s.total); first = s.waiting.Front() {
		s.waiting.Remove(first)
		s.used++
		close(first.Value.(*waiter).ready)
	}
}
