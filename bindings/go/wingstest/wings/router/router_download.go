package router

import (
	"errors"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/pterodactyl/wings/router/middleware"
	"github.com/pterodactyl/wings/router/tokens"
	"github.com/pterodactyl/wings/server/backup"
)

func getDownloadBackup(c *gin.Context) {
	var token tokens.BackupPayload
	if err := tokens.ParseToken([]byte(c.Query("token")), &token); err != nil {
		middleware.CaptureAndAbort(c, err)
		return
	}
	if _, ok := middleware.ExtractManager(c).Get(token.ServerUuid); !ok || !token.IsUniqueRequest() {
		c.AbortWithStatusJSON(http.StatusNotFound, gin.H{"error": "There is no such download."})
		return
	}
	b, st, err := backup.LocateLocal(middleware.ExtractApiClient(c), token.BackupUuid)
	if errors.Is(err, os.ErrNotExist) {
		c.AbortWithStatusJSON(http.StatusNotFound, gin.H{"error": "The backup does not exist."})
		return
	} else if err != nil {
		middleware.CaptureAndAbort(c, err)
		return
	}
	file, err := os.Open(b.Path())
	if err != nil {
		middleware.CaptureAndAbort(c, err)
		return
	}
	defer file.Close()
	c.DataFromReader(http.StatusOK, st.Size(), "application/octet-stream", file, nil)
}
