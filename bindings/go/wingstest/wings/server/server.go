// Package server is a stand-in for Wings' package.
package server

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/pterodactyl/wings/config"
	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/server/filesystem"
)

// The names of events.
const (
	DaemonMessageEvent          = "daemon message"
	BackupRestoreCompletedEvent = "backup restore completed"
	BackupCompletedEvent        = "backup completed"
)

// An Event is an event that clients of the WebSocket get.
type Event struct {
	Topic string
	Data  any
}

// Bus sends events to the clients.
type Bus struct {
	mu   sync.Mutex
	sent []Event
}

// Publish sends an event.
func (b *Bus) Publish(topic string, data any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, Event{topic, data})
}

// Sent returns the events so far.
func (b *Bus) Sent() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Event(nil), b.sent...)
}

// Server is a game server.
type Server struct {
	id        string
	ctx       context.Context
	client    remote.Client
	fs        *filesystem.Filesystem
	events    Bus
	restoring atomic.Bool
	suspended atomic.Bool
}

// ID returns the UUID.
func (s *Server) ID() string { return s.id }

// Context ends when the server is deleted.
func (s *Server) Context() context.Context { return s.ctx }

// Filesystem returns the directory of the server.
func (s *Server) Filesystem() *filesystem.Filesystem { return s.fs }

// Events returns the bus for the events of the server.
func (s *Server) Events() *Bus { return &s.events }

// SetRestoring says whether a restore runs.
func (s *Server) SetRestoring(to bool) { s.restoring.Store(to) }

// IsRestoring returns whether a restore runs.
func (s *Server) IsRestoring() bool { return s.restoring.Load() }

// IsSuspended returns whether the server may not be started.
func (s *Server) IsSuspended() bool { return s.suspended.Load() }

// Manager has all servers.
type Manager struct{ servers map[string]*Server }

// NewManager returns the servers that have a directory.
func NewManager(ctx context.Context, client remote.Client) (*Manager, error) {
	data := config.Get().System.Data
	dirs, err := os.ReadDir(data)
	if err != nil {
		return nil, err
	}
	m := &Manager{map[string]*Server{}}
	for _, dir := range dirs {
		fs := filesystem.New(filepath.Join(data, dir.Name()))
		m.servers[dir.Name()] = &Server{id: dir.Name(), ctx: ctx, client: client, fs: fs}
	}
	return m, nil
}

// Get returns a server.
func (m *Manager) Get(id string) (*Server, bool) {
	s, ok := m.servers[id]
	return s, ok
}
