// Package cmd is a stand-in for the command of Wings.
package cmd

import (
	"context"
	"net/http"

	"github.com/apex/log"

	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/router"
	"github.com/pterodactyl/wings/server"
)

// Command is a running daemon.
type Command struct {
	ctx          context.Context
	panel, token string
	Manager      *server.Manager
	Handler      http.Handler
}

// Start starts the daemon of the Panel at a URL. The daemon and the Panel share the token.
func Start(ctx context.Context, panel, token string) *Command {
	c := &Command{ctx: ctx, panel: panel, token: token}
	rootCmdRun(c, nil)
	return c
}

// Context returns the context of the command.
func (c *Command) Context() context.Context { return c.ctx }

func rootCmdRun(cmd *Command, _ []string) {
	client := remote.New(cmd.panel, cmd.token)

	manager, err := server.NewManager(cmd.Context(), client)
	if err != nil {
		log.WithError(err).Error("the servers cannot be loaded")
		return
	}
	cmd.Manager, cmd.Handler = manager, router.Configure(manager, client, cmd.token)
}
