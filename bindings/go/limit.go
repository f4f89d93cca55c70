package wingback

import (
	"context"
	"sync"
)

// A Limiter is a limit in bytes a second, for all the jobs that have it together: they stay below it.
// It may be changed while they run.
type Limiter struct {
	mu    sync.Mutex
	rate  uint64
	conns map[*conn]uint64
}

// NewLimiter gives a limit of so many bytes a second; 0 is without limit.
func NewLimiter(bytesPerSecond uint64) *Limiter {
	return &Limiter{rate: bytesPerSecond, conns: map[*conn]uint64{}}
}

// SetRate changes the limit, also of what runs; 0 is without limit.
func (l *Limiter) SetRate(bytesPerSecond uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = bytesPerSecond
	for conn, number := range l.conns {
		// One that is dead has no jobs.
		_ = conn.send(context.Background(), limitRequest(number, bytesPerSecond))
	}
}

// Rate is the limit now, in bytes a second; 0 is without limit.
func (l *Limiter) Rate() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate
}

func limitRequest(number, rate uint64) request {
	return request{Op: "limit", Args: map[string]uint64{"limit": number, "bytes_per_second": rate}}
}

// on is the number that the limit has with an engine that a job of it runs on; nil where there is
// no limit.
func (l *Limiter) on(c *conn) *uint64 {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	number := l.conns[c]
	return &number
}

// hold makes the limit known to the engine, until as many calls of release.
func (c *conn) hold(ctx context.Context, l *Limiter) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.mu.Lock()
	held := c.limits[l]
	c.limits[l] = held + 1
	c.next++
	number := c.next
	c.mu.Unlock()
	if held > 0 {
		return nil
	}
	if l.conns == nil {
		l.conns = map[*conn]uint64{}
	}
	l.conns[c] = number
	err := c.send(ctx, limitRequest(number, l.rate))
	if err != nil {
		c.mu.Lock()
		delete(c.limits, l)
		c.mu.Unlock()
		delete(l.conns, c)
	}
	return err
}

func (c *conn) release(l *Limiter) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.mu.Lock()
	c.limits[l]--
	held := c.limits[l]
	if held == 0 {
		delete(c.limits, l)
	}
	c.mu.Unlock()
	if held == 0 {
		number := l.conns[c]
		delete(l.conns, c)
		_ = c.send(context.Background(), request{Op: "unlimit", Args: map[string]uint64{"limit": number}})
	}
}
