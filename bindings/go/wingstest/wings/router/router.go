// Package router is a stand-in for Wings' package.
package router

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/router/middleware"
	"github.com/pterodactyl/wings/server"
)

// Configure returns the handler for all requests.
func Configure(m *server.Manager, client remote.Client, token string) http.Handler {
	gin.SetMode("release")
	router := gin.New()
	router.Use(middleware.Attach(m, client))
	router.GET("/download/backup", getDownloadBackup)
	backup := router.Group("/api/servers/:server/backup")
	backup.Use(middleware.RequireAuthorization(token), middleware.ServerExists())
	backup.POST("", postServerBackup)
	backup.POST("/:backup/restore", postServerRestoreBackup)
	backup.DELETE("/:backup", deleteServerBackup)
	return router
}
