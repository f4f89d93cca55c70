// Package middleware is a stand-in for Wings' package.
package middleware

import (
	"net/http"
	"sync/atomic"

	"github.com/apex/log"
	"github.com/gin-gonic/gin"

	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/server"
)

var requests atomic.Int64

// Attach gives requests the objects of the daemon.
func Attach(manager *server.Manager, client remote.Client) gin.HandlerFunc {
	return func(c *gin.Context) {
		id := requests.Add(1)
		c.Set("request_id", id)
		c.Set("logger", log.WithField("request_id", id))
		c.Set("manager", manager)
		c.Set("api_client", client)
	}
}

// RequireAuthorization refuses requests without the token.
func RequireAuthorization(token string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.GetHeader("Authorization") != "Bearer "+token {
			c.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "The token is not valid."})
		}
	}
}

// ServerExists refuses requests about an unknown server.
func ServerExists() gin.HandlerFunc {
	return func(c *gin.Context) {
		s, ok := ExtractManager(c).Get(c.Param("server"))
		if !ok {
			c.AbortWithStatusJSON(http.StatusNotFound, gin.H{"error": "The server does not exist."})
			return
		}
		c.Set("server", s)
	}
}

// CaptureAndAbort logs an error and ends the request.
func CaptureAndAbort(c *gin.Context, err error) {
	ExtractLogger(c).WithError(err).Error("the request has failed")
	c.AbortWithStatusJSON(http.StatusInternalServerError, gin.H{"error": "An unexpected error has happened."})
}

// ExtractServer returns the server of the request.
func ExtractServer(c *gin.Context) *server.Server { return c.MustGet("server").(*server.Server) }

// ExtractManager returns the servers.
func ExtractManager(c *gin.Context) *server.Manager { return c.MustGet("manager").(*server.Manager) }

// ExtractApiClient returns the client of the Panel.
func ExtractApiClient(c *gin.Context) remote.Client { return c.MustGet("api_client").(remote.Client) }

// ExtractLogger returns the logger of the request.
func ExtractLogger(c *gin.Context) *log.Entry { return c.MustGet("logger").(*log.Entry) }
