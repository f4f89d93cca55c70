//go:build linux

package wingback

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Slots limit how many of the backups that share them run at once. The others wait in the order of
// their start. The number can be changed at any time.
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

// NewSlots returns n slots; 0 or less means no limit.
func NewSlots(n int) *Slots { return &Slots{total: n} }

// Resize changes the number of slots. Running backups go on.
func (s *Slots) Resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = n
	s.grant()
}

// SlotsUsage is how many Slots are in use.
type SlotsUsage struct {
	// Total is the number of slots; 0 or less means no limit.
	Total int
	// Used is the number of slots in use.
	Used int
	// Waiting is the number of backups that wait for a slot; OldestWait is the longest wait so far.
	Waiting    int
	OldestWait time.Duration
}

// Usage returns how many slots are in use, for a daemon's metrics.
func (s *Slots) Usage() SlotsUsage {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage := SlotsUsage{Total: s.total, Used: s.used, Waiting: s.waiting.Len()}
	if first := s.waiting.Front(); first != nil {
		usage.OldestWait = time.Since(first.Value.(*waiter).since)
	}
	return usage
}

// Acquire waits for a slot. A [Backup] with Slots calls it by itself. A nil *Slots has no limit.
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
		// The slot was granted at the same moment as the context ended.
		s.used--
		s.grant()
	default:
		s.waiting.Remove(mine)
	}
	return cancelled(ctx, "wait for a slot")
}

// Release returns a slot.
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
