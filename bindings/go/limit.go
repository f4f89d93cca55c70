//go:build linux

package wingback

import "sync"

// A Limiter is a limit in bytes per second. The jobs that share it stay below it together. It can be
// changed while they run.
type Limiter struct {
	mu    sync.Mutex
	rate  uint64
	conns map[*conn]*held
}

// A held is a limit that an engine knows: its number there, and how many jobs use it.
type held struct {
	number uint64
	jobs   int
}

// NewLimiter returns a limit in bytes per second; 0 means no limit.
func NewLimiter(bytesPerSecond uint64) *Limiter {
	return &Limiter{rate: bytesPerSecond}
}

// SetRate changes the limit, also for running jobs; 0 means no limit. It does not wait for an engine.
func (l *Limiter) SetRate(bytesPerSecond uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = bytesPerSecond
	for conn, held := range l.conns {
		conn.post(held.number, limitRequest(held.number, bytesPerSecond))
	}
}

// Rate returns the limit in bytes per second; 0 means no limit.
func (l *Limiter) Rate() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate
}

func limitRequest(number, rate uint64) request {
	return request{Op: "limit", Args: map[string]uint64{"limit": number, "bytes_per_second": rate}}
}

// on returns the number of the limit in an engine that holds it, or nil for a nil limiter.
func (l *Limiter) on(c *conn) *uint64 {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return &l.conns[c].number
}

// A limits has the limits of a job that reads archives. Each may be nil.
type limits struct{ read, write *Limiter }

func (l limits) list() []*Limiter { return []*Limiter{l.read, l.write} }

// put adds the numbers of the limits in an engine to the arguments of a job.
func (l limits) put(args map[string]any, c *conn) {
	if l.read != nil {
		args["read_limit"] = l.read.on(c)
	}
	if l.write != nil {
		args["write_limit"] = l.write.on(c)
	}
}

// hold makes the limit known to the engine, until release has been called as often.
func (c *conn) hold(l *Limiter) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.conns[c]; held != nil {
		held.jobs++
		return
	}
	number := c.number()
	c.post(number, limitRequest(number, l.rate))
	if l.conns == nil {
		l.conns = map[*conn]*held{}
	}
	l.conns[c] = &held{number, 1}
}

func (c *conn) release(l *Limiter) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.conns[c]
	held.jobs--
	if held.jobs == 0 {
		delete(l.conns, c)
		c.post(held.number, request{Op: "unlimit", Args: map[string]uint64{"limit": held.number}})
	}
}

// number returns a number that nothing else on the connection has.
func (c *conn) number() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.next
}
