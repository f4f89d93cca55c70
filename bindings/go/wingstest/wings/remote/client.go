// Package remote is a stand-in for Wings' package: the client of the Panel.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Client sends requests to the Panel.
type Client interface {
	GetBackupRemoteUploadURLs(ctx context.Context, backup string, size int64) (BackupRemoteUploadResponse, error)
	SetBackupStatus(ctx context.Context, backup string, data BackupRequest) error
	SendRestorationStatus(ctx context.Context, backup string, successful bool) error
}

// RequestError is an error that the Panel has answered.
type RequestError struct{ response *http.Response }

func (e *RequestError) Error() string { return "the Panel answered " + e.response.Status }

// StatusCode returns the status of the answer.
func (e *RequestError) StatusCode() int { return e.response.StatusCode }

// AsRequestError returns the RequestError in an error; nil if it has none.
func AsRequestError(err error) *RequestError {
	var request *RequestError
	errors.As(err, &request)
	return request
}

type client struct{ base, token string }

// New returns a client of the Panel at the URL `base`.
func New(base, token string) Client { return client{base + "/api/remote", token} }

// How often a request is sent if the Panel has a fault. Wings does it for half a minute.
const attempts = 3

// request sends a request until the answer is not a fault of the Panel, and decodes the answer.
func (c client) request(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	for attempt := 0; err == nil; attempt++ {
		request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(text))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+c.token)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		switch {
		case response.StatusCode < 300 && answer == nil:
			return nil
		case response.StatusCode < 300:
			return json.NewDecoder(response.Body).Decode(answer)
		case response.StatusCode < 500 || attempt+1 == attempts:
			return &RequestError{response}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func (c client) GetBackupRemoteUploadURLs(ctx context.Context, backup string, size int64) (BackupRemoteUploadResponse, error) {
	var answer BackupRemoteUploadResponse
	err := c.request(ctx, http.MethodGet, fmt.Sprintf("/backups/%s?size=%d", backup, size), nil, &answer)
	return answer, err
}

func (c client) SetBackupStatus(ctx context.Context, backup string, data BackupRequest) error {
	return c.request(ctx, http.MethodPost, "/backups/"+backup, data, nil)
}

func (c client) SendRestorationStatus(ctx context.Context, backup string, successful bool) error {
	return c.request(ctx, http.MethodPost, "/backups/"+backup+"/restore", map[string]bool{"successful": successful}, nil)
}
