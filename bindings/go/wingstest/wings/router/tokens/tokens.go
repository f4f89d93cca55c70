// Package tokens is a stand-in for Wings' package. Its tokens have no signature.
package tokens

import (
	"encoding/base64"
	"encoding/json"
	"sync"
)

// BackupPayload is the content of the token for a download.
type BackupPayload struct {
	ServerUuid string `json:"server_uuid"`
	BackupUuid string `json:"backup_uuid"`
	UniqueId   string `json:"unique_id"`
}

// Token returns the token.
func (p BackupPayload) Token() string {
	text, _ := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(text)
}

// ParseToken decodes a token.
func ParseToken(token []byte, p *BackupPayload) error {
	text, err := base64.RawURLEncoding.DecodeString(string(token))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, p)
}

var used sync.Map

// IsUniqueRequest returns whether the token is used for the first time.
func (p *BackupPayload) IsUniqueRequest() bool {
	_, again := used.LoadOrStore(p.UniqueId, true)
	return !again
}
